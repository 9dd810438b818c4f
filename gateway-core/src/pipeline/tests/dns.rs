//! The DNS against people who would like to teach the gateway a name.

use super::*;
use crate::books::{MAX_ADDRS_PER_DEVICE, MAX_QUESTIONS_PER_DEVICE};
use crate::units::DomainName;
use proptest::prelude::*;

/// An answer to an A question: one address for a name.
fn answer_of(id: u16, name: &str, addr: [u8; 4], ttl_secs: u32) -> Vec<u8> {
    let mut message = [&id.to_be_bytes()[..], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]].concat();
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).expect("short"));
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1]);
    message.extend(ttl_secs.to_be_bytes());
    message.extend([0, 4]);
    message.extend(addr);
    message
}

fn resolver(device: MacAddr, protocol: u8) -> FlowKey {
    key(device, [192, 168, 1, 1], 41_000, 53, protocol)
}

fn pass(pipeline: &mut Pipeline, direction: Direction, at: u64, message: &[u8]) {
    let flow = resolver(PHONE, protocol::UDP);
    let (header, bytes) = sample(SampleKind::DNS, direction, flow, at, 0, message);
    pipeline.handle_sample(&header, &bytes);
}

fn marks(batch: &Batch) -> Vec<(Option<&str>, Marks)> {
    batch.rows.iter().map(|r| (r.key.name.as_ref().map(DomainName::as_str), r.key.marks)).collect()
}

#[test]
fn an_answer_that_nobody_asked_for_teaches_nothing() {
    let mut pipeline = Pipeline::default();
    let honest = answer_of(7, "a.example", SERVER, 300);
    pass(&mut pipeline, Direction::Down, 61 * SECOND, &honest);
    // Another number, another name.
    pass(&mut pipeline, Direction::Up, 61 * SECOND, &question_of(&honest));
    pass(&mut pipeline, Direction::Down, 61 * SECOND, &answer_of(8, "a.example", SERVER, 300));
    pass(&mut pipeline, Direction::Down, 61 * SECOND, &answer_of(7, "evil.example", SERVER, 300));
    // In another conversation: another port.
    let elsewhere = FlowKey { device_port: 1, ..resolver(PHONE, protocol::UDP) };
    let (header, bytes) = sample(SampleKind::DNS, Direction::Down, elsewhere, 61 * SECOND, 0, &honest);
    pipeline.handle_sample(&header, &bytes);
    // Too late.
    pass(&mut pipeline, Direction::Down, 77 * SECOND, &honest);
    let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 90)]);
    assert_eq!(marks(&batch), [(None, Marks::UNCOVERED)]);
    assert_eq!((batch.ledger_of("answers_unasked").0, batch.answers.len(), batch.aliases.len()), (5, 0, 0));
}

#[test]
fn of_two_answers_the_first_counts() {
    let mut pipeline = Pipeline::default();
    let honest = answer_of(7, "a.example", SERVER, 300);
    let other = [203, 0, 113, 66];
    pass(&mut pipeline, Direction::Up, 61 * SECOND, &question_of(&honest));
    for message in [&honest, &honest, &answer_of(7, "a.example", other, 300)] {
        pass(&mut pipeline, Direction::Down, 61 * SECOND, message);
    }
    let elsewhere = key(PHONE, other, 5001, 443, protocol::TCP);
    let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62), flow(elsewhere, 1, 62)]);
    assert_eq!(marks(&batch), [(Some("a.example"), Marks::COVERED), (None, Marks::UNCOVERED)]);
    assert_eq!((batch.ledger_of("answers_differing").0, batch.ledger_of("answers_unasked").0), (1, 0));
}

#[test]
fn a_question_in_mixed_case_is_the_same_question() {
    let mut pipeline = Pipeline::default();
    pass(&mut pipeline, Direction::Up, 61 * SECOND, &question_of(&answer_of(7, "wWw.eXaMpLe", SERVER, 300)));
    pass(&mut pipeline, Direction::Down, 61 * SECOND, &answer_of(7, "www.example", SERVER, 300));
    let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
    assert_eq!(names(&batch), [(Some("www.example"), Evidence::Dns)]);
}

