//! Counting: the kernel's rules on a capture's frames, checked against sums made here.

use crate::writer::{
    ACK, Caught, DEVICE, DEVICE_V4, DEVICE_V6, GATEWAY, OTHER_DEVICE, PEER_V4, PEER_V6, ROUTER_V4, SYN, TCP,
    UDP, down, ethernet, ipv4, ipv6, tcp, udp, up,
};
use gateway_common::{Direction, KernelStat, SNAPSHOT_LEN, SampleKind};
use gateway_core::drained::{Drained, DrainedFlow};
use gateway_core::units::{Mac, WallTime};
use gateway_user::replay::capture::{Frame, LinkType};
use gateway_user::replay::table::{MAX_CONVERSATIONS, MAX_JUMPS, Rules, Table, UnreadableLink};

const SECOND: u64 = 1_000_000_000;
/// A whole minute.
const AT: u64 = 1_699_999_980 * SECOND;

fn rules() -> Rules {
    Rules {
        local: vec!["192.168.0.0/16".parse().unwrap(), "fc00::/7".parse().unwrap()],
        gateway: None,
        drain_every_secs: 30,
        max_conversations: MAX_CONVERSATIONS,
    }
}

fn table(rules: Rules) -> Table {
    Table::new(rules, "replay:test".to_owned(), 7)
}

/// What one sample said.
type Sampled = (SampleKind, Direction, usize);

/// Counts the frames; checks the law of conservation in every interval.
#[track_caller]
fn count_on(link: u16, rules: Rules, frames: &[Caught]) -> (Vec<Drained>, Vec<Sampled>) {
    let mut table = table(rules);
    let (mut intervals, mut samples) = (Vec::new(), Vec::new());
    for Caught { at, wire_len, bytes } in frames {
        let frame = Frame { at: WallTime(*at as i64), wire_len: *wire_len, link: LinkType(link), bytes };
        intervals.extend(table.advance(frame.at));
        if let Some(sample) = table.count(&frame).unwrap() {
            let direction = if sample.header.direction == 0 { Direction::Up } else { Direction::Down };
            samples.push((sample.header.kind, direction, sample.snapshot.len()));
            assert_eq!(sample.header.boot_ns, *at);
            assert_eq!(usize::from(sample.header.captured_len), sample.snapshot.len());
        }
    }
    intervals.extend(table.finish());
    for interval in &intervals {
        assert_conserved(interval);
    }
    (intervals, samples)
}

fn count(rules: Rules, frames: &[Vec<u8>]) -> (Drained, Vec<Sampled>) {
    let frames: Vec<_> = frames.iter().map(|bytes| Caught::whole(AT, bytes.clone())).collect();
    let (mut intervals, samples) = count_on(1, rules, &frames);
    assert_eq!(intervals.len(), 1);
    (intervals.remove(0), samples)
}

#[track_caller]
fn assert_conserved(drained: &Drained) {
    let pairs = [
        KernelStat::BridgedPackets,
        KernelStat::GroupPackets,
        KernelStat::ArpPackets,
        KernelStat::EapolPackets,
        KernelStat::LlcPackets,
        KernelStat::PppoeControlPackets,
        KernelStat::OtherEthertypePackets,
        KernelStat::MalformedPackets,
    ];
    let (mut packets, mut bytes) = (0, 0);
    for flow in &drained.flows {
        packets += flow.up_packets + flow.down_packets;
        bytes += flow.up_bytes + flow.down_bytes;
    }
    for pair in pairs {
        packets += drained.stats.get(pair);
        bytes += drained.stats.counts[pair as usize + 1];
    }
    assert_eq!(packets, drained.stats.get(KernelStat::SeenPackets));
    assert_eq!(bytes, drained.stats.get(KernelStat::SeenBytes));
}

/// Device, peer, up and down bytes.
fn volumes(drained: &Drained) -> Vec<(Mac, String, u64, u64)> {
    let volume = |flow: &DrainedFlow| {
        (Mac(flow.key.device_mac()), flow.key.peer().to_string(), flow.up_bytes, flow.down_bytes)
    };
    drained.flows.iter().map(volume).collect()
}

