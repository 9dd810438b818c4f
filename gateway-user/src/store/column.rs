//! Between the core's types and SQLite's five. What does not fit is an error, never wrapped or cut.

use anyhow::Context;
use gateway_core::application::Application;
use gateway_core::row::{EpochId, Evidence, Marks, NetworkMarks, OpenedBy, RowKind};
use gateway_core::units::{Mac, Volume};
use rusqlite::types::{FromSqlError, Type};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A count as SQLite's signed integer.
pub(super) fn count(value: u64, what: &'static str) -> anyhow::Result<i64> {
    i64::try_from(value).ok().with_context(|| format!("store {what}: {value} is beyond 2^63 - 1"))
}

/// The four counts of a volume, in the order of the columns.
pub(super) fn counts(volume: Volume) -> anyhow::Result<[i64; 4]> {
    let Volume { up_bytes, down_bytes, up_packets, down_packets } = volume;
    Ok([
        count(up_bytes, "bytes up")?,
        count(down_bytes, "bytes down")?,
        count(up_packets, "packets up")?,
        count(down_packets, "packets down")?,
    ])
}

/// Kernel tables are named by 64 random bits; the sign means nothing.
pub(super) fn table_id(epoch: &EpochId) -> i64 {
    epoch.table_id.cast_signed()
}

/// An address in network byte order, on the stack.
pub(super) enum AddrBytes {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl AddrBytes {
    pub(super) fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => Self::V6(v6.octets()),
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
        }
    }
}

/// The value in the file is none that this program writes.
pub(super) fn foreign(what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(FromSqlError::Other(what.into())))
}

pub(super) fn addr_of(bytes: &[u8]) -> rusqlite::Result<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(Ipv4Addr::from(v4).into());
    }
    let v6 = <[u8; 16]>::try_from(bytes).map_err(|_| foreign("an address of neither 4 nor 16 bytes"))?;
    Ok(Ipv6Addr::from(v6).into())
}

/// The address that a device asked from; none over IPv6.
pub(super) fn ipv4_of(bytes: &[u8]) -> rusqlite::Result<Option<Ipv4Addr>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let octets = <[u8; 4]>::try_from(bytes).map_err(|_| foreign("an IPv4 address that has not 4 bytes"))?;
    Ok(Some(Ipv4Addr::from(octets)))
}

pub(super) fn mac_of(bytes: &[u8]) -> rusqlite::Result<Mac> {
    bytes.try_into().map(Mac).map_err(|_| foreign("a MAC address that has not 6 bytes"))
}

pub(super) fn kind_of(number: u8) -> rusqlite::Result<RowKind> {
    [RowKind::Flow, RowKind::LaterFragments, RowKind::Coarse, RowKind::Local]
        .into_iter()
        .find(|kind| *kind as u8 == number)
        .ok_or_else(|| foreign("a kind of row that this program does not know"))
}

pub(super) fn opened_by_of(number: u8) -> rusqlite::Result<OpenedBy> {
    [OpenedBy::Unknown, OpenedBy::Device, OpenedBy::Peer]
        .into_iter()
        .find(|by| *by as u8 == number)
        .ok_or_else(|| foreign("an opener that this program does not know"))
}

pub(super) fn evidence_of(number: u8) -> rusqlite::Result<Evidence> {
    Evidence::from_number(number).ok_or_else(|| foreign("an evidence that this program does not know"))
}

pub(super) fn marks_of(number: u8) -> rusqlite::Result<Marks> {
    Marks::from_number(number).ok_or_else(|| foreign("marks that this program does not know"))
}

pub(super) fn network_marks_of(number: u8) -> rusqlite::Result<NetworkMarks> {
    NetworkMarks::from_number(number)
        .ok_or_else(|| foreign("marks of a network that this program does not know"))
}

pub(super) fn application_of(number: u8) -> rusqlite::Result<Application> {
    Application::from_number(number).ok_or_else(|| foreign("a protocol that this program does not know"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_fits_or_is_refused() {
        assert_eq!(count(i64::MAX as u64, "bytes").ok(), Some(i64::MAX));
        let error = count(i64::MAX as u64 + 1, "bytes up").expect_err("one too many");
        assert_eq!(error.to_string(), "store bytes up: 9223372036854775808 is beyond 2^63 - 1");
    }

    #[test]
    fn addresses_survive_bytes() {
        for text in ["10.0.0.1", "::", "::ffff:1.2.3.4", "2001:db8::1"] {
            let addr: IpAddr = text.parse().expect("an address");
            assert_eq!(addr_of(AddrBytes::of(addr).as_slice()), Ok(addr));
        }
        assert!(addr_of(&[1, 2, 3]).is_err());
    }

    #[test]
    fn every_number_is_its_own() {
        assert!((0..4).all(|n| kind_of(n).is_ok_and(|k| k as u8 == n)) && kind_of(4).is_err());
        assert!((0..3).all(|n| opened_by_of(n).is_ok_and(|o| o as u8 == n)) && opened_by_of(3).is_err());
    }
}
