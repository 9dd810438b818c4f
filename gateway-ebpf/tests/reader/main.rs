//! The packet reader on the host: exact answers for every kind of frame, and laws for any bytes at all.

#[path = "../../../gateway-user/tests/fixtures/mod.rs"]
mod fixtures;
mod hash;
mod laws;
mod sought;

use fixtures::{Expected, Fixture, Reach, Told, frame::GATEWAY};
use gateway_common::{FlowKey, MacAddr};
use gateway_ebpf::{Frame, OtherEnd, Outcome, names_sample, other_end, read_packet};
use std::collections::BTreeSet;

fn frame_of(fixture: &Fixture) -> Frame {
    let &Fixture { frame_len, gso_segs, gso_size, .. } = fixture;
    Frame { len: frame_len, gso_segs, gso_size }
}

fn read(fixture: &Fixture) -> Outcome {
    read_packet(&fixture.frame[..], &frame_of(fixture), fixture.direction)
}

/// The outcome in the words that the fixtures are written in, by way of the key's accessors.
fn told(outcome: &Outcome) -> Expected {
    let packet = match outcome {
        Outcome::Ip(packet) => packet,
        Outcome::Skip(stat, bytes) => return Expected::Skip(*stat, *bytes),
    };
    let key: FlowKey = packet.key;
    Expected::Ip(Told {
        device_mac: key.device_mac(),
        device_addr_low: key.device_ipv4().map_or(key.device_addr_low.to_ne_bytes(), |a| a.octets()),
        peer: key.peer(),
        protocol: key.protocol,
        device_port: key.device_port(),
        peer_port: key.peer_port(),
        flags: key.flags,
        bytes: packet.bytes,
        packets: packet.packets,
        l3_offset: packet.l3_offset,
        l4_offset: packet.l4_offset,
        payload_offset: packet.payload_offset,
        payload_len: packet.payload_len,
        tcp_flags: packet.tcp_flags,
        is_segments_computed: packet.is_segments_computed,
    })
}

/// Fails with every fixture that differs, not only the first.
#[track_caller]
fn check<T: PartialEq + std::fmt::Debug>(of: impl Fn(&Fixture) -> (T, T)) {
    let fixtures = fixtures::all();
    let wrong: Vec<String> = fixtures
        .iter()
        .filter_map(|fixture| {
            let (found, expected) = of(fixture);
            (found != expected)
                .then(|| format!("{}:\n   found {found:?}\nexpected {expected:?}", fixture.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), fixtures.len(), wrong.join("\n"));
}

#[test]
fn fixtures_have_names_of_their_own() {
    let all = fixtures::all();
    let names: BTreeSet<&str> = all.iter().map(|f| f.name).collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn every_frame_is_read_as_written() {
    check(|fixture| (told(&read(fixture)), fixture.expected.clone()));
}

#[test]
fn every_frame_goes_where_it_says() {
    check(|fixture| {
        // The Ethernet header of the shortest fixture is cut and says nothing that counts.
        let is_ip = matches!(fixture.expected, Expected::Ip(_));
        let found = match other_end(&fixture.frame[..], fixture.direction) {
            Some(OtherEnd::Group) => Reach::Group,
            Some(OtherEnd::Station(mac)) if mac == words(GATEWAY) => Reach::Gateway,
            _ => Reach::Bridged,
        };
        (is_ip.then_some(found), is_ip.then_some(fixture.reach))
    });
}

fn words([a, b, c, d, e, f]: MacAddr) -> [u32; 2] {
    [u32::from_ne_bytes([a, b, c, d]), u32::from(u16::from_ne_bytes([e, f]))]
}

#[test]
fn only_what_teaches_is_worth_copying() {
    check(|fixture| match read(fixture) {
        Outcome::Ip(packet) => (names_sample(&packet, fixture.direction), fixture.names),
        Outcome::Skip(..) => (None, fixture.names),
    });
}

#[test]
fn both_directions_share_one_key() {
    let [up, down] = ["tcp4 up", "tcp4 down"].map(|name| read(&fixtures::named(name)));
    let (Outcome::Ip(up), Outcome::Ip(down)) = (up, down) else { panic!("both are IP") };
    assert_eq!(up.key, down.key);
}

#[test]
fn no_prefix_of_a_frame_counts_more_than_itself() {
    for fixture in fixtures::all().iter().filter(|f| f.gso_size == 0) {
        for len in 0..fixture.frame.len() {
            let frame = Frame { len: len as u32, gso_segs: 0, gso_size: 0 };
            let bytes = match read_packet(&fixture.frame[..len], &frame, fixture.direction) {
                Outcome::Ip(packet) => packet.bytes,
                Outcome::Skip(_, bytes) => bytes,
            };
            assert!(bytes <= (len as u64).saturating_sub(14), "{} cut to {len}: {bytes}", fixture.name);
        }
    }
}
