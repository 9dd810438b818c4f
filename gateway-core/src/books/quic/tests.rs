use super::*;
use crate::units::DomainName;
use crate::wire::quic::samples::{Initial, crypto};
use crate::wire::quic::tests::{RFC_CRYPTO_FRAME, RFC_DCID};
use crate::wire::tls::samples::post_quantum;
use crate::wire::unhex;
use proptest::prelude::*;

const FIRST: [u8; 8] = *b"first-id";
const SERVERS: [u8; 5] = *b"serve";
const RETRIED: [u8; 12] = *b"from-a-retry";

fn flow(port: u16) -> FlowKey {
    FlowKey { device_port: port, mac_head: 7, ..FlowKey::default() }
}

/// A hello with these extensions, without the record layer.
fn hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut all = Vec::new();
    for (kind, content) in extensions {
        all.extend(kind.to_be_bytes());
        all.extend(u16::try_from(content.len()).expect("short").to_be_bytes());
        all.extend(*content);
    }
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    body.extend(u16::try_from(all.len()).expect("short").to_be_bytes());
    body.extend(all);
    let len = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&[1], &len[1..], &body].concat()
}

fn server_name(name: &str) -> Vec<u8> {
    let len = u16::try_from(name.len()).expect("short");
    [(len + 3).to_be_bytes().as_slice(), &[0], &len.to_be_bytes(), name.as_bytes()].concat()
}

fn named(name: &str) -> Vec<u8> {
    hello(&[(0, &server_name(name)), (16, b"\x00\x03\x02h3")])
}

/// The bare hello of today's browsers in pieces of 600 bytes, each in a datagram of its own.
fn pieces(name: &str, initial: &Initial<'_>) -> Vec<Vec<u8>> {
    let whole = &post_quantum(name)[5..];
    (0..)
        .zip(whole.chunks(600))
        .map(|(n, piece)| {
            let mut payload = crypto(u64::from(n) * 600, piece);
            payload.resize(1150, 0);
            Initial { pn: initial.pn + n, ..*initial }.seal(&payload)
        })
        .collect()
}

/// What is said last of flow 1 when these datagrams come one a nanosecond, from 10 on.
fn learn(book: &mut QuicBook, datagrams: &[Vec<u8>]) -> Option<(Option<String>, bool, u64)> {
    let mut last = None;
    for (datagram, at) in datagrams.iter().zip(10..) {
        let said = book.learn_datagram(flow(1), BootTime(at), datagram).expect("sound");
        last = said.map(|s| (s.name.map(|n| n.to_string()), s.is_outer, s.at.0)).or(last);
    }
    last
}

fn name_of(said: Result<Option<Said>, Stop>) -> Option<String> {
    said.expect("sound").and_then(|said| said.name).map(|name| name.to_string())
}

/// All orders of `0..count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut longer = Vec::new();
    for order in orders(count - 1) {
        for at in 0..=order.len() {
            let mut order = order.clone();
            order.insert(at, count - 1);
            longer.push(order);
        }
    }
    longer
}

#[test]
fn the_example_of_the_rfcs() {
    for version in [1, 0x6b33_43cf] {
        let mut payload = unhex(RFC_CRYPTO_FRAME);
        payload.resize(1162, 0);
        let datagram = Initial { version, pn: 2, pn_len: 4, ..Initial::to(&RFC_DCID) }.seal(&payload);
        let said = QuicBook::default().learn_datagram(flow(1), BootTime(3), &datagram);
        let name = DomainName::parse("example.com");
        let evidence = Evidence::QuicSni;
        let application = Application::Quic;
        let expected = Said { name, evidence, ..Said::nobody(application, BootTime(3)) };
        assert_eq!(said, Ok(Some(expected)));
    }
}

#[test]
fn a_post_quantum_hello_over_three_datagrams_in_any_order() {
    let datagrams = pieces("pq.example", &Initial::to(&FIRST));
    assert_eq!(datagrams.len(), 3);
    for order in orders(3) {
        let mut book = QuicBook::default();
        // Each comes twice.
        let sent: Vec<_> = order.iter().flat_map(|n| vec![datagrams[*n].clone(); 2]).collect();
        assert_eq!(learn(&mut book, &sent), Some((Some("pq.example".into()), true, 10)));
        book.give_up(BootTime(u64::MAX));
        assert_eq!(book.unfinished, 0);
    }
}

