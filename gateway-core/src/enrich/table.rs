//! The network table: address → autonomous system and country, in the project's own compact form.
//!
//! Two questions, two sets of ranges: who announces an address and where it is are answered by different
//! sources and change at different bounds. IPv4 is kept to the address, IPv6 to the /64. An address that no
//! range covers is unknown and stays so. Imports rows and units; reads no file, `format` says what the bytes mean.

mod format;
mod ranges;
mod systems;

pub use format::FORMAT_VERSION;
pub use ranges::RangeKey;

use super::Networks;
use super::envelope::{TableDate, TableError};
use crate::row::{Network, NetworkMarks};
use crate::units::Country;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use ranges::Ranges;
use systems::Systems;

/// An autonomous system, as a table is told of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SystemEntry {
    /// Autonomous system number (RFC 6793).
    pub number: u32,
    /// Who runs it, as the source spells it; empty where the source names none.
    pub organisation: String,
    /// The country in which it is registered.
    pub registered: Option<Country>,
    /// What must be said of all its addresses.
    pub marks: NetworkMarks,
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
    /// Every system that a step points to, ascending by number.
    pub systems: Vec<SystemEntry>,
    /// Every country that a step points to or a system is registered in: at most 255 (ISO 3166-1 has 249).
    pub countries: Vec<Country>,
    /// Systems by IPv4 address.
    pub systems_v4: Vec<Step<u32>>,
    /// Systems by the upper half of the IPv6 address.
    pub systems_v6: Vec<Step<u64>>,
    /// Countries by IPv4 address.
    pub countries_v4: Vec<Step<u32>>,
    /// Countries by the upper half of the IPv6 address.
    pub countries_v6: Vec<Step<u64>>,
    /// First and last address of what is announced in many places, whatever the rest of its system is; ascending.
    pub anycast_v4: Vec<(u32, u32)>,
    /// The same by the upper half of the IPv6 address.
    pub anycast_v6: Vec<(u64, u64)>,
}

/// A table ready to be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkTable {
    date: TableDate,
    source: String,
    as_of: String,
    countries: Vec<Country>,
    systems: Systems,
    anycast_v4: Vec<(u32, u32)>,
    anycast_v6: Vec<(u64, u64)>,
    systems_v4: Ranges<u32>,
    systems_v6: Ranges<u64>,
    countries_v4: Ranges<u32>,
    countries_v6: Ranges<u64>,
    /// Most of the table: the others point into it.
    body: Vec<u8>,
}

/// An autonomous system of a table.
#[derive(Clone, Copy)]
pub struct System<'a> {
    table: &'a NetworkTable,
    position: usize,
    number: u32,
}

/// What a table knows of one address, without copying it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// Who announces the address.
    pub system: Option<System<'a>>,
    /// The country the address is in.
    pub country: Option<Country>,
    /// Is this address announced in many places, whatever the rest of its system is?
    pub is_anycast: bool,
}

impl Found<'_> {
    /// What must be said of the address, be it of the whole system or of this address.
    #[must_use]
    pub fn marks(&self) -> NetworkMarks {
        let of_addr = if self.is_anycast { NetworkMarks::ANYCAST } else { NetworkMarks::NONE };
        self.system.map_or(of_addr, |system| system.marks().with(of_addr))
    }
}

impl<'a> System<'a> {
    /// Autonomous system number (RFC 6793).
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }

    /// Who runs it, as the source spells it; `None` where the source names none.
    #[must_use]
    pub fn organisation(self) -> Option<&'a str> {
        self.table.systems.organisation(&self.table.body, self.position)
    }

    /// The country in which it is registered.
    #[must_use]
    pub fn registered(self) -> Option<Country> {
        let place = self.table.systems.registered(&self.table.body, self.position)?;
        self.table.countries.get(place).copied()
    }

    /// What must be said of all its addresses.
    #[must_use]
    pub fn marks(self) -> NetworkMarks {
        self.table.systems.marks(&self.table.body, self.position)
    }
}

impl fmt::Debug for System<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AS{}", self.number)
    }
}

impl NetworkTable {
    /// A table from its parts. Neighbouring ranges of one value become one.
    ///
    /// # Errors
    /// [`TableError::Malformed`] where something does not ascend, or points past its list.
    pub fn new(parts: &TableParts) -> Result<Self, TableError> {
        format::decode_body(parts.date, format::encode_body(parts)?)
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
        self.body.capacity()
            + self.systems.memory_bytes()
            + self.systems_v4.memory_bytes()
            + self.systems_v6.memory_bytes()
            + self.countries_v4.memory_bytes()
            + self.countries_v6.memory_bytes()
    }

    /// The system of a number.
    #[must_use]
    pub fn system(&self, number: u32) -> Option<System<'_>> {
        Some(System { table: self, position: self.systems.position_of(number)?, number })
    }

    /// What is known of an address.
    ///
    /// An IPv4 address inside IPv6, be it mapped (RFC 4291 §2.5.5.2) or behind the well-known NAT64 prefix
    /// (RFC 6052 §2.1), is looked up as IPv4.
    #[must_use]
    pub fn find(&self, addr: IpAddr) -> Found<'_> {
        let body = &self.body;
        let (system, country, is_anycast) = match reduced(addr) {
            Key::V4(key) => (
                self.systems_v4.get(body, key),
                self.countries_v4.get(body, key),
                is_in(&self.anycast_v4, key),
            ),
            Key::V6(key) => (
                self.systems_v6.get(body, key),
                self.countries_v6.get(body, key),
                is_in(&self.anycast_v6, key),
            ),
        };
        let system = system.and_then(|place| usize::try_from(place).ok()).and_then(|position| {
            Some(System { table: self, position, number: self.systems.number(position)? })
        });
        let country = country.and_then(|place| usize::try_from(place).ok());
        Found { system, country: country.and_then(|place| self.countries.get(place).copied()), is_anycast }
    }
}

impl Networks for NetworkTable {
    fn network_of(&self, addr: IpAddr) -> Option<Network> {
        let found = self.find(addr);
        let Found { system, country, is_anycast: _ } = found;
        let network = Network {
            asn: system.map(System::number),
            organisation: system.and_then(System::organisation).map(str::to_owned),
            country,
            registered: system.and_then(System::registered),
            marks: found.marks(),
        };
        (network != Network::default()).then_some(network)
    }

    fn as_of(&self) -> &str {
        &self.as_of
    }
}

fn is_in<K: RangeKey>(spans: &[(K, K)], key: K) -> bool {
    let after = spans.partition_point(|&(first, _)| first <= key);
    after.checked_sub(1).and_then(|at| spans.get(at)).is_some_and(|&(_, last)| key <= last)
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

#[cfg(test)]
mod tests;
