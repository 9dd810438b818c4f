//! From a snapshot to the ports. Pure: every rule is tested below on invented topologies.
//!
//! 1. `auto` takes the interfaces that are on, Ethernet, hold a private address and are not the way out, nor may be:
//!    only bridges are beyond doubt while the way out is a PPP session or not known.
//! 2. Each is resolved to its lowest devices, but not through a device that also carries a network which was not
//!    chosen (a single switch port with LAN and WAN as VLANs): there the VLAN interface itself is the port.
//! 3. No port is above another, so that no frame is counted twice.

use super::snapshot::{Link, LinkKind, Snapshot};
use super::{Discovery, MacBytes, Port, Selection};
use ipnetwork::IpNetwork;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How container and virtual machine software calls the bridges it makes. Their guests are programs of this
/// machine, not devices of the house; naming such a bridge counts it all the same.
const GUEST_BRIDGES: [&str; 7] = ["docker", "podman", "virbr", "lxcbr", "lxdbr", "incusbr", "cni"];

/// An on-link prefix shorter than this is not believed.
const MIN_ON_LINK_LEN: u8 = 8;

/// An interface that was asked for by name cannot be counted on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SelectionError {
    /// There is no such interface.
    #[error("no interface is called {name}; there are {known}")]
    Missing {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Devices on it have no MAC addresses.
    #[error(
        "{name} is not an Ethernet interface, so devices on it cannot be told apart; name the interface of the LAN"
    )]
    NotEthernet {
        /// The name asked for.
        name: String,
    },
}

/// Does every interface that is asked for by name exist?
///
/// # Errors
/// [`SelectionError`] for the first that does not, or that is not Ethernet.
pub fn check_named(snapshot: &Snapshot, selection: &Selection) -> Result<(), SelectionError> {
    let Selection::Names(names) = selection else { return Ok(()) };
    for name in names {
        let Some(link) = snapshot.named(name) else {
            let known: Vec<_> = snapshot.links.values().map(|l| l.name.as_str()).collect();
            return Err(SelectionError::Missing { name: name.clone(), known: known.join(", ") });
        };
        if link.mac.is_none() || link.is_loopback {
            return Err(SelectionError::NotEthernet { name: name.clone() });
        }
    }
    Ok(())
}

/// Chooses the ports. A named interface that is missing is passed over: it may come back.
#[must_use]
pub fn decide(snapshot: &Snapshot, selection: &Selection) -> Discovery {
    let mut passed_over = BTreeMap::new();
    let chosen = match selection {
        Selection::Auto => choose_auto(snapshot, &mut passed_over),
        Selection::Names(names) => choose_named(snapshot, names, &mut passed_over),
    };
    let choice = Choice { snapshot, chosen: &chosen };
    let served = choice.ports_with_networks();
    for (index, reason) in &chosen {
        if !served.values().any(|networks| networks.contains(index))
            && let Some(link) = snapshot.links.get(index)
        {
            passed_over.insert(link.name.clone(), format!("{reason}, and is a bridge without ports"));
        }
    }
    let ports = served.iter().filter_map(|(index, networks)| choice.port(*index, networks)).collect();
    let own_prefixes = choice.own_prefixes(served.keys().copied());
    Discovery { ports, passed_over: passed_over.into_iter().collect(), own_prefixes }
}

/// Chosen network → why, as a predicate: "holds …", "is named …".
type Chosen = BTreeMap<u32, String>;

fn choose_named(snapshot: &Snapshot, names: &[String], passed_over: &mut BTreeMap<String, String>) -> Chosen {
    let mut chosen = Chosen::new();
    for name in names {
        match snapshot.named(name) {
            Some(link) if link.mac.is_some() && !link.is_loopback => {
                chosen.insert(link.index, "is named in the configuration".to_owned());
            }
            Some(_) => {
                passed_over.insert(name.clone(), "is not an Ethernet interface".to_owned());
            }
            None => {
                passed_over
                    .insert(name.clone(), "is named in the configuration and not there now".to_owned());
            }
        }
    }
    chosen
}

fn choose_auto(snapshot: &Snapshot, passed_over: &mut BTreeMap<String, String>) -> Chosen {
    let mut chosen = Chosen::new();
    let mut refused = BTreeMap::new();
    for link in snapshot.links.values() {
        match why_lan(snapshot, link) {
            Ok(why) => chosen.insert(link.index, why),
            Err(why) => refused.insert(link.index, why),
        };
    }
    // The parts of a chosen network need no excuse for not being networks themselves.
    let parts: BTreeSet<u32> = chosen.keys().flat_map(|index| snapshot.down_from(*index)).collect();
    for (index, why) in refused {
        if let Some(link) = snapshot.links.get(&index).filter(|_| !parts.contains(&index)) {
            passed_over.insert(link.name.clone(), why);
        }
    }
    chosen
}

