//! Rows to a [`Report`]: adds up, puts in order, and works out what is missing.

use super::model::{Destination, DeviceReport, Report, Shortfall, Who};
use crate::query::{Counted, DeviceInfo, Filter, FlowSum, TimeRange};
use crate::row::{Alias, Evidence, LedgerLine, Network, RowKind};
use crate::units::{Country, DomainName, Mac, Volume, WallTime};
use core::cmp::Reverse;
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

/// A gap on the calendar shorter than this (nanoseconds) is the clock being set right, not time that went by
/// unmeasured.
const MIN_HOLE_NS: u64 = 1_000_000_000;

/// All that a report is made from, as the store answers it.
#[derive(Clone, Debug)]
pub struct Input {
    /// The range asked for.
    pub range: TimeRange,
    /// The time now: nothing behind it counts as unmeasured.
    pub now: WallTime,
    /// What was asked for within the range.
    pub filter: Filter,
    /// The journal: intervals that touch the range, by their start.
    pub counted: Vec<Counted>,
    /// All devices.
    pub devices: Vec<DeviceInfo>,
    /// The rows that the filter picks.
    pub flows: Vec<FlowSum>,
    /// All volume in rows of the range, whatever the filter.
    pub stored: Volume,
    /// The ledger of the range.
    pub ledger: Vec<LedgerLine>,
    /// CNAMEs.
    pub aliases: Vec<Alias>,
    /// The oldest and newest date of the tables that networks are from.
    pub tables_dates: Option<(String, String)>,
}

/// Makes the report.
#[must_use]
pub fn build(input: Input) -> Report {
    let Input { range, now, filter, counted, devices, flows, stored, ledger, aliases, tables_dates } = input;
    let Coverage { measured_ns, holes, pending_since } = coverage(&counted, range, now);
    let mut coarse = Volume::default();
    let mut by_evidence = BTreeMap::<Evidence, Volume>::new();
    for flow in &flows {
        match flow.key.kind {
            RowKind::Local => {}
            RowKind::Coarse => coarse.add(flow.volume),
            RowKind::Flow | RowKind::LaterFragments => {
                by_evidence.entry(flow.key.evidence).or_default().add(flow.volume);
            }
        }
    }
    let reports = device_reports(&flows, &devices, &Aliases::of(&aliases));
    let seen: BTreeSet<Mac> = reports.iter().map(|d| d.mac).collect();
    // Under a filter, a device without rows may have traffic that was not asked for.
    let is_unseen = |device: &&DeviceInfo| filter.is_empty() && !seen.contains(&device.mac);
    let mut unseen: Vec<_> = devices.iter().filter(is_unseen).map(DeviceInfo::display_name).collect();
    unseen.sort_unstable();
    Report {
        range,
        filter: filter.to_string(),
        measured_ns,
        pending_since,
        undated_count: counted.iter().filter(|c| !c.is_clock_set && starts_in(c, range)).count(),
        tables_dates,
        devices: reports,
        unseen,
        evidence: by_evidence.into_iter().rev().collect(),
        shortfalls: shortfalls(&holes, coarse, &ledger, stored),
        holes,
        ledger,
        stored,
    }
}

fn starts_in(counted: &Counted, range: TimeRange) -> bool {
    (range.since..range.until).contains(&counted.range.since)
}

/// What of a range was measured.
#[derive(PartialEq, Eq, Debug)]
struct Coverage {
    /// How much, nanoseconds.
    measured_ns: u64,
    /// What was not.
    holes: Vec<TimeRange>,
    /// Since when it is not known yet.
    pending_since: Option<WallTime>,
}

