#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::*;
use proptest::prelude::*;

fn head(format: ListFormat) -> ListHead {
    ListHead { name: "test".into(), place: "/lists/test".into(), date: TableDate(20_780), format }
}

fn parse(text: &str) -> NameList {
    NameList::parse(head(ListFormat::Auto), text.as_bytes(), MAX_LIST_NAMES).unwrap()
}

/// Which of the asked names the list has, and by which rule.
fn rules<'a>(list: &'a NameList, asked: &[&str]) -> Vec<Option<&'a str>> {
    asked
        .iter()
        .map(|text| {
            let name = DomainName::parse(text).unwrap();
            list.listing_of(&name).map(|listing| listing.rule)
        })
        .collect()
}

#[test]
fn a_hosts_file_lists_names_and_nothing_below() {
    let list = parse(
        "# a comment\r\n127.0.0.1 localhost\r\n::1 ip6-localhost\r\n0.0.0.0 Ads.Example.com tracker.example.org # two\r\n\
         192.168.1.7 nas.example.net\n0.0.0.0\n0.0.0.0 caf\u{e9}.example\nnonsense here\n:: six.example.com\n",
    );
    assert_eq!(list.format(), ListFormat::Hosts);
    assert_eq!(
        rules(&list, &["ads.example.com", "x.ads.example.com", "tracker.example.org", "six.example.com"]),
        [Some("ads.example.com"), None, Some("tracker.example.org"), Some("six.example.com")]
    );
    // The machine's own two names and the address that leads somewhere; three lines that are none.
    let expected = ListCounts { ignored: 3, bad: 3, first_bad: Some(6), dropped: 0 };
    assert_eq!((list.name_count(), list.counts()), (3, expected));
}

#[test]
fn a_plain_list_has_names_and_wildcards() {
    let list =
        parse("# names\nads.example.com\n*.wild.example.com\n.dot.example.com\n10.0.0.1\n; note\nshort\n");
    assert_eq!(list.format(), ListFormat::Domains);
    assert_eq!(
        rules(&list, &["ads.example.com", "a.ads.example.com", "wild.example.com", "a.b.wild.example.com"]),
        [Some("ads.example.com"), None, Some("wild.example.com"), Some("wild.example.com")]
    );
    assert_eq!(rules(&list, &["dot.example.com", "x.dot.example.com"]), [Some("dot.example.com"); 2]);
    assert_eq!(list.counts(), ListCounts { bad: 2, first_bad: Some(5), ..ListCounts::default() });
}

#[test]
fn of_adblock_rules_only_whole_names_are_taken() {
    let list = parse(
        "[Adblock Plus 2.0]\n! Title: test\n||ads.example.com^\n||opt.example.com^$third-party\n@@||good.example.com^\n\
         example.com##.banner\n/banner/*\n||wild*.example.com^\n||a.b^|\n",
    );
    assert_eq!(list.format(), ListFormat::Adblock);
    assert_eq!(
        rules(&list, &["ads.example.com", "x.ads.example.com", "opt.example.com", "good.example.com", "a.b"]),
        [Some("ads.example.com"), Some("ads.example.com"), None, None, Some("a.b")]
    );
    assert_eq!(list.counts(), ListCounts { ignored: 5, ..ListCounts::default() });
}

#[test]
fn our_json_may_say_whose_a_name_is_and_what_for() {
    let list = parse(
        r#"[{"name": "Data.Example.net", "owner": "Example", "country": "DE", "purpose": "telemetry"},
            {"name": "example.org"}, {"name": "x.y", "purpose": "nothing"}, {"name": "no dots"},
            {"name": "p.q", "country": "DE"}, {"name": "r.s", "owner": "a\u0007b"}, {"name": "u.v", "owner": " "}]"#,
    );
    assert_eq!(list.format(), ListFormat::Json);
    let name = DomainName::parse("a.data.example.net").unwrap();
    let listing = list.listing_of(&name).unwrap();
    assert_eq!((listing.list, listing.rule, listing.date), ("test", "data.example.net", TableDate(20_780)));
    let owner = listing.owner.unwrap();
    assert_eq!((&*owner.name, owner.country), ("Example", Country::parse("DE")));
    assert_eq!(listing.purpose, Some(Purpose::Telemetry));
    let ownership = list.ownership_of("data.example.net").unwrap();
    assert_eq!((&*ownership.owner.name, ownership.list), ("Example", Some("test")));
    assert_eq!(list.ownership_of("example.org"), None);
    assert_eq!((list.name_count(), list.counts().bad, list.counts().first_bad), (2, 5, Some(3)));
}

