//! `--flows-json`: which conversations a capture has, who began them, what they count and what they are named.

use crate::writer::{
    ACK, Caught, DEVICE, DEVICE_V4, DEVICE_V6, GATEWAY, Kind, OTHER_DEVICE, Order, PEER_V4, PEER_V6,
    ROUTER_V4, SYN, TCP, UDP, ethernet, ipv4, ipv6, pcap, tcp, udp,
};
use gateway_core::pipeline::{Pipeline, PipelineConfig};
use gateway_user::replay::capture::Capture;
use gateway_user::replay::conversations::Conversations;
use gateway_user::replay::feed;
use gateway_user::replay::listing::{Lister, Written};
use gateway_user::replay::table::Table;
use std::io::Cursor;
use std::net::{Ipv4Addr, Ipv6Addr};

const SECOND: u64 = 1_000_000_000;
const AT: u64 = 1_699_999_980 * SECOND;

/// A second for each frame.
fn a_second_each(frames: &[Vec<u8>]) -> Vec<Caught> {
    (0..).zip(frames).map(|(n, bytes)| Caught::whole(AT + n * SECOND, bytes.clone())).collect()
}

fn list_within(conversations: Conversations, excluded: &[&str], frames: &[Caught]) -> (String, Written) {
    let file = pcap(Order::Little, Kind::Nanos, 1, frames);
    let mut capture = Capture::from_reader(Box::new(Cursor::new(file))).unwrap();
    let excluded: Vec<_> = excluded.iter().map(|network| network.parse().unwrap()).collect();
    let mut table = Table::by_initiator(30, "replay:test".to_owned());
    let pipeline = Pipeline::new(PipelineConfig { excluded: excluded.clone(), ..PipelineConfig::default() });
    let mut out = Vec::new();
    let local = vec!["10.0.0.0/8".parse().unwrap()];
    let mut lister = Lister::new(pipeline, conversations, excluded, &mut out).with_local(local);
    let fed = feed(&mut capture, &mut table, &mut lister).unwrap();
    assert_eq!(fed.frames, frames.len() as u64);
    let written = lister.finish().unwrap();
    (String::from_utf8(out).unwrap(), written)
}

fn list(frames: &[Caught]) -> String {
    list_within(Conversations::default(), &[], frames).0
}

/// Each line as `source > destination protocol up down name`, packets and bytes with a slash between.
fn in_short(lines: &str) -> Vec<String> {
    let short = |line: &str| {
        let flow: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| flow[field].as_str().unwrap_or("-").to_owned();
        format!(
            "{} {} > {} {} {} {}/{} {}/{} {}",
            text("src"),
            flow["sport"],
            text("dst"),
            flow["dport"],
            flow["proto"],
            flow["packets_up"],
            flow["bytes_up"],
            flow["packets_down"],
            flow["bytes_down"],
            text("domain"),
        )
    };
    lines.lines().map(short).collect()
}

#[track_caller]
fn check(frames: &[Vec<u8>], expected: &[&str]) {
    assert_eq!(in_short(&list(&a_second_each(frames))), expected);
}

/// From the first to the second address, whatever the MAC addresses.
fn between(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(GATEWAY, DEVICE, 0x0800, &ipv4(from, to, protocol, payload))
}

/// A fragment: `part` begins at `offset` and `has_more` follow.
fn fragment(from: Ipv4Addr, to: Ipv4Addr, id: u16, offset: u16, has_more: bool, part: &[u8]) -> Vec<u8> {
    let mut packet = ipv4(from, to, UDP, part);
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    let field = (offset / 8) | if has_more { 0x2000 } else { 0 };
    packet[6..8].copy_from_slice(&field.to_be_bytes());
    ethernet(GATEWAY, DEVICE, 0x0800, &packet)
}

fn fragment_v6(id: u32, offset: u16, has_more: bool, part: &[u8]) -> Vec<u8> {
    let mut payload = vec![UDP, 0];
    payload.extend((offset | u16::from(has_more)).to_be_bytes());
    payload.extend(id.to_be_bytes());
    payload.extend(part);
    ethernet(GATEWAY, DEVICE, 0x86dd, &ipv6(DEVICE_V6, PEER_V6, 44, &payload))
}

/// A segment with this sequence number.
fn tcp_at(seq: u32, source: u16, destination: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment = tcp(source, destination, flags, payload);
    segment[4..8].copy_from_slice(&seq.to_be_bytes());
    segment
}

/// A request with this host.
fn request(host: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// The question that [`dns_answer`] answers.
fn dns_question(name: &str) -> Vec<u8> {
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// An answer of the DNS for one IPv4 address.
fn dns_answer(name: &str, addr: Ipv4Addr) -> Vec<u8> {
    let mut message = vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.bytes());
    }
    message.extend([0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0x2c, 0, 4]);
    message.extend(addr.octets());
    message
}