/// Is this interface a LAN? Either answer comes with its reason.
fn why_lan(snapshot: &Snapshot, link: &Link) -> Result<String, String> {
    let private = snapshot.addrs_of(link.index).find(|addr| is_private(*addr));
    let refusal = if link.is_loopback {
        "is the loopback interface"
    } else if !link.is_up {
        "is switched off"
    } else if link.mac.is_none() {
        "is not an Ethernet interface"
    } else if snapshot.way_out.contains(&link.index) {
        "is the way of the default route"
    } else if snapshot.earlier_way_out.contains(&link.index) {
        "was the way of a default route; name it if it is a LAN"
    } else if link.kind == LinkKind::Virtual {
        "leads nowhere (dummy interface)"
    } else if is_guest_bridge(&link.name) {
        "belongs to containers or virtual machines of this machine; name it to count it"
    } else if private.is_some()
        && let Some(doubt) = doubt(snapshot, link)
    {
        doubt
    } else if let Some(addr) = private {
        return Ok(format!("holds the private address {addr}"));
    } else if snapshot.addrs_of(link.index).any(|addr| matches!(addr, IpAddr::V4(v4) if is_carrier_nat(v4))) {
        "holds a carrier's address (RFC 6598), as a line to a provider does"
    } else {
        "holds no private address"
    };
    Err(refusal.to_owned())
}

/// Why an interface with a private address may be the line to the provider all the same; `None` if it has a bridge
/// under it or is one, as LANs do and such lines do not.
///
/// A PPPoE session does not tell which interface it goes through, and a tunnel that is the only way out does not
/// either; behind such an interface the modem often has a private address. While no way out is known it may be any.
fn doubt(snapshot: &Snapshot, link: &Link) -> Option<&'static str> {
    let kind_of = |index: &u32| snapshot.links.get(index).map(|link| link.kind);
    if snapshot.down_from(link.index).iter().any(|index| kind_of(index) == Some(LinkKind::Bridge)) {
        return None;
    }
    let ways: Vec<LinkKind> =
        snapshot.way_out.iter().chain(&snapshot.earlier_way_out).filter_map(kind_of).collect();
    if ways.is_empty() {
        Some(
            "cannot be told from the line to the provider while no default route is known; name it if it is a LAN",
        )
    } else if ways.contains(&LinkKind::Ppp) || ways.iter().all(|kind| *kind == LinkKind::Tunnel) {
        Some(
            "may lead to the provider's modem, as the default route is a PPP session or a tunnel; name it if it is a LAN",
        )
    } else {
        None
    }
}

