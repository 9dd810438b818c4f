//! Pieces of the beginning of one TCP stream, and what can be read from them.

use super::opening::{Opening, almost_request};
use super::{MAX_SEGMENTS, MAX_STREAM_LEN};
use crate::application::Application;
use crate::row::Said;
use crate::units::BootTime;
use crate::wire::WireError;
use std::cmp::Reverse;

/// How many beginnings are read for one new piece. Each may be as long as all pieces together; an honest sender's
/// is the first, or the second behind one that only looks like it.
const MAX_OPENINGS_READ: usize = 4;

/// Pieces in the order they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    pieces: Vec<Piece>,
    /// The moment and protocol that it was named with already, by a part of its beginning.
    pub(super) named: Option<(BootTime, Application)>,
}

#[derive(Clone, Debug)]
struct Piece {
    seq: u32,
    at: BootTime,
    bytes: Vec<u8>,
}

/// What became of a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Added {
    /// It is here now.
    Kept,
    /// It was here before.
    Known,
    /// There is no room for it.
    NoRoom,
    /// It differs from what is here.
    Contradicts,
}

/// What can be read.
#[derive(Debug)]
pub(super) enum Found {
    /// No piece looks like a beginning.
    Nothing,
    /// A beginning that is not whole, and what it says so far.
    Part(Said),
    /// A whole beginning, what it says, and what it is made of.
    Whole { said: Said, seq: u32, bytes: Vec<u8> },
    /// A beginning that no honest sender wrote.
    Malformed,
}

/// Bytes without a gap between them.
struct Run {
    seq: u32,
    bytes: Vec<u8>,
    /// Where pieces begin in it, and which in the order they came.
    starts: Vec<(usize, usize)>,
}

/// How far `seq` is ahead of `from`, if it is and not too far for one beginning.
pub(super) fn distance(from: u32, seq: u32) -> Option<usize> {
    usize::try_from(seq.wrapping_sub(from)).ok().filter(|ahead| *ahead < MAX_STREAM_LEN)
}

/// Do two pieces have different bytes for one place?
pub(super) fn differ((a_seq, a): (u32, &[u8]), (b_seq, b): (u32, &[u8])) -> bool {
    let differ_from = |ahead: usize, early: &[u8], late: &[u8]| {
        early.get(ahead..).unwrap_or_default().iter().zip(late).any(|(one, other)| one != other)
    };
    match (distance(a_seq, b_seq), distance(b_seq, a_seq)) {
        (Some(ahead), _) => differ_from(ahead, a, b),
        (None, Some(ahead)) => differ_from(ahead, b, a),
        (None, None) => false,
    }
}

impl Stream {
    /// When the oldest of its pieces came.
    pub(super) fn began_at(&self) -> Option<BootTime> {
        self.pieces.iter().map(|piece| piece.at).min()
    }

    /// Lets pieces go that are older than this by now; `false` if that leaves nothing.
    pub(super) fn keep_recent(&mut self, now: BootTime, for_ns: u64) -> bool {
        self.pieces.retain(|piece| now.since(piece.at) <= for_ns);
        !self.pieces.is_empty()
    }

    /// Keeps a piece, unless it is here already.
    pub(super) fn add(&mut self, seq: u32, at: BootTime, payload: &[u8]) -> Added {
        if self.pieces.iter().any(|piece| differ((piece.seq, &piece.bytes), (seq, payload))) {
            return Added::Contradicts;
        }
        let is_within = |piece: &Piece| {
            distance(piece.seq, seq).is_some_and(|ahead| {
                piece.bytes.len().checked_sub(ahead).is_some_and(|left| left >= payload.len())
            })
        };
        if self.pieces.iter().any(is_within) {
            return Added::Known;
        }
        let held: usize = self.pieces.iter().map(|piece| piece.bytes.len()).sum();
        if self.pieces.len() >= MAX_SEGMENTS || held.saturating_add(payload.len()) > MAX_STREAM_LEN {
            return Added::NoRoom;
        }
        self.pieces.push(Piece { seq, at, bytes: payload.to_vec() });
        Added::Kept
    }