#[test]
fn a_conversation_is_one_line() {
    let segment = request("www.example.org");
    let frames = [
        between(DEVICE_V4, PEER_V4, TCP, &tcp(50_000, 80, SYN, &[])),
        ethernet(DEVICE, GATEWAY, 0x0800, &ipv4(PEER_V4, DEVICE_V4, TCP, &tcp(80, 50_000, SYN | ACK, &[]))),
        between(DEVICE_V4, PEER_V4, TCP, &tcp(50_000, 80, ACK, &segment)),
    ];
    let line = "{\"src\":\"192.168.1.20\",\"dst\":\"198.51.100.9\",\"sport\":50000,\"dport\":80,\"proto\":6,\
                \"packets_up\":2,\"bytes_up\":121,\"packets_down\":1,\"bytes_down\":40,\
                \"domain\":\"www.example.org\",\"domain_source\":\"http_host\",\"application\":\"http\",\
                \"marks\":[\"uncovered\"],\"first_at\":\"2023-11-14T22:13:00Z\",\"last_at\":\"2023-11-14T22:13:02Z\"}\n";
    assert_eq!(list(&a_second_each(&frames)), line);
}

#[test]
fn only_the_world_is_uncovered() {
    let marks_to = |to: Ipv4Addr, protocol, payload: &[u8]| {
        let line = list(&a_second_each(&[between(DEVICE_V4, to, protocol, payload)]));
        let flow: serde_json::Value = serde_json::from_str(&line).unwrap();
        flow["marks"].to_string()
    };
    let datagram = |port| udp(50_000, port, &[0xff; 40]);
    assert_eq!(marks_to(PEER_V4, UDP, &datagram(9999)), "[\"uncovered\"]");
    assert_eq!(marks_to(PEER_V4, UDP, &datagram(123)), "[\"uncovered\"]", "a port proves nothing");
    assert_eq!(marks_to(PEER_V4, 1, &[8, 0, 0, 0, 0, 1, 0, 1]), "[\"uncovered\"]");
    for house in [[10, 1, 2, 3], [239, 255, 255, 250], [255, 255, 255, 255]] {
        assert_eq!(marks_to(house.into(), UDP, &datagram(9999)), "[]", "{house:?}");
    }
}

#[test]
fn who_sends_the_syn_began_even_if_the_other_spoke_first() {
    let (a, b) = (DEVICE_V4, PEER_V4);
    let late = [
        between(b, a, TCP, &tcp(443, 50_000, ACK, &[])),
        between(a, b, TCP, &tcp(50_000, 443, SYN, &[])),
        between(b, a, TCP, &tcp(443, 50_000, SYN | ACK, &[])),
    ];
    check(&late, &["192.168.1.20 50000 > 198.51.100.9 443 6 1/40 2/80 -"]);
    let answered = [
        between(b, a, TCP, &tcp(443, 50_000, SYN | ACK, &[])),
        between(a, b, TCP, &tcp(50_000, 443, ACK, &[0; 9])),
    ];
    check(&answered, &["192.168.1.20 50000 > 198.51.100.9 443 6 1/49 1/40 -"]);
    let neither = [between(b, a, TCP, &tcp(443, 50_000, ACK, &[0; 5]))];
    check(&neither, &["198.51.100.9 443 > 192.168.1.20 50000 6 1/45 0/0 -"]);
}

#[test]
fn a_host_named_by_who_answered_first_is_found() {
    // The capture begins in the middle: the server's packet is its first one.
    let (a, b) = (DEVICE_V4, PEER_V4);
    let frames = [
        between(b, a, TCP, &tcp(8080, 50_000, ACK, &[0; 5])),
        between(a, b, TCP, &tcp(50_000, 8080, ACK, &request("late.example"))),
    ];
    check(&frames, &["198.51.100.9 8080 > 192.168.1.20 50000 6 1/45 1/78 late.example"]);
}

#[test]
fn ends_that_are_both_local_or_both_foreign_are_named_too() {
    let foreign = Ipv4Addr::new(203, 0, 113, 5);
    for (a, b) in [(DEVICE_V4, ROUTER_V4), (foreign, PEER_V4)] {
        let frames = [
            between(a, ROUTER_V4, UDP, &udp(4000, 53, &dns_question("by.dns.example"))),
            ethernet(
                DEVICE,
                GATEWAY,
                0x0800,
                &ipv4(ROUTER_V4, a, UDP, &udp(53, 4000, &dns_answer("by.dns.example", b))),
            ),
            between(a, b, UDP, &udp(5000, 9, &[0; 4])),
            between(a, b, TCP, &tcp(5001, 80, SYN, &[])),
            between(a, b, TCP, &tcp(5001, 80, ACK, &request("by.itself.example"))),
        ];
        let dns = dns_answer("by.dns.example", b).len() + 28;
        let asked = dns_question("by.dns.example").len() + 28;
        let expected = [
            format!("{a} 4000 > 192.168.1.1 53 17 1/{asked} 1/{dns} -"),
            format!("{a} 5000 > {b} 9 17 1/32 0/0 by.dns.example"),
            format!("{a} 5001 > {b} 80 6 2/123 0/0 by.itself.example"),
        ];
        check(&frames, &expected.each_ref().map(String::as_str));
    }
}

