//! DNS over TCP put together: each direction of a conversation is a row of messages, in pieces of any size and order.
//!
//! No message is made up. Where a piece is missing, what stood there is lost, and reading goes on at a piece that
//! begins like a message. A stream that is under way when it is first seen begins in the same way.

use super::aged::{Aged, Limits};
use crate::fact::Segment;
use crate::units::BootTime;
use crate::wire::dns;
use gateway_common::FlowKey;

/// How many directions of one device's conversations are followed at once. Programs turn to TCP for what does not fit
/// into a datagram, one question at a time.
pub const MAX_STREAMS_PER_DEVICE: usize = 32;
/// How many in all; with [`MAX_STREAM_LEN`] 4 MiB at worst, and nothing while no message is in pieces.
pub const MAX_STREAMS: usize = 256;
/// The longest message that is read whole. Answers with addresses have some hundreds of bytes; of a longer one the
/// beginning is read as of one that was cut short.
pub const MAX_MESSAGE_LEN: usize = 8192;
/// How many bytes are kept of one stream: the message that is under way, and pieces that overtook it.
pub const MAX_STREAM_LEN: usize = 16_384;
/// How many pieces are kept of one stream besides.
pub const MAX_PIECES: usize = 32;
/// How long a missing piece is waited for: a lost segment is sent again after 1 s, and after 2 s more (RFC 6298 §2).
pub const GAP_LASTS_SECS: u64 = 4;
/// How long a silent stream is remembered: servers close after some seconds of silence (RFC 7766 §6.2.3). One that
/// goes on later is taken up again where a message begins.
pub const STREAM_LASTS_SECS: u64 = 60;
/// How far from its place a segment may be: the longest message with its length. Further away, it is of another
/// stream over the same ports.
const MAX_DISTANCE: i32 = 2 + 65_535;

const SECOND: u64 = 1_000_000_000;

/// Streams that have something to wait for, or that are known to stand between two messages.
#[derive(Clone, Debug)]
pub struct DnsStreamsBook {
    streams: Aged<(FlowKey, bool), Stream>,
    /// Places where a piece did not come or found no room: messages there are lost.
    pub gaps: u64,
}

#[derive(Clone, Debug)]
struct Stream {
    touched_at: BootTime,
    /// Where the length of the next message stands; `None` while nobody knows.
    message_at: Option<u32>,
    pieces: Vec<Piece>,
    /// Since when pieces wait for one that is missing.
    waits_since: Option<BootTime>,
}

#[derive(Clone, Debug)]
struct Piece {
    seq: u32,
    bytes: Vec<u8>,
    /// What followed was not copied.
    is_cut: bool,
}

impl Default for DnsStreamsBook {
    fn default() -> Self {
        let limits = Limits { per_device: MAX_STREAMS_PER_DEVICE, in_all: MAX_STREAMS };
        Self { streams: Aged::new(limits), gaps: 0 }
    }
}

impl DnsStreamsBook {
    /// Enters a segment; gives the messages that are whole by it, and of one that was cut short its beginning.
    pub fn learn(&mut self, segment: &Segment<'_>) -> Vec<Vec<u8>> {
        let key = (segment.flow, segment.is_up);
        let before = self.streams.remove(&key);
        let mut stream = match before {
            Some(stream) if !segment.is_first && !stream.is_over(segment.at) => stream,
            before => {
                self.lose(before);
                Stream::new(segment)
            }
        };
        let mut messages = Vec::new();
        self.gaps = self.gaps.saturating_add(stream.learn(segment, &mut messages));
        let left = self.streams.put(key, stream);
        self.lose(left);
        messages
    }

    /// Lets go of streams that are silent.
    pub fn give_up(&mut self, now: BootTime) {
        let mut gaps = 0_u64;
        self.streams.remove_where(|stream| {
            let is_over = stream.is_over(now);
            gaps = gaps.saturating_add(u64::from(is_over && !stream.pieces.is_empty()));
            is_over
        });
        self.gaps = self.gaps.saturating_add(gaps);
    }

