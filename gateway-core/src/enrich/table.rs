//! The network table: address → autonomous system and country, in the project's own compact form.
//!
//! Two questions, two sets of ranges: who announces an address and where it is are answered by different
//! sources and change at different bounds. IPv4 is kept to the address, IPv6 to the /64. An address that no
//! range covers is unknown and stays so. Imports rows and units; reads no file, `format` says what the bytes mean.

mod format;
mod ranges;

pub use format::FORMAT_VERSION;
pub use ranges::{RangeKey, RangeMap};

use super::Networks;
use super::envelope::{TableDate, TableError};
use crate::row::{Network, NetworkMarks};
use crate::units::Country;
use core::net::{IpAddr, Ipv6Addr};

/// An autonomous system: its number and who runs it, as the source spells it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AsEntry {
    /// Autonomous system number (RFC 6793).
    pub number: u32,
    /// The organisation; empty where the source names none.
    pub organisation: String,
}

/// A bound: from `start` to the next bound, the value is this index into a list, or unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step<K> {
    /// First key of the range.
    pub start: K,
    /// Index into the list of systems or of countries; `None` = unknown.
    pub value: Option<u32>,
}

/// What a table is made from. Steps ascend strictly by `start`; what is before the first is unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableParts {
    /// The day the addresses' data is of; where there are two, the older.
    pub date: TableDate,
    /// Where the data is from and under which licence, for print.
    pub source: String,
    /// The date or dates of the data, for print.
    pub as_of: String,
    /// Every system that a step points to.
    pub systems: Vec<AsEntry>,
    /// Every country that a step points to: at most 255 (ISO 3166-1 has 249).
    pub countries: Vec<Country>,
    /// Systems by IPv4 address.
    pub systems_v4: Vec<Step<u32>>,
    /// Systems by the upper half of the IPv6 address.
    pub systems_v6: Vec<Step<u64>>,
    /// Countries by IPv4 address.
    pub countries_v4: Vec<Step<u32>>,
    /// Countries by the upper half of the IPv6 address.
    pub countries_v6: Vec<Step<u64>>,
}

/// A table ready to be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkTable {
    date: TableDate,
    source: String,
    as_of: String,
    systems: Vec<AsEntry>,
    countries: Vec<Country>,
    systems_v4: RangeMap<u32, u32>,
    systems_v6: RangeMap<u64, u32>,
    countries_v4: RangeMap<u32, u8>,
    countries_v6: RangeMap<u64, u8>,
}

/// What a table knows of one address, without copying it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Found<'a> {
    /// Who announces the address.
    pub system: Option<&'a AsEntry>,
    /// The country the address is in.
    pub country: Option<Country>,
}

impl NetworkTable {
    /// A table from its parts. Neighbouring ranges of one value become one.
    ///
    /// # Errors
    /// [`TableError::Malformed`] where steps do not ascend or point past their list.
    pub fn new(parts: TableParts) -> Result<Self, TableError> {
        let TableParts {
            date,
            source,
            as_of,
            systems,
            countries,
            systems_v4,
            systems_v6,
            countries_v4,
            countries_v6,
        } = parts;
        Ok(Self {
            systems_v4: ranges_of(&systems_v4, systems.len(), "systems_v4")?,
            systems_v6: ranges_of(&systems_v6, systems.len(), "systems_v6")?,
            countries_v4: ranges_of(&countries_v4, countries.len(), "countries_v4")?,
            countries_v6: ranges_of(&countries_v6, countries.len(), "countries_v6")?,
            date,
            source,
            as_of,
            systems,
            countries,
        })
    }

    /// The day its data is of.
    #[must_use]
    pub fn date(&self) -> TableDate {
        self.date
    }

    /// Where the data is from and under which licence.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How many ranges it has: systems then countries, IPv4 then IPv6.
    #[must_use]
    pub fn range_counts(&self) -> [usize; 4] {
        [self.systems_v4.len(), self.systems_v6.len(), self.countries_v4.len(), self.countries_v6.len()]
    }

    /// How many autonomous systems it can name.
    #[must_use]
    pub fn system_count(&self) -> usize {
        self.systems.len()
    }

    /// Roughly how many bytes of memory it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let names: usize =
            self.systems.iter().map(|s| s.organisation.capacity() + size_of::<AsEntry>()).sum();
        names
            + self.systems_v4.memory_bytes()
            + self.systems_v6.memory_bytes()
            + self.countries_v4.memory_bytes()
            + self.countries_v6.memory_bytes()
    }

    /// What is known of an address.
    ///
    /// An IPv4 address inside IPv6, be it mapped (RFC 4291 §2.5.5.2) or behind the well-known NAT64 prefix
    /// (RFC 6052 §2.1), is looked up as IPv4.
    #[must_use]
    pub fn find(&self, addr: IpAddr) -> Found<'_> {
        let (system, country) = match reduced(addr) {
            Key::V4(key) => (self.systems_v4.get(key), self.countries_v4.get(key)),
            Key::V6(key) => (self.systems_v6.get(key), self.countries_v6.get(key)),
        };
        Found {
            system: system.and_then(|v| self.systems.get(index(v))),
            country: country.and_then(|v| self.countries.get(index(v.into())).copied()),
        }
    }
}

impl Networks for NetworkTable {
    fn network_of(&self, addr: IpAddr) -> Option<Network> {
        let Found { system, country } = self.find(addr);
        (system.is_some() || country.is_some()).then(|| Network {
            asn: system.map(|s| s.number),
            organisation: system.filter(|s| !s.organisation.is_empty()).map(|s| s.organisation.clone()),
            country,
            registered: None,
            marks: NetworkMarks::NONE,
        })
    }

    fn as_of(&self) -> &str {
        &self.as_of
    }
}

enum Key {
    V4(u32),
    V6(u64),
}

fn reduced(addr: IpAddr) -> Key {
    match addr {
        IpAddr::V4(v4) => Key::V4(v4.to_bits()),
        IpAddr::V6(v6) => ipv4_inside(v6).map_or(Key::V6((v6.to_bits() >> 64) as u64), Key::V4),
    }
}

fn ipv4_inside(addr: Ipv6Addr) -> Option<u32> {
    const MAPPED: u128 = 0xffff;
    const NAT64: u128 = 0x0064_ff9b_0000_0000_0000_0000;
    let bits = addr.to_bits();
    matches!(bits >> 32, MAPPED | NAT64).then_some(bits as u32)
}

/// A stored value as a place in its list: 0 stands for unknown and is never asked for.
fn index(value: u32) -> usize {
    usize::try_from(value).map_or(usize::MAX, |v| v.wrapping_sub(1))
}

fn ranges_of<K: RangeKey, V: Copy + Default + Eq + TryFrom<u32>>(
    steps: &[Step<K>],
    list_len: usize,
    field: &'static str,
) -> Result<RangeMap<K, V>, TableError> {
    let mut ranges = RangeMap::builder(steps.len());
    for &Step { start, value } in steps {
        let stored = match value {
            None => V::default(),
            Some(i) if usize::try_from(i).is_ok_and(|i| i < list_len) => i
                .checked_add(1)
                .and_then(|v| V::try_from(v).ok())
                .ok_or(TableError::Malformed { field, found: i.into() })?,
            Some(i) => return Err(TableError::Malformed { field, found: i.into() }),
        };
        ranges.push(start, stored).ok_or(TableError::Malformed { field, found: start.into() })?;
    }
    Ok(ranges.finish())
}

#[cfg(test)]
mod tests;
