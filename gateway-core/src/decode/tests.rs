use super::*;
use crate::fact::Segment;
use crate::row::DeviceFact;
use crate::units::Mac;
use crate::wire::dhcp::v4::tests::message as dhcp_message;
use crate::wire::dhcp::v6::tests::{REPLY, SOLICIT};
use crate::wire::dns::RecordType;
use crate::wire::dns::samples::ANSWER;
use crate::wire::tls::samples::openssl;
use crate::wire::unhex;
use core::net::{IpAddr, Ipv6Addr};
use gateway_common::{FlowFlags, MacAddr, protocol};
use proptest::prelude::*;

pub(crate) use super::samples::sample;

pub(crate) const PHONE: MacAddr = [0x7c, 0x03, 0xab, 0x11, 0x22, 0x33];

/// The prefixes of the house.
pub(crate) fn house() -> Vec<IpNetwork> {
    vec!["192.168.0.0/16".parse().expect("a prefix")]
}

/// An IPv4 conversation's key.
pub(crate) fn key(mac: MacAddr, peer: [u8; 4], device_port: u16, peer_port: u16, protocol: u8) -> FlowKey {
    let [a, b, c, d, e, f] = mac;
    FlowKey {
        peer_addr: [0, 0, 0xffff_u32.to_be(), u32::from_ne_bytes(peer)],
        device_addr_low: u32::from_ne_bytes([192, 168, 1, 23]),
        device_port: device_port.to_be(),
        peer_port: peer_port.to_be(),
        mac_head: u32::from_ne_bytes([a, b, c, d]),
        mac_tail: u16::from_ne_bytes([e, f]),
        protocol,
        flags: FlowFlags::VALID,
    }
}

fn all_samples() -> Vec<(SampleHeader, Vec<u8>)> {
    let resolver = key(PHONE, [192, 168, 1, 1], 41_000, 53, protocol::UDP);
    let server = key(PHONE, [47, 241, 10, 5], 50_000, 443, protocol::TCP);
    let lease = key(PHONE, [255, 255, 255, 255], 68, 67, protocol::UDP);
    let request = dhcp_message(1, PHONE, [0; 4], [0; 4], b"\x35\x01\x03\x0c\x05Redmi\xff");
    vec![
        sample(SampleKind::DNS, Direction::Down, resolver, 5, 0, &unhex(ANSWER)),
        sample(SampleKind::TLS, Direction::Up, server, 6, 77, &openssl()),
        sample(SampleKind::HTTP, Direction::Up, server, 7, 1, b"GET / HTTP/1.1\r\nHost: a.mi.com\r\n\r\n"),
        sample(SampleKind::DHCP, Direction::Up, lease, 8, 0, &request),
        sample(SampleKind::DNS, Direction::Up, resolver, 4, 0, &question()),
        sample(
            SampleKind::DNS_TCP,
            Direction::Down,
            key(PHONE, [192, 168, 1, 1], 41_000, 53, protocol::TCP),
            5,
            9,
            &unhex(ANSWER),
        ),
        sample(
            SampleKind::MDNS,
            Direction::Up,
            key(PHONE, [224, 0, 0, 251], 5353, 5353, protocol::UDP),
            5,
            0,
            &announced(&["lena", "local"], [192, 168, 1, 23]),
        ),
        sample(
            SampleKind::DHCP,
            Direction::Up,
            key6([0, 0, 0, 1], "ff02::1:2", 546, 547),
            5,
            0,
            &unhex(SOLICIT),
        ),
        sample(
            SampleKind::DHCP,
            Direction::Down,
            key6([0, 0, 0, 1], "fe80::1", 546, 547),
            5,
            0,
            &unhex(REPLY),
        ),
    ]
}