#[test]
fn a_name_is_told_at_once_and_again_when_it_proves_to_be_an_outer_one() {
    let whole = hello(&[(0, &server_name("outer.example")), (21, &[0; 300]), (0xfe0d, &[7; 200])]);
    let mut book = QuicBook::default();
    let initial = Initial::to(&FIRST);
    let half = [initial.seal(&crypto(0, &whole[..200]))];
    assert_eq!(learn(&mut book, &half), Some((Some("outer.example".into()), false, 10)));
    let rest = Initial { pn: 1, ..initial }.seal(&crypto(200, &whole[200..]));
    let said = book.learn_datagram(flow(1), BootTime(50), &rest).expect("sound").expect("said");
    assert_eq!((said.is_outer, said.at), (true, BootTime(10)));
}

#[test]
fn frames_in_any_order_among_padding_pings_and_acknowledgements() {
    let whole = named("shuffled.example");
    let chunks: Vec<_> = (0_u64..).step_by(7).zip(whole.chunks(7)).collect();
    assert!(chunks.len() < quic::MAX_PIECES);
    let mut payloads = [vec![0, 1, 2, 3, 0, 0, 3], vec![0x1c, 0x0a, 0, 2, b'n', b'o']];
    for (n, (offset, piece)) in chunks.into_iter().rev().enumerate() {
        payloads[n % 2].extend(crypto(offset, piece));
        payloads[n % 2].extend([1, 0, 0]);
    }
    let initial = Initial::to(&FIRST);
    let datagrams = payloads.map(|payload| initial.seal(&payload));
    let mut book = QuicBook::default();
    assert_eq!(learn(&mut book, &datagrams[..1]), None);
    let said = learn(&mut book, &datagrams[1..]);
    assert_eq!(said, Some((Some("shuffled.example".into()), false, 10)));
}

#[test]
fn packets_in_one_datagram() {
    let whole = named("coalesced.example");
    let initial = Initial::to(&FIRST);
    let zero_rtt = [&[0xd0, 0, 0, 0, 1, 8], FIRST.as_slice(), &[0, 0x40, 100], &[0xee; 100]].concat();
    let (one, two) = whole.split_at(40);
    let [one, two] = [(0, one), (40, two)].map(|(at, piece)| initial.seal(&crypto(at, piece)));
    for datagram in [
        [one.as_slice(), &two].concat(),
        [zero_rtt.as_slice(), &two, &zero_rtt, &one, &[0; 30]].concat(),
        [one.as_slice(), &two, &[0x45; 30]].concat(),
    ] {
        let said = QuicBook::default().learn_datagram(flow(1), BootTime(1), &datagram);
        assert_eq!(name_of(said).as_deref(), Some("coalesced.example"));
    }
    // What is behind one that cannot be opened is not read; what was opened before it is.
    let mut damaged = two.clone();
    damaged[60] ^= 1;
    let mut book = QuicBook::default();
    let said = book.learn_datagram(flow(1), BootTime(1), &[one.as_slice(), &damaged].concat());
    assert_eq!(said, Err(Stop::Malformed));
    assert_eq!(
        name_of(book.learn_datagram(flow(1), BootTime(1), &two)).as_deref(),
        Some("coalesced.example")
    );
    assert_eq!(QuicBook::default().learn_datagram(flow(1), BootTime(1), &zero_rtt), Ok(None));
}

#[test]
fn the_keys_stay_when_the_server_has_given_its_own_connection_id() {
    let first = Initial::to(&FIRST);
    let moved = Initial { dcid: &SERVERS, pn: 260, pn_len: 2, ..first };
    let (before, after) = (pieces("moved.example", &first), pieces("moved.example", &moved));
    let datagrams = [before[0].clone(), after[1].clone(), after[2].clone()];
    let said = learn(&mut QuicBook::default(), &datagrams);
    assert_eq!(said, Some((Some("moved.example".into()), true, 10)));
    // Without the first one nobody can tell the keys.
    let said = QuicBook::default().learn_datagram(flow(1), BootTime(1), &after[1]);
    assert_eq!(said, Err(Stop::Malformed));
}

#[test]
fn a_packet_number_that_is_cut_is_made_whole() {
    let first = Initial { pn: 250, pn_len: 1, ..Initial::to(&FIRST) };
    let datagrams: Vec<_> = pieces("late.example", &Initial { pn_len: 1, pn: 254, ..first });
    let said = learn(&mut QuicBook::default(), &datagrams);
    assert_eq!(said, Some((Some("late.example".into()), true, 10)), "254, 255 and 256, sent as 0");
}

