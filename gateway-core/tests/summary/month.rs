//! A made-up month of a household: five weeks of rows and intervals, with what a summary must find planted in them.
//! Clocks are those of central Europe: on 2026-10-25 the night has one hour more.

use gateway_core::application::Application;
use gateway_core::enrich::owners::Purpose;
use gateway_core::query::buckets::{BucketSum, Buckets, Sent};
use gateway_core::query::{Counted, DeviceInfo, TimeRange};
use gateway_core::report::summary::input::{Known, SummaryInput, Sums};
use gateway_core::report::who::{NameFacts, Owned, Source};
use gateway_core::row::{Evidence, LedgerLine, Marks, Network, RowKind};
use gateway_core::units::{Country, DomainName, Mac, Volume, WallTime};
use std::collections::BTreeMap;

pub const HOUR: i64 = 3_600_000_000_000;
const MINUTE: i64 = HOUR / 60;
/// 2026-09-28 00:00 local, a Monday.
const FIRST_DAY: i64 = 1_790_546_400_000_000_000;
/// 2026-10-25 01:00 UTC: clocks go from +02:00 to +01:00.
const CLOCKS_BACK: i64 = 1_792_890_000_000_000_000;

pub const PHONE: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub const LAPTOP: Mac = Mac([2, 0, 0, 0, 0, 2]);
pub const SENSOR: Mac = Mac([2, 0, 0, 0, 0, 3]);
pub const GUEST: Mac = Mac([2, 0, 0, 0, 0, 4]);

pub fn offset_of(at: WallTime) -> i32 {
    if at.0 < CLOCKS_BACK { 7_200 } else { 3_600 }
}

/// Midnight of the nth day after the first.
pub fn midnight(day: i64) -> WallTime {
    let as_summer = FIRST_DAY + day * 24 * HOUR;
    // The day on which the clocks go back begins in summer time.
    WallTime(if as_summer < CLOCKS_BACK { as_summer } else { as_summer + HOUR })
}

fn hours_between(since: WallTime, until: WallTime) -> Vec<WallTime> {
    (0..).map(|n| WallTime(since.0 + n * HOUR)).take_while(|at| *at <= until).collect()
}

/// What was exchanged in an hour.
pub struct Told {
    pub at: WallTime,
    pub device: Mac,
    pub name: &'static str,
    pub up: u64,
    pub down: u64,
    pub marks: Marks,
    pub application: Application,
}

/// The days that something was planted on.
pub struct Plan {
    pub travel_day: i64,
    pub outage_day: i64,
    pub target_day: i64,
}

pub const PLAN: Plan = Plan { travel_day: 22, outage_day: 30, target_day: 38 };

/// A household's five weeks and a half.
pub struct Month {
    pub rows: Vec<Told>,
    /// Nothing was counted in these; each ends with a start of the gateway.
    pub outages: Vec<TimeRange>,
    /// The clock was set forward by 90 seconds then.
    pub clock_step: Option<WallTime>,
    pub known: Vec<Known>,
    /// What every device is called, if not by its own name.
    pub label: Option<&'static str>,
}

impl Month {
    /// Ordinary life, the same in every run: amounts sway by a fifth, by day and hour. On one day the phone may be
    /// away.
    fn ordinary(away: Option<i64>) -> Self {
        let mut rows = Vec::new();
        for day in 0..=PLAN.target_day {
            for at in hours_between(midnight(day), WallTime(midnight(day + 1).0 - 1)) {
                let hour = (at.0 / HOUR * 3_600 + i64::from(offset_of(at))) / 3_600 % 24;
                ordinary_hour(&mut rows, day, hour, at, away == Some(day));
            }
        }
        Self { rows, outages: Vec::new(), clock_step: None, known: Vec::new(), label: None }
    }

    /// Nothing but ordinary life.
    pub fn plain() -> Self {
        Self::ordinary(None)
    }

