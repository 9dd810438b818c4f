//! A report as JSON. The shape has a version and structs of its own: the model may change, a version may not.
//! Times are UTC (RFC 3339). What is not known is null; what was not seen is absent from its list.

use super::civil::Civil;
use super::coverage::{Coverage, Edge, Straddle};
use super::model::{Destination, DeviceReport, Hidden, Report, Shortfall, Sureness, Who};
use super::who::{JsonFacts, facts_shape};
use crate::query::TimeRange;
use crate::row::{LedgerLine, Network, RowKind};
use crate::units::{DomainName, Volume};
use serde::Serialize;

/// Version of the shape: raised by a change that a reader could stumble over.
pub const VERSION: u32 = 3;

/// A range of time.
#[derive(Clone, Debug, Serialize)]
pub struct JsonRange {
    since: String,
    until: String,
}

impl From<TimeRange> for JsonRange {
    fn from(range: TimeRange) -> Self {
        Self { since: Civil::utc(range.since), until: Civil::utc(range.until) }
    }
}

#[derive(Serialize)]
struct JsonReport<'a> {
    version: u32,
    range: JsonRange,
    filter: Option<&'a str>,
    is_complete: bool,
    complete_until: Option<String>,
    shortfalls: Vec<JsonShortfall>,
    measured_seconds: u64,
    not_measured: Vec<JsonRange>,
    not_stored_yet_since: Option<String>,
    undated_intervals: usize,
    undated_intervals_elsewhere: u64,
    small_straddles: Vec<JsonStraddle>,
    tables_dates: Option<JsonDates<'a>>,
    owners_date: Option<&'a str>,
    routed: Volume,
    devices: Vec<JsonDevice<'a>>,
    devices_not_seen: &'a [String],
    evidence: Vec<JsonEvidence>,
    sureness: JsonSureness,
    ledger: Vec<JsonLedger<'a>>,
    stored: Volume,
}

/// Null where there was none of it.
#[derive(Serialize)]
struct JsonSureness {
    outer_names: Option<Volume>,
    has_rivals: Option<Volume>,
    stretched: Option<Volume>,
    undecided: Option<Volume>,
    uncovered: Option<Volume>,
    uncovered_by_settings: Option<Volume>,
}

/// A kind of row, as programs read it.
#[must_use]
pub const fn kind_word(kind: RowKind) -> &'static str {
    match kind {
        RowKind::Flow => "flow",
        RowKind::LaterFragments => "later_fragments",
        RowKind::Coarse => "peer_unknown",
        RowKind::Local => "local",
    }
}

#[derive(Serialize)]
struct JsonDates<'a> {
    oldest: &'a str,
    newest: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub(super) enum JsonShortfall {
    NotMeasured { stretches: usize, seconds: u64 },
    NoDevice { packets: u64, bytes: u64 },
    PeerUnknown { bytes: u64 },
    Straddles { edge: &'static str, intervals: usize, bytes: u64, range: JsonRange },
    Unhooked { intervals: u64 },
    Imbalance { seen_packets: u64, seen_bytes: u64, accounted_packets: u64, accounted_bytes: u64 },
    CaptureCut,
    ImbalanceAtDrains { packets: u64, bytes: u64 },
}

/// An ordinary interval that crosses an edge of the range.
#[derive(Serialize)]
struct JsonStraddle {
    edge: &'static str,
    bytes: u64,
    range: JsonRange,
}

fn edge_word(edge: Edge) -> &'static str {
    match edge {
        Edge::Start => "start",
        Edge::End => "end",
    }
}

#[derive(Serialize)]
struct JsonDevice<'a> {
    mac: String,
    is_locally_administered: bool,
    name: &'a str,
    label: Option<&'a str>,
    hostname: Option<&'a str>,
    addresses: Vec<String>,
    routed: Volume,
    peer_unknown: Option<Volume>,
    local: Option<Volume>,
    destinations: Vec<JsonDestination<'a>>,
    hides_names: Vec<JsonHidden<'a>>,
}

#[derive(Serialize)]
struct JsonHidden<'a> {
    application: &'static str,
    operator: Option<&'static str>,
    name: Option<&'a str>,
    addresses: Vec<String>,
    #[serde(flatten)]
    volume: Volume,
    conversations: u64,
}

