//! The autonomous systems of a table: numbers unpacked, the rest as it lies in the body.

use super::SystemEntry;
use crate::enrich::cursor::{Cursor, put_varint};
use crate::enrich::envelope::TableError;
use crate::row::NetworkMarks;
use crate::units::Country;
use core::ops::Range;

/// Names between two entries of the index.
const BLOCK_LEN: usize = 32;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Systems {
    /// Ascending.
    numbers: Vec<u32>,
    registered: Range<usize>,
    marks: Range<usize>,
    names: Range<usize>,
    /// For each block of names: where in the body their lengths begin, and where in `names` the first one does.
    name_blocks: Vec<(u32, u32)>,
}

impl Systems {
    /// Reads the systems, and checks every one. `countries` is how many there are to be registered in.
    pub(super) fn decode(cursor: &mut Cursor<'_>, countries: usize) -> Result<Self, TableError> {
        let count = cursor.count("systems")?;
        let mut numbers = Vec::with_capacity(count);
        let mut next = 0_u64;
        for _ in 0..count {
            let field = "systems.number";
            let step = cursor.varint(field)?;
            let malformed = TableError::Malformed { field, found: step };
            let number = next.checked_add(step).and_then(|n| u32::try_from(n).ok()).ok_or(malformed)?;
            next = u64::from(number) + 1;
            numbers.push(number);
        }
        let registered = column(cursor, count, "systems.registered", |byte| usize::from(byte) <= countries)?;
        let marks = column(cursor, count, "systems.marks", |byte| NetworkMarks::from_number(byte).is_some())?;
        let mut name_blocks = Vec::with_capacity(count.div_ceil(BLOCK_LEN));
        let mut ends = Vec::new();
        let mut names_len = 0_u64;
        for position in 0..count {
            let field = "systems.organisation";
            if position % BLOCK_LEN == 0 {
                let at = u32::try_from(cursor.position()).map_err(|_| TableError::TooLarge)?;
                let begins = u32::try_from(names_len).map_err(|_| TableError::TooLarge)?;
                name_blocks.push((at, begins));
            }
            let len = cursor.varint(field)?;
            names_len = names_len.checked_add(len).ok_or(TableError::Malformed { field, found: len })?;
            ends.push(names_len);
        }
        let from = cursor.position();
        let field = "systems.organisations";
        let text = cursor.take(names_len, field)?;
        let malformed = |found| TableError::Malformed { field, found };
        let text = core::str::from_utf8(text).map_err(|_| malformed(names_len))?;
        for end in ends {
            if !usize::try_from(end).is_ok_and(|end| text.is_char_boundary(end)) {
                return Err(malformed(end));
            }
        }
        let names = from..from + text.len();
        Ok(Self { numbers, registered, marks, names, name_blocks })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Where the system of a number is in the list.
    pub(super) fn position_of(&self, number: u32) -> Option<usize> {
        self.numbers.binary_search(&number).ok()
    }

    /// The number of the system at a place.
    pub(super) fn number(&self, position: usize) -> Option<u32> {
        self.numbers.get(position).copied()
    }

    /// The country it is registered in, as an index.
    pub(super) fn registered(&self, body: &[u8], position: usize) -> Option<usize> {
        usize::from(*body.get(self.registered.clone())?.get(position)?).checked_sub(1)
    }

    /// What must be said of it.
    pub(super) fn marks(&self, body: &[u8], position: usize) -> NetworkMarks {
        let byte = body.get(self.marks.clone()).and_then(|marks| marks.get(position)).copied();
        byte.and_then(NetworkMarks::from_number).unwrap_or_default()
    }

    /// Who runs it; `None` where the source does not say.
    pub(super) fn organisation<'a>(&self, body: &'a [u8], position: usize) -> Option<&'a str> {
        let &(lengths_at, begins) = self.name_blocks.get(position / BLOCK_LEN)?;
        let mut lengths = Cursor::new(body.get(usize::try_from(lengths_at).ok()?..)?);
        let mut begins = usize::try_from(begins).ok()?;
        for _ in 0..position % BLOCK_LEN {
            begins += usize::try_from(lengths.varint("systems.organisation").ok()?).ok()?;
        }
        let len = usize::try_from(lengths.varint("systems.organisation").ok()?).ok()?;
        let name = body.get(self.names.clone())?.get(begins..begins + len)?;
        core::str::from_utf8(name).ok().filter(|name| !name.is_empty())
    }

    /// Bytes of memory it takes beside the body.
    pub(super) fn memory_bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<u32>() + self.name_blocks.capacity() * size_of::<(u32, u32)>()
    }
}

fn column(
    cursor: &mut Cursor<'_>,
    count: usize,
    field: &'static str,
    is_possible: impl Fn(u8) -> bool,
) -> Result<Range<usize>, TableError> {
    let from = cursor.position();
    let bytes = cursor.take(count as u64, field)?;
    match bytes.iter().find(|&&byte| !is_possible(byte)) {
        Some(&byte) => Err(TableError::Malformed { field, found: byte.into() }),
        None => Ok(from..from + bytes.len()),
    }
}

/// Writes the systems as they stand in a body. They ascend by number.
pub(super) fn encode(
    out: &mut Vec<u8>,
    systems: &[SystemEntry],
    countries: &[Country],
) -> Result<(), TableError> {
    put_varint(out, systems.len() as u64);
    let mut next = 0_u64;
    for system in systems {
        let malformed = TableError::Malformed { field: "systems.number", found: system.number.into() };
        put_varint(out, u64::from(system.number).checked_sub(next).ok_or(malformed)?);
        next = u64::from(system.number) + 1;
    }
    for system in systems {
        let Some(Country(letters)) = system.registered else {
            out.push(0);
            continue;
        };
        let place = countries.iter().position(|country| country.0 == letters);
        let found = u16::from_be_bytes(letters).into();
        let malformed = TableError::Malformed { field: "systems.registered", found };
        out.push(place.and_then(|p| u8::try_from(p + 1).ok()).ok_or(malformed)?);
    }
    out.extend(systems.iter().map(|system| system.marks.number()));
    for system in systems {
        put_varint(out, system.organisation.len() as u64);
    }
    for system in systems {
        out.extend_from_slice(system.organisation.as_bytes());
    }
    Ok(())
}
