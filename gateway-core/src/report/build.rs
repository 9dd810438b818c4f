//! Rows to a [`Report`]: adds up, puts in order, and works out what is missing.

use super::coverage::{Coverage, Edge, begins_in, coverage, join};
use super::model::{Destination, DeviceReport, Hidden, Report, Shortfall, Undated, Who};
use super::sureness::{hidden, shown_marks, sureness};
use super::who::NameFacts;
use crate::query::{Counted, DeviceInfo, Filter, FlowSum, TimeRange};
use crate::row::{Alias, Evidence, LedgerLine, Marks, Network, RowKind};
use crate::units::{Country, DomainName, Mac, Volume, WallTime};
use core::cmp::Reverse;
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

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
    /// The last [`LATEST`](super::coverage::LATEST) intervals that began by now, wherever the range is.
    pub latest: Vec<Counted>,
    /// The intervals without a date that are outside the range.
    pub undated_elsewhere: Option<Undated>,
    /// How many intervals of the range had a port of the LAN, or all, unhooked.
    pub unhooked_intervals: u64,
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
    /// The date of the table of owners; empty if there is none.
    pub owners_date: String,
}

/// Makes the report. `facts_of` says what the tables know of a name.
#[must_use]
pub fn build(input: Input, facts_of: &dyn Fn(&DomainName) -> NameFacts) -> Report {
    let Input { range, now, filter, counted, latest, undated_elsewhere, unhooked_intervals, .. } = input;
    let Input { devices, flows, stored, ledger, aliases, tables_dates, owners_date, .. } = input;
    let coverage = coverage(&counted, &latest, range, now);
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
    let reports = device_reports(&flows, &devices, &Aliases::of(&aliases, facts_of), facts_of);
    let seen: BTreeSet<Mac> = reports.iter().map(|d| d.mac).collect();
    // Under a filter, a device without rows may have traffic that was not asked for; under an interval that reaches
    // far into the range, traffic that is filed before it.
    let can_be_told =
        filter.is_empty() && !coverage.straddles.iter().any(|s| s.edge == Edge::Start && !s.is_small);
    let is_unseen = |device: &&DeviceInfo| can_be_told && !seen.contains(&device.mac);
    let mut unseen: Vec<_> = devices.iter().filter(is_unseen).map(DeviceInfo::display_name).collect();
    unseen.sort_unstable();
    Report {
        range,
        filter: filter.to_string(),
        undated_count: counted.iter().filter(|c| !c.is_clock_set && begins_in(c, range)).count(),
        undated_elsewhere,
        tables_dates,
        owners_date,
        devices: reports,
        unseen,
        evidence: by_evidence.into_iter().rev().collect(),
        sureness: sureness(&flows),
        shortfalls: shortfalls(&coverage, coarse, &ledger, stored, unhooked_intervals),
        coverage,
        ledger,
        stored,
    }
}

pub(super) fn shortfalls(
    coverage: &Coverage,
    coarse: Volume,
    ledger: &[LedgerLine],
    stored: Volume,
    unhooked_intervals: u64,
) -> Vec<Shortfall> {
    let line = |counter: &str| {
        let found = ledger.iter().find(|l| l.counter == counter);
        found.map_or((0, 0), |l| (l.packets, l.bytes.unwrap_or(0)))
    };
    let Coverage { holes, straddles, .. } = coverage;
    let mut shortfalls = Vec::new();
    if !holes.is_empty() {
        let ns = holes.iter().map(|hole| hole.len_ns()).sum();
        shortfalls.push(Shortfall::NotMeasured { count: holes.len(), ns });
    }
    for edge in [Edge::Start, Edge::End] {
        let large: Vec<_> = straddles.iter().filter(|s| s.edge == edge && !s.is_small).collect();
        if let Some((interval, bytes)) = large.iter().fold(None, |sum, s| Some(join(sum, s))) {
            shortfalls.push(Shortfall::Straddles { edge, count: large.len(), bytes, interval });
        }
    }
    if unhooked_intervals > 0 {
        shortfalls.push(Shortfall::Unhooked { intervals: unhooked_intervals });
    }
    let (packets, bytes) = line("nobody");
    if packets > 0 {
        shortfalls.push(Shortfall::NoDevice { packets, bytes });
    }
    if coarse.packets() > 0 {
        shortfalls.push(Shortfall::PeerUnknown { bytes: coarse.bytes() });
    }
    let lost = LedgerLine::IS_LOSS.map(line);
    let lost =
        lost.iter().fold((0u64, 0u64), |sum, l| (sum.0.saturating_add(l.0), sum.1.saturating_add(l.1)));
    let seen = line("seen");
    let accounted = (stored.packets().saturating_add(lost.0), stored.bytes().saturating_add(lost.1));
    if seen != accounted {
        shortfalls.push(Shortfall::Imbalance { seen, accounted });
    }
    // Two faults can cancel each other out in the sum, and were faults all the same.
    let (packets, bytes) = line("imbalance");
    if packets > 0 || bytes > 0 {
        shortfalls.push(Shortfall::ImbalanceAtDrains { packets, bytes });
    }
    if line("capture_cut").0 > 0 {
        shortfalls.push(Shortfall::CaptureCut);
    }
    shortfalls
}

