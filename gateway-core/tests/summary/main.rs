//! Summaries of a made-up month say what was planted in it, and nothing else.
#![allow(clippy::expect_used, reason = "tests panic on purpose")]

mod month;
mod rules;

use gateway_core::query::{NameMatch, TimeRange};
use gateway_core::report::known::{KnownEntry, KnownPlace};
use gateway_core::report::summary::build::build;
use gateway_core::report::summary::csv::csv;
use gateway_core::report::summary::html::html;
use gateway_core::report::summary::input::{Known, SummaryInput};
use gateway_core::report::summary::json::json;
use gateway_core::report::summary::markdown::markdown;
use gateway_core::report::summary::model::{FindingKind, Night, Severity, Summary};
use gateway_core::report::summary::text::text;
use gateway_core::report::summary::words::sentence;
use gateway_core::report::table::Paint;
use gateway_core::report::text::Look;
use gateway_core::report::who::NameFacts;
use gateway_core::units::{DomainName, Volume, WallTime};
use month::{GUEST, HOUR, LAPTOP, Month, PHONE, PLAN, SENSOR, facts_of, midnight, offset_of};

fn look() -> Look<'static> {
    Look {
        width: Some(100),
        paint: Paint::Plain,
        is_exact: false,
        max_destinations: 0,
        offset_of: &offset_of,
    }
}

fn target() -> SummaryInput {
    Month::planted().day(PLAN.target_day)
}

fn claims(summary: &Summary) -> Vec<(&'static str, &'static str, String, String)> {
    let of = |f: &gateway_core::report::summary::model::Finding| {
        let device = f.device.as_ref().map(|(_, name)| name.clone()).unwrap_or_default();
        (f.severity.word(), f.kind.word(), device, f.subject.clone())
    };
    summary.findings.iter().map(of).collect()
}

#[test]
fn all_that_was_planted_is_found_and_nothing_else() {
    let summary = build(&target(), &facts_of);
    let claim =
        |severity, kind, device: &str, subject: &str| (severity, kind, device.to_owned(), subject.to_owned());
    let expected = [
        claim("look", "more-upload", "Laptop", ""),
        claim("look", "more-to-destination", "Redmi Note 8", "maker.example"),
        claim("look", "more-to-destination", "Laptop", "work.example"),
        claim("look", "new-destination", "Redmi Note 8", "tracker.example"),
        claim("look", "hides", "Redmi Note 8", "DNS over HTTPS"),
        claim("look", "new-device", "Guest", ""),
        claim("note", "new-destination", "Redmi Note 8", "page.example"),
    ];
    assert_eq!(claims(&summary), expected);
    let said = sentence(&summary);
    assert!(said.contains("2 new destinations") && said.contains("3 uploads that grew"), "{said}");
}

#[test]
fn no_ordinary_day_has_a_finding() {
    let month = Month::planted();
    for day in 8..PLAN.target_day {
        // The outage is one, and a page that was opened for the first time on that day and the last are what they are.
        let expected: &[&str] = match day {
            d if d == PLAN.outage_day => &["low-coverage", "new-destination"],
            d if d == PLAN.target_day - 1 => &["new-destination"],
            _ => &[],
        };
        let summary = build(&month.day(day), &facts_of);
        let kinds: Vec<_> = claims(&summary).into_iter().map(|(_, kind, ..)| kind).collect();
        assert_eq!(kinds, expected, "day {day}");
    }
}

#[test]
fn a_short_past_claims_nothing() {
    let month = Month::planted();
    for day in 0..7 {
        let summary = build(&month.day(day), &facts_of);
        assert!(summary.findings.is_empty(), "day {day}: {:?}", claims(&summary));
        assert!(sentence(&summary).contains("nothing is known yet"), "{}", sentence(&summary));
    }
}

#[test]
fn the_night_is_learned_and_watched() {
    let summary = build(&target(), &facts_of);
    let of = |mac| summary.devices.iter().find(|device| device.mac == mac).expect("it is there");
    let Night::Known(watch) = of(PHONE).night else { panic!("the phone has a night") };
    assert_eq!((watch.window, watch.places, watch.new_places, watch.hours), ((23, 7), 2, 1, 8));
    // What never rests, what is used a third of the day, what was never there: no night.
    assert!([SENSOR, LAPTOP, GUEST].into_iter().all(|mac| matches!(of(mac).night, Night::Unknown(_))));
}

#[test]
fn the_night_of_the_clocks_has_one_hour_more() {
    let summary = build(&Month::planted().day(27), &facts_of);
    assert_eq!(summary.slots.len(), 25);
    let phone = summary.devices.iter().find(|device| device.mac == PHONE).expect("it is there");
    let Night::Known(watch) = phone.night else { panic!("the phone has a night") };
    assert_eq!((watch.window, watch.hours, watch.measured_hours), ((23, 7), 9, 9));
}

