//! Devices as programs get them.

use super::known::{Household, Known};
use gateway_core::enrich::kind::{Because, Offer, Shared, Verdict};
use gateway_core::query::DeviceInfo;
use gateway_core::report::civil::Civil;
use gateway_core::report::json::VERSION;
use gateway_core::units::{Volume, WallTime};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct JsonDevices<'a> {
    version: u32,
    /// The day the table of MAC prefixes is of.
    vendors_as_of: Option<&'a str>,
    /// What `up_bytes` and `down_bytes` are of.
    recent_since: Option<String>,
    recent_until: Option<String>,
    devices: Vec<Shape<'a>>,
    may_be_one: Vec<JsonOffer<'a>>,
}

impl<'a> JsonDevices<'a> {
    /// These of a household's devices, and what is offered of it.
    pub(super) fn of(household: &'a Household, devices: &[&'a Known]) -> Self {
        let is_shown = |offer: &&Offer| {
            devices.iter().any(|known| known.device.macs().any(|mac| mac == offer.into || mac == offer.other))
        };
        Self {
            version: VERSION,
            vendors_as_of: household.vendors_as_of.as_deref(),
            recent_since: household.recent.map(|recent| Civil::utc(recent.since)),
            recent_until: household.recent.map(|recent| Civil::utc(recent.until)),
            devices: devices.iter().map(|known| Shape::of(known)).collect(),
            may_be_one: household.offers.iter().filter(is_shown).map(JsonOffer::of).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Shape<'a> {
    pub(super) mac: String,
    pub(super) is_locally_administered: bool,
    pub(super) label: Option<&'a str>,
    pub(super) hostname: Option<&'a str>,
    pub(super) hostname_source: Option<&'a str>,
    pub(super) vendor_class: Option<&'a str>,
    pub(super) parameter_list: Option<&'a str>,
    pub(super) addresses: Vec<String>,
    pub(super) first_seen: Option<String>,
    pub(super) last_seen: Option<String>,
    pub(super) vendor: Option<&'a str>,
    pub(super) verdict: Option<JsonVerdict<'a>>,
    pub(super) merged: Vec<JsonPart<'a>>,
    pub(super) shared: Option<JsonShared<'a>>,
    #[serde(flatten)]
    pub(super) volume: Volume,
    pub(super) hostnames: Vec<JsonHostname<'a>>,
}

impl<'a> Shape<'a> {
    pub(super) fn of(known: &'a Known) -> Self {
        let Known { device, vendors, verdict, shared, volume, hostnames } = known;
        let DeviceInfo { mac, label, hostname, hostname_source, vendor_class, parameter_list, .. } = device;
        let DeviceInfo { addrs, first_seen, last_seen, merged, .. } = device;
        let utc = |at: &Option<WallTime>| at.map(Civil::utc);
        let vendor_of = |mac| vendors.iter().find(|(of, _)| *of == mac).and_then(|(_, name)| name.as_deref());
        let part = |part: &'a DeviceInfo| JsonPart {
            mac: part.mac.to_string(),
            is_locally_administered: part.mac.is_locally_administered(),
            vendor: vendor_of(part.mac),
            hostname: part.hostname.as_deref(),
            first_seen: utc(&part.first_seen),
            last_seen: utc(&part.last_seen),
        };
        let hostname_shape = |known: &'a crate::store::KnownHostname| JsonHostname {
            hostname: &known.hostname,
            source: &known.source,
            times: known.times,
        };
        Self {
            mac: mac.to_string(),
            is_locally_administered: mac.is_locally_administered(),
            label: label.as_deref(),
            hostname: hostname.as_deref(),
            hostname_source: hostname_source.as_deref(),
            vendor_class: vendor_class.as_deref(),
            parameter_list: parameter_list.as_deref(),
            addresses: addrs.iter().map(ToString::to_string).collect(),
            first_seen: utc(first_seen),
            last_seen: utc(last_seen),
            vendor: vendor_of(*mac),
            verdict: verdict.as_ref().map(JsonVerdict::of),
            merged: merged.iter().map(part).collect(),
            shared: shared.as_ref().map(JsonShared::of),
            volume: *volume,
            hostnames: hostnames.iter().map(hostname_shape).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct JsonVerdict<'a> {
    pub(super) kind: Option<&'static str>,
    pub(super) make: Option<&'static str>,
    pub(super) model: Option<&'a str>,
    pub(super) confidence: &'static str,
    because: Vec<JsonSign<'a>>,
}

#[derive(Serialize)]
struct JsonSign<'a> {
    sign: &'static str,
    says: &'a str,
    source: &'static str,
    is_against: bool,
}

impl<'a> JsonVerdict<'a> {
    fn of(verdict: &'a Verdict) -> Self {
        let Verdict { kind, make, model, confidence, because } = verdict;
        let sign = |because: &'a Because| {
            let Because { sign, says, source, is_against } = because;
            JsonSign { sign: sign.word(), says, source, is_against: *is_against }
        };
        Self {
            kind: kind.map(|kind| kind.word()),
            make: *make,
            model: model.as_deref(),
            confidence: confidence.word(),
            because: because.iter().map(sign).collect(),
        }
    }
}

/// A MAC address that the user merged into the device.
#[derive(Serialize)]
pub(super) struct JsonPart<'a> {
    pub(super) mac: String,
    is_locally_administered: bool,
    vendor: Option<&'a str>,
    hostname: Option<&'a str>,
    first_seen: Option<String>,
    last_seen: Option<String>,
}

/// Several devices behind one MAC address.
#[derive(Serialize)]
pub(super) struct JsonShared<'a> {
    pub(super) at_least: usize,
    confidence: &'static str,
    because: &'a [String],
}

impl<'a> JsonShared<'a> {
    fn of(shared: &'a Shared) -> Self {
        let Shared { at_least, confidence, because } = shared;
        Self { at_least: *at_least, confidence: confidence.word(), because }
    }
}

#[derive(Serialize)]
pub(super) struct JsonHostname<'a> {
    hostname: &'a str,
    source: &'a str,
    times: u64,
}

/// Two devices that may be one.
#[derive(Serialize)]
struct JsonOffer<'a> {
    into: String,
    other: String,
    because: &'a [String],
}

impl<'a> JsonOffer<'a> {
    fn of(offer: &'a Offer) -> Self {
        let Offer { into, other, because } = offer;
        Self { into: into.to_string(), other: other.to_string(), because }
    }
}