    fn lose(&mut self, stream: Option<Stream>) {
        let has_lost = stream.is_some_and(|stream| !stream.pieces.is_empty());
        self.gaps = self.gaps.saturating_add(u64::from(has_lost));
    }
}

impl Stream {
    fn new(segment: &Segment<'_>) -> Self {
        Self {
            touched_at: segment.at,
            message_at: segment.is_first.then_some(segment.seq),
            pieces: Vec::new(),
            waits_since: None,
        }
    }

    fn is_over(&self, now: BootTime) -> bool {
        now.since(self.touched_at) > STREAM_LASTS_SECS.saturating_mul(SECOND)
    }

    /// Takes a segment in and messages out; tells how many gaps were given up.
    fn learn(&mut self, segment: &Segment<'_>, messages: &mut Vec<Vec<u8>>) -> u64 {
        let Segment { is_up, at, seq, payload, is_cut, flow: _, is_first: _ } = *segment;
        self.touched_at = self.touched_at.max(at);
        if payload.is_empty() {
            return 0;
        }
        let mut gaps = 0_u64;
        if self.message_at.is_some_and(|place| distance(place, seq).saturating_abs() > MAX_DISTANCE) {
            gaps = gaps.saturating_add(u64::from(!self.pieces.is_empty()));
            *self = Self { message_at: None, pieces: Vec::new(), waits_since: None, ..*self };
        }
        let waited =
            self.waits_since.is_some_and(|since| at.since(since) > GAP_LASTS_SECS.saturating_mul(SECOND));
        if self.message_at.is_some() && (waited || !self.has_room(payload.len())) {
            gaps = gaps.saturating_add(1);
            self.give_up(messages);
            self.read(is_up, messages);
        }
        // Still none: the oldest is the least likely to begin a message yet.
        while !self.has_room(payload.len()) && !self.pieces.is_empty() {
            self.pieces.remove(0);
        }
        self.add(is_up, Piece { seq, bytes: payload.to_vec(), is_cut });
        self.read(is_up, messages);
        self.waits_since = self.is_waiting().then(|| self.waits_since.unwrap_or(at));
        gaps
    }

    /// Is there a piece behind a gap?
    fn is_waiting(&self) -> bool {
        let Some(place) = self.message_at else { return false };
        let held = u32::try_from(self.join(place).0.len()).unwrap_or(u32::MAX);
        self.pieces.iter().any(|piece| distance(place.wrapping_add(held), piece.seq) > 0)
    }

    fn has_room(&self, len: usize) -> bool {
        let held: usize = self.pieces.iter().map(|piece| piece.bytes.len()).sum();
        self.pieces.len() < MAX_PIECES && held.saturating_add(len) <= MAX_STREAM_LEN
    }

    /// Waits no longer for what is missing: of the message that it belongs to, what is before the gap is given.
    fn give_up(&mut self, messages: &mut Vec<Vec<u8>>) {
        let Some(place) = self.message_at.take() else { return };
        let (joined, _) = self.join(place);
        if let Some((_, message)) = joined.split_first_chunk::<2>() {
            messages.push(message.to_vec());
        }
        self.drop_before(place.wrapping_add(u32::try_from(joined.len()).unwrap_or(u32::MAX)));
    }

