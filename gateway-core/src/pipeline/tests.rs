mod dns;
mod said;

use super::rows::volume_of;
use super::*;
use crate::application::Application;
use crate::decode::tests::{PHONE, key, sample};
use crate::enrich::NoNetworks;
use crate::row::{EpochId, Evidence, Interval, Marks, OpenedBy, Said};
use crate::units::{DomainName, Mac, WallTime};
use crate::wire::dns::samples::ANSWER;
use crate::wire::tls::samples::{openssl, post_quantum};
use crate::wire::unhex;
use core::cell::RefCell;
use gateway_common::{Direction, FlowFlags, FlowState, KernelStat, MacAddr, SampleKind, StatBlock, protocol};

const LAPTOP: MacAddr = [0x3c, 0x22, 0xfb, 1, 2, 3];
const SERVER: [u8; 4] = [47, 241, 10, 5];

fn https(device_port: u16) -> FlowKey {
    key(PHONE, SERVER, device_port, 443, protocol::TCP)
}

fn flow(key: FlowKey, opened: u8, first_secs: u64) -> DrainedFlow {
    DrainedFlow {
        key,
        up_bytes: 100,
        down_bytes: 1000,
        up_packets: 2,
        down_packets: 3,
        opened,
        first_boot_ms: u32::try_from(first_secs * 1000).ok(),
    }
}

/// Interval number `epoch` lasts 60 seconds from `epoch * 60` on.
fn drained(epoch: u64, flows: Vec<DrainedFlow>) -> Drained {
    let mut stats = StatBlock::default();
    for flow in &flows {
        let volume = volume_of(flow);
        stats.add(KernelStat::SeenPackets, volume.packets());
        stats.add(KernelStat::SeenBytes, volume.bytes());
    }
    let interval = Interval {
        began_boot: BootTime(epoch * 60 * SECOND),
        ended_boot: BootTime((epoch + 1) * 60 * SECOND),
        began_at: WallTime(0),
        ended_at: WallTime(1),
        is_clock_set: true,
    };
    let epoch = EpochId { boot_id: "test".to_owned(), table_id: 1, epoch };
    Drained { epoch, interval, flows, stats }
}

#[track_caller]
fn drain(pipeline: &mut Pipeline, epoch: u64, flows: Vec<DrainedFlow>) -> Batch {
    let batch = pipeline.handle_drain(drained(epoch, flows), &NoNetworks);
    assert_eq!(batch.check_conservation(), Ok(()));
    batch
}

fn names(batch: &Batch) -> Vec<(Option<&str>, Evidence)> {
    batch.rows.iter().map(|r| (r.key.name.as_ref().map(|n| n.as_str()), r.key.evidence)).collect()
}

fn say_hello(pipeline: &mut Pipeline, flow: FlowKey, secs: u64, stream: &[u8]) {
    let (header, bytes) = sample(SampleKind::TLS, Direction::Up, flow, secs * SECOND, 1, stream);
    pipeline.handle_sample(&header, &bytes);
}

/// The answer of [`ANSWER`], with its first letter replaced to make other names of it.
fn answer(pipeline: &mut Pipeline, device: MacAddr, secs: u64, first_letter: u8) {
    let resolver = key(device, [192, 168, 1, 1], 41_000, 53, protocol::UDP);
    let mut message = unhex(ANSWER);
    message[13] = first_letter;
    ask_and_answer(pipeline, resolver, secs * SECOND, &message);
}

/// A message, and before it the question that it repeats.
fn ask_and_answer(pipeline: &mut Pipeline, resolver: FlowKey, at: u64, message: &[u8]) {
    let question = question_of(message);
    let (header, bytes) = sample(SampleKind::DNS, Direction::Up, resolver, at, 0, &question);
    pipeline.handle_sample(&header, &bytes);
    let (header, bytes) = sample(SampleKind::DNS, Direction::Down, resolver, at, 0, message);
    pipeline.handle_sample(&header, &bytes);
}

