#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;
use gateway_core::enrich::envelope::TableDate;
use gateway_core::enrich::suffixes::{RuleKind, Section, SuffixRule};
use gateway_core::units::DomainName;

/// The list in small.
fn suffixes() -> SuffixTable {
    let rule = |text: &str, section| SuffixRule {
        name: DomainName::parse(text).unwrap(),
        kind: RuleKind::Exact,
        section,
    };
    let rules = [
        rule("com", Section::Icann),
        rule("uk", Section::Icann),
        rule("co.uk", Section::Icann),
        rule("s3.amazonaws.com", Section::Private),
    ];
    SuffixTable::new("made up", TableDate(1), &rules).unwrap()
}

const GOOD: &str = r#"
[source.a-policy]
title = "Policy"
where = "https://example.com/policy"
read = "2026-11-22"

[source.a-report]
title = "Report"
where = "https://example.com/report"
read = "2026-11-23"

[[owner]]
id = "amazon"
name = "Amazon"
country = "US"
seat = "Seattle"
source = "a-policy"

[[owner.rules]]
purpose = "hosting"
source = "a-report"
names = ["amazonaws.com", "s3.amazonaws.com"]

[[owner]]
id = "imdb"
name = "IMDb"
parent = "amazon"
source = "a-policy"

[[owner.rules]]
purpose = "content"
source = "a-policy"
names = ["imdb.com"]
"#;

fn files(texts: &[&str]) -> Vec<read::File> {
    ["a.toml", "b.toml"]
        .iter()
        .zip(texts)
        .map(|(name, text)| read::File::parse(name, text).unwrap())
        .collect()
}

fn complaints(texts: &[&str]) -> Vec<String> {
    check::complaints(&files(texts), &suffixes()).iter().map(ToString::to_string).collect()
}

/// The good file with a change, and what is said of it.
#[track_caller]
fn check(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from}");
    let found = complaints(&[&GOOD.replacen(from, to, 1)]);
    assert_eq!(found, [expected], "{from} -> {to}");
}

#[test]
fn a_good_file_becomes_a_table() {
    assert_eq!(complaints(&[GOOD]), [""; 0]);
    let parts = build::parts(&files(&[GOOD])).unwrap();
    let table = OwnerTable::new(parts.clone()).unwrap();
    let said: Vec<_> = table
        .rules()
        .iter()
        .map(|o| (o.rule, &*o.owner.name, o.purpose, &*o.source.title))
        .map(|(rule, owner, purpose, title)| format!("{rule} {owner} {purpose} {title}"))
        .collect();
    let expected = [
        "amazonaws.com Amazon hosting Report",
        "imdb.com IMDb content Policy",
        "s3.amazonaws.com Amazon hosting Report",
    ];
    assert_eq!(said, expected);
    assert_eq!(table.as_of().to_string(), "2026-11-23");
    assert_eq!(table.rules()[1].parents().map(|owner| &*owner.id).collect::<Vec<_>>(), ["amazon"]);
    let text = told(&parts, &table);
    assert!(
        text.starts_with("3 rules of 2 owners (1 with a country), 2 sources, as of 2026-11-23\n  looked up: 2 seats, 0 purposes\n"),
        "{text}"
    );
    assert!(text.contains("repeat a shorter    1\n") && text.contains("hosting             2\n"), "{text}");
}

#[test]
fn every_fault_is_found_and_its_place_told() {
    check("id = \"imdb\"", "id = \"IMDb\"", "a.toml:25: \"IMDb\" is no id: a-z, 0-9 and -");
    check("country = \"US\"", "country = \"UK\"", "a.toml:15: \"UK\" is no country of ISO 3166-1");
    check("parent = \"amazon\"", "parent = \"amzn\"", "a.toml:27: there is no owner amzn");
    check("parent = \"amazon\"", "parent = \"imdb\"", "a.toml:25: imdb is its own parent's parent");
    check(
        "read = \"2026-11-22\"",
        "read = \"22.11.2026\"",
        "a.toml:2: \"22.11.2026\" is no day such as 2026-11-23",
    );
    check(
        "title = \"Policy\"",
        "title = \"\"",
        "a.toml:2: the source a-policy has no title that can be printed",
    );
    check("purpose = \"content\"", "purpose = \"films\"", "a.toml:31: there is no purpose \"films\"");
    check("source = \"a-report\"", "source = \"a-policy\"", "a.toml:7: nothing uses the source a-report");
    check("names = [\"imdb.com\"]", "names = []", "a.toml:31: the rule has no names");
    check(
        "purpose = \"content\"",
        "purpose = \"service\"\npurpose_source = \"a-policy\"",
        "a.toml:31: the purpose service says nothing that could be proved",
    );
    check("imdb.com", "IMDb.com", "a.toml:33: \"IMDb.com\" is no name in lower case, or in punycode");
    check("imdb.com", "bücher.com", "a.toml:33: \"bücher.com\" is no name in lower case, or in punycode");
    check("imdb.com", "10.0.0.1", "a.toml:33: \"10.0.0.1\" is no name in lower case, or in punycode");
    check("imdb.com", "imdb.lan", "a.toml:33: imdb.lan ends in no suffix that is known");
    check("imdb.com", "co.uk", "a.toml:33: co.uk is a public suffix: it has no owner");
    check("imdb.com", "amazonaws.com", "a.toml:33: the name amazonaws.com is at a.toml:22 already");
    check(
        "purpose = \"hosting\"",
        "purpose = \"cloud_sync\"",
        "a.toml:22: s3.amazonaws.com is given to customers name by name: only hosting and cdn can be said of it",
    );
    check(
        "names = [\"imdb",
        "customers = false\nnames = [\"imdb",
        "a.toml:34: imdb.com is no public suffix: leave out `customers`",
    );
    let unused = "[[owner.rules]]\npurpose = \"content\"\nsource = \"a-policy\"\nnames = [\"imdb.com\"]\n";
    check(unused, "", "a.toml:25: imdb owns nothing");
}

