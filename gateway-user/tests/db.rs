//! `telltale db` and `telltale sql`: what is forgotten is in no file any more, and the account still adds up.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::{LAPTOP, REDMI, balance, batch, house::House, key, name, row};
use gateway_core::query::{Filter, TimeRange};
use gateway_core::row::{Answer, Batch, Evidence};
use gateway_core::units::BootTime;
use gateway_user::store::Reader;

const SECRET: &str = "data.mistat.intl.xiaomi.com";

/// Like an evening, and an answer of the DNS that tells the name.
fn house() -> House {
    let house = House::evening();
    let mut told = batch(90);
    told.rows = vec![row(key(REDMI, "47.241.1.5", Some((SECRET, Evidence::Dns))), 10, 20, 1)];
    told.answers = vec![Answer {
        device: REDMI,
        asker_ipv4: None,
        addr: "47.241.1.5".parse().unwrap(),
        name: name("www.example.com"),
        chain: vec![name(SECRET)],
        answered_at: BootTime(1),
        vouches_until: BootTime(2),
        ttl_secs: 60,
    }];
    balance(&mut told, &[]);
    house.writer().append(&told).unwrap();
    house
}

fn holds(house: &House, what: &[u8]) -> bool {
    let files = std::fs::read_dir(house.directory.path()).unwrap();
    files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .any(|bytes| bytes.windows(what.len()).any(|part| part == what))
}

fn seen_and_stored(house: &House) -> (u64, u64, u64) {
    let reader = Reader::open(&house.database()).unwrap().unwrap();
    let ledger = reader.ledger(TimeRange::EVER).unwrap();
    let of = |counter| ledger.iter().find(|l| l.counter == counter).and_then(|l| l.bytes).unwrap_or(0);
    (of("seen"), of("forgotten"), reader.stored(TimeRange::EVER).unwrap().bytes())
}

