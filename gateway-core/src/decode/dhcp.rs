//! DHCP: what a device tells of itself, and what a server of the house gives it.

use super::{Stop, is_group};
use crate::fact::Fact;
use crate::row::DeviceFact;
use crate::units::Mac;
use crate::wire::dhcp::v4::{self, DhcpMessageType};
use crate::wire::dhcp::v6;
use crate::wire::text;
use core::net::IpAddr;
use gateway_common::{FlowKey, SampleHeader};
use ipnetwork::IpNetwork;

/// UDP port of DHCPv4 servers (RFC 2131 §4.1).
const V4_SERVER_PORT: u16 = 67;
/// UDP port of DHCPv6 servers and relays (RFC 8415 §7.2).
const V6_SERVER_PORT: u16 = 547;

pub(super) fn v4_up<'a>(header: &SampleHeader, payload: &[u8]) -> Result<Option<Fact<'a>>, Stop> {
    let message = v4::read(payload)?;
    let tells = [DhcpMessageType::DISCOVER, DhcpMessageType::REQUEST, DhcpMessageType::INFORM];
    if !tells.contains(&message.message_type) {
        return Ok(None);
    }
    // A device speaks for itself: a message sent for another one would put words into its mouth.
    if message.chaddr != header.key.device_mac() {
        return Err(Stop::Untrusted);
    }
    Ok(Some(Fact::DeviceSeen(DeviceFact {
        parameter_list: message.parameter_list.and_then(parameter_list),
        addr: message.held.map(IpAddr::V4),
        ..named(&header.key, message.host_name, message.vendor_class)
    })))
}

pub(super) fn v4_down<'a>(
    header: &SampleHeader,
    payload: &[u8],
    local: &[IpNetwork],
) -> Result<Option<Fact<'a>>, Stop> {
    let message = v4::read(payload)?;
    let is_grant = message.message_type == DhcpMessageType::ACK;
    let Some(given) = message.given.filter(|_| is_grant) else { return Ok(None) };
    // A server that has a say stands in the house, and sends a grant to the device it is for, or to all
    // (RFC 2131 §4.1). Anything else is a stranger who writes into what is known of a device.
    let is_ours = is_group(&header.key) || message.chaddr == header.key.device_mac();
    let is_from_server = header.key.peer_port() == V4_SERVER_PORT;
    if !(is_from_server && is_ours && is_in_house(&header.key, local)) {
        return Err(Stop::Untrusted);
    }
    Ok(Some(granted(Mac(message.chaddr), IpAddr::V4(given))))
}

pub(super) fn v6<'a>(
    header: &SampleHeader,
    is_up: bool,
    payload: &[u8],
    local: &[IpNetwork],
) -> Result<Option<Fact<'a>>, Stop> {
    let message = v6::read(payload)?;
    if is_up {
        let fact = named(&header.key, message.host_name, message.vendor_class);
        return Ok(message.kind.is_of_device().then_some(Fact::DeviceSeen(fact)));
    }
    let given = message.addrs.first().filter(|_| message.kind == v6::MessageType::REPLY);
    let Some(given) = given else { return Ok(None) };
    // As above. A reply goes to its device alone (RFC 8415 §18.3), and nothing in it but the frame says to whom.
    let is_from_server = header.key.peer_port() == V6_SERVER_PORT;
    if !is_from_server || is_group(&header.key) || !is_in_house(&header.key, local) {
        return Err(Stop::Untrusted);
    }
    Ok(Some(granted(Mac(header.key.device_mac()), IpAddr::V6(*given))))
}

/// Does the peer stand in the house: on this link, or in one of its networks?
fn is_in_house(key: &FlowKey, local: &[IpNetwork]) -> bool {
    let peer = key.peer();
    let is_on_link = matches!(peer, IpAddr::V6(addr) if addr.is_unicast_link_local());
    is_on_link || local.iter().any(|prefix| prefix.contains(peer))
}

fn named(key: &FlowKey, host_name: Option<&[u8]>, vendor_class: Option<&[u8]>) -> DeviceFact {
    let hostname = host_name.and_then(text::printable);
    DeviceFact {
        device: Mac(key.device_mac()),
        hostname_source: hostname.is_some().then_some("dhcp"),
        hostname,
        vendor_class: vendor_class.and_then(text::printable),
        parameter_list: None,
        addr: None,
    }
}

fn granted<'a>(device: Mac, addr: IpAddr) -> Fact<'a> {
    Fact::DeviceSeen(DeviceFact {
        device,
        hostname: None,
        hostname_source: None,
        vendor_class: None,
        parameter_list: None,
        addr: Some(addr),
    })
}

/// Option 55 as people write it: `1,3,6,15`. It has at most 255 codes.
fn parameter_list(options: &[u8]) -> Option<String> {
    let words: Vec<String> = options.iter().map(u8::to_string).collect();
    (!words.is_empty()).then(|| words.join(","))
}