#[test]
fn a_stale_answer_is_used_for_a_while_and_says_so() {
    let mut pipeline = Pipeline::default();
    ask_and_answer(
        &mut pipeline,
        resolver(PHONE, protocol::UDP),
        60 * SECOND,
        &answer_of(7, "a.example", SERVER, 120),
    );
    let batch = drain(&mut pipeline, 2, vec![flow(https(5000), 1, 179)]);
    assert_eq!(marks(&batch), [(Some("a.example"), Marks::COVERED)]);
    assert_eq!(batch.rows[0].oldest_answer_secs, Some(119));
    let batch = drain(&mut pipeline, 3, vec![flow(https(5001), 1, 181)]);
    assert_eq!(marks(&batch), [(Some("a.example"), Marks::COVERED.with(Marks::STRETCHED))]);
    let batch = drain(&mut pipeline, 4, vec![flow(https(5002), 1, 241)]);
    assert_eq!(marks(&batch), [(None, Marks::UNCOVERED)]);
}

#[test]
fn two_names_on_one_address_are_told_apart_by_time_or_not_at_all() {
    for (second_at, expected) in [
        (70, (Some("b.example"), Marks::COVERED.with(Marks::HAS_RIVALS))),
        (62, (None, Marks::COVERED.with(Marks::UNDECIDED))),
    ] {
        let mut pipeline = Pipeline::default();
        let resolver = resolver(PHONE, protocol::UDP);
        ask_and_answer(&mut pipeline, resolver, 61 * SECOND, &answer_of(1, "a.example", SERVER, 300));
        ask_and_answer(&mut pipeline, resolver, second_at * SECOND, &answer_of(2, "b.example", SERVER, 300));
        let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 80)]);
        assert_eq!(marks(&batch), [expected]);
        assert_eq!(batch.ledger_of("names_ambiguous").0, u64::from(expected.0.is_none()));
    }
}

#[test]
fn what_the_device_says_goes_before_what_the_dns_said() {
    let mut pipeline = Pipeline::default();
    let resolver = resolver(PHONE, protocol::UDP);
    for (id, name) in [(1, "a.example"), (2, "b.example")] {
        ask_and_answer(&mut pipeline, resolver, 61 * SECOND, &answer_of(id, name, SERVER, 300));
    }
    say_hello(&mut pipeline, https(5000), 63, &openssl());
    let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
    assert_eq!(names(&batch), [(Some(INTL), Evidence::TlsSni)]);
    let found = batch.rows[0].key.marks;
    assert!(found.has(Marks::COVERED) && !found.has(Marks::UNDECIDED) && !found.has(Marks::HAS_RIVALS));
}

/// Second 62: a device asks over IPv6. Second 63: somebody behind the same MAC address has a conversation over IPv4.
/// These have one as well; is it named?
fn is_named_by_ipv6(others: &[[u8; 4]]) -> bool {
    let mut pipeline = Pipeline::default();
    let resolver = resolver(PHONE, protocol::UDP);
    let over_ipv6 = FlowKey { flags: FlowFlags::VALID | FlowFlags::IPV6, ..resolver };
    ask_and_answer(&mut pipeline, over_ipv6, 62 * SECOND, &answer_of(1, "a.example", SERVER, 300));
    let elsewhere = key(PHONE, [203, 0, 113, 9], 5001, 443, protocol::TCP);
    let of = |ipv4: &[u8; 4]| FlowKey { device_addr_low: u32::from_ne_bytes(*ipv4), ..elsewhere };
    let mut flows = vec![flow(https(5000), 1, 63)];
    flows.extend(others.iter().map(|ipv4| flow(of(ipv4), 1, 64)));
    let batch = drain(&mut pipeline, 1, flows);
    let row = batch.rows.iter().find(|row| row.key.peer == IpAddr::from(SERVER)).expect("the first");
    let name = row.key.name.as_ref().map(DomainName::as_str);
    assert!(name.is_none_or(|name| name == "a.example"));
    assert_eq!(name.is_none(), row.key.marks == Marks::COVERED.with(Marks::UNDECIDED));
    name.is_some()
}

