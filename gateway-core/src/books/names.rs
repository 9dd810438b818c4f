//! Which names the DNS gave each device for an address, and for how long an answer vouches.

use super::aged::{Aged, Limits};
use crate::units::{BootTime, DomainName, Mac};
use crate::wire::dns::Answered;
use core::net::IpAddr;

/// How many addresses are kept per device: a phone meets some hundreds a day.
pub const MAX_ADDRS_PER_DEVICE: usize = 2048;
/// How many in all: some 4 MiB at worst, and a household's day in practice.
pub const MAX_ADDRS: usize = 16_384;
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

/// How long after it passed an answer of this TTL vouches for, in nanoseconds.
#[must_use]
pub fn vouches_for(ttl_secs: u32) -> u64 {
    let ttl = u64::from(ttl_secs).clamp(VOUCHES_AT_LEAST_SECS, MAX_TTL_SECS);
    ttl.saturating_add(CLIENT_STRETCH_SECS).saturating_mul(SECOND)
}

#[derive(Clone, Debug)]
struct Answer {
    name: DomainName,
    answered_at: BootTime,
    vouches_until: BootTime,
}

/// Answers per device and address, oldest first.
#[derive(Clone, Debug)]
pub struct NamesBook {
    answers: Aged<(Mac, IpAddr), Vec<Answer>>,
    /// Addresses and answers that left to make room.
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
    pub fn learn(&mut self, device: Mac, at: BootTime, answered: &Answered) {
        for (addr, ttl_secs) in &answered.addrs {
            let key = (device, *addr);
            let answer = Answer {
                name: answered.name.clone(),
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

    /// The name this device asked for last before `began`, of those that still vouched for the address then.
    #[must_use]
    pub fn asked_before(&self, device: Mac, addr: IpAddr, began: BootTime) -> Option<&DomainName> {
        let answers = self.answers.get(&(device, addr))?;
        let vouches = |a: &&Answer| a.answered_at <= began && began <= a.vouches_until;
        answers.iter().rev().find(vouches).map(|a| &a.name)
    }

    /// The name this device asked for from `start` on and before `end`, if it was only one.
    #[must_use]
    pub fn only_asked_within(
        &self,
        device: Mac,
        addr: IpAddr,
        start: BootTime,
        end: BootTime,
    ) -> Option<&DomainName> {
        let answers = self.answers.get(&(device, addr))?;
        let mut within = answers.iter().filter(|a| start <= a.answered_at && a.answered_at < end);
        let first = within.next()?;
        within.all(|a| a.name == first.name).then_some(&first.name)
    }
}

/// Puts an answer in its place by time; tells how many left for it.
fn enter(known: &mut Vec<Answer>, answer: Answer) -> u64 {
    // The same name again, with no other one since: the old answer's word is prolonged. Its moment must stay,
    // or a conversation begun between the two would find no answer before it.
    if let Some(last) = known.last_mut()
        && last.name == answer.name
        && (last.answered_at..=last.vouches_until).contains(&answer.answered_at)
    {
        last.vouches_until = last.vouches_until.max(answer.vouches_until);
        return 0;
    }
    let place = known.partition_point(|a| a.answered_at <= answer.answered_at);
    known.insert(place, answer);
    if known.len() > MAX_ANSWERS_PER_ADDR {
        known.remove(0);
        return 1;
    }
    0
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

    fn name_at(book: &NamesBook, device: Mac, secs: u64) -> Option<&str> {
        book.asked_before(device, "192.0.2.1".parse().expect("an address"), at(secs)).map(DomainName::as_str)
    }

    #[test]
    fn a_name_goes_stale() {
        let mut book = NamesBook::default();
        book.learn(PHONE, at(100), &answer("a.example", "192.0.2.1", 300));
        assert_eq!(name_at(&book, PHONE, 99), None, "not asked yet");
        assert_eq!(name_at(&book, PHONE, 100), Some("a.example"));
        assert_eq!(name_at(&book, PHONE, 100 + 360), Some("a.example"));
        assert_eq!(name_at(&book, PHONE, 100 + 361), None);
    }

    #[test]
    fn short_and_endless_ttls_are_bounded() {
        let mut book = NamesBook::default();
        book.learn(PHONE, at(0), &answer("a.example", "192.0.2.1", 0));
        assert_eq!(name_at(&book, PHONE, 120), Some("a.example"));
        assert_eq!(name_at(&book, PHONE, 121), None);
        book.learn(PHONE, at(200), &answer("b.example", "192.0.2.1", u32::MAX));
        assert_eq!(name_at(&book, PHONE, 200 + 86_460), Some("b.example"));
        assert_eq!(name_at(&book, PHONE, 200 + 86_461), None);
    }

    #[test]
    fn each_device_has_its_own_answers() {
        let mut book = NamesBook::default();
        book.learn(PHONE, at(10), &answer("a.example", "192.0.2.1", 60));
        book.learn(LAPTOP, at(20), &answer("b.example", "192.0.2.1", 60));
        assert_eq!(name_at(&book, PHONE, 30), Some("a.example"));
        assert_eq!(name_at(&book, LAPTOP, 30), Some("b.example"));
        assert_eq!(name_at(&book, Mac::default(), 30), None);
    }

    #[test]
    fn the_latest_of_several_names_that_still_vouches() {
        let mut book = NamesBook::default();
        book.learn(PHONE, at(10), &answer("long.example", "192.0.2.1", 3600));
        book.learn(PHONE, at(20), &answer("short.example", "192.0.2.1", 30));
        assert_eq!(name_at(&book, PHONE, 15), Some("long.example"));
        assert_eq!(name_at(&book, PHONE, 25), Some("short.example"));
        assert_eq!(name_at(&book, PHONE, 500), Some("long.example"));
    }

    #[test]
    fn asking_again_does_not_unmake_the_first_answer() {
        let mut book = NamesBook::default();
        book.learn(PHONE, at(10), &answer("a.example", "192.0.2.1", 60));
        book.learn(PHONE, at(50), &answer("a.example", "192.0.2.1", 60));
        assert_eq!(name_at(&book, PHONE, 11), Some("a.example"));
        assert_eq!(name_at(&book, PHONE, 170), Some("a.example"));
        assert_eq!(name_at(&book, PHONE, 171), None);
    }

    #[test]
    fn rivals_within_an_interval_name_nobody() {
        let mut book = NamesBook::default();
        let addr = "192.0.2.1".parse().expect("an address");
        book.learn(PHONE, at(10), &answer("a.example", "192.0.2.1", 60));
        let only = book.only_asked_within(PHONE, addr, at(5), at(30));
        assert_eq!(only.map(DomainName::as_str), Some("a.example"));
        book.learn(PHONE, at(20), &answer("b.example", "192.0.2.1", 60));
        assert_eq!(book.only_asked_within(PHONE, addr, at(5), at(30)), None);
    }

    #[test]
    fn the_book_is_bounded_and_counts_who_left() {
        let mut book = NamesBook::default();
        for n in 0..=MAX_ANSWERS_PER_ADDR as u64 {
            assert_eq!(book.evicted, 0);
            book.learn(PHONE, at(n), &answer(&format!("n{n}.example"), "192.0.2.1", 60));
        }
        assert_eq!(book.evicted, 1);
        let mut book = NamesBook::default();
        for n in 0..=MAX_ADDRS_PER_DEVICE as u32 {
            let addr = core::net::Ipv4Addr::from(n).to_string();
            book.learn(PHONE, at(1), &answer("a.example", &addr, 60));
        }
        assert_eq!(book.evicted, 1);
    }
}