    /// With what a summary must find.
    pub fn planted() -> Self {
        let mut month = Self::ordinary(Some(PLAN.travel_day));
        planted(&mut month.rows);
        let (day, target) = (midnight(PLAN.outage_day), midnight(PLAN.target_day));
        // Most of one day, and half an hour of the target.
        month.outage(day.0, day.0 + 19 * HOUR);
        month.outage(target.0 + 13 * HOUR, target.0 + 13 * HOUR + 30 * MINUTE);
        month.clock_step = Some(WallTime(target.0 + 10 * HOUR));
        month
    }

    pub fn outage(&mut self, since: i64, until: i64) {
        let range = TimeRange { since: WallTime(since), until: WallTime(until) };
        // Rows are put where an hour begins: an outage within an hour takes nothing.
        self.rows
            .retain(|row| !(range.since <= row.at && row.at < range.until && range.len_ns() >= HOUR as u64));
        self.outages.push(range);
    }

    /// A row more.
    pub fn plant(&mut self, day: i64, hour: i64, device: Mac, name: &'static str, up: u64) {
        self.rows.push(told(WallTime(midnight(day).0 + hour * HOUR), device, name, up, up / 2));
    }

    /// The journal, a drain each five minutes.
    fn counted(&self) -> Vec<Counted> {
        let first = midnight(0).0;
        let step_at = self.clock_step.map_or(i64::MAX, |at| at.0);
        let mut counted = Vec::new();
        let mut origin = 1;
        let mut at = first;
        while at < midnight(PLAN.target_day + 1).0 {
            let range = TimeRange { since: WallTime(at), until: WallTime(at + 5 * MINUTE) };
            at += 5 * MINUTE;
            if self.outages.iter().any(|outage| outage.overlap(range).is_some()) {
                // After an outage the gateway has started anew.
                origin = range.since.0;
                continue;
            }
            let step = if range.since.0 >= step_at { 90_000_000_000 } else { 0 };
            let boot = |wall: WallTime| u64::try_from(wall.0 - first - step).unwrap_or(0);
            let since = if range.since.0 == step_at { WallTime(range.since.0 + step) } else { range.since };
            let boot_ns = (boot(since).min(boot(range.until)), boot(range.until));
            let range = TimeRange { since, until: range.until };
            counted.push(Counted { origin, boot_ns, range, is_clock_set: true, row_bytes: 0 });
        }
        counted
    }

    /// What the shell would gather for a day.
    pub fn day(&self, day: i64) -> SummaryInput {
        self.days(day, 1)
    }

    /// What the shell would gather for so many days from one on.
    pub fn days(&self, day: i64, count: i64) -> SummaryInput {
        self.range(day, TimeRange { since: midnight(day), until: midnight(day + count) })
    }

    /// What the shell would gather for a range that begins on a day.
    pub fn range(&self, day: i64, range: TimeRange) -> SummaryInput {
        let since = (day - 30).max(0);
        let days: Vec<_> = (since..=day).map(midnight).collect();
        let before = TimeRange { since: midnight(since), until: midnight(day) };
        let all = self.counted();
        let touching = |range: TimeRange| -> Vec<Counted> {
            all.iter().filter(|c| c.range.overlap(range).is_some()).cloned().collect()
        };
        let device = |mac: Mac, label: &str, first_seen: WallTime| DeviceInfo {
            label: Some(self.label.unwrap_or(label).to_owned()),
            first_seen: Some(first_seen),
            ..DeviceInfo::unknown(mac)
        };
        let hours = sums(hours_between(range.since, range.until), &self.rows).expect("a range has hours");
        let nights = hours_between(midnight((day - 14).max(0)), midnight(day));
        let mut stored = Volume::default();
        hours.sums.iter().for_each(|sum| stored.add(sum.volume));
        SummaryInput {
            hours_before: sums(nights, &self.rows),
            days_before: sums(days, &self.rows).map(sent),
            is_whole_day: range == TimeRange { since: midnight(day), until: midnight(day + 1) },
            now: WallTime(range.until.0 + HOUR),
            counted: touching(range),
            counted_before: touching(before),
            latest: all.iter().rfind(|c| c.range.since < range.until).cloned().into_iter().collect(),
            unhooked_intervals: 0,
            devices: vec![
                device(PHONE, "Redmi Note 8", midnight(0)),
                device(LAPTOP, "Laptop", midnight(0)),
                device(SENSOR, "Sensor", midnight(0)),
                device(GUEST, "Guest", WallTime(midnight(PLAN.target_day).0 + 18 * HOUR)),
            ],
            phones: [PHONE].into(),
            ledger: vec![LedgerLine {
                counter: "seen".to_owned(),
                packets: stored.packets(),
                bytes: Some(stored.bytes()),
            }],
            stored,
            owners_date: String::new(),
            known: self.known.clone(),
            known_places: Vec::new(),
            hours,
        }
    }
}