    /// Reads what is here. Where several pieces look like beginnings, the one that came last counts, for ports are
    /// used again; but of those in one run of bytes the first, for the inside of a hello may look like anything.
    /// A beginning that is whole goes before those of other runs. What stands in a run behind one that is not
    /// malformed is not read, nor more than [`MAX_OPENINGS_READ`] of them in all.
    pub(super) fn find(&self) -> Found {
        let mut runs: Vec<(usize, Run, Openings)> = self.runs().into_iter().filter_map(openings_in).collect();
        runs.sort_by_key(|(turn, ..)| Reverse(*turn));
        let mut part: Option<Said> = None;
        let mut is_malformed = false;
        let mut unread = MAX_OPENINGS_READ;
        for (_, run, openings) in runs {
            for (start, opening) in openings {
                let Some(left) = unread.checked_sub(1) else { break };
                unread = left;
                let bytes = run.bytes.get(start..).unwrap_or_default();
                let seq = run.seq.wrapping_add(u32::try_from(start).unwrap_or(u32::MAX));
                let (said, ended) = opening.read(bytes, self.first_at(seq));
                match ended {
                    Ok(()) => return Found::Whole { said, seq, bytes: bytes.to_vec() },
                    Err(WireError::Malformed { .. }) => is_malformed = true,
                    Err(WireError::Truncated { .. }) => {
                        if part.as_ref().is_none_or(|part| part.name.is_none() && said.name.is_some()) {
                            part = Some(said);
                        }
                        break;
                    }
                }
            }
        }
        match part {
            Some(said) => Found::Part(said),
            None if is_malformed => Found::Malformed,
            None => self.find_almost(),
        }
    }

    /// Where nothing looks like a beginning: a request that is none by its first line. Only where a run begins, for
    /// the inside of something else may look like it; of several the one that came last.
    fn find_almost(&self) -> Found {
        let mut runs = self.runs();
        runs.sort_by_key(|run| Reverse(run.starts.first().map(|(_, turn)| *turn)));
        let found = runs.into_iter().find_map(|Run { seq, bytes, .. }| {
            let said = almost_request(&bytes, self.first_at(seq))?;
            Some(Found::Whole { said, seq, bytes })
        });
        found.unwrap_or(Found::Nothing)
    }

    /// Is there a piece before this place, and not too far for one beginning?
    pub(super) fn reaches_before(&self, seq: u32) -> bool {
        self.pieces.iter().any(|piece| distance(piece.seq, seq).is_some_and(|ahead| ahead > 0))
    }

    /// When the first piece of the beginning at this place came. It stays the same when more of it comes.
    fn first_at(&self, seq: u32) -> BootTime {
        let of_it = self.pieces.iter().filter(|piece| distance(seq, piece.seq).is_some());
        of_it.map(|piece| piece.at).min().unwrap_or_default()
    }

    fn runs(&self) -> Vec<Run> {
        let Some(base) = self.pieces.first().map(|piece| piece.seq) else { return Vec::new() };
        // Before or behind the first that came: the half of all numbers that is nearer (RFC 9293 §3.4).
        let place = |piece: &Piece| piece.seq.wrapping_sub(base).cast_signed();
        let mut pieces: Vec<(usize, &Piece)> = self.pieces.iter().enumerate().collect();
        pieces.sort_by_key(|(turn, piece)| (place(piece), *turn));
        let mut runs: Vec<Run> = Vec::new();
        for (turn, piece) in pieces {
            if let Some(run) = runs.last_mut()
                && let Some(ahead) = distance(run.seq, piece.seq)
                && let Some(seen) = run.bytes.len().checked_sub(ahead)
            {
                run.bytes.extend_from_slice(piece.bytes.get(seen..).unwrap_or_default());
                run.starts.push((ahead, turn));
                continue;
            }
            runs.push(Run { seq: piece.seq, bytes: piece.bytes.clone(), starts: vec![(0, turn)] });
        }
        runs
    }
}

/// Places in a run, and what begins there.
type Openings = Vec<(usize, Opening)>;

/// The places of a run at which pieces begin that look like beginnings, and which of those pieces came last.
fn openings_in(run: Run) -> Option<(usize, Run, Openings)> {
    let mut openings = Openings::new();
    let mut last = None;
    for (start, turn) in &run.starts {
        if let Some(opening) = run.bytes.get(*start..).and_then(Opening::of) {
            openings.push((*start, opening));
            last = last.max(Some(*turn));
        }
    }
    // Several pieces may begin at one place.
    openings.dedup();
    Some((last?, run, openings))
}
