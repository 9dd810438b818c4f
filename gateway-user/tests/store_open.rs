//! Files that are not what they should be: one clear line each, and nothing is harmed.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use gateway_core::application::Application;
use gateway_core::query::{Filter, TimeRange};
use gateway_core::row::{Evidence, Marks, NetworkMarks};
use gateway_user::store::{Appended, Reader, Writer};
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("telltale.db");
    (directory, path)
}

/// Both ways of opening fail with one line that names the file and has these words.
#[track_caller]
fn check_refused(path: &Path, words: &str) {
    let writing = Writer::open(path).map(|_| ()).unwrap_err();
    let reading = Reader::open(path).map(|_| ()).unwrap_err();
    for error in [writing, reading] {
        let line = format!("{error:#}");
        assert!(line.contains(words) && line.contains(path.to_str().unwrap()), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}

#[test]
fn the_file_and_its_directory_are_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/telltale.db");
    let mut writer = Writer::open(&path).unwrap();
    writer.append(&fixture::batch(1)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&directory.path().join("a/b/telltale.db-wal")), 0o600);
    assert_eq!(mode(&directory.path().join("a/b")), 0o700);
}

#[test]
fn no_file_and_an_empty_file_hold_no_data_yet() {
    let (_directory, path) = place();
    assert!(Reader::open(&path).unwrap().is_none());
    assert!(!path.exists(), "looking must not make one");
    std::fs::write(&path, "").unwrap();
    assert!(Reader::open(&path).unwrap().is_none());
    let mut writer = Writer::open(&path).unwrap();
    assert_eq!(writer.append(&fixture::batch(1)).unwrap(), Appended::Stored);
}

