//! Which names the DNS gave each device for an address, and for how long an answer vouches.

use super::aged::{Aged, Limits};
use crate::fact::Asker;
use crate::row;
use crate::units::{BootTime, DomainName, Mac};
use crate::wire::dns::{Answered, AnsweredAddr};
use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many addresses are kept per device: a phone meets some hundreds a day.
pub const MAX_ADDRS_PER_DEVICE: usize = 2048;
/// How many in all: some 4 MiB at worst, and a household's day in practice.
pub const MAX_ADDRS: usize = 16_384;
/// How many answers are kept per address. A content network's address serves many names; each one between two
/// conversations matters, those of an hour ago do not.
pub const MAX_ANSWERS_PER_ADDR: usize = 16;
/// How many CNAMEs are kept of an answer, to know that two names are one: real chains have two to five.
pub const MAX_CHAIN: usize = 8;
/// How many addresses of one answer are kept. Real ones have up to some dozens; more would push out what is known of
/// others.
pub const MAX_ADDRS_PER_ANSWER: usize = 64;
/// Of how many devices it is known from which IPv4 addresses they ask: as many as the house may have.
pub const MAX_ASKING_DEVICES: usize = 1024;
/// How many answers one drain may tell of. The others wait for the next one; none is lost, as the book is bounded.
pub const MAX_NEW_PER_DRAIN: usize = 4096;

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

#[derive(Clone, Debug)]
struct Answer {
    asker: Asker,
    name: DomainName,
    /// The CNAMEs on the way, shared by the addresses of one answer.
    chain: Arc<[DomainName]>,
    /// When it passed, the first time of a row of equal ones of which each came while the one before was fresh.
    answered_at: BootTime,
    /// When it passed the last time.
    latest_at: BootTime,
    /// And the time before that.
    before_at: BootTime,
    /// The TTL it had the last time.
    ttl_secs: u32,
    /// Until when it vouches by the shortest TTL of its chain.
    vouches_until: BootTime,
    /// Until when it vouches by the address record's own TTL: the address stays its owner's so long, and a program
    /// that holds it in hand does not ask again for the alias that led there. No earlier than `vouches_until`.
    held_until: BootTime,
    /// Is it new, or was it prolonged, since it was told of the last time?
    is_new: bool,
}

impl Answer {
    /// Are both names of one thing: the same, or one on the other's chain of CNAMEs? Two names with chains that
    /// meet in a third are not: a content network's customers all do.
    fn is_akin(&self, other: &Self) -> bool {
        self.name == other.name || self.chain.contains(&other.name) || other.chain.contains(&self.name)
    }

    /// Until when it is fresh by its own TTL.
    fn fresh_until(&self) -> BootTime {
        let ttl_ns = u64::from(self.ttl_secs).saturating_mul(SECOND);
        BootTime(self.latest_at.0.saturating_add(ttl_ns))
    }

    /// When it was given the last time before this moment, as far as is known.
    fn given_before(&self, moment: BootTime) -> BootTime {
        let moments = [self.latest_at, self.before_at];
        moments.into_iter().find(|at| *at <= moment).unwrap_or(self.answered_at)
    }

    fn row(&self, addr: IpAddr) -> row::Answer {
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

/// From which IPv4 addresses one MAC address asks.
#[derive(Clone, Copy, Debug)]
struct Askers {
    /// The one that asked last.
    ipv4: Ipv4Addr,
    asked_at: BootTime,
    /// When any other asked the last time.
    other_at: Option<BootTime>,
}

impl Askers {
    fn note(&mut self, ipv4: Ipv4Addr, at: BootTime) {
        if self.ipv4 != ipv4 {
            self.other_at = self.other_at.max(Some(self.asked_at.min(at)));
            if at >= self.asked_at {
                self.ipv4 = ipv4;
            }
        }
        self.asked_at = self.asked_at.max(at);
    }

    /// Did several ask within the time that an answer may vouch for? A device whose address changed is alone again
    /// after it.
    fn are_several(&self, now: BootTime) -> bool {
        self.other_at.is_some_and(|at| now.since(at) <= vouches_for(u32::MAX))
    }
}

/// What the DNS said of an address to a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked<'a> {
    /// Nothing that still vouches.
    Nothing,
    /// A name to take.
    Vouched(Vouched<'a>),
    /// Several names, and nothing to tell which of them is meant.
    Undecided,
}

/// A name that the DNS vouches for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vouched<'a> {
    /// The name; of several that are one by a chain of CNAMEs, the one asked for last.
    pub name: &'a DomainName,
    /// When the answer passed.
    pub answered_at: BootTime,
    /// Do other names vouch as well?
    pub has_rivals: bool,
    /// Was the answer older than its shortest TTL?
    pub is_stretched: bool,
}

impl<'a> Asked<'a> {
    /// The name, if there is one.
    #[must_use]
    pub fn name(self) -> Option<&'a DomainName> {
        match self {
            Self::Vouched(vouched) => Some(vouched.name),
            Self::Nothing | Self::Undecided => None,
        }
    }
}

