#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

/// The list in small, as its authors write it.
fn table() -> SuffixTable {
    let icann = ["com", "uk", "co.uk", "jp", "*.kobe.jp", "!city.kobe.jp", "*.ck", "!www.ck", "ck", "io"];
    let private = ["github.io", "s3.example.com", "*.compute.example.com", "blog.kobe.jp", "co.uk"];
    let rule = |text: &&str, section| {
        let (kind, bare) = match (text.strip_prefix("*."), text.strip_prefix('!')) {
            (Some(bare), _) => (RuleKind::Wildcard, bare),
            (_, Some(bare)) => (RuleKind::Exception, bare),
            _ => (RuleKind::Exact, *text),
        };
        SuffixRule { name: name(bare), kind, section }
    };
    let rules: Vec<SuffixRule> = icann
        .iter()
        .map(|text| rule(text, Section::Icann))
        .chain(private.iter().map(|text| rule(text, Section::Private)))
        .collect();
    SuffixTable::new("made up", TableDate(20_748), &rules).unwrap()
}

#[track_caller]
fn check(text: &str, suffix: &str, section: Option<Section>, registrable: Option<&str>) {
    assert_eq!(table().suffix_of(&name(text)), Suffix { text: suffix, section, registrable }, "{text}");
}

const ICANN: Option<Section> = Some(Section::Icann);
const PRIVATE: Option<Section> = Some(Section::Private);

#[test]
fn what_is_registered_is_the_suffix_and_a_label() {
    check("com", "com", ICANN, None);
    check("a.com", "com", ICANN, Some("a.com"));
    check("c.b.a.com", "com", ICANN, Some("a.com"));
    check("co.uk", "co.uk", ICANN, None);
    check("a.co.uk", "co.uk", ICANN, Some("a.co.uk"));
    check("b.a.uk", "uk", ICANN, Some("a.uk"));
}

#[test]
fn without_a_rule_the_last_label_is_the_suffix() {
    check("lan", "lan", None, None);
    check("nas.lan", "lan", None, Some("nas.lan"));
    check("b.a.lan", "lan", None, Some("a.lan"));
    let nothing = SuffixTable::default();
    assert_eq!(nothing.registrable(&name("a.b.co.uk")), Some("co.uk"));
}

#[test]
fn a_wildcard_is_one_label_and_an_exception_wins() {
    check("ck", "ck", ICANN, None);
    check("a.ck", "a.ck", ICANN, None);
    check("b.a.ck", "a.ck", ICANN, Some("b.a.ck"));
    check("www.ck", "ck", ICANN, Some("www.ck"));
    check("a.www.ck", "ck", ICANN, Some("www.ck"));
    check("kobe.jp", "jp", ICANN, Some("kobe.jp"));
    check("a.kobe.jp", "a.kobe.jp", ICANN, None);
    check("b.a.kobe.jp", "a.kobe.jp", ICANN, Some("b.a.kobe.jp"));
    check("city.kobe.jp", "kobe.jp", ICANN, Some("city.kobe.jp"));
    check("a.city.kobe.jp", "kobe.jp", ICANN, Some("city.kobe.jp"));
}

#[test]
fn the_private_section_is_told_apart() {
    check("github.io", "github.io", PRIVATE, None);
    check("a.github.io", "github.io", PRIVATE, Some("a.github.io"));
    check("b.a.github.io", "github.io", PRIVATE, Some("a.github.io"));
    check("nogithub.io", "io", ICANN, Some("nogithub.io"));
    check("eu.compute.example.com", "eu.compute.example.com", PRIVATE, None);
    check("compute.example.com", "com", ICANN, Some("example.com"));
    let above = |text: &str| table().private_suffix_above(&name(text)).map(str::to_owned);
    assert_eq!(above("x.b.s3.example.com").as_deref(), Some("s3.example.com"));
    assert_eq!(above("x.eu.compute.example.com").as_deref(), Some("eu.compute.example.com"));
    for owned in ["s3.example.com", "eu.compute.example.com", "www.example.com", "a.co.uk", "x.lan"] {
        assert_eq!(above(owned), None, "{owned}");
    }
}

#[test]
fn a_table_survives_its_file_and_no_part_of_one_is_read() {
    let table = table();
    let bytes = table.seal().unwrap();
    let file = compress_to_vec(bytes.as_slice(), CompressionLevel::Fastest);
    assert_eq!(SuffixTable::open(&file), Ok(table.clone()));
    assert_eq!((table.as_of().to_string().as_str(), table.rule_count()), ("2026-10-22", 13));
    for len in 0..file.len() {
        assert!(SuffixTable::open(&file[..len]).is_err(), "the first {len} bytes");
    }
}

#[test]
fn a_body_that_no_honest_writer_wrote_is_refused() {
    let open = |body: &[u8]| {
        let bytes = envelope(body);
        SuffixTable::open(&compress_to_vec(bytes.as_slice(), CompressionLevel::Fastest))
    };
    let whole = b"\x01s\x01\x01\x03com";
    assert!(open(whole).is_ok());
    for len in 0..whole.len() {
        assert!(open(&whole[..len]).is_err(), "the first {len} bytes");
    }
    for bad in
        [&b"\x01s\x01\x00\x03com"[..], b"\x01s\x01\x40\x03com", b"\x01s\x01\x01\x03COM", b"\x01s\x01\x01\x00"]
    {
        assert!(matches!(open(bad), Err(TableError::Malformed { .. })), "{bad:?}");
    }
    assert!(open(b"\x01s\x01\x01\x03com!").is_err());
}

fn envelope(body: &[u8]) -> Vec<u8> {
    use crate::enrich::envelope::{TableKind, seal};
    seal(TableKind::Suffixes, FORMAT_VERSION, TableDate(1), body).unwrap()
}