#[test]
fn both_directions_are_one_conversation_of_the_local_end() {
    let frames = [
        down(UDP, &udp(443, 40_000, &[0; 100])),
        up(UDP, &udp(40_000, 443, &[0; 10])),
        ethernet(GATEWAY, DEVICE, 0x86dd, &ipv6(DEVICE_V6, PEER_V6, UDP, &udp(1, 2, &[0; 3]))),
    ];
    let (drained, _) = count(rules(), &frames);
    let mut found = volumes(&drained);
    found.sort();
    let device = Mac(DEVICE);
    let expected = [
        (device, PEER_V4.to_string(), 20 + 8 + 10, 20 + 8 + 100),
        (device, PEER_V6.to_string(), 40 + 8 + 3, 0),
    ];
    assert_eq!(found, expected);
}

#[test]
fn between_two_local_ends_the_one_that_opens_is_the_device() {
    let local = |from: [u8; 6], to: [u8; 6], packet: Vec<u8>| ethernet(to, from, 0x0800, &packet);
    let (a, b) = (DEVICE_V4, ROUTER_V4);
    // The first packet seen answers a SYN: its receiver sent it.
    let answer = local(GATEWAY, DEVICE, ipv4(b, a, TCP, &tcp(80, 50_000, SYN | ACK, &[])));
    let next = local(DEVICE, GATEWAY, ipv4(a, b, TCP, &tcp(50_000, 80, ACK, &[0; 5])));
    // A plain first packet: its sender is the device. The answer changes nothing.
    let ask = local(DEVICE, GATEWAY, ipv4(a, b, UDP, &udp(50_001, 53, &[0; 30])));
    let told = local(GATEWAY, DEVICE, ipv4(b, a, UDP, &udp(53, 50_001, &[0; 60])));
    // A later fragment has no ports, and belongs to the same device.
    let mut fragment = local(GATEWAY, DEVICE, ipv4(b, a, UDP, &[0; 40]));
    fragment[20..22].copy_from_slice(&[0, 5]);
    let (drained, _) = count(rules(), &[answer, next, ask, told, fragment]);
    assert_eq!(drained.flows.len(), 3);
    for flow in &drained.flows {
        assert_eq!(flow.key.device_mac(), DEVICE);
        assert_eq!(flow.key.peer().to_string(), ROUTER_V4.to_string());
    }
    let sum = |side: fn(&DrainedFlow) -> u64| drained.flows.iter().map(side).sum::<u64>();
    assert_eq!(sum(|f| f.up_bytes), (40 + 5) + (28 + 30));
    assert_eq!(sum(|f| f.down_bytes), 40 + (28 + 60) + (20 + 40));
}

#[test]
fn a_router_is_no_device_once_it_has_shown_itself() {
    let ping = ethernet(DEVICE, GATEWAY, 0x0800, &ipv4(ROUTER_V4, DEVICE_V4, 1, &[8; 28]));
    let (drained, _) = count(rules(), std::slice::from_ref(&ping));
    assert_eq!(volumes(&drained), [(Mac(GATEWAY), DEVICE_V4.to_string(), 48, 0)]);
    let shown = up(UDP, &udp(1, 2, &[]));
    let (drained, _) = count(rules(), &[shown.clone(), ping.clone()]);
    assert!(volumes(&drained).contains(&(Mac(DEVICE), ROUTER_V4.to_string(), 0, 48)));
    // A look ahead is enough, and counts nothing.
    let mut table = table(rules());
    let frame = |bytes| Frame { at: WallTime(0), wire_len: 42, link: LinkType::ETHERNET, bytes };
    table.look_at(&frame(&shown));
    table.advance(WallTime(0));
    table.count(&frame(&ping)).unwrap();
    assert_eq!(volumes(&table.finish().unwrap()), [(Mac(DEVICE), ROUTER_V4.to_string(), 0, 28)]);
}

