//! Which names the DNS gave each device for an address, and for how long an answer vouches.

use super::aged::{Aged, Limits};
use crate::fact::Asker;
use crate::row;
use crate::units::{BootTime, DomainName, Mac};
use crate::wire::dns::Answered;
use core::net::IpAddr;
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
    answered_at: BootTime,
    vouches_until: BootTime,
}

impl Answer {
    /// Are both names of one thing: the same, or one on the other's chain of CNAMEs? Two names with chains that
    /// meet in a third are not: a content network's customers all do.
    fn is_akin(&self, other: &Self) -> bool {
        self.name == other.name || self.chain.contains(&other.name) || other.chain.contains(&self.name)
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
    /// Was the answer older than its TTL?
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
    /// Addresses and answers that left to make room, and CNAMEs for which there was none.
    pub evicted: u64,
}

impl Default for NamesBook {
    fn default() -> Self {
        let limits = Limits { per_device: MAX_ADDRS_PER_DEVICE, in_all: MAX_ADDRS };
        Self { answers: Aged::new(limits), evicted: 0 }
    }
}

impl NamesBook {
    /// Enters an answer that passed at `at`.
    pub fn learn(&mut self, asker: Asker, at: BootTime, answered: &Answered) {
        let chain: Arc<[DomainName]> = answered.aliases.iter().take(MAX_CHAIN).cloned().collect();
        let cut = answered.aliases.len().saturating_sub(chain.len());
        self.evicted = self.evicted.saturating_add(u64::try_from(cut).unwrap_or(u64::MAX));
        for (addr, ttl_secs) in &answered.addrs {
            let key = (asker.device, *addr);
            let answer = Answer {
                asker,
                name: answered.name.clone(),
                chain: Arc::clone(&chain),
                answered_at: at,
                vouches_until: BootTime(at.0.saturating_add(vouches_for(*ttl_secs))),
            };
            match self.answers.get_mut(&key) {
                Some(known) => {
                    self.evicted = self.evicted.saturating_add(enter(known, answer));
                    self.answers.touch(&key);
                }
                None => self.evicted = self.evicted.saturating_add(self.answers.insert(key, vec![answer])),
            }
        }
    }

    /// What this device asked for before a conversation that began between `earliest` and `latest`, of that which
    /// still vouched for the address then. (A conversation whose beginning is known has both the same.)
    #[must_use]
    pub fn asked_before(
        &self,
        asker: Asker,
        addr: IpAddr,
        (earliest, latest): (BootTime, BootTime),
    ) -> Asked<'_> {
        let Some(answers) = self.answers.get(&(asker.device, addr)) else { return Asked::Nothing };
        let vouches = |a: &&Answer| a.answered_at <= latest && earliest <= a.vouches_until;
        let mut vouching = answers.iter().rev().filter(|a| a.asker.may_be(&asker)).filter(vouches);
        let Some(last) = vouching.next() else { return Asked::Nothing };
        if !vouching.all(|other| other.is_akin(last)) {
            return Asked::Undecided;
        }
        let Answer { name, answered_at, .. } = last;
        Asked::Vouched(Vouched { name, answered_at: *answered_at, has_rivals: false, is_stretched: false })
    }

    /// What is new or prolonged since the last call.
    pub fn take_new(&mut self) -> Vec<row::Answer> {
        Vec::new()
    }

    /// Enters what was known before a restart.
    pub fn restore(&mut self, _answers: Vec<row::Answer>) {}
}

