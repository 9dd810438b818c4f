//! Resource records (RFC 1035 §3.2.1, RFC 3596).

use super::name;
use crate::units::DomainName;
use crate::wire::{Reader, WireError};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The Internet's class (RFC 1035 §3.2.4).
const CLASS_IN: u16 = 1;
const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_AAAA: u16 = 28;

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
    /// Any other type, by number, or a class other than IN.
    Other(u16),
}

/// Reads a record at the reader's place.
pub(super) fn read<'a>(message: &'a [u8], reader: &mut Reader<'a>) -> Result<Record, WireError> {
    let owner = name::read(message, reader)?;
    let kind = reader.u16("dns.type")?;
    let class = reader.u16("dns.class")?;
    let ttl = reader.u32("dns.ttl")?;
    let len = usize::from(reader.u16("dns.rdlength")?);
    let at = message.len().saturating_sub(reader.rest().len());
    let data = reader.bytes("dns.rdata", len)?;
    let data = match (class, kind) {
        (CLASS_IN, TYPE_A) => RecordData::Addr(IpAddr::V4(Ipv4Addr::from(fixed::<4>(data)?))),
        (CLASS_IN, TYPE_AAAA) => RecordData::Addr(IpAddr::V6(Ipv6Addr::from(fixed::<16>(data)?))),
        (CLASS_IN, TYPE_CNAME) => {
            // Up to the end of this record's data, so that a name cannot run on into the next record.
            let upto = message.get(..at.saturating_add(len)).unwrap_or(message);
            RecordData::Cname(name::read(upto, &mut Reader::new(data))?)
        }
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
