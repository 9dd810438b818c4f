//! Multicast DNS and LLMNR: what a device calls itself. A device is believed for itself only: a response counts if it
//! gives a name the very address that it is sent from, so that whoever passes on what others said names nobody.

use super::{Stop, is_group};
use crate::fact::Fact;
use crate::row::DeviceFact;
use crate::units::{DomainName, Mac};
use crate::wire::{dns, text};
use core::net::IpAddr;
use gateway_common::{FlowKey, SampleHeader, protocol};

/// Port of multicast DNS, which every response comes from (RFC 6762 §6).
const MDNS_PORT: u16 = 5353;
/// Port of LLMNR, which every response comes from (RFC 4795 §2.1).
const LLMNR_PORT: u16 = 5355;

pub(super) fn datagram<'a>(
    header: &SampleHeader,
    is_up: bool,
    payload: &[u8],
) -> Result<Option<Fact<'a>>, Stop> {
    let key = &header.key;
    if !is_up || key.protocol != protocol::UDP || is_group(key) {
        return Ok(None);
    }
    let (message, hostname_source) = match key.device_port() {
        MDNS_PORT => (dns::read_multicast(payload)?, "mdns"),
        LLMNR_PORT => (dns::read(payload)?, "llmnr"),
        _ => return Ok(None),
    };
    if !message.is_response || message.opcode != 0 || message.rcode != 0 {
        return Ok(None);
    }
    let own = message.answers.iter().find_map(|record| {
        let dns::RecordData::Addr(addr) = record.data else { return None };
        let label = host_label(record.owner.as_ref()?, key.device_port())?;
        is_own(key, addr).then_some((label, addr))
    });
    let Some((label, addr)) = own else {
        return message.ended_early.map_or(Ok(None), |error| Err(error.into()));
    };
    let hostname = text::printable(label.as_bytes());
    Ok(Some(Fact::DeviceSeen(DeviceFact {
        device: Mac(key.device_mac()),
        hostname_source: hostname.is_some().then_some(hostname_source),
        hostname,
        vendor_class: None,
        parameter_list: None,
        addr: Some(addr),
    })))
}

/// The host's own label: `NAME` of `NAME.local` (RFC 6762 §3); of LLMNR a name of one label. What browsers make up to
/// hide an address behind is no host's name.
fn host_label(name: &DomainName, port: u16) -> Option<&str> {
    let name = name.as_str();
    let label = if port == MDNS_PORT { name.strip_suffix(".local")? } else { name };
    (!label.contains('.') && !is_uuid(label)).then_some(label)
}

/// 8-4-4-4-12 hexadecimal digits (RFC 9562 §4), as WebRTC has for every page (draft-ietf-mmusic-mdns-ice-candidates).
fn is_uuid(label: &str) -> bool {
    let mut parts = label.split('-');
    let is_part = |part: Option<&str>, len: usize| {
        part.is_some_and(|part| part.len() == len && part.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    [8, 4, 4, 4, 12].into_iter().all(|len| is_part(parts.next(), len)) && parts.next().is_none()
}

/// Is it the address that this packet comes from? Of an IPv6 address the key holds the last four bytes.
fn is_own(key: &FlowKey, addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => key.device_ipv4() == Some(addr),
        IpAddr::V6(addr) => {
            let [.., a, b, c, d] = addr.octets();
            key.is_ipv6() && key.device_addr_low.to_ne_bytes() == [a, b, c, d]
        }
    }
}