    /// Keeps a piece in its place; as a part of the one before if it goes on from there.
    fn add(&mut self, is_up: bool, mut piece: Piece) {
        if let Some(place) = self.message_at {
            // What is before the next message has been read.
            let early = usize::try_from(distance(piece.seq, place)).unwrap_or(0);
            if early >= piece.bytes.len() {
                return;
            }
            piece.bytes.drain(..early);
            piece.seq = if early == 0 { piece.seq } else { place };
        } else if self.pieces.iter().any(|p| p.seq == piece.seq && p.bytes.len() >= piece.bytes.len()) {
            return;
        }
        let message_at = self.message_at;
        let before = self.pieces.iter_mut().find(|p| p.end() == piece.seq && !p.is_cut);
        // Where it is not known if a message begins, the beginning of a piece may be one.
        let begins = |bytes: &[u8]| dns::begins_message(!is_up, bytes);
        let goes_on = |before: &Piece| match begins(&piece.bytes) {
            Some(is_beginning) => !is_beginning,
            None => begins(&before.bytes).is_none(),
        };
        match before {
            Some(before) if message_at == Some(before.seq) || goes_on(before) => {
                before.bytes.append(&mut piece.bytes);
                before.is_cut = piece.is_cut;
            }
            _ => {
                let first = self.pieces.first().map_or(piece.seq, |p| p.seq);
                let place =
                    self.pieces.partition_point(|p| distance(first, p.seq) <= distance(first, piece.seq));
                self.pieces.insert(place, piece);
            }
        }
    }

    /// Takes out the messages that are whole.
    fn read(&mut self, is_up: bool, messages: &mut Vec<Vec<u8>>) {
        while let Some(place) = self.message_at.or_else(|| self.find_message(is_up)) {
            let (stream, is_cut) = self.join(place);
            let len = take_messages(&stream, is_cut, messages);
            self.message_at = Some(place.wrapping_add(len));
            self.drop_before(place.wrapping_add(len));
            if len == 0 || self.pieces.is_empty() {
                break;
            }
        }
    }

    /// The first place where a piece begins like a message.
    fn find_message(&self, is_up: bool) -> Option<u32> {
        let begins = |piece: &&Piece| dns::begins_message(!is_up, &self.join(piece.seq).0) == Some(true);
        self.pieces.iter().find(begins).map(|piece| piece.seq)
    }

    /// The bytes from a place on up to the first gap, and whether that is where the copy ended.
    fn join(&self, place: u32) -> (Vec<u8>, bool) {
        let (mut joined, mut is_cut) = (Vec::new(), false);
        for piece in &self.pieces {
            let end = place.wrapping_add(u32::try_from(joined.len()).unwrap_or(u32::MAX));
            // What overlaps is here already; what leaves a gap has to wait.
            let Ok(seen) = usize::try_from(distance(piece.seq, end)) else { break };
            if let Some(new @ [_, ..]) = piece.bytes.get(seen..) {
                joined.extend_from_slice(new);
                is_cut = piece.is_cut;
            }
        }
        (joined, is_cut)
    }

    fn drop_before(&mut self, place: u32) {
        self.pieces.retain_mut(|piece| {
            let early = usize::try_from(distance(piece.seq, place)).unwrap_or(0);
            if early == 0 {
                return true;
            }
            piece.bytes.drain(..early.min(piece.bytes.len()));
            piece.seq = place;
            !piece.bytes.is_empty()
        });
    }
}

impl Piece {
    fn end(&self) -> u32 {
        self.seq.wrapping_add(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }
}

/// How far `to` is ahead of `from`; sequence numbers wrap (RFC 9293 §3.4).
fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// The messages at the beginning of a stream; tells how many bytes of it they are. Of a message whose rest was not
/// copied, or that is too long to wait for, the beginning is given, and its whole length counts.
fn take_messages(stream: &[u8], is_cut: bool, messages: &mut Vec<Vec<u8>>) -> u32 {
    let mut rest = stream;
    let mut taken = 0_u32;
    while let Some((length, message)) = rest.split_first_chunk::<2>() {
        let len = u16::from_be_bytes(*length);
        if let Some((message, behind)) = message.split_at_checked(usize::from(len)) {
            messages.push(message.to_vec());
            rest = behind;
        } else if is_cut || message.len() >= MAX_MESSAGE_LEN {
            messages.push(message.to_vec());
            rest = &[];
        } else {
            break;
        }
        taken = taken.saturating_add(u32::from(len)).saturating_add(2);
    }
    taken
}

#[cfg(test)]
mod tests;
