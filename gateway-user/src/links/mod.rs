//! Which network devices to count on, found and followed by rtnetlink.
//!
//! A *network* is an interface that holds an address (`br-lan`); a *port* is a lowest device under it (`lan1`,
//! `phy0-ap0`), where the counting programs are attached: a software flowtable short-cuts from the port, so that
//! everything above sees only the first packets of a connection. [`decide`](decide::decide) makes the choice from
//! a [`Snapshot`] and touches nothing; `netlink` takes the snapshot; [`follow`] does it again whenever something
//! changes. Attaches nothing.

mod decide;
mod follow;
mod netlink;
mod snapshot;

pub use decide::{SelectionError, check_named, decide};
pub use follow::follow;
pub use netlink::read_snapshot;
pub use snapshot::{Link, LinkKind, Snapshot};

use ipnetwork::IpNetwork;
use std::collections::BTreeSet;

/// An IEEE 802 MAC address.
pub type MacBytes = [u8; 6];

/// Which networks to count.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Selection {
    /// Every network that looks like a LAN: holds a private address and is not the way of the default route.
    #[default]
    Auto,
    /// These interfaces, whatever they hold. Never empty.
    Names(Vec<String>),
}

/// A device to attach the counting programs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// Interface index.
    pub index: u32,
    /// Interface name.
    pub name: String,
    /// Its own MAC address.
    pub mac: MacBytes,
    /// The MAC addresses by which devices on this port reach the gateway, sorted: the port's own, and those of
    /// the bridges, VLAN and macvlan interfaces above it.
    pub gateway_macs: Vec<MacBytes>,
    /// The network it serves, for example `br-lan`; several are joined by `+`.
    pub network: String,
    /// Other networks that pass here and were not asked for: their routed frames cannot be told apart.
    pub also_carries: Vec<String>,
    /// Why it was chosen, in words.
    pub why: String,
}

/// What there is to count on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Discovery {
    /// Where to attach, by interface index. No packet passes two of them on its way between a device and the
    /// gateway.
    pub ports: Vec<Port>,
    /// Interfaces left out, by name, with the reason.
    pub passed_over: Vec<(String, String)>,
    /// What is in the house though its addresses may be public: the on-link prefixes of the networks counted on, and
    /// the gateway's other addresses on whatever interface. Sorted. A peer in one of these is no peer elsewhere.
    pub own_prefixes: Vec<IpNetwork>,
}

impl Discovery {
    /// Every MAC address by which the gateway is reached on any port, sorted.
    #[must_use]
    pub fn gateway_macs(&self) -> Vec<MacBytes> {
        let macs: BTreeSet<_> = self.ports.iter().flat_map(|p| &p.gateway_macs).copied().collect();
        macs.into_iter().collect()
    }
}

/// Finds the ports of this network namespace. Needs a tokio runtime with I/O.
///
/// # Errors
/// When rtnetlink does not answer, or an interface that `selection` names does not exist or is not Ethernet.
pub async fn discover(selection: &Selection) -> anyhow::Result<Discovery> {
    let snapshot = read_snapshot().await?;
    check_named(&snapshot, selection)?;
    Ok(decide(&snapshot, selection))
}