/// The question that an answer repeats, as it was asked.
fn question_of(answer: &[u8]) -> Vec<u8> {
    let question_len = answer[12..].iter().position(|b| *b == 0).expect("the root") + 5;
    let mut question = answer[..12 + question_len].to_vec();
    question[2..4].copy_from_slice(&[1, 0]);
    question[6..12].fill(0);
    question
}

const MISTAT: &str = "data.mistat.xiaomi.com";
const INTL: &str = "data.mistat.intl.xiaomi.com";

#[test]
fn sni_beats_dns_and_a_conversation_keeps_its_name() {
    let mut pipeline = Pipeline::default();
    answer(&mut pipeline, PHONE, 61, b'd');
    say_hello(&mut pipeline, https(5000), 63, &openssl());
    let opened = FlowState::OPENED_BY_DEVICE;
    let batch = drain(&mut pipeline, 1, vec![flow(https(5000), opened, 62), flow(https(5001), opened, 62)]);
    assert_eq!(names(&batch), [(Some(INTL), Evidence::TlsSni), (Some(MISTAT), Evidence::Dns)]);
    assert_eq!(batch.aliases.len(), 1);
    assert_eq!(batch.aliases[0].alias.as_str(), "data.gslb.xiaomi.com");
    assert_eq!(batch.aliases[0].device, Mac(PHONE));
    // An hour later both still go on; the answer has gone stale, another was given since.
    answer(&mut pipeline, PHONE, 3700, b'x');
    for epoch in [2, 61, 62] {
        let later = vec![flow(https(5000), 0, epoch * 60), flow(https(5001), 0, epoch * 60)];
        let batch = drain(&mut pipeline, epoch, later);
        assert_eq!(names(&batch), [(Some(INTL), Evidence::TlsSni), (Some(MISTAT), Evidence::Dns)]);
        assert_eq!(batch.rows[0].key.opened_by, OpenedBy::Device, "who opened is remembered");
    }
}

#[test]
fn the_same_ports_again_lose_the_old_name() {
    let mut pipeline = Pipeline::default();
    say_hello(&mut pipeline, https(5000), 63, &openssl());
    drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
    for (epoch, opened) in [(2, 1), (3, 0)] {
        let batch = drain(&mut pipeline, epoch, vec![flow(https(5000), opened, epoch * 60 + 5)]);
        assert_eq!(names(&batch), [(None, Evidence::None)]);
    }
}

#[test]
fn the_same_ports_again_ask_the_dns_anew() {
    let mut pipeline = Pipeline::default();
    answer(&mut pipeline, PHONE, 61, b'd');
    let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
    assert_eq!(names(&batch), [(Some(MISTAT), Evidence::Dns)]);
    answer(&mut pipeline, PHONE, 601, b'x');
    let batch = drain(&mut pipeline, 10, vec![flow(https(5000), 1, 602)]);
    assert_eq!(names(&batch), [(Some("xata.mistat.xiaomi.com"), Evidence::Dns)]);
    let batch = drain(&mut pipeline, 20, vec![flow(https(5000), 1, 1202)]);
    assert_eq!(names(&batch), [(None, Evidence::None)]);
}

#[test]
fn a_long_silence_ends_a_conversation() {
    // The drain of interval 1 is at 120 s; UDP may be silent for 180 s from then, TCP for 7440 s.
    let udp = key(PHONE, SERVER, 5000, 443, protocol::UDP);
    for (key, lasts_until) in [(udp, 300), (https(5000), 7560)] {
        for (at, name) in [(lasts_until - 1, Some(MISTAT)), (lasts_until + 1, None)] {
            let mut pipeline = Pipeline::default();
            // The addresses have the alias's TTL, so that nothing vouches any more at the end of the silence.
            let message = unhex(&ANSWER.replace("0000012c", "00000078"));
            let resolver = self::key(PHONE, [192, 168, 1, 1], 41_000, 53, protocol::UDP);
            ask_and_answer(&mut pipeline, resolver, 61 * SECOND, &message);
            let opened = u8::from(key.protocol == protocol::TCP);
            let batch = drain(&mut pipeline, 1, vec![flow(key, opened, 62)]);
            assert_eq!(names(&batch), [(Some(MISTAT), Evidence::Dns)]);
            let batch = drain(&mut pipeline, at / 60, vec![flow(key, 0, at)]);
            assert_eq!(names(&batch).first().map(|(name, _)| *name), Some(name), "{at}");
        }
    }
}