/// Answers per device and address, oldest first.
#[derive(Clone, Debug)]
pub struct NamesBook {
    answers: Aged<(Mac, IpAddr), Vec<Answer>>,
    askers: Aged<Mac, Askers>,
    /// Where there are answers that were not told of.
    untold: BTreeSet<(Mac, IpAddr)>,
    /// Addresses and answers that left to make room, and CNAMEs and addresses for which there was none.
    pub evicted: u64,
}

impl Default for NamesBook {
    fn default() -> Self {
        let limits = Limits { per_device: MAX_ADDRS_PER_DEVICE, in_all: MAX_ADDRS };
        let askers = Aged::new(Limits { per_device: 1, in_all: MAX_ASKING_DEVICES });
        Self { answers: Aged::new(limits), askers, untold: BTreeSet::new(), evicted: 0 }
    }
}

impl NamesBook {
    /// Enters an answer that passed at `at`.
    pub fn learn(&mut self, asker: Asker, at: BootTime, answered: &Answered) {
        self.note(asker, at);
        let Answered { name, aliases, addrs } = answered;
        let chain: Arc<[DomainName]> = aliases.iter().take(MAX_CHAIN).cloned().collect();
        self.count_left_out(aliases.len(), MAX_CHAIN);
        self.count_left_out(addrs.len(), MAX_ADDRS_PER_ANSWER);
        for AnsweredAddr { addr, ttl_secs, own_ttl_secs } in addrs.iter().take(MAX_ADDRS_PER_ANSWER) {
            let after = |ttl_secs| BootTime(at.0.saturating_add(vouches_for(ttl_secs)));
            let answer = Answer {
                asker,
                name: name.clone(),
                chain: Arc::clone(&chain),
                answered_at: at,
                latest_at: at,
                before_at: at,
                ttl_secs: *ttl_secs,
                vouches_until: after(*ttl_secs),
                held_until: after(*own_ttl_secs).max(after(*ttl_secs)),
                is_new: true,
            };
            self.enter(*addr, answer);
            self.untold.insert((asker.device, *addr));
        }
        // It may name addresses that were forgotten since, and no more than those.
        if self.untold.len() > MAX_ADDRS.saturating_mul(2) {
            self.untold.retain(|key| self.answers.get(key).is_some());
        }
    }

    fn note(&mut self, Asker { device, ipv4 }: Asker, at: BootTime) {
        let Some(ipv4) = ipv4 else { return };
        match self.askers.get_mut(&device) {
            Some(askers) => {
                askers.note(ipv4, at);
                self.askers.touch(&device);
            }
            None => drop(self.askers.put(device, Askers { ipv4, asked_at: at, other_at: None })),
        }
    }

    /// Is an answer's asker the one of the conversation? Where several devices share a MAC address, what was asked
    /// over IPv6 may be any one's.
    fn is_settled_by(&self, answer: &Answer, asker: &Asker, latest: BootTime) -> bool {
        answer.asker.ipv4.is_some() == asker.ipv4.is_some()
            || !self.askers.get(&asker.device).is_some_and(|askers| askers.are_several(latest))
    }

    fn count_left_out(&mut self, count: usize, max: usize) {
        let left_out = u64::try_from(count.saturating_sub(max)).unwrap_or(u64::MAX);
        self.evicted = self.evicted.saturating_add(left_out);
    }

    fn enter(&mut self, addr: IpAddr, answer: Answer) {
        let key = (answer.asker.device, addr);
        match self.answers.get_mut(&key) {
            Some(known) => {
                self.evicted = self.evicted.saturating_add(enter(known, answer));
                self.answers.touch(&key);
            }
            None => self.evicted = self.evicted.saturating_add(self.answers.insert(key, vec![answer])),
        }
    }