#[test]
fn a_newer_schema_is_refused_with_both_versions() {
    let (_directory, path) = place();
    drop(Writer::open(&path).unwrap());
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    check_refused(&path, "it has schema 99, this program knows up to ");
    let version: i32 =
        Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    assert_eq!(version, 99, "refusing changes nothing");
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let (_directory, path) = place();
    let db = Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(db);
    let before = std::fs::read(&path).unwrap();
    check_refused(&path, "some other program");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_text_file_is_refused_and_left_alone() {
    let (_directory, path) = place();
    let text = "this is a shopping list\n".repeat(50);
    std::fs::write(&path, &text).unwrap();
    check_refused(&path, "not an SQLite file");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_directory_is_refused() {
    let (directory, _) = place();
    check_refused(directory.path(), "directory");
}

#[test]
fn a_path_that_cannot_be_written_is_named_with_a_remedy() {
    for path in ["/dev/null/telltale.db", "/proc/telltale/telltale.db"] {
        let line = format!("{:#}", Writer::open(Path::new(path)).map(|_| ()).unwrap_err());
        assert!(line.contains(path.rsplit_once('/').unwrap().0) && line.contains("--database"), "{line}");
    }
}

#[test]
fn a_failed_upgrade_leaves_the_file_as_it_was() {
    let (_directory, path) = place();
    // Marked as ours, without a schema, and a table in the way of the first one.
    let db = Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA application_id = 0x54454c4c; CREATE TABLE ledger (x)").unwrap();
    drop(db);
    let line = format!("{:#}", Writer::open(&path).map(|_| ()).unwrap_err());
    assert!(line.contains("bring the database") && line.contains(path.to_str().unwrap()), "{line}");
    let db = Connection::open(&path).unwrap();
    let tables: i64 = db.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |r| r.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn a_database_beside_which_nothing_can_be_made_can_be_read() {
    let (directory, path) = place();
    let mut writer = Writer::open(&path).unwrap();
    for batch in fixture::evening() {
        writer.append(&batch).unwrap();
    }
    drop(writer);
    let odd = directory.path().join("a?b#c%d.db");
    std::fs::copy(&path, &odd).unwrap();
    // What a read-only directory does to everyone, this does even to root: SQLite cannot make its file here.
    std::fs::create_dir(directory.path().join("a?b#c%d.db-shm")).unwrap();
    assert_eq!(Reader::open(&odd).unwrap().unwrap().devices().unwrap().len(), 3);
}

#[test]
fn reading_goes_on_while_the_writer_writes() {
    let (_directory, path) = place();
    let mut writer = Writer::open(&path).unwrap();
    let early = Reader::open(&path).unwrap().unwrap();
    assert_eq!(early.extent().unwrap(), None);
    for (batch, count) in fixture::evening().iter().zip(1..) {
        writer.append(batch).unwrap();
        let reader = Reader::open(&path).unwrap().unwrap();
        assert_eq!(reader.counted(TimeRange::EVER).unwrap().len(), count);
    }
    // One reader's answers fit together.
    assert!(early.counted(TimeRange::EVER).unwrap().is_empty());
}

/// What the program that knew schema 1 alone left: two drains, three rows.
const OLD: &str = "
    INSERT INTO origin VALUES (1, 'boot', 7);
    INSERT INTO interval VALUES (1, 1, 1, 0, 10, 1000, 1010, 1), (2, 1, 2, 10, 20, 1010, 1020, 1);
    INSERT INTO device (id, mac, label, vendor_class) VALUES (1, x'7c03ab123456', 'Redmi', 'android-dhcp-10');
    INSERT INTO peer (id, addr, asn) VALUES (1, x'2ff10105', 45102);
    INSERT INTO name VALUES (1, 'a.example');
    INSERT INTO flow VALUES (1, 1, 1, 443, 6, 0, 1, 1, 4, 100, 200, 3, 4, 5),
                            (1, 1, 1, 443, 6, 0, 1, 0, 0, 10, 20, 1, 1, 1),
                            (2, 1, 1, 443, 6, 0, 1, 1, 1, 1, 2, 1, 1, 1);
    INSERT INTO ledger VALUES (1, 'seen', 9, 330);
    PRAGMA application_id = 0x54454c4c;
    PRAGMA user_version = 1;
";

fn old(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.execute_batch(include_str!("../src/store/migrations/0001.sql")).unwrap();
    db.execute_batch(OLD).unwrap();
    db
}

#[test]
fn a_database_of_schema_1_is_brought_up_to_date_with_all_that_is_in_it() {
    let (_directory, path) = place();
    drop(old(&path));
    let line = format!("{:#}", Reader::open(&path).map(|_| ()).unwrap_err());
    assert!(
        line.contains("it has schema 1, this program reads ")
            && line.ends_with("; `telltale run` brings it up to date"),
        "{line}"
    );
    let mut writer = Writer::open(&path).unwrap();
    let reader = Reader::open(&path).unwrap().unwrap();
    let flows = reader.flows(TimeRange::EVER, &Filter::default()).unwrap();
    let found: Vec<_> = flows
        .iter()
        .map(|f| (f.key.name.as_ref().map(ToString::to_string), f.key.evidence, f.volume.up_bytes))
        .collect();
    let name = Some("a.example".to_owned());
    let expected =
        [(None, Evidence::None, 10), (name.clone(), Evidence::Dns, 1), (name, Evidence::TlsSni, 100)];
    assert_eq!(found, expected);
    for flow in &flows {
        assert_eq!((flow.key.marks, flow.key.application), (Marks::NONE, Application::Unknown));
        assert_eq!(flow.oldest_answer_secs, None);
        assert_eq!((flow.network.registered, flow.network.marks), (None, NetworkMarks::NONE));
    }
    assert_eq!(reader.devices().unwrap()[0].vendor_class.as_deref(), Some("android-dhcp-10"));
    assert_eq!(reader.ledger(TimeRange::EVER).unwrap()[0].bytes, Some(330));
    assert_eq!(writer.last_epoch("boot", 7).unwrap(), Some(2));
    assert_eq!(writer.append(&fixture::batch(1)).unwrap(), Appended::Stored);
    // A new database and one brought up to date have the same shape.
    let (_other, fresh) = place();
    drop(Writer::open(&fresh).unwrap());
    let shape = |path: &Path| -> Vec<(String, Option<String>)> {
        let db = Connection::open(path).unwrap();
        let mut rows = db.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(shape(&path), shape(&fresh));
}

#[test]
fn an_upgrade_that_fails_leaves_schema_1_as_it_was() {
    let (_directory, path) = place();
    // Stands in the way of a table that comes last.
    old(&path).execute_batch("CREATE TABLE conversation (x)").unwrap();
    let line = format!("{:#}", Writer::open(&path).map(|_| ()).unwrap_err());
    assert!(line.contains("bring the database") && line.contains("conversation"), "{line}");
    let db = Connection::open(&path).unwrap();
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("SELECT user_version FROM pragma_user_version"), 1);
    assert_eq!(number("SELECT SUM(up_bytes) FROM flow"), 111);
    assert_eq!(number("SELECT COUNT(*) FROM pragma_table_info('flow') WHERE name = 'marks'"), 0);
}