#[test]
fn what_was_said_before_a_long_silence_is_forgotten() {
    let mut pipeline = Pipeline::default();
    say_hello(&mut pipeline, https(5000), 63, &openssl());
    let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
    assert_eq!(names(&batch), [(Some(INTL), Evidence::TlsSni)]);
    for epoch in [200, 201] {
        let batch = drain(&mut pipeline, epoch, vec![flow(https(5000), 0, epoch * 60 + 30)]);
        assert_eq!(names(&batch), [(None, Evidence::None)]);
    }
}

#[test]
fn an_answer_goes_stale() {
    let mut pipeline = Pipeline::default();
    answer(&mut pipeline, PHONE, 60, b'd'); // TTL 120, that of the address 300; and the clients' stretch of 60.
    let marks_at = |pipeline: &mut Pipeline, port, secs: u64| {
        let batch = drain(pipeline, secs / 60, vec![flow(https(port), 1, secs)]);
        let key = batch.rows[0].key.clone();
        (key.name.map(|name| name.to_string()), key.marks)
    };
    let named = |marks: Marks| (Some(MISTAT.to_owned()), Marks::COVERED.with(marks));
    assert_eq!(marks_at(&mut pipeline, 5000, 179), named(Marks::NONE));
    assert_eq!(marks_at(&mut pipeline, 5001, 241), named(Marks::STRETCHED));
    assert_eq!(marks_at(&mut pipeline, 5002, 419), named(Marks::STRETCHED));
    assert_eq!(marks_at(&mut pipeline, 5003, 421), (None, Marks::UNCOVERED));
}

#[test]
fn two_names_for_one_address_name_neither_conversation() {
    let mut pipeline = Pipeline::default();
    answer(&mut pipeline, PHONE, 62, b'a');
    answer(&mut pipeline, PHONE, 63, b'b');
    say_hello(&mut pipeline, https(5002), 66, &openssl());
    let flows = (5000..5003).map(|port| flow(https(port), 1, 65)).collect();
    let batch = drain(&mut pipeline, 1, flows);
    assert_eq!(names(&batch), [(None, Evidence::None), (Some(INTL), Evidence::TlsSni)]);
    assert_eq!((batch.rows[0].conversations, batch.ledger_of("names_ambiguous")), (2, (2, 0)));
    let flows = (5000..5002).map(|port| flow(https(port), 0, 125)).collect();
    let batch = drain(&mut pipeline, 2, flows);
    assert_eq!((names(&batch), batch.late_names.len()), (vec![(None, Evidence::None)], 0));
    assert_eq!(batch.ledger_of("names_ambiguous"), (0, 0), "each is told of once");
}

#[test]
fn two_devices_with_different_answers_for_one_address() {
    let mut pipeline = Pipeline::default();
    answer(&mut pipeline, PHONE, 61, b'p');
    answer(&mut pipeline, LAPTOP, 62, b'l');
    let of = |mac, port| flow(key(mac, SERVER, port, 443, protocol::TCP), 1, 65);
    let stranger = [0x7c, 0xff, 0, 0, 0, 1];
    let batch = drain(&mut pipeline, 1, vec![of(PHONE, 1), of(LAPTOP, 2), of(stranger, 3)]);
    let found: Vec<_> = names(&batch).into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, [Some("lata.mistat.xiaomi.com"), Some("pata.mistat.xiaomi.com"), None]);
}

#[test]
fn two_devices_behind_one_mac_address_do_not_share_answers() {
    let mut pipeline = Pipeline::default();
    answer(&mut pipeline, PHONE, 61, b'd');
    let other = |key| FlowKey { device_addr_low: u32::from_ne_bytes([192, 168, 1, 24]), ..key };
    let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62), flow(other(https(5001)), 1, 62)]);
    assert_eq!(names(&batch), [(None, Evidence::None), (Some(MISTAT), Evidence::Dns)]);
    assert!(batch.rows.iter().all(|row| row.conversations == 1));
}