#[test]
fn after_a_retry_the_keys_are_new() {
    let first = pieces("retried.example", &Initial::to(&FIRST));
    let again = Initial { token: b"the server's token", pn: 3, ..Initial::to(&RETRIED) };
    let again = pieces("retried.example", &again);
    let all = [first[0].clone(), first[1].clone(), first[2].clone()].into_iter().chain(again);
    let all: Vec<_> = all.collect();
    for order in orders(6) {
        let mut book = QuicBook::default();
        let sent: Vec<_> = order.iter().map(|n| all[*n].clone()).collect();
        let said = learn(&mut book, &sent).expect("said");
        assert_eq!((said.0.as_deref(), said.1), (Some("retried.example"), true), "{order:?}");
    }
    let mut book = QuicBook::default();
    learn(&mut book, &[first[0].clone(), all[3].clone(), all[4].clone(), all[5].clone()]);
    assert_eq!(book.unfinished, 0, "the hello was sent anew, and read");
}

#[test]
fn every_version_that_is_read() {
    let drafts = 0xff00_0016..=0xff00_0022_u32;
    for version in drafts.chain([1, 0x6b33_43cf, 0xface_b001, 0xface_b002, 0xface_b00e]) {
        let datagram = Initial { version, ..Initial::to(&FIRST) }.seal(&crypto(0, &named("v.example")));
        let said = QuicBook::default().learn_datagram(flow(1), BootTime(1), &datagram);
        assert_eq!(name_of(said).as_deref(), Some("v.example"), "{version:#x}");
    }
}

#[test]
fn the_version_may_change_on_the_way() {
    let first = Initial::to(&FIRST);
    let second = Initial { version: 0x6b33_43cf, dcid: &SERVERS, ..first };
    let (before, after) = (pieces("both.example", &first), pieces("both.example", &second));
    let datagrams = [before[0].clone(), after[1].clone(), before[0].clone(), after[2].clone()];
    let said = learn(&mut QuicBook::default(), &datagrams);
    assert_eq!(said, Some((Some("both.example".into()), true, 10)));
}

#[test]
fn what_comes_after_the_hello_costs_nothing() {
    let mut book = QuicBook::default();
    // Numbers that begin anywhere; only their ends are sent later.
    let first = Initial { pn: 0x1234_5678, pn_len: 4, ..Initial::to(&FIRST) };
    let datagrams = pieces("done.example", &first);
    learn(&mut book, &datagrams);
    let mut damaged = datagrams[1].clone();
    damaged[700] ^= 1;
    let acknowledged = Initial { dcid: &SERVERS, pn: 0x1234_567b, pn_len: 1, ..first }.seal(&[2, 1, 0, 0, 0]);
    for late in [&datagrams[0], &datagrams[2], &damaged, &acknowledged, &acknowledged] {
        assert_eq!(book.learn_datagram(flow(1), BootTime(99), late), Ok(None));
    }
    assert!(book.unread.get(&flow(1)).is_none());
    let stranger = Initial { dcid: &SERVERS, keys_from: b"whatever", ..first }.seal(&[1; 30]);
    assert_eq!(book.learn_datagram(flow(1), BootTime(99), &stranger), Err(Stop::Malformed));
    book.give_up(BootTime(KEPT_SECS * SECOND));
    assert!(book.read.get(&flow(1)).is_some());
    book.give_up(BootTime(KEPT_SECS * SECOND + 100));
    assert!(book.read.get(&flow(1)).is_none());
    assert_eq!(book.unfinished, 0);
}

#[test]
fn the_same_ports_again_take_the_new_name() {
    for old in [1, 3] {
        let mut book = QuicBook::default();
        learn(&mut book, &pieces("old.example", &Initial::to(&FIRST))[..old]);
        let new = Initial::to(b"another-id").seal(&crypto(0, &named("new.example")));
        let said = book.learn_datagram(flow(1), BootTime(99), &new).expect("sound").expect("said");
        assert_eq!((said.name, said.at), (DomainName::parse("new.example"), BootTime(99)));
        assert_eq!(book.unfinished, u64::from(old == 1));
        // What is late of the old one says nothing any more.
        let late = &pieces("old.example", &Initial::to(&FIRST))[2];
        assert_eq!(book.learn_datagram(flow(1), BootTime(100), late), Ok(None));
    }
}