/// What of it was sent to the world, as the shell gathers it for the days before.
fn sent(days: Sums) -> Sums<Sent> {
    let Sums { buckets, offsets, sums } = days;
    let routed = sums.into_iter().filter(|sum| matches!(sum.kind, RowKind::Flow | RowKind::LaterFragments));
    let of = |sum: BucketSum| Sent {
        device: sum.device,
        network: if sum.name.is_none() { sum.network } else { Network::default() },
        name: sum.name,
        marks: sum.marks,
        application: sum.application,
        by_bucket: vec![(sum.bucket, sum.volume.up_bytes)],
    };
    Sums { buckets, offsets, sums: routed.map(of).collect() }
}

fn told(at: WallTime, device: Mac, name: &'static str, up: u64, down: u64) -> Told {
    Told { at, device, name, up, down, marks: Marks::NONE, application: Application::Tls }
}

fn ordinary_hour(rows: &mut Vec<Told>, day: i64, hour: i64, at: WallTime, is_away: bool) {
    let sway = |base: u64| base + base / 5 * u64::try_from((day * 7 + hour * 3) % 5).unwrap_or(0) / 4;
    let is_awake = (7..23).contains(&hour);
    if !is_away {
        rows.push(told(at, PHONE, "push.maker.example", sway(2_000), sway(3_000)));
        if is_awake {
            rows.push(told(at, PHONE, "api.social.example", sway(400_000), sway(9_000_000)));
            rows.push(told(at, PHONE, "metrics.maker.example", sway(20_000), sway(4_000)));
        }
    }
    if (9..18).contains(&hour) && day % 7 < 5 {
        rows.push(told(at, LAPTOP, "mail.work.example", sway(300_000), sway(2_000_000)));
    }
    rows.push(told(at, SENSOR, "hub.sensor.example", sway(9_000), sway(9_000)));
}

fn planted(rows: &mut Vec<Told>) {
    let at = |day: i64, hour: i64| WallTime(midnight(day).0 + hour * HOUR);
    let target = PLAN.target_day;
    // New: a tracker, by night and much of it; a page, by day and little.
    rows.push(told(at(target, 3), PHONE, "up.tracker.example", 2_500_000, 40_000));
    rows.push(told(at(target, 15), PHONE, "www.page.example", 3_000, 90_000));
    // Met before, once, on a day that was measured badly: not new. And the day before: not new.
    rows.push(told(at(PLAN.outage_day, 20), PHONE, "www.once.example", 1_000, 9_000));
    rows.push(told(at(target, 16), PHONE, "www.once.example", 1_000, 9_000));
    rows.push(told(at(target - 1, 12), PHONE, "www.recent.example", 1_000, 9_000));
    rows.push(told(at(target, 12), PHONE, "www.recent.example", 1_000, 9_000));
    // Of a name that may be another's nothing new is said.
    let unsure = told(at(target, 17), PHONE, "www.rival.example", 5_000, 5_000);
    rows.push(Told { marks: Marks::HAS_RIVALS, ..unsure });
    // Growth: the maker gets 10 times as much, which is not much for the phone.
    rows.push(told(at(target, 20), PHONE, "metrics.maker.example", 4_000_000, 4_000));
    // The whole laptop: a back-up to where its mail goes.
    rows.push(told(at(target, 11), LAPTOP, "mail.work.example", 80_000_000, 300_000));
    // A phone that hides its questions from today on.
    rows.push(Told {
        application: Application::Doh,
        ..told(at(target, 9), PHONE, "api.social.example", 4_000, 9_000)
    });
    // A guest has no past.
    rows.push(told(at(target, 18), GUEST, "api.social.example", 900_000, 9_000_000));
    rows.push(told(at(target, 18), GUEST, "cdn.guest.example", 9_000, 90_000));
}

