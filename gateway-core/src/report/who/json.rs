//! A dossier as JSON, with the version of all of this program's JSON. Times are UTC; what is not known is null.

use super::model::{Dossier, Listed, NameFacts, NameLine, NetworkLine, Owned, Registered, Source, Subject};
use crate::enrich::rdap::Registration;
use crate::report::civil::Civil;
use crate::report::json::VERSION;
use crate::row::Network;
use crate::units::{Country, DomainName, Volume};
use serde::Serialize;

#[derive(Serialize)]
struct JsonDossier<'a> {
    version: u32,
    subject: String,
    kind: &'static str,
    title: &'a str,
    remarks: &'a [String],
    tables: JsonDates<'a>,
    facts: Option<JsonFacts<'a>>,
    registration: Option<JsonRegistration<'a>>,
    network: Option<JsonNetwork<'a>>,
    names: Vec<JsonName<'a>>,
    networks: Vec<JsonNetworkLine<'a>>,
    countries: Vec<JsonCountry>,
    devices: Vec<JsonDevice<'a>>,
    days: Vec<JsonDay<'a>>,
    sister_names: Vec<JsonName<'a>>,
}

#[derive(Serialize)]
struct JsonDates<'a> {
    networks: Option<&'a str>,
    owners: Option<&'a str>,
}

#[derive(Serialize)]
pub(in crate::report) struct JsonFacts<'a> {
    registrable: Option<&'a str>,
    hosted_under: Option<&'a str>,
    owner: Option<JsonOwned<'a>>,
    listed_by: Vec<JsonListed<'a>>,
}

#[derive(Serialize)]
struct JsonOwned<'a> {
    name: &'a str,
    country: Option<String>,
    seat: Option<&'a str>,
    owned_by: &'a [String],
    purpose: &'static str,
    rule: &'a str,
    list: Option<&'a str>,
    source: JsonSource<'a>,
    purpose_source: Option<JsonSource<'a>>,
    seat_source: Option<JsonSource<'a>>,
}

#[derive(Serialize)]
struct JsonSource<'a> {
    title: &'a str,
    place: &'a str,
    as_of: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonListed<'a> {
    list: &'a str,
    date: &'a str,
    rule: &'a str,
    said: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonRegistration<'a> {
    domain: &'a str,
    server: Option<&'a str>,
    asked_at: String,
    registrant: Option<&'a str>,
    registrant_country: Option<String>,
    registrant_region: Option<&'a str>,
    registrar: Option<&'a str>,
    registered_on: Option<&'a str>,
    is_withheld: bool,
}

#[derive(Serialize)]
struct JsonNetwork<'a> {
    asn: Option<u32>,
    organisation: Option<&'a str>,
    registered_country: Option<String>,
    country: Option<String>,
    marks: Vec<&'static str>,
}

#[derive(Serialize)]
struct JsonNetworkLine<'a> {
    asn: Option<u32>,
    organisation: Option<&'a str>,
    registered_country: Option<String>,
    marks: Vec<&'static str>,
    addresses: Vec<String>,
    #[serde(flatten)]
    volume: Volume,
}

#[derive(Serialize)]
struct JsonName<'a> {
    name: Option<&'a str>,
    #[serde(flatten)]
    facts: JsonFacts<'a>,
    #[serde(flatten)]
    volume: Volume,
}

#[derive(Serialize)]
struct JsonCountry {
    country: Option<String>,
    is_anycast: bool,
    #[serde(flatten)]
    volume: Volume,
}

#[derive(Serialize)]
struct JsonDevice<'a> {
    device: String,
    device_name: &'a str,
    #[serde(flatten)]
    volume: Volume,
    first_at: String,
    last_at: String,
}

#[derive(Serialize)]
struct JsonDay<'a> {
    day: &'a str,
    device_name: &'a str,
    #[serde(flatten)]
    volume: Volume,
}