#[test]
fn with_the_gateways_address_only_its_frames_are_routed() {
    let rules = Rules { gateway: Some(Mac(GATEWAY)), ..rules() };
    let between =
        ethernet(OTHER_DEVICE, DEVICE, 0x0800, &ipv4(DEVICE_V4, ROUTER_V4, UDP, &udp(1, 2, &[0; 50])));
    let to_all =
        ethernet([0xff; 6], DEVICE, 0x0800, &ipv4(DEVICE_V4, [255; 4].into(), UDP, &udp(1, 2, &[0; 7])));
    // Foreign addresses on both sides: the MAC decides.
    let inward =
        ethernet(DEVICE, GATEWAY, 0x0800, &ipv4(PEER_V4, [203, 0, 113, 5].into(), UDP, &udp(1, 2, &[])));
    let (drained, _) = count(rules, &[between, to_all, up(UDP, &udp(1, 2, &[0; 9])), inward]);
    assert_eq!(drained.stats.get(KernelStat::BridgedPackets), 1);
    assert_eq!(drained.stats.get(KernelStat::BridgedBytes), 78);
    assert_eq!(drained.stats.get(KernelStat::GroupBytes), 35);
    let mut found = volumes(&drained);
    found.sort();
    let device = Mac(DEVICE);
    assert_eq!(found, [(device, PEER_V4.to_string(), 0, 28), (device, PEER_V4.to_string(), 37, 0)]);
}

#[test]
fn what_is_not_ip_is_counted_by_class() {
    let frames = [
        ethernet([0xff; 6], DEVICE, 0x0806, &[0; 46]),
        ethernet([1, 0x80, 0xc2, 0, 0, 3], DEVICE, 0x888e, &[0; 10]),
        ethernet([1, 0x80, 0xc2, 0, 0, 0], DEVICE, 38, &[0; 38]),
        ethernet(GATEWAY, DEVICE, 0x8863, &[0; 20]),
        ethernet(GATEWAY, DEVICE, 0x9999, &[0; 30]),
        ethernet(GATEWAY, DEVICE, 0x0800, &[0x45; 10]),
        vec![1, 2, 3],
    ];
    let (drained, _) = count(rules(), &frames);
    let expected = [
        (KernelStat::ArpPackets, 1, 46),
        (KernelStat::EapolPackets, 1, 10),
        (KernelStat::LlcPackets, 1, 38),
        (KernelStat::PppoeControlPackets, 1, 20),
        (KernelStat::OtherEthertypePackets, 1, 30),
        (KernelStat::MalformedPackets, 2, 10),
        (KernelStat::SeenPackets, 7, 154),
    ];
    for (stat, packets, bytes) in expected {
        assert_eq!((drained.stats.get(stat), drained.stats.counts[stat as usize + 1]), (packets, bytes));
    }
    assert!(drained.flows.is_empty());
}

#[test]
fn a_cut_frame_counts_as_long_as_it_was_and_a_padded_one_as_its_packet() {
    let whole = up(UDP, &udp(1, 2, &[0; 1_000]));
    let cut = Caught { at: AT, wire_len: whole.len() as u32, bytes: whole[..60].to_vec() };
    let mut padded = up(UDP, &udp(1, 2, &[]));
    padded.resize(60, 0);
    let (intervals, _) = count_on(1, rules(), &[cut, Caught::whole(AT, padded)]);
    assert_eq!(volumes(&intervals[0]), [(Mac(DEVICE), PEER_V4.to_string(), 1_028 + 28, 0)]);
}

