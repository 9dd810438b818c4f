#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;
use gateway_core::enrich::lists::ListFormat;
use gateway_core::enrich::names::Standing;
use gateway_core::enrich::owners::{Owner, OwnerParts, Purpose, RuleParts, Source};
use gateway_core::units::DomainName;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::fs::write;

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

/// A table of one owner, of a day, as a file.
fn table(day: u32) -> Vec<u8> {
    let parts = OwnerParts {
        as_of: TableDate(day),
        sources: vec![Source { title: "test".into(), place: "here".into(), read: TableDate(day) }],
        owners: vec![(Owner::new("newer", "Newer", None, None), None, 0)],
        rules: vec![RuleParts {
            owner: 0,
            purpose: Purpose::Push,
            source: 0,
            has_customers: true,
            names: vec![name("newer.example.com")],
        }],
    };
    compress_to_vec(parts.seal().unwrap().as_slice(), CompressionLevel::Fastest)
}

/// Far beyond the day of any embedded table.
const LATER: u32 = 40_000;

fn owner_of(loaded: &Loaded, text: &str) -> Option<String> {
    loaded.tables.ownership_of(&name(text)).map(|found| found.owner.name.to_string())
}

#[test]
fn without_other_files_the_embedded_tables_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let loaded = load(dir.path(), &[]).unwrap();
    assert_eq!((loaded.warnings.len(), loaded.tables), (0, embedded().unwrap()));
}

#[test]
fn a_newer_table_is_used_and_an_older_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(OWNERS_FILE);
    write(&path, table(LATER)).unwrap();
    let loaded = load(dir.path(), &[]).unwrap();
    assert_eq!(loaded.warnings, [""; 0]);
    assert_eq!(owner_of(&loaded, "x.newer.example.com").as_deref(), Some("Newer"));
    // What was there before this project is older than anything, except in a build without tables.
    if embedded().unwrap().as_of().is_some() {
        write(&path, table(1)).unwrap();
        let loaded = load(dir.path(), &[]).unwrap();
        let [warning] = &loaded.warnings[..] else { panic!("{:?}", loaded.warnings) };
        let place = path.display();
        let expected =
            format!("refuse the table of owners {place}: it is older, of 1970-01-02; the embedded one of ");
        assert!(warning.starts_with(&expected), "{warning}");
        assert_eq!(loaded.tables, embedded().unwrap());
    }
}

#[test]
fn a_table_that_cannot_be_used_is_refused_with_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(OWNERS_FILE);
    let whole = table(LATER);
    let mut damaged = whole.clone();
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    let suffixes = SuffixTable::default().seal().unwrap();
    let other = compress_to_vec(suffixes.as_slice(), CompressionLevel::Fastest);
    for (bytes, expected) in [
        (damaged, "the table is damaged"),
        (whole[..whole.len() / 2].to_vec(), "the table is damaged or cut short"),
        (other, "this is a table of public suffixes, where one of owners belongs"),
        (b"<html>not found</html>".to_vec(), "this is not a table of Telltale's"),
        (Vec::new(), "this is not a table of Telltale's"),
    ] {
        write(&path, bytes).unwrap();
        let loaded = load(dir.path(), &[]).unwrap();
        let [warning] = &loaded.warnings[..] else { panic!("{:?}", loaded.warnings) };
        assert!(warning.contains(expected) && !warning.contains('\n'), "{warning}");
        assert_eq!(loaded.tables, embedded().unwrap());
    }
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

#[test]
fn updates_lie_beside_the_database() {
    assert_eq!(
        updates_beside(Path::new("/var/lib/telltale/telltale.db")),
        Path::new("/var/lib/telltale/tables")
    );
    assert_eq!(updates_beside(Path::new("t.db")), Path::new("tables"));
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
    assert!(SUFFIXES.len() < 60_000, "{}", SUFFIXES.len());
}
