//! The body of a table of public suffixes, version 1. The envelope has its kind, date and checksum.
//!
//! ```text
//! source    text
//! rules     count, then for each name: one byte of bits, then the name as text
//!           bits: 1 name, 2 *.name, 4 !name, of the ICANN section; 8, 16, 32 the same of the private section
//! ```

use super::{ALL_BITS, SuffixTable, join};
use crate::enrich::cursor::{Cursor, put_text, put_varint};
use crate::enrich::envelope::{self, TableError, TableKind};
use crate::enrich::name_index::NameIndexBuilder;
use crate::units::DomainName;
use std::collections::BTreeMap;

/// The version this program writes, and the only one it reads.
pub const FORMAT_VERSION: u16 = 1;

impl SuffixTable {
    /// A table from a file's bytes.
    ///
    /// # Errors
    /// [`TableError`]: any prefix, any changed bit and any other bytes are refused.
    pub fn open(packed: &[u8]) -> Result<Self, TableError> {
        let envelope = envelope::open(packed, TableKind::Suffixes)?;
        envelope.check_version(FORMAT_VERSION)?;
        let mut cursor = Cursor::new(&envelope.body);
        let source = cursor.text("source")?;
        let count = cursor.count("rules")?;
        let mut names = NameIndexBuilder::<1>::default();
        for _ in 0..count {
            let [bits] = cursor.array("rule")?;
            if bits == 0 || bits & !ALL_BITS != 0 {
                return Err(TableError::Malformed { field: "rule", found: bits.into() });
            }
            let name = cursor.text("suffix")?;
            let malformed = TableError::Malformed { field: "suffix", found: name.len() as u64 };
            let is_clean = DomainName::parse(&name).is_some_and(|clean| clean.as_str() == name);
            names.push(&name, [bits]).filter(|()| is_clean).ok_or(malformed)?;
        }
        cursor.end()?;
        Ok(Self { rules: names.finish(join), source, as_of: envelope.date })
    }

    /// The table as bytes, not compressed. The same rules always give the same bytes, in whatever order they came.
    ///
    /// # Errors
    /// [`TableError::TooLarge`]
    pub fn seal(&self) -> Result<Vec<u8>, TableError> {
        let mut body = Vec::new();
        put_text(&mut body, &self.source);
        // By their labels from the last to the first: neighbours have much in common, and compress well.
        let sorted: BTreeMap<Vec<&str>, (&str, u8)> =
            self.rules.iter().map(|(name, [bits])| (name.rsplit('.').collect(), (name, bits))).collect();
        put_varint(&mut body, sorted.len() as u64);
        for (name, bits) in sorted.into_values() {
            body.push(bits);
            put_text(&mut body, name);
        }
        envelope::seal(TableKind::Suffixes, FORMAT_VERSION, self.as_of, &body)
    }
}
