//! The table as bytes, version 1. Little-endian whatever the machine; the file is this, compressed as one
//! Zstandard frame (RFC 8878).
//!
//! ```text
//! magic     8 bytes  "TELLNETS"
//! version   u16      1
//! checksum  u32      CRC-32 (IEEE 802.3) of the body
//! length    u32      of the body in bytes
//! body:
//!   source, as of    text                      (text = length as varint, UTF-8)
//!   systems          count, then each number as varint, then each organisation as text
//!   countries        count, then two letters each
//!   4 range maps     systems IPv4, systems IPv6, countries IPv4, countries IPv6:
//!     count; then where not zero:
//!     first start as varint; the distance to each further start; then each value as varint
//! ```
//!
//! Varints are LEB128, at most 10 bytes. A distance is one byte where it is a power of two, which most are:
//! `d < 64` means 2^d; `64 ≤ d < 128` is followed by a varint to be multiplied by 2^(d - 64). A value is an
//! index into its list plus one; 0 is unknown. IPv6 starts are the upper 64 bits.

use super::{AsEntry, NetworkTable, RangeKey, RangeMap};
use crate::units::Country;
use ruzstd::decoding::StreamingDecoder;
use std::io::Read;

/// The version this program writes, and the only one it reads.
pub const FORMAT_VERSION: u16 = 1;

/// The largest table that is unpacked. The whole world takes 6 MiB; what claims more is no table.
pub const MAX_TABLE_LEN: u64 = 32 << 20;

const MAGIC: &[u8; 8] = b"TELLNETS";

/// Why bytes are not a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TableError {
    /// The magic is missing.
    #[error("this is not a network table")]
    NotATable,
    /// Written by another version of this program.
    #[error("the network table has format {found}; this program reads {FORMAT_VERSION}")]
    UnknownVersion {
        /// The version it has.
        found: u16,
    },
    /// The bytes end too early.
    #[error("{field}: the network table is cut short")]
    Truncated {
        /// What was being read.
        field: &'static str,
    },
    /// The body is not what was written.
    #[error("the network table is damaged: its checksum does not match")]
    Checksum,
    /// The bytes are here, and no honest writer wrote them.
    #[error("{field}: impossible value {found:#x} in the network table")]
    Malformed {
        /// What was being read.
        field: &'static str,
        /// What was there.
        found: u64,
    },
    /// Not a Zstandard frame, or a damaged one.
    #[error("the network table cannot be unpacked")]
    Packed,
    /// Larger than [`MAX_TABLE_LEN`] when unpacked.
    #[error("the network table is larger than {MAX_TABLE_LEN} bytes")]
    TooLarge,
}

impl NetworkTable {
    /// A table from a file's bytes: one Zstandard frame around [`NetworkTable::encode`]'s bytes.
    ///
    /// # Errors
    /// [`TableError`]: any prefix, any flipped bit and any other bytes are refused.
    pub fn unpack(packed: &[u8]) -> Result<Self, TableError> {
        let mut rest = packed;
        let decoder = StreamingDecoder::new_with_max_window_size(&mut rest, MAX_TABLE_LEN)
            .map_err(|_| TableError::Packed)?;
        let mut bytes = Vec::new();
        decoder.take(MAX_TABLE_LEN + 1).read_to_end(&mut bytes).map_err(|_| TableError::Packed)?;
        if u64::try_from(bytes.len()).map_or(true, |len| len > MAX_TABLE_LEN) {
            return Err(TableError::TooLarge);
        }
        if !rest.is_empty() {
            return Err(TableError::Packed);
        }
        Self::decode(&bytes)
    }

    /// A table from its unpacked bytes.
    ///
    /// # Errors
    /// [`TableError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, TableError> {
        let mut cursor = Cursor { rest: bytes };
        if cursor.array("magic").map_err(|_| TableError::NotATable)? != *MAGIC {
            return Err(TableError::NotATable);
        }
        let version = u16::from_le_bytes(cursor.array("version")?);
        if version != FORMAT_VERSION {
            return Err(TableError::UnknownVersion { found: version });
        }
        let checksum = u32::from_le_bytes(cursor.array("checksum")?);
        let length = u32::from_le_bytes(cursor.array("length")?);
        let body = cursor.take(length.into(), "body")?;
        cursor.end()?;
        if crc32(body) != checksum {
            return Err(TableError::Checksum);
        }
        decode_body(body)
    }

    /// The table as bytes, not compressed. The same table always gives the same bytes.
    ///
    /// # Errors
    /// [`TableError::TooLarge`]: it would not be read again.
    pub fn encode(&self) -> Result<Vec<u8>, TableError> {
        let body = encode_body(self);
        let length = u32::try_from(body.len()).map_err(|_| TableError::TooLarge)?;
        let mut bytes = Vec::with_capacity(body.len() + 18);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&crc32(&body).to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&body);
        if u64::try_from(bytes.len()).map_or(true, |len| len > MAX_TABLE_LEN) {
            return Err(TableError::TooLarge);
        }
        Ok(bytes)
    }
}

fn encode_body(table: &NetworkTable) -> Vec<u8> {
    let NetworkTable {
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

/// The table behind the header. Apart from [`NetworkTable::decode`] so that tests reach it past the checksum.
pub(super) fn decode_body(body: &[u8]) -> Result<NetworkTable, TableError> {
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

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// CRC-32 as in IEEE 802.3: reflected, polynomial 0x04C11DB7, complemented before and after.
fn crc32(bytes: &[u8]) -> u32 {
    const REFLECTED: u32 = 0xEDB8_8320;
    const OF_BYTE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ REFLECTED } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ OF_BYTE.get(usize::from(low ^ byte)).copied().unwrap_or_default()
    })
}

/// Reads forward; can run out, cannot run past.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], TableError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(TableError::Truncated { field })?;
        self.rest = rest;
        Ok(*head)
    }

    fn take(&mut self, len: u64, field: &'static str) -> Result<&'a [u8], TableError> {
        let (head, rest) = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len))
            .ok_or(TableError::Truncated { field })?;
        self.rest = rest;
        Ok(head)
    }

    fn varint(&mut self, field: &'static str) -> Result<u64, TableError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array(field)?;
            let part = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(TableError::Malformed { field, found: byte.into() });
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(TableError::Malformed { field, found: value })
    }

    fn count(&mut self, field: &'static str) -> Result<usize, TableError> {
        let count = self.varint(field)?;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= self.rest.len())
            .ok_or(TableError::Truncated { field })
    }

    fn text(&mut self, field: &'static str) -> Result<String, TableError> {
        let len = self.varint(field)?;
        let bytes = self.take(len, field)?;
        let text = core::str::from_utf8(bytes).map_err(|_| TableError::Malformed { field, found: len })?;
        Ok(text.to_owned())
    }

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

    fn end(&self) -> Result<(), TableError> {
        match self.rest.first() {
            None => Ok(()),
            Some(&byte) => Err(TableError::Malformed { field: "end", found: byte.into() }),
        }
    }
}