    /// What this device asked for before a conversation that began between `earliest` and `latest`, of that which
    /// still vouched for the address then. (A conversation whose beginning is known has both the same.)
    ///
    /// Of several names the one asked for last is taken, if time tells them apart. Names that vouch by nothing but
    /// their address record's TTL give way to all others, and one of them is taken only if it is the only one and no
    /// other was given after it.
    #[must_use]
    pub fn asked_before(
        &self,
        asker: Asker,
        addr: IpAddr,
        (earliest, latest): (BootTime, BootTime),
    ) -> Asked<'_> {
        let Some(answers) = self.answers.get(&(asker.device, addr)) else { return Asked::Nothing };
        let given = || answers.iter().filter(|a| a.asker.may_be(&asker) && a.answered_at <= latest);
        let vouching = || given().filter(|a| earliest <= a.vouches_until);
        let Some(taken) = vouching().max_by_key(|a| a.given_before(latest)) else {
            let held = || given().filter(|a| earliest <= a.held_until);
            let Some(taken) = held().max_by_key(|a| a.given_before(latest)) else { return Asked::Nothing };
            let is_sure =
                self.is_settled_by(taken, &asker, latest) && is_only(taken, held(), given(), latest);
            return if is_sure { Asked::Vouched(by_own_ttl(taken, latest)) } else { Asked::Undecided };
        };
        if !self.is_settled_by(taken, &asker, latest) {
            return Asked::Undecided;
        }
        let given_at = taken.given_before(latest);
        let rivals = || vouching().filter(|other| !other.is_akin(taken));
        // It may have begun before the last of several answers, or be another device's behind the same address.
        let is_settled = |other: &Answer| {
            given_at <= earliest
                && other.asker.may_be(&taken.asker)
                && is_apart(other.given_before(latest), given_at, (earliest, latest))
        };
        if !rivals().all(is_settled) {
            return Asked::Undecided;
        }
        Asked::Vouched(Vouched {
            name: &taken.name,
            answered_at: given_at,
            has_rivals: rivals().next().is_some(),
            is_stretched: taken.fresh_until() < latest,
        })
    }

    /// What is new or prolonged since it was told of the last time: [`MAX_NEW_PER_DRAIN`] at most, the others at the
    /// next call.
    pub fn take_new(&mut self) -> Vec<row::Answer> {
        let mut new = Vec::new();
        while let Some(key) = self.untold.first().copied() {
            let Some(answers) = self.answers.get_mut(&key) else {
                self.untold.remove(&key); // It was forgotten since.
                continue;
            };
            for answer in answers.iter_mut().filter(|answer| answer.is_new) {
                if new.len() >= MAX_NEW_PER_DRAIN {
                    return new;
                }
                answer.is_new = false;
                new.push(answer.row(key.1));
            }
            self.untold.remove(&key);
        }
        new
    }

    /// Enters what was known before a restart. It is bounded as what is learned, and not new.
    pub fn restore(&mut self, answers: Vec<row::Answer>) {
        for answer in answers {
            let row::Answer { device, asker_ipv4, addr, name, chain, answered_at, vouches_until, ttl_secs } =
                answer;
            self.count_left_out(chain.len(), MAX_CHAIN);
            // How long the address record's own TTL was is not stored: by it nothing vouches after a restart.
            let latest_at = BootTime(vouches_until.0.saturating_sub(vouches_for(ttl_secs))).max(answered_at);
            let chain = chain.into_iter().take(MAX_CHAIN).collect();
            let asker = Asker { device, ipv4: asker_ipv4 };
            self.note(asker, latest_at);
            self.enter(
                addr,
                Answer {
                    asker,
                    name,
                    chain,
                    answered_at,
                    latest_at,
                    before_at: answered_at,
                    ttl_secs,
                    vouches_until,
                    held_until: vouches_until,
                    is_new: false,
                },
            );
        }
    }
}

/// Of answers that vouch only by their address record's TTL, is this the only name? One that was given after it makes
/// it doubtful even when its own time is over: the address has moved on.
fn is_only<'a>(
    taken: &Answer,
    mut held: impl Iterator<Item = &'a Answer>,
    mut given: impl Iterator<Item = &'a Answer>,
    latest: BootTime,
) -> bool {
    let given_at = taken.given_before(latest);
    held.all(|other| other.is_akin(taken) && other.asker.may_be(&taken.asker))
        && given.all(|other| other.is_akin(taken) || other.given_before(latest) < given_at)
}

fn by_own_ttl(taken: &Answer, latest: BootTime) -> Vouched<'_> {
    let answered_at = taken.given_before(latest);
    Vouched { name: &taken.name, answered_at, has_rivals: false, is_stretched: true }
}

/// Are two answers so far apart that a conversation which began between `earliest` and `latest` is for the later one?
fn is_apart(earlier_at: BootTime, later_at: BootTime, (earliest, latest): (BootTime, BootTime)) -> bool {
    let apart_ns = later_at.since(earlier_at);
    let is_at_once = earliest == latest
        && apart_ns >= MIN_APART_AT_ONCE_MS.saturating_mul(1_000_000)
        && latest.since(earlier_at) >= latest.since(later_at).saturating_mul(AT_ONCE_TIMES);
    apart_ns >= MIN_APART_SECS.saturating_mul(SECOND) || is_at_once
}

/// Puts an answer in its place by time; tells how many left for it that may still have been of use.
fn enter(known: &mut Vec<Answer>, answer: Answer) -> u64 {
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

#[cfg(test)]
mod tests;
