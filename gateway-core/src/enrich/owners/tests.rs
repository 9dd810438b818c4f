#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::format::FORMAT_VERSION;
use super::*;
use crate::enrich::envelope::{TableKind, seal};
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// Of the envelope, before the body.
const HEADER_LEN: usize = 24;

fn packed(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// Three owners, one of them owned by another, and rules of different lengths.
pub(in crate::enrich) fn parts() -> OwnerParts {
    let source = |title: &str, read| Source {
        title: title.into(),
        place: format!("https://example.org/{title}").into(),
        read,
    };
    let rule = |owner, purpose, source, names: &[&str]| RuleParts {
        owner,
        purpose,
        source,
        purpose_source: (purpose == Purpose::Telemetry).then_some(0),
        has_customers: true,
        names: names.iter().map(|name| DomainName::parse(name).unwrap()).collect(),
    };
    OwnerParts {
        as_of: TableDate(20_780),
        sources: vec![source("policy", Some(TableDate(20_780))), source("report", None)],
        owners: vec![
            (Owner::new("xiaomi", "Xiaomi", Country::parse("CN"), Some("Beijing")), None, Some(0)),
            (Owner::new("poco", "POCO", None, None), Some(0), Some(0)),
            (Owner::new("github", "GitHub", Country::parse("US"), None), None, None),
        ],
        rules: vec![
            rule(0, Purpose::Service, 0, &["xiaomi.com", "miui.com"]),
            rule(0, Purpose::Telemetry, 1, &["data.mistat.xiaomi.com"]),
            rule(1, Purpose::Shopping, 0, &["po.co"]),
            rule(2, Purpose::Hosting, 1, &["github.io"]),
            rule(2, Purpose::Cdn, 1, &["githubassets.com"]),
        ],
    }
}

#[track_caller]
fn check(name: &str, expected: Option<(&str, Purpose, &str, &str)>) {
    let table = OwnerTable::new(parts()).unwrap();
    let found = table.longest_rule(name);
    let found = found
        .as_ref()
        .map(|Longest { ownership: o, .. }| (&*o.owner.id, o.purpose, o.rule, &*o.source.title));
    assert_eq!(found, expected, "{name}");
}

#[test]
fn the_longest_rule_wins() {
    check("xiaomi.com", Some(("xiaomi", Purpose::Service, "xiaomi.com", "policy")));
    check("mistat.xiaomi.com", Some(("xiaomi", Purpose::Service, "xiaomi.com", "policy")));
    let telemetry = Some(("xiaomi", Purpose::Telemetry, "data.mistat.xiaomi.com", "report"));
    check("data.mistat.xiaomi.com", telemetry);
    check("x.data.mistat.xiaomi.com", telemetry);
    check("notxiaomi.com", None);
    check("com", None);
}

#[test]
fn an_owner_has_its_parents_and_its_proof() {
    let table = OwnerTable::new(parts()).unwrap();
    let Longest { ownership: found, .. } = table.longest_rule("po.co").unwrap();
    assert_eq!(found.parents().map(|owner| &*owner.id).collect::<Vec<_>>(), ["xiaomi"]);
    assert_eq!(&*found.owner_source().unwrap().title, "policy");
    let Longest { ownership: found, .. } = table.longest_rule("github.io").unwrap();
    assert_eq!((found.owner_source(), found.source.read), (None, None));
    let Longest { ownership: found, .. } = table.longest_rule("data.mistat.xiaomi.com").unwrap();
    assert_eq!((&*found.source.title, &*found.purpose_source.unwrap().title), ("report", "policy"));
    let Longest { ownership: found, .. } = table.longest_rule("miui.com").unwrap();
    assert_eq!((found.parents().count(), found.list), (0, None));
    assert_eq!(found.owner.seat.as_deref(), Some("Beijing"));
}

#[test]
fn a_table_lists_itself_in_order() {
    let table = OwnerTable::new(parts()).unwrap();
    let names: Vec<&str> = table.rules().iter().map(|ownership| ownership.rule).collect();
    let expected =
        ["data.mistat.xiaomi.com", "github.io", "githubassets.com", "miui.com", "po.co", "xiaomi.com"];
    assert_eq!(names, expected);
    assert_eq!((table.owners().count(), table.rule_count(), table.source_count()), (3, 6, 2));
    assert_eq!(table.as_of().to_string(), "2026-11-23");
}

#[test]
fn parts_that_contradict_themselves_are_refused() {
    type Change = fn(&mut OwnerParts);
    let changes: [(Change, &str); 7] = [
        (|p| p.rules[0].owner = 3, "rule's owner"),
        (|p| p.rules[0].source = 2, "rule's source"),
        (|p| p.rules[1].purpose_source = Some(2), "purpose's source"),
        (|p| p.owners[1].1 = Some(3), "owner's parent"),
        (|p| p.owners[1].2 = Some(2), "owner's source"),
        (|p| p.owners[0].1 = Some(1), "owner's parent"), // Each the other's parent.
        (|p| p.rules[2].names.push(DomainName::parse("miui.com").unwrap()), "names given twice"),
    ];
    for (change, expected) in changes {
        let mut parts = parts();
        change(&mut parts);
        let error = OwnerTable::new(parts.clone()).unwrap_err();
        assert!(matches!(error, TableError::Malformed { field, .. } if field == expected), "{error}");
        // In a file they are refused for the same.
        assert_eq!(OwnerTable::open(&packed(&parts.seal().unwrap())), Err(error));
    }
}

#[test]
fn a_table_survives_its_file_and_no_part_of_one_is_read() {
    let bytes = parts().seal().unwrap();
    let file = packed(&bytes);
    assert_eq!(OwnerTable::open(&file), OwnerTable::new(parts()));
    for len in 0..file.len() {
        assert!(OwnerTable::open(&file[..len]).is_err(), "the first {len} bytes");
    }
    // With a checksum that fits, too.
    let body = &bytes[HEADER_LEN..];
    let open = |body: &[u8]| {
        OwnerTable::open(&packed(&seal(TableKind::Owners, FORMAT_VERSION, TableDate(1), body).unwrap()))
    };
    assert!(open(body).is_ok());
    for len in 0..body.len() {
        assert!(open(&body[..len]).is_err(), "the first {len} bytes of the body");
    }
}

#[test]
fn a_source_that_nobody_looked_at_has_no_day() {
    let table = OwnerTable::open(&packed(&parts().seal().unwrap())).unwrap();
    let read = |name| table.longest_rule(name).unwrap().ownership.source.read;
    assert_eq!((read("miui.com"), read("github.io")), (Some(TableDate(20_780)), None));
    // A day that no calendar of ours has.
    let mut body = parts().seal().unwrap().split_off(HEADER_LEN);
    let at = body.windows(25).position(|text| text == b"https://example.org/repor").unwrap() + 26;
    body.splice(at..=at, [0x80, 0x80, 0x80, 0x80, 0x20]);
    let file = packed(&seal(TableKind::Owners, FORMAT_VERSION, TableDate(1), &body).unwrap());
    let error = OwnerTable::open(&file).unwrap_err();
    assert!(matches!(error, TableError::Malformed { field: "source's day", .. }), "{error}");
}

#[test]
fn another_kind_and_another_version_are_refused() {
    let other = packed(&seal(TableKind::Vendors, FORMAT_VERSION, TableDate(1), b"").unwrap());
    assert!(matches!(OwnerTable::open(&other), Err(TableError::WrongKind { .. })));
    for found in [FORMAT_VERSION - 1, FORMAT_VERSION + 1] {
        let file = packed(&seal(TableKind::Owners, found, TableDate(1), b"").unwrap());
        assert_eq!(OwnerTable::open(&file), Err(TableError::UnknownVersion { found, known: FORMAT_VERSION }));
    }
}

#[test]
fn a_purpose_of_a_newer_program_is_not_further_known() {
    let mut bytes = parts().seal().unwrap().split_off(HEADER_LEN);
    let at = bytes.windows(9).position(|word| word == b"telemetry").unwrap();
    bytes[at..at + 9].copy_from_slice(b"telepathy");
    let file = packed(&seal(TableKind::Owners, FORMAT_VERSION, TableDate(1), &bytes).unwrap());
    let table = OwnerTable::open(&file).unwrap();
    let Longest { ownership: found, .. } = table.longest_rule("data.mistat.xiaomi.com").unwrap();
    assert_eq!((found.purpose, found.rule), (Purpose::Service, "data.mistat.xiaomi.com"));
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = OwnerTable::open(&packed(&seal(TableKind::Owners, FORMAT_VERSION, TableDate(1), &body).unwrap()));
    }

    #[test]
    fn no_changed_byte_makes_it_panic(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut body = parts().seal().unwrap().split_off(HEADER_LEN);
        let at = at.index(body.len());
        body[at] = to;
        let _ = OwnerTable::open(&packed(&seal(TableKind::Owners, FORMAT_VERSION, TableDate(1), &body).unwrap()));
    }
}
