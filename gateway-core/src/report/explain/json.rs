//! An explanation as JSON, with the version of all of this program's JSON. Times are UTC.

use super::{Explanation, Part, PartKey, Subject};
use crate::query::ToldAnswer;
use crate::report::civil::Civil;
use crate::report::json::{JsonRange, VERSION, kind_word};
use crate::row::{Network, OpenedBy, RowKind};
use crate::units::{DomainName, Volume};
use core::net::IpAddr;
use serde::Serialize;

#[derive(Serialize)]
struct JsonExplanation<'a> {
    version: u32,
    range: JsonRange,
    subject: String,
    kind: &'static str,
    parts: Vec<JsonPart<'a>>,
    remarks: &'a [String],
    answers: Vec<JsonAnswer<'a>>,
}

#[derive(Serialize)]
struct JsonPart<'a> {
    device: String,
    device_name: &'a str,
    kind: &'static str,
    peers: Vec<JsonPeer<'a>>,
    port: Option<u16>,
    protocol: u8,
    opened_by: Option<&'static str>,
    application: &'static str,
    name: Option<&'a str>,
    evidence: &'static str,
    marks: Vec<&'static str>,
    answer_secs: Option<u32>,
    #[serde(flatten)]
    volume: Volume,
    conversations: Option<u64>,
    first_at: String,
    last_at: String,
    sentences: &'a [String],
}

#[derive(Serialize)]
struct JsonPeer<'a> {
    /// `None` of a row that is kept by the day, or at a privacy level.
    address: Option<String>,
    asn: Option<u32>,
    organisation: Option<&'a str>,
    country: Option<String>,
}

#[derive(Serialize)]
struct JsonAnswer<'a> {
    device: String,
    asked_from: Option<String>,
    name: &'a str,
    address: String,
    chain: Vec<&'a str>,
    ttl_secs: u32,
    answered_at: Option<String>,
    vouches_until: Option<String>,
}

/// The explanation, every part of it, as one JSON object with a line end behind it.
///
/// # Errors
/// None that these structs can raise; serde's signature has one.
pub fn json(explanation: &Explanation) -> Result<String, serde_json::Error> {
    let Explanation { subject, range, parts, remarks, answers } = explanation;
    let shape = JsonExplanation {
        version: VERSION,
        range: (*range).into(),
        subject: subject.to_string(),
        kind: match subject {
            Subject::Flow { .. } => "flow",
            Subject::Name(_) => "name",
            Subject::Address { .. } => "address",
        },
        parts: parts.iter().map(part).collect(),
        remarks,
        answers: answers.iter().map(answer).collect(),
    };
    Ok(serde_json::to_string_pretty(&shape)? + "\n")
}

fn part(part: &Part) -> JsonPart<'_> {
    let Part { key, device_name, peers, volume, conversations, seen, oldest_answer_secs, sentences } = part;
    let PartKey { device, name, evidence, marks, application, port, protocol, opened_by, kind } = key;
    // What stands for an unknown peer is no address of one.
    let is_peer_known = *kind != RowKind::Coarse;
    JsonPart {
        device: device.to_string(),
        device_name,
        kind: kind_word(*kind),
        peers: peers.iter().filter(|_| is_peer_known).map(peer).collect(),
        port: (*port != 0).then_some(*port),
        protocol: *protocol,
        opened_by: match opened_by {
            OpenedBy::Unknown => None,
            OpenedBy::Device => Some("device"),
            OpenedBy::Peer => Some("peer"),
        },
        application: application.word(),
        name: name.as_ref().map(DomainName::as_str),
        evidence: evidence.word(),
        marks: marks.words().collect(),
        answer_secs: *oldest_answer_secs,
        volume: *volume,
        conversations: is_peer_known.then_some(*conversations),
        first_at: Civil::utc(seen.since),
        last_at: Civil::utc(seen.until),
        sentences,
    }
}

fn peer((addr, network): &(IpAddr, Network)) -> JsonPeer<'_> {
    let Network { asn, organisation, country, registered: _, marks: _ } = network;
    JsonPeer {
        address: (!addr.is_unspecified()).then(|| addr.to_string()),
        asn: *asn,
        organisation: organisation.as_deref(),
        country: country.map(|country| country.to_string()),
    }
}

fn answer(answer: &ToldAnswer) -> JsonAnswer<'_> {
    let ToldAnswer { device, name, addr, asker_ipv4, chain, ttl_secs, answered_at, vouches_until } = answer;
    JsonAnswer {
        device: device.to_string(),
        asked_from: asker_ipv4.map(|ipv4| ipv4.to_string()),
        name: name.as_str(),
        address: addr.to_string(),
        chain: chain.iter().map(DomainName::as_str).collect(),
        ttl_secs: *ttl_secs,
        answered_at: answered_at.map(Civil::utc),
        vouches_until: vouches_until.map(Civil::utc),
    }
}
