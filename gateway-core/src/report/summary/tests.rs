//! A month of a household, made by rule, with things planted in it: they are found, and nothing else is.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

use super::build::build;
use super::input::{Known, SummaryInput, Sums};
use super::model::{FindingKind, Night, Severity, Summary};
use super::{csv, json, markdown, text};
use crate::application::Application;
use crate::enrich::owners::Purpose;
use crate::query::buckets::{BucketSum, Buckets};
use crate::query::{Counted, DeviceInfo, TimeRange};
use crate::report::table::Paint;
use crate::report::text::Look;
use crate::report::who::{NameFacts, Owned, Source};
use crate::row::{Evidence, LedgerLine, Marks, Network, NetworkMarks, RowKind};
use crate::units::{Country, DomainName, Mac, Volume, WallTime};
use std::collections::BTreeSet;

const HOUR: i64 = 3_600_000_000_000;
/// 2026-09-25 00:00 in a place that is two hours ahead of UTC; its clocks go back on 2026-10-25.
const BEGIN: i64 = 1_790_287_200_000_000_000;
/// The hour, since the beginning, at which the clocks go back: 03:00 on the 31st day becomes 02:00.
const CLOCKS_BACK: i64 = 30 * 24 + 3;
const PHONE: Mac = Mac([0x7c, 3, 0xab, 0, 0, 1]);
const LAMP: Mac = Mac([0x7c, 3, 0xab, 0, 0, 2]);

fn at(hour: i64) -> WallTime {
    WallTime(BEGIN + hour * HOUR)
}

/// Seconds ahead of UTC.
fn offset(hour: i64) -> i32 {
    if hour >= CLOCKS_BACK { 3_600 } else { 7_200 }
}

/// The first hour of a day. The 31st day has 25 hours.
fn midnight(day: i64) -> i64 {
    day * 24 + i64::from(day > 30)
}

/// What one device does in one hour of the household, before anything is planted.
struct Hour {
    device: Mac,
    hour: i64,
    name: Option<&'static str>,
    up: u64,
}

struct Month {
    rows: Vec<Hour>,
    holes: Vec<(i64, i64)>,
    hostname: &'static str,
    known: Vec<Known>,
}

impl Month {
    /// A phone that is used from 07:00 to 23:00 and whispers at night, and a lamp that is always the same.
    fn plain() -> Self {
        let mut rows = Vec::new();
        for hour in 0..midnight(32) {
            let local = (hour + i64::from(offset(hour)) / 3_600 - 2).rem_euclid(24);
            let wobble = (hour * 7919 % 13).unsigned_abs() * 1_000;
            let (name, up) = match local {
                7..=22 => (Some("api.shop.example"), 40_000 + wobble),
                _ => (Some("push.maker.example"), 200),
            };
            rows.push(Hour { device: PHONE, hour, name, up });
            rows.push(Hour { device: PHONE, hour, name: None, up: 300 });
            rows.push(Hour { device: LAMP, hour, name: Some("lamp.maker.example"), up: 500 });
        }
        Self { rows, holes: Vec::new(), hostname: "Redmi Note 8", known: Vec::new() }
    }

    fn plant(&mut self, device: Mac, hour: i64, name: &'static str, up: u64) {
        self.rows.push(Hour { device, hour, name: Some(name), up });
    }

    fn is_measured(&self, hour: i64) -> bool {
        !self.holes.iter().any(|(a, b)| (*a..*b).contains(&hour))
    }

    fn counted(&self, hours: core::ops::Range<i64>) -> Vec<Counted> {
        let counted = |hour: i64| Counted {
            origin: 1,
            boot_ns: ((hour * HOUR).cast_unsigned(), ((hour + 1) * HOUR).cast_unsigned()),
            range: TimeRange { since: at(hour), until: at(hour + 1) },
            is_clock_set: true,
            row_bytes: 0,
        };
        hours.filter(|hour| self.is_measured(*hour)).map(counted).collect()
    }

