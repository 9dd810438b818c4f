#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;
use gateway_core::enrich::envelope::TableDate;
use gateway_core::enrich::lists::ListFormat;
#[cfg(any(feature = "tables-full", feature = "tables-small"))]
use gateway_core::enrich::names::Standing;
use gateway_core::units::DomainName;
use std::fs::write;
use std::path::PathBuf;

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn owner_of(loaded: &Loaded, text: &str) -> Option<String> {
    loaded.tables.ownership_of(&name(text)).map(|found| found.owner.name.to_string())
}

#[test]
fn without_other_files_the_embedded_tables_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let loaded = load(dir.path(), &[]).unwrap();
    assert_eq!((loaded.warnings.len(), loaded.tables), (0, embedded().unwrap()));
}

fn list(path: PathBuf, name: &str, date: Option<TableDate>) -> ListConfig {
    ListConfig { path, name: name.into(), date, format: ListFormat::Auto }
}

#[test]
fn lists_are_read_in_their_order_and_a_bad_one_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    write(path("mine.json"), r#"[{"name": "example.org", "owner": "Mine", "purpose": "push"}]"#).unwrap();
    write(path("hosts"), "0.0.0.0 ads.example.org\n0.0.0.0 x y/z\n").unwrap();
    write(path("broken.json"), "[{").unwrap();
    let configs = [
        list(path("mine.json"), "mine", Some(TableDate(20_777))),
        list(path("hosts"), "hosts", None),
        list(path("broken.json"), "broken", None),
        list(path("none"), "none", None),
    ];
    let loaded = load(dir.path(), &configs).unwrap();
    assert_eq!(owner_of(&loaded, "ads.example.org").as_deref(), Some("Mine"));
    let ads = name("ads.example.org");
    let listings = loaded.tables.listings_of(&ads);
    assert_eq!(listings.iter().map(|l| l.list).collect::<Vec<_>>(), ["mine", "hosts"]);
    assert_eq!(listings[0].date.to_string(), "2026-11-20");
    // The day the file was written is today, whenever that is.
    assert!(listings[1].date.0 > 20_000);
    let expected = [
        "of the list \"hosts\" 1 entries are not understood, the first is number 2".to_owned(),
        format!(
            "leave out the list \"broken\", {}: it is no list in JSON: line 1, column 2",
            path("broken.json").display()
        ),
        format!(
            "leave out the list \"none\", {}: No such file or directory (os error 2)",
            path("none").display()
        ),
    ];
    assert_eq!(loaded.warnings, expected);
    assert_eq!(loaded.notes[0], "list \"mine\" of 2026-11-20: 1 names (json), 0 rules of other kinds");
}

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
#[test]
fn the_embedded_tables_tell_a_platform_from_its_customers() {
    let tables = embedded().unwrap();
    let someone = name("www.someone.github.io");
    let Standing::Hosted(hosting) = tables.standing_of(&someone) else { panic!("not hosted") };
    assert_eq!((hosting.suffix, hosting.platform.map(|p| &*p.owner.name)), ("github.io", Some("GitHub")));
    assert_eq!(tables.registrable(&name("a.b.co.uk")), Some("b.co.uk"));
    assert_eq!(tables.registrable(&name("x.www.ck")), Some("www.ck"));
}

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
#[test]
fn the_embedded_tables_are_small_in_memory() {
    let tables = embedded().unwrap();
    assert!(tables.owners().memory_bytes() < 700_000, "{}", tables.owners().memory_bytes());
    assert!(tables.suffixes().memory_bytes() < 250_000, "{}", tables.suffixes().memory_bytes());
    let packed = embedded::packed(TableKind::Suffixes).unwrap();
    assert!(packed.len() < 60_000, "{}", packed.len());
}

/// What is said of a name, in the words of the check list.
#[cfg(any(feature = "tables-full", feature = "tables-small"))]
fn said(tables: &NameTables, text: &str) -> String {
    match tables.standing_of(&name(text)) {
        Standing::Owned(ownership) => {
            let country =
                ownership.owner.country.map_or_else(|| "-".to_owned(), |country| country.to_string());
            format!("{} | {country} | {}", ownership.owner.name, ownership.purpose.word())
        }
        Standing::Hosted(hosting) => {
            let platform = hosting.platform.map_or("nobody known", |platform| &*platform.owner.name);
            format!("hosted | {} ({platform})", hosting.suffix)
        }
        Standing::Unknown => "unknown".to_owned(),
    }
}

#[cfg(any(feature = "tables-full", feature = "tables-small"))]
#[test]
fn the_check_list_comes_out_right() {
    let tables = embedded().unwrap();
    let lines = include_str!("checks.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let checks: Vec<_> = lines.map(|line| line.split_once(" | ").unwrap()).collect();
    let wrong: Vec<_> = checks
        .iter()
        .map(|(text, expected)| (*text, *expected, said(&tables, text)))
        .filter(|(_, expected, found)| found != expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checks.len() >= 150, "{}", checks.len());
}

/// Whoever prints what a rule says can print who says so.
#[cfg(any(feature = "tables-full", feature = "tables-small"))]
#[test]
fn a_rule_says_who_shows_it_or_that_nobody_looked() {
    let tables = embedded().unwrap();
    let tracking = name("data.mistat.intl.xiaomi.com");
    let found = tables.ownership_of(&tracking).unwrap();
    assert!(found.source.read.is_some() && found.purpose_source == Some(found.source));
    assert!(found.owner_source().is_some_and(|source| source.read.is_some()));
    // What nobody looked up has no day, and is there to be seen.
    let rules = tables.owners().rules();
    let of_general_knowledge = rules.iter().filter(|rule| rule.source.read.is_none()).count();
    assert!(of_general_knowledge > 0 && of_general_knowledge * 20 < rules.len(), "{of_general_knowledge}");
}