/// Puts an answer in its place by time; tells how many left for it.
fn enter(known: &mut Vec<Answer>, answer: Answer) -> u64 {
    // The same name again, with no other one since by the same asker: the old answer's word is prolonged. Its moment must stay,
    // or a conversation begun between the two would find no answer before it.
    if let Some(last) = known.iter_mut().rfind(|a| a.asker == answer.asker)
        && last.name == answer.name
        && (last.answered_at..=last.vouches_until).contains(&answer.answered_at)
    {
        last.vouches_until = last.vouches_until.max(answer.vouches_until);
        return 0;
    }
    let place = known.partition_point(|a| a.answered_at <= answer.answered_at);
    known.insert(place, answer);
    if known.len() <= MAX_ANSWERS_PER_ADDR {
        return 0;
    }
    // Not the oldest: one that vouches for long may be the rival of what was asked often since.
    if let Some((place, _)) = known.iter().enumerate().min_by_key(|(_, a)| a.vouches_until) {
        known.remove(place);
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const LAPTOP: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn at(secs: u64) -> BootTime {
        BootTime(secs * SECOND)
    }

    fn answer(name: &str, addr: &str, ttl_secs: u32) -> Answered {
        let name = DomainName::parse(name).expect("a name");
        Answered { name, aliases: vec![], addrs: vec![(addr.parse().expect("an address"), ttl_secs)] }
    }

    fn over_ipv6(device: Mac) -> Asker {
        Asker { device, ipv4: None }
    }

    fn within(book: &NamesBook, device: Mac, earliest: u64, latest: u64) -> Asked<'_> {
        book.asked_before(
            over_ipv6(device),
            "192.0.2.1".parse().expect("an address"),
            (at(earliest), at(latest)),
        )
    }

    fn name_at(book: &NamesBook, device: Mac, secs: u64) -> Option<&str> {
        within(book, device, secs, secs).name().map(DomainName::as_str)
    }

    #[test]
    fn a_name_goes_stale() {
        let mut book = NamesBook::default();
        book.learn(over_ipv6(PHONE), at(100), &answer("a.example", "192.0.2.1", 300));
        assert_eq!(name_at(&book, PHONE, 99), None, "not asked yet");
        assert_eq!(name_at(&book, PHONE, 100), Some("a.example"));
        assert_eq!(name_at(&book, PHONE, 100 + 360), Some("a.example"));
        assert_eq!(name_at(&book, PHONE, 100 + 361), None);
    }

    #[test]
    fn short_and_endless_ttls_are_bounded() {
        let mut book = NamesBook::default();
        book.learn(over_ipv6(PHONE), at(0), &answer("a.example", "192.0.2.1", 0));
        assert_eq!(name_at(&book, PHONE, 120), Some("a.example"));
        assert_eq!(name_at(&book, PHONE, 121), None);
        book.learn(over_ipv6(PHONE), at(200), &answer("b.example", "192.0.2.1", u32::MAX));
        assert_eq!(name_at(&book, PHONE, 200 + 86_460), Some("b.example"));
        assert_eq!(name_at(&book, PHONE, 200 + 86_461), None);
    }

    #[test]
    fn each_device_has_its_own_answers() {
        let mut book = NamesBook::default();
        book.learn(over_ipv6(PHONE), at(10), &answer("a.example", "192.0.2.1", 60));
        book.learn(over_ipv6(LAPTOP), at(20), &answer("b.example", "192.0.2.1", 60));
        assert_eq!(name_at(&book, PHONE, 30), Some("a.example"));
        assert_eq!(name_at(&book, LAPTOP, 30), Some("b.example"));
        assert_eq!(name_at(&book, Mac::default(), 30), None);
    }

    #[test]
    fn of_several_names_that_vouch_none_is_meant_for_sure() {
        let mut book = NamesBook::default();
        book.learn(over_ipv6(PHONE), at(10), &answer("long.example", "192.0.2.1", 3600));
        book.learn(over_ipv6(PHONE), at(20), &answer("short.example", "192.0.2.1", 30));
        assert_eq!(name_at(&book, PHONE, 15), Some("long.example"));
        assert_eq!(within(&book, PHONE, 25, 25), Asked::Undecided);
        assert_eq!(within(&book, PHONE, 140, 140), Asked::Undecided);
        assert_eq!(name_at(&book, PHONE, 141), Some("long.example"), "the other one is stale");
        book.learn(over_ipv6(PHONE), at(200), &answer("long.example", "192.0.2.1", 3600));
        assert_eq!(name_at(&book, PHONE, 200), Some("long.example"), "no name is its own rival");
    }

    #[test]
    fn a_name_asked_for_often_does_not_push_out_its_rival() {
        let mut book = NamesBook::default();
        book.learn(over_ipv6(PHONE), at(10), &answer("long.example", "192.0.2.1", 86_400));
        for n in 1..=2 * MAX_ANSWERS_PER_ADDR as u64 {
            book.learn(over_ipv6(PHONE), at(n * 200), &answer("short.example", "192.0.2.1", 0));
        }
        assert_eq!(within(&book, PHONE, 6400, 6400), Asked::Undecided);
    }

    #[test]
    fn names_of_one_chain_are_no_rivals() {
        let chain = |name, aliases: &[&str]| {
            let aliases = aliases.iter().map(|a| DomainName::parse(a).expect("a name")).collect();
            Answered { aliases, ..answer(name, "192.0.2.1", 3600) }
        };
        let mut book = NamesBook::default();
        book.learn(over_ipv6(PHONE), at(10), &chain("www.a.example", &["a.example", "a.cdn.example"]));
        book.learn(over_ipv6(PHONE), at(20), &chain("a.example", &["a.cdn.example"]));
        assert_eq!(name_at(&book, PHONE, 25), Some("a.example"));
        book.learn(over_ipv6(PHONE), at(30), &chain("www.a.example", &["a.example", "a.cdn.example"]));
        assert_eq!(name_at(&book, PHONE, 35), Some("www.a.example"));
        // Another customer of the same content network.
        book.learn(over_ipv6(PHONE), at(40), &chain("b.example", &["a.cdn.example"]));
        assert_eq!(within(&book, PHONE, 45, 45), Asked::Undecided);
        assert_eq!(book.evicted, 0);
        book.learn(over_ipv6(PHONE), at(50), &chain("c.example", &["d.example"; MAX_CHAIN + 1]));
        assert_eq!(book.evicted, 1);
    }

    #[test]
    fn who_shares_a_mac_address_is_told_apart_by_ipv4() {
        let asker = |last: Option<u8>| Asker { device: PHONE, ipv4: last.map(|n| [192, 168, 1, n].into()) };
        let addr = "192.0.2.1".parse().expect("an address");
        let mut book = NamesBook::default();
        book.learn(asker(Some(1)), at(10), &answer("a.example", "192.0.2.1", 60));
        let name = |book: &NamesBook, asker| {
            book.asked_before(asker, addr, (at(30), at(30))).name().map(DomainName::to_string)
        };
        assert_eq!(name(&book, asker(Some(1))).as_deref(), Some("a.example"));
        assert_eq!(
            name(&book, asker(None)).as_deref(),
            Some("a.example"),
            "asked over IPv4, gone to over IPv6"
        );
        assert_eq!(name(&book, asker(Some(2))), None);
        book.learn(asker(Some(2)), at(20), &answer("b.example", "192.0.2.1", 60));
        assert_eq!(name(&book, asker(Some(1))).as_deref(), Some("a.example"));
        assert_eq!(name(&book, asker(Some(2))).as_deref(), Some("b.example"));
        assert_eq!(name(&book, asker(None)), None, "either may be meant");
    }

    #[test]
    fn asking_again_does_not_unmake_the_first_answer() {
        let mut book = NamesBook::default();
        book.learn(over_ipv6(PHONE), at(10), &answer("a.example", "192.0.2.1", 60));
        book.learn(over_ipv6(PHONE), at(50), &answer("a.example", "192.0.2.1", 60));
        assert_eq!(name_at(&book, PHONE, 11), Some("a.example"));
        assert_eq!(name_at(&book, PHONE, 170), Some("a.example"));
        assert_eq!(name_at(&book, PHONE, 171), None);
    }

    #[test]
    fn rivals_within_an_interval_name_nobody() {
        let mut book = NamesBook::default();
        book.learn(over_ipv6(PHONE), at(10), &answer("a.example", "192.0.2.1", 60));
        assert_eq!(within(&book, PHONE, 5, 30).name().map(DomainName::as_str), Some("a.example"));
        book.learn(over_ipv6(PHONE), at(20), &answer("b.example", "192.0.2.1", 60));
        assert_eq!(within(&book, PHONE, 5, 30), Asked::Undecided);
        assert_eq!(within(&book, PHONE, 131, 140).name().map(DomainName::as_str), Some("b.example"));
    }

    #[test]
    fn the_book_is_bounded_and_counts_who_left() {
        let mut book = NamesBook::default();
        for n in 0..=MAX_ANSWERS_PER_ADDR as u64 {
            assert_eq!(book.evicted, 0);
            book.learn(over_ipv6(PHONE), at(n), &answer(&format!("n{n}.example"), "192.0.2.1", 60));
        }
        assert_eq!(book.evicted, 1);
        let mut book = NamesBook::default();
        for n in 0..=MAX_ADDRS_PER_DEVICE as u32 {
            let addr = core::net::Ipv4Addr::from(n).to_string();
            book.learn(over_ipv6(PHONE), at(1), &answer("a.example", &addr, 60));
        }
        assert_eq!(book.evicted, 1);
    }
}
