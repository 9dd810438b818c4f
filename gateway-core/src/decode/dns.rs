//! DNS over UDP and TCP: who asks, and what is answered.

use super::{Stop, is_group};
use crate::fact::{Fact, Segment};
use crate::units::BootTime;
use crate::wire::{dns, tcp};
use gateway_common::{FlowKey, SampleHeader, protocol};

/// Port of the DNS (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

/// A UDP datagram: one message.
pub(super) fn datagram<'a>(
    header: &SampleHeader,
    is_up: bool,
    payload: &'a [u8],
) -> Result<Option<Fact<'a>>, Stop> {
    if header.key.protocol != protocol::UDP || !is_with_server(&header.key) {
        return Ok(None);
    }
    dns_message(header.key, is_up, BootTime(header.boot_ns), payload)
}

/// A TCP segment: any piece of a row of messages (RFC 7766 §8).
pub(super) fn segment<'a>(
    header: &SampleHeader,
    is_up: bool,
    packet: &[u8],
    payload: &'a [u8],
) -> Result<Option<Fact<'a>>, Stop> {
    if header.key.protocol != protocol::TCP || !is_with_server(&header.key) {
        return Ok(None);
    }
    let tcp = tcp::read(packet.get(usize::from(header.l4_offset)..).ok_or(Stop::CutShort)?)?;
    if payload.is_empty() && !tcp.is_syn {
        return Ok(None);
    }
    // The snapshot ended, and not the packet.
    let captured_len = usize::from(header.captured_len);
    let is_cut = packet.len() >= captured_len && header.wire_len > u32::from(header.captured_len);
    Ok(Some(Fact::DnsSegment(Segment {
        flow: header.key,
        is_up,
        at: BootTime(header.boot_ns),
        seq: tcp.seq.wrapping_add(u32::from(tcp.is_syn)),
        is_first: tcp.is_syn,
        payload,
        is_cut,
    })))
}

/// What a message proves. Only a server's answer teaches: an "answer" from the device's own port 53 could claim
/// anything, and what is sent to a group answers nobody.
///
/// # Errors
/// [`Stop`] if it is no message that can be read.
pub fn dns_message<'a>(
    flow: FlowKey,
    is_up: bool,
    at: BootTime,
    bytes: &[u8],
) -> Result<Option<Fact<'a>>, Stop> {
    let message = dns::read(bytes)?;
    // A standard query (RFC 1035 §4.1.1), sent the right way.
    if message.opcode != 0 || message.is_response == is_up {
        return Ok(None);
    }
    let is_wanted = |question: &&dns::Question| question.kind.may_bring_addresses();
    let Some(question) = message.question.as_ref().filter(is_wanted).cloned() else {
        return if is_up { Ok(None) } else { Err(Stop::Nameless) };
    };
    let id = message.id;
    if is_up {
        return Ok(Some(Fact::NameAsked { flow, at, id, question }));
    }
    Ok(Some(Fact::NameAnswered { flow, at, id, question, message }))
}

/// Is the peer a DNS server, by its port, and the device one device?
fn is_with_server(key: &FlowKey) -> bool {
    key.peer_port() == DNS_PORT && !is_group(key)
}
