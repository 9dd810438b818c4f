//! What a daemon that is stopped and started again still knows: Writer and Pipeline as the daemon puts them together,
//! without a kernel.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::wire::{self, PEER, PHONE_ADDR, flow_key};
use fixture::{EVENING, MINUTE_NS, PHONE, addr, batch, name};
use gateway_common::{FlowState, StatBlock};
use gateway_core::application::Application;
use gateway_core::drained::{Drained, DrainedFlow};
use gateway_core::enrich::NoNetworks;
use gateway_core::pipeline::{Pipeline, PipelineConfig};
use gateway_core::query::{Filter, ToldAnswer};
use gateway_core::row::{Answer, Batch, EpochId, Evidence, Marks, Memory, OpenConversation, Said, Told};
use gateway_core::units::{BootTime, ClockPair, WallTime};
use gateway_user::store::{KEPT_FOR_SECS, MAX_ANSWERS, Reader, Writer};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const SECOND: u64 = 1_000_000_000;
const BOOT: &str = "6f1d6c8e-0000-4000-8000-000000000001";
const TABLES: u64 = u64::MAX - 3;

struct Gateway {
    _directory: TempDir,
    path: PathBuf,
    writer: Writer,
    pipeline: Pipeline,
}

impl Gateway {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("telltale.db");
        let writer = Writer::open(&path).unwrap();
        Self { _directory: directory, path, writer, pipeline: Pipeline::default() }
    }

    /// Drains the minute `turn`, in which this was counted.
    fn drain(&mut self, turn: u64, flows: Vec<DrainedFlow>) -> Batch {
        let Batch { epoch, interval, .. } = batch(turn);
        let drained = Drained { epoch, interval, flows, stats: StatBlock::default() };
        let batch = self.pipeline.handle_drain(drained, &NoNetworks);
        self.writer.append(&batch).unwrap();
        batch
    }

    /// Ends the daemon as SIGKILL does and starts it again at the end of the minute `turn`.
    fn restart(&mut self, turn: u64) {
        self.writer = Writer::open(&self.path).unwrap();
        self.pipeline = Pipeline::default();
        self.pipeline.restore(self.memory(turn));
    }

    /// Stops it in good order before.
    fn stop_and_start(&mut self, turn: u64) {
        let under_way = self.pipeline.open_conversations();
        self.writer.keep_conversations(BOOT, TABLES, &under_way).unwrap();
        self.restart(turn);
    }

    fn memory(&self, turn: u64) -> Memory {
        self.writer.memory(BOOT, TABLES, clocks(turn), true).unwrap()
    }
}

/// At the end of the minute `turn`.
fn clocks(turn: u64) -> ClockPair {
    let interval = batch(turn).interval;
    ClockPair { boot: interval.ended_boot, wall: interval.ended_at }
}

/// Within the minute `turn`, nanoseconds since boot.
fn at(turn: u64, secs: u64) -> u64 {
    batch(turn).interval.began_boot.0 + secs * SECOND
}

fn flow(port: u16, opened: u8, first_ns: u64) -> DrainedFlow {
    DrainedFlow {
        key: flow_key(port, 443, 6),
        up_bytes: 100,
        up_packets: 1,
        opened,
        first_boot_ms: Some((first_ns / 1_000_000) as u32),
        ..DrainedFlow::default()
    }
}

fn named(batch: &Batch) -> Vec<(Option<String>, Evidence)> {
    batch.rows.iter().map(|r| (r.key.name.as_ref().map(ToString::to_string), r.key.evidence)).collect()
}

#[test]
fn a_stop_between_the_hello_and_later_bytes_keeps_the_name() {
    let mut gateway = Gateway::new();
    let (header, bytes) = wire::hello(5000, at(1, 10), "said.example");
    gateway.pipeline.handle_sample(&header, &bytes);
    let opened = gateway.drain(1, vec![flow(5000, FlowState::OPENED_BY_DEVICE, at(1, 9))]);
    let said = [(Some("said.example".to_owned()), Evidence::TlsSni)];
    assert_eq!(named(&opened), said);
    gateway.stop_and_start(1);
    let later = gateway.drain(2, vec![flow(5000, 0, at(2, 5))]);
    assert_eq!(named(&later), said);
    assert_eq!(later.rows[0].key.opened_by, opened.rows[0].key.opened_by, "who opened is remembered");
    // Other tables have other conversations, and so has another boot.
    gateway.writer.keep_conversations(BOOT, TABLES, &gateway.pipeline.open_conversations()).unwrap();
    assert_eq!(gateway.memory(2).conversations.len(), 1);
    assert!(gateway.writer.memory(BOOT, 7, clocks(2), true).unwrap().conversations.is_empty());
    assert!(gateway.writer.memory("another", TABLES, clocks(2), true).unwrap().conversations.is_empty());
}

