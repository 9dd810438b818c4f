//! The table as bytes, version 1: the body of an envelope of the kind `Vendors`.
//!
//! ```text
//! source   text                              (text = length as varint, UTF-8)
//! names    count as varint, a byte for the length of each, then all of them without anything between
//! 3 times  prefixes of 36, 28 and 24 bits: count as varint;
//!          the first as varint, the distance to each further one as varint;
//!          then what each stands for, as varint: 0 nobody, 1 the next name that no prefix before had, else name n - 2
//! ```
//!
//! Names stand in the order in which they are first needed, so that most prefixes of small makers take one byte.

use super::level::{Level, Rest};
use super::names::Names;
use super::{Assignment, PrefixLen, VendorTable};
use crate::enrich::cursor::{Cursor, put_text, put_varint};
use crate::enrich::envelope::{self, TableDate, TableError, TableKind};
use std::collections::BTreeMap;

/// The version this program writes, and the only one it reads.
pub const FORMAT_VERSION: u16 = 1;

const NOBODY: u64 = 0;
const NEXT_NAME: u64 = 1;
const FIRST_NAME: u64 = 2;

impl VendorTable {
    /// A table from a file's bytes.
    ///
    /// # Errors
    /// [`TableError`]: any prefix, any flipped bit and any other bytes are refused.
    pub fn open(packed: &[u8]) -> Result<Self, TableError> {
        let opened = envelope::open(packed, TableKind::Vendors)?;
        opened.check_version(FORMAT_VERSION)?;
        decode_body(opened.date, &opened.body)
    }

    /// The table's file before it is compressed. The same table always gives the same bytes.
    ///
    /// # Errors
    /// [`TableError::TooLarge`]: it would not be read again.
    pub fn encode(&self) -> Result<Vec<u8>, TableError> {
        let VendorTable { source, date, names, small, medium, large, has_parts: _ } = self;
        let mut body = Vec::new();
        put_text(&mut body, source);
        put_varint(&mut body, names.len() as u64);
        body.extend_from_slice(names.lens());
        body.extend_from_slice(names.text().as_bytes());
        let mut used = 0;
        put_level(&mut body, small.iter(), small.len(), &mut used);
        put_level(&mut body, medium.iter(), medium.len(), &mut used);
        put_level(&mut body, large.iter(), large.len(), &mut used);
        envelope::seal(TableKind::Vendors, FORMAT_VERSION, *date, &body)
    }
}

/// Puts the names in the order in which their prefixes first need them.
pub(super) fn assemble(
    source: &str,
    date: TableDate,
    mut assignments: Vec<Assignment>,
) -> Result<VendorTable, TableError> {
    assignments.sort_by(|a, b| b.len.cmp(&a.len).then(a.prefix.cmp(&b.prefix)));
    let (mut text, mut lens) = (String::new(), Vec::new());
    let mut places = BTreeMap::<String, u16>::new();
    let mut levels = [Vec::new(), Vec::new(), Vec::new()];
    for Assignment { len, prefix, vendor } in assignments {
        let value = match vendor {
            None => 0,
            Some(name) => match places.get(&name) {
                Some(value) => *value,
                None => {
                    let value = u16::try_from(lens.len() + 1).map_err(|_| TableError::TooLarge)?;
                    let found = u64::try_from(name.len()).unwrap_or(u64::MAX);
                    let len = u8::try_from(name.len())
                        .map_err(|_| TableError::Malformed { field: "names", found })?;
                    lens.push(len);
                    text.push_str(&name);
                    places.insert(name, value);
                    value
                }
            },
        };
        let [small, medium, large] = &mut levels;
        match len {
            PrefixLen::Small => small.push((prefix, value)),
            PrefixLen::Medium => medium.push((prefix, value)),
            PrefixLen::Large => large.push((prefix, value)),
        }
    }
    text.shrink_to_fit();
    lens.shrink_to_fit();
    table(source.to_owned(), date, names(text, lens)?, &levels)
}

