//! Who made a device's network interface, by the prefix of its MAC address: a table of what the IEEE has assigned.
//!
//! The IEEE assigns blocks of 2^24, 2^20 and 2^12 addresses, told apart by their first 24, 28 and 36 bits (MA-L, MA-M
//! and MA-S of the IEEE Registration Authority). The longest prefix that the table has counts. An address that the
//! device made up has no maker, whatever its first bytes are.

mod format;
mod level;
mod names;

pub use format::FORMAT_VERSION;

use super::envelope::{TableDate, TableError};
use crate::units::Mac;
use level::Level;
use names::Names;

/// What the table says of a MAC address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vendor<'a> {
    /// The device made the address up (locally administered, IEEE 802-2014 section 8.4): nobody's prefix.
    Randomised,
    /// Who made the interface, as the registry has it, without the legal form.
    Known(&'a str),
    /// The table does not have it.
    Unknown,
}

impl<'a> Vendor<'a> {
    /// What there is to say without a table.
    #[must_use]
    pub fn without_table(mac: Mac) -> Self {
        let Mac([first, ..]) = mac;
        if first & 0x03 == 0x02 { Self::Randomised } else { Self::Unknown }
    }

    /// The maker, if one is known.
    #[must_use]
    pub fn name(self) -> Option<&'a str> {
        match self {
            Self::Known(name) => Some(name),
            Self::Randomised | Self::Unknown => None,
        }
    }
}

/// How long a prefix is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PrefixLen {
    /// 24 bits, a block of 16 million addresses (MA-L).
    Large,
    /// 28 bits, a block of a million (MA-M).
    Medium,
    /// 36 bits, a block of 4096 (MA-S).
    Small,
}

impl PrefixLen {
    /// Its bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Large => 24,
            Self::Medium => 28,
            Self::Small => 36,
        }
    }
}

/// One block of the registry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Assignment {
    /// How long its prefix is.
    pub len: PrefixLen,
    /// The prefix: its bits as a number.
    pub prefix: u64,
    /// Whose it is. `None` takes a part out of a larger block whose owner it does not belong to.
    pub vendor: Option<String>,
}

/// MAC prefixes and their makers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VendorTable {
    source: String,
    date: TableDate,
    names: Names,
    small: Level<u32>,
    medium: Level<u16>,
    large: Level<u16>,
    /// Is a block of 24 bits here that has a part of its own? The registry has none: a block that is given away in
    /// parts is nobody's as a whole. Then the first search answers for most addresses.
    has_parts: bool,
}

impl VendorTable {
    /// A table of these assignments, in any order.
    ///
    /// # Errors
    /// [`TableError::Malformed`] for a prefix that has more bits than it may, or is there twice, and for a name that
    /// is no line of printable text up to 255 bytes; [`TableError::TooLarge`] for more than 65 535 prefixes of one
    /// length or 65 534 names.
    pub fn new(source: &str, date: TableDate, assignments: Vec<Assignment>) -> Result<Self, TableError> {
        format::assemble(source, date, assignments)
    }

    /// Who made the interface with this address. Takes no memory, and less than 100 ns.
    #[must_use]
    pub fn vendor_of(&self, mac: Mac) -> Vendor<'_> {
        let Mac([first, b, c, d, e, f]) = mac;
        // Made up; or of a group, which is no interface's.
        if first & 0x03 != 0 {
            return Vendor::without_table(mac);
        }
        let bits = u64::from_be_bytes([0, 0, first, b, c, d, e, f]);
        let whole = self.large.get(bits);
        let found = if whole.is_some() && !self.has_parts {
            whole
        } else {
            self.small.get(bits).or_else(|| self.medium.get(bits)).or(whole)
        };
        // A prefix that is there and nobody's hides the shorter ones.
        found
            .and_then(|value| self.names.get(value.checked_sub(1)?.into()))
            .map_or(Vendor::Unknown, Vendor::Known)
    }

    /// Where the data is from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The day the data is of.
    #[must_use]
    pub fn as_of(&self) -> TableDate {
        self.date
    }

    /// How many prefixes there are of 24, 28 and 36 bits.
    #[must_use]
    pub fn prefix_counts(&self) -> [usize; 3] {
        [self.large.len(), self.medium.len(), self.small.len()]
    }

    /// How many names there are.
    #[must_use]
    pub fn name_count(&self) -> usize {
        self.names.len()
    }

    /// Bytes of memory it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.names.memory_bytes()
            + self.small.memory_bytes()
            + self.medium.memory_bytes()
            + self.large.memory_bytes()
    }
}

#[cfg(test)]
mod tests;