#[test]
fn a_forgotten_name_is_in_no_file() {
    let house = house();
    // Freed before anybody asked to forget it: it lies in a free page.
    let (seen, _, stored) = seen_and_stored(&house);
    assert!(holds(&house, SECRET.as_bytes()));
    let done = house.run(&["db", "forget", "*.xiaomi.com", "--yes"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(!holds(&house, b"xiaomi.com"), "{done:?}");
    let (after, forgotten, left) = seen_and_stored(&house);
    assert_eq!(after, seen);
    assert!(forgotten > 0 && forgotten + left == stored, "{forgotten} {left} {stored}");
    assert_eq!(house.run(&["db", "verify"]).status.code(), Some(0));
}

#[test]
fn a_forgotten_device_is_in_no_file_with_what_it_alone_had() {
    let house = house();
    let (_, _, stored) = seen_and_stored(&house);
    for part in [&REDMI.0[..], b"Redmi Note 8", b"RedmiNote8-Redmi", SECRET.as_bytes()] {
        assert!(holds(&house, part), "{part:?}");
    }
    let done = house.run(&["db", "forget", "redmi note 8", "--yes"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    for part in [&REDMI.0[..], b"Redmi Note 8", b"RedmiNote8-Redmi", SECRET.as_bytes()] {
        assert!(!holds(&house, part), "{part:?}");
    }
    assert!(holds(&house, &LAPTOP.0) && holds(&house, b"www.google.com"), "the others' stays");
    let (_, forgotten, left) = seen_and_stored(&house);
    assert_eq!(forgotten + left, stored);
    assert_eq!(house.run(&["db", "verify"]).status.code(), Some(0));
    assert_eq!(house.run(&["db", "forget", "redmi note 8", "--yes"]).status.code(), Some(1));
}

#[test]
fn a_writer_that_is_open_goes_on_after_somebody_forgot() {
    let house = house();
    let mut writer = house.writer();
    let again = |turn| -> Batch {
        let mut batch = batch(turn);
        batch.rows = vec![row(key(REDMI, "47.241.1.5", Some((SECRET, Evidence::Dns))), 10, 20, 1)];
        balance(&mut batch, &[]);
        batch
    };
    writer.append(&again(95)).unwrap();
    assert_eq!(house.run(&["db", "forget", SECRET, "--yes"]).status.code(), Some(0));
    writer.append(&again(96)).unwrap();
    drop(writer);
    assert_eq!(house.run(&["db", "verify"]).status.code(), Some(0));
}

#[test]
fn the_number_of_a_forgotten_name_that_another_gets_misnames_nobody() {
    const LATEST: &str = "latest.example";
    let house = house();
    let mut writer = house.writer();
    let of = |turn, rows: &[(&str, &str, u64)]| -> Batch {
        let mut batch = batch(turn);
        let row_of = |(peer, name, up): &(&str, &str, u64)| {
            row(key(REDMI, peer, Some((name, Evidence::Dns))), *up, 20, 1)
        };
        batch.rows = rows.iter().map(row_of).collect();
        balance(&mut batch, &[]);
        batch
    };
    writer.append(&of(95, &[("47.241.1.5", LATEST, 10)])).unwrap();
    let number = |name: &str| -> i64 {
        let db = rusqlite::Connection::open(house.database()).unwrap();
        db.query_row("SELECT id FROM name WHERE text = ?", [name], |row| row.get(0)).unwrap()
    };
    let freed = number(LATEST);
    assert_eq!(house.run(&["db", "forget", LATEST, "--yes"]).status.code(), Some(0));
    writer.append(&of(96, &[("47.241.1.1", "fresh.example", 1_000), ("47.241.1.5", LATEST, 7)])).unwrap();
    drop(writer);
    assert_eq!(number("fresh.example"), freed, "the number is used again, as this test needs it");
    let reader = Reader::open(&house.database()).unwrap().unwrap();
    let up_of = |name: &str| -> u64 {
        let filter = Filter { names: vec![name.parse().unwrap()], ..Filter::default() };
        reader.flows(TimeRange::EVER, &filter).unwrap().iter().map(|flow| flow.volume.up_bytes).sum()
    };
    assert_eq!((up_of("fresh.example"), up_of(LATEST)), (1_000, 7));
}

#[test]
fn nothing_is_forgotten_without_a_word() {
    let house = house();
    let output = house.run(&["db", "forget", "Redmi Note 8"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--yes"));
    assert!(holds(&house, &REDMI.0));
}

#[test]
fn a_copy_is_whole_and_replaces_nothing() {
    let house = house();
    let copy = house.directory.path().join("copy.db");
    let target = copy.to_str().unwrap();
    assert_eq!(house.run(&["db", "backup", target]).status.code(), Some(0));
    assert_eq!(house.run(&["db", "verify", "--database", target]).status.code(), Some(0));
    assert_eq!(house.run(&["db", "backup", target]).status.code(), Some(2));
    let stored = |path| Reader::open(path).unwrap().unwrap().stored(TimeRange::EVER).unwrap();
    assert_eq!(stored(&copy), stored(&house.database()));
    assert_eq!(house.run(&["db", "vacuum"]).status.code(), Some(0));
    let status = house.run(&["db", "status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["free_bytes"], 0);
    assert_eq!(status["rows"][1]["rows"], 0);
}

#[test]
fn bytes_that_are_missing_are_found() {
    let house = house();
    let db = rusqlite::Connection::open(house.database()).unwrap();
    db.execute("UPDATE flow SET up_bytes = up_bytes + 1 WHERE interval = 1 AND kind = 3", []).unwrap();
    drop(db);
    let output = house.run(&["db", "verify"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("interval 1 has seen"), "{output:?}");
}

#[test]
fn questions_in_sql_are_answered_and_change_nothing() {
    let house = house();
    let run = |args: &[&str]| house.run(&[&["sql"], args].concat());
    let said = run(&[
        "SELECT device, sum(up_bytes) AS up FROM v_flow WHERE name IS NULL GROUP BY 1 ORDER BY 1",
        "--csv",
    ]);
    assert!(String::from_utf8_lossy(&said.stdout).starts_with("device,up\n"), "{said:?}");
    let said = run(&["SELECT day, device FROM v_day WHERE name = 'www.google.com' LIMIT 1", "--json"]);
    let rows: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(rows[0]["day"], "2020-11-22");
    assert_eq!(run(&["SELECT 1 WHERE 0"]).status.code(), Some(1));
    for bad in ["DELETE FROM flow", "SELECT nonsense", "DROP VIEW v_day", "PRAGMA user_version = 9"] {
        let before = seen_and_stored(&house);
        let said = run(&[bad]);
        assert_ne!(said.status.code(), Some(0), "{bad}: {said:?}");
        assert_eq!(seen_and_stored(&house), before);
    }
}