/// Looks for the parts of the range, up to now, that no interval covers.
fn coverage(counted: &[Counted], range: TimeRange, now: WallTime) -> Coverage {
    let until = range.until.min(now).max(range.since);
    let pending_since = pending(counted, now).filter(|since| (range.since..until).contains(since));
    let range = TimeRange { since: range.since, until: pending_since.unwrap_or(until) };
    let mut holes = Vec::new();
    let mut hole = |since: WallTime, until: WallTime| {
        let Some(hole) = range.overlap(TimeRange { since, until }) else { return };
        if hole.len_ns() >= MIN_HOLE_NS {
            holes.push(hole);
        }
    };
    let mut covered_until = range.since;
    // Where each origin's steady clock has come to: what goes on from there leaves no gap, even where the
    // calendar was set forward in between.
    let mut steady = BTreeMap::<i64, u64>::new();
    for Counted { origin, boot_ns: (began, ended), range: interval, .. } in counted {
        let goes_on = steady.get(origin).is_some_and(|until| began <= until);
        if interval.since > covered_until && !goes_on {
            hole(covered_until, interval.since);
        }
        steady.insert(*origin, *ended);
        covered_until = covered_until.max(interval.until);
    }
    hole(covered_until, range.until);
    let missing: u64 = holes.iter().map(|hole| hole.len_ns()).sum();
    Coverage { measured_ns: range.len_ns().saturating_sub(missing), holes, pending_since }
}

/// The end of the last interval, if the drain after it may still come: it is due after as long again, and is
/// allowed to be late by as much.
fn pending(counted: &[Counted], now: WallTime) -> Option<WallTime> {
    let last = counted.iter().max_by_key(|c| c.range.until)?;
    let since = TimeRange { since: last.range.until, until: now }.len_ns();
    (since > 0 && since <= last.range.len_ns().saturating_mul(2)).then_some(last.range.until)
}

fn shortfalls(holes: &[TimeRange], coarse: Volume, ledger: &[LedgerLine], stored: Volume) -> Vec<Shortfall> {
    let line = |counter: &str| {
        let found = ledger.iter().find(|l| l.counter == counter);
        found.map_or((0, 0), |l| (l.packets, l.bytes.unwrap_or(0)))
    };
    let mut shortfalls = Vec::new();
    if !holes.is_empty() {
        let ns = holes.iter().map(|hole| hole.len_ns()).sum();
        shortfalls.push(Shortfall::NotMeasured { count: holes.len(), ns });
    }
    let (packets, bytes) = line("nobody");
    if packets > 0 {
        shortfalls.push(Shortfall::NoDevice { packets, bytes });
    }
    if coarse.packets() > 0 {
        shortfalls.push(Shortfall::PeerUnknown { bytes: coarse.bytes() });
    }
    let (_, seen) = line("seen");
    let lost: u64 = LedgerLine::IS_LOSS.iter().map(|counter| line(counter).1).sum();
    let accounted = stored.bytes().saturating_add(lost);
    if seen != accounted {
        shortfalls.push(Shortfall::Imbalance { seen, accounted });
    }
    shortfalls
}

/// What each device was told that a name is also called, in other domains.
struct Aliases<'a>(BTreeMap<(Mac, &'a DomainName), BTreeSet<&'a DomainName>>);

impl<'a> Aliases<'a> {
    fn of(aliases: &'a [Alias]) -> Self {
        let mut of_name = BTreeMap::<_, BTreeSet<_>>::new();
        for Alias { device, name, alias } in aliases {
            if site_of(name) != site_of(alias) {
                of_name.entry((*device, name)).or_default().insert(alias);
            }
        }
        Self(of_name)
    }

    fn get(&self, device: Mac, who: &Who) -> Vec<DomainName> {
        let Who::Name(name) = who else { return Vec::new() };
        self.0.get(&(device, name)).into_iter().flatten().map(|alias| (*alias).clone()).collect()
    }
}

/// Second levels under which a country's registry sells names.
const SHARED_SECOND_LEVELS: [&str; 9] = ["ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"];

/// The part of a name that someone registered, by a rule of thumb: the last two labels, or three where the second
/// is one that a country's registry shares out (`co.uk`, `com.cn`).
fn site_of(name: &DomainName) -> &str {
    let text = name.as_str();
    let mut parts = text.rsplit('.');
    let (Some(country), Some(second)) = (parts.next(), parts.next()) else { return text };
    let is_shared = country.len() == 2 && SHARED_SECOND_LEVELS.contains(&second);
    let labels = if is_shared { 3 } else { 2 };
    match text.rmatch_indices('.').nth(labels - 1) {
        Some((dot, _)) => text.get(dot + 1..).unwrap_or(text),
        None => text,
    }
}