#[derive(Serialize)]
struct JsonDestination<'a> {
    name: Option<&'a str>,
    asn: Option<u32>,
    address: Option<String>,
    #[serde(flatten)]
    volume: Volume,
    conversations: u64,
    evidence: Vec<JsonEvidenceBytes>,
    #[serde(flatten)]
    facts: JsonFacts<'a>,
    networks: Vec<JsonNetwork<'a>>,
    countries: Vec<JsonCountry>,
    unnamed_addresses: Vec<String>,
    aliases: Vec<&'a str>,
}

#[derive(Serialize)]
struct JsonEvidenceBytes {
    evidence: &'static str,
    marks: Vec<&'static str>,
    bytes: u64,
}

#[derive(Serialize)]
struct JsonNetwork<'a> {
    asn: Option<u32>,
    organisation: Option<&'a str>,
    registered_country: Option<String>,
    marks: Vec<&'static str>,
}

#[derive(Serialize)]
struct JsonCountry {
    country: String,
    is_anycast: bool,
}

#[derive(Serialize)]
struct JsonEvidence {
    evidence: &'static str,
    #[serde(flatten)]
    volume: Volume,
}

#[derive(Serialize)]
struct JsonLedger<'a> {
    counter: &'a str,
    packets: u64,
    bytes: Option<u64>,
    is_loss: bool,
}

/// The report as one JSON object with a line end behind it.
///
/// # Errors
/// None that these structs can raise; serde's signature has one.
pub fn json(report: &Report) -> Result<String, serde_json::Error> {
    let Report {
        range,
        filter,
        coverage: Coverage { measured_ns, holes, pending_since, stored_until: _, straddles },
        undated_count,
        undated_elsewhere,
        tables_dates,
        owners_date,
        devices,
        unseen,
        evidence,
        sureness: Sureness { outer_names, has_rivals, stretched, undecided, uncovered, uncovered_by_settings },
        ledger,
        stored,
        shortfalls,
    } = report;
    let shape = JsonReport {
        version: VERSION,
        range: (*range).into(),
        filter: (!filter.is_empty()).then_some(filter),
        is_complete: report.is_complete(),
        complete_until: report.complete_until().map(Civil::utc),
        shortfalls: shortfalls.iter().map(shortfall).collect(),
        measured_seconds: measured_ns / 1_000_000_000,
        not_measured: holes.iter().map(|hole| (*hole).into()).collect(),
        not_stored_yet_since: pending_since.map(Civil::utc),
        undated_intervals: *undated_count,
        undated_intervals_elsewhere: undated_elsewhere.map_or(0, |undated| undated.count),
        small_straddles: straddles.iter().filter(|s| s.is_small).map(straddle).collect(),
        tables_dates: tables_dates.as_ref().map(|(oldest, newest)| JsonDates { oldest, newest }),
        owners_date: (!owners_date.is_empty()).then_some(owners_date),
        routed: report.routed(),
        devices: devices.iter().map(device).collect(),
        devices_not_seen: unseen,
        evidence: evidence.iter().map(|(e, v)| JsonEvidence { evidence: e.word(), volume: *v }).collect(),
        sureness: JsonSureness {
            outer_names: seen(*outer_names),
            has_rivals: seen(*has_rivals),
            stretched: seen(*stretched),
            undecided: seen(*undecided),
            uncovered: seen(*uncovered),
            uncovered_by_settings: seen(*uncovered_by_settings),
        },
        ledger: ledger.iter().map(ledger_line).collect(),
        stored: *stored,
    };
    Ok(serde_json::to_string_pretty(&shape)? + "\n")
}

