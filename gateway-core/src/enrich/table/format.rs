//! The body of a table of networks, version 2, inside the envelope that all tables have.
//!
//! ```text
//! source, as of    text                      (text = length as varint, UTF-8)
//! countries        count, then two letters each
//! systems          count, then, each for all systems: the distance between one number and the next, less one, as
//!                  varint; place of registration as index into the countries plus one, a byte; marks, a byte;
//!                  length of the organisation as varint; the organisations
//! 2 lists of anycast prefixes, IPv4 and IPv6: count, then for each the distance to it from behind the one before,
//!                  and its length less one, as varints
//! 4 range maps     systems IPv4, systems IPv6, countries IPv4, countries IPv6:
//!   count; then where not zero:
//!   first start as varint; the distance to each further start; then each value
//! ```
//!
//! A distance is two bytes: a number of 11 bits for IPv4 and 10 for IPv6, and above it by how many bits it is
//! shifted. One that needs more is in pieces: bounds at which nothing changes. A value is an index into its list plus
//! one; 0 is unknown; each takes as many bytes as the largest possible one needs. IPv6 starts are the upper 64 bits.
//!
//! The body is kept as it lies: what is decoded here is checked and indexed.

use super::ranges::{RangeKey, RangeWriter, Ranges};
use super::{NetworkTable, Step, TableParts, systems};
use crate::enrich::cursor::{Cursor, put_text, put_varint};
use crate::enrich::envelope::{self, TableDate, TableError, TableKind};
use crate::units::Country;

/// The version of the body that this program writes, and the only one it reads.
pub const FORMAT_VERSION: u16 = 2;

impl NetworkTable {
    /// A table from a file's bytes.
    ///
    /// # Errors
    /// [`TableError`]: any prefix, any flipped bit and any other bytes are refused.
    pub fn unpack(packed: &[u8]) -> Result<Self, TableError> {
        let envelope = envelope::open(packed, TableKind::Networks)?;
        envelope.check_version(FORMAT_VERSION)?;
        decode_body(envelope.date, envelope.body)
    }

    /// The bytes of a table file before they are compressed. The same table always gives the same bytes.
    ///
    /// # Errors
    /// [`TableError::TooLarge`]: it would not be read again.
    pub fn seal(&self) -> Result<Vec<u8>, TableError> {
        envelope::seal(TableKind::Networks, FORMAT_VERSION, self.date, &self.body)
    }
}

/// The body of a table made from its parts.
pub(super) fn encode_body(parts: &TableParts) -> Result<Vec<u8>, TableError> {
    let TableParts {
        date: _,
        source,
        as_of,
        systems,
        countries,
        systems_v4,
        systems_v6,
        countries_v4,
        countries_v6,
        anycast_v4,
        anycast_v6,
    } = parts;
    let mut out = Vec::new();
    put_text(&mut out, source);
    put_text(&mut out, as_of);
    put_varint(&mut out, countries.len() as u64);
    for Country(letters) in countries {
        out.extend_from_slice(letters);
    }
    systems::encode(&mut out, systems, countries)?;
    put_spans(&mut out, anycast_v4, "anycast_v4")?;
    put_spans(&mut out, anycast_v6, "anycast_v6")?;
    put_ranges(&mut out, systems_v4, systems.len(), "systems_v4")?;
    put_ranges(&mut out, systems_v6, systems.len(), "systems_v6")?;
    put_ranges(&mut out, countries_v4, countries.len(), "countries_v4")?;
    put_ranges(&mut out, countries_v6, countries.len(), "countries_v6")?;
    Ok(out)
}

/// The table behind the envelope. Apart from [`NetworkTable::unpack`] so that tests reach it past the checksum.
pub(super) fn decode_body(date: TableDate, body: Vec<u8>) -> Result<NetworkTable, TableError> {
    let mut cursor = Cursor::new(&body);
    let source = cursor.text("source")?;
    let as_of = cursor.text("as_of")?;
    // A count is believed only as far as there are bytes for it: every item takes one at least.
    let count = cursor.count("countries")?;
    let mut countries = Vec::with_capacity(count);
    for _ in 0..count {
        let letters = cursor.array::<2>("countries")?;
        let country = core::str::from_utf8(&letters)
            .ok()
            .and_then(Country::parse)
            .ok_or(TableError::Malformed { field: "countries", found: u16::from_be_bytes(letters).into() })?;
        countries.push(country);
    }
    let systems = systems::Systems::decode(&mut cursor, countries.len())?;
    let anycast_v4 = spans(&mut cursor, "anycast_v4")?;
    let anycast_v6 = spans(&mut cursor, "anycast_v6")?;
    let systems_v4 = Ranges::decode(&mut cursor, systems.len(), "systems_v4")?;
    let systems_v6 = Ranges::decode(&mut cursor, systems.len(), "systems_v6")?;
    let countries_v4 = Ranges::decode(&mut cursor, countries.len(), "countries_v4")?;
    let countries_v6 = Ranges::decode(&mut cursor, countries.len(), "countries_v6")?;
    cursor.end()?;
    Ok(NetworkTable {
        date,
        source,
        as_of,
        countries,
        systems,
        anycast_v4,
        anycast_v6,
        systems_v4,
        systems_v6,
        countries_v4,
        countries_v6,
        body,
    })
}

fn put_ranges<K: RangeKey>(
    out: &mut Vec<u8>,
    steps: &[Step<K>],
    list_len: usize,
    field: &'static str,
) -> Result<(), TableError> {
    let mut ranges = RangeWriter::new(list_len)?;
    for &Step { start, value } in steps {
        let stored = match value {
            None => 0,
            Some(i) if usize::try_from(i).is_ok_and(|i| i < list_len) => i + 1,
            Some(i) => return Err(TableError::Malformed { field, found: i.into() }),
        };
        ranges.push(start, stored).ok_or(TableError::Malformed { field, found: start.into() })?;
    }
    ranges.finish(out);
    Ok(())
}

fn put_spans<K: RangeKey>(
    out: &mut Vec<u8>,
    spans: &[(K, K)],
    field: &'static str,
) -> Result<(), TableError> {
    put_varint(out, spans.len() as u64);
    let mut next = Some(0_u64);
    for &(first, last) in spans {
        let (first, last): (u64, u64) = (first.into(), last.into());
        let malformed = TableError::Malformed { field, found: first };
        put_varint(out, next.and_then(|next| first.checked_sub(next)).ok_or(malformed)?);
        put_varint(out, last.checked_sub(first).ok_or(malformed)?);
        next = last.checked_add(1);
    }
    Ok(())
}

fn spans<K: RangeKey>(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Vec<(K, K)>, TableError> {
    let count = cursor.count(field)?;
    let mut spans = Vec::with_capacity(count);
    let mut next = Some(0_u64);
    for _ in 0..count {
        let (step, len) = (cursor.varint(field)?, cursor.varint(field)?);
        let malformed = TableError::Malformed { field, found: step };
        let first = next.and_then(|next| next.checked_add(step)).ok_or(malformed)?;
        let last = first.checked_add(len).ok_or(malformed)?;
        let key = |key: u64| K::try_from(key).map_err(|_| malformed);
        spans.push((key(first)?, key(last)?));
        next = last.checked_add(1);
    }
    Ok(spans)
}
