//! What the reading commands say of what is not there: intervals that cross the edges of a range, drains that are only
//! due, ports that were not hooked, dates that are wrong.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::house::House;
use fixture::{EVENING, MINUTE_NS, REDMI, balance, batch, key, row};
use gateway_core::row::{Batch, LedgerLine, RowKey, RowKind};
use gateway_core::units::{BootTime, WallTime};
use std::io::Read;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR_NS: u64 = 60 * MINUTE_NS;

/// A drain from `began` to `ended`, nanoseconds after 2020-11-22 18:00 in Berlin, that has this much of the Redmi's.
fn drain(turn: u64, began: u64, ended: u64, bytes: u64) -> Batch {
    let mut drain = batch(turn);
    let boot = |after: u64| BootTime(100 * MINUTE_NS + after);
    let wall = |after: u64| WallTime(EVENING + after.cast_signed());
    drain.interval.began_boot = boot(began);
    drain.interval.ended_boot = boot(ended);
    drain.interval.began_at = wall(began);
    drain.interval.ended_at = wall(ended);
    drain.rows = vec![row(key(REDMI, "47.241.1.5", None), bytes, 0, 1)];
    balance(&mut drain, &[]);
    drain
}

/// Nanoseconds from 2020-11-22 18:00 in Berlin to now.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    u64::try_from(now).unwrap() - EVENING.cast_unsigned()
}

fn said(house: &House, args: &[&str]) -> (String, String) {
    let output = house.run(args);
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn json(house: &House, args: &[&str]) -> serde_json::Value {
    serde_json::from_slice(&house.run(&[&["report", "--json"], args].concat()).stdout).unwrap()
}

#[track_caller]
fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
}

#[test]
fn an_interval_of_days_leaves_none_of_its_days_quiet() {
    // Sunday 18:00 to Wednesday 18:00: the daemon was away and the kernel went on counting.
    let house = House::with(&[drain(1, 0, 72 * HOUR_NS, 5_000_000_000)]);
    let where_it_is = "5.0 GB of an interval 2020-11-22 18:00 +01:00 to 2020-11-25 18:00 +01:00, counted while nobody \
        drained, are filed under the range where it began";
    for day in ["2020-11-23", "2020-11-25"] {
        let (text, why) = said(&house, &["report", "--day", day]);
        has(&text, &["complete: no", where_it_is]);
        has(&why, &[where_it_is]);
        let text = text + &why;
        assert!(!text.contains("Not seen") && !text.to_lowercase().contains("no traffic"), "{text}");
        for args in [["top", "names", "--day", day], ["flows", "--all", "--since", day]] {
            let args: Vec<_> = args.into_iter().filter(|arg| *arg != "--all").collect();
            let (_, why) = said(&house, &args);
            has(&why, &[where_it_is]);
        }
        let json = json(&house, &["--day", day]);
        assert_eq!(json["is_complete"], false);
        assert_eq!(json["complete_until"], serde_json::Value::Null);
    }
    let (text, _) = said(&house, &["report", "--day", "2020-11-22"]);
    has(&text, &["complete: no", "5.0 GB in this report are of 1 interval", "may belong after this range"]);
    let (text, _) = said(&house, &["report", "--all"]);
    has(&text, &["complete: yes"]);
}

#[test]
fn an_ordinary_interval_across_an_edge_is_a_note() {
    let minutes = (0..4).map(|n| drain(n + 1, n * MINUTE_NS, (n + 1) * MINUTE_NS, 1_000 + n));
    let house = House::with(&minutes.collect::<Vec<_>>());
    let range = ["report", "--bytes", "--since", "2020-11-22 18:00:20", "--until", "2020-11-22 18:03:10"];
    let (text, _) = said(&house, &range);
    has(&text, &["complete: yes", "note: 1000 bytes of the interval", "note: 1003 bytes of the interval"]);
}

#[test]
fn what_is_not_drained_yet_is_not_called_complete() {
    let now = now();
    let drains = (1..=4).map(|n| drain(n, now - (5 - n) * MINUTE_NS, now - (4 - n) * MINUTE_NS, 1_000));
    // The last three; a minute has passed since.
    let drains: Vec<_> = drains.take(3).collect();
    let house = House::with(&drains);
    let (text, _) = said(&house, &["report", "--last", "3 min"]);
    has(&text, &["complete up to 20", "what comes after is not stored yet"]);
    let json = json(&house, &["--last", "3 min"]);
    assert_eq!(json["is_complete"], false);
    assert_eq!(json["complete_until"], json["not_stored_yet_since"]);
    assert!(json["complete_until"].is_string());
    let (text, why) = said(&house, &["report", "--last", "10 s"]);
    assert_eq!(text, "");
    has(&why, &["is stored yet: the last drain was at 20"]);
}

#[test]
fn a_stretch_within_one_drain_is_not_complete() {
    let now = now();
    let house = House::with(&[drain(1, now - HOUR_NS, now - 10_000_000_000, 1_000)]);
    let (text, why) = said(&house, &["report", "--last", "5 min"]);
    has(&text, &["complete: no", "1.0 kB of an interval"]);
    has(&why, &["1.0 kB of an interval"]);
}