#[test]
fn each_kind_proves_something() {
    let samples = all_samples();
    let facts: Vec<_> =
        samples.iter().map(|(h, b)| decode(h, b, &house()).expect("sound").expect("a fact")).collect();
    let [
        Fact::NameAnswered { flow, at: BootTime(5), id: 0x3a5f, question, message },
        Fact::OpeningSegment { seq: 77, payload, .. },
        Fact::OpeningSegment { seq: 1, .. },
        Fact::DeviceSeen(device_fact),
        Fact::NameAsked { id: 0x3a5f, .. },
        Fact::DnsSegment(Segment { seq: 9, is_up: false, .. }),
        Fact::DeviceSeen(by_mdns),
        Fact::DeviceSeen(_),
        Fact::DeviceSeen(by_dhcp6),
    ] = facts.as_slice()
    else {
        panic!("{facts:?}")
    };
    let answered = message.answered().expect("it teaches");
    assert_eq!((flow.device_mac(), answered.addrs.len()), (PHONE, 2));
    assert_eq!((&question.name, question.kind), (&answered.name, RecordType::A));
    assert_eq!(payload.len(), 517);
    assert_eq!(device_fact.hostname.as_deref(), Some("Redmi"));
    assert_eq!((by_mdns.hostname_source, by_dhcp6.addr.is_some()), (Some("mdns"), true));
}

#[test]
fn only_answers_to_the_device_teach() {
    let question = key(PHONE, [192, 168, 1, 1], 41_000, 53, protocol::UDP);
    let (header, bytes) = sample(SampleKind::DNS, Direction::Up, question, 5, 0, &unhex(ANSWER));
    assert_eq!(decode(&header, &bytes, &house()), Ok(None));
    let server_at_home = key(PHONE, [203, 0, 113, 7], 53, 41_000, protocol::UDP);
    let (header, bytes) = sample(SampleKind::DNS, Direction::Down, server_at_home, 5, 0, &unhex(ANSWER));
    assert_eq!(decode(&header, &bytes, &house()), Ok(None));
}

#[test]
fn an_answer_to_a_group_teaches_nobody() {
    let group = key([0xff; 6], [192, 168, 1, 1], 41_000, 53, protocol::UDP);
    let (header, bytes) = sample(SampleKind::DNS, Direction::Down, group, 5, 0, &unhex(ANSWER));
    assert_eq!(decode(&header, &bytes, &house()), Ok(None));
}

#[test]
fn a_device_speaks_only_for_itself() {
    let lease = key(PHONE, [255, 255, 255, 255], 68, 67, protocol::UDP);
    let other = dhcp_message(1, [2, 0, 0, 0, 0, 9], [0; 4], [0; 4], b"\x35\x01\x03\x0c\x03bad\xff");
    let (header, bytes) = sample(SampleKind::DHCP, Direction::Up, lease, 1, 0, &other);
    assert_eq!(decode(&header, &bytes, &house()), Err(Stop::Untrusted));
}

#[test]
fn a_grant_comes_from_the_server_only() {
    let lease = key(PHONE, [192, 168, 1, 1], 68, 67, protocol::UDP);
    let ack = dhcp_message(2, PHONE, [0; 4], [192, 168, 1, 23], b"\x35\x01\x05\xff");
    let (header, bytes) = sample(SampleKind::DHCP, Direction::Down, lease, 1, 0, &ack);
    let Ok(Some(Fact::DeviceSeen(fact))) = decode(&header, &bytes, &house()) else { panic!("no fact") };
    assert_eq!(fact.addr.map(|a| a.to_string()).as_deref(), Some("192.168.1.23"));
    let (header, bytes) = sample(SampleKind::DHCP, Direction::Up, lease, 1, 0, &ack);
    assert_eq!(decode(&header, &bytes, &house()), Ok(None));
}

#[test]
fn a_grant_is_believed_from_the_house_and_for_its_receiver_only() {
    let broadcast = [0xff; 6];
    let other = [2, 0, 0, 0, 0, 9];
    for (to, from, from_port, chaddr, is_believed) in [
        (PHONE, [192, 168, 1, 1], 67, PHONE, true),
        (broadcast, [192, 168, 1, 1], 67, PHONE, true),
        (PHONE, [192, 168, 1, 1], 67, other, false),
        (PHONE, [203, 0, 113, 7], 67, PHONE, false),
        (broadcast, [203, 0, 113, 7], 67, PHONE, false),
        (PHONE, [192, 168, 1, 1], 68, PHONE, false),
    ] {
        let ack = dhcp_message(2, chaddr, [0; 4], [192, 168, 1, 66], b"\x35\x01\x05\xff");
        let grant = key(to, from, 68, from_port, protocol::UDP);
        let (header, bytes) = sample(SampleKind::DHCP, Direction::Down, grant, 1, 0, &ack);
        match decode(&header, &bytes, &house()) {
            Ok(Some(Fact::DeviceSeen(fact))) => assert!(is_believed && fact.device == Mac(PHONE)),
            found => assert!(!is_believed && found == Err(Stop::Untrusted), "{from:?} {found:?}"),
        }
    }
}