/// Of the levels of 36, 28 and 24 bits.
fn table(
    source: String,
    date: TableDate,
    names: Names,
    [small, medium, large]: &[Vec<(u64, u16)>; 3],
) -> Result<VendorTable, TableError> {
    let small = level(PrefixLen::Small, small)?;
    let medium = level(PrefixLen::Medium, medium)?;
    let large: Level<u16> = level(PrefixLen::Large, large)?;
    let has_whole = |prefix: u64, bits: u32| large.get(prefix << (48 - bits)).is_some();
    let has_parts = small.iter().any(|(prefix, _)| has_whole(prefix, PrefixLen::Small.bits()))
        || medium.iter().any(|(prefix, _)| has_whole(prefix, PrefixLen::Medium.bits()));
    Ok(VendorTable { source, date, names, small, medium, large, has_parts })
}

fn names(text: String, lens: Vec<u8>) -> Result<Names, TableError> {
    let found = u64::try_from(lens.len()).unwrap_or(u64::MAX);
    Names::new(text, lens).ok_or(TableError::Malformed { field: "names", found })
}

fn level<R: Rest>(len: PrefixLen, prefixes: &[(u64, u16)]) -> Result<Level<R>, TableError> {
    let found = u64::try_from(prefixes.len()).unwrap_or(u64::MAX);
    if found > u64::from(u16::MAX) {
        return Err(TableError::TooLarge);
    }
    Level::new(len, prefixes).ok_or(TableError::Malformed { field: "prefixes", found })
}

fn put_level(out: &mut Vec<u8>, prefixes: impl Iterator<Item = (u64, u16)>, count: usize, used: &mut u64) {
    put_varint(out, count as u64);
    let mut before = 0;
    let mut values = Vec::with_capacity(count);
    for (prefix, value) in prefixes {
        put_varint(out, prefix - before);
        before = prefix;
        values.push(u64::from(value));
    }
    for value in values {
        // Values count names from 1.
        let code = match value {
            0 => NOBODY,
            next if next == *used + 1 => NEXT_NAME,
            known => known - 1 + FIRST_NAME,
        };
        *used = value.max(*used);
        put_varint(out, code);
    }
}

/// The table behind the envelope. Apart from [`VendorTable::open`] so that tests reach it past the checksum.
pub(super) fn decode_body(date: TableDate, body: &[u8]) -> Result<VendorTable, TableError> {
    let mut cursor = Cursor::new(body);
    let source = cursor.text("source")?;
    // A count is believed only as far as there are bytes for it: every item takes one at least.
    let count = cursor.count("names")?;
    let lens = cursor.take(count as u64, "names")?.to_vec();
    let total = lens.iter().map(|len| u64::from(*len)).sum();
    let text = core::str::from_utf8(cursor.take(total, "names")?)
        .map_err(|_| TableError::Malformed { field: "names", found: total })?;
    let names = names(text.to_owned(), lens)?;
    let mut used = 0;
    let mut read = |field| read_level(&mut cursor, names.len() as u64, &mut used, field);
    let levels = [read("prefixes of 36 bits")?, read("prefixes of 28 bits")?, read("prefixes of 24 bits")?];
    cursor.end()?;
    table(source, date, names, &levels)
}

fn read_level(
    cursor: &mut Cursor<'_>,
    name_count: u64,
    used: &mut u64,
    field: &'static str,
) -> Result<Vec<(u64, u16)>, TableError> {
    let count = cursor.count(field)?;
    let mut prefixes = Vec::with_capacity(count);
    let mut prefix = 0_u64;
    for _ in 0..count {
        let step = cursor.varint(field)?;
        prefix = prefix.checked_add(step).ok_or(TableError::Malformed { field, found: step })?;
        prefixes.push((prefix, 0));
    }
    for (_, value) in &mut prefixes {
        let code = cursor.varint(field)?;
        let number = match code {
            NOBODY => 0,
            NEXT_NAME => *used + 1,
            known => known - FIRST_NAME + 1,
        };
        *used = number.max(*used);
        *value = u16::try_from(number)
            .ok()
            .filter(|_| number <= name_count)
            .ok_or(TableError::Malformed { field, found: code })?;
    }
    Ok(prefixes)
}
