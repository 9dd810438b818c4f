#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;
use crate::enrich::lists::{ListFormat, ListHead, MAX_LIST_NAMES};
use crate::enrich::owners::{Owner, OwnerParts, Purpose, RuleParts, Source};
use crate::enrich::suffixes::{RuleKind, Section, SuffixRule};
use crate::units::Country;

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

/// Amazon with the names of its own and of its customers, GitHub with its platform, and one customer that is known.
fn tables(lists: &[(&str, &str)]) -> NameTables {
    let source = Source { title: "made up".into(), place: "here".into(), read: Some(TableDate(20_780)) };
    let rule = |owner, purpose, names: &[&str]| RuleParts {
        owner,
        purpose,
        source: 0,
        purpose_source: Some(0),
        has_customers: !names.contains(&"apis.io"),
        names: names.iter().map(|text| name(text)).collect(),
    };
    let owners = [("amazon", "Amazon"), ("github", "GitHub"), ("shop", "Shop")]
        .map(|(id, name)| (Owner::new(id, name, Country::parse("US"), None), None, Some(0)));
    let owners = OwnerTable::new(OwnerParts {
        as_of: TableDate(20_780),
        sources: vec![source],
        owners: owners.to_vec(),
        rules: vec![
            rule(0, Purpose::Hosting, &["amazonaws.com"]),
            rule(1, Purpose::Hosting, &["github.io"]),
            rule(2, Purpose::Shopping, &["shop.s3.amazonaws.com"]),
            rule(2, Purpose::Service, &["apis.io"]),
        ],
    })
    .unwrap();
    let suffix = |text: &str, kind, section| SuffixRule { name: name(text), kind, section };
    let suffixes = SuffixTable::new(
        "made up",
        TableDate(20_748),
        &[
            suffix("com", RuleKind::Exact, Section::Icann),
            suffix("io", RuleKind::Exact, Section::Icann),
            suffix("github.io", RuleKind::Exact, Section::Private),
            suffix("pages.io", RuleKind::Exact, Section::Private),
            suffix("apis.io", RuleKind::Exact, Section::Private),
            suffix("user.apis.io", RuleKind::Exact, Section::Private),
            suffix("s3.amazonaws.com", RuleKind::Exact, Section::Private),
            suffix("compute.amazonaws.com", RuleKind::Wildcard, Section::Private),
        ],
    )
    .unwrap();
    let lists = lists.iter().map(|(title, text)| list(title, text)).collect();
    NameTables::new(owners, suffixes, lists)
}

fn list(title: &str, text: &str) -> NameList {
    let head = ListHead {
        name: title.into(),
        place: format!("/lists/{title}"),
        date: TableDate(20_700),
        format: ListFormat::Auto,
    };
    NameList::parse(head, text.as_bytes(), MAX_LIST_NAMES).unwrap()
}

fn said(tables: &NameTables, text: &str) -> String {
    match tables.standing_of(&name(text)) {
        Standing::Owned(o) => format!("{} by {}", o.owner.name, o.rule),
        Standing::Hosted(Hosting { suffix, platform }) => {
            format!("hosted under {suffix} ({})", platform.map_or("?", |p| &*p.owner.name))
        }
        Standing::Unknown => "unknown".to_owned(),
    }
}

#[test]
fn a_customer_s_name_is_not_the_platform_s() {
    let tables = tables(&[]);
    for (text, expected) in [
        ("someone.github.io", "hosted under github.io (GitHub)"),
        ("www.someone.github.io", "hosted under github.io (GitHub)"),
        ("github.io", "GitHub by github.io"),
        ("x.s3.amazonaws.com", "hosted under s3.amazonaws.com (Amazon)"),
        ("s3.amazonaws.com", "Amazon by amazonaws.com"),
        ("i.eu.compute.amazonaws.com", "hosted under eu.compute.amazonaws.com (Amazon)"),
        ("eu.compute.amazonaws.com", "Amazon by amazonaws.com"),
        ("kinesis.amazonaws.com", "Amazon by amazonaws.com"),
        ("x.pages.io", "hosted under pages.io (?)"),
        ("shop.s3.amazonaws.com", "Shop by shop.s3.amazonaws.com"),
        ("img.shop.s3.amazonaws.com", "Shop by shop.s3.amazonaws.com"),
        ("fonts.apis.io", "Shop by apis.io"),
        ("x.user.apis.io", "hosted under user.apis.io (Shop)"),
        ("other.com", "unknown"),
        ("pages.io", "unknown"),
    ] {
        assert_eq!(said(&tables, text), expected, "{text}");
    }
    assert_eq!(tables.ownership_of(&name("someone.github.io")), None);
    assert_eq!(tables.registrable(&name("www.someone.github.io")), Some("someone.github.io"));
    assert_eq!(tables.as_of(), Some(TableDate(20_780)));
}

#[test]
fn a_list_that_names_an_owner_wins_and_is_named_itself() {
    let json = r#"[{"name": "someone.github.io", "owner": "Someone", "country": "DE"},
                   {"name": "amazonaws.com", "owner": "Us", "purpose": "cloud_sync"},
                   {"name": "other.com", "purpose": "telemetry"}]"#;
    let tables = tables(&[("plain", "other.com\nkinesis.amazonaws.com"), ("mine", json)]);
    let found = tables.ownership_of(&name("www.someone.github.io")).unwrap();
    assert_eq!((&*found.owner.name, found.purpose, found.list), ("Someone", Purpose::Service, Some("mine")));
    assert_eq!((&*found.source.title, &*found.source.place), ("mine", "/lists/mine"));
    assert_eq!(found.owner_source(), Some(found.source));
    assert_eq!(said(&tables, "shop.s3.amazonaws.com"), "Us by amazonaws.com");
    // A list that gives only a purpose says nothing of whose the name is.
    assert_eq!(said(&tables, "other.com"), "unknown");
    let other = name("other.com");
    let listings = tables.listings_of(&other);
    let said: Vec<_> = listings.iter().map(|l| (l.list, l.rule, l.purpose)).collect();
    assert_eq!(said, [("plain", "other.com", None), ("mine", "other.com", Some(Purpose::Telemetry))]);
}

#[test]
fn without_tables_nothing_is_known_and_nothing_breaks() {
    let nothing = NameTables::default();
    assert_eq!(said(&nothing, "someone.github.io"), "unknown");
    assert_eq!((nothing.as_of(), nothing.listings_of(&name("a.b")).len()), (None, 0));
    assert_eq!(nothing.registrable(&name("c.a.b")), Some("a.b"));
}