fn question() -> Vec<u8> {
    unhex("3a5f 0100 0001 0000 0000 0001 04 64617461 02 4d69 00 0041 0001 00 0029 04d0 00000000 0000")
}

#[test]
fn a_question_is_known_by_its_number_name_and_type() {
    let resolver = key(PHONE, [192, 168, 1, 1], 41_000, 53, protocol::UDP);
    let (header, bytes) = sample(SampleKind::DNS, Direction::Up, resolver, 5, 0, &question());
    let Ok(Some(Fact::NameAsked { flow, at, id, question: asked })) = decode(&header, &bytes, &house())
    else {
        panic!("no question")
    };
    assert_eq!(
        (flow, at, id, asked.name.as_str(), asked.kind),
        (resolver, BootTime(5), 0x3a5f, "data.mi", RecordType::HTTPS)
    );
    // Sent the wrong way; a notification; what cannot bring an address.
    let (header, bytes) = sample(SampleKind::DNS, Direction::Down, resolver, 5, 0, &question());
    assert_eq!(decode(&header, &bytes, &house()), Ok(None));
    for (at, value) in [(2, 0x21), (22, 12)] {
        let mut other = question();
        other[at] = value;
        let (header, bytes) = sample(SampleKind::DNS, Direction::Up, resolver, 5, 0, &other);
        assert_eq!(decode(&header, &bytes, &house()), Ok(None), "{at}");
    }
}

#[test]
fn an_answer_that_teaches_nothing_is_an_answer_still() {
    let resolver = key(PHONE, [192, 168, 1, 1], 41_000, 53, protocol::UDP);
    let answered = |message: &[u8]| {
        let (header, bytes) = sample(SampleKind::DNS, Direction::Down, resolver, 5, 0, message);
        match decode(&header, &bytes, &house()) {
            Ok(Some(Fact::NameAnswered { message, .. })) => {
                (message.answered().map(|answered| answered.addrs.len()), message.ended_early.map(Stop::from))
            }
            other => panic!("{other:?}"),
        }
    };
    let answer = unhex(ANSWER);
    assert_eq!(answered(&answer), (Some(2), None));
    let mut no_such_name = answer.clone();
    no_such_name[3] = 0x83;
    assert_eq!(answered(&no_such_name), (None, None));
    assert_eq!(answered(&answer[..70]), (None, Some(Stop::CutShort)));
    let mut lying = answer.clone();
    lying[75] = 5;
    assert_eq!(answered(&lying), (None, Some(Stop::Malformed)));
}

