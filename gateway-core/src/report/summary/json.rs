//! A summary as JSON. The shape has a version and structs of its own: the model may change, a version may not. Times
//! are UTC (RFC 3339), amounts IP-layer bytes. What is not known is null.

use super::input::{Known, Slot};
use super::model::{
    DeviceSummary, Finding, Measured, Night, NightWatch, OwnerGroup, PastDays, Place, Site, Summary, Usual,
};
use super::words::sentence;
use crate::report::civil::Civil;
use crate::report::json::{JsonRange, JsonShortfall, shortfall};
use crate::row::Network;
use crate::units::{DomainName, Volume};
use serde::Serialize;

/// Version of the shape: raised by a change that a reader could stumble over.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct JsonSummary<'a> {
    version: u32,
    range: JsonRange,
    sentence: String,
    coverage: JsonCoverage,
    days_before: usize,
    days_before_observed: usize,
    owners_date: Option<&'a str>,
    routed: Volume,
    hours: Vec<JsonHour>,
    findings: Vec<JsonFinding<'a>>,
    devices: Vec<JsonDevice<'a>>,
}

#[derive(Serialize)]
struct JsonCoverage {
    percent: Option<f64>,
    measured_seconds: u64,
    shortfalls: Vec<JsonShortfall>,
    not_measured: Vec<JsonRange>,
    not_stored_yet_since: Option<String>,
    clock_steps: usize,
    undated_intervals: usize,
    samples_lost: u64,
}

#[derive(Serialize)]
struct JsonHour {
    since: String,
    local_hour: u8,
    /// 0 for Monday.
    weekday: u8,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    id: &'a str,
    kind: &'static str,
    severity: &'static str,
    device: Option<String>,
    device_name: Option<&'a str>,
    subject: Option<&'a str>,
    said: &'a str,
    may_be_innocent: &'static str,
    known: Option<JsonKnown<'a>>,
}

#[derive(Serialize)]
struct JsonKnown<'a> {
    since: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct JsonDevice<'a> {
    mac: String,
    name: &'a str,
    is_phone: bool,
    routed: Volume,
    unnamed: Volume,
    peer_unknown: Volume,
    up_bytes_by_hour: Vec<u64>,
    down_bytes_by_hour: Vec<u64>,
    days_observed_before: usize,
    can_tell_new: bool,
    upload: Option<JsonUsual>,
    night: Option<JsonNight>,
    no_night_because: Option<&'static str>,
    hides: Vec<JsonHides>,
    owners: Vec<JsonOwner<'a>>,
}

#[derive(Serialize)]
struct JsonHides {
    application: &'static str,
    #[serde(flatten)]
    volume: Volume,
}

#[derive(Serialize)]
struct JsonUsual {
    bytes: u64,
    median: u64,
    least: u64,
    most: u64,
    days: usize,
    has_grown: bool,
}

#[derive(Serialize)]
struct JsonNight {
    first_hour: u8,
    end_hour: u8,
    learned_from_days: usize,
    destinations: usize,
    new_destinations: Option<usize>,
    #[serde(flatten)]
    volume: Volume,
    hours: usize,
    hours_measured: usize,
}

#[derive(Serialize)]
struct JsonOwner<'a> {
    owner: Option<&'a str>,
    /// Of the owner's seat.
    country: Option<String>,
    #[serde(flatten)]
    volume: Volume,
    destinations: Vec<JsonPlace<'a>>,
}

#[derive(Serialize)]
struct JsonPlace<'a> {
    registrable_name: Option<&'a str>,
    asn: Option<u32>,
    names: Vec<&'a str>,
    is_unsure: bool,
    is_new: Option<bool>,
    purposes: &'a [&'static str],
    networks: Vec<JsonNetwork<'a>>,
    countries: Vec<JsonCountry>,
    #[serde(flatten)]
    volume: Volume,
    conversations: u64,
    bytes_by_hour: &'a [u64],
    at_night: Volume,
    upload: Option<JsonUsual>,
}

#[derive(Serialize)]
struct JsonNetwork<'a> {
    asn: Option<u32>,
    organisation: Option<&'a str>,
    registered_country: Option<String>,
}

#[derive(Serialize)]
struct JsonCountry {
    country: String,
    is_anycast: bool,
}

/// The summary as one JSON object with a line end behind it.
///
/// # Errors
/// None that these structs can raise; serde's signature has one.
pub fn json(summary: &Summary) -> Result<String, serde_json::Error> {
    let Summary { range, slots, measured, past, owners_date, routed, devices, findings } = summary;
    let PastDays { days, observed } = *past;
    let shape = JsonSummary {
        version: VERSION,
        range: (*range).into(),
        sentence: sentence(summary),
        coverage: coverage(measured),
        days_before: days,
        days_before_observed: observed,
        owners_date: (!owners_date.is_empty()).then_some(owners_date),
        routed: *routed,
        hours: slots.iter().copied().map(hour).collect(),
        findings: findings.iter().map(finding).collect(),
        devices: devices.iter().map(device).collect(),
    };
    Ok(serde_json::to_string_pretty(&shape)? + "\n")
}