    fn sums(&self, bounds: &[i64]) -> Option<Sums> {
        let buckets = Buckets::between(bounds.iter().map(|hour| at(*hour)).collect())?;
        let offsets = bounds.iter().map(|hour| offset(*hour)).collect();
        let row = |row: &Hour| {
            let is_named = row.name.is_some();
            Some(BucketSum {
                bucket: buckets.place_of(at(row.hour))?,
                device: row.device,
                name: row.name.map(|name| DomainName::parse(name).unwrap()),
                evidence: if is_named { Evidence::TlsSni } else { Evidence::None },
                marks: Marks::NONE,
                application: Application::Tls,
                kind: RowKind::Flow,
                network: Network {
                    asn: Some(64_500),
                    organisation: Some("Example | <Hosting>".to_owned()),
                    country: Country::parse("SG"),
                    registered: Country::parse("CN"),
                    marks: NetworkMarks::NONE,
                },
                volume: Volume { up_bytes: row.up, down_bytes: row.up * 2, up_packets: 1, down_packets: 2 },
                conversations: 1,
                is_coarse: false,
            })
        };
        let measured = self.rows.iter().filter(|r| self.is_measured(r.hour));
        let sums = measured.filter_map(row).collect();
        Some(Sums { buckets, offsets, sums })
    }

    /// What a summary of a day is made from.
    fn input(&self, day: i64) -> SummaryInput {
        let (since, until) = (midnight(day), midnight(day + 1));
        let first = (day - 30).max(0);
        let days: Vec<i64> = (first..=day).map(midnight).collect();
        let nights: Vec<i64> = (midnight((day - 14).max(0))..=since).collect();
        let hours = self.sums(&(since..=until).collect::<Vec<_>>()).unwrap();
        let mut stored = Volume::default();
        hours.sums.iter().for_each(|sum| stored.add(sum.volume));
        let device = |mac, name: &str| DeviceInfo {
            hostname: Some(name.to_owned()),
            first_seen: Some(at(0)),
            ..DeviceInfo::unknown(mac)
        };
        SummaryInput {
            hours,
            days_before: self.sums(&days),
            hours_before: self.sums(&nights),
            is_whole_day: true,
            now: at(until + 5),
            counted: self.counted(since..until),
            counted_before: self.counted(midnight(first)..since),
            latest: Vec::new(),
            unhooked_intervals: 0,
            devices: vec![device(PHONE, self.hostname), device(LAMP, "lamp")],
            phones: BTreeSet::from([PHONE]),
            ledger: vec![LedgerLine {
                counter: "seen".to_owned(),
                packets: stored.packets(),
                bytes: Some(stored.bytes()),
            }],
            stored,
            owners_date: "2026-11-01".to_owned(),
            known: self.known.clone(),
            known_places: Vec::new(),
        }
    }

    fn day(&self, day: i64) -> Summary {
        build(&self.input(day), &facts_of)
    }
}

/// Every name belongs to its last two labels; maker.example has an owner.
fn facts_of(name: &DomainName) -> NameFacts {
    let labels: Vec<_> = name.as_str().rsplitn(3, '.').take(2).collect();
    let registrable = DomainName::parse(&format!("{}.{}", labels[1], labels[0]));
    let source = Source { title: String::new(), place: String::new(), read_on: None };
    let owned = (labels[1] == "maker").then(|| Owned {
        owner: "Maker & Sons".to_owned(),
        country: None,
        seat: None,
        parents: Vec::new(),
        purpose: Purpose::Push,
        rule: String::new(),
        list: None,
        source,
        purpose_source: None,
        seat_source: None,
    });
    NameFacts { registrable, owned, ..NameFacts::default() }
}