#[test]
fn the_trackers_of_adguard_s_list_are_no_owners() {
    let list = parse(
        r#"{"timeUpdated": "2026-07-20", "categories": {"4": "advertising", "9": "misc"},
            "trackers": {"one": {"name": "One Ads", "categoryId": 4, "url": null, "companyId": "one"},
                         "two": {"name": "Two", "categoryId": 9}},
            "trackerDomains": {"ads.example.com": "one", "two.example.com": "two", "three.example.com": "three"}}"#,
    );
    let of = |text: &str| {
        let name = DomainName::parse(text).unwrap();
        list.listing_of(&name).map(|l| (l.purpose, l.note.map(str::to_owned), l.owner.is_some()))
    };
    let one = Some((Some(Purpose::Advertising), Some("One Ads".to_owned()), false));
    assert_eq!(of("x.ads.example.com"), one);
    assert_eq!(of("two.example.com"), Some((None, Some("Two".to_owned()), false)));
    assert_eq!(of("three.example.com"), Some((None, None, false)));
    assert_eq!(list.ownership_of("ads.example.com"), None);
}

#[test]
fn json_that_is_none_is_refused_with_its_place() {
    let bytes = b"[{\"name\": \"a.b\"},\n {\"nome\": \"c.d\"}]";
    let error = NameList::parse(head(ListFormat::Auto), bytes, MAX_LIST_NAMES).unwrap_err();
    assert!(matches!(error, ListError::Json { line: 2, .. }), "{error}");
    let error = NameList::parse(head(ListFormat::Json), b"{}", MAX_LIST_NAMES).unwrap_err();
    assert!(matches!(error, ListError::Json { line: 1, .. }), "{error}");
}

#[test]
fn a_file_of_another_form_is_refused() {
    let error = NameList::parse(head(ListFormat::Hosts), b"a.example\nb.example\n", 9).unwrap_err();
    assert_eq!(error, ListError::NoName { lines: 2, form: "hosts" });
    let error = NameList::parse(head(ListFormat::Auto), b"<html>\n<body>Not found</body>\n", 9).unwrap_err();
    assert_eq!(error, ListError::NoName { lines: 2, form: "domains" });
    // An empty list is a list.
    assert_eq!(parse("# nothing yet\n").name_count(), 0);
}

#[test]
fn names_above_the_bound_are_dropped_and_counted() {
    let text = "a.b\nc.d\ne.f\n*.a.b\n";
    let list = NameList::parse(head(ListFormat::Auto), text.as_bytes(), 2).unwrap();
    assert_eq!((list.name_count(), list.counts().dropped), (2, 2));
    let list = NameList::parse(head(ListFormat::Auto), text.as_bytes(), 4).unwrap();
    assert_eq!((list.name_count(), list.counts().dropped), (3, 0));
    // Of a name given twice the wider rule stands.
    assert_eq!(rules(&list, &["x.a.b"]), [Some("a.b")]);
    let long = vec![b'\n'; MAX_LIST_LEN + 1];
    assert_eq!(NameList::parse(head(ListFormat::Auto), &long, 2), Err(ListError::TooLarge));
}

#[test]
fn any_prefix_of_a_list_is_read_or_refused() {
    for text in [
        "# x\n0.0.0.0 a.example b.example # c\n",
        "a.example\n*.b.example\n",
        "! t\n||a.example^\nexample.com##x\n",
        r#"[{"name": "a.example", "owner": "A", "country": "DE", "purpose": "telemetry"}]"#,
        r#"{"categories": {"4": "cdn"}, "trackers": {"o": {"name": "O", "categoryId": 4}}, "trackerDomains": {"a.b": "o"}}"#,
    ] {
        for format in
            [ListFormat::Auto, ListFormat::Hosts, ListFormat::Domains, ListFormat::Adblock, ListFormat::Json]
        {
            for len in 0..=text.len() {
                let _ = NameList::parse(head(format), &text.as_bytes()[..len], 10);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = NameList::parse(head(ListFormat::Auto), &bytes, 10);
        let _ = NameList::parse(head(ListFormat::Json), &bytes, 10);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[ a-c.*|^!#\\[{\"\n0:]{0,200}") {
        for format in [ListFormat::Auto, ListFormat::Hosts, ListFormat::Adblock, ListFormat::Json] {
            let _ = NameList::parse(head(format), text.as_bytes(), 10);
        }
    }
}