/// RFC 1918 and RFC 4193. The shared space of RFC 6598 is not among them: it lies between a customer's router and
/// the carrier (or inside an overlay network such as Tailscale), never on a LAN of ours.
fn is_private(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// 100.64.0.0/10 (RFC 6598).
fn is_carrier_nat(addr: std::net::Ipv4Addr) -> bool {
    let [a, b, ..] = addr.octets();
    a == 100 && b & 0xc0 == 64
}

/// `docker0`, `virbr1`, and `br-` with the twelve hexadecimal digits of a Docker network.
fn is_guest_bridge(name: &str) -> bool {
    let is_docker_network = name
        .strip_prefix("br-")
        .is_some_and(|id| id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    is_docker_network
        || GUEST_BRIDGES.iter().any(|prefix| {
            name.strip_prefix(prefix).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
        })
}

/// A choice of networks, being turned into ports.
struct Choice<'a> {
    snapshot: &'a Snapshot,
    chosen: &'a Chosen,
}

impl Choice<'_> {
    /// Port → the chosen networks it serves.
    fn ports_with_networks(&self) -> BTreeMap<u32, BTreeSet<u32>> {
        let mut served: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for network in self.chosen.keys() {
            for port in self.lowest(*network) {
                served.entry(port).or_default().insert(*network);
            }
        }
        // A port above another would see the same frames again: the lower one serves for both.
        let candidates: Vec<u32> = served.keys().copied().collect();
        for upper in &candidates {
            let mut under = self.snapshot.down_from(*upper);
            under.remove(upper);
            let lower: Vec<u32> = candidates.iter().filter(|c| under.contains(c)).copied().collect();
            if !lower.is_empty()
                && let Some(networks) = served.remove(upper)
            {
                for port in lower {
                    served.entry(port).or_default().extend(&networks);
                }
            }
        }
        served
    }

    /// The lowest devices of a network that carry nothing else.
    fn lowest(&self, network: u32) -> BTreeSet<u32> {
        let mut lowest = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![network];
        while let Some(index) = open.pop() {
            let Some(link) = self.snapshot.links.get(&index).filter(|_| seen.insert(index)) else { continue };
            let below = self.snapshot.below(link);
            let is_stacked_on_shared = link.kind == LinkKind::Stacked
                && below.iter().any(|lower| !self.strangers_on(*lower).is_empty());
            if link.kind == LinkKind::Bridge || !(below.is_empty() || is_stacked_on_shared) {
                open.extend(below);
            } else if link.mac.is_some() {
                lowest.insert(index);
            }
        }
        lowest
    }

    /// The networks that pass a device and were not chosen, neither themselves nor what they stand on.
    fn strangers_on(&self, index: u32) -> BTreeSet<u32> {
        let mut up = self.snapshot.up_from(index);
        up.retain(|above| {
            self.snapshot.links.get(above).is_some_and(|l| self.snapshot.is_network(l))
                && !self.is_ours(*above)
        });
        up
    }

    /// Is this interface chosen, or part of a chosen network, or stacked on one without being the way out?
    fn is_ours(&self, index: u32) -> bool {
        self.chosen.contains_key(&index)
            || (!self.snapshot.is_way_out(index)
                && self.chosen.keys().any(|network| {
                    self.snapshot.down_from(*network).contains(&index)
                        || self.snapshot.up_from(*network).contains(&index)
                }))
    }

    /// See [`Discovery::own_prefixes`].
    fn own_prefixes(&self, ports: impl Iterator<Item = u32>) -> Vec<IpNetwork> {
        let counted_on: BTreeSet<u32> =
            ports.flat_map(|port| self.snapshot.up_from(port)).filter(|index| self.is_ours(*index)).collect();
        let addrs = &self.snapshot.addrs;
        let on_link = addrs.iter().filter(|(index, _)| counted_on.contains(index)).filter_map(|(_, addr)| {
            // Somebody's slip: with it half the world would be in the house.
            (addr.prefix() >= MIN_ON_LINK_LEN)
                .then(|| IpNetwork::new(addr.network(), addr.prefix()).ok())
                .flatten()
        });
        let mut own: BTreeSet<IpNetwork> = on_link.collect();
        let is_covered = |own: &BTreeSet<IpNetwork>, ip| own.iter().any(|prefix| prefix.contains(ip));
        let others: Vec<IpAddr> =
            addrs.iter().map(|(_, addr)| addr.ip()).filter(|ip| !is_covered(&own, *ip)).collect();
        own.extend(others.into_iter().map(IpNetwork::from));
        own.into_iter().collect()
    }

    fn name_of(&self, index: u32) -> &str {
        self.snapshot.links.get(&index).map_or("", |l| l.name.as_str())
    }

    fn port(&self, index: u32, networks: &BTreeSet<u32>) -> Option<Port> {
        let link = self.snapshot.links.get(&index)?;
        let mac = link.mac?;
        let mut gateway_macs: BTreeSet<MacBytes> = BTreeSet::from([mac]);
        for above in self.snapshot.up_from(index).into_iter().filter(|i| self.is_ours(*i)) {
            gateway_macs.extend(self.snapshot.links.get(&above).and_then(|l| l.mac));
        }
        gateway_macs.remove(&[0; 6]);
        let network = networks.iter().map(|i| self.name_of(*i)).collect::<Vec<_>>().join("+");
        let also_carries = self.strangers_on(index).iter().map(|i| self.name_of(*i).to_owned()).collect();
        let why = networks.iter().map(|i| self.why(index, *i)).collect::<Vec<_>>().join("; ");
        let gateway_macs = gateway_macs.into_iter().collect();
        Some(Port { index, name: link.name.clone(), mac, gateway_macs, network, also_carries, why })
    }

    fn why(&self, port: u32, network: u32) -> String {
        let reason = self.chosen.get(&network).map_or("", String::as_str);
        let place = if port == network {
            reason.to_owned()
        } else {
            format!("is under {}, which {reason}", self.name_of(network))
        };
        let Some(link) = self.snapshot.links.get(&port) else { return place };
        let kept_above: Vec<String> = self
            .snapshot
            .below(link)
            .iter()
            .map(|lower| {
                let strangers: Vec<_> =
                    self.strangers_on(*lower).iter().map(|i| self.name_of(*i).to_owned()).collect();
                format!(
                    "; not counted on {} under it, which also carries {}",
                    self.name_of(*lower),
                    strangers.join(", ")
                )
            })
            .collect();
        place + &kept_above.concat()
    }
}

#[cfg(test)]
mod tests;