#[test]
fn a_hello_after_the_drain_names_the_earlier_row() {
    let mut pipeline = Pipeline::default();
    let batch = drain(&mut pipeline, 1, vec![flow(https(5000), 1, 119), flow(https(5001), 1, 119)]);
    assert_eq!(names(&batch), [(None, Evidence::None)]);
    assert_eq!(batch.rows[0].conversations, 2);
    let unnamed = batch.rows[0].key.clone();
    say_hello(&mut pipeline, https(5000), 121, &post_quantum("late.example"));
    let batch = drain(&mut pipeline, 2, vec![flow(https(5000), 0, 121)]);
    assert_eq!(names(&batch), [(Some("late.example"), Evidence::TlsSni)]);
    let [late] = batch.late_names.as_slice() else { panic!("{:?}", batch.late_names) };
    assert_eq!((late.epoch.epoch, &late.from, late.name.as_str()), (1, &unnamed, "late.example"));
    assert_eq!((late.evidence, late.volume.bytes(), late.volume.packets()), (Evidence::TlsSni, 1100, 5));
    assert!(drain(&mut pipeline, 3, vec![flow(https(5000), 0, 181)]).late_names.is_empty(), "once");
}

#[test]
fn a_hello_behind_a_new_syn_does_not_name_the_earlier_row() {
    let mut pipeline = Pipeline::default();
    drain(&mut pipeline, 1, vec![flow(https(5000), 1, 100)]);
    say_hello(&mut pipeline, https(5000), 150, &openssl());
    let batch = drain(&mut pipeline, 2, vec![flow(https(5000), 1, 149)]);
    assert_eq!(names(&batch), [(Some(INTL), Evidence::TlsSni)]);
    assert!(batch.late_names.is_empty());
}

#[test]
fn an_answer_that_was_read_late_names_what_began_after_it_only() {
    let mut pipeline = Pipeline::default();
    drain(&mut pipeline, 1, vec![flow(https(5000), 1, 119), flow(https(5001), 1, 110)]);
    answer(&mut pipeline, PHONE, 118, b'd'); // Passed before the drain, read after it.
    let batch = drain(&mut pipeline, 2, vec![flow(https(5000), 0, 121), flow(https(5001), 0, 121)]);
    assert_eq!(batch.late_names.len(), 1);
    assert_eq!((batch.late_names[0].evidence, batch.late_names[0].answer_secs), (Evidence::Dns, Some(1)));
    // And it is remembered; the one begun before the answer stays unnamed.
    assert_eq!(names(&batch), [(None, Evidence::None), (Some(MISTAT), Evidence::Dns)]);
}

