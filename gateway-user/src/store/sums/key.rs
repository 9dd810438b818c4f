//! By what rows are added up: numbers as they are stored, as many of them as a question needs.

use super::Sum;
use gateway_core::row::Marks;
use rusqlite::Row;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The key of a row, by number: device, peer, port, protocol, kind, opened_by, name, evidence, marks, application; and
/// the bucket, 0 where there are none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) device: i64,
    pub(super) peer: i64,
    pub(super) name: i64,
    pub(super) port: u16,
    pub(super) protocol: u8,
    pub(super) kind: u8,
    pub(super) opened_by: u8,
    pub(super) evidence: u8,
    pub(super) marks: u8,
    pub(super) application: u8,
    pub(super) bucket: usize,
    /// Is it kept by the hour or day, and reaches out of its bucket?
    pub(super) is_coarse: bool,
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
    /// The columns it takes. Each one costs, on every row of a year.
    pub(super) const fn columns(self) -> &'static str {
        match self {
            Self::Device | Self::Destination => COLUMNS[0],
            Self::Name => COLUMNS[1],
            Self::Row => COLUMNS[2],
        }
    }
}

/// Each begins with the one before.
const COLUMNS: [&str; 3] = [
    "device, peer, kind, name, marks, up_bytes, down_bytes, up_packets, down_packets, conversations, interval",
    "device, peer, kind, name, marks, up_bytes, down_bytes, up_packets, down_packets, conversations, interval, \
     evidence, application",
    "device, peer, kind, name, marks, up_bytes, down_bytes, up_packets, down_packets, conversations, interval, \
     evidence, application, port, protocol, opened_by, answer_secs",
];

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
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            device,
            peer,
            name,
            port,
            protocol,
            kind,
            opened_by,
            evidence,
            marks,
            application,
            bucket,
            is_coarse,
        } = self;
        let evidence = *evidence | u8::from(*is_coarse) << 7;
        let small = u64::from_le_bytes([*protocol, *kind, *opened_by, evidence, *marks, *application, 0, 0]);
        state.write_u64(small | u64::from(*port) << 48);
        state.write_u64(device.cast_unsigned() << 40 ^ *bucket as u64);
        state.write_u64(name.cast_unsigned());
        state.write_u64(peer.cast_unsigned());
    }
}

pub(super) fn read_key(row: &Row<'_>, detail: Detail) -> rusqlite::Result<Key> {
    let marks: u8 = row.get(4)?;
    let mut key = Key {
        device: row.get(0)?,
        peer: row.get(1)?,
        kind: row.get(2)?,
        name: row.get(3)?,
        marks: marks & Marks::WITHHELD.number(),
        evidence: 0,
        application: 0,
        port: 0,
        protocol: 0,
        opened_by: 0,
        bucket: 0,
        is_coarse: false,
    };
    if detail == Detail::Device {
        key = Key { peer: 0, name: 0, marks: 0, ..key };
    }
    if detail >= Detail::Name {
        key = Key { marks, evidence: row.get(11)?, application: row.get(12)?, ..key };
    }
    if detail == Detail::Row {
        key = Key { port: row.get(13)?, protocol: row.get(14)?, opened_by: row.get(15)?, ..key };
    }
    Ok(key)
}
