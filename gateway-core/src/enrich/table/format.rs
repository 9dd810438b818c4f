//! The body of a table of networks, version 2, inside the envelope that all tables have.
//!
//! ```text
//! source, as of    text                      (text = length as varint, UTF-8)
//! systems          count, then each number as varint, then each organisation as text
//! countries        count, then two letters each
//! 4 range maps     systems IPv4, systems IPv6, countries IPv4, countries IPv6:
//!   count; then where not zero:
//!   first start as varint; the distance to each further start; then each value as varint
//! ```
//!
//! A distance is one byte where it is a power of two, which most are: `d < 64` means 2^d; `64 ≤ d < 128` is
//! followed by a varint to be multiplied by 2^(d - 64). A value is an index into its list plus one; 0 is unknown.
//! IPv6 starts are the upper 64 bits.

use super::{AsEntry, NetworkTable, RangeKey, RangeMap};
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
        decode_body(envelope.date, &envelope.body)
    }

    /// The bytes of a table file before they are compressed. The same table always gives the same bytes.
    ///
    /// # Errors
    /// [`TableError::TooLarge`]: it would not be read again.
    pub fn seal(&self) -> Result<Vec<u8>, TableError> {
        envelope::seal(TableKind::Networks, FORMAT_VERSION, self.date, &encode_body(self))
    }
}

fn encode_body(table: &NetworkTable) -> Vec<u8> {
    let NetworkTable {
        date: _,
        source,
        as_of,
        systems,
        countries,
        systems_v4,
        systems_v6,
        countries_v4,
        countries_v6,
    } = table;
    let mut out = Vec::new();
    put_text(&mut out, source);
    put_text(&mut out, as_of);
    put_varint(&mut out, systems.len() as u64);
    for system in systems {
        put_varint(&mut out, system.number.into());
    }
    for system in systems {
        put_text(&mut out, &system.organisation);
    }
    put_varint(&mut out, countries.len() as u64);
    for Country(letters) in countries {
        out.extend_from_slice(letters);
    }
    put_ranges(&mut out, systems_v4);
    put_ranges(&mut out, systems_v6);
    put_ranges(&mut out, countries_v4);
    put_ranges(&mut out, countries_v6);
    out
}

/// The table behind the envelope. Apart from [`NetworkTable::unpack`] so that tests reach it past the checksum.
pub(super) fn decode_body(date: TableDate, body: &[u8]) -> Result<NetworkTable, TableError> {
    let mut cursor = Cursor { rest: body };
    let source = cursor.text("source")?;
    let as_of = cursor.text("as_of")?;
    // A count is believed only as far as there are bytes for it: every item takes one at least.
    let count = cursor.count("systems")?;
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        let number = cursor.varint("systems.number")?;
        let number = u32::try_from(number)
            .map_err(|_| TableError::Malformed { field: "systems.number", found: number })?;
        numbers.push(number);
    }
    let mut systems = Vec::with_capacity(count);
    for number in numbers {
        systems.push(AsEntry { number, organisation: cursor.text("systems.organisation")? });
    }
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
    let table = NetworkTable {
        date,
        source,
        as_of,
        systems_v4: cursor.ranges(systems.len(), "systems_v4")?,
        systems_v6: cursor.ranges(systems.len(), "systems_v6")?,
        countries_v4: cursor.ranges(countries.len(), "countries_v4")?,
        countries_v6: cursor.ranges(countries.len(), "countries_v6")?,
        systems,
        countries,
    };
    cursor.end()?;
    Ok(table)
}

fn put_ranges<K: RangeKey, V: Copy + Default + Eq + Into<u32>>(out: &mut Vec<u8>, ranges: &RangeMap<K, V>) {
    put_varint(out, ranges.len() as u64);
    let mut previous: Option<u64> = None;
    for (start, _) in ranges.iter() {
        let start: u64 = start.into();
        match previous {
            None => put_varint(out, start),
            Some(before) => put_distance(out, start - before),
        }
        previous = Some(start);
    }
    for (_, value) in ranges.iter() {
        put_varint(out, u64::from(value.into()));
    }
}

fn put_distance(out: &mut Vec<u8>, distance: u64) {
    let shift = distance.trailing_zeros() as u8 & 63;
    if distance.is_power_of_two() {
        out.push(shift);
    } else {
        out.push(64 | shift);
        put_varint(out, distance >> shift);
    }
}

impl Cursor<'_> {
    fn distance(&mut self, field: &'static str) -> Result<u64, TableError> {
        let [token] = self.array(field)?;
        let shift = u32::from(token & 63);
        let factor = match token {
            0..64 => 1,
            64..128 => self.varint(field)?,
            _ => return Err(TableError::Malformed { field, found: token.into() }),
        };
        1_u64
            .checked_shl(shift)
            .and_then(|unit| unit.checked_mul(factor))
            .filter(|&distance| distance != 0)
            .ok_or(TableError::Malformed { field, found: factor })
    }

    fn ranges<K: RangeKey + TryFrom<u64>, V: Copy + Default + Eq + TryFrom<u64>>(
        &mut self,
        list_len: usize,
        field: &'static str,
    ) -> Result<RangeMap<K, V>, TableError> {
        let count = self.count(field)?;
        let mut starts = Vec::with_capacity(count);
        let mut start = 0_u64;
        for position in 0..count {
            let step = if position == 0 { self.varint(field)? } else { self.distance(field)? };
            start = start.checked_add(step).ok_or(TableError::Malformed { field, found: step })?;
            starts.push(K::try_from(start).map_err(|_| TableError::Malformed { field, found: start })?);
        }
        let mut ranges = RangeMap::builder(count);
        for start in starts {
            let value = self.varint(field)?;
            let stored = usize::try_from(value)
                .ok()
                .filter(|&value| value <= list_len)
                .and_then(|_| V::try_from(value).ok())
                .ok_or(TableError::Malformed { field, found: value })?;
            ranges.push(start, stored).ok_or(TableError::Malformed { field, found: start.into() })?;
        }
        Ok(ranges.finish())
    }
}