#[test]
fn a_link_without_addresses_has_one_device_per_ip_address() {
    let frames: Vec<_> = [
        ipv4(DEVICE_V4, PEER_V4, UDP, &udp(1, 2, &[0; 4])),
        ipv4(PEER_V4, DEVICE_V4, UDP, &udp(2, 1, &[0; 6])),
        ipv4(DEVICE_V4, [224, 0, 0, 251].into(), UDP, &udp(5353, 5353, &[0; 12])),
    ]
    .into_iter()
    .map(|packet| Caught::whole(AT, packet))
    .collect();
    let (intervals, samples) = count_on(101, rules(), &frames);
    assert_eq!(volumes(&intervals[0]), [(Mac([2, 4, 192, 168, 1, 20]), PEER_V4.to_string(), 32, 34)]);
    assert_eq!(intervals[0].stats.get(KernelStat::GroupBytes), 40);
    assert_eq!(samples, [(SampleKind::MDNS, Direction::Up, 14 + 40)]);

    let mut table = table(rules());
    table.advance(WallTime(0));
    let strange = Frame { at: WallTime(0), wire_len: 4, link: LinkType(195), bytes: &[0; 4] };
    assert_eq!(table.count(&strange), Err(UnreadableLink));
    assert_eq!(table.finish().unwrap().stats.get(KernelStat::SeenPackets), 0);
}

/// A segment with this sequence number; those of `tcp` have 1.
fn tcp_at(seq: u32, source: u16, destination: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment = tcp(source, destination, flags, payload);
    segment[4..8].copy_from_slice(&seq.to_be_bytes());
    segment
}

#[test]
fn the_packets_that_teach_are_sampled_in_order() {
    // A hello of two segments, then data that begins like a hello but is none of it.
    let mut hello = vec![0x16, 3, 1, 0x0d, 0, 1, 0, 0x0c, 0xfc];
    hello.resize(700, 0xaa);
    let request = b"GET / HTTP/1.1\r\n\r\n";
    let long = [&request[..16], &[b'a'; 5_000]].concat();
    // A QUIC Initial, as far as the kernel looks.
    let mut initial = vec![0xc3, 0, 0, 0, 1];
    initial.resize(1_200, 8);
    let frames = [
        up(UDP, &udp(40_000, 53, &[0; 20])),
        down(UDP, &udp(53, 40_000, &[0; 40])),
        up(TCP, &tcp(50_000, 443, SYN, &[])),
        down(TCP, &tcp(443, 50_000, SYN | ACK, &[])),
        up(TCP, &tcp(50_000, 443, ACK, &[])),
        up(TCP, &tcp(50_000, 443, ACK, &hello)),
        down(TCP, &tcp(443, 50_000, ACK, &hello)),
        up(TCP, &tcp_at(701, 50_000, 443, ACK, &[0xbb; 2_700])),
        up(TCP, &tcp_at(3_501, 50_000, 443, ACK, &[0xbb; 2_000])),
        up(TCP, &tcp(50_001, 80, ACK, request)),
        up(TCP, &tcp(50_001, 80, ACK, request)),
        up(TCP, &tcp(50_002, 22, ACK, b"SSH-2.0-x\r\n")),
        // The port is used again.
        up(TCP, &tcp(50_001, 80, SYN, &[])),
        up(TCP, &tcp(50_001, 80, ACK, request)),
        up(TCP, &tcp(50_003, 80, ACK, &long)),
        up(TCP, &tcp(50_004, 22, SYN, &[])),
        up(TCP, &tcp(50_004, 22, ACK, b"SSH-2.0-x\r\n")),
        up(TCP, &tcp(50_005, 53, ACK, &[0, 20])),
        down(TCP, &tcp(53, 50_005, ACK, &[0, 40])),
        up(UDP, &udp(40_001, 4_433, &[0; 20])),
        up(UDP, &udp(40_002, 443, &initial)),
        down(UDP, &udp(443, 40_002, &initial)),
        up(UDP, &udp(40_003, 3_478, &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42])),
    ];
    let (drained, samples) = count(rules(), &frames);
    let http = (SampleKind::HTTP, Direction::Up, 14 + 40 + request.len());
    let expected = [
        (SampleKind::DNS, Direction::Up, 14 + 28 + 20),
        (SampleKind::DNS, Direction::Down, 14 + 28 + 40),
        (SampleKind::TLS, Direction::Up, 14 + 40 + 700),
        (SampleKind::TLS, Direction::Up, 14 + 40 + 2_700),
        http,
        http,
        (SampleKind::HTTP, Direction::Up, SNAPSHOT_LEN),
        (SampleKind::OPENING, Direction::Up, 14 + 40 + 11),
        (SampleKind::DNS_TCP, Direction::Up, 14 + 40 + 2),
        (SampleKind::DNS_TCP, Direction::Down, 14 + 40 + 2),
        (SampleKind::QUIC, Direction::Up, 14 + 28 + 1_200),
        (SampleKind::DATAGRAM, Direction::Up, 14 + 28 + 8),
    ];
    assert_eq!(samples, expected);
    assert_eq!(drained.stats.get(KernelStat::NamesSampled), 4);
    assert_eq!(drained.stats.get(KernelStat::HellosSampled), 8);
}