fn coverage(measured: &Measured) -> JsonCoverage {
    let Measured { permille, coverage, shortfalls, clock_steps, undated, samples_lost } = measured;
    JsonCoverage {
        percent: permille.map(|permille| f64::from(permille) / 10.0),
        measured_seconds: coverage.measured_ns / 1_000_000_000,
        shortfalls: shortfalls.iter().map(shortfall).collect(),
        not_measured: coverage.holes.iter().map(|hole| (*hole).into()).collect(),
        not_stored_yet_since: coverage.pending_since.map(Civil::utc),
        clock_steps: *clock_steps,
        undated_intervals: *undated,
        samples_lost: *samples_lost,
    }
}

fn hour(slot: Slot) -> JsonHour {
    JsonHour { since: Civil::utc(slot.range.since), local_hour: slot.hour(), weekday: slot.weekday() }
}

fn finding(finding: &Finding) -> JsonFinding<'_> {
    let Finding { id, kind, severity, device, subject, said, innocent, known } = finding;
    JsonFinding {
        id,
        kind: kind.word(),
        severity: severity.word(),
        device: device.as_ref().map(|(mac, _)| mac.to_string()),
        device_name: device.as_ref().map(|(_, name)| name.as_str()),
        subject: (!subject.is_empty()).then_some(subject),
        said,
        may_be_innocent: innocent,
        known: known.as_ref().map(|Known { id: _, reason, date }| JsonKnown { since: date, reason }),
    }
}

fn device(device: &DeviceSummary) -> JsonDevice<'_> {
    let DeviceSummary { mac, name, is_phone, routed, coarse, unnamed, hours, owners, .. } = device;
    let DeviceSummary { hidden, past_days, can_be_new, upload, night, .. } = device;
    let (night, no_night_because) = match night {
        Night::Known(watch) => (Some(night_shape(watch, *can_be_new)), None),
        Night::Unknown(why) => (None, Some(*why)),
    };
    let hides = |(application, volume): &(crate::application::Application, Volume)| JsonHides {
        application: application.word(),
        volume: *volume,
    };
    JsonDevice {
        mac: mac.to_string(),
        name,
        is_phone: *is_phone,
        routed: *routed,
        unnamed: *unnamed,
        peer_unknown: *coarse,
        up_bytes_by_hour: hours.iter().map(|(up, _)| *up).collect(),
        down_bytes_by_hour: hours.iter().map(|(_, down)| *down).collect(),
        days_observed_before: *past_days,
        can_tell_new: *can_be_new,
        upload: upload.as_ref().map(usual),
        night,
        no_night_because,
        hides: hidden.iter().map(hides).collect(),
        owners: owners.iter().map(|group| owner(group, *can_be_new)).collect(),
    }
}

fn usual(usual: &Usual) -> JsonUsual {
    let Usual { now, median, range: (least, most), days, has_grown } = *usual;
    JsonUsual { bytes: now, median, least, most, days, has_grown }
}

fn night_shape(watch: &NightWatch, can_be_new: bool) -> JsonNight {
    let NightWatch { window, days, volume, places, new_places, hours, measured_hours } = *watch;
    JsonNight {
        first_hour: window.0,
        end_hour: window.1,
        learned_from_days: days,
        destinations: places,
        new_destinations: can_be_new.then_some(new_places),
        volume,
        hours,
        hours_measured: measured_hours,
    }
}

fn owner(group: &OwnerGroup, can_be_new: bool) -> JsonOwner<'_> {
    let OwnerGroup { owner, country, volume, places } = group;
    let destinations = places.iter().map(|one| place(one, can_be_new)).collect();
    JsonOwner {
        owner: owner.as_deref(),
        country: country.map(|country| country.to_string()),
        volume: *volume,
        destinations,
    }
}

fn place(place: &Place, can_be_new: bool) -> JsonPlace<'_> {
    let Place {
        site,
        owner: _,
        owner_country: _,
        names,
        purposes,
        networks,
        countries,
        volume,
        conversations,
        ..
    } = place;
    let Place { hours, is_new, is_unsure, upload, at_night, .. } = place;
    let (registrable_name, asn) = match site {
        Site::Name(name) => (Some(name.as_str()), None),
        Site::Network(asn) => (None, Some(*asn)),
        Site::Unknown | Site::Withheld => (None, None),
    };
    JsonPlace {
        registrable_name,
        asn,
        names: names.iter().map(DomainName::as_str).collect(),
        is_unsure: *is_unsure && !names.is_empty(),
        // Of what has no sure name nothing can be said.
        is_new: (can_be_new && registrable_name.is_some() && !is_unsure).then_some(*is_new),
        purposes,
        networks: networks.iter().map(network).collect(),
        countries: countries
            .iter()
            .map(|(country, is_anycast)| JsonCountry {
                country: country.to_string(),
                is_anycast: *is_anycast,
            })
            .collect(),
        volume: *volume,
        conversations: *conversations,
        bytes_by_hour: hours,
        at_night: *at_night,
        upload: upload.as_ref().map(usual),
    }
}

fn network(network: &Network) -> JsonNetwork<'_> {
    let Network { asn, organisation, country: _, registered, marks: _ } = network;
    JsonNetwork {
        asn: *asn,
        organisation: organisation.as_deref(),
        registered_country: registered.map(|country| country.to_string()),
    }
}