#[test]
fn behind_a_repeater_what_was_asked_over_ipv6_names_no_conversation_over_ipv4() {
    let own = https(5000).device_ipv4().expect("IPv4").octets();
    assert!(is_named_by_ipv6(&[]));
    assert!(is_named_by_ipv6(&[own]));
    assert!(!is_named_by_ipv6(&[[192, 168, 1, 99]]), "either may have asked");
}

#[test]
fn a_flood_of_names_costs_its_sender_only() {
    let mut pipeline = Pipeline::default();
    let laptop = resolver(LAPTOP, protocol::UDP);
    ask_and_answer(&mut pipeline, laptop, 60 * SECOND, &answer_of(1, "mine.example", SERVER, 300));
    for n in 0..10_000_u32 {
        let [_, _, high, low] = n.to_be_bytes();
        let id = u16::from_be_bytes([high, low]);
        let message = answer_of(id, &format!("n{n}.example"), [10, 1, high, low], 300);
        let at = 60 * SECOND + u64::from(n) * 5_000_000;
        ask_and_answer(&mut pipeline, resolver(PHONE, protocol::UDP), at, &message);
    }
    // And ten thousand questions that nobody answers.
    for n in 0..10_000_u16 {
        let question = question_of(&answer_of(n, &format!("q{n}.example"), SERVER, 300));
        pass(&mut pipeline, Direction::Up, 119 * SECOND, &question);
    }
    let of_laptop = flow(key(LAPTOP, SERVER, 5000, 443, protocol::TCP), 1, 119);
    let last = flow(key(PHONE, [10, 1, 0x27, 0x0f], 5000, 443, protocol::TCP), 1, 119);
    let batch = drain(&mut pipeline, 1, vec![of_laptop, last]);
    assert_eq!(
        names(&batch),
        [(Some("mine.example"), Evidence::Dns), (Some("n9999.example"), Evidence::Dns)]
    );
    assert_eq!(batch.ledger_of("names_evicted").0, 10_000 - MAX_ADDRS_PER_DEVICE as u64);
    assert_eq!(batch.ledger_of("questions_evicted").0, 10_000 - MAX_QUESTIONS_PER_DEVICE as u64);
    assert_eq!(batch.answers.len(), 1 + MAX_ADDRS_PER_DEVICE);
}

#[test]
fn a_restarted_daemon_knows_what_was_asked() {
    let mut pipeline = Pipeline::default();
    ask_and_answer(&mut pipeline, resolver(PHONE, protocol::UDP), 61 * SECOND, &unhex(ANSWER));
    let batch = drain(&mut pipeline, 1, vec![]);
    assert_eq!(batch.answers.len(), 2);
    let mut heir = Pipeline::default();
    heir.restore(Memory { answers: batch.answers, conversations: vec![] });
    let batch = drain(&mut heir, 2, vec![flow(https(5000), 1, 130)]);
    assert_eq!((names(&batch), batch.answers.len()), (vec![(Some(MISTAT), Evidence::Dns)], 0));
}

/// One direction's messages over TCP, in pieces of a size.
fn pass_over_tcp(pipeline: &mut Pipeline, direction: Direction, message: &[u8], size: usize) {
    let flow = resolver(PHONE, protocol::TCP);
    let framed = [&u16::try_from(message.len()).expect("short").to_be_bytes()[..], message].concat();
    for (n, piece) in framed.chunks(size).enumerate() {
        let seq = 1000 + u32::try_from(n * size).expect("short");
        let (header, bytes) = sample(SampleKind::DNS_TCP, direction, flow, 61 * SECOND, seq, piece);
        pipeline.handle_sample(&header, &bytes);
    }
}