#[test]
fn each_flow_finds_its_kind_of_row() {
    let config = PipelineConfig {
        local: vec!["192.168.0.0/16".parse().expect("a prefix")],
        excluded: vec!["198.51.100.0/24".parse().expect("a prefix")],
        ..PipelineConfig::default()
    };
    let mut pipeline = Pipeline::new(config);
    let called = key(PHONE, [203, 0, 113, 9], 22, 51_000, protocol::TCP);
    let ping = key(PHONE, [203, 0, 113, 9], 7, 7, protocol::ICMP);
    let mut fragments = key(PHONE, [203, 0, 113, 9], 0, 0, protocol::UDP);
    fragments.flags |= FlowFlags::LATER_FRAGMENT;
    let local = key(PHONE, [192, 168, 1, 1], 40_000, 53, protocol::UDP);
    let excluded = key(PHONE, [198, 51, 100, 7], 40_000, 443, protocol::TCP);
    let six = FlowKey { flags: FlowFlags::VALID | FlowFlags::IPV6, ..https(1) };
    let keys = [called, ping, fragments, local, excluded, https(1).coarse(), six.coarse()];
    let flows = keys.map(|k| flow(k, if k == called { FlowState::OPENED_BY_PEER } else { 0 }, 61)).to_vec();
    let looked_up = LookedUp::default();
    let mut drained = drained(1, flows);
    // Counted for nobody: seen, and in no flow.
    for (stat, amount) in [
        (KernelStat::SeenPackets, 5),
        (KernelStat::SeenBytes, 1100),
        (KernelStat::NobodyPackets, 5),
        (KernelStat::NobodyBytes, 1100),
    ] {
        drained.stats.add(stat, amount);
    }
    let batch = pipeline.handle_drain(drained, &looked_up);
    assert_eq!(batch.check_conservation(), Ok(()));
    let found: Vec<_> = batch
        .rows
        .iter()
        .map(|r| (r.key.peer.to_string(), r.key.port, r.key.protocol, r.key.kind, r.key.opened_by))
        .collect();
    let unknown = OpenedBy::Unknown;
    let peer = || "203.0.113.9".to_owned();
    assert_eq!(
        found,
        [
            ("0.0.0.0".to_owned(), 0, protocol::TCP, RowKind::Coarse, unknown),
            ("192.168.1.1".to_owned(), 53, protocol::UDP, RowKind::Local, unknown),
            (peer(), 0, protocol::ICMP, RowKind::Flow, unknown),
            (peer(), 0, protocol::UDP, RowKind::LaterFragments, unknown),
            (peer(), 22, protocol::TCP, RowKind::Flow, OpenedBy::Peer),
            ("::".to_owned(), 0, protocol::TCP, RowKind::Coarse, unknown),
        ]
    );
    assert_eq!(batch.ledger_of("excluded"), (5, 1100));
    assert_eq!(batch.ledger_of("nobody"), (5, 1100));
    // One look-up for the one peer outside, in whatever rows it is.
    assert_eq!(looked_up.0.into_inner(), ["203.0.113.9".parse::<IpAddr>().expect("an address")]);
    assert_eq!(batch.networks.len(), 1);
}

#[derive(Default)]
struct LookedUp(RefCell<Vec<IpAddr>>);

impl Networks for LookedUp {
    fn network_of(&self, addr: IpAddr) -> Option<Network> {
        self.0.borrow_mut().push(addr);
        Some(Network { asn: Some(64_500), ..Network::default() })
    }
    fn as_of(&self) -> &str {
        "2026-01-01"
    }
}

#[test]
fn what_could_not_be_read_is_counted_once() {
    let mut pipeline = Pipeline::default();
    let (header, bytes) = sample(SampleKind::TLS, Direction::Up, https(1), 1, 1, &openssl());
    pipeline.handle_sample(&header, &bytes[..40]);
    pipeline.handle_sample(&header, &[]);
    say_hello(&mut pipeline, https(2), 1, b"\x16\x03\x01\x00\x00\x01\x00");
    let (header, bytes) = sample(SampleKind(200), Direction::Up, https(1), 1, 1, b"x");
    pipeline.handle_sample(&header, &bytes);
    let batch = drain(&mut pipeline, 1, vec![]);
    let lines: Vec<_> = batch.ledger.iter().map(|l| (l.counter.as_str(), l.packets)).collect();
    let expected =
        [("samples_cut_short", 2), ("samples_malformed", 1), ("samples_unread_kind", 1), ("seen", 0)];
    assert_eq!(lines, expected);
    assert_eq!(drain(&mut pipeline, 2, vec![]).ledger.len(), 1);
}

#[test]
fn a_hello_without_its_rest_is_given_up_at_a_drain() {
    let mut pipeline = Pipeline::default();
    say_hello(&mut pipeline, https(5000), 70, &post_quantum("a.example")[..600]);
    assert_eq!(drain(&mut pipeline, 1, vec![]).ledger_of("hellos_unfinished"), (0, 0));
    assert_eq!(drain(&mut pipeline, 2, vec![]).ledger_of("hellos_unfinished"), (1, 0));
}