#[test]
fn what_nobody_looked_up_needs_no_day_and_no_source() {
    let known = GOOD
        .replacen("read = \"2026-11-23\"\n", "", 1)
        .replacen("seat = \"Seattle\"\nsource = \"a-policy\"\n", "seat = \"Seattle\"\n", 1)
        .replacen(
            "source = \"a-policy\"\nnames",
            "source = \"a-policy\"\npurpose_source = \"a-policy\"\nnames",
            1,
        );
    assert_eq!(complaints(&[&known]), [""; 0]);
    let table = OwnerTable::new(build::parts(&files(&[&known])).unwrap()).unwrap();
    assert_eq!(table.as_of().to_string(), "2026-11-22");
    let [hosting, content, _] = table.rules()[..] else { panic!("three rules") };
    assert_eq!((hosting.source.read, hosting.owner_source(), hosting.purpose_source), (None, None, None));
    assert_eq!(content.owner_source(), Some(content.source));
    assert_eq!(content.purpose_source, Some(content.source));
}

#[test]
fn a_source_that_is_not_there_and_one_that_is_not_used_are_both_found() {
    let found = complaints(&[&GOOD.replacen("source = \"a-report\"", "source = \"b-report\"", 1)]);
    assert_eq!(
        found,
        ["a.toml:21: there is no source b-report", "a.toml:7: nothing uses the source a-report"]
    );
}

#[test]
fn of_a_suffix_without_customers_anything_can_be_said() {
    let changed = GOOD
        .replacen(", \"s3.amazonaws.com\"", "", 1)
        .replacen("[\"imdb.com\"]", "[\"s3.amazonaws.com\"]", 1)
        .replacen("purpose = \"content\"", "purpose = \"content\"\ncustomers = false", 1);
    assert_eq!(complaints(&[&changed]), [""; 0]);
    let parts = build::parts(&files(&[&changed])).unwrap();
    assert_eq!(parts.rules.iter().map(|rule| rule.has_customers).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn nothing_is_twice_in_two_files() {
    let other = GOOD.replace("a-report", "b-report").replace("\"imdb\"", "\"imdb2\"");
    let found = complaints(&[GOOD, &other]);
    let expected = [
        "b.toml:2: the source a-policy is at a.toml:2 already",
        "b.toml:13: the owner amazon is at a.toml:13 already",
        "b.toml:22: the name amazonaws.com is at a.toml:22 already",
        "b.toml:22: the name s3.amazonaws.com is at a.toml:22 already",
        "b.toml:33: the name imdb.com is at a.toml:33 already",
    ];
    assert_eq!(found, expected);
}

#[test]
fn parents_in_a_circle_are_found() {
    let circle = GOOD.replacen("seat = \"Seattle\"", "parent = \"imdb\"", 1);
    let found = complaints(&[&circle]);
    assert_eq!(
        found,
        ["a.toml:13: amazon is its own parent's parent", "a.toml:25: imdb is its own parent's parent"]
    );
}

#[test]
fn a_slip_of_the_pen_is_told_with_its_line() {
    let refused = |text: &str| read::File::parse("a.toml", text).unwrap_err().to_string();
    assert!(refused(&GOOD.replacen("seat =", "city =", 1)).starts_with("a.toml:16: unknown field `city`"));
    assert!(refused("[[owner]]\nid = ").starts_with("a.toml:2: "));
    for len in (0..GOOD.len()).filter(|len| GOOD.is_char_boundary(*len)) {
        let _ = read::File::parse("a.toml", &GOOD[..len]);
    }
}

#[test]
fn the_order_of_files_and_rules_does_not_matter() {
    let (first, rest) = GOOD.split_at(GOOD.find("[[owner]]\nid = \"imdb\"").unwrap());
    let one = build::parts(&files(&[first, rest])).unwrap().seal().unwrap();
    let two = build::parts(&files(&[rest, first])).unwrap().seal().unwrap();
    assert_eq!(one, two);
    assert_eq!(one, build::parts(&files(&[GOOD])).unwrap().seal().unwrap());
}

#[test]
fn the_committed_table_is_that_of_the_files() {
    let data = tool::workspace().join("gateway-user/data");
    let parts = parts_of(&data.join("owners"), &data.join("suffixes.bin.zst")).unwrap();
    let committed = std::fs::read(data.join("owners.bin.zst")).unwrap();
    let is_current = zstd::decode_all(committed.as_slice()).unwrap() == parts.seal().unwrap();
    assert!(is_current, "owners.bin.zst is not of these files; run `cargo xtask owners`");
}