#[test]
fn a_day_away_is_no_usual_day() {
    let summary = build(&target(), &facts_of);
    let phone = summary.devices.iter().find(|device| device.mac == PHONE).expect("it is there");
    // 30 days, less the one away and the one hardly measured.
    assert_eq!((summary.past.days, summary.past.observed, phone.past_days), (30, 29, 28));
}

#[test]
fn coverage_has_its_causes() {
    let summary = build(&target(), &facts_of);
    assert_eq!((summary.measured.permille, summary.measured.clock_steps), (Some(979), 1));
    let page = text(&summary, &look());
    assert!(page.contains("the clock was set 1 time") && page.contains("30 min"), "{page}");
}

#[test]
fn a_known_destination_is_listed_as_known_and_keeps_its_bytes() {
    let before = build(&target(), &facts_of);
    let fresh = |found: &&gateway_core::report::summary::model::Finding| {
        found.kind == FindingKind::NewDestination && found.known.is_none()
    };
    let new = before.findings.iter().find(fresh).expect("one was planted").clone();
    let (mac, name) = new.device.clone().expect("it is of a device");
    let entry = |place: KnownPlace, device: Option<&str>| KnownEntry {
        place,
        device: device.map(|device| device.parse().expect("it picks one")),
        reason: "my own server".to_owned(),
        date: "2026-11-01".to_owned(),
    };
    let under = || KnownPlace::Name(NameMatch::Under(DomainName::parse(&new.subject).expect("it is a name")));
    let known_with = |entry: KnownEntry| {
        let mut input = target();
        input.known_places = vec![entry];
        let after = build(&input, &facts_of);
        assert_eq!((&after.devices, after.routed), (&before.devices, before.routed), "bytes stay");
        assert_eq!(after.findings.len(), before.findings.len(), "nothing is hidden");
        let found = after.findings.into_iter().find(|found| found.id == new.id).expect("it is listed");
        found.known.map(|known| (known.id, known.reason, known.date))
    };
    let said = Some((new.id.clone(), "my own server".to_owned(), "2026-11-01".to_owned()));
    assert_eq!(known_with(entry(under(), None)), said);
    assert_eq!(known_with(entry(under(), Some(&mac.to_string()))), said);
    assert_eq!(known_with(entry(under(), Some(&name))), said);
    assert_eq!(known_with(entry(under(), Some("another"))), None);
    let other = KnownPlace::Name(NameMatch::Under(DomainName::parse("other.example").expect("it is a name")));
    assert_eq!(known_with(entry(other, None)), None);
    assert_eq!(known_with(entry(KnownPlace::Owner("nobody".to_owned()), None)), None);
    let of_all = before.devices.iter().flat_map(gateway_core::report::summary::model::DeviceSummary::places);
    let theirs = of_all.filter(|place| place.owner.is_some()).find_map(|place| place.names.first());
    let owned = facts_of(theirs.expect("a destination has an owner")).owned.expect("it has one");
    let mut input = target();
    input.known_places = vec![entry(KnownPlace::Owner(owned.owner.to_uppercase()), None)];
    let after = build(&input, &|name| NameFacts { owned: Some(owned.clone()), ..facts_of(name) });
    assert!(after.findings.iter().any(|found| found.id == new.id && found.known.is_some()));
}

