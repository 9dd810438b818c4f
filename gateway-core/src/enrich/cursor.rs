//! Reading and writing the bodies of tables: numbers as varints, texts behind their length.
//!
//! Varints are LEB128, at most 10 bytes. Imports nothing but the errors.

use super::envelope::TableError;

/// Reads forward; can run out, cannot run past.
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, len: bytes.len() }
    }

    /// How much has been read.
    pub(crate) fn position(&self) -> usize {
        self.len - self.rest.len()
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], TableError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(TableError::Truncated { field })?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn take(&mut self, len: u64, field: &'static str) -> Result<&'a [u8], TableError> {
        let (head, rest) = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len))
            .ok_or(TableError::Truncated { field })?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn varint(&mut self, field: &'static str) -> Result<u64, TableError> {
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

    pub(crate) fn count(&mut self, field: &'static str) -> Result<usize, TableError> {
        let count = self.varint(field)?;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= self.rest.len())
            .ok_or(TableError::Truncated { field })
    }

    pub(crate) fn text(&mut self, field: &'static str) -> Result<String, TableError> {
        let len = self.varint(field)?;
        let bytes = self.take(len, field)?;
        let text = core::str::from_utf8(bytes).map_err(|_| TableError::Malformed { field, found: len })?;
        Ok(text.to_owned())
    }

    pub(crate) fn end(&self) -> Result<(), TableError> {
        match self.rest.first() {
            None => Ok(()),
            Some(&byte) => Err(TableError::Malformed { field: "end", found: byte.into() }),
        }
    }
}

/// Writes a text behind its length.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Writes a number as a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
