//! What a table says of an address: whose network it is in, in which country, whether it is a known resolver's; and
//! of a name: whose it is, under which suffix it was registered, and which of the user's lists have it.
//! Imports rows and units only; tables come in as bytes, behind [`Networks`] or as a part of the program, never as
//! files.

mod cursor;
pub mod envelope;
pub mod kind;
pub mod lists;
mod name_index;
pub mod names;
pub mod owners;
pub mod rdap;
pub mod resolvers;
pub mod suffixes;
pub mod table;
pub mod vendors;

use crate::row::Network;
use core::net::IpAddr;

/// Something that knows whose network an address is in.
pub trait Networks {
    /// The network of an address; `None` where nothing is known of it.
    fn network_of(&self, addr: IpAddr) -> Option<Network>;

    /// The date or dates of what it knows, for print; empty where it knows nothing.
    fn as_of(&self) -> &str;
}

/// Knows no network.
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
