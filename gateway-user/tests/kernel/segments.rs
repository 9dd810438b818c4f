//! Frames that only a real wire carries, and real connections whose packets offloads merge.

use crate::{
    agreement::REFUSED,
    bench::{Bench, Counts},
    fixtures::{Fixture, named},
    model::{Model, differences},
    wire::{Wire, in_house, lan_index},
};
use gateway_common::{KernelStat, protocol};
use gateway_user::kernel::Attachments;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrLike, sendto, setsockopt, socket, sockopt,
};
use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    str::FromStr,
};

/// Puts frames on the wire as they are, from the phone's end; run there.
fn send_raw(frames: &[Fixture]) {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), None).unwrap();
    let mut addresses = nix::ifaddrs::getifaddrs().unwrap();
    let link =
        addresses.find_map(|a| (a.interface_name == "phone").then_some(a.address?.as_link_addr().copied()?));
    let link = link.expect("the phone's end");
    assert!(link.len() > 0);
    for fixture in frames {
        let sent = sendto(socket.as_raw_fd(), &fixture.frame, &link, MsgFlags::empty());
        assert_eq!(sent.unwrap_or_else(|e| panic!("{}: {e}", fixture.name)), fixture.frame.len());
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn what_a_test_run_refuses_is_read_from_a_wire() {
    in_house("raw", |wire| {
        // Without addresses nobody on this wire has anything to say.
        wire.silence();
        let mut bench = Bench::new("raw");
        let mut attachments = Attachments::default();
        attachments.attach(&mut bench.kernel, lan_index(), "lan").unwrap();
        let fixtures = REFUSED.iter().map(|(name, _)| named(name)).filter(|f| f.frame.len() >= 14);
        // Every frame here comes in; which way the fixture's own goes is nothing to the reader.
        let fixtures: Vec<Fixture> = fixtures.map(upwards).collect();
        assert_eq!(fixtures.len(), REFUSED.len() - 1);
        for fixture in fixtures {
            let frames = vec![fixture.clone()];
            wire.in_phone(move || send_raw(&frames));
            let differences = differences(&bench.drain(), &Model::of([&fixture]).counts());
            assert!(differences.is_empty(), "{}:\n{}", fixture.name, differences.join("\n"));
        }
    });
}

/// The fixture as the device would have sent it.
fn upwards(mut fixture: Fixture) -> Fixture {
    use crate::fixtures::frame::{GATEWAY, PHONE};
    fixture.frame[..6].copy_from_slice(&GATEWAY);
    fixture.frame[6..12].copy_from_slice(&PHONE);
    fixture.direction = gateway_common::Direction::Up;
    fixture
}

/// How many TCP segments this namespace has sent since it was made, as its own stack counts them, and how many of
/// them were sent again. Read inside.
fn segments_sent() -> [u64; 2] {
    let snmp = fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut lines = snmp.lines().filter(|l| l.starts_with("Tcp:")).map(|l| l.split(' '));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let values: Vec<(&str, &str)> = names.zip(values).collect();
    ["OutSegs", "RetransSegs"].map(|name| values.iter().find(|(n, _)| *n == name).unwrap().1.parse().unwrap())
}

/// One connection from the phone to the house: so many bytes up, then so many down. Returns when both ends have
/// had the other's last word, with the segments that the phone and the house have sent; `None` if one of them sent
/// some again, as happens on a machine that is too busy to answer in time.
fn talk(wire: &Wire, house: IpAddr, up_len: usize, down_len: usize) -> Option<[u64; 2]> {
    let listener = TcpListener::bind((house, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let before = segments_sent();
    // A thread begun by one that has entered a namespace is in it: this one is the house's.
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Closing waits until the phone has acknowledged the end.
        setsockopt(&stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 10 }).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        stream.write_all(&vec![0x17; down_len]).unwrap();
        received.len()
    });
    let phone = wire.in_phone(move || {
        let before = segments_sent();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&vec![0x17; up_len]).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), down_len);
        difference(segments_sent(), before)
    });
    assert_eq!(server.join().unwrap(), up_len);
    let house = difference(segments_sent(), before);
    (phone[1] + house[1] == 0).then_some([phone[0], house[0]])
}

