//! One answer of the DNS: how long it vouches, which of several it takes, and which leaves when an address has too many.

use super::Vouched;
use crate::fact::Asker;
use crate::row;
use crate::units::{BootTime, DomainName};
use core::net::IpAddr;
use std::sync::Arc;

/// How many answers are kept per address. A content network's address serves many names; each one between two
/// conversations matters, those of an hour ago do not.
pub const MAX_ANSWERS_PER_ADDR: usize = 16;
const SECOND: u64 = 1_000_000_000;
/// The shortest time an answer vouches for. Programs keep an answer for a minute whatever its TTL says: Chromium
/// and Firefox both do not ask again before.
pub const VOUCHES_AT_LEAST_SECS: u64 = 60;
/// How long past its TTL an answer may still be used: Firefox serves an expired answer for one more minute while
/// it asks anew, and a program that holds an address in hand opens its conversation some time after.
pub const CLIENT_STRETCH_SECS: u64 = 60;
/// The longest TTL that is believed. Addresses of rented servers change hands within days (RFC 8767 §4 has
/// resolvers cap TTLs at a week); a name that is used is asked for again before.
pub const MAX_TTL_SECS: u64 = 86_400;

/// Two answers this far apart tell which of their names a conversation is for: the last one asked for before it
/// began. Pages and programs ask for the names that they need in a burst, and connect within the second; a stub that
/// gets no answer to AAAA waits for a second or two (RFC 8305 §3 bids it not to wait, older programs do) and connects
/// then.
pub const MIN_APART_SECS: u64 = 2;
/// Two answers this far apart do so as well, if the conversation began right after the last of them. A program that
/// has one address waits 50 ms for the other family's, and less than this in all (RFC 8305 §3).
pub const MIN_APART_AT_ONCE_MS: u64 = 100;
/// "Right after": the other answer is this many times as old at least.
pub const AT_ONCE_TIMES: u64 = 4;

/// How long after it passed an answer of this TTL vouches for, in nanoseconds.
#[must_use]
pub fn vouches_for(ttl_secs: u32) -> u64 {
    let ttl = u64::from(ttl_secs).clamp(VOUCHES_AT_LEAST_SECS, MAX_TTL_SECS);
    ttl.saturating_add(CLIENT_STRETCH_SECS).saturating_mul(SECOND)
}

/// What the DNS told of one address, once or again and again.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) asker: Asker,
    pub(super) name: DomainName,
    /// The CNAMEs on the way, shared by the addresses of one answer.
    pub(super) chain: Arc<[DomainName]>,
    /// When it passed, the first time of a row of equal ones of which each came while the one before was fresh.
    pub(super) answered_at: BootTime,
    /// When it passed the last time.
    pub(super) latest_at: BootTime,
    /// And the time before that.
    pub(super) before_at: BootTime,
    /// The TTL it had the last time.
    pub(super) ttl_secs: u32,
    /// Until when it vouches by the shortest TTL of its chain.
    pub(super) vouches_until: BootTime,
    /// Until when it vouches by the address record's own TTL: the address stays its owner's so long, and a program
    /// that holds it in hand does not ask again for the alias that led there. No earlier than `vouches_until`.
    pub(super) held_until: BootTime,
    /// Is it new, or was it prolonged, since it was told of the last time?
    pub(super) is_new: bool,
}

impl Answer {
    /// Are both names of one thing: the same, or one on the other's chain of CNAMEs? Two names with chains that
    /// meet in a third are not: a content network's customers all do.
    pub(super) fn is_akin(&self, other: &Self) -> bool {
        self.name == other.name || self.chain.contains(&other.name) || other.chain.contains(&self.name)
    }

    /// Until when it is fresh by its own TTL.
    pub(super) fn fresh_until(&self) -> BootTime {
        let ttl_ns = u64::from(self.ttl_secs).saturating_mul(SECOND);
        BootTime(self.latest_at.0.saturating_add(ttl_ns))
    }