#[test]
fn what_was_under_way_is_old_once_another_interval_is_stored() {
    let mut gateway = Gateway::new();
    gateway.drain(1, vec![flow(5000, 1, at(1, 9))]);
    gateway.stop_and_start(1);
    assert_eq!(gateway.memory(1).conversations.len(), 1, "a start that fails takes nothing away");
    let mut capture = batch(2);
    capture.epoch.boot_id = "replay:0123456789abcdef".to_owned();
    gateway.writer.append(&capture).unwrap();
    assert_eq!(gateway.memory(1).conversations.len(), 1, "a capture takes nothing away");
    gateway.drain(2, Vec::new());
    gateway.restart(2);
    assert!(gateway.memory(2).conversations.is_empty());
}

#[test]
fn every_part_of_a_conversation_survives() {
    let mut gateway = Gateway::new();
    gateway.drain(1, Vec::new());
    let marks = Marks::COVERED.with(Marks::HAS_RIVALS);
    let full = OpenConversation {
        flow: flow_key(5000, 443, 6),
        opened: 3,
        said: Some(Said {
            name: Some(name("outer.example")),
            evidence: Evidence::QuicSni,
            is_outer: true,
            has_others: false,
            application: Application::Quic,
            at: BootTime(7),
        }),
        told: Told { name: Some(name("told.example")), marks, answer_secs: Some(12) },
        said_since: BootTime(5),
        last_seen: BootTime(9),
    };
    let silent = OpenConversation {
        flow: flow_key(5001, 443, 17),
        said: None,
        told: Told::default(),
        last_seen: BootTime(10),
        ..full.clone()
    };
    let mut shared = full.clone();
    shared.flow = flow_key(5002, 443, 17);
    shared.last_seen = BootTime(11);
    shared.said.as_mut().unwrap().has_others = true;
    let all = [full, silent, shared];
    gateway.writer.keep_conversations(BOOT, TABLES, &all).unwrap();
    assert_eq!(gateway.memory(1).conversations, all);
    gateway.writer.keep_conversations(BOOT, TABLES, &all[..1]).unwrap();
    assert_eq!(gateway.memory(1).conversations, all[..1]);
}

/// Told at second 0 of the minute `turn`, vouching for `secs`.
fn told(turn: u64, secs: u64, text: &str) -> Answer {
    Answer {
        device: PHONE,
        asker_ipv4: Some([192, 168, 1, 23].into()),
        addr: addr(PEER),
        name: name(text),
        chain: vec![name("a.cdn.example"), name("b.cdn.example")],
        answered_at: BootTime(at(turn, 0)),
        vouches_until: BootTime(at(turn, secs)),
        ttl_secs: 60,
    }
}

fn telling(turn: u64, answers: Vec<Answer>) -> Batch {
    Batch { answers, ..batch(turn) }
}

#[test]
fn answers_that_vouch_are_remembered_and_prolonged_ones_are_one() {
    let mut gateway = Gateway::new();
    let (first, second) = (told(1, 600, "a.example"), told(1, 90, "b.example"));
    let over_ipv6 = Answer { asker_ipv4: None, ..first.clone() };
    gateway.writer.append(&telling(1, vec![first.clone(), second.clone(), over_ipv6.clone()])).unwrap();
    assert_eq!(gateway.memory(1).answers, [first.clone(), second, over_ipv6.clone()]);
    let prolonged = Answer { vouches_until: BootTime(at(1, 900)), ttl_secs: 30, ..first };
    gateway.writer.append(&telling(2, vec![prolonged.clone()])).unwrap();
    let unprolonged = Answer { vouches_until: BootTime(at(1, 600)), ttl_secs: 60, ..prolonged.clone() };
    let before = [unprolonged, over_ipv6.clone()];
    assert_eq!(
        gateway.memory(2).answers,
        before,
        "the one of 90 s is over; the word that was prolonged is in time"
    );
    gateway.writer.append(&batch(9)).unwrap();
    assert_eq!(gateway.memory(9).answers, [prolonged.clone(), over_ipv6], "its word would have ended soon");
    assert_eq!(gateway.memory(11).answers, [prolonged]);
    assert_eq!(gateway.memory(16).answers, []);
}