#[derive(Default)]
struct DeviceSum {
    routed: Volume,
    coarse: Volume,
    local: Volume,
    destinations: BTreeMap<Who, DestinationSum>,
}

#[derive(Default)]
struct DestinationSum {
    volume: Volume,
    conversations: u64,
    evidence: BTreeMap<Evidence, u64>,
    networks: BTreeMap<Network, u64>,
    countries: BTreeMap<Country, u64>,
    peers: BTreeMap<IpAddr, u64>,
}

impl DestinationSum {
    fn add(&mut self, flow: &FlowSum) {
        let bytes = flow.volume.bytes();
        let Network { asn, organisation, country } = &flow.network;
        self.volume.add(flow.volume);
        self.conversations = self.conversations.saturating_add(flow.conversations);
        *self.evidence.entry(flow.key.evidence).or_default() += bytes;
        if asn.is_some() || organisation.is_some() {
            let network = Network { asn: *asn, organisation: organisation.clone(), country: None };
            *self.networks.entry(network).or_default() += bytes;
        }
        if let Some(country) = country {
            *self.countries.entry(*country).or_default() += bytes;
        }
        if flow.key.name.is_none() {
            *self.peers.entry(flow.key.peer).or_default() += bytes;
        }
    }

    fn finish(self, device: Mac, who: Who, aliases: &Aliases<'_>) -> Destination {
        let Self { volume, conversations, evidence, networks, countries, peers } = self;
        Destination {
            aliases: aliases.get(device, &who),
            who,
            volume,
            conversations,
            evidence: by_bytes(evidence),
            networks: by_bytes(networks).into_iter().map(|(network, _)| network).collect(),
            countries: by_bytes(countries).into_iter().map(|(country, _)| country).collect(),
            unnamed_addrs: by_bytes(peers).into_iter().map(|(addr, _)| addr).collect(),
        }
    }
}

/// Most bytes first, equals by key.
fn by_bytes<K: Ord>(sums: BTreeMap<K, u64>) -> Vec<(K, u64)> {
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, bytes)| Reverse(*bytes));
    sums
}

/// Whom a row is counted under.
#[must_use]
pub fn who_of(flow: &FlowSum) -> Who {
    match (&flow.key.name, flow.network.asn) {
        (Some(name), _) => Who::Name(name.clone()),
        (None, Some(asn)) => Who::Network(asn),
        (None, None) => Who::Address(flow.key.peer),
    }
}

