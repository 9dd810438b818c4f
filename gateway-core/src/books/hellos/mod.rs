//! The beginnings of TCP conversations: TLS hellos and request heads, put together from whatever pieces they come
//! in. A place in a stream that comes twice with different bytes names nobody: one end's memory keeps the first
//! copy, another's the last, and a wrong name is worse than none.

mod opening;
mod stream;

use super::aged::{Aged, Limits};
use crate::application::Application;
use crate::decode::Stop;
use crate::row::Said;
use crate::units::BootTime;
use crate::wire::WireError;
use gateway_common::FlowKey;
use stream::{Added, Found, Stream, differ, distance};

/// How many hellos of one device may be in pieces at once: a browser opens some dozens of conversations in one
/// breath.
pub const MAX_STREAMS_PER_DEVICE: usize = 64;
/// How many in all; with [`MAX_STREAM_LEN`] some 3 MiB at worst.
pub const MAX_STREAMS: usize = 192;
/// How many conversations of one device may have begun with what looks like nothing known. It may be the later
/// piece of a hello that overtook the first; then that is not far behind.
pub const MAX_LOOSE_PER_DEVICE: usize = 32;
/// How many in all: some 1 MiB at worst.
pub const MAX_LOOSE: usize = 64;
/// How many malformed beginnings of one device are kept, to hold what comes again against them.
pub const MAX_MALFORMED_PER_DEVICE: usize = 8;
/// How many in all: some 0.5 MiB at worst.
pub const MAX_MALFORMED: usize = 32;
/// How many beginnings of one device are kept after they were read, to hold what comes again against them.
pub const MAX_READ_PER_DEVICE: usize = 64;
/// How many in all: some 2 MiB at worst.
pub const MAX_READ: usize = 128;
/// The longest beginning that is put together: a hello that fills a record (RFC 8446 §5.1, 16 KiB), with room for
/// the headers of some more. Post-quantum hellos have 1.7 to 2.1 KB.
pub const MAX_STREAM_LEN: usize = 17 * 1024;
/// How many pieces are kept of one beginning: more than the kernel copies of a conversation, and few enough that
/// all of them can be looked at anew for each.
pub const MAX_SEGMENTS: usize = 48;
/// How long the pieces of one hello may be apart: a lost segment is sent again after 1 s, 3 s, 7 s (RFC 6298 §2).
pub const STREAM_LASTS_SECS: u64 = 15;
/// How old pieces may be that are still kept at a drain: as long as they last, and time for samples of that moment
/// to be read from a ring that lags. They are what a person sent, and stay no longer than they are of use.
pub const STREAM_KEPT_SECS: u64 = 60;

const SECOND: u64 = 1_000_000_000;

/// A beginning that was read, or given up because it contradicted itself.
#[derive(Clone, Debug)]
struct Read {
    /// Sequence number of its first byte.
    seq: u32,
    bytes: Vec<u8>,
    /// When its first piece came.
    at: BootTime,
    application: Application,
    is_contradictory: bool,
}

/// Beginnings in pieces.
#[derive(Clone, Debug)]
pub struct HellosBook {
    /// Those of which a piece looks like a beginning.
    begun: Aged<FlowKey, Stream>,
    /// Those of which none does.
    loose: Aged<FlowKey, Stream>,
    /// Those that no honest sender wrote, which were counted as errors.
    malformed: Aged<FlowKey, Stream>,
    read: Aged<FlowKey, Read>,
    /// Hellos in pieces given up: for want of room, or because the rest did not come in time.
    pub unfinished: u64,
    /// Beginnings let go that look like nothing known, and had no beginning of a hello among them.
    pub unlike: u64,
    /// Pieces left out because a hello had too many or too long ones.
    pub segments_dropped: u64,
    /// Hellos that name nobody because two copies of one place differed.
    pub contradictory: u64,
}

impl Default for HellosBook {
    fn default() -> Self {
        let aged = |per_device, in_all| Limits { per_device, in_all };
        Self {
            begun: Aged::new(aged(MAX_STREAMS_PER_DEVICE, MAX_STREAMS)),
            loose: Aged::new(aged(MAX_LOOSE_PER_DEVICE, MAX_LOOSE)),
            malformed: Aged::new(aged(MAX_MALFORMED_PER_DEVICE, MAX_MALFORMED)),
            read: Aged::new(aged(MAX_READ_PER_DEVICE, MAX_READ)),
            unfinished: 0,
            unlike: 0,
            segments_dropped: 0,
            contradictory: 0,
        }
    }
}