fn kept(path: &Path) -> Vec<ToldAnswer> {
    Reader::open(path).unwrap().unwrap().answers(&Filter::default()).unwrap()
}

/// How many rows the table has; the reader joins them.
fn rows(gateway: &Gateway) -> u32 {
    let db = rusqlite::Connection::open(&gateway.path).unwrap();
    db.query_row("SELECT COUNT(*) FROM answer", [], |row| row.get(0)).unwrap()
}

#[test]
fn what_is_repeated_is_written_when_its_word_ends_soon_and_at_a_stop() {
    let mut gateway = Gateway::new();
    let first = told(1, 600, "a.example");
    let until = |secs| Answer { vouches_until: BootTime(at(1, secs)), ..first.clone() };
    for (turn, answers, expected) in [
        (1, vec![first.clone()], 1),
        (2, vec![until(660)], 1),
        (3, vec![until(720)], 1),
        (9, vec![until(720)], 2),  // What is in the table ends in a minute.
        (10, vec![until(720)], 2), // It says no more than the table.
        (11, vec![until(1200)], 3),
        (12, vec![until(1260)], 3),
    ] {
        gateway.writer.append(&telling(turn, answers)).unwrap();
        assert_eq!(rows(&gateway), expected, "drain {turn}");
    }
    gateway.stop_and_start(12);
    assert_eq!(rows(&gateway), 4, "a stop in good order loses nothing");
    assert_eq!(gateway.memory(12).answers, [until(1260)]);
    let spans = kept(&gateway.path);
    let ended = WallTime(EVENING + 1260 * SECOND as i64);
    let of = |told: &ToldAnswer| (told.answered_at, told.vouches_until);
    assert_eq!(spans.iter().map(of).collect::<Vec<_>>(), [(Some(WallTime(EVENING)), Some(ended))]);
}

#[test]
fn what_is_repeated_does_not_wait_when_another_name_was_told_of_the_address() {
    let mut gateway = Gateway::new();
    let first = told(1, 900, "a.example");
    let prolonged = Answer { vouches_until: BootTime(at(1, 1000)), ..first.clone() };
    let elsewhere = Answer { addr: addr("203.0.113.9"), ..told(2, 900, "c.example") };
    let rival = told(3, 900, "b.example");
    gateway.writer.append(&telling(1, vec![first.clone()])).unwrap();
    gateway.writer.append(&telling(2, vec![prolonged.clone(), elsewhere.clone()])).unwrap();
    assert_eq!(gateway.memory(2).answers, [first, elsewhere.clone()]);
    gateway.writer.append(&telling(3, vec![rival.clone()])).unwrap();
    assert_eq!(gateway.memory(3).answers, [prolonged, elsewhere, rival]);
}

#[test]
fn a_name_that_is_asked_for_again_after_its_word_ended_is_told_twice() {
    let mut gateway = Gateway::new();
    for turn in [1, 2, 9] {
        gateway.writer.append(&telling(turn, vec![told(turn, 90, "a.example")])).unwrap();
    }
    let times: Vec<_> = kept(&gateway.path)
        .iter()
        .map(|told| {
            [told.answered_at, told.vouches_until].map(|at| (at.unwrap().0 - EVENING) / SECOND as i64)
        })
        .collect();
    assert_eq!(times, [[0, 150], [480, 570]]);
    assert_eq!(gateway.memory(9).answers.len(), 1);
}