#[test]
fn a_lease_comes_down() {
    let lease =
        ethernet([0xff; 6], GATEWAY, 0x0800, &ipv4(ROUTER_V4, [255; 4].into(), UDP, &udp(67, 68, &[0; 300])));
    let request = ethernet(
        [0xff; 6],
        DEVICE,
        0x0800,
        &ipv4([0; 4].into(), [255; 4].into(), UDP, &udp(68, 67, &[0; 300])),
    );
    // Most servers send it to the one device.
    let offer = ethernet(DEVICE, GATEWAY, 0x0800, &ipv4(ROUTER_V4, DEVICE_V4, UDP, &udp(67, 68, &[0; 300])));
    for gateway in [None, Some(Mac(GATEWAY))] {
        let frames = [request.clone(), lease.clone(), offer.clone()];
        let (drained, samples) = count(Rules { gateway, ..rules() }, &frames);
        let expected =
            [Direction::Up, Direction::Down, Direction::Down].map(|way| (SampleKind::DHCP, way, 342));
        assert_eq!(samples, expected);
        assert_eq!(volumes(&drained), [(Mac(DEVICE), ROUTER_V4.to_string(), 0, 328)]);
    }
}

#[test]
fn intervals_lie_on_the_clock() {
    let packet = || up(UDP, &udp(1, 2, &[]));
    let at = |secs: u64, nanos| Caught::whole(AT + secs * SECOND + nanos, packet());
    // The third is a little late; then a silence that is measured, and one that is too long to be.
    let frames = [
        at(5, 0),
        at(30, 0),
        at(29, 0),
        at(59, SECOND - 1),
        at(60, 0),
        at(690, 0),
        at(1_320, 0),
        at(1_980, 1),
    ];
    let (intervals, _) = count_on(1, rules(), &frames);
    let found: Vec<_> = intervals
        .iter()
        .map(|i| {
            let secs = |at: WallTime| (at.0 as u64 - AT) / SECOND;
            assert_eq!(i.interval.began_boot.0, i.interval.began_at.0 as u64);
            (i.epoch.epoch, secs(i.interval.began_at), secs(i.interval.ended_at), i.flows[0].up_packets)
        })
        .collect();
    let expected = [
        (1, 0, 30, 1),
        (2, 30, 60, 3),
        (3, 60, 690, 1),
        (4, 690, 1_320, 1),
        (5, 1_320, 1_350, 1),
        (6, 1_980, 2_010, 1),
    ];
    assert_eq!(found, expected);
    let first = |i: &Drained| i.flows[0].first_boot_ms;
    assert_eq!(first(&intervals[0]), Some(((AT + 5 * SECOND) / 1_000_000) as u32));
    assert!(intervals.iter().all(|i| i.epoch.boot_id == "replay:test" && i.epoch.table_id == 7));
}

