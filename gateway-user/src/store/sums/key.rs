//! By what rows are added up: numbers as they are stored, as many of them as a question needs.

use super::Sum;
use gateway_core::row::Marks;
use rusqlite::Row;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Instead of a peer's number, which are above it: whoever it was.
pub(super) const NO_PEER: i64 = 0;

/// The key of a row, by number; and the bucket, 0 where there are none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) device: i64,
    pub(super) peer: i64,
    pub(super) name: i64,
    pub(super) small: Small,
    pub(super) bucket: usize,
    /// Is it kept by the hour or day, and reaches out of its bucket?
    pub(super) is_coarse: bool,
}

/// The columns that have 8 bits, and the port, which has 16, in one number: it takes SQLite longer to hand over a column
/// than to read it. What a question does not ask for is 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Small(pub(super) i64);

impl Small {
    const OF_DEVICE: &str = "kind";

    fn of_destination() -> String {
        format!("kind | ((marks & {}) << 8)", Marks::WITHHELD.number())
    }

    /// Kind, application, and of the marks [`Marks::WITHHELD`].
    pub(super) fn of_usual() -> String {
        format!("{} | (application << 24)", Self::of_destination())
    }

    // In SQLite | and << bind alike.
    const OF_NAME: &str = "kind | (marks << 8) | (evidence << 16) | (application << 24)";
    const OF_ROW: &str = "kind | (marks << 8) | (evidence << 16) | (application << 24) | (protocol << 32) \
                          | (opened_by << 40) | (port << 48)";

    /// The same of a day that is kept, which is all of one kind.
    pub(super) const OF_KEPT: &str = "(marks << 8) | (application << 24)";

    pub(super) const fn without_kind(self) -> Self {
        Self(self.0 & !0xff)
    }

    const fn byte(self, place: usize) -> u8 {
        self.0.to_le_bytes()[place]
    }

    pub(super) const fn kind(self) -> u8 {
        self.byte(0)
    }

    pub(super) const fn marks(self) -> u8 {
        self.byte(1)
    }

    pub(super) const fn evidence(self) -> u8 {
        self.byte(2)
    }

    pub(super) const fn application(self) -> u8 {
        self.byte(3)
    }

    pub(super) const fn protocol(self) -> u8 {
        self.byte(4)
    }

    pub(super) const fn opened_by(self) -> u8 {
        self.byte(5)
    }

    pub(super) const fn port(self) -> u16 {
        u16::from_le_bytes([self.byte(6), self.byte(7)])
    }
}

/// How much of a row's key is told apart; each tells all that those before it tell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Detail {
    /// Device and kind.
    Device,
    /// Device, peer, kind, name, and whether that is kept.
    Destination,
    /// Evidence, marks and application too.
    Name,
    /// All of it.
    Row,
}

impl Detail {
    /// The columns it takes, behind the interval: the key as [`Key::read`] reads it, the volume, the conversations, and
    /// of whole rows the answer's age. Each one costs, on every row of a year.
    pub(super) fn columns(self) -> String {
        let (key, rest) = match self {
            Self::Device => (format!("device, {NO_PEER}, 0, {}", Small::OF_DEVICE), ""),
            Self::Destination => (format!("device, peer, name, {}", Small::of_destination()), ""),
            Self::Name => (format!("device, peer, name, {}", Small::OF_NAME), ""),
            Self::Row => (format!("device, peer, name, {}", Small::OF_ROW), ", answer_secs"),
        };
        format!("{key}, up_bytes, down_bytes, up_packets, down_packets, conversations{rest}")
    }
}

/// Sums by key. Nobody from outside chooses these numbers to collide, so a quick hash will do.
pub(super) type Sums = HashMap<Key, Sum, BuildHasherDefault<Quick>>;

/// Multiplies and turns; good for numbers that count up.
#[derive(Default)]
pub(super) struct Quick(u64);

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        // A product's high bits know all of its factors, its low bits do not, and the table goes by the low ones.
        self.0.rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number.cast_unsigned());
    }
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { device, peer, name, small, bucket, is_coarse } = self;
        state.write_u64(small.0.cast_unsigned());
        state.write_u64(device.cast_unsigned() << 40 ^ (*bucket as u64) << 1 ^ u64::from(*is_coarse));
        state.write_u64(name.cast_unsigned());
        state.write_u64(peer.cast_unsigned());
    }
}

impl Key {
    /// From columns 1 to 4 of a row; its bucket is still to be told.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (device, peer, name) = (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(Self { device, peer, name, small: Small(row.get(4)?), bucket: 0, is_coarse: false })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

    use super::*;

    #[test]
    fn small_columns_come_out_of_one_number_as_they_went_in() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        let columns = "255 AS kind, 254 AS marks, 253 AS evidence, 252 AS application, 251 AS protocol, 250 AS opened_by, \
                       65535 AS port";
        let read = |of: &str| {
            Small(
                db.query_row(&format!("SELECT {of} FROM (SELECT {columns})"), [], |row| row.get(0)).unwrap(),
            )
        };
        let all = read(Small::OF_ROW);
        let found =
            [all.kind(), all.marks(), all.evidence(), all.application(), all.protocol(), all.opened_by()];
        assert_eq!((found, all.port()), ([255, 254, 253, 252, 251, 250], 65_535));
        let name = read(Small::OF_NAME);
        assert_eq!([name.kind(), name.marks(), name.evidence(), name.application()], [255, 254, 253, 252]);
        assert_eq!((name.protocol(), name.opened_by(), name.port()), (0, 0, 0));
        let withheld = Marks::WITHHELD.number();
        let usual = read(&Small::of_usual());
        assert_eq!(
            [usual.kind(), usual.marks(), usual.evidence(), usual.application()],
            [255, withheld, 0, 252]
        );
        let destination = read(&Small::of_destination());
        assert_eq!([destination.kind(), destination.marks(), destination.application()], [255, withheld, 0]);
    }
}