#[test]
fn what_a_hello_says_besides_a_name() {
    let doq: &[u8] = b"\x00\x04\x03doq";
    for (extensions, name, application) in [
        (vec![(16_u16, doq), (0, &server_name("dns.example")[..])], Some("dns.example"), Application::Doq),
        (vec![(16, doq)], None, Application::Doq),
        (vec![(16, b"\x00\x03\x02h3")], None, Application::Quic),
        (vec![(0xfe0d, &[0; 9])], None, Application::Quic),
        (vec![(0, &server_name("192.0.2.7"))], None, Application::Quic),
    ] {
        let datagram = Initial::to(&FIRST).seal(&crypto(0, &hello(&extensions)));
        let said = QuicBook::default().learn_datagram(flow(1), BootTime(1), &datagram);
        let said = said.expect("sound").expect("said");
        let evidence = if name.is_some() { Evidence::QuicSni } else { Evidence::None };
        assert_eq!(said.name, name.and_then(DomainName::parse));
        assert_eq!((said.evidence, said.is_outer, said.application), (evidence, false, application));
    }
}

#[test]
fn other_datagrams() {
    let google = Ok(Some(Said::nobody(Application::GoogleQuic, BootTime(1))));
    for (hex, expected) in [
        ("c3 51303436 50 0102030405060708", google.clone()),
        ("0d 0102030405060708 51303433 01", google),
        ("c3 1a2a3a4a 08 0102030405060708 00", Ok(None)),
        ("c3 00000000 08 0102030405060708 00", Ok(None)),
        ("c3 00000002 08 0102030405060708 00", Err(Stop::UnreadKind)),
        ("c3 00000001 08 010203", Err(Stop::CutShort)),
        ("c3 00000001 15", Err(Stop::Malformed)),
        ("c3", Err(Stop::CutShort)),
        ("", Err(Stop::CutShort)),
        ("45 00000001", Ok(None)),
    ] {
        let said = QuicBook::default().learn_datagram(flow(1), BootTime(1), &unhex(hex));
        assert_eq!(said, expected, "{hex}");
    }
}

#[test]
fn what_no_honest_sender_wrote() {
    let initial = Initial::to(&FIRST);
    let whole = named("a.example");
    let mut lying = whole.clone();
    lying[38] = 99; // The session ID's length.
    for payload in [crypto(0, &lying), vec![8, 0, 0, 0, 0], crypto(0, b"\x02\0\0\0not a client's")] {
        let mut book = QuicBook::default();
        let said = book.learn_datagram(flow(1), BootTime(1), &initial.seal(&payload));
        assert_eq!(said, Err(Stop::Malformed));
        assert!(book.unread.get(&flow(1)).is_none());
    }
    // Two different hellos in one stream name nobody but the first.
    let mut book = QuicBook::default();
    let half = initial.seal(&crypto(0, &whole[..50]));
    assert_eq!(book.learn_datagram(flow(1), BootTime(1), &half), Ok(None));
    let other = initial.seal(&crypto(0, &named("another.example")));
    assert_eq!(book.learn_datagram(flow(1), BootTime(1), &other), Err(Stop::Malformed));
}