#[test]
fn dns_over_tcp_in_pieces_of_every_size_names_and_asks_as_well() {
    let message = unhex(ANSWER);
    for size in 1..=message.len() + 2 {
        let mut pipeline = Pipeline::default();
        pass_over_tcp(&mut pipeline, Direction::Up, &question_of(&message), size);
        pass_over_tcp(&mut pipeline, Direction::Down, &message, size);
        let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
        assert_eq!(names(&batch), [(Some(MISTAT), Evidence::Dns)], "{size}");
        assert_eq!(batch.ledger.len(), 1, "{size}: {:?}", batch.ledger);
    }
    let mut pipeline = Pipeline::default();
    pass_over_tcp(&mut pipeline, Direction::Down, &message, 50);
    let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
    assert_eq!((names(&batch), batch.ledger_of("answers_unasked").0), (vec![(None, Evidence::None)], 1));
}

#[test]
fn every_prefix_of_an_answer_names_rightly_or_not() {
    let message = unhex(ANSWER);
    for len in 0..=message.len() {
        let mut pipeline = Pipeline::default();
        pass(&mut pipeline, Direction::Up, 61 * SECOND, &question_of(&message));
        pass(&mut pipeline, Direction::Down, 61 * SECOND, &message[..len]);
        let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
        let found = batch.rows[0].key.name.as_ref().map(DomainName::as_str);
        assert!(found.is_none_or(|name| name == MISTAT), "{len}");
        let counted: u64 = batch.ledger.iter().map(|line| line.packets).sum();
        assert!(found.is_some() || counted > 5 || len == 0, "{len}: what names nobody is counted");
    }
}

#[test]
fn a_device_is_told_of_by_its_strongest_name() {
    let mut pipeline = Pipeline::default();
    let group = key(PHONE, [224, 0, 0, 251], 5353, 5353, protocol::UDP);
    let announcement =
        unhex("0000 8400 0000 0001 0000 0000 04 6c656e61 05 6c6f63616c 00 0001 8001 00000078 0004 c0a80117");
    let (header, bytes) = sample(SampleKind::MDNS, Direction::Up, group, 61 * SECOND, 0, &announcement);
    pipeline.handle_sample(&header, &bytes);
    let batch = drain(&mut pipeline, 1, vec![]);
    let [device] = batch.devices.as_slice() else { panic!("{:?}", batch.devices) };
    assert_eq!((device.hostname.as_deref(), device.hostname_source), (Some("lena"), Some("mdns")));
    // A reflector's word for others, later.
    let mut reflected = announcement;
    reflected[13] = b'k';
    let at = reflected.len() - 1;
    reflected[at] = 24;
    let (header, bytes) = sample(SampleKind::MDNS, Direction::Up, group, 121 * SECOND, 0, &reflected);
    pipeline.handle_sample(&header, &bytes);
    assert_eq!(drain(&mut pipeline, 2, vec![]).devices, []);
}

proptest! {
    #[test]
    fn no_bytes_name_anybody_who_did_not_ask(
        messages in prop::collection::vec(
            (any::<bool>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..120), 0..100_usize, any::<u8>()), 1..40),
    ) {
        let mut pipeline = Pipeline::default();
        for (is_tcp, seq, bytes, at, value) in messages {
            // Noise, and the answer with a byte changed, always from the server.
            let mut damaged = unhex(ANSWER);
            if let Some(byte) = damaged.get_mut(at) {
                *byte = value;
            }
            for payload in [bytes, damaged] {
                let (kind, protocol) =
                    if is_tcp { (SampleKind::DNS_TCP, protocol::TCP) } else { (SampleKind::DNS, protocol::UDP) };
                let flow = resolver(PHONE, protocol);
                let (header, bytes) = sample(kind, Direction::Down, flow, 61 * SECOND, seq % 300, &payload);
                pipeline.handle_sample(&header, &bytes);
            }
        }
        let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
        prop_assert_eq!(names(&batch), [(None, Evidence::None)]);
        prop_assert!(batch.answers.is_empty());
    }
}