fn difference(after: [u64; 2], before: [u64; 2]) -> [u64; 2] {
    [after[0] - before[0], after[1] - before[1]]
}

fn stat((_, stats): &Counts, stat: KernelStat) -> u64 {
    stats.get(stat)
}

/// The one connection: what must have passed, by the stacks at its ends.
fn check_connection(wire: &Wire, bench: &mut Bench, house: IpAddr) -> Counts {
    const UP_LEN: usize = 1_000_000;
    const DOWN_LEN: usize = 500_000;
    let mut attempts = 0;
    let ([up_segments, down_segments], counts) = loop {
        attempts += 1;
        bench.drain();
        if let Some(segments) = talk(wire, house, UP_LEN, DOWN_LEN) {
            break (segments, bench.drain());
        }
        assert!(attempts < 20, "not one connection came through without sending anything again");
    };
    let flows: Vec<_> = counts.0.values().filter(|f| f.key.protocol == protocol::TCP).collect();
    let [flow] = flows[..] else { panic!("one connection: {flows:?}") };
    // Every segment has timestamps (RFC 7323): 32 bytes of TCP header. Those that open have eight more.
    let header_len = if house.is_ipv6() { 40 + 32 } else { 20 + 32 };
    let bytes = |segments: u64, payload: usize| segments * header_len + 8 + payload as u64;
    assert_eq!(flow.up_packets, up_segments, "{house} up");
    assert_eq!(flow.down_packets, down_segments, "{house} down");
    assert_eq!(flow.up_bytes, bytes(up_segments, UP_LEN), "{house} up, {up_segments} segments");
    assert_eq!(flow.down_bytes, bytes(down_segments, DOWN_LEN), "{house} down, {down_segments} segments");
    assert_eq!(flow.opened, gateway_common::FlowState::OPENED_BY_DEVICE);
    counts
}

/// Every header is then of one length. A segment lost or late on a busy machine would be answered with selective
/// acknowledgements (RFC 2018), which are twelve bytes and more that nobody counts but the wire.
fn without_selective_acknowledgements(wire: &Wire) {
    let turn_off = || std::fs::write("/proc/sys/net/ipv4/tcp_sack", "0").unwrap();
    turn_off();
    wire.in_phone(turn_off);
}

const HOUSE: [&str; 2] = ["10.77.0.1", "fd77::1"];

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn merged_or_not_a_connection_counts_the_same() {
    in_house("tcp", |wire| {
        without_selective_acknowledgements(wire);
        let mut bench = Bench::new("tcp");
        let mut attachments = Attachments::default();
        attachments.attach(&mut bench.kernel, lan_index(), "lan").unwrap();
        for house in HOUSE {
            let merged = check_connection(wire, &mut bench, house.parse().unwrap());
            assert!(stat(&merged, KernelStat::SuperPackets) > 10, "{house}: nothing was merged");
        }
        wire.each_end(&["gso_max_segs", "1"]);
        for house in HOUSE {
            let plain = check_connection(wire, &mut bench, house.parse().unwrap());
            assert_eq!(stat(&plain, KernelStat::SuperPackets), 0, "{house}: something was merged");
        }
    });
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_connection_allowed_more_than_64_kib_at_once_counts_the_same() {
    in_house("big", |wire| {
        without_selective_acknowledgements(wire);
        let mut bench = Bench::new("big");
        let mut attachments = Attachments::default();
        attachments.attach(&mut bench.kernel, lan_index(), "lan").unwrap();
        // Over IPv6: the older tools that are about cannot ask for the same over IPv4.
        wire.each_end(&["gso_max_size", "180000"]);
        check_connection(wire, &mut bench, IpAddr::from_str("fd77::1").unwrap());
    });
}
