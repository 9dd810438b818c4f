//! What devices ask the DNS and wait to hear. An answer is believed by who asked for it and while it waits, so that
//! nobody can teach a name by sending an answer unasked.

use super::aged::{Aged, Limits};
use crate::units::BootTime;
use crate::wire::dns::{Answered, Question, RecordType};
use gateway_common::FlowKey;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many questions of one device are remembered. Ten thousand names in a minute, each asked for twice (A and
/// AAAA), are some 330 in a second; an answer takes a fraction of one.
pub const MAX_QUESTIONS_PER_DEVICE: usize = 1024;
/// How many in all: some 4 MiB at worst, if all names are as long as names can be.
pub const MAX_QUESTIONS: usize = 8192;
/// How long an answer may be under way, since the question was sent the last time. Programs wait 5 s and then ask
/// again (glibc's and Android's resolvers), or up to 10 s (Windows); resolvers give up after 10 s or a little more.
pub const QUESTION_LASTS_SECS: u64 = 15;

const SECOND: u64 = 1_000_000_000;

/// The conversation, the question's number, and its type: some programs ask for A and AAAA under one number.
type Key = (FlowKey, (u16, RecordType));

#[derive(Clone, Debug)]
struct Pending {
    question: Question,
    asked_at: BootTime,
    /// Which addresses the first answer gave, as [`fingerprint`] has it. An answer may bring hundreds, and nobody needs
    /// them again.
    heard: Option<u64>,
}

/// What to think of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The device asked, and this is the first answer: what it teaches, if it teaches something.
    Believed(Option<Answered>),
    /// The same was answered before.
    Repeated,
    /// Another answer came first, and that is the one that the device took.
    Differing,
    /// The device did not ask, or too long ago, or its question was not seen.
    Unasked,
}

/// Questions that were asked lately.
#[derive(Clone, Debug)]
pub struct QuestionsBook {
    pending: Aged<Key, Pending>,
    /// Questions forgotten for want of room before they were answered.
    pub evicted: u64,
    /// Answers to what nobody asked.
    pub unasked: u64,
    /// Second answers that say something else than the first.
    pub differing: u64,
}

impl Default for QuestionsBook {
    fn default() -> Self {
        let limits = Limits { per_device: MAX_QUESTIONS_PER_DEVICE, in_all: MAX_QUESTIONS };
        Self { pending: Aged::new(limits), evicted: 0, unasked: 0, differing: 0 }
    }
}

impl QuestionsBook {
    /// Enters a question. The same again before its answer is the same still; after it, a new one.
    pub fn ask(&mut self, flow: FlowKey, at: BootTime, id: u16, question: Question) {
        let pending = Pending { question, asked_at: at, heard: None };
        let left = self.pending.put((flow, (id, pending.question.kind)), pending);
        let is_lost = left.is_some_and(|left| left.heard.is_none() && !left.is_over(at));
        self.evicted = self.evicted.saturating_add(u64::from(is_lost));
    }

    /// Is this an answer to believe? What is not is counted. What it says is worked out only if the device asked: it
    /// takes a while, and anybody may send answers.
    pub fn hear(
        &mut self,
        flow: FlowKey,
        at: BootTime,
        (id, question): (u16, &Question),
        answered: impl FnOnce() -> Option<Answered>,
    ) -> Verdict {
        let pending = self.pending.get_mut(&(flow, (id, question.kind)));
        let Some(pending) = pending.filter(|p| p.question == *question && !p.is_over(at)) else {
            self.unasked = self.unasked.saturating_add(1);
            return Verdict::Unasked;
        };
        let answered = answered();
        let heard = fingerprint(answered.as_ref());
        match pending.heard {
            None => {
                pending.heard = Some(heard);
                Verdict::Believed(answered)
            }
            Some(first) if first == heard => Verdict::Repeated,
            Some(_) => {
                self.differing = self.differing.saturating_add(1);
                Verdict::Differing
            }
        }
    }

    /// Lets go of questions whose time is over.
    pub fn give_up(&mut self, now: BootTime) {
        self.pending.remove_where(|pending| pending.is_over(now));
    }
}

impl Pending {
    fn is_over(&self, now: BootTime) -> bool {
        now.since(self.asked_at) > QUESTION_LASTS_SECS.saturating_mul(SECOND)
    }
}

