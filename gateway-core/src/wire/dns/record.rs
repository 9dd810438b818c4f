//! Resource records (RFC 1035 §3.2.1, RFC 3596, RFC 9460).

use super::name;
use super::service::{self, Service};
use crate::units::DomainName;
use crate::wire::{Reader, WireError};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The Internet's class (RFC 1035 §3.2.4).
pub(super) const CLASS_IN: u16 = 1;
/// "Forget what you knew": the highest bit of a record's class in multicast DNS (RFC 6762 §10.2).
const CACHE_FLUSH: u16 = 0x8000;

/// The type of a record, or of what is asked for (RFC 1035 §3.2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RecordType(pub u16);

impl RecordType {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// An alias.
    pub const CNAME: Self = Self(5);
    /// An IPv6 address (RFC 3596).
    pub const AAAA: Self = Self(28);
    /// How to reach a service (RFC 9460).
    pub const SVCB: Self = Self(64);
    /// How to reach a web site (RFC 9460 §9).
    pub const HTTPS: Self = Self(65);
    /// All that there is (RFC 8482).
    pub const ANY: Self = Self(255);

    /// May an answer to a question of this type bring addresses?
    #[must_use]
    pub const fn may_bring_addresses(self) -> bool {
        matches!(self, Self::A | Self::AAAA | Self::SVCB | Self::HTTPS | Self::ANY)
    }
}

/// One resource record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Whose record; `None` if that is not a name we keep.
    pub owner: Option<DomainName>,
    /// How long it may be kept, in seconds.
    pub ttl_secs: u32,
    /// What it says.
    pub data: RecordData,
}

/// What a record says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordData {
    /// A or AAAA: an address.
    Addr(IpAddr),
    /// CNAME: the owner is an alias of this name; `None` if that is not a name we keep.
    Cname(Option<DomainName>),
    /// SVCB or HTTPS.
    Service(Service),
    /// Any other type, or a class other than IN.
    Other(RecordType),
}

/// Reads a record at the reader's place. Multicast DNS has a flag in the class.
pub(super) fn read<'a>(
    message: &'a [u8],
    reader: &mut Reader<'a>,
    is_multicast: bool,
) -> Result<Record, WireError> {
    let owner = name::read(message, reader)?;
    let kind = RecordType(reader.u16("dns.type")?);
    let class = reader.u16("dns.class")?;
    let class = if is_multicast { class & !CACHE_FLUSH } else { class };
    let ttl = reader.u32("dns.ttl")?;
    let len = usize::from(reader.u16("dns.rdlength")?);
    let at = message.len().saturating_sub(reader.rest().len());
    let data = reader.bytes("dns.rdata", len)?;
    // Up to the end of this record's data, so that a name cannot run on into the next record.
    let upto = message.get(..at.saturating_add(len)).unwrap_or(message);
    let data = match (class, kind) {
        (CLASS_IN, RecordType::A) => RecordData::Addr(IpAddr::V4(Ipv4Addr::from(fixed::<4>(data)?))),
        (CLASS_IN, RecordType::AAAA) => RecordData::Addr(IpAddr::V6(Ipv6Addr::from(fixed::<16>(data)?))),
        (CLASS_IN, RecordType::CNAME) => RecordData::Cname(name::read(upto, &mut Reader::new(data))?),
        (CLASS_IN, RecordType::SVCB | RecordType::HTTPS) => RecordData::Service(service::read(upto, data)?),
        _ => RecordData::Other(kind),
    };
    // "a TTL value with the most significant bit set [is treated] as if the value were zero" (RFC 2181 §8).
    let ttl_secs = if ttl > i32::MAX.unsigned_abs() { 0 } else { ttl };
    Ok(Record { owner, ttl_secs, data })
}

fn fixed<const N: usize>(data: &[u8]) -> Result<[u8; N], WireError> {
    data.try_into().map_err(|_| WireError::Malformed {
        field: "dns.rdlength",
        found: u64::try_from(data.len()).unwrap_or(u64::MAX),
    })
}