fn look() -> Look<'static> {
    Look {
        width: None,
        paint: Paint::Plain,
        is_exact: false,
        max_destinations: usize::MAX,
        offset_of: &|at: WallTime| offset((at.0 - BEGIN).div_euclid(HOUR)),
    }
}

fn kinds(summary: &Summary) -> Vec<(FindingKind, Option<Mac>, &str)> {
    let what = |f: &super::model::Finding| (f.kind, f.device.as_ref().map(|d| d.0));
    summary.findings.iter().map(|f| (what(f).0, what(f).1, f.subject.as_str())).collect()
}

#[test]
fn nothing_is_claimed_of_plain_days() {
    let month = Month::plain();
    for day in [0, 3, 7, 20, 29, 30, 31] {
        assert_eq!(kinds(&month.day(day)), [], "day {day}");
    }
}

#[test]
fn a_new_destination_is_new_once() {
    let mut month = Month::plain();
    month.plant(PHONE, midnight(20) + 12, "data.tracker.example", 5_000);
    month.plant(PHONE, midnight(21) + 12, "data.tracker.example", 5_000);
    let found = month.day(20);
    assert_eq!(kinds(&found), [(FindingKind::NewDestination, Some(PHONE), "tracker.example")]);
    assert_eq!(found.findings[0].severity, Severity::Note);
    assert_eq!(kinds(&month.day(21)), []);
}

#[test]
fn nothing_is_new_before_seven_days_were_observed() {
    let mut month = Month::plain();
    month.plant(PHONE, midnight(6) + 12, "data.tracker.example", 5_000);
    assert_eq!(kinds(&month.day(6)), []);
    // Nor where most days were not watched.
    let mut month = Month::plain();
    month.holes.push((midnight(5), midnight(20)));
    month.plant(PHONE, midnight(20) + 12, "data.tracker.example", 5_000);
    assert_eq!(kinds(&month.day(20)), []);
    assert!(!month.day(20).devices[0].can_be_new);
}

#[test]
fn growth_is_found_for_the_device_and_its_destination() {
    let mut month = Month::plain();
    month.plant(PHONE, midnight(20) + 12, "api.shop.example", 9_000_000);
    let found = month.day(20);
    let expected = [
        (FindingKind::MoreUpload, Some(PHONE), ""),
        (FindingKind::MoreToDestination, Some(PHONE), "shop.example"),
    ];
    assert_eq!(kinds(&found), expected);
    // The day after is compared with a past that holds the large day, and is plain.
    assert_eq!(kinds(&month.day(21)), []);
}

#[test]
fn the_night_of_the_clock_change_is_watched_whole() {
    let mut month = Month::plain();
    month.plant(PHONE, CLOCKS_BACK, "night.tracker.example", 2_000);
    let found = month.day(30);
    let expected = [(FindingKind::NewDestination, Some(PHONE), "tracker.example")];
    assert_eq!(kinds(&found), expected);
    assert_eq!(found.findings[0].severity, Severity::Look);
    let Night::Known(watch) = &found.devices[0].night else { panic!("{:?}", found.devices[0].night) };
    assert_eq!((watch.window, watch.hours, watch.measured_hours), ((23, 7), 9, 9));
    assert_eq!((watch.places, watch.new_places), (3, 1));
    // The lamp is never quieter than usual.
    assert!(matches!(found.devices[1].night, Night::Unknown(_)));
}

#[test]
fn a_travel_day_is_no_finding_and_no_comparable_day() {
    let mut month = Month::plain();
    let away = midnight(15)..midnight(16);
    month.rows.retain(|row| row.device != PHONE || !away.contains(&row.hour));
    assert_eq!(kinds(&month.day(15)), []);
    assert_eq!(month.day(20).devices[0].past_days, 19);
    assert_eq!(month.day(20).devices[0].upload.unwrap().range.0 / 100_000, 7);
}