#[test]
fn an_unhooked_port_is_not_complete() {
    let mut drains = [drain(1, 0, MINUTE_NS, 1), drain(2, MINUTE_NS, 2 * MINUTE_NS, 1)];
    for (drain, counter) in drains.iter_mut().zip(["unhooked_ports", "no_ports"]) {
        drain.ledger.push(LedgerLine { counter: counter.into(), packets: 3, bytes: None });
        drain.ledger.sort();
    }
    let (text, _) = said(&House::with(&drains), &["report", "--all"]);
    has(&text, &["complete: no", "2 intervals had a LAN port that was not hooked (or no port at all)"]);
}

#[test]
fn books_that_do_not_balance_are_not_complete() {
    let mut found = drain(1, 0, MINUTE_NS, 1);
    found.ledger.push(LedgerLine { counter: "imbalance".into(), packets: 2, bytes: Some(30) });
    found.ledger.sort();
    let (text, _) = said(&House::with(&[found]), &["report", "--all"]);
    has(&text, &["complete: no", "did not balance when they were drained, by 2 packets (30 bytes)"]);
    // Bytes alone agree.
    let mut missed = drain(1, 0, MINUTE_NS, 1);
    missed.ledger.iter_mut().for_each(|line| line.packets += 1);
    let (text, _) = said(&House::with(&[missed]), &["report", "--all"]);
    has(&text, &["complete: no", "the books do not balance: 3 packets (1 bytes) seen, 2 packets (1 bytes)"]);
}

#[test]
fn a_wrong_date_spoils_no_other_day() {
    let mut undated = drain(9, 0, MINUTE_NS, 777);
    undated.epoch.boot_id = "another boot".into();
    undated.interval.began_at = WallTime(0);
    undated.interval.ended_at = WallTime(MINUTE_NS.cast_signed());
    undated.interval.is_clock_set = false;
    let house = House::with(&[drain(1, 0, MINUTE_NS, 1_000), undated.clone()]);
    let (text, _) = said(&house, &["report", "--all"]);
    has(
        &text,
        &["complete: yes", "1.0 kB up", "note: 1 interval counted while the gateway did not know the time"],
    );
    assert!(!text.contains("not measured"), "{text}");
    // With nothing else, it is what there is.
    let (text, _) = said(&House::with(&[undated]), &["report", "--all"]);
    has(&text, &["777 B up", "1970-01-01"]);

    let now = now();
    let mut future = drain(9, 0, MINUTE_NS, 1);
    future.epoch.boot_id = "another boot".into();
    future.interval.began_at = WallTime(EVENING + (now + 9_000 * HOUR_NS).cast_signed());
    future.interval.ended_at = WallTime(future.interval.began_at.0 + MINUTE_NS.cast_signed());
    let house = House::with(&[drain(1, now - 5 * MINUTE_NS, now - MINUTE_NS, 1_000), future]);
    let (text, _) = said(&house, &["report", "--last", "4 min"]);
    assert!(!text.contains("not measured"), "{text}");
    let (text, _) = said(&house, &["report", "--all"]);
    assert!(!text.contains("not measured"), "{text}");
}

#[test]
fn traffic_in_the_house_is_called_so() {
    let mut local = batch(1);
    let key = RowKey { kind: RowKind::Local, ..key(REDMI, "192.168.1.1", None) };
    local.rows = vec![row(key, 6_000, 11_000, 40)];
    balance(&mut local, &[]);
    let house = House::with(&[local]);
    house.check_line(&["top", "names", "--all"], 1, "only traffic that stayed in the house was seen");
    has(&said(&house, &["flows", "--all"]).0, &["(in the house)"]);
    let (text, _) = said(&house, &["report", "--all"]);
    has(&text, &["Only traffic that stayed in the house was seen."]);
}

#[test]
fn rows_without_a_peer_may_be_local() {
    let house = House::evening();
    for args in [["flows", "--all"].as_slice(), &["top", "names", "--all"], &["report", "--all"]] {
        has(&said(&house, args).0, &["peer unknown: tables were full", "may include traffic in the house"]);
    }
    let (text, _) = said(&house, &["report", "--all"]);
    // Below the device, below the evidence, and where the report says whether it is all.
    assert_eq!(text.matches("may include traffic in the house").count(), 3, "{text}");
}

#[test]
fn who_pages_through_an_answer_holds_no_transaction() {
    let mut many = batch(1);
    // More than a pipe holds (64 KiB).
    many.rows =
        (0..400).map(|n| row(key(REDMI, &format!("10.0.{}.{}", n / 200, n % 200), None), 1, 1, 1)).collect();
    balance(&mut many, &[]);
    let house = House::with(&[many]);
    let mut writer = house.writer();
    writer.append(&batch(2)).unwrap();
    let mut child = house.command(&["flows", "--all", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut page = child.stdout.take().unwrap();
    // It writes, and stands still while nobody reads on.
    page.read_exact(&mut [0]).unwrap();
    writer.append(&batch(3)).unwrap();
    let other = rusqlite::Connection::open(house.database()).unwrap();
    let is_busy: bool = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert!(!is_busy, "the log of writes cannot be folded in");
    let mut rest = Vec::new();
    page.read_to_end(&mut rest).unwrap();
    assert!(rest.len() > 65_536 && child.wait().unwrap().success());
}