#[test]
fn every_packet_counts_whatever_mac_address_it_goes_to() {
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let to = |mac, addr, payload: &[u8]| ethernet(mac, DEVICE, 0x0800, &ipv4(DEVICE_V4, addr, UDP, payload));
    let frames = [
        to([1, 0, 0x5e, 0, 0, 251], group, &udp(5353, 5353, &[0; 3])),
        to([0xff; 6], [255; 4].into(), &udp(68, 67, &[0; 8])),
        to(OTHER_DEVICE, ROUTER_V4, &udp(1, 2, &[])),
        // The same conversation, with a tag and as a gateway's copy with other addresses.
        ethernet(
            GATEWAY,
            OTHER_DEVICE,
            0x8100,
            &[&[0, 7, 8, 0][..], &ipv4(DEVICE_V4, ROUTER_V4, UDP, &udp(1, 2, &[]))].concat(),
        ),
    ];
    check(
        &frames,
        &[
            "192.168.1.20 5353 > 224.0.0.251 5353 17 1/31 0/0 -",
            "192.168.1.20 68 > 255.255.255.255 67 17 1/36 0/0 -",
            "192.168.1.20 1 > 192.168.1.1 2 17 2/56 0/0 -",
        ],
    );
}

#[test]
fn fragments_belong_to_their_datagram_in_any_order() {
    let (a, b) = (DEVICE_V4, PEER_V4);
    let whole = udp(4000, 9, &[0; 64]);
    let (head, middle, end) = (&whole[..24], &whole[24..48], &whole[48..]);
    let first = fragment(a, b, 7, 0, true, head);
    let second = fragment(a, b, 7, 24, true, middle);
    let third = fragment(a, b, 7, 48, false, end);
    let line = "192.168.1.20 4000 > 198.51.100.9 9 17 3/132 0/0 -";
    check(&[first.clone(), second.clone(), third.clone()], &[line]);
    check(&[third.clone(), second.clone(), first.clone()], &[line]);
    // From the other end with the same number, and without a first one: not theirs.
    let strange = fragment(b, a, 7, 24, false, middle);
    check(
        &[second.clone(), strange, first.clone(), third.clone()],
        &[line, "198.51.100.9 0 > 192.168.1.20 0 17 1/44 0/0 -"],
    );
    // The number is used again, and the second datagram comes last fragment first.
    let other = udp(4001, 9, &[0; 16]);
    let frames = [
        first,
        second,
        third,
        fragment(a, b, 7, 16, false, &other[16..]),
        fragment(a, b, 7, 0, true, &other[..16]),
    ];
    check(&frames, &[line, "192.168.1.20 4001 > 198.51.100.9 9 17 2/64 0/0 -"]);
    // A copy of the last fragment, as a capture on two interfaces has it, is no other datagram's.
    check(
        &[frames[0].clone(), frames[1].clone(), frames[2].clone(), frames[2].clone()],
        &["192.168.1.20 4000 > 198.51.100.9 9 17 4/176 0/0 -"],
    );
}

#[test]
fn fragments_of_ipv6_belong_to_their_datagram_too() {
    let whole = udp(4000, 9, &[0; 24]);
    let (first, second) = (fragment_v6(9, 0, true, &whole[..16]), fragment_v6(9, 16, false, &whole[16..]));
    let line = "fd00::20 4000 > 2001:db8::9 9 17 2/128 0/0 -";
    check(&[first.clone(), second.clone()], &[line]);
    check(&[second.clone(), first], &[line]);
    check(&[second], &["fd00::20 0 > 2001:db8::9 0 17 1/64 0/0 -"]);
}