#[test]
fn those_that_wait_are_bounded_and_counted() {
    let mut pipeline = Pipeline::default();
    let flows = (0..=MAX_AWAITING).map(|n| flow(https(u16::try_from(n).expect("small")), 1, 61)).collect();
    let batch = drain(&mut pipeline, 1, flows);
    assert_eq!(batch.ledger_of("late_names_not_awaited"), (1, 0));
}

#[test]
fn a_hello_that_contradicts_itself_names_nobody_and_is_counted() {
    let mut pipeline = Pipeline::default();
    say_hello(&mut pipeline, https(5000), 70, &post_quantum("a.example"));
    say_hello(&mut pipeline, https(5000), 71, &post_quantum("b.example"));
    say_hello(&mut pipeline, https(5001), 72, b"\0what is this");
    let batch = drain(&mut pipeline, 1, vec![flow(https(5000), FlowState::OPENED_BY_DEVICE, 70)]);
    assert_eq!(names(&batch), [(None, Evidence::None)]);
    assert_eq!(batch.rows[0].key.application, Application::Tls);
    assert_eq!(batch.ledger_of("hellos_contradictory"), (1, 0));
    assert_eq!(batch.ledger_of("openings_unlike"), (0, 0));
    let batch = drain(&mut pipeline, 2, vec![]);
    assert_eq!(batch.ledger_of("openings_unlike"), (1, 0));
    assert_eq!(batch.ledger_of("hellos_unfinished"), (0, 0));
}

#[test]
fn dns_over_https_is_told_by_the_resolvers_name() {
    let mut pipeline = Pipeline::default();
    say_hello(&mut pipeline, https(5000), 70, &post_quantum("dns.google"));
    let batch = drain(&mut pipeline, 1, vec![flow(https(5000), FlowState::OPENED_BY_DEVICE, 70)]);
    let marks = batch.rows[0].key.marks;
    assert_eq!((batch.rows[0].key.application, marks.has(Marks::OUTER_NAME)), (Application::Doh, true));
}

#[test]
fn a_syn_of_the_peer_does_not_unmake_what_the_device_opened() {
    let mut pipeline = Pipeline::default();
    say_hello(&mut pipeline, https(5000), 63, &openssl());
    drain(&mut pipeline, 1, vec![flow(https(5000), FlowState::OPENED_BY_DEVICE, 62)]);
    let batch = drain(&mut pipeline, 2, vec![flow(https(5000), FlowState::OPENED_BY_PEER, 125)]);
    assert_eq!(names(&batch), [(Some(INTL), Evidence::TlsSni)]);
    assert_eq!(batch.rows[0].key.opened_by, OpenedBy::Device);
}

#[test]
fn a_forgotten_conversation_does_not_take_the_word_of_the_one_before_it() {
    let mut pipeline = Pipeline::default();
    say_hello(&mut pipeline, https(5000), 63, &openssl());
    drain(&mut pipeline, 1, vec![flow(https(5000), 1, 62)]);
    drain(&mut pipeline, 2, vec![flow(https(5000), 1, 125)]);
    pipeline.conversations = ConversationsBook::default();
    let batch = drain(&mut pipeline, 3, vec![flow(https(5000), 0, 185)]);
    assert_eq!(names(&batch), [(None, Evidence::None)]);
}

#[test]
fn a_late_datagram_names_what_was_counted_just_before_and_nothing_else() {
    let quic = key(PHONE, SERVER, 5000, 443, protocol::UDP);
    for (secs, expected) in [(120 + LATE_DATAGRAM_SECS, 1), (121 + LATE_DATAGRAM_SECS, 0)] {
        let mut pipeline = Pipeline::default();
        drain(&mut pipeline, 1, vec![flow(quic, 0, 118)]);
        let name = DomainName::parse("late.example");
        let (evidence, application, at) = (Evidence::QuicSni, Application::Quic, BootTime(secs * SECOND));
        let said = Said { name, evidence, ..Said::nobody(application, at) };
        assert_eq!(pipeline.enter_said(quic, Some(said)), Ok(()));
        let batch = drain(&mut pipeline, 2, vec![flow(quic, 0, 121)]);
        assert_eq!(batch.late_names.len(), expected, "{secs}");
    }
}
