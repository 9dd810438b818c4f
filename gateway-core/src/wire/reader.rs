//! A cursor that can run out but cannot run past.

use super::WireError;

/// Reads big-endian fields from the front of a slice.
///
/// It knows whether its bytes are all there were. A reader of a snapshot that ends has been cut short; a reader
/// of a part whose length was stated, and that is here whole, and that still ends early, has been lied to.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    is_whole: bool,
}

impl<'a> Reader<'a> {
    /// A reader of bytes that may have been cut short.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_whole: false }
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Is nothing left?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Is nothing left, and was nothing cut off?
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_whole && self.rest.is_empty()
    }

    fn ran_out(&self, field: &'static str, wanted: usize) -> WireError {
        if self.is_whole {
            WireError::Malformed { field, found: u64::try_from(wanted).unwrap_or(u64::MAX) }
        } else {
            WireError::Truncated { field, missing: wanted.saturating_sub(self.rest.len()) }
        }
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`WireError`] if there are fewer.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.ran_out(field, N));
        };
        self.rest = rest;
        Ok(*head)
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`WireError`] if there is none.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        self.array(field).map(u8::from_be_bytes)
    }

    /// The next two bytes as a number.
    ///
    /// # Errors
    /// [`WireError`] if there are fewer.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// The next three bytes as a number.
    ///
    /// # Errors
    /// [`WireError`] if there are fewer.
    pub fn u24(&mut self, field: &'static str) -> Result<u32, WireError> {
        let [a, b, c] = self.array(field)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// The next four bytes as a number.
    ///
    /// # Errors
    /// [`WireError`] if there are fewer.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`WireError`] if there are fewer.
    pub fn bytes(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], WireError> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.ran_out(field, len));
        };
        self.rest = rest;
        Ok(head)
    }

    /// A reader of the next `len` bytes, or of as many of them as the snapshot holds.
    ///
    /// # Errors
    /// [`WireError::Malformed`] if this reader's bytes are all there were and `len` goes past them.
    pub fn part(&mut self, field: &'static str, len: usize) -> Result<Self, WireError> {
        if let Some((head, rest)) = self.rest.split_at_checked(len) {
            self.rest = rest;
            return Ok(Self { rest: head, is_whole: true });
        }
        if self.is_whole {
            return Err(self.ran_out(field, len));
        }
        let cut = Self { rest: self.rest, is_whole: false };
        self.rest = &[];
        Ok(cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_out_and_not_past() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u16("a"), Ok(0x0102));
        assert_eq!(reader.u16("b"), Err(WireError::Truncated { field: "b", missing: 1 }));
        assert_eq!(reader.u8("c"), Ok(3));
        assert_eq!(
            reader.bytes("d", usize::MAX),
            Err(WireError::Truncated { field: "d", missing: usize::MAX })
        );
        assert!(reader.is_empty() && !reader.is_finished());
    }

    #[test]
    fn a_whole_part_that_ends_early_is_a_lie_and_a_cut_one_is_not() {
        let mut reader = Reader::new(&[1, 2, 3, 4]);
        let mut whole = reader.part("part", 2).expect("two of four");
        assert_eq!(whole.u24("x"), Err(WireError::Malformed { field: "x", found: 3 }));
        assert!(whole.part("inner", 3).is_err());
        let mut cut = reader.part("part", 9).expect("as many as there are");
        assert_eq!(cut.u32("y"), Err(WireError::Truncated { field: "y", missing: 2 }));
        assert!(reader.is_empty());
    }
}
