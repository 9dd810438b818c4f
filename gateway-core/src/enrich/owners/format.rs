//! The body of a table of owners, version 2. The envelope has its kind, date and checksum.
//!
//! ```text
//! purposes  count, then each as text: the word
//! sources   count, then for each: title and place as text, day as varint (days since 1970 plus one, 0: not looked at)
//! owners    count, then for each: id and name as text, two letters of the country (two zero bytes: not known),
//!           seat as text (empty: not known), parent and source as varint (their place plus one, 0: none)
//! rules     count, then for each: places of owner, purpose and source; the purpose's source as varint (its place plus
//!           one, 0: none); one byte, 1 where names below a public suffix
//!           are its customers', else 0; count of names, then each name as text
//! ```
//!
//! Places count from 0 and are varints. A word that this program does not know is [`Purpose::Service`]: a newer
//! table may have finer ones.

use super::{Owner, OwnerParts, OwnerTable, Purpose, RuleParts, Source};
use crate::enrich::cursor::{Cursor, put_text, put_varint};
use crate::enrich::envelope::{self, TableDate, TableError, TableKind};
use crate::units::{Country, DomainName};

/// The version this program writes, and the only one it reads.
pub const FORMAT_VERSION: u16 = 2;

impl OwnerTable {
    /// A table from a file's bytes.
    ///
    /// # Errors
    /// [`TableError`]: any prefix, any changed bit and any other bytes are refused.
    pub fn open(packed: &[u8]) -> Result<Self, TableError> {
        let envelope = envelope::open(packed, TableKind::Owners)?;
        envelope.check_version(FORMAT_VERSION)?;
        let mut cursor = Cursor::new(&envelope.body);
        let purposes = purposes(&mut cursor)?;
        let sources = list(&mut cursor, "sources", source)?;
        let owners = list(&mut cursor, "owners", owner)?;
        let rules = list(&mut cursor, "rules", |cursor| rule(cursor, &purposes))?;
        cursor.end()?;
        Self::new(OwnerParts { as_of: envelope.date, sources, owners, rules })
    }
}

impl OwnerParts {
    /// The parts as the bytes of a table file, not compressed. The same parts always give the same bytes.
    ///
    /// # Errors
    /// [`TableError::TooLarge`]
    pub fn seal(&self) -> Result<Vec<u8>, TableError> {
        let Self { as_of, sources, owners, rules } = self;
        let mut body = Vec::new();
        put_varint(&mut body, Purpose::ALL.len() as u64);
        for purpose in Purpose::ALL {
            put_text(&mut body, purpose.word());
        }
        put_varint(&mut body, sources.len() as u64);
        for Source { title, place, read } in sources {
            put_text(&mut body, title);
            put_text(&mut body, place);
            put_varint(&mut body, read.map_or(0, |day| u64::from(day.0) + 1));
        }
        put_varint(&mut body, owners.len() as u64);
        for (Owner { id, name, country, seat, parent: _, source: _ }, parent, source) in owners {
            put_text(&mut body, id);
            put_text(&mut body, name);
            body.extend_from_slice(&country.map_or([0, 0], |Country(letters)| letters));
            put_text(&mut body, seat.as_deref().unwrap_or_default());
            put_varint(&mut body, parent.map_or(0, |at| at as u64 + 1));
            put_varint(&mut body, source.map_or(0, |at| at as u64 + 1));
        }
        put_varint(&mut body, rules.len() as u64);
        for RuleParts { owner, purpose, source, purpose_source, has_customers, names } in rules {
            put_varint(&mut body, *owner as u64);
            put_varint(&mut body, *purpose as u64);
            put_varint(&mut body, *source as u64);
            put_varint(&mut body, purpose_source.map_or(0, |at| at as u64 + 1));
            body.push((*has_customers).into());
            put_varint(&mut body, names.len() as u64);
            for name in names {
                put_text(&mut body, name.as_str());
            }
        }
        envelope::seal(TableKind::Owners, FORMAT_VERSION, *as_of, &body)
    }
}

fn list<T>(
    cursor: &mut Cursor<'_>,
    field: &'static str,
    read: impl Fn(&mut Cursor<'_>) -> Result<T, TableError>,
) -> Result<Vec<T>, TableError> {
    // What a count claims is not reserved: an entry takes more memory than the byte that vouches for it.
    let count = cursor.count(field)?;
    (0..count).map(|_| read(cursor)).collect()
}

fn purposes(cursor: &mut Cursor<'_>) -> Result<Vec<Purpose>, TableError> {
    list(cursor, "purposes", |cursor| {
        Ok(Purpose::from_word(&cursor.text("purpose")?).unwrap_or(Purpose::Service))
    })
}

fn source(cursor: &mut Cursor<'_>) -> Result<Source, TableError> {
    let (title, place) = (cursor.text("source")?.into(), cursor.text("source")?.into());
    let found = cursor.varint("source's day")?;
    let day =
        |after| u32::try_from(after).map_err(|_| TableError::Malformed { field: "source's day", found });
    let read = found.checked_sub(1).map(day).transpose()?.map(TableDate);
    Ok(Source { title, place, read })
}

fn owner(cursor: &mut Cursor<'_>) -> Result<(Owner, Option<usize>, Option<usize>), TableError> {
    let (id, name) = (cursor.text("owner")?, cursor.text("owner")?);
    let letters: [u8; 2] = cursor.array("owner's country")?;
    let country = match letters {
        [0, 0] => None,
        [b'A'..=b'Z', b'A'..=b'Z'] => Some(Country(letters)),
        [a, b] => {
            let found = u64::from(u16::from_be_bytes([a, b]));
            return Err(TableError::Malformed { field: "owner's country", found });
        }
    };
    let seat = cursor.text("owner's seat")?;
    let seat = (!seat.is_empty()).then_some(&*seat);
    let parent = place(cursor, "owner's parent")?.checked_sub(1);
    let source = place(cursor, "owner's source")?.checked_sub(1);
    Ok((Owner::new(&id, &name, country, seat), parent, source))
}

fn rule(cursor: &mut Cursor<'_>, purposes: &[Purpose]) -> Result<RuleParts, TableError> {
    let owner = place(cursor, "rule's owner")?;
    let at = place(cursor, "rule's purpose")?;
    let purpose =
        *purposes.get(at).ok_or(TableError::Malformed { field: "rule's purpose", found: at as u64 })?;
    let source = place(cursor, "rule's source")?;
    let purpose_source = place(cursor, "purpose's source")?.checked_sub(1);
    let has_customers = match cursor.array("rule's customers")? {
        [0] => false,
        [1] => true,
        [byte] => return Err(TableError::Malformed { field: "rule's customers", found: byte.into() }),
    };
    let names = list(cursor, "names", |cursor| {
        let name = cursor.text("name")?;
        DomainName::parse(&name)
            .filter(|clean| clean.as_str() == name)
            .ok_or(TableError::Malformed { field: "name", found: name.len() as u64 })
    })?;
    Ok(RuleParts { owner, purpose, source, purpose_source, has_customers, names })
}

fn place(cursor: &mut Cursor<'_>, field: &'static str) -> Result<usize, TableError> {
    let found = cursor.varint(field)?;
    usize::try_from(found).map_err(|_| TableError::Malformed { field, found })
}
