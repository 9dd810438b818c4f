//! A conversation as a line of JSON. Documented in docs/replay.md; fields are added, never changed.

use super::conversations::{Listed, Named};
use gateway_core::row::Marks;
use gateway_core::units::WallTime;
use serde::Serialize;
use std::net::IpAddr;

/// One line.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    src: IpAddr,
    dst: IpAddr,
    sport: u16,
    dport: u16,
    proto: u8,
    packets_up: u64,
    bytes_up: u64,
    packets_down: u64,
    bytes_down: u64,
    domain: Option<&'a str>,
    domain_source: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    domains: Vec<Domain<'a>>,
    application: &'static str,
    marks: Vec<&'static str>,
    first_at: String,
    last_at: String,
}

/// One of several names.
#[derive(Serialize)]
struct Domain<'a> {
    name: &'a str,
    source: &'static str,
    is_outer: bool,
}

impl<'a> Line<'a> {
    pub(super) fn of(listed: &'a Listed) -> Self {
        let best = listed.names.first();
        let several = if listed.names.len() > 1 { listed.names.as_slice() } else { &[] };
        let domain = |named: &'a Named| Domain {
            name: named.name.as_str(),
            source: named.evidence.word(),
            is_outer: named.marks.has(Marks::OUTER_NAME),
        };
        let marks = Marks::ALL.into_iter().filter(|(mark, _)| listed.marks.has(*mark));
        let (packets_up, packets_down) = listed.packets;
        let (bytes_up, bytes_down) = listed.bytes;
        Self {
            src: listed.source.0,
            dst: listed.destination.0,
            sport: listed.source.1,
            dport: listed.destination.1,
            proto: listed.protocol,
            packets_up,
            bytes_up,
            packets_down,
            bytes_down,
            domain: best.map(|named| named.name.as_str()),
            domain_source: best.map(|named| named.evidence.word()),
            domains: several.iter().map(domain).collect(),
            application: listed.application.word(),
            marks: marks.map(|(_, word)| word).collect(),
            first_at: moment(listed.first_at),
            last_at: moment(listed.last_at),
        }
    }
}

/// RFC 3339, UTC. A time beyond the calendar's edge is at it.
fn moment(at: WallTime) -> String {
    let moment = jiff::Timestamp::from_nanosecond(i128::from(at.0));
    moment.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}
