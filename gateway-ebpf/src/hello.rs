//! TCP from the device: where a TLS hello or an HTTP request begins, and which segments it goes on in.
//!
//! The stage of a flow's search, in [`FlowState::hello_stage`]:
//!
//! | stage | means |
//! | --- | --- |
//! | 0 | nothing was looked at |
//! | 1 … 39 | in a TLS hello, so many segments of it copied |
//! | 64 + 1 … 39 | the same of a request's head |
//! | 128 + 1 … 7 | so many segments were looked at that began like neither |
//! | 255 | over |

use crate::{Packet, PacketBytes, Verdict, Window};
use gateway_common::{FlowState, SampleKind};

/// Segments of one hello that are copied. A usual one comes in one or two; some senders write a few bytes at a time.
const MAX_PIECES: u8 = 40;
/// Segments that are looked at for the beginning of a hello: SOCKS (RFC 1928) and STARTTLS (RFC 3207 and others) have
/// a few exchanges before it. In an interval that does not show the beginning of the conversation it is the price of
/// not knowing.
const MAX_LOOKS: u8 = 8;
/// Segments of a conversation that was seen to open which are copied whatever they are: a later piece of a hello may
/// overtake its first one.
const MAX_UNKNOWN: u8 = 2;

/// Bit of the stage: in a request's head, not in a TLS hello.
const IN_REQUEST: u8 = 0x40;
/// Bit of the stage: the rest counts the segments that were looked at.
const LOOKED: u8 = 0x80;

/// How many payload bytes are looked at: a TLS record header (RFC 8446 §5.1) and a handshake header (§4).
const HEAD_LEN: usize = 9;

/// A hello's length where its first segment is too short to tell.
const UNTOLD_LEN: u32 = 4096;
/// How far a request's head is followed: `Host` stands near its beginning.
const REQUEST_LEN: u32 = 2048;
/// Room for records that are shorter than the first one of a hello.
const RECORDS_SLACK: u32 = 64;

/// [`FlowState::hello_end`] counts in units of so many bits: 128 bytes.
const UNIT_BITS: u32 = 7;
/// How many units before the end a segment may lie; one that seems further is behind it.
const MAX_UNITS_AHEAD: u8 = 224;
/// So no hello is followed further than this: 28 KB.
const MAX_HELLO_LEN: u32 = (MAX_UNITS_AHEAD as u32 - 1) << UNIT_BITS;

/// The first payload bytes; zero where there are fewer.
struct Head {
    bytes: [u8; HEAD_LEN],
    len: usize,
}

/// Looks at a segment with payload. `state` is not over. `None`: the packet is not all there.
#[inline(always)]
pub(crate) fn verdict(
    bytes: &(impl PacketBytes + ?Sized),
    packet: &Packet,
    state: FlowState,
) -> Option<Verdict> {
    let seq = u32::from_be(bytes.u32_at(packet.l4_offset + 4)?);
    let head = head_of(bytes, packet);
    let stage = state.hello_stage;
    let is_in_piece = stage != 0 && stage & LOOKED == 0;
    let is_fresh = state.opened & FlowState::OPENED_BY_DEVICE != 0;
    let is_first = is_fresh && stage == 0;

    if let Some(hello_len) = hello_len(&head, is_first) {
        // Another one behind a request (a proxy's, an upgrade's), or the same again: the count goes on.
        let pieces = if is_in_piece { (stage & !IN_REQUEST) + 1 } else { 1 };
        let is_over = packet.payload_len >= hello_len || pieces >= MAX_PIECES;
        let state = FlowState { hello_end: end_of(seq, hello_len), ..state };
        return Some(Verdict::copy(
            SampleKind::TLS,
            state,
            if is_over { FlowState::HELLO_DONE } else { pieces },
        ));
    }
    if is_in_piece {
        return Some(next_piece(bytes, packet, state, seq));
    }
    if is_request(&head, is_first) {
        let stage = request_stage(bytes, packet, &head);
        let state = FlowState { hello_end: end_of(seq, REQUEST_LEN), ..state };
        return Some(Verdict::copy(SampleKind::HTTP, state, stage));
    }
    let looks = stage & !LOOKED;
    let next = if looks + 1 >= MAX_LOOKS { FlowState::HELLO_DONE } else { LOOKED | (looks + 1) };
    Some(if is_fresh && looks < MAX_UNKNOWN {
        Verdict::copy(SampleKind::OPENING, state, next)
    } else {
        Verdict::pass(state, next)
    })
}

/// In the middle of a hello or a request's head: copied if it lies before the end.
#[inline(always)]
fn next_piece(bytes: &(impl PacketBytes + ?Sized), packet: &Packet, state: FlowState, seq: u32) -> Verdict {
    let stage = state.hello_stage;
    let is_request = stage & IN_REQUEST != 0;
    let units_ahead = state.hello_end.wrapping_sub((seq >> UNIT_BITS) as u8);
    if units_ahead == 0 || units_ahead > MAX_UNITS_AHEAD {
        return Verdict::pass(state, FlowState::HELLO_DONE);
    }
    let is_last = (stage & !IN_REQUEST) + 1 >= MAX_PIECES;
    let is_over = is_last || (is_request && ends_with_empty_line(bytes, packet));
    let kind = if is_request { SampleKind::HTTP } else { SampleKind::TLS };
    Verdict::copy(kind, state, if is_over { FlowState::HELLO_DONE } else { stage + 1 })
}