impl HellosBook {
    /// Enters a piece of what a device sends first. `Some`: what the pieces so far say; later ones may say more, or
    /// take it back. What is said of one beginning always has the same moment.
    ///
    /// # Errors
    /// [`Stop`] if the hello or request is none that can be read.
    pub fn learn_segment(
        &mut self,
        flow: FlowKey,
        at: BootTime,
        seq: u32,
        payload: &[u8],
    ) -> Result<Option<Said>, Stop> {
        let (seq, payload) = match self.compare_with_read(&flow, at, seq, payload) {
            Compared::New(seq, payload) => (seq, payload),
            Compared::Before(read) => {
                self.unread(flow, read);
                (seq, payload)
            }
            Compared::Known => return Ok(None),
            Compared::Contradicts(said) => return Ok(Some(said)),
        };
        let (mut stream, was) = self.stream_of(&flow, at);
        match stream.add(seq, at, payload) {
            Added::Kept => {}
            // Nothing new: what can be read of it was read.
            added @ (Added::Known | Added::NoRoom) => {
                let dropped = u64::from(added == Added::NoRoom);
                self.segments_dropped = self.segments_dropped.saturating_add(dropped);
                self.put_back(flow, stream, was);
                return Ok(None);
            }
            Added::Contradicts => return Ok(self.contradicted(flow, seq, at, &stream)),
        }
        match stream.find() {
            // What follows a TLS hello is no piece of one.
            Found::Nothing if self.follows_tls(&flow, seq) => Ok(None),
            Found::Nothing => {
                self.unlike = self.unlike.saturating_add(self.loose.insert(flow, stream));
                Ok(None)
            }
            Found::Part(said) => {
                // What was named before and is not now must not stay named.
                let tells = said.name.is_some() || stream.named.is_some();
                if tells {
                    stream.named = Some((said.at, said.application));
                }
                self.unfinished = self.unfinished.saturating_add(self.begun.insert(flow, stream));
                Ok(tells.then_some(said))
            }
            // It may be the inside of another that is not here yet.
            Found::Whole { said, seq, .. } if stream.reaches_before(seq) => {
                stream.named = Some((said.at, said.application));
                self.unfinished = self.unfinished.saturating_add(self.begun.insert(flow, stream));
                Ok(Some(said))
            }
            Found::Whole { said, seq, bytes } => {
                let (at, application) = (said.at, said.application);
                self.read.insert(flow, Read { seq, bytes, at, application, is_contradictory: false });
                Ok(Some(said))
            }
            Found::Malformed => self.malformed(flow, stream, was),
        }
    }

    /// Keeps what no honest sender wrote: another copy of a place in it may come that can be read, and must not be
    /// believed then. It is an error once, and takes back what its first part was named by.
    fn malformed(&mut self, flow: FlowKey, stream: Stream, was: Kept) -> Result<Option<Said>, Stop> {
        let named = stream.named;
        self.malformed.insert(flow, stream);
        match named {
            Some((at, application)) => Ok(Some(Said::nobody(application, at))),
            None if was == Kept::Malformed => Ok(None),
            None => Err(Stop::from(WireError::Malformed { field: "opening", found: 0 })),
        }
    }

    /// Lets go of pieces whose rest did not come, and counts them.
    pub fn give_up(&mut self, now: BootTime) {
        let kept_for = STREAM_KEPT_SECS.saturating_mul(SECOND);
        let is_over = |at: Option<BootTime>| at.is_none_or(|at| now.since(at) > kept_for);
        let given_up = self.begun.remove_where(|stream| is_over(stream.began_at()));
        self.unfinished = self.unfinished.saturating_add(given_up);
        let given_up = self.loose.remove_where(|stream| is_over(stream.began_at()));
        self.unlike = self.unlike.saturating_add(given_up);
        self.malformed.remove_where(|stream| is_over(stream.began_at()));
        self.read.remove_where(|read| is_over(Some(read.at)));
    }

