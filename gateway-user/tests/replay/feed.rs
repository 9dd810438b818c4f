//! A whole capture through the table: order, ends and what cannot be read.

use crate::writer::{Caught, Kind, Order, enhanced, interface, pcap, section, tcp, udp, up};
use gateway_core::drained::Drained;
use gateway_core::units::WallTime;
use gateway_user::replay::capture::{Capture, CaptureError, LinkType};
use gateway_user::replay::table::{MAX_CONVERSATIONS, Rules, Sample, Table};
use gateway_user::replay::{CAPTURE_CUT, Downstream, Fed, boot_id_of, feed, table_id_of};
use std::io::Cursor;

const SECOND: u64 = 1_000_000_000;
const AT: u64 = 1_699_999_980 * SECOND;

#[derive(PartialEq, Eq, Debug)]
enum Heard {
    Sample(u64),
    Interval(u64),
    Note(&'static str, u64),
}

#[derive(Default)]
struct Ear {
    heard: Vec<Heard>,
    is_full: bool,
}

impl Downstream for Ear {
    fn sample(&mut self, sample: &Sample<'_>) {
        self.heard.push(Heard::Sample((sample.header.boot_ns - AT) / SECOND));
    }
    fn drained(&mut self, drained: Drained) -> anyhow::Result<()> {
        anyhow::ensure!(!self.is_full, "no space left");
        self.heard.push(Heard::Interval((drained.interval.began_boot.0 - AT) / SECOND));
        Ok(())
    }
    fn note(&mut self, counter: &'static str, events: u64) {
        self.heard.push(Heard::Note(counter, events));
    }
}

fn rules() -> Rules {
    Rules {
        local: vec!["192.168.0.0/16".parse().unwrap()],
        gateway: None,
        drain_every_secs: 30,
        max_conversations: MAX_CONVERSATIONS,
    }
}

fn run(file: Vec<u8>, ear: &mut Ear) -> anyhow::Result<Fed> {
    let mut capture = Capture::from_reader(Box::new(Cursor::new(file)))?;
    let mut table = Table::new(rules(), boot_id_of(&capture), table_id_of(&rules()));
    feed(&mut capture, &mut table, ear)
}

fn question(secs: u64) -> Caught {
    Caught::whole(AT + secs * SECOND, up(17, &udp(40_000, 53, &[0; 30])))
}

fn data(secs: u64) -> Caught {
    Caught::whole(AT + secs * SECOND, up(6, &tcp(50_000, 22, 16, &[])))
}

#[test]
fn samples_come_before_their_interval() {
    let file =
        pcap(Order::Little, Kind::Nanos, 1, &[question(1), data(2), question(29), question(40), data(95)]);
    let mut ear = Ear::default();
    let fed = run(file, &mut ear).unwrap();
    let expected = [
        Heard::Sample(1),
        Heard::Sample(29),
        Heard::Interval(0),
        Heard::Sample(40),
        Heard::Interval(30),
        Heard::Interval(90),
    ];
    assert_eq!(ear.heard, expected);
    let at = |secs| WallTime((AT + secs * SECOND) as i64);
    assert_eq!((fed.frames, fed.range), (5, Some((at(0), at(120)))));
    assert!(fed.cut.is_none() && fed.unreadable.is_empty());
}

#[test]
fn a_capture_without_packets_has_no_intervals() {
    let mut ear = Ear::default();
    let fed = run(pcap(Order::Big, Kind::Micros, 1, &[]), &mut ear).unwrap();
    assert!(ear.heard.is_empty() && fed.range.is_none() && fed.frames == 0);
}

#[test]
fn a_cut_capture_is_used_as_far_as_it_goes() {
    let mut file = pcap(Order::Little, Kind::Nanos, 1, &[question(1), data(2), question(40)]);
    file.pop();
    let mut ear = Ear::default();
    let fed = run(file, &mut ear).unwrap();
    assert_eq!(ear.heard, [Heard::Sample(1), Heard::Note(CAPTURE_CUT, 1), Heard::Interval(0)]);
    assert!(fed.frames == 2 && matches!(fed.cut, Some(CaptureError::CutShort { .. })));
}

#[test]
fn packets_of_an_unreadable_link_are_counted_apart() {
    let mut file = section(Order::Little);
    file.extend(interface(Order::Little, 189, 0, Some(9), None));
    file.extend(interface(Order::Little, 1, 0, Some(9), None));
    let Caught { at, wire_len, bytes } = question(3);
    for n in [0, 1, 0] {
        file.extend(enhanced(Order::Little, n, at, wire_len, &bytes));
    }
    let mut ear = Ear::default();
    let fed = run(file, &mut ear).unwrap();
    assert_eq!(ear.heard, [Heard::Sample(3), Heard::Interval(0)]);
    assert_eq!(fed.unreadable.into_iter().collect::<Vec<_>>(), [(LinkType(189), 2)]);
    assert_eq!(fed.frames, 1);
}

#[test]
fn what_cannot_be_kept_ends_the_replay() {
    let mut ear = Ear { is_full: true, ..Ear::default() };
    let file = pcap(Order::Little, Kind::Nanos, 1, &[data(1), question(40)]);
    assert_eq!(run(file, &mut ear).unwrap_err().to_string(), "no space left");
    assert!(ear.heard.is_empty(), "nothing is decoded after it");
}

#[test]
fn epochs_are_named_by_content_and_rules() {
    let file = |secs| pcap(Order::Little, Kind::Nanos, 1, &[data(secs)]);
    let name = |file: Vec<u8>| boot_id_of(&Capture::from_reader(Box::new(Cursor::new(file))).unwrap());
    assert_eq!(name(file(1)), name(file(1)));
    assert_ne!(name(file(1)), name(file(2)));
    // Fixed for ever: databases hold these.
    assert_eq!(
        name(b"\n\r\r\n\x1c\0\0\0M<+\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0".to_vec()),
        "replay:6cc9a7e9575c5992"
    );
    let same = table_id_of(&rules());
    assert_eq!(same, table_id_of(&rules()));
    for other in [
        Rules { drain_every_secs: 31, ..rules() },
        Rules { local: vec![], ..rules() },
        Rules { gateway: Some(gateway_core::units::Mac([2; 6])), ..rules() },
    ] {
        assert_ne!(same, table_id_of(&other));
    }
}