#[test]
fn ids_are_the_same_every_day_and_what_is_known_goes_last() {
    let first = build(&target(), &facts_of).findings;
    let known = first.first().expect("there are findings").id.clone();
    let mut input = target();
    input.known =
        vec![Known { id: known.clone(), reason: "a back-up".to_owned(), date: "2026-11-01".to_owned() }];
    input.hours.sums.reverse();
    let second = build(&input, &facts_of).findings;
    assert_eq!(second.last().map(|f| (&f.id, f.known.is_some())), Some((&known, true)));
    let ids = |findings: &[gateway_core::report::summary::model::Finding]| {
        let mut ids: Vec<_> = findings.iter().map(|f| f.id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    assert_eq!((ids(&first), first.len()), (ids(&second), ids(&second).len()));
}

#[test]
fn a_range_that_nobody_measured_claims_no_quiet() {
    let mut input = target();
    input.counted.clear();
    input.hours.sums.clear();
    let summary = build(&input, &facts_of);
    assert_eq!(sentence(&summary), "Nothing of this range was measured.");
    assert_eq!(summary.findings.first().map(|f| f.severity), Some(Severity::Act));
}

#[test]
fn destinations_devices_and_total_add_up() {
    let month = Month::planted();
    for day in [3, PLAN.travel_day, 27, PLAN.target_day] {
        let summary = build(&month.day(day), &facts_of);
        let mut total = Volume::default();
        for device in &summary.devices {
            let (mut by_owner, mut by_place) = (Volume::default(), Volume::default());
            device.owners.iter().for_each(|group| by_owner.add(group.volume));
            device.places().for_each(|place| by_place.add(place.volume));
            let by_hour = device.hours.iter().map(|(up, down)| up + down).sum::<u64>();
            assert_eq!((by_owner, by_place, by_hour), (device.routed, device.routed, device.routed.bytes()));
            assert!(device.places().all(|p| p.hours.iter().sum::<u64>() == p.volume.bytes()));
            total.add(device.routed);
        }
        assert_eq!(total, summary.routed);
    }
}

/// Compares with the file of this name; where they differ, what was made is left beside the tests' other output.
#[track_caller]
fn golden(name: &str, made: &str, expected: &str) {
    let place = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&place, made).expect("the tests' directory can be written");
    assert!(made == expected, "tests/summary/golden/{name} differs from {place}: copy it if it is right");
}

#[test]
fn the_day_in_writing() {
    let summary = build(&target(), &facts_of);
    golden("day.txt", &text(&summary, &look()), include_str!("golden/day.txt"));
    golden("day.md", &markdown(&summary, &look()), include_str!("golden/day.md"));
    golden("day.html", &html(&summary, &look()), include_str!("golden/day.html"));
    golden("day.json", &json(&summary).expect("it has a shape"), include_str!("golden/day.json"));
    golden("day.csv", &csv(&summary), include_str!("golden/day.csv"));
}

#[test]
fn a_night_in_writing() {
    let (evening, morning) =
        (midnight(PLAN.target_day - 1).0 + 21 * HOUR, midnight(PLAN.target_day).0 + 9 * HOUR);
    let night = TimeRange { since: WallTime(evening), until: WallTime(morning) };
    let summary = build(&Month::planted().range(PLAN.target_day - 1, night), &facts_of);
    golden("night.txt", &text(&summary, &look()), include_str!("golden/night.txt"));
    golden("night.html", &html(&summary, &look()), include_str!("golden/night.html"));
}

#[test]
fn a_week_in_writing() {
    let summary = build(&Month::planted().days(PLAN.target_day - 6, 7), &facts_of);
    golden("week.txt", &text(&summary, &look()), include_str!("golden/week.txt"));
    golden("week.md", &markdown(&summary, &look()), include_str!("golden/week.md"));
    golden("week.html", &html(&summary, &look()), include_str!("golden/week.html"));
    golden("week.csv", &csv(&summary), include_str!("golden/week.csv"));
    let page = html(&summary, &look());
    // A cell for every hour of the week, and its figure.
    let maps = page.matches("Hours of the week").count();
    assert_eq!((maps, page.matches("class=\"void\"").count()), (4, 4 * 7 * 24));
}

#[test]
fn nothing_in_writing() {
    let mut month = Month::plain();
    month.outage(midnight(PLAN.target_day).0, midnight(PLAN.target_day + 1).0);
    let summary = build(&month.day(PLAN.target_day), &facts_of);
    golden("empty.txt", &text(&summary, &look()), include_str!("golden/empty.txt"));
    golden("empty.html", &html(&summary, &look()), include_str!("golden/empty.html"));
}

#[test]
fn hostile_names_in_writing() {
    let mut month = Month::planted();
    month.label = Some(
        "<script>alert(1)</script>\"'>\u{202e}WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW👾",
    );
    let long = "llllllllllllllllllllllllllllllllllllllllllllllllllllllllll.\
                mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm.\
                wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwodd.example";
    month.plant(PLAN.target_day, 5, PHONE, long, 900_000);
    // More owners than there are colours.
    let names = ["a-odd.example", "b-odd.example", "c-odd.example", "d-odd.example", "e-odd.example", ""];
    for (hour, name) in (0..).zip(names) {
        month.plant(PLAN.target_day, hour, PHONE, name, 40_000_000);
    }
    let summary = build(&month.day(PLAN.target_day), &facts_of);
    golden("hostile.txt", &text(&summary, &look()), include_str!("golden/hostile.txt"));
    golden("hostile.html", &html(&summary, &look()), include_str!("golden/hostile.html"));
}

#[test]
fn what_a_device_calls_itself_is_no_markup() {
    let mut input = target();
    let evil = "<script>alert(1)</script> | `x` [x](y) \x1b[31m";
    input.devices.iter_mut().for_each(|device| device.label = Some(evil.to_owned()));
    let summary = build(&input, &facts_of);
    let page = markdown(&summary, &look());
    assert!(!page.contains("<script") && !page.contains("[x](y)") && !page.contains('\x1b'), "{page}");
    let bare = page.replace("\\`", "").replace("\\|", "");
    assert!(!bare.contains("`x") && !bare.contains("> |"), "{page}");
    assert!(!text(&summary, &look()).contains('\x1b'));
    let page = html(&summary, &look());
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(!page.contains("<script") && !page.contains('\x1b'), "{page}");
}