/// The same for the same addresses in any order. Two that differ may be alike by chance or on purpose: then a second
/// answer is not counted as differing, and no more, as it is not believed either way.
fn fingerprint(answered: Option<&Answered>) -> u64 {
    let mut addrs: Vec<_> = answered.iter().flat_map(|a| &a.addrs).map(|answered| answered.addr).collect();
    addrs.sort_unstable();
    let mut hasher = DefaultHasher::new();
    addrs.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::DomainName;
    use crate::wire::dns::AnsweredAddr;

    fn flow(device: u32, port: u16) -> FlowKey {
        FlowKey { device_port: port, mac_head: device, ..FlowKey::default() }
    }

    fn question(name: &str, kind: RecordType) -> Question {
        Question { name: DomainName::parse(name).expect("a name"), kind }
    }

    fn answer(last: &[u8]) -> Answered {
        let name = DomainName::parse("a.example").expect("a name");
        let of = |n: &u8| AnsweredAddr { addr: [192, 0, 2, *n].into(), ttl_secs: 60, own_ttl_secs: 60 };
        let addrs = last.iter().map(of).collect();
        Answered { name, aliases: vec![], addrs }
    }

    fn secs(secs: u64) -> BootTime {
        BootTime(secs * SECOND)
    }

    fn hear(
        book: &mut QuestionsBook,
        flow: FlowKey,
        at: BootTime,
        asked: (u16, &Question),
        answered: Option<Answered>,
    ) -> Verdict {
        book.hear(flow, at, asked, || answered)
    }

    #[test]
    fn what_waits_has_a_bound_whatever_the_answers_say() {
        fn no_heap<T: Copy>(_: &T) {}
        let Pending { question, asked_at, heard } =
            Pending { question: question("a.example", RecordType::A), asked_at: secs(1), heard: None };
        no_heap(&asked_at);
        no_heap(&heard);
        no_heap(&question.kind);
        // With the turn that it was touched in, and its places in the two indexes.
        let indexed = size_of::<(Key, (u64, Pending))>() + size_of::<(u64, Key)>() + 16;
        let most = MAX_QUESTIONS * (indexed + DomainName::MAX_LEN);
        assert!(most <= 5 << 20, "{most}");
    }

    #[test]
    fn only_what_was_asked_is_believed() {
        let mut book = QuestionsBook::default();
        let asked = question("a.example", RecordType::A);
        let (here, at) = (flow(1, 1), secs(10));
        book.ask(here, at, 7, asked.clone());
        for (flow, at, id, question) in [
            (flow(1, 2), at, 7, &asked),
            (flow(2, 1), at, 7, &asked),
            (here, at, 8, &asked),
            (here, at, 7, &question("b.example", RecordType::A)),
            (here, at, 7, &question("a.example", RecordType::AAAA)),
            (here, secs(26), 7, &asked),
        ] {
            let never = || panic!("nobody asked what it says");
            assert_eq!(book.hear(flow, at, (id, question), never), Verdict::Unasked);
        }
        assert_eq!(book.unasked, 6);
        let answered = Some(answer(&[1]));
        assert_eq!(
            hear(&mut book, here, secs(25), (7, &asked), answered.clone()),
            Verdict::Believed(answered)
        );
    }

    #[test]
    fn of_several_answers_the_first_counts() {
        let mut book = QuestionsBook::default();
        let asked = question("a.example", RecordType::A);
        book.ask(flow(1, 1), secs(1), 7, asked.clone());
        let hear = |book: &mut QuestionsBook, last: &[u8]| {
            book.hear(flow(1, 1), secs(2), (7, &asked), || Some(answer(last)))
        };
        assert_eq!(hear(&mut book, &[1, 2]), Verdict::Believed(Some(answer(&[1, 2]))));
        assert_eq!(hear(&mut book, &[2, 1]), Verdict::Repeated, "turned round");
        assert_eq!(hear(&mut book, &[3]), Verdict::Differing);
        assert_eq!((book.unasked, book.differing), (0, 1));
        // Asked again, it may be answered anew.
        book.ask(flow(1, 1), secs(3), 7, asked.clone());
        assert_eq!(hear(&mut book, &[3]), Verdict::Believed(Some(answer(&[3]))));
    }

    #[test]
    fn a_refusal_is_an_answer() {
        let mut book = QuestionsBook::default();
        let asked = question("a.example", RecordType::A);
        book.ask(flow(1, 1), secs(1), 7, asked.clone());
        assert_eq!(hear(&mut book, flow(1, 1), secs(1), (7, &asked), None), Verdict::Believed(None));
        assert_eq!(hear(&mut book, flow(1, 1), secs(1), (7, &asked), Some(answer(&[1]))), Verdict::Differing);
    }

    #[test]
    fn who_asks_too_much_loses_questions_of_its_own() {
        let mut book = QuestionsBook::default();
        let asked = question("a.example", RecordType::A);
        book.ask(flow(2, 1), secs(1), 1, asked.clone());
        for id in 0..=u16::try_from(MAX_QUESTIONS_PER_DEVICE).expect("small") {
            book.ask(flow(1, 1), secs(1), id, asked.clone());
        }
        assert_eq!(book.evicted, 1);
        assert_eq!(hear(&mut book, flow(1, 1), secs(1), (0, &asked), None), Verdict::Unasked);
        assert_eq!(hear(&mut book, flow(2, 1), secs(1), (1, &asked), None), Verdict::Believed(None));
        // Those that are over or were answered make room without loss.
        for id in 0..u16::try_from(MAX_QUESTIONS_PER_DEVICE).expect("small") {
            book.ask(flow(1, 2), secs(100), id, asked.clone());
        }
        assert_eq!(book.evicted, 1);
        book.give_up(secs(200));
        assert_eq!(book.pending.iter().count(), 0);
    }
}
