//! Is the truth true? The count on the device against tcpdump, on links where both must agree.

use super::{both, capture::Capture, certain, household, make_every_kind, queue_losses};
use std::process::Command;
use xtask::lab::traffic::{Traffic, TrafficServer};
use xtask::lab::truth::{Tally, Totals, Truth};
use xtask::lab::{Offloads, play_evening};
use xtask::tool;

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn without_offloads_the_truth_is_what_tcpdump_sees() {
    let totals = agree_without_offloads(1500);
    for protocol in
        ["ipv4 tcp", "ipv6 tcp", "ipv4 udp fragment", "ipv6 udp fragment", "ipv4 icmp", "ipv6 icmp"]
    {
        for direction in [&totals.up, &totals.down] {
            assert!(direction.by_protocol.contains_key(protocol), "{protocol} is missing: {totals:#?}");
        }
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn jumbo_packets_are_what_tcpdump_sees() {
    let totals = agree_without_offloads(9000);
    let Tally { bytes, packets } = totals.up.by_protocol["ipv6 tcp"];
    assert!(bytes / packets > 4000, "no jumbo packets were sent: {totals:#?}");
}

fn agree_without_offloads(mtu: u32) -> Totals {
    let household = household(mtu);
    household.set_offloads(Offloads::None).unwrap();
    let _server = TrafficServer::start(&household).unwrap();
    let device = household.device("laptop").unwrap();
    let lost = queue_losses();
    household.wait_until_quiet().unwrap();
    let capture = Capture::begin(&household, &device.namespace, device.spec.interface);
    let truth = Truth::begin(&household, device).unwrap();
    make_every_kind(&household, device);
    household.wait_until_quiet().unwrap();
    let totals = certain(truth.end().unwrap(), Offloads::None);
    assert_eq!(both(&totals), capture.end(device), "{totals:#?}");
    assert_eq!(queue_losses(), lost);
    totals
}

/// With offloads at the device, the kernel cuts super-packets where the access point sends them on, and tcpdump on
/// that cable sees what the truth must have worked out. At the device GRO joins what comes.
#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn super_packets_are_cut_as_a_cable_cuts_them() {
    let household = household(1500);
    household.set_offloads(Offloads::SendAndReceive).unwrap();
    let access_point = household.run().namespace("ap");
    // What comes must not be joined before tcpdump sees it.
    access_point.run(&mut tool::command("ethtool", ["-K", "uplink", "gro", "off"])).unwrap();
    let _server = TrafficServer::start(&household).unwrap();
    let device = household.device("redmi").unwrap();
    let lost = queue_losses();
    household.wait_until_quiet().unwrap();
    let capture = Capture::begin(&household, &access_point, "uplink");
    let truth = Truth::begin(&household, device).unwrap();
    make_every_kind(&household, device);
    household.wait_until_quiet().unwrap();
    let totals = certain(truth.end().unwrap(), Offloads::SendAndReceive);
    assert_eq!(both(&totals), capture.end(device), "{totals:#?}");
    assert_eq!(queue_losses(), lost);
    assert!(totals.seen.sent + 4000 < totals.up.all.packets, "the device made no super-packets: {totals:#?}");
    assert!(totals.seen.received + 1000 < totals.down.all.packets, "GRO joined nothing: {totals:#?}");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_flood_is_counted_whole() {
    let household = household(1500);
    let device = household.device("laptop").unwrap();
    let lost = queue_losses();
    household.wait_until_quiet().unwrap();
    let truth = Truth::begin(&household, device).unwrap();
    for v6 in [false, true] {
        Traffic::Flood { v6, flows: 100_000 }.make_on(&household, device).unwrap();
    }
    household.wait_until_quiet().unwrap();
    let totals = certain(truth.end().unwrap(), Offloads::Send);
    assert_eq!((totals.up.all.packets, totals.down.all.packets), (200_000, 0));
    // One byte in each: 29 with the headers of IPv4, 49 with those of IPv6.
    assert_eq!(totals.up.all.bytes, 100_000 * (29 + 49));
    assert_eq!(queue_losses(), lost);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn an_evening_is_played_by_all_and_leaves_nothing_behind() {
    let household = household(1500);
    let id = household.run().id().to_owned();
    let directory = household.run().directory();
    let truths: Vec<_> =
        household.devices().iter().map(|device| Truth::begin(&household, device).unwrap()).collect();
    let played = play_evening(&household).unwrap();
    assert_eq!(played.len(), 3);
    household.wait_until_quiet().unwrap();
    for (truth, device) in truths.into_iter().zip(household.devices()) {
        let totals = certain(truth.end().unwrap(), Offloads::Send);
        for direction in [&totals.up, &totals.down] {
            for protocol in ["ipv4 udp", "ipv4 tcp", "ipv6 tcp"] {
                let name = device.spec.hostname;
                assert!(
                    direction.by_protocol.contains_key(protocol),
                    "{name} had no {protocol}: {totals:#?}"
                );
            }
        }
    }
    assert!(namespaces().contains(&id) && directory.exists());
    let leases = std::fs::read_to_string(household.lease_file()).unwrap();
    for device in household.devices() {
        assert!(leases.contains(device.spec.hostname), "{leases}");
    }
    drop(household);
    assert!(!namespaces().contains(&id) && !directory.exists());
}

/// Whatever kills its maker, a household goes away: here nothing gets to run in the killed process.
#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_household_whose_maker_is_killed_goes_away() {
    let mut maker = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("lab")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("cargo xtask lab starts");
    let prefix = format!("tt{}n0-", maker.id());
    let mut output = std::io::BufReader::new(maker.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Ctrl-C") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut output, &mut line).unwrap(), 0);
    }
    assert!(namespaces().contains(&prefix));
    maker.kill().unwrap();
    maker.wait().unwrap();
    let gone = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        !namespaces().contains(&prefix)
    });
    assert!(gone, "{}", namespaces());
}

/// The names of all namespaces, with their process ids as they are now.
fn namespaces() -> String {
    tool::run(&mut tool::command("ip", ["netns", "list"])).unwrap()
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn no_namespace_has_a_way_out() {
    let household = household(1500);
    let all = ["gw", "ap", "inet", "redmi", "phone2", "laptop"].map(|role| household.run().namespace(role));
    for namespace in &all {
        let links = namespace.run(&mut tool::command("ip", ["-o", "link", "show"])).unwrap();
        for line in links.lines().filter(|line| line.contains("link-netns")) {
            let id = household.run().id();
            assert!(line.contains(&format!("link-netns {id}-")), "a cable leads elsewhere: {line}");
        }
    }
    let of_machine = tool::run(&mut tool::command("ip", ["-o", "link", "show"])).unwrap();
    assert!(!of_machine.contains(household.run().id()), "a cable ends in the machine's own: {of_machine}");
    let device = household.device("laptop").unwrap();
    let mut ping = tool::command("ping", ["-q", "-n", "-c", "1", "-W", "1", "192.0.2.1"]);
    assert!(device.namespace.run(&mut ping).is_err(), "an address that nobody has here answered");
}
