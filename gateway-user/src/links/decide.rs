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
mod tests {
    use super::*;

    /// A topology, one interface a line: `name kind [<under] [^controller] [@address] [!] [down] [mac=N]`.
    /// `!` marks the way of the default route; indices count from 1; the MAC's last byte is the index unless
    /// given. `~` marks what was that way earlier. Kinds: plain bridge stacked virtual tunnel ppp loopback.
    fn topology(text: &str) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let index_of = |name: &str| -> Option<u32> {
            let at = lines.iter().position(|l| l.split(' ').next() == Some(name));
            Some(u32::try_from(at.unwrap_or_else(|| panic!("no {name}"))).expect("few lines") + 1)
        };
        for (index, line) in (1..).zip(&lines) {
            let mut words = line.split(' ');
            let name = words.next().expect("a name").to_owned();
            let word = words.next().expect("a kind");
            let kind = match word {
                "bridge" => LinkKind::Bridge,
                "stacked" => LinkKind::Stacked,
                "virtual" => LinkKind::Virtual,
                "tunnel" => LinkKind::Tunnel,
                "ppp" => LinkKind::Ppp,
                _ => LinkKind::Plain,
            };
            let mac = u8::try_from(index).expect("few lines");
            let mut link = Link {
                index,
                name,
                kind,
                is_up: true,
                is_loopback: word == "loopback",
                mac: (!matches!(word, "tunnel" | "ppp")).then_some([2, 0, 0, 0, 0, mac]),
                lower: None,
                controller: None,
            };
            for word in words {
                match word.split_at(1) {
                    ("<", lower) => link.lower = index_of(lower),
                    ("^", controller) => link.controller = index_of(controller),
                    ("@", addr) => snapshot.addrs.push((index, addr.parse().expect("an address"))),
                    ("~", _) => assert!(snapshot.earlier_way_out.insert(index)),
                    ("!", _) => assert!(snapshot.way_out.insert(index)),
                    ("d", "own") => link.is_up = false,
                    ("m", mac) => {
                        link.mac = Some([2, 0, 0, 0, 0, mac.trim_start_matches("ac=").parse().expect("mac")]);
                    }
                    other => panic!("{other:?}"),
                }
            }
            snapshot.links.insert(index, link);
        }
        snapshot
    }

    fn found(snapshot: &Snapshot, selection: &Selection) -> Discovery {
        let discovery = decide(snapshot, selection);
        // The law of this module, whatever the topology.
        for port in &discovery.ports {
            let mut under = snapshot.down_from(port.index);
            under.remove(&port.index);
            assert!(
                !discovery.ports.iter().any(|other| under.contains(&other.index)),
                "{} is above another port",
                port.name
            );
            assert!(port.gateway_macs.contains(&port.mac));
        }
        discovery
    }

    /// Ports as `name:network:last bytes of the gateway's MACs`, and also-carried networks behind `!`.
    #[track_caller]
    fn check_selected(text: &str, selection: &Selection, expected: &[&str]) -> Discovery {
        let discovery = found(&topology(text), selection);
        let ports: Vec<String> = discovery
            .ports
            .iter()
            .map(|p| {
                let macs: Vec<String> = p.gateway_macs.iter().map(|m| m[5].to_string()).collect();
                let strangers: String = p.also_carries.iter().map(|s| format!("!{s}")).collect();
                format!("{}:{}:{}{strangers}", p.name, p.network, macs.join(","))
            })
            .collect();
        assert_eq!(ports, expected, "{discovery:#?}");
        discovery
    }

    /// A house with a way out of its own, unless the text marks one.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) -> Discovery {
        let way_out = if text.contains(['!', '~']) { "" } else { "\nexit plain !" };
        check_selected(&format!("{text}{way_out}"), &Selection::Auto, expected)
    }

    #[track_caller]
    fn check_without_way_out(text: &str, expected: &[&str]) -> Discovery {
        check_selected(text, &Selection::Auto, expected)
    }

    fn names(names: &[&str]) -> Selection {
        Selection::Names(names.iter().map(|n| (*n).to_owned()).collect())
    }

    #[track_caller]
    fn reason<'a>(discovery: &'a Discovery, name: &str) -> &'a str {
        let entry = discovery.passed_over.iter().find(|(n, _)| n == name);
        entry.map_or_else(|| panic!("{name} is not passed over"), |(_, why)| why)
    }

    const HOME_ROUTER: &str = "
        lo loopback @127.0.0.1
        br-lan bridge @192.168.1.1 @fd00::1 @fe80::1
        lan1 plain ^br-lan
        lan2 plain ^br-lan mac=3
        phy0-ap0 plain ^br-lan
        wan plain @203.0.113.7 !
    ";

    #[test]
    fn a_bridge_is_counted_on_its_ports() {
        let discovery = check(HOME_ROUTER, &["lan1:br-lan:2,3", "lan2:br-lan:2,3", "phy0-ap0:br-lan:2,5"]);
        assert_eq!(discovery.ports[0].why, "is under br-lan, which holds the private address 192.168.1.1");
        assert_eq!(reason(&discovery, "wan"), "is the way of the default route");
        assert_eq!(reason(&discovery, "lo"), "is the loopback interface");
        assert_eq!(discovery.passed_over.len(), 2, "parts of the bridge need no excuse");
        assert_eq!(discovery.gateway_macs(), [2, 3, 5].map(|last| [2, 0, 0, 0, 0, last]));
    }

    #[test]
    fn a_plain_interface_serves_itself() {
        let discovery = check("eth0 plain @10.0.0.1\neth1 plain @192.168.178.20 !", &["eth0:eth0:1"]);
        assert_eq!(discovery.ports[0].why, "holds the private address 10.0.0.1");
    }

    #[test]
    fn a_private_address_on_the_way_out_is_no_lan() {
        // Behind a provider's router the WAN side is private too; with one cable, so is everything.
        let discovery = check("eth0 plain @192.168.0.9 !", &[]);
        assert_eq!(reason(&discovery, "eth0"), "is the way of the default route");
        check_selected("eth0 plain @192.168.0.9 !", &names(&["eth0"]), &["eth0:eth0:1"]);
    }

    #[test]
    fn the_address_for_the_modem_under_pppoe_is_no_lan() {
        let text = "br-lan bridge @192.168.1.1\nlan1 plain ^br-lan\nwan plain @192.168.2.9\npppoe-wan ppp @203.0.113.7 !";
        let discovery = check(text, &["lan1:br-lan:1,2"]);
        assert!(reason(&discovery, "wan").contains("may lead to the provider's modem"));
        // The session is down, and was up.
        let discovery = check(&text.replace('!', "~"), &["lan1:br-lan:1,2"]);
        assert!(reason(&discovery, "wan").contains("may lead to the provider's modem"));
        check_selected(text, &names(&["wan"]), &["wan:wan:3"]);
        // VLANs of a bridge are LANs.
        check(
            "br bridge\nlan1 plain ^br\nbr.1 stacked <br @10.0.1.1\nwan plain @192.168.2.9\nppp0 ppp !",
            &["lan1:br.1:1,2,3"],
        );
    }

    #[test]
    fn a_tunnel_casts_doubt_only_as_the_only_way_out() {
        let discovery = check("lan plain @10.0.0.1\nwan plain @192.168.2.9\nwg0 tunnel !", &[]);
        assert!(reason(&discovery, "wan").contains("a tunnel"));
        check("lan plain @10.0.0.1\nwan plain @192.168.2.9 !\nwg0 tunnel !", &["lan:lan:1"]);
    }

    #[test]
    fn what_was_a_way_out_stays_one() {
        let discovery = check(
            "lan plain @10.0.0.1\nfibre plain @192.168.2.9 ~\nlte plain @192.168.8.100 !",
            &["lan:lan:1"],
        );
        assert_eq!(reason(&discovery, "fibre"), "was the way of a default route; name it if it is a LAN");
        check("lan plain @10.0.0.1\nwan plain @192.168.2.9 ~", &["lan:lan:1"]);
    }

    #[test]
    fn without_any_way_out_only_bridges_are_beyond_doubt() {
        let discovery = check_without_way_out(
            "br-lan bridge @192.168.1.1\nlan1 plain ^br-lan\nwan plain @192.168.2.9",
            &["lan1:br-lan:1,2"],
        );
        assert!(reason(&discovery, "wan").contains("no default route is known"));
        let text = "eth0 plain @10.0.0.1\neth1 plain @192.168.2.9";
        check_without_way_out(text, &[]);
        check_selected(text, &names(&["eth0"]), &["eth0:eth0:1"]);
    }

    #[track_caller]
    fn check_own(text: &str, selection: &Selection, expected: &[&str]) {
        let own = found(&topology(text), selection).own_prefixes;
        assert_eq!(own.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn own_prefixes_are_the_lans_and_the_gateways_addresses() {
        let text = "br-lan bridge @192.168.1.1/24 @2001:db8:1::1/64\nlan1 plain ^br-lan\n\
                    wan plain @203.0.113.7/24 @2001:db8:ffff::7/64 !";
        let expected = ["192.168.1.0/24", "203.0.113.7/32", "2001:db8:1::/64", "2001:db8:ffff::7/128"];
        check_own(text, &Selection::Auto, &expected);
        check_own(text, &names(&["lan1"]), &expected);
        // On-link is what is counted on, and no slip of the pen.
        check_own(
            "a plain @10.0.0.1/24\nb plain @198.51.100.1/24\nc plain @10.9.9.9/1\nd plain !",
            &names(&["a", "c"]),
            &["10.0.0.0/24", "10.9.9.9/32", "198.51.100.1/32"],
        );
    }

    #[test]
    fn ula_alone_makes_a_lan_and_link_local_does_not() {
        check("a plain @fd12::1\nb plain @fe80::1\nc plain @169.254.3.4\nd plain", &["a:a:1"]);
    }

    #[test]
    fn addresses_of_carriers_and_of_the_internet_make_no_lan() {
        let discovery = check(
            "a plain @100.64.0.1\nb plain @100.128.0.1\nc plain @172.32.0.1\nd plain @2001:db8::1\ne plain @100.127.255.254",
            &[],
        );
        assert!(reason(&discovery, "a").contains("RFC 6598"));
        assert!(reason(&discovery, "e").contains("RFC 6598"));
        for name in ["b", "c", "d"] {
            assert_eq!(reason(&discovery, name), "holds no private address");
        }
        check("a plain @172.31.255.255", &["a:a:1"]);
    }

    #[test]
    fn what_cannot_be_a_lan_is_passed_over_with_its_reason() {
        let discovery = check(
            "wg0 tunnel @10.6.0.1\ndummy0 virtual @10.7.0.1\noff plain @10.8.0.1 down\ndocker0 bridge @172.17.0.1\n\
             veth1 plain ^docker0\nbr-0123456789ab bridge @172.18.0.1\nempty bridge @10.9.0.1\nbr-deadbeef plain @10.1.1.1",
            &["br-deadbeef:br-deadbeef:8"],
        );
        for (name, part) in [
            ("wg0", "not an Ethernet"),
            ("dummy0", "nowhere"),
            ("off", "switched off"),
            ("docker0", "containers"),
            ("br-0123456789ab", "containers"),
            ("empty", "a bridge without ports"),
        ] {
            assert!(reason(&discovery, name).contains(part), "{name}: {}", reason(&discovery, name));
        }
    }

    #[test]
    fn vlans_are_counted_on_the_trunk_once() {
        check(
            "eth0 plain\nwan plain !\nlan stacked <eth0 @10.0.1.1\nguest stacked <eth0 @10.0.2.1",
            &["eth0:lan+guest:1,3,4"],
        );
    }

    #[test]
    fn a_vlan_under_a_bridge_leads_to_the_trunk() {
        check(
            "eth0 plain\neth0.10 stacked <eth0 ^br-lan\nbr-lan bridge @10.0.0.1\nlan2 plain ^br-lan",
            &["eth0:br-lan:1,2,3", "lan2:br-lan:3,4"],
        );
    }

    #[test]
    fn vlans_of_a_filtering_bridge_lead_to_its_ports() {
        let text = "br bridge\nlan1 plain ^br\nlan2 plain ^br\nbr.1 stacked <br @10.0.1.1\nbr.9 stacked <br @10.0.9.1";
        check(text, &["lan1:br.1+br.9:1,2,4,5", "lan2:br.1+br.9:1,3,4,5"]);
        // Asked for one of the two only, the other must not slip in: the port is the VLAN interface.
        check_selected(text, &names(&["br.1"]), &["br.1:br.1:4"]);
    }

    #[test]
    fn a_trunk_with_the_wan_on_it_is_counted_on_the_vlan() {
        let discovery = check(
            "eth0 plain\neth0.1 stacked <eth0 @10.0.0.1\neth0.2 stacked <eth0 @203.0.113.7 !",
            &["eth0.1:eth0.1:2"],
        );
        assert!(
            discovery.ports[0].why.ends_with("not counted on eth0 under it, which also carries eth0.2"),
            "{}",
            discovery.ports[0].why
        );
        check(
            "eth0 plain\neth0.1 stacked <eth0 ^br-lan\neth0.2 stacked <eth0 !\nbr-lan bridge @10.0.0.1\nwlan0 plain ^br-lan",
            &["eth0.1:br-lan:2,4", "wlan0:br-lan:4,5"],
        );
    }

    #[test]
    fn a_port_that_carries_the_wan_on_top_says_so() {
        check(
            "br-lan bridge @10.0.0.1\nlan1 plain ^br-lan\nlan1.2 stacked <lan1 !",
            &["lan1:br-lan:1,2!lan1.2"],
        );
    }

    #[test]
    fn an_untagged_lan_and_a_kept_vlan_are_not_counted_twice() {
        // The LAN is untagged on eth0, a guest network and the WAN are VLANs of it: eth0 sees all three.
        check(
            "eth0 plain @10.0.0.1\neth0.5 stacked <eth0 @10.0.5.1\neth0.2 stacked <eth0 !",
            &["eth0:eth0+eth0.5:1,2!eth0.2"],
        );
    }

    #[test]
    fn a_virtual_router_address_above_a_bridge_is_one_more_mac() {
        check(
            "br-lan bridge @10.0.0.2\nlan1 plain ^br-lan\nvrrp4.1 stacked <br-lan @10.0.0.1",
            &["lan1:br-lan+vrrp4.1:1,2,3"],
        );
    }

    #[test]
    fn a_bond_serves_itself_and_its_members_do_not() {
        check("bond0 plain @10.0.0.1\neth0 plain ^bond0\neth1 plain ^bond0", &["bond0:bond0:1"]);
        check("bond0 plain ^br0\neth0 plain ^bond0\nbr0 bridge @10.0.0.1", &["bond0:br0:1,3"]);
    }

    #[test]
    fn several_ways_out_are_all_left_alone() {
        check(
            "lan plain @192.168.1.1\nfibre plain @192.168.2.9 !\nlte plain @192.168.8.100 !",
            &["lan:lan:1"],
        );
    }

    #[test]
    fn a_named_interface_needs_no_address_and_may_be_a_bridge_port() {
        check_selected("eth0 plain\neth1 plain @10.0.0.1", &names(&["eth0"]), &["eth0:eth0:1"]);
        // One access point of the bridge: the gateway is still reached by the bridge's MAC.
        check_selected(HOME_ROUTER, &names(&["phy0-ap0"]), &["phy0-ap0:phy0-ap0:2,5"]);
        check_selected(
            HOME_ROUTER,
            &names(&["br-lan", "phy0-ap0"]),
            &["lan1:br-lan:2,3", "lan2:br-lan:2,3", "phy0-ap0:br-lan+phy0-ap0:2,5"],
        );
        check_selected(
            "docker0 bridge @172.17.0.1\nveth1 plain ^docker0",
            &names(&["docker0"]),
            &["veth1:docker0:1,2"],
        );
    }

    #[test]
    fn a_missing_name_lists_what_there_is() {
        let snapshot = topology(HOME_ROUTER);
        let missing = check_named(&snapshot, &names(&["br-lan", "lan9"])).map_err(|e| e.to_string());
        assert_eq!(
            missing,
            Err("no interface is called lan9; there are lo, br-lan, lan1, lan2, phy0-ap0, wan".to_owned())
        );
        assert_eq!(check_named(&snapshot, &names(&["br-lan"])), Ok(()));
        let tunnel = check_named(&topology("wg0 tunnel"), &names(&["wg0"]));
        assert_eq!(tunnel, Err(SelectionError::NotEthernet { name: "wg0".to_owned() }));
        // Once running, an interface that has gone is waited for.
        let discovery = found(&snapshot, &names(&["lan1", "lan9"]));
        assert_eq!(discovery.ports.len(), 1);
        assert!(reason(&discovery, "lan9").contains("not there now"));
    }

    #[test]
    fn a_loop_of_links_ends() {
        check("a stacked <b @10.0.0.1\nb stacked <a", &[]);
    }
}
