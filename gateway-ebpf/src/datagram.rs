//! UDP from the device, other than on the name ports: QUIC's first packets, and protocols known by how they begin.
//!
//! The stage of a flow's search is the number of datagrams copied. Anything that is not QUIC ends it, so a media
//! stream costs one look in an interval.

use crate::{Packet, PacketBytes, Verdict, Window};
use gateway_common::{FlowState, SampleKind};

/// Datagrams of one flow that are copied. A post-quantum hello takes two or three, each sent again a few times if
/// nobody answers (RFC 9002 §6.2).
const MAX_QUIC: u8 = 10;
/// How many payload bytes are looked at.
const HEAD_LEN: usize = 8;

/// QUIC versions (RFC 9000, RFC 9369).
const QUIC_V1: u32 = 1;
const QUIC_V2: u32 = 0x6b33_43cf;
/// At bytes 4 to 7 of a STUN message (RFC 8489 §5).
const STUN_COOKIE: u32 = 0x2112_a442;

/// Looks at a datagram with payload. `state` is not over.
#[inline(always)]
pub(crate) fn verdict(bytes: &(impl PacketBytes + ?Sized), packet: &Packet, state: FlowState) -> Verdict {
    let over = Verdict::pass(state, FlowState::HELLO_DONE);
    if packet.payload_len < HEAD_LEN as u32 {
        return over;
    }
    let Some(window) = bytes.window::<HEAD_LEN>(packet.payload_offset) else { return over };
    let head = [
        window.u8::<0>(),
        window.u8::<1>(),
        window.u8::<2>(),
        window.u8::<3>(),
        window.u8::<4>(),
        window.u8::<5>(),
        window.u8::<6>(),
        window.u8::<7>(),
    ];
    if is_quic_opening(head) {
        let copied = state.hello_stage + 1;
        let stage = if copied >= MAX_QUIC { FlowState::HELLO_DONE } else { copied };
        return Verdict::copy(SampleKind::QUIC, state, stage);
    }
    if state.hello_stage == 0 && is_known(head, packet.payload_len) {
        return Verdict::copy(SampleKind::DATAGRAM, state, FlowState::HELLO_DONE);
    }
    over
}

/// An Initial or a 0-RTT packet: a long header (RFC 8999 §5.1) of these types (RFC 9000 §17.2, RFC 9369 §3.2). All
/// versions but the second number them alike.
#[inline(always)]
fn is_quic_opening([first, v0, v1, v2, v3, ..]: [u8; HEAD_LEN]) -> bool {
    let version = u32::from_be_bytes([v0, v1, v2, v3]);
    if first & 0x80 == 0 || version == 0 {
        return false;
    }
    // A sender that was allowed to may leave out the fixed bit (RFC 9287); without it, only the versions that are
    // known tell QUIC from RTP.
    if first & 0x40 == 0 && version != QUIC_V1 && version != QUIC_V2 {
        return false;
    }
    let packet_type = first >> 4 & 3;
    if version == QUIC_V2 { packet_type == 1 || packet_type == 2 } else { packet_type < 2 }
}

/// A protocol that has no name to tell and is told apart by its first bytes.
#[inline(always)]
fn is_known(head: [u8; HEAD_LEN], payload_len: u32) -> bool {
    let [first, b, c, d, cookie @ ..] = head;
    let is_stun = first & 0xc0 == 0 && u32::from_be_bytes(cookie) == STUN_COOKIE;
    // A record of DTLS 1.0 or of 1.2, which 1.3 begins as too (RFC 4347 §4.1, RFC 6347 §4.1, RFC 9147 §5.3).
    let is_dtls = matches!(first, 20..=25) && b == 0xfe && matches!(c, 0xfc | 0xfd | 0xff);
    // Message type and three reserved bytes; each but data has its length (the WireGuard protocol, "Protocol").
    let is_wireguard = b == 0
        && c == 0
        && d == 0
        && match first {
            1 => payload_len == 148,
            2 => payload_len == 92,
            3 => payload_len == 64,
            4 => payload_len >= 32 && payload_len.is_multiple_of(16),
            _ => false,
        };
    // A client's hard reset, versions 2 and 3, with key 0: opcode, session id, no acknowledgement, packet id.
    let is_openvpn = matches!(first, 0x38 | 0x50) && payload_len >= 14;
    is_stun || is_dtls || is_wireguard || is_openvpn
}