#[test]
fn a_clock_that_was_set_back_opens_another_interval() {
    let at = |secs: i64| Caught::whole((AT as i64 + secs * SECOND as i64) as u64, up(UDP, &udp(1, 2, &[])));
    let (intervals, _) = count_on(1, rules(), &[at(3_600), at(3_575), at(0), at(1)]);
    let counts: Vec<_> = intervals.iter().map(|i| i.stats.get(KernelStat::SeenPackets)).collect();
    assert_eq!(counts, [2, 2]);
    assert_eq!(intervals[1].interval.began_at, WallTime(AT as i64));
}

#[test]
fn times_that_alternate_do_not_make_an_interval_of_every_packet() {
    let mut table = table(rules());
    let packet = up(UDP, &udp(1, 2, &[]));
    let frames = 5_000_u64;
    let mut intervals = Vec::new();
    for n in 0..frames {
        let at = WallTime((AT + n % 2 * 86_400 * SECOND) as i64);
        intervals.extend(table.advance(at));
        table.count(&Frame { at, wire_len: 42, link: LinkType::ETHERNET, bytes: &packet }).unwrap();
    }
    let misdated = table.misdated();
    intervals.extend(table.finish());
    assert_eq!(intervals.len() as u32, MAX_JUMPS + 1);
    let counted: u64 = intervals.iter().map(|i| i.stats.get(KernelStat::SeenPackets)).sum();
    assert_eq!(counted, frames, "nothing is lost by it");
    assert_eq!(misdated, (frames - u64::from(MAX_JUMPS)) / 2);
}

#[test]
fn a_full_table_closes_its_interval_early_and_loses_nothing() {
    let frames: Vec<_> =
        (0..25).map(|n| Caught::whole(AT + u64::from(n) * SECOND, up(UDP, &udp(n, 443, &[0; 12])))).collect();
    let (intervals, _) = count_on(1, Rules { max_conversations: 10, ..rules() }, &frames);
    let secs = |at: WallTime| (at.0 as u64 - AT) / SECOND;
    let found: Vec<_> = intervals
        .iter()
        .map(|i| (secs(i.interval.began_at), secs(i.interval.ended_at), i.flows.len()))
        .collect();
    assert_eq!(found, [(0, 10, 10), (10, 20, 10), (20, 30, 5)]);

    // All at one moment: intervals of a nanosecond, in order.
    let frames: Vec<_> = (0..25).map(|n| Caught::whole(AT, up(UDP, &udp(n, 443, &[])))).collect();
    let (intervals, _) = count_on(1, Rules { max_conversations: 10, ..rules() }, &frames);
    assert_eq!(intervals.iter().map(|i| i.flows.len()).collect::<Vec<_>>(), [10, 10, 5]);
    for pair in intervals.windows(2) {
        assert_eq!(pair[0].interval.ended_at, pair[1].interval.began_at);
        assert!(pair[0].interval.began_at < pair[0].interval.ended_at);
    }
}

#[test]
fn every_cut_of_every_frame_is_counted_somewhere() {
    let whole = [
        up(TCP, &tcp(50_000, 443, ACK, &[0x16, 3, 1, 0, 9, 1, 0, 0, 5])),
        ethernet(GATEWAY, DEVICE, 0x86dd, &ipv6(DEVICE_V6, PEER_V6, UDP, &udp(546, 547, &[0; 3]))),
        ethernet(
            GATEWAY,
            DEVICE,
            0x8100,
            &[&[0, 9, 8, 0], ipv4(DEVICE_V4, PEER_V4, UDP, &udp(1, 53, &[1])).as_slice()].concat(),
        ),
    ];
    for link in [0, 1, 9, 12, 50, 51, 101, 108, 113, 276] {
        let mut frames = Vec::new();
        for bytes in &whole {
            for len in 0..=bytes.len() {
                frames.push(Caught { at: AT, wire_len: bytes.len() as u32, bytes: bytes[..len].to_vec() });
            }
        }
        let (intervals, _) = count_on(link, rules(), &frames);
        assert_eq!(intervals[0].stats.get(KernelStat::SeenPackets), frames.len() as u64, "link {link}");
    }
}
