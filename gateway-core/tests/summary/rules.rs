//! One thing planted in an ordinary month: it is found, and nothing else is.

use super::month::{GUEST, HOUR, Month, PHONE, SENSOR, facts_of, midnight};
use super::{claims, look};
use gateway_core::report::summary::build::build;
use gateway_core::report::summary::csv::csv;
use gateway_core::report::summary::html::html;
use gateway_core::report::summary::input::{Known, SummaryInput};
use gateway_core::report::summary::json::json;
use gateway_core::report::summary::markdown::markdown;
use gateway_core::report::summary::model::{DeviceSummary, Night, NightWatch, Severity, Summary};
use gateway_core::report::summary::text::text;
use gateway_core::report::summary::words::sentence;
use gateway_core::units::{Mac, WallTime};

fn day(month: &Month, day: i64) -> Summary {
    build(&month.day(day), &facts_of)
}

/// Kinds and subjects.
fn kinds(summary: &Summary) -> Vec<(&'static str, String)> {
    claims(summary).into_iter().map(|(_, kind, _, subject)| (kind, subject)).collect()
}

fn kind(word: &'static str, subject: &str) -> (&'static str, String) {
    (word, subject.to_owned())
}

fn device(summary: &Summary, mac: Mac) -> &DeviceSummary {
    summary.devices.iter().find(|device| device.mac == mac).expect("it is there")
}

fn watch(summary: &Summary) -> NightWatch {
    match device(summary, PHONE).night {
        Night::Known(watch) => watch,
        Night::Unknown(why) => panic!("{why}"),
    }
}

#[test]
fn nothing_is_claimed_of_plain_days() {
    let month = Month::plain();
    for n in [0, 3, 7, 20, 26, 27, 28] {
        assert_eq!(kinds(&day(&month, n)), [], "day {n}");
    }
}

#[test]
fn a_new_destination_is_new_once() {
    let mut month = Month::plain();
    month.plant(20, 12, PHONE, "data.tracker.example", 5_000);
    month.plant(21, 12, PHONE, "data.tracker.example", 5_000);
    let found = day(&month, 20);
    assert_eq!(kinds(&found), [kind("new-destination", "tracker.example")]);
    assert_eq!(found.findings.first().map(|f| f.severity), Some(Severity::Note));
    assert_eq!(kinds(&day(&month, 21)), []);
}

#[test]
fn nothing_is_new_before_seven_days_were_observed() {
    let mut month = Month::plain();
    month.plant(6, 12, PHONE, "data.tracker.example", 5_000);
    assert_eq!(kinds(&day(&month, 6)), []);
    // Nor where most days were not watched.
    let mut month = Month::plain();
    month.outage(midnight(5).0, midnight(20).0);
    month.plant(20, 12, PHONE, "data.tracker.example", 5_000);
    let found = day(&month, 20);
    assert_eq!(kinds(&found), []);
    assert!(!device(&found, PHONE).can_be_new);
}

#[test]
fn growth_is_found_for_the_device_and_its_destination_and_once() {
    let mut month = Month::plain();
    month.plant(20, 12, PHONE, "api.social.example", 90_000_000);
    let expected = [kind("more-upload", ""), kind("more-to-destination", "social.example")];
    assert_eq!(kinds(&day(&month, 20)), expected);
    // The day after is compared with a past that holds the large day, and is plain.
    assert_eq!(kinds(&day(&month, 21)), []);
}

#[test]
fn the_hour_that_comes_twice_is_watched_twice() {
    let mut month = Month::plain();
    // The fourth hour after midnight is the second from 02:00 to 03:00.
    month.plant(27, 3, PHONE, "night.tracker.example", 2_000);
    let found = day(&month, 27);
    assert_eq!(kinds(&found), [kind("new-destination", "tracker.example")]);
    assert_eq!(found.findings.first().map(|f| f.severity), Some(Severity::Look));
    let watch = watch(&found);
    assert_eq!((watch.window, watch.hours, watch.measured_hours), ((23, 7), 9, 9));
    assert_eq!((watch.places, watch.new_places), (2, 1));
}

#[test]
fn an_outage_lowers_the_coverage_and_nothing_else() {
    let mut month = Month::plain();
    let midnight = midnight(20).0;
    month.outage(midnight + 2 * HOUR, midnight + 8 * HOUR);
    let found = day(&month, 20);
    assert_eq!(kinds(&found), [kind("low-coverage", "")]);
    let severity = found.findings.first().map(|f| f.severity);
    assert_eq!((found.measured.permille, severity), (Some(750), Some(Severity::Act)));
    assert_eq!(device(&found, PHONE).upload, None);
    assert_eq!((watch(&found).hours, watch(&found).measured_hours), (8, 3));
}

#[test]
fn a_clock_step_is_a_cause_and_no_hole() {
    let mut month = Month::plain();
    month.clock_step = Some(WallTime(midnight(20).0 + 12 * HOUR));
    let found = day(&month, 20);
    assert_eq!((found.measured.clock_steps, found.measured.coverage.holes.len()), (1, 0));
    assert_eq!(kinds(&found), []);
}

#[test]
fn what_the_user_knows_of_is_kept_apart() {
    let mut month = Month::plain();
    month.plant(20, 12, PHONE, "data.tracker.example", 5_000);
    let id = day(&month, 20).findings.first().expect("it is found").id.clone();
    month.known = vec![Known { id, reason: "my own app".to_owned(), date: "2026-10-01".to_owned() }];
    let found = day(&month, 20);
    assert!(text(&found, &look()).contains("Known since 2026-10-01: my own app"));
    assert!(sentence(&found).contains("0 new destinations"));
}

#[test]
fn the_same_rows_give_the_same_bytes_in_any_order() {
    let month = Month::planted();
    let (one, mut other) = (month.days(20, 3), month.days(20, 3));
    other.hours.sums.reverse();
    other.days_before.as_mut().expect("there is a past").sums.reverse();
    other.devices.reverse();
    let write = |input: &SummaryInput| {
        let summary = build(input, &facts_of);
        let json = json(&summary).expect("it has a shape");
        (text(&summary, &look()), markdown(&summary, &look()), html(&summary, &look()), json, csv(&summary))
    };
    assert!(write(&one) == write(&other));
}

#[test]
fn what_is_always_the_same_has_no_night_and_a_guest_no_past() {
    let month = Month::planted();
    let found = day(&month, super::PLAN.target_day);
    assert!(matches!(device(&found, SENSOR).night, Night::Unknown(_)));
    assert!(!device(&found, GUEST).can_be_new);
}
