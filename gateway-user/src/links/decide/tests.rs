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
    let discovery =
        check("lan plain @10.0.0.1\nfibre plain @192.168.2.9 ~\nlte plain @192.168.8.100 !", &["lan:lan:1"]);
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
    let text =
        "br bridge\nlan1 plain ^br\nlan2 plain ^br\nbr.1 stacked <br @10.0.1.1\nbr.9 stacked <br @10.0.9.1";
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
    check("br-lan bridge @10.0.0.1\nlan1 plain ^br-lan\nlan1.2 stacked <lan1 !", &["lan1:br-lan:1,2!lan1.2"]);
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
    check("lan plain @192.168.1.1\nfibre plain @192.168.2.9 !\nlte plain @192.168.8.100 !", &["lan:lan:1"]);
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
