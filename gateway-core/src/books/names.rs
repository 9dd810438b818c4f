//! Which names the DNS gave each device for an address, and for how long an answer vouches.

mod answer;
mod holders;

use super::aged::{Aged, Limits};
use crate::fact::Asker;
use crate::row;
use crate::units::{BootTime, DomainName, Mac};
use crate::wire::dns::{Answered, AnsweredAddr};
use answer::{Answer, by_own_ttl, enter, is_apart, is_only, vouches_for};
use core::net::IpAddr;
use holders::Holders;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many addresses are kept per device: a phone meets some hundreds a day.
pub const MAX_ADDRS_PER_DEVICE: usize = 2048;
/// How many in all: some 4 MiB at worst, and a household's day in practice.
pub const MAX_ADDRS: usize = 16_384;
/// How many CNAMEs are kept of an answer, to know that two names are one: real chains have two to five.
pub const MAX_CHAIN: usize = 8;
/// How many addresses of one answer are kept. Real ones have up to some dozens; more would push out what is known of
/// others.
pub const MAX_ADDRS_PER_ANSWER: usize = 64;
/// How many answers one drain may tell of. The others wait for the next one; none is lost, as the book is bounded.
pub const MAX_NEW_PER_DRAIN: usize = 4096;

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
    holders: Holders,
    /// Where there are answers that were not told of.
    untold: BTreeSet<(Mac, IpAddr)>,
    /// Addresses, answers and devices that left to make room, and CNAMEs and addresses for which there was none.
    pub evicted: u64,
}

impl Default for NamesBook {
    fn default() -> Self {
        let limits = Limits { per_device: MAX_ADDRS_PER_DEVICE, in_all: MAX_ADDRS };
        let (answers, holders) = (Aged::new(limits), Holders::default());
        Self { answers, holders, untold: BTreeSet::new(), evicted: 0 }
    }
}

impl NamesBook {
    /// Somebody with this address did something: asked, or had a conversation.
    pub fn see(&mut self, somebody: Asker, at: BootTime) {
        self.evicted = self.evicted.saturating_add(self.holders.note(somebody, at));
    }

    /// Enters an answer that passed at `at`.
    pub fn learn(&mut self, asker: Asker, at: BootTime, answered: &Answered) {
        self.see(asker, at);
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

    /// Is an answer's asker the one of the conversation? Where several devices share a MAC address, what was asked
    /// over IPv6 may be any one's.
    fn is_settled_by(&self, answer: &Answer, asker: &Asker, latest: BootTime) -> bool {
        answer.asker.ipv4.is_some() == asker.ipv4.is_some() || !self.holders.are_several(asker.device, latest)
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
            self.see(asker, latest_at);
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

#[cfg(test)]
mod tests;
