//! Is this packet's head worth copying? Decided by port and by the first payload bytes; names are for others.
//!
//! Packets of the name ports need no memory of their flow. For the others a flow's [`FlowState`] says how far the
//! search has come, so that every flow gets a bounded number of looks and of copies in an interval.

use crate::{Packet, PacketBytes, datagram, hello};
use gateway_common::{Direction, FlowState, SampleKind, protocol};

/// The port of the DNS (RFC 1035 §4.2), as a key holds it.
const DNS_PORT: u16 = 53u16.to_be();

/// Segments of a conversation with port 53 that are copied, of both directions together: many questions on one
/// connection (RFC 7766 §6.2.1), but not a transfer of a zone.
const MAX_DNS_SEGMENTS: u8 = 64;

/// The shortest TCP header (RFC 9293 §3.1).
const TCP_LEN: usize = 20;
/// The UDP header (RFC 768).
const UDP_LEN: usize = 8;

/// What becomes of a packet's head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Why to copy it; `None` to let it go.
    pub kind: Option<SampleKind>,
    /// What the flow knows after that. If the copy finds no room, the flow must go on knowing what it knew, so that
    /// its next packet tries again.
    pub state: FlowState,
}

impl Verdict {
    /// Not copied.
    #[inline(always)]
    pub(crate) fn pass(state: FlowState, stage: u8) -> Self {
        Self { kind: None, state: FlowState { hello_stage: stage, ..state } }
    }

    /// Copied.
    #[inline(always)]
    pub(crate) fn copy(kind: SampleKind, state: FlowState, stage: u8) -> Self {
        Self { kind: Some(kind), state: FlowState { hello_stage: stage, ..state } }
    }
}

/// Says whether to copy the packet's head. `state` is the flow's own; a flow that found no slot and a group have
/// none. `None`: there is nothing to copy and nothing to remember.
#[inline(always)]
#[must_use]
pub fn worth(
    bytes: &(impl PacketBytes + ?Sized),
    packet: &Packet,
    direction: Direction,
    state: Option<FlowState>,
) -> Option<Verdict> {
    if let Some(kind) = names_sample(packet, direction) {
        return Some(Verdict { kind: Some(kind), state: state.unwrap_or_default() });
    }
    let state = state?;
    if !is_sought(packet, direction, state) {
        return None;
    }
    // A later fragment has no transport header, and a segment that lies about its header has no known payload.
    let header_len = packet.payload_offset - packet.l4_offset;
    if packet.key.protocol == protocol::UDP {
        return (header_len >= UDP_LEN).then(|| datagram::verdict(bytes, packet, state));
    }
    if header_len < TCP_LEN {
        return None;
    }
    if packet.key.peer_port == DNS_PORT {
        let copied = state.hello_stage + 1;
        let stage = if copied >= MAX_DNS_SEGMENTS { FlowState::HELLO_DONE } else { copied };
        return Some(Verdict::copy(SampleKind::DNS_TCP, state, stage));
    }
    hello::verdict(bytes, packet, state)
}

/// Is something still sought in this flow that this packet may hold? Asked for every packet, so it looks at no byte
/// of the payload. Packets of the name ports are [`names_sample`]'s.
#[inline(always)]
#[must_use]
pub fn is_sought(packet: &Packet, direction: Direction, state: FlowState) -> bool {
    let may_tell = match packet.key.protocol {
        protocol::TCP => direction == Direction::Up || packet.key.peer_port == DNS_PORT,
        protocol::UDP => direction == Direction::Up,
        _ => false,
    };
    may_tell && packet.payload_len > 0 && state.hello_stage != FlowState::HELLO_DONE
}

/// Does this packet carry DNS, DHCP or mDNS over UDP? Needs no state, so even a flow that found no slot is asked.
#[inline(always)]
#[must_use]
pub fn names_sample(packet: &Packet, direction: Direction) -> Option<SampleKind> {
    if packet.key.protocol != protocol::UDP || packet.payload_len == 0 {
        return None;
    }
    let (device_port, peer_port) = (packet.key.device_port(), packet.key.peer_port());
    match (peer_port, device_port) {
        (53, _) => Some(SampleKind::DNS),
        (5353 | 5355, _) => Some(SampleKind::MDNS),
        // DHCPv4 server and client, DHCPv6 server and client. A request goes up, a lease comes down.
        (67, 68) | (547, 546) => Some(SampleKind::DHCP),
        (68, 67) | (546, 547) if direction == Direction::Down => Some(SampleKind::DHCP),
        _ => None,
    }
}