fn device_reports(flows: &[FlowSum], devices: &[DeviceInfo], aliases: &Aliases<'_>) -> Vec<DeviceReport> {
    let mut sums = BTreeMap::<Mac, DeviceSum>::new();
    for flow in flows {
        let sum = sums.entry(flow.key.device).or_default();
        match flow.key.kind {
            RowKind::Local => sum.local.add(flow.volume),
            RowKind::Coarse => {
                sum.coarse.add(flow.volume);
                sum.routed.add(flow.volume);
            }
            RowKind::Flow | RowKind::LaterFragments => {
                sum.routed.add(flow.volume);
                sum.destinations.entry(who_of(flow)).or_default().add(flow);
            }
        }
    }
    let mut reports: Vec<_> = sums
        .into_iter()
        .map(|(mac, DeviceSum { routed, coarse, local, destinations })| {
            let known = devices.iter().find(|d| d.mac == mac).cloned();
            let known = known.unwrap_or_else(|| DeviceInfo::unknown(mac));
            let mut destinations: Vec<_> =
                destinations.into_iter().map(|(who, sum)| sum.finish(mac, who, aliases)).collect();
            // What a device sends is what this is about.
            destinations.sort_by_key(|d| Reverse((d.volume.up_bytes, d.volume.bytes())));
            let name = known.display_name();
            let DeviceInfo { label, hostname, addrs, .. } = known;
            DeviceReport { mac, name, label, hostname, addrs, routed, coarse, local, destinations }
        })
        .collect();
    let bytes = |d: &DeviceReport| (d.routed.up_bytes, d.routed.bytes());
    reports.sort_by(|a, b| bytes(b).cmp(&bytes(a)).then_with(|| (&a.name, a.mac).cmp(&(&b.name, b.mac))));
    reports
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    const S: i64 = 1_000_000_000;

    fn range(since: i64, until: i64) -> TimeRange {
        TimeRange { since: WallTime(since * S), until: WallTime(until * S) }
    }

    /// Seconds: origin, start and end since boot, start and end on the calendar.
    fn counted(origin: i64, boot: (u64, u64), wall: (i64, i64)) -> Counted {
        let ns = S.cast_unsigned();
        Counted {
            origin,
            boot_ns: (boot.0 * ns, boot.1 * ns),
            range: range(wall.0, wall.1),
            is_clock_set: true,
        }
    }

    #[track_caller]
    fn check(journal: &[Counted], now: i64, measured: u64, holes: &[(i64, i64)]) {
        let found = coverage(journal, range(0, 100), WallTime(now * S));
        let holes = holes.iter().map(|(a, b)| range(*a, *b)).collect();
        let measured_ns = measured * S.cast_unsigned();
        assert_eq!(found, Coverage { measured_ns, holes, pending_since: None });
    }

    #[test]
    fn holes_are_what_no_interval_covers() {
        check(&[], 1_000, 0, &[(0, 100)]);
        check(&[counted(1, (0, 200), (-50, 150))], 1_000, 100, &[]);
        check(
            &[counted(1, (0, 10), (10, 20)), counted(1, (30, 40), (40, 50))],
            1_000,
            20,
            &[(0, 10), (20, 40), (50, 100)],
        );
    }

    #[test]
    fn the_future_is_no_hole() {
        check(&[counted(1, (0, 60), (0, 60))], 60, 60, &[]);
        check(&[], -5, 0, &[]);
    }

    #[test]
    fn a_drain_that_is_due_is_no_hole() {
        let journal = [counted(1, (0, 30), (0, 30)), counted(1, (30, 40), (30, 40))];
        let at = |now: i64| coverage(&journal, range(0, 100), WallTime(now * S));
        let pending_since = Some(WallTime(40 * S));
        assert_eq!(at(60), Coverage { measured_ns: 40_000_000_000, holes: vec![], pending_since });
        assert_eq!(at(61).holes, [range(40, 61)]);
    }

    #[test]
    fn a_clock_set_forward_makes_no_hole() {
        check(&[counted(1, (0, 50), (0, 50)), counted(1, (50, 90), (60, 100))], 1_000, 100, &[]);
        // Other tables, other time.
        check(&[counted(1, (0, 50), (0, 50)), counted(2, (50, 90), (60, 100))], 1_000, 90, &[(50, 60)]);
    }

    #[test]
    fn what_one_device_was_told_is_not_said_of_another() {
        let name = DomainName::parse("bank.example").unwrap();
        let alias = DomainName::parse("tracker.test").unwrap();
        let told = [Alias { device: Mac([2; 6]), name: name.clone(), alias: alias.clone() }];
        let (aliases, who) = (Aliases::of(&told), Who::Name(name));
        assert_eq!(aliases.get(Mac([2; 6]), &who), [alias]);
        assert_eq!(aliases.get(Mac([4; 6]), &who), []);
    }

    #[test]
    fn a_site_is_told_by_its_last_labels() {
        for (name, site) in [
            ("data.mistat.xiaomi.com", "xiaomi.com"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("example.com.cn", "example.com.cn"),
            ("com.cn", "com.cn"),
            ("localhost", "localhost"),
            ("mi.com", "mi.com"),
            ("x.t.co", "t.co"),
            ("co.uk", "co.uk"),
        ] {
            let name = DomainName::parse(name).unwrap();
            assert_eq!(site_of(&name), site);
        }
    }
}