#[test]
fn a_segment_of_dns_knows_its_place() {
    let resolver = key(PHONE, [192, 168, 1, 1], 41_000, 53, protocol::TCP);
    let (mut header, mut bytes) =
        sample(SampleKind::DNS_TCP, Direction::Down, resolver, 5, 77, b"abcdefghij");
    let segment = |header: &SampleHeader, bytes: &[u8]| match decode(header, bytes, &house()) {
        Ok(Some(Fact::DnsSegment(segment))) => {
            (segment.is_up, segment.seq, segment.is_first, segment.payload.len(), segment.is_cut)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(segment(&header, &bytes), (false, 77, false, 10, false));
    header.captured_len -= 4;
    assert_eq!(segment(&header, &bytes), (false, 77, false, 6, true), "cut by the snapshot");
    header.captured_len += 4;
    bytes[34 + 13] = 0x02;
    assert_eq!(segment(&header, &bytes), (false, 78, true, 10, false), "a SYN takes a number");
    let (header, bytes) = sample(SampleKind::DNS_TCP, Direction::Up, resolver, 5, 77, b"");
    assert_eq!(decode(&header, &bytes, &house()), Ok(None));
    let elsewhere = key(PHONE, [192, 168, 1, 1], 53, 41_000, protocol::TCP);
    let (header, bytes) = sample(SampleKind::DNS_TCP, Direction::Down, elsewhere, 5, 77, b"abc");
    assert_eq!(decode(&header, &bytes, &house()), Ok(None));
}

/// A response that gives a name this IPv4 address.
fn announced(labels: &[&str], addr: [u8; 4]) -> Vec<u8> {
    let name: Vec<u8> = labels
        .iter()
        .flat_map(|l| [&[u8::try_from(l.len()).expect("short")], l.as_bytes()].concat())
        .collect();
    let head = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    [&head[..], &name, &[0, 0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4], &addr].concat()
}

fn device_of(sample: &(SampleHeader, Vec<u8>)) -> Option<DeviceFact> {
    match decode(&sample.0, &sample.1, &house()) {
        Ok(Some(Fact::DeviceSeen(fact))) => Some(fact),
        Ok(None) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_is_named_by_its_own_word_for_its_own_address() {
    let own = [192, 168, 1, 23];
    let named = |key, direction, message: &[u8]| {
        device_of(&sample(SampleKind::MDNS, direction, key, 1, 0, message)).and_then(|fact| fact.hostname)
    };
    let group = key(PHONE, [224, 0, 0, 251], 5353, 5353, protocol::UDP);
    let lena = announced(&["Lenas-iPhone", "local"], own);
    let fact = device_of(&sample(SampleKind::MDNS, Direction::Up, group, 1, 0, &lena)).expect("a fact");
    assert_eq!((fact.device, fact.hostname.as_deref()), (Mac(PHONE), Some("lenas-iphone")));
    assert_eq!((fact.hostname_source, fact.addr), (Some("mdns"), Some(IpAddr::from(own))));
    assert_eq!(named(group, Direction::Down, &lena), None, "what comes to it");
    let mut asked = lena.clone();
    asked[2] = 0;
    assert_eq!(named(group, Direction::Up, &asked), None, "a question");
    let from_elsewhere = key(PHONE, [224, 0, 0, 251], 40_000, 5353, protocol::UDP);
    assert_eq!(named(from_elsewhere, Direction::Up, &lena), None, "not from the service's port");
    for (labels, addr) in [
        (&["printer", "local"][..], [192, 168, 1, 99]), // a reflector
        (&["www", "example"], own),
        (&["a", "b", "local"], own),
        (&["1f6e0a44-9d1c-4c21-8a4e-0123456789ab", "local"], own), // WebRTC
    ] {
        assert_eq!(named(group, Direction::Up, &announced(labels, addr)), None, "{labels:?}");
    }
    let llmnr = key(PHONE, [192, 168, 1, 1], 5355, 50_000, protocol::UDP);
    let fact = device_of(&sample(SampleKind::MDNS, Direction::Up, llmnr, 1, 0, &announced(&["PC"], own)));
    // Of LLMNR a class has no flag.
    assert_eq!(fact, None);
    let mut plain = announced(&["PC"], own);
    let class_at = plain.len() - 12;
    plain[class_at] = 0;
    let fact = device_of(&sample(SampleKind::MDNS, Direction::Up, llmnr, 1, 0, &plain)).expect("a fact");
    assert_eq!((fact.hostname.as_deref(), fact.hostname_source), (Some("pc"), Some("llmnr")));
}

/// An IPv6 conversation's key.
pub(crate) fn key6(device_low: [u8; 4], peer: &str, device_port: u16, peer_port: u16) -> FlowKey {
    let peer: Ipv6Addr = peer.parse().expect("an address");
    let words =
        peer.octets().as_chunks::<4>().0.iter().map(|word| u32::from_ne_bytes(*word)).collect::<Vec<_>>();
    FlowKey {
        peer_addr: words.try_into().expect("four words"),
        device_addr_low: u32::from_ne_bytes(device_low),
        flags: FlowFlags::VALID | FlowFlags::IPV6,
        ..key(PHONE, [0; 4], device_port, peer_port, protocol::UDP)
    }
}

#[test]
fn over_ipv6_the_end_of_the_address_tells() {
    let aaaa = |addr: &str| {
        let addr: Ipv6Addr = addr.parse().expect("an address");
        let mut message = announced(&["lena", "local"], [0; 4]);
        let at = message.len() - 14;
        message.splice(at.., [&[0, 28, 0x80, 1, 0, 0, 0, 120, 0, 16][..], &addr.octets()].concat());
        message
    };
    let group = key6([0xab, 0x11, 0x22, 0x33], "ff02::fb", 5353, 5353);
    let named = |message: &[u8]| device_of(&sample(SampleKind::MDNS, Direction::Up, group, 1, 0, message));
    assert_eq!(named(&aaaa("fe80::7e03:abff:ab11:2233")).and_then(|f| f.hostname).as_deref(), Some("lena"));
    assert_eq!(named(&aaaa("fe80::7e03:abff:ab11:2234")), None);
    assert_eq!(named(&announced(&["lena", "local"], [0xab, 0x11, 0x22, 0x33])), None, "IPv4 in IPv6");
}

#[test]
fn what_a_device_asks_a_server_for_is_kept_in_its_order() {
    let lease = key(PHONE, [255, 255, 255, 255], 68, 67, protocol::UDP);
    let request =
        dhcp_message(1, PHONE, [0; 4], [0; 4], b"\x35\x01\x01\x37\x05\x01\x79\x03\x06\x0f\x3c\x04dhcp\xff");
    let fact = device_of(&sample(SampleKind::DHCP, Direction::Up, lease, 1, 0, &request)).expect("a fact");
    assert_eq!(fact.parameter_list.as_deref(), Some("1,121,3,6,15"));
    assert_eq!((fact.vendor_class.as_deref(), fact.hostname), (Some("dhcp"), None));
}

#[test]
fn of_dhcpv6_the_sender_is_the_device_and_the_server_stands_in_the_house() {
    let servers = key6([0, 0, 0, 1], "ff02::1:2", 546, 547);
    let solicit = unhex(SOLICIT);
    let fact = device_of(&sample(SampleKind::DHCP, Direction::Up, servers, 1, 0, &solicit)).expect("a fact");
    assert_eq!(
        (fact.device, fact.hostname.as_deref(), fact.hostname_source),
        (Mac(PHONE), Some("lena"), Some("dhcp"))
    );
    assert_eq!((fact.vendor_class.as_deref(), fact.addr), (Some("MSFT 5.0"), None));
    let mut relayed = solicit.clone();
    relayed[0] = 12;
    assert_eq!(device_of(&sample(SampleKind::DHCP, Direction::Up, servers, 1, 0, &relayed)), None);
    let local: Vec<IpNetwork> = vec!["2001:db8:1::/48".parse().expect("a prefix")];
    for (peer, port, is_believed) in [
        ("fe80::1", 547, true),
        ("2001:db8:1::1", 547, true),
        ("2001:db8:2::1", 547, false),
        ("fe80::1", 546, false),
    ] {
        let (header, bytes) = sample(
            SampleKind::DHCP,
            Direction::Down,
            key6([0, 0, 0, 1], peer, 546, port),
            1,
            0,
            &unhex(REPLY),
        );
        match decode(&header, &bytes, &local) {
            Ok(Some(Fact::DeviceSeen(fact))) => {
                assert!(is_believed);
                assert_eq!(fact.addr.map(|a| a.to_string()).as_deref(), Some("2001:db8::17"));
            }
            found => assert!(!is_believed && found == Err(Stop::Untrusted), "{peer} {found:?}"),
        }
    }
}

#[test]
fn padding_is_no_payload() {
    let server = key(PHONE, [47, 241, 10, 5], 50_000, 443, protocol::TCP);
    let (header, bytes) = sample(SampleKind::TLS, Direction::Up, server, 6, 77, &[0x16]);
    assert_eq!(bytes.len(), 60);
    let Ok(Some(Fact::OpeningSegment { payload, .. })) = decode(&header, &bytes, &house()) else {
        panic!("no fact")
    };
    assert_eq!(payload, [0x16]);
}

#[test]
fn every_prefix_is_survived() {
    for (header, bytes) in all_samples() {
        for len in 0..bytes.len() {
            let _ = decode(&header, &bytes[..len], &house());
        }
    }
}

proptest! {
    #[test]
    fn hostile_offsets_and_bytes_are_survived(
        l3: u16, l4: u16, payload: u16, captured: u16, kind in 0..10_u8, direction in 0..3_u8,
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        for (small, port) in [(true, 53), (false, 53), (true, 443), (true, 5353), (true, 547)] {
            let squeeze = |offset: u16| if small { offset % 80 } else { offset };
            let header = SampleHeader {
                key: key(PHONE, [1, 2, 3, 4], port, port, [protocol::UDP, protocol::TCP][usize::from(kind % 2)]),
                l3_offset: squeeze(l3),
                l4_offset: squeeze(l4),
                payload_offset: squeeze(payload),
                captured_len: captured,
                kind: SampleKind(kind),
                direction,
                ..SampleHeader::default()
            };
            let _ = decode(&header, &bytes, &house());
        }
    }
}