#[test]
fn after_a_reboot_answers_are_remembered_by_the_calendar() {
    let mut gateway = Gateway::new();
    let answer = told(1, 600, "a.example");
    let mut replayed = telling(1, vec![told(1, 600, "replayed.example")]);
    replayed.epoch.boot_id = "replay:1".into();
    let mut undated = telling(1, vec![told(1, 600, "undated.example")]);
    undated.epoch.boot_id = "third".into();
    undated.interval.is_clock_set = false;
    for batch in [telling(1, vec![answer.clone()]), replayed, undated] {
        gateway.writer.append(&batch).unwrap();
    }
    // Two minutes after the answer by the calendar, the gateway has been up for half a minute.
    let wall = WallTime(EVENING + 2 * MINUTE_NS as i64);
    let now = ClockPair { boot: BootTime(30 * SECOND), wall };
    let memory = |now, is_clock_set| gateway.writer.memory("next", 1, now, is_clock_set).unwrap().answers;
    let expected = Answer {
        answered_at: BootTime(0),
        vouches_until: BootTime((30 + 600 - 120) * SECOND),
        ..answer.clone()
    };
    assert_eq!(memory(now, true), [expected]);
    assert_eq!(memory(now, false), [], "who does not know the time cannot tell");
    let behind = ClockPair { wall: WallTime(EVENING - 1), ..now };
    assert_eq!(memory(behind, true), [], "a calendar that went back tells nothing");
    let late = ClockPair { wall: WallTime(EVENING + 601 * SECOND as i64), ..now };
    assert_eq!(memory(late, true), []);
}

#[test]
fn answers_from_before_the_clock_was_set_are_dated_later() {
    let mut gateway = Gateway::new();
    let mut undated = telling(1, vec![told(1, 600, "a.example")]);
    undated.interval.is_clock_set = false;
    gateway.writer.append(&undated).unwrap();
    assert_eq!(kept(&gateway.path)[0].answered_at, None);
    gateway.writer.append(&batch(2)).unwrap();
    let dated = kept(&gateway.path).remove(0);
    assert_eq!(dated.answered_at, Some(WallTime(EVENING)));
    assert_eq!(dated.vouches_until, Some(WallTime(EVENING + 600 * SECOND as i64)));
    assert_eq!((dated.chain.len(), dated.ttl_secs), (2, 60));
}

#[test]
fn answers_are_bounded_by_number_and_age() {
    let mut gateway = Gateway::new();
    let many = |from: usize, to: usize| {
        (from..to).map(|n| Answer {
            vouches_until: BootTime(at(1, 60) + n as u64),
            ..told(1, 0, &format!("n{n}.example"))
        })
    };
    let count =
        |path: &PathBuf| Reader::open(path).unwrap().unwrap().answers(&Default::default()).unwrap().len();
    gateway.writer.append(&telling(1, many(0, MAX_ANSWERS).collect())).unwrap();
    assert_eq!(count(&gateway.path), MAX_ANSWERS);
    gateway.writer.append(&telling(2, many(MAX_ANSWERS, MAX_ANSWERS + 1).collect())).unwrap();
    let left = count(&gateway.path);
    assert!(left < MAX_ANSWERS && left > MAX_ANSWERS * 9 / 10, "{left}");
    let reader = Reader::open(&gateway.path).unwrap().unwrap();
    let ledger = reader.ledger(gateway_core::query::TimeRange::EVER).unwrap();
    let dropped = ledger.iter().find(|line| line.counter == "answers_dropped").unwrap();
    assert_eq!(dropped.packets as usize, MAX_ANSWERS + 1 - left);
    let names: Vec<_> = reader.answers(&Default::default()).unwrap();
    assert!(names.iter().all(|a| a.name != name("n0.example")), "the oldest went");
    assert!(names.iter().any(|a| a.name == name(&format!("n{MAX_ANSWERS}.example"))), "the newest stayed");
    drop(reader);
    // A month later.
    let mut later = batch(3);
    let month = KEPT_FOR_SECS * SECOND as i64 + 10 * MINUTE_NS as i64;
    later.interval.began_at.0 += month;
    later.interval.ended_at.0 += month;
    later.epoch = EpochId { boot_id: "later".into(), ..later.epoch };
    gateway.writer.append(&later).unwrap();
    assert_eq!(count(&gateway.path), 0);
}

/// The same as a capture tells it.
fn replayed(mut batch: Batch) -> Batch {
    batch.epoch.boot_id = "replay:0123456789abcdef".to_owned();
    batch
}

#[test]
fn what_a_capture_tells_is_not_joined_with_what_the_gateway_was_told() {
    let mut gateway = Gateway::new();
    let prolonged = Answer { answered_at: BootTime(at(1, 30)), ..told(1, 90, "a.example") };
    gateway.writer.append(&telling(1, vec![told(1, 60, "a.example"), prolonged])).unwrap();
    let in_capture = Answer { answered_at: BootTime(at(1, 20)), ..told(1, 600, "a.example") };
    gateway.writer.append(&replayed(telling(1, vec![in_capture]))).unwrap();
    let second = SECOND as i64;
    let spans: Vec<_> = kept(&gateway.path)
        .iter()
        .map(|answer| (answer.answered_at, answer.vouches_until))
        .map(|(at, until)| ((at.unwrap().0 - EVENING) / second, (until.unwrap().0 - EVENING) / second))
        .collect();
    assert_eq!(spans, [(0, 90), (20, 600)]);
}