/// The dossier, every line of it, as one JSON object with a line end behind it.
///
/// # Errors
/// None that these structs can raise; serde's signature has one.
pub fn json(dossier: &Dossier) -> Result<String, serde_json::Error> {
    let Dossier { subject, title, remarks, facts, registered, network, names, .. } = dossier;
    let Dossier { networks, countries, devices, days, sisters, dates, .. } = dossier;
    let some = |text: &'_ str| -> Option<String> { (!text.is_empty()).then(|| text.to_owned()) };
    let (network_date, owners_date) = (some(&dates.networks), some(&dates.owners));
    let shape = JsonDossier {
        version: VERSION,
        subject: subject.to_string(),
        kind: match subject {
            Subject::Name(_) => "name",
            Subject::Address(_) => "address",
            Subject::System(_) => "network",
            Subject::Device(_) => "device",
            Subject::Owner(_) => "owner",
        },
        title,
        remarks,
        tables: JsonDates { networks: network_date.as_deref(), owners: owners_date.as_deref() },
        facts: facts.as_ref().map(facts_shape),
        registration: registered.as_ref().map(registration_shape),
        network: network.as_ref().map(network_shape),
        names: names.iter().map(name_shape).collect(),
        networks: networks.iter().map(network_line_shape).collect(),
        countries: countries
            .iter()
            .map(|(country, is_anycast, volume)| JsonCountry {
                country: country.map(|c| c.to_string()),
                is_anycast: *is_anycast,
                volume: *volume,
            })
            .collect(),
        devices: devices
            .iter()
            .map(|line| JsonDevice {
                device: line.mac.to_string(),
                device_name: &line.name,
                volume: line.volume,
                first_at: Civil::utc(line.first_at),
                last_at: Civil::utc(line.last_at),
            })
            .collect(),
        days: days
            .iter()
            .map(|line| JsonDay { day: &line.day, device_name: &line.device, volume: line.volume })
            .collect(),
        sister_names: sisters.iter().map(name_shape).collect(),
    };
    Ok(serde_json::to_string_pretty(&shape)? + "\n")
}

fn code(country: Option<Country>) -> Option<String> {
    country.map(|country| country.to_string())
}

pub(in crate::report) fn facts_shape(facts: &NameFacts) -> JsonFacts<'_> {
    let NameFacts { registrable, owned, hosted_under, listed } = facts;
    JsonFacts {
        registrable: registrable.as_ref().map(DomainName::as_str),
        hosted_under: hosted_under.as_deref(),
        owner: owned.as_ref().map(owned_shape),
        listed_by: listed.iter().map(listed_shape).collect(),
    }
}

fn listed_shape(listed: &Listed) -> JsonListed<'_> {
    let Listed { list, date, rule, said } = listed;
    JsonListed { list, date, rule, said: (!said.is_empty()).then_some(said.as_str()) }
}

fn owned_shape(owned: &Owned) -> JsonOwned<'_> {
    let Owned { owner, country, seat, parents, purpose, rule, list, source, purpose_source, seat_source } =
        owned;
    JsonOwned {
        name: owner,
        country: code(*country),
        seat: seat.as_deref(),
        owned_by: parents,
        purpose: purpose.word(),
        rule,
        list: list.as_deref(),
        source: source_shape(source),
        purpose_source: purpose_source.as_ref().map(source_shape),
        seat_source: seat_source.as_ref().map(source_shape),
    }
}

fn source_shape(source: &Source) -> JsonSource<'_> {
    let Source { title, place, read_on } = source;
    JsonSource { title, place, as_of: read_on.as_deref() }
}

fn registration_shape(registered: &Registered) -> JsonRegistration<'_> {
    let Registered { domain, server, asked_at, registration } = registered;
    let Registration { registrant, registrant_country, registrant_region, .. } = registration;
    JsonRegistration {
        domain: domain.as_str(),
        server: (!server.is_empty()).then_some(server.as_str()),
        asked_at: Civil::utc(*asked_at),
        registrant: registrant.as_deref(),
        registrant_country: code(*registrant_country),
        registrant_region: registrant_region.as_deref(),
        registrar: registration.registrar.as_deref(),
        registered_on: registration.registered_on.as_deref(),
        is_withheld: registration.is_redacted,
    }
}

fn network_shape(network: &Network) -> JsonNetwork<'_> {
    let Network { asn, organisation, country, registered, marks } = network;
    JsonNetwork {
        asn: *asn,
        organisation: organisation.as_deref(),
        registered_country: code(*registered),
        country: code(*country),
        marks: marks.words().collect(),
    }
}

fn network_line_shape(line: &NetworkLine) -> JsonNetworkLine<'_> {
    let Network { asn, organisation, country: _, registered, marks } = &line.network;
    JsonNetworkLine {
        asn: *asn,
        organisation: organisation.as_deref(),
        registered_country: code(*registered),
        marks: marks.words().collect(),
        addresses: line.addrs.iter().map(ToString::to_string).collect(),
        volume: line.volume,
    }
}

fn name_shape(line: &NameLine) -> JsonName<'_> {
    let NameLine { name, facts, volume } = line;
    JsonName { name: name.as_ref().map(DomainName::as_str), facts: facts_shape(facts), volume: *volume }
}