#[test]
fn an_outage_lowers_the_coverage_and_nothing_else() {
    let mut month = Month::plain();
    month.holes.push((midnight(20) + 2, midnight(20) + 8));
    let found = month.day(20);
    assert_eq!(kinds(&found), [(FindingKind::LowCoverage, None, "")]);
    assert_eq!((found.measured.permille, found.findings[0].severity), (Some(750), Severity::Act));
    assert_eq!(found.devices[0].upload, None);
    let Night::Known(watch) = &found.devices[0].night else { panic!() };
    assert_eq!((watch.hours, watch.measured_hours), (8, 3));
}

#[test]
fn a_clock_step_is_a_cause_and_no_hole() {
    let month = Month::plain();
    let mut input = month.input(20);
    for counted in input.counted.iter_mut().skip(12) {
        counted.range.since.0 += 60_000_000_000;
        counted.range.until.0 += 60_000_000_000;
    }
    let found = build(&input, &facts_of);
    assert_eq!((found.measured.clock_steps, found.measured.coverage.holes.len()), (1, 0));
    assert_eq!(kinds(&found), []);
    assert!(text::text(&found, &look()).contains("the clock was set 1 time while counting"));
}

#[test]
fn what_the_user_knows_of_is_kept_apart() {
    let mut month = Month::plain();
    month.plant(PHONE, midnight(20) + 12, "data.tracker.example", 5_000);
    let id = month.day(20).findings[0].id.clone();
    let (reason, date) = ("my own app".to_owned(), "2026-10-01".to_owned());
    month.known = vec![Known { id: id.clone(), reason, date }];
    let found = month.day(20);
    assert_eq!(found.findings[0].id, id);
    assert!(text::text(&found, &look()).contains("Known since 2026-10-01: my own app"));
    assert!(super::words::sentence(&found).contains("0 new destinations"));
}

#[test]
fn destinations_add_up_to_devices_and_devices_to_all() {
    let mut month = Month::plain();
    month.plant(PHONE, midnight(20) + 12, "data.tracker.example", 5_000);
    let found = month.day(20);
    let mut all = Volume::default();
    for device in &found.devices {
        let (mut places, mut groups) = (Volume::default(), Volume::default());
        device.places().for_each(|place| places.add(place.volume));
        device.owners.iter().for_each(|group| groups.add(group.volume));
        let hours: u64 = device.hours.iter().map(|(up, down)| up + down).sum();
        assert_eq!((places, groups, hours), (device.routed, device.routed, device.routed.bytes()));
        all.add(device.routed);
    }
    assert_eq!(all, found.routed);
}

#[test]
fn the_same_rows_give_the_same_bytes_in_any_order() {
    let month = Month::plain();
    let (one, mut other) = (month.input(20), month.input(20));
    other.hours.sums.reverse();
    other.days_before.as_mut().unwrap().sums.reverse();
    let write = |input: &SummaryInput| {
        let summary = build(input, &facts_of);
        let csv = csv::csv(&summary);
        let json = json::json(&summary).unwrap();
        (text::text(&summary, &look()), markdown::markdown(&summary, &look()), json, csv)
    };
    assert_eq!(write(&one), write(&other));
}

#[test]
fn a_hostname_is_no_markup() {
    let mut month = Month::plain();
    month.hostname = "<script>alert(1)</script>|`x`\u{1b}[31m";
    let found = month.day(20);
    let page = markdown::markdown(&found, &look());
    let bare = page.replace("\\<", "").replace("\\`", "").replace("\\|", "");
    assert!(!bare.contains("<") && !bare.contains("`") && !page.contains('\u{1b}'), "{page}");
    assert!(!text::text(&found, &look()).contains('\u{1b}'));
}

#[test]
fn the_text_says_it_as_people_do() {
    let mut month = Month::plain();
    month.plant(PHONE, midnight(20) + 2, "data.tracker.example", 5_000);
    let page = text::text(&month.day(20), &look());
    assert_eq!(page, include_str!("tests/text.txt"), "\n{page}");
}
