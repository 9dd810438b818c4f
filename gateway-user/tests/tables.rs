//! Updated tables as a person meets them: the program with a bad file beside its database says so in one line and
//! answers from its own table.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod fixture;

use fixture::house::House;
use std::process::Output;

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
/// Each kind of table, and a command that needs it.
const KINDS: [(&str, &[&str]); 4] = [
    ("networks", &["who", "8.8.8.8"]),
    ("owners", &["report", "--all"]),
    ("suffixes", &["report", "--all"]),
    ("vendors", &["devices"]),
];

fn said(output: &Output) -> (String, String) {
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
#[test]
fn a_bad_table_is_one_line_and_changes_no_answer() {
    let house = House::evening();
    let tables = house.directory.path().join("tables");
    std::fs::create_dir(&tables).unwrap();
    for (word, command) in KINDS {
        let (answer, silence) = said(&house.run(command));
        assert_eq!(silence, "");
        let path = tables.join(format!("{word}.bin.zst"));
        std::fs::write(&path, b"<html>please log in</html>").unwrap();
        let (same, line) = said(&house.run(command));
        assert_eq!(same, answer, "{word}");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.starts_with("telltale: refuse the table of "), "{line}");
        let remedy = format!("`telltale update --table {word}`");
        assert!(line.contains(&*path.to_string_lossy()) && line.contains(&remedy), "{line}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[cfg(not(any(feature = "tables-full", feature = "tables-small")))]
#[test]
fn a_program_without_tables_says_unknown_and_why() {
    let house = House::evening();
    for (command, why) in [
        (&["who", "data.mistat.xiaomi.com"][..], "unknown: this program has no table of owners"),
        (&["who", "47.241.1.5"], "unknown: this program has no table of networks"),
        (&["report", "--all"], "Owners and purposes unknown: this program has no table of owners"),
    ] {
        let (answer, silence) = said(&house.run(command));
        assert!(answer.contains(why), "{answer}");
        assert!(silence.is_empty() || silence.contains("know anything of"), "{silence}");
    }
}