fn sums(bounds: Vec<WallTime>, rows: &[Told]) -> Option<Sums> {
    let offsets = bounds.iter().map(|at| offset_of(*at)).collect();
    let buckets = Buckets::between(bounds)?;
    let mut sums = BTreeMap::<_, BucketSum>::new();
    for row in rows {
        let Some(bucket) = buckets.place_of(row.at) else { continue };
        let key = (bucket, row.device, row.name, row.application, row.marks);
        let sum = sums.entry(key).or_insert_with(|| BucketSum {
            bucket,
            device: row.device,
            name: (!row.name.is_empty()).then(|| DomainName::parse(row.name)).flatten(),
            evidence: if row.name.is_empty() { Evidence::None } else { Evidence::TlsSni },
            marks: row.marks,
            application: row.application,
            kind: RowKind::Flow,
            network: network_of(row.name),
            volume: Volume::default(),
            conversations: 0,
            is_coarse: false,
        });
        let packets = |bytes: u64| bytes / 1_000 + 1;
        sum.volume.add(Volume {
            up_bytes: row.up,
            down_bytes: row.down,
            up_packets: packets(row.up),
            down_packets: packets(row.down),
        });
        sum.conversations += 1;
    }
    Some(Sums { buckets, offsets, sums: sums.into_values().collect() })
}

/// What a registry might hold.
const ODD_ORGANISATION: &str = "<b>\u{202e}Организация</b> & \"Söhne\" 株式会社 \
                                Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft";

fn network_of(name: &str) -> Network {
    let (asn, organisation, country) = match name {
        name if name.ends_with("maker.example") => (64_501, "Maker Cloud", "SG"),
        name if name.ends_with("tracker.example") => (64_502, "Tracker Hosting", "RU"),
        name if name.ends_with("odd.example") => (4_294_967_295, ODD_ORGANISATION, "XX"),
        _ => (64_500, "Example Net", "DE"),
    };
    let country = Country::parse(country);
    Network {
        asn: Some(asn),
        organisation: Some(organisation.to_owned()),
        country,
        registered: country,
        ..Network::default()
    }
}

/// The last two labels are what is registered; two owners are known.
pub fn facts_of(name: &DomainName) -> NameFacts {
    let labels: Vec<_> = name.as_str().split('.').collect();
    let registrable =
        labels.get(labels.len().saturating_sub(2)..).map(|last| last.join(".")).unwrap_or_default();
    let owned = match registrable.as_str() {
        "maker.example" => Some(owned("Maker & Sons", "CN", Purpose::Telemetry)),
        "social.example" => Some(owned("Social Inc", "US", Purpose::Analytics)),
        name if name.ends_with("odd.example") => Some(owned(ODD_ORGANISATION, "", Purpose::Telemetry)),
        _ => None,
    };
    NameFacts { registrable: DomainName::parse(&registrable), owned, ..NameFacts::default() }
}

fn owned(owner: &str, country: &str, purpose: Purpose) -> Owned {
    let source = Source { title: "a test".to_owned(), place: String::new(), read_on: None };
    Owned {
        owner: owner.to_owned(),
        country: Country::parse(country),
        seat: None,
        parents: Vec::new(),
        purpose,
        rule: String::new(),
        list: None,
        source,
        purpose_source: None,
        seat_source: None,
    }
}
