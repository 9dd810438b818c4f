//! Address → whose network it is in. The tables are handed in; the pipeline knows only this trait.

use crate::row::Network;
use core::net::IpAddr;

/// Something that knows networks.
pub trait Networks {
    /// The network an address is in, if it is known.
    fn network_of(&self, addr: IpAddr) -> Option<Network>;

    /// The date of the table this comes from, for print; empty if there is none.
    fn as_of(&self) -> &str;
}

/// No table: every network is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NoNetworks;

impl Networks for NoNetworks {
    fn network_of(&self, _addr: IpAddr) -> Option<Network> {
        None
    }

    fn as_of(&self) -> &str {
        ""
    }
}