#[test]
fn an_answer_in_fragments_is_read_when_it_is_whole() {
    let answer = udp(53, 4000, &dns_answer("in.pieces.example", PEER_V4));
    let down = |offset: u16, has_more, part: &[u8]| fragment(ROUTER_V4, DEVICE_V4, 7, offset, has_more, part);
    let (first, second) = (down(0, true, &answer[..24]), down(24, false, &answer[24..]));
    let asked = dns_question("in.pieces.example");
    let question = between(DEVICE_V4, ROUTER_V4, UDP, &udp(4000, 53, &asked));
    let visit = between(DEVICE_V4, PEER_V4, UDP, &udp(5000, 9, &[]));
    let dns =
        format!("192.168.1.20 4000 > 192.168.1.1 53 17 1/{} 2/{} -", asked.len() + 28, answer.len() + 40);
    let named = "192.168.1.20 5000 > 198.51.100.9 9 17 1/28 0/0 in.pieces.example";
    check(&[question.clone(), first.clone(), second.clone(), visit.clone()], &[&dns, named]);
    check(&[question.clone(), second.clone(), first.clone(), visit.clone()], &[&dns, named]);
    // Pieces that overlap are not put together.
    let overlap = down(16, false, &answer[16..]);
    let dns =
        format!("192.168.1.20 4000 > 192.168.1.1 53 17 1/{} 2/{} -", asked.len() + 28, answer.len() + 8 + 40);
    let unnamed = "192.168.1.20 5000 > 198.51.100.9 9 17 1/28 0/0 -";
    check(&[question, first, overlap, visit], &[&dns, unnamed]);
}

#[test]
fn a_request_in_fragments_of_ipv6_is_read_too() {
    let segment = tcp(5000, 80, ACK, &request("six.pieces.example"));
    let piece = |offset: usize, end: usize| {
        let mut frame = fragment_v6(9, offset as u16, end < segment.len(), &segment[offset..end]);
        frame[14 + 40] = TCP;
        frame
    };
    let frames = [piece(0, 32), piece(32, 56), piece(56, segment.len())];
    let bytes = segment.len() + 3 * 48;
    let line = format!("fd00::20 5000 > 2001:db8::9 80 6 3/{bytes} 0/0 six.pieces.example");
    check(&frames, &[&line]);
}

#[test]
fn addresses_of_ipv6_are_told_apart_in_full() {
    // One machine; only the upper halves of its addresses differ.
    let v6 =
        |source: Ipv6Addr| ethernet(GATEWAY, DEVICE, 0x86dd, &ipv6(source, PEER_V6, UDP, &udp(1, 2, &[])));
    let other = Ipv6Addr::new(0xfd00, 7, 0, 0, 0, 0, 0, 0x20);
    check(
        &[v6(DEVICE_V6), v6(other), v6(DEVICE_V6)],
        &["fd00::20 1 > 2001:db8::9 2 17 2/96 0/0 -", "fd00:7::20 1 > 2001:db8::9 2 17 1/48 0/0 -"],
    );
}

#[test]
fn ports_used_again_are_one_line_with_all_names() {
    let (a, b) = (DEVICE_V4, PEER_V4);
    let connect = |host: &str, seq: u32| {
        [
            between(a, b, TCP, &tcp_at(seq, 5000, 80, SYN, &[])),
            between(a, b, TCP, &tcp_at(seq + 1, 5000, 80, ACK, &request(host))),
        ]
    };
    let frames =
        [connect("one.example", 7), connect("two.example", 70_000), connect("one.example", 900)].concat();
    let lines = list(&a_second_each(&frames));
    assert_eq!(in_short(&lines), ["192.168.1.20 5000 > 198.51.100.9 80 6 6/351 0/0 one.example"]);
    let flow: serde_json::Value = serde_json::from_str(&lines).unwrap();
    let expected = serde_json::json!([
        {"name": "one.example", "source": "http_host", "is_outer": false},
        {"name": "two.example", "source": "http_host", "is_outer": false},
    ]);
    assert_eq!(flow["domains"], expected);
}

#[test]
fn those_silent_longest_leave_early_and_lines_add_up() {
    let from = |port: u16| between(DEVICE_V4, PEER_V4, UDP, &udp(port, 9, &[]));
    // An interval for each.
    let frames: Vec<_> = (0..)
        .zip([1, 2, 3, 4, 5, 1])
        .map(|(n, port)| Caught::whole(AT + n * 30 * SECOND, from(port)))
        .collect();
    let (lines, written) = list_within(Conversations::bounded(4), &[], &frames);
    assert_eq!(written, Written { lines: 6, excluded: 0 });
    let ports: Vec<_> =
        in_short(&lines).iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(ports, ["1", "2", "3", "4", "5", "1"], "when the fifth came, the first three left");
    let (lines, written) = list_within(Conversations::bounded(5), &[], &frames);
    assert_eq!((lines.lines().count(), written.lines), (5, 5));
}

#[test]
fn excluded_networks_are_left_out() {
    let frames = a_second_each(&[
        between(DEVICE_V4, PEER_V4, UDP, &udp(1, 9, &[])),
        between(DEVICE_V4, ROUTER_V4, UDP, &udp(1, 9, &[])),
    ]);
    let (lines, written) = list_within(Conversations::default(), &["198.51.100.0/24"], &frames);
    assert_eq!(in_short(&lines), ["192.168.1.20 1 > 192.168.1.1 9 17 1/28 0/0 -"]);
    assert_eq!(written, Written { lines: 1, excluded: 1 });
}