pub(super) fn shortfall(shortfall: &Shortfall) -> JsonShortfall {
    match *shortfall {
        Shortfall::NotMeasured { count, ns } => {
            JsonShortfall::NotMeasured { stretches: count, seconds: ns / 1_000_000_000 }
        }
        Shortfall::NoDevice { packets, bytes } => JsonShortfall::NoDevice { packets, bytes },
        Shortfall::PeerUnknown { bytes } => JsonShortfall::PeerUnknown { bytes },
        Shortfall::Straddles { edge, count, bytes, interval } => JsonShortfall::Straddles {
            edge: edge_word(edge),
            intervals: count,
            bytes,
            range: interval.into(),
        },
        Shortfall::Unhooked { intervals } => JsonShortfall::Unhooked { intervals },
        Shortfall::Imbalance { seen, accounted } => JsonShortfall::Imbalance {
            seen_packets: seen.0,
            seen_bytes: seen.1,
            accounted_packets: accounted.0,
            accounted_bytes: accounted.1,
        },
        Shortfall::CaptureCut => JsonShortfall::CaptureCut,
        Shortfall::ImbalanceAtDrains { packets, bytes } => {
            JsonShortfall::ImbalanceAtDrains { packets, bytes }
        }
    }
}

fn straddle(straddle: &Straddle) -> JsonStraddle {
    let Straddle { edge, interval, bytes, is_small: _ } = *straddle;
    JsonStraddle { edge: edge_word(edge), bytes, range: interval.into() }
}

fn ledger_line(line: &LedgerLine) -> JsonLedger<'_> {
    let LedgerLine { counter, packets, bytes } = line;
    let is_loss = LedgerLine::IS_LOSS.contains(&counter.as_str());
    JsonLedger { counter, packets: *packets, bytes: *bytes, is_loss }
}

/// Null where nothing was seen.
fn seen(volume: Volume) -> Option<Volume> {
    (volume.packets() > 0).then_some(volume)
}

fn device(device: &DeviceReport) -> JsonDevice<'_> {
    let DeviceReport { mac, name, label, hostname, addrs, routed, coarse, local, destinations, hidden } =
        device;
    JsonDevice {
        mac: mac.to_string(),
        is_locally_administered: mac.is_locally_administered(),
        name,
        label: label.as_deref(),
        hostname: hostname.as_deref(),
        addresses: addrs.iter().map(ToString::to_string).collect(),
        routed: *routed,
        peer_unknown: seen(*coarse),
        local: seen(*local),
        destinations: destinations.iter().map(destination).collect(),
        hides_names: hidden.iter().map(hiding).collect(),
    }
}

fn hiding(hidden: &Hidden) -> JsonHidden<'_> {
    let Hidden { application, operator, name, addrs, volume, conversations } = hidden;
    JsonHidden {
        application: application.word(),
        operator: *operator,
        name: name.as_ref().map(DomainName::as_str),
        addresses: addrs.iter().map(ToString::to_string).collect(),
        volume: *volume,
        conversations: *conversations,
    }
}

fn destination(destination: &Destination) -> JsonDestination<'_> {
    let Destination {
        who,
        volume,
        conversations,
        evidence,
        facts,
        networks,
        countries,
        unnamed_addrs,
        aliases,
    } = destination;
    let (name, asn, address) = match who {
        Who::Name(name) => (Some(name.as_str()), None, None),
        Who::Network(asn) => (None, Some(*asn), None),
        Who::Address(addr) => (None, None, (!addr.is_unspecified()).then(|| addr.to_string())),
    };
    JsonDestination {
        name,
        asn,
        address,
        volume: *volume,
        conversations: *conversations,
        evidence: evidence
            .iter()
            .map(|(e, marks, bytes)| JsonEvidenceBytes {
                evidence: e.word(),
                marks: marks.words().collect(),
                bytes: *bytes,
            })
            .collect(),
        networks: networks.iter().map(network).collect(),
        facts: facts_shape(facts),
        countries: countries
            .iter()
            .map(|(country, is_anycast)| JsonCountry {
                country: country.to_string(),
                is_anycast: *is_anycast,
            })
            .collect(),
        unnamed_addresses: unnamed_addrs.iter().map(ToString::to_string).collect(),
        aliases: aliases.iter().map(DomainName::as_str).collect(),
    }
}

fn network(network: &Network) -> JsonNetwork<'_> {
    let Network { asn, organisation, country: _, registered, marks } = network;
    JsonNetwork {
        asn: *asn,
        organisation: organisation.as_deref(),
        registered_country: registered.map(|country| country.to_string()),
        marks: marks.words().collect(),
    }
}