#[test]
fn every_prefix_and_every_flipped_bit_of_a_datagram_names_nobody() {
    let datagram = Initial::to(&FIRST).seal(&crypto(0, &named("a.example")));
    let said = |bytes: &[u8]| QuicBook::default().learn_datagram(flow(1), BootTime(1), bytes);
    for len in 0..datagram.len() {
        assert_eq!(said(&datagram[..len]), Err(Stop::CutShort), "{len}");
    }
    for at in 0..datagram.len() {
        for bit in 0..8 {
            let mut damaged = datagram.clone();
            damaged[at] ^= 1 << bit;
            assert!(!matches!(said(&damaged), Ok(Some(_))), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn bounds_are_kept_and_counted() {
    let mut book = QuicBook::default();
    let half = &pieces("a.example", &Initial::to(&FIRST))[0];
    for port in 0..=u16::try_from(MAX_UNREAD_PER_DEVICE).expect("small") {
        assert_eq!(book.unfinished, 0);
        assert_eq!(book.learn_datagram(flow(port), BootTime(1), half), Ok(None));
    }
    assert_eq!(book.unfinished, 1);
    book.give_up(BootTime(KEPT_SECS * SECOND + 1));
    assert_eq!(book.unfinished, 1);
    book.give_up(BootTime(KEPT_SECS * SECOND + 2));
    assert_eq!(book.unfinished, 1 + MAX_UNREAD_PER_DEVICE as u64);
    let whole = Initial::to(&FIRST).seal(&crypto(0, &named("a.example")));
    for port in 0..300 {
        assert!(name_of(book.learn_datagram(flow(port), BootTime(1), &whole)).is_some());
    }
    assert!(book.read.get(&flow(0)).is_none() && book.read.get(&flow(299)).is_some());
    assert_eq!(book.unfinished, 1 + MAX_UNREAD_PER_DEVICE as u64, "keys that leave cost no name");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_datagrams_are_survived(
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..5)
    ) {
        let mut book = QuicBook::default();
        for mut datagram in datagrams {
            let _ = book.learn_datagram(flow(1), BootTime(1), &datagram);
            let sealed = Initial::to(&FIRST).seal(&[datagram.as_slice(), &[0; 20]].concat());
            let _ = book.learn_datagram(flow(2), BootTime(1), &sealed);
            let sealed = Initial::to(&FIRST).seal(&crypto(u64::from(datagram.len() as u8), &datagram));
            let _ = book.learn_datagram(flow(3), BootTime(1), &sealed);
            datagram.splice(0..0, unhex("c3 00000001 08 0102030405060708 00 00"));
            let _ = book.learn_datagram(flow(4), BootTime(1), &datagram);
        }
    }

    #[test]
    fn any_cut_and_any_order_gives_the_one_name(
        size in 60..900_usize, per_datagram in 1..6_usize, order in Just((0..30_usize).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let whole = &post_quantum("one.example")[5..];
        let frames: Vec<_> = whole.chunks(size).enumerate().map(|(n, piece)| crypto((n * size) as u64, piece)).collect();
        let frames: Vec<_> = order.iter().filter_map(|n| frames.get(*n)).collect();
        let mut book = QuicBook::default();
        let mut last = None;
        for (pn, frames) in (0..).zip(frames.chunks(per_datagram)) {
            let payload: Vec<u8> = frames.iter().flat_map(|frame| frame.iter().copied()).collect();
            let datagram = Initial { pn, ..Initial::to(&FIRST) }.seal(&payload);
            let said = book.learn_datagram(flow(1), BootTime(1), &datagram);
            prop_assert!(said.is_ok());
            last = said.ok().flatten().or(last);
        }
        let last = last.expect("said");
        prop_assert_eq!(last.name, DomainName::parse("one.example"));
        prop_assert!(last.is_outer);
    }
}

#[test]
fn a_name_is_taken_back_if_the_rest_speaks_against_it() {
    let name = server_name("first.example");
    let padding = [0; 800];
    let twice = hello(&[(0, &name), (21, &padding), (0, &server_name("other.example"))]);
    let initial = Initial::to(&FIRST);
    let seal = |pn, offset: usize, bytes: &[u8]| {
        let mut payload = crypto(offset as u64, bytes);
        payload.resize(1150, 0);
        Initial { pn, ..initial }.seal(&payload)
    };
    let mut other = twice[..600].to_vec();
    other[60] ^= 1;
    for second in [seal(1, 600, &twice[600..]), seal(1, 0, &other)] {
        let mut book = QuicBook::default();
        let said = book.learn_datagram(flow(1), BootTime(10), &seal(0, 0, &twice[..600]));
        assert_eq!(name_of(said).as_deref(), Some("first.example"));
        let said = book.learn_datagram(flow(1), BootTime(11), &second);
        assert_eq!(said, Ok(Some(Said::nobody(Application::Quic, BootTime(10)))));
    }
}

#[test]
fn of_one_datagram_few_initials_are_opened() {
    let whole = &post_quantum("late.example")[5..];
    let empty = |pn| Initial { pn, ..Initial::to(&FIRST) }.seal(&[0; 24]);
    let last = Initial { pn: 9, ..Initial::to(&FIRST) }.seal(&crypto(0, whole));
    let after = |count| {
        let mut datagram: Vec<u8> = (0..count).flat_map(empty).collect();
        datagram.extend(&last);
        name_of(QuicBook::default().learn_datagram(flow(1), BootTime(10), &datagram))
    };
    let few = u32::try_from(MAX_INITIALS).expect("small");
    assert_eq!(after(few - 1).as_deref(), Some("late.example"));
    assert_eq!(after(few), None);
}