#[test]
fn a_capture_pushes_nothing_out_that_the_gateway_was_told() {
    let mut gateway = Gateway::new();
    gateway.writer.append(&telling(1, vec![told(1, 600, "gateway.example")])).unwrap();
    let many = |turn, count: usize| {
        let answers = (0..count).map(|n| told(1, 600, &format!("n{n}-{turn}.example")));
        replayed(telling(turn, answers.collect()))
    };
    gateway.writer.append(&many(1, MAX_ANSWERS)).unwrap();
    gateway.writer.append(&many(2, 1)).unwrap();
    let in_all = |gateway: &Gateway| rows(gateway) as usize;
    let left = in_all(&gateway);
    assert!(left < MAX_ANSWERS, "the captures' own bound holds: {left}");
    let names: Vec<_> = kept(&gateway.path).into_iter().map(|answer| answer.name).collect();
    assert!(names.contains(&name("gateway.example")) && names.contains(&name("n0-2.example")));
    assert!(!names.contains(&name("n0-1.example")), "the captures' oldest went");
    // A capture from the future takes nothing of the gateway's away, for all its age.
    let mut future = replayed(telling(3, vec![told(3, 600, "future.example")]));
    future.epoch.boot_id = "replay:fedcba9876543210".to_owned();
    future.interval.began_at.0 += 2 * KEPT_FOR_SECS * SECOND as i64;
    future.interval.ended_at.0 += 2 * KEPT_FOR_SECS * SECOND as i64;
    Writer::open(&gateway.path).unwrap().append(&future).unwrap();
    let names: Vec<_> = kept(&gateway.path).into_iter().map(|answer| answer.name).collect();
    assert_eq!(names, [name("future.example"), name("gateway.example")]);
    // And what the gateway was told is remembered by it alone.
    gateway.writer.append(&telling(4, vec![told(4, 600, "later.example")])).unwrap();
    let remembered: Vec<_> = gateway.memory(4).answers.into_iter().map(|answer| answer.name).collect();
    assert_eq!(remembered, [name("gateway.example"), name("later.example")]);
}

#[test]
fn what_was_told_of_excluded_networks_is_not_kept() {
    let kept = |excluded: &str| {
        let mut gateway = Gateway::new();
        let excluded = vec![excluded.parse().unwrap()];
        gateway.pipeline = Pipeline::new(PipelineConfig { excluded, ..PipelineConfig::default() });
        for (header, bytes) in wire::question_and_answer(at(1, 10), "asked.example", 300) {
            gateway.pipeline.handle_sample(&header, &bytes);
        }
        gateway.drain(1, Vec::new());
        gateway.memory(1).answers.len()
    };
    assert_eq!((kept("192.0.2.0/24"), kept("198.51.100.0/24")), (0, 1));
}

#[test]
fn a_kill_between_an_answer_and_the_connection_keeps_the_name() {
    let mut gateway = Gateway::new();
    for (header, bytes) in wire::question_and_answer(at(1, 10), "asked.example", 300) {
        gateway.pipeline.handle_sample(&header, &bytes);
    }
    gateway.drain(1, Vec::new());
    gateway.restart(1);
    let connected = gateway.drain(2, vec![flow(5000, FlowState::OPENED_BY_DEVICE, at(2, 5))]);
    assert_eq!(named(&connected), [(Some("asked.example".to_owned()), Evidence::Dns)]);
    assert_eq!(connected.rows[0].key.peer, addr(PEER));
    assert_eq!(connected.rows[0].oldest_answer_secs, Some(55));
    let reader = Reader::open(&gateway.path).unwrap().unwrap();
    let kept = reader.answers(&Default::default()).unwrap();
    assert_eq!(
        kept.iter().map(|a| (a.addr, a.asker_ipv4)).collect::<Vec<_>>(),
        [(addr(PEER), Some(PHONE_ADDR.into()))]
    );
}