/// What each device was told that a name is also called, in other domains.
struct Aliases<'a>(BTreeMap<(Mac, &'a DomainName), BTreeSet<&'a DomainName>>);

impl<'a> Aliases<'a> {
    fn of(aliases: &'a [Alias], facts_of: &dyn Fn(&DomainName) -> NameFacts) -> Self {
        let site_of = |name: &DomainName| facts_of(name).registrable.unwrap_or_else(|| name.clone());
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
    evidence: BTreeMap<Evidence, (u64, Marks)>,
    networks: BTreeMap<Network, u64>,
    countries: BTreeMap<(Country, bool), u64>,
    peers: BTreeMap<IpAddr, u64>,
}

impl DestinationSum {
    fn add(&mut self, flow: &FlowSum) {
        let bytes = flow.volume.bytes();
        let Network { asn, organisation, country, registered: _, marks: network_marks } = &flow.network;
        self.volume.add(flow.volume);
        self.conversations = self.conversations.saturating_add(flow.conversations);
        let (sum, marks) = self.evidence.entry(flow.key.evidence).or_default();
        (*sum, *marks) = (*sum + bytes, marks.with(shown_marks(&flow.key)));
        if asn.is_some() || organisation.is_some() {
            let network = Network { country: None, ..flow.network.clone() };
            *self.networks.entry(network).or_default() += bytes;
        }
        if let Some(country) = country {
            *self.countries.entry((*country, network_marks.country_is_doubtful())).or_default() += bytes;
        }
        if flow.key.name.is_none() && !flow.key.peer.is_unspecified() {
            *self.peers.entry(flow.key.peer).or_default() += bytes;
        }
    }

    fn finish(
        self,
        device: Mac,
        who: Who,
        aliases: &Aliases<'_>,
        facts_of: &dyn Fn(&DomainName) -> NameFacts,
    ) -> Destination {
        let Self { volume, conversations, evidence, networks, countries, peers } = self;
        Destination {
            aliases: aliases.get(device, &who),
            facts: match &who {
                Who::Name(name) => facts_of(name),
                Who::Network(_) | Who::Address(_) => NameFacts::default(),
            },
            who,
            volume,
            conversations,
            evidence: by_evidence_bytes(evidence),
            networks: by_bytes(networks).into_iter().map(|(network, _)| network).collect(),
            countries: by_bytes(countries).into_iter().map(|(country, _)| country).collect(),
            unnamed_addrs: by_bytes(peers).into_iter().map(|(addr, _)| addr).collect(),
        }
    }
}

fn by_evidence_bytes(sums: BTreeMap<Evidence, (u64, Marks)>) -> Vec<(Evidence, Marks, u64)> {
    let mut sums: Vec<_> =
        sums.into_iter().map(|(evidence, (bytes, marks))| (evidence, marks, bytes)).collect();
    sums.sort_by_key(|(_, _, bytes)| Reverse(*bytes));
    sums
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

fn device_reports(
    flows: &[FlowSum],
    devices: &[DeviceInfo],
    aliases: &Aliases<'_>,
    facts_of: &dyn Fn(&DomainName) -> NameFacts,
) -> Vec<DeviceReport> {
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
    let mut hidden = hidden(flows);
    let mut reports: Vec<_> = sums
        .into_iter()
        .map(|(mac, DeviceSum { routed, coarse, local, destinations })| {
            let known = devices.iter().find(|d| d.mac == mac).cloned();
            let known = known.unwrap_or_else(|| DeviceInfo::unknown(mac));
            let mut destinations: Vec<_> =
                destinations.into_iter().map(|(who, sum)| sum.finish(mac, who, aliases, facts_of)).collect();
            // What a device sends is what this is about.
            destinations.sort_by_key(|d| Reverse((d.volume.up_bytes, d.volume.bytes())));
            let name = known.display_name();
            let DeviceInfo { label, hostname, addrs, .. } = known;
            let hidden: Vec<Hidden> = hidden.remove(&mac).unwrap_or_default();
            DeviceReport { mac, name, label, hostname, addrs, routed, coarse, local, destinations, hidden }
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

    #[test]
    fn what_one_device_was_told_is_not_said_of_another() {
        let name = DomainName::parse("bank.example").unwrap();
        let alias = DomainName::parse("tracker.test").unwrap();
        let told = [Alias { device: Mac([2; 6]), name: name.clone(), alias: alias.clone() }];
        let (aliases, who) = (Aliases::of(&told, &|_| NameFacts::default()), Who::Name(name));
        assert_eq!(aliases.get(Mac([2; 6]), &who), [alias]);
        assert_eq!(aliases.get(Mac([4; 6]), &who), []);
    }
}
