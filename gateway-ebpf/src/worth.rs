//! Is this packet's head worth copying? Decided by port and by the first payload bytes; names are for others.

use crate::Packet;
use gateway_common::{Direction, FlowState, SampleKind, protocol};

/// A ClientHello that begins in one segment ends within this many: post-quantum key shares make two, and short
/// segments or retransmissions some more.
const MAX_HELLO_SEGMENTS: u8 = 6;

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

/// What to do with a TCP segment from the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing here and nothing later in this conversation.
    Over,
    /// Copy it; then the flow's `hello_stage` becomes this.
    Copy(SampleKind, u8),
}

/// Looks at the first bytes of a device's TCP payload (`payload_len` of them in all). `stage` is the flow's
/// [`FlowState::hello_stage`] and not [`FlowState::HELLO_DONE`].
#[inline(always)]
#[must_use]
pub fn hello_verdict(stage: u8, head: [u8; 6], payload_len: u32) -> Verdict {
    if stage > 0 {
        // In the middle of a hello: the first segment has said what this is.
        let next = if stage >= MAX_HELLO_SEGMENTS { FlowState::HELLO_DONE } else { stage + 1 };
        return Verdict::Copy(SampleKind::TLS, next);
    }
    match head {
        // A TLS handshake record (RFC 8446 §5.1) with a ClientHello (§4): all there, or more to come.
        [0x16, 0x03, _, high, low, 0x01] => {
            let record_len = 5 + u32::from(u16::from_be_bytes([high, low]));
            let is_whole = payload_len >= record_len;
            Verdict::Copy(SampleKind::TLS, if is_whole { FlowState::HELLO_DONE } else { 1 })
        }
        // The methods of HTTP/1 (RFC 9110 §9) that phones use, by their first letters.
        [b'G', b'E', b'T', b' ', ..]
        | [b'P', b'O', b'S', b'T', b' ', _]
        | [b'P', b'U', b'T', b' ', ..]
        | [b'H', b'E', b'A', b'D', b' ', _]
        | [b'D', b'E', b'L', b'E', b'T', b'E']
        | [b'P', b'A', b'T', b'C', b'H', b' ']
        | [b'O', b'P', b'T', b'I', b'O', b'N']
        | [b'C', b'O', b'N', b'N', b'E', b'C'] => Verdict::Copy(SampleKind::HTTP, FlowState::HELLO_DONE),
        _ => Verdict::Over,
    }
}