    /// Holds a piece against the beginning that was read in this conversation last.
    fn compare_with_read<'a>(
        &mut self,
        flow: &FlowKey,
        at: BootTime,
        seq: u32,
        payload: &'a [u8],
    ) -> Compared<'a> {
        let Some(read) = self.read.get_mut(flow) else { return Compared::New(seq, payload) };
        if at.since(read.at) > STREAM_LASTS_SECS.saturating_mul(SECOND) {
            self.read.remove(flow);
            return Compared::New(seq, payload);
        }
        if read.is_contradictory {
            let is_near = distance(read.seq, seq).is_some() || distance(seq, read.seq).is_some();
            return if is_near { Compared::Known } else { Compared::New(seq, payload) };
        }
        if differ((read.seq, &read.bytes), (seq, payload)) {
            read.bytes = Vec::new();
            read.is_contradictory = true;
            self.contradictory = self.contradictory.saturating_add(1);
            return Compared::Contradicts(Said::nobody(read.application, read.at));
        }
        // What goes beyond is new.
        let Some(behind) = distance(read.seq, seq) else {
            let is_before = distance(seq, read.seq).is_some();
            let read = is_before.then(|| self.read.remove(flow)).flatten();
            return read.map_or(Compared::New(seq, payload), Compared::Before);
        };
        let known = read.bytes.len().saturating_sub(behind);
        match payload.get(known..) {
            Some(rest) if !rest.is_empty() => {
                Compared::New(seq.wrapping_add(u32::try_from(known).unwrap_or(u32::MAX)), rest)
            }
            _ => Compared::Known,
        }
    }

    /// Takes what was read for a piece like others: something comes before it, so it may be the inside of another
    /// beginning that it overtook.
    fn unread(&mut self, flow: FlowKey, read: Read) {
        let (mut stream, _) = self.stream_of(&flow, read.at);
        if stream.add(read.seq, read.at, &read.bytes) == Added::Kept {
            stream.named = Some((read.at, read.application));
        }
        self.unfinished = self.unfinished.saturating_add(self.begun.insert(flow, stream));
    }

    /// Was a TLS hello read in this conversation not far before this place?
    fn follows_tls(&self, flow: &FlowKey, seq: u32) -> bool {
        self.read.get(flow).is_some_and(|read| {
            matches!(read.application, Application::Tls | Application::Dot)
                && distance(read.seq, seq).is_some()
        })
    }

    /// Remembers that this conversation's beginning is not to be believed; takes back what it was named by.
    fn contradicted(&mut self, flow: FlowKey, seq: u32, at: BootTime, stream: &Stream) -> Option<Said> {
        self.contradictory = self.contradictory.saturating_add(1);
        let (at, application) = stream.named.unwrap_or((at, Application::Unknown));
        self.read.insert(flow, Read { seq, bytes: Vec::new(), at, application, is_contradictory: true });
        stream.named.map(|(at, application)| Said::nobody(application, at))
    }

    /// Keeps pieces where they were kept before.
    fn put_back(&mut self, flow: FlowKey, stream: Stream, was: Kept) {
        if stream.began_at().is_none() {
            return;
        }
        match was {
            Kept::Begun => self.unfinished = self.unfinished.saturating_add(self.begun.insert(flow, stream)),
            Kept::Loose => self.unlike = self.unlike.saturating_add(self.loose.insert(flow, stream)),
            Kept::Malformed => _ = self.malformed.insert(flow, stream),
        }
    }

    /// The pieces of this conversation that may still belong together, and where they were kept.
    fn stream_of(&mut self, flow: &FlowKey, at: BootTime) -> (Stream, Kept) {
        let begun = self.begun.remove(flow).map(|stream| (stream, Kept::Begun));
        let loose = self.loose.remove(flow).map(|stream| (stream, Kept::Loose));
        let malformed = self.malformed.remove(flow).map(|stream| (stream, Kept::Malformed));
        let Some((mut stream, was)) = begun.or(loose).or(malformed) else {
            return (Stream::default(), Kept::Loose);
        };
        if !stream.keep_recent(at, STREAM_LASTS_SECS.saturating_mul(SECOND)) {
            match was {
                Kept::Begun => self.unfinished = self.unfinished.saturating_add(1),
                Kept::Loose => self.unlike = self.unlike.saturating_add(1),
                Kept::Malformed => {}
            }
            return (Stream::default(), Kept::Loose);
        }
        (stream, was)
    }
}

/// Where pieces of a conversation are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kept {
    Begun,
    Loose,
    Malformed,
}

/// A piece held against what was read before.
enum Compared<'a> {
    /// It is new, or the rest of it is.
    New(u32, &'a [u8]),
    /// It is new, and stands before what was taken for the beginning.
    Before(Read),
    /// It was there, or is not to be believed.
    Known,
    /// Two copies of one place differ; this takes back what was said.
    Contradicts(Said),
}

#[cfg(test)]
mod tests;
