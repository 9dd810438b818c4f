//! Links, addresses and default routes at one moment, and how links are stacked. Pure.

use super::MacBytes;
use ipnetwork::IpNetwork;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What matters of an interface's kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkKind {
    /// A physical port, a Wi-Fi interface, a switch's user port, a veth, a bond: nothing of ours under it.
    Plain,
    /// A bridge: its ports are under it.
    Bridge,
    /// A VLAN, macvlan or ipvlan interface: its frames pass the device under it too.
    Stacked,
    /// Leads nowhere (dummy, ifb).
    Virtual,
    /// Point-to-point, through something that is not told (PPP, PPPoE).
    Ppp,
    /// A tunnel without MAC addresses (WireGuard, tun, GRE, 6in4).
    Tunnel,
}

/// One interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Interface index.
    pub index: u32,
    /// Interface name.
    pub name: String,
    /// Its kind.
    pub kind: LinkKind,
    /// Switched on by the administrator.
    pub is_up: bool,
    /// The loopback interface.
    pub is_loopback: bool,
    /// Its MAC address; `None` if it is not an Ethernet interface.
    pub mac: Option<MacBytes>,
    /// The interface under it (`IFLA_LINK`), if that is in this namespace.
    pub lower: Option<u32>,
    /// The bridge, bond or VRF it belongs to (`IFLA_MASTER`).
    pub controller: Option<u32>,
}

/// All that [`super::decide()`] looks at.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// The interfaces by index.
    pub links: BTreeMap<u32, Link>,
    /// Their addresses with the on-link prefix of each, in the kernel's order.
    pub addrs: Vec<(u32, IpNetwork)>,
    /// The interfaces that a default route of any table leaves by.
    pub way_out: BTreeSet<u32>,
    /// Those that one left by earlier, as far as anybody has watched.
    pub earlier_way_out: BTreeSet<u32>,
}

impl Snapshot {
    /// The interface of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|l| l.name == name)
    }

    /// The addresses of an interface.
    pub fn addrs_of(&self, index: u32) -> impl Iterator<Item = IpAddr> + '_ {
        self.addrs.iter().filter(move |(i, _)| *i == index).map(|(_, addr)| addr.ip())
    }

    /// Does a default route leave by this interface, or did one?
    #[must_use]
    pub fn is_way_out(&self, index: u32) -> bool {
        self.way_out.contains(&index) || self.earlier_way_out.contains(&index)
    }

    /// Is this a network that can carry routed traffic: is it on, with an address that is not link-local or with
    /// a default route?
    #[must_use]
    pub fn is_network(&self, link: &Link) -> bool {
        let has_addr = self.addrs_of(link.index).any(|addr| !is_link_local(addr));
        link.is_up && !link.is_loopback && (has_addr || self.is_way_out(link.index))
    }

    /// The devices directly under a link.
    #[must_use]
    pub fn below(&self, link: &Link) -> Vec<u32> {
        match link.kind {
            LinkKind::Bridge => {
                self.links.values().filter(|l| l.controller == Some(link.index)).map(|l| l.index).collect()
            }
            LinkKind::Stacked => link.lower.into_iter().filter(|l| self.links.contains_key(l)).collect(),
            LinkKind::Plain | LinkKind::Virtual | LinkKind::Ppp | LinkKind::Tunnel => Vec::new(),
        }
    }

    /// A link and everything under it, down to the lowest.
    #[must_use]
    pub fn down_from(&self, index: u32) -> BTreeSet<u32> {
        self.closure(index, |link| self.below(link))
    }

    /// A link and everything stacked on it, up to the highest.
    #[must_use]
    pub fn up_from(&self, index: u32) -> BTreeSet<u32> {
        self.closure(index, |link| {
            self.links.values().filter(|l| self.below(l).contains(&link.index)).map(|l| l.index).collect()
        })
    }

    /// Walks until nothing new appears; a loop, which the kernel would not allow, ends the walk.
    fn closure(&self, index: u32, step: impl Fn(&Link) -> Vec<u32>) -> BTreeSet<u32> {
        let mut seen = BTreeSet::new();
        let mut open = vec![index];
        while let Some(index) = open.pop() {
            if let Some(link) = self.links.get(&index)
                && seen.insert(index)
            {
                open.extend(step(link));
            }
        }
        seen
    }
}

/// RFC 3927 and RFC 4291 §2.5.6: says nothing about what the interface is for.
fn is_link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}