    /// When it was given the last time before this moment, as far as is known.
    pub(super) fn given_before(&self, moment: BootTime) -> BootTime {
        let moments = [self.latest_at, self.before_at];
        moments.into_iter().find(|at| *at <= moment).unwrap_or(self.answered_at)
    }

    pub(super) fn row(&self, addr: IpAddr) -> row::Answer {
        let Self { asker, name, chain, answered_at, ttl_secs, vouches_until, .. } = self;
        row::Answer {
            device: asker.device,
            asker_ipv4: asker.ipv4,
            addr,
            name: name.clone(),
            chain: chain.to_vec(),
            answered_at: *answered_at,
            vouches_until: *vouches_until,
            ttl_secs: *ttl_secs,
        }
    }
}

/// Of answers that vouch only by their address record's TTL, is this the only name? One that was given after it makes
/// it doubtful even when its own time is over: the address has moved on.
pub(super) fn is_only<'a>(
    taken: &Answer,
    mut held: impl Iterator<Item = &'a Answer>,
    mut given: impl Iterator<Item = &'a Answer>,
    latest: BootTime,
) -> bool {
    let given_at = taken.given_before(latest);
    held.all(|other| other.is_akin(taken) && other.asker.may_be(&taken.asker))
        && given.all(|other| other.is_akin(taken) || other.given_before(latest) < given_at)
}

pub(super) fn by_own_ttl(taken: &Answer, latest: BootTime) -> Vouched<'_> {
    let answered_at = taken.given_before(latest);
    Vouched { name: &taken.name, answered_at, has_rivals: false, is_stretched: true }
}

/// Are two answers so far apart that a conversation which began between `earliest` and `latest` is for the later one?
pub(super) fn is_apart(
    earlier_at: BootTime,
    later_at: BootTime,
    (earliest, latest): (BootTime, BootTime),
) -> bool {
    let apart_ns = later_at.since(earlier_at);
    let is_at_once = earliest == latest
        && apart_ns >= MIN_APART_AT_ONCE_MS.saturating_mul(1_000_000)
        && latest.since(earlier_at) >= latest.since(later_at).saturating_mul(AT_ONCE_TIMES);
    apart_ns >= MIN_APART_SECS.saturating_mul(SECOND) || is_at_once
}

/// Puts an answer in its place by time; tells how many left for it that may still have been of use.
pub(super) fn enter(known: &mut Vec<Answer>, answer: Answer) -> u64 {
    // The same name again, while it was fresh and with no other one since: the old answer's word is prolonged. Its
    // moment must stay, or a conversation begun between the two would find no answer before it.
    let is_other = |a: &Answer| a.name != answer.name && a.asker.may_be(&answer.asker);
    let other_at = known.iter().filter(|a| is_other(a)).map(|a| a.latest_at).max();
    let same = known.iter_mut().rfind(|a| a.asker == answer.asker && a.name == answer.name);
    if let Some(same) = same
        && (same.answered_at..=same.fresh_until()).contains(&answer.answered_at)
        && other_at.is_none_or(|other_at| other_at < same.latest_at)
    {
        same.vouches_until = same.vouches_until.max(answer.vouches_until);
        same.held_until = same.held_until.max(answer.held_until);
        if answer.latest_at >= same.latest_at {
            same.before_at = same.latest_at;
            same.latest_at = answer.latest_at;
            same.ttl_secs = answer.ttl_secs;
            same.chain = answer.chain;
        }
        same.is_new |= answer.is_new;
        return 0;
    }
    let now = answer.latest_at;
    let place = known.partition_point(|a| a.answered_at <= answer.answered_at);
    known.insert(place, answer);
    if known.len() <= MAX_ANSWERS_PER_ADDR {
        return 0;
    }
    // Not the oldest: one that vouches for long may be the rival of what was asked often since.
    let until = |(_, a): &(usize, &Answer)| (a.vouches_until, a.held_until);
    let Some((place, _)) = known.iter().enumerate().min_by_key(until) else { return 0 };
    let left = known.remove(place);
    let is_repeated = known.iter().any(|a| a.asker == left.asker && a.name == left.name);
    u64::from(left.held_until >= now && !is_repeated)
}