/// Where a hello ends, as [`FlowState::hello_end`] holds it.
#[inline(always)]
fn end_of(seq: u32, len: u32) -> u8 {
    let len = if len > MAX_HELLO_LEN { MAX_HELLO_LEN } else { len };
    (seq.wrapping_add(len).wrapping_add((1 << UNIT_BITS) - 1) >> UNIT_BITS) as u8
}

#[inline(always)]
fn head_of(bytes: &(impl PacketBytes + ?Sized), packet: &Packet) -> Head {
    let mut head = Head { bytes: [0; HEAD_LEN], len: 0 };
    let at = packet.payload_offset;
    if packet.payload_len >= HEAD_LEN as u32
        && let Some(window) = bytes.window::<HEAD_LEN>(at)
    {
        head.bytes = [
            window.u8::<0>(),
            window.u8::<1>(),
            window.u8::<2>(),
            window.u8::<3>(),
            window.u8::<4>(),
            window.u8::<5>(),
            window.u8::<6>(),
            window.u8::<7>(),
            window.u8::<8>(),
        ];
        head.len = HEAD_LEN;
        return head;
    }
    // Byte by byte: what lies behind the payload is padding.
    for i in 0..HEAD_LEN {
        if i as u32 >= packet.payload_len {
            break;
        }
        let Some(byte) = bytes.u8_at(at + i) else { break };
        head.bytes[i] = byte;
        head.len = i + 1;
    }
    head
}

/// If a TLS record with a ClientHello begins here (RFC 8446 §5.1, §4): how many bytes from here on the hello takes,
/// or may take where the segment is too short to tell. One byte is believed only as a conversation's first.
#[inline(always)]
fn hello_len(head: &Head, is_first: bool) -> Option<u32> {
    let [content_type, major, _, record_high, record_low, message, a, b, c] = head.bytes;
    if content_type != 22 {
        return None;
    }
    if head.len == 1 {
        return is_first.then_some(UNTOLD_LEN);
    }
    if major != 3 || (head.len > 5 && message != 1) {
        return None;
    }
    if head.len < HEAD_LEN {
        return Some(UNTOLD_LEN);
    }
    let record_len = u32::from(record_high) << 8 | u32::from(record_low);
    let message_len = 4 + (u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c));
    if record_len < 4 {
        // The length just read is not all the message's.
        return Some(UNTOLD_LEN);
    }
    if message_len <= record_len {
        return Some(5 + record_len);
    }
    // Several records, each with a header; most senders make all but the last one equal.
    Some(message_len + 5 * message_len.div_ceil(record_len) + RECORDS_SLACK)
}

/// Does a request line begin here: a method in capitals (RFC 9110 §9; WebDAV and UPnP have more), a space, and what
/// may stand behind one? That is a path, `*`, a URL of the web or, for CONNECT, anything (RFC 9112 §3.2); so the
/// commands of mail and file servers are none. Some letters alone are believed only as a conversation's first: later ones may be somebody typing.
#[inline(always)]
fn is_request(head: &Head, is_first: bool) -> bool {
    let bytes = &head.bytes;
    for i in 0..HEAD_LEN {
        let byte = bytes[i];
        if byte.is_ascii_uppercase() || byte == b'-' {
            continue;
        }
        if byte != b' ' {
            return is_first && i > 0 && i == head.len;
        }
        let is_target = i == HEAD_LEN - 1 || matches!(bytes[i + 1], b'/' | b'*' | b'h' | b'H');
        return i >= 3 && (is_target || is_connect(head));
    }
    true
}

#[inline(always)]
fn is_connect(head: &Head) -> bool {
    let [c, o, n, _, _, _, _, space, target] = head.bytes;
    [c, o, n, space] == [b'C', b'O', b'N', b' '] && target != 0
}

/// The stage behind the first segment of a request.
#[inline(always)]
fn request_stage(bytes: &(impl PacketBytes + ?Sized), packet: &Packet, head: &Head) -> u8 {
    let [p, r, i, space, ..] = head.bytes;
    if [p, r, i, space] == [b'P', b'R', b'I', b' '] {
        // HTTP/2 without TLS (RFC 9113 §3.4): the request is in one of the next two segments, if not in this one.
        return IN_REQUEST | (MAX_PIECES - 2);
    }
    let is_whole = packet.payload_len >= REQUEST_LEN || ends_with_empty_line(bytes, packet);
    if !is_whole {
        IN_REQUEST | 1
    } else if is_connect(head) {
        // What goes through the proxy begins later, and may be a hello.
        LOOKED | MAX_UNKNOWN
    } else {
        FlowState::HELLO_DONE
    }
}

/// Does the payload end where a request's head does (RFC 9112 §2.1)?
#[inline(always)]
fn ends_with_empty_line(bytes: &(impl PacketBytes + ?Sized), packet: &Packet) -> bool {
    let end = packet.payload_offset + packet.payload_len as usize;
    packet.payload_len >= 4 && bytes.u32_at(end - 4) == Some(u32::from_ne_bytes(*b"\r\n\r\n"))
}
