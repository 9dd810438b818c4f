//! Conversation → name, with its evidence. A wrong name is worse than none: what a conversation says of itself goes
//! before what the DNS told, and a name that others might rival says so.

use crate::application::Application;
use crate::books::{Asked, NamesBook, SaidBook};
use crate::drained::DrainedFlow;
use crate::fact::Asker;
use crate::recognise;
use crate::row::{Evidence, Interval, Marks, Said, Told};
use crate::units::{BootTime, DomainName};
use gateway_common::{FlowKey, FlowState, protocol};

/// A name and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribution {
    /// The name, if one is known.
    pub name: Option<DomainName>,
    /// Why.
    pub evidence: Evidence,
    /// What must be said with it.
    pub marks: Marks,
    /// The protocol that was recognised.
    pub application: Application,
    /// Seconds from the DNS answer to the conversation's beginning, if the name is by the DNS.
    pub answer_secs: Option<u32>,
}

impl Attribution {
    /// By what the conversation said of itself, and nothing else.
    #[must_use]
    pub fn by_itself(said: &Said) -> Self {
        let Said { name, evidence, is_outer, has_others, application, at: _ } = said.clone();
        let of = |is_set, mark| if is_set { mark } else { Marks::NONE };
        let marks = of(is_outer, Marks::OUTER_NAME).with(of(has_others, Marks::HAS_RIVALS));
        Self { name, evidence, marks, application, answer_secs: None }
    }
}

/// When a conversation began, as well as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beginning {
    /// At this moment.
    At(BootTime),
    /// Before this moment: it was under way when it was first counted.
    Before(BootTime),
    /// Within this stretch.
    Within(BootTime, BootTime),
}

impl Beginning {
    /// The beginning of a conversation that no earlier interval knows.
    ///
    /// TCP without a SYN in the interval was under way already, so that an answer within the interval is not why
    /// it is there. Everything else began with its first packet.
    #[must_use]
    pub fn of(flow: &DrainedFlow, interval: &Interval) -> Self {
        let (start, end) = (interval.began_boot, interval.ended_boot);
        if flow.key.protocol == protocol::TCP && flow.opened == 0 {
            return Self::Before(start);
        }
        first_packet(flow.first_boot_ms, start, end).map_or(Self::Within(start, end), Self::At)
    }
}

/// When the interval's first packet of a conversation passed: to the millisecond, or the interval's beginning if it is not known.
#[must_use]
pub fn first_seen(flow: &DrainedFlow, interval: &Interval) -> BootTime {
    first_packet(flow.first_boot_ms, interval.began_boot, interval.ended_boot).unwrap_or(interval.began_boot)
}

/// The end of the millisecond of the first packet, from its low 32 bits; `None` if that is not within the
/// interval.
fn first_packet(first_boot_ms: Option<u32>, start: BootTime, end: BootTime) -> Option<BootTime> {
    const MILLISECOND: u64 = 1_000_000;
    let start_ms = start.0 / MILLISECOND;
    let low = u32::try_from(start_ms & u64::from(u32::MAX)).unwrap_or(0);
    let after_ms = u64::from(first_boot_ms?.wrapping_sub(low));
    let last_ns =
        start_ms.saturating_add(after_ms).saturating_mul(MILLISECOND).saturating_add(MILLISECOND - 1);
    (last_ns <= end.0.saturating_add(MILLISECOND)).then_some(BootTime(last_ns))
}

/// What the DNS had told this device of the peer, as of the conversation's beginning.
#[must_use]
pub fn told(flow: &FlowKey, opened: u8, beginning: Beginning, names: &NamesBook) -> Told {
    // Who was called did not ask for the caller's name.
    if is_opened_by_peer(opened) {
        return Told::default();
    }
    let between = match beginning {
        Beginning::At(moment) | Beginning::Before(moment) => (moment, moment),
        Beginning::Within(start, end) => (start, end),
    };
    match names.asked_before(Asker::of(flow), flow.peer(), between) {
        // What was under way may have been asked for before anybody looked.
        Asked::Nothing if matches!(beginning, Beginning::Before(_)) => Told::default(),
        Asked::Nothing => Told { marks: Marks::UNCOVERED, ..Told::default() },
        Asked::Undecided => undecided(),
        // What was under way may have begun before the last of them was asked for.
        Asked::Vouched(vouched) if vouched.has_rivals && matches!(beginning, Beginning::Before(_)) => {
            undecided()
        }
        Asked::Vouched(vouched) => {
            let mut marks = Marks::COVERED;
            if vouched.has_rivals {
                marks = marks.with(Marks::HAS_RIVALS);
            }
            if vouched.is_stretched {
                marks = marks.with(Marks::STRETCHED);
            }
            let (_, latest) = between;
            let answer_secs = latest.since(vouched.answered_at) / 1_000_000_000;
            let answer_secs = Some(u32::try_from(answer_secs).unwrap_or(u32::MAX));
            Told { name: Some(vouched.name.clone()), marks, answer_secs }
        }
    }
}

fn undecided() -> Told {
    Told { marks: Marks::COVERED.with(Marks::UNDECIDED), ..Told::default() }
}

/// The conversation's attribution: what the device said in it between `since` and `until`, else the name that the
/// DNS gave. The bounds keep out what was said in another conversation over the same ports.
#[must_use]
pub fn attribute(
    flow: &FlowKey,
    (since, until): (BootTime, BootTime),
    told: &Told,
    said: &SaidBook,
) -> Attribution {
    let said = said.get(flow).filter(|said| since <= said.at && said.at <= until);
    let spoken = said.map_or(Application::Unknown, |said| said.application);
    let mut attribution = match said {
        Some(said) if said.name.is_some() => {
            let coverage = [Marks::COVERED, Marks::UNCOVERED].into_iter().find(|mark| told.marks.has(*mark));
            let by_itself = Attribution::by_itself(said);
            Attribution { marks: coverage.unwrap_or_default().with(by_itself.marks), ..by_itself }
        }
        _ => Attribution {
            name: told.name.clone(),
            evidence: if told.name.is_some() { Evidence::Dns } else { Evidence::None },
            marks: told.marks,
            application: spoken,
            answer_secs: told.answer_secs,
        },
    };
    attribution.application = recognise::application(flow, spoken, attribution.name.as_ref());
    attribution
}

/// Did the peer open it, and the device not?
#[must_use]
pub fn is_opened_by_peer(opened: u8) -> bool {
    opened & (FlowState::OPENED_BY_PEER | FlowState::OPENED_BY_DEVICE) == FlowState::OPENED_BY_PEER
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tests::{PHONE, key};
    use crate::units::{Mac, WallTime};
    use crate::wire::dns::{Answered, AnsweredAddr};

    const SECOND: u64 = 1_000_000_000;
    /// An uptime at which 32 bits of milliseconds have wrapped.
    const BASE: u64 = 50 * 86_400 * SECOND;

    fn interval() -> Interval {
        Interval {
            began_boot: BootTime(BASE),
            ended_boot: BootTime(BASE + 60 * SECOND),
            began_at: WallTime(0),
            ended_at: WallTime(0),
            is_clock_set: true,
        }
    }

    fn flow(protocol: u8, opened: u8, first_ns: Option<u64>) -> DrainedFlow {
        DrainedFlow {
            key: key(PHONE, [192, 0, 2, 1], 40_000, 443, protocol),
            opened,
            first_boot_ms: first_ns.map(|ns| (ns / 1_000_000) as u32),
            ..DrainedFlow::default()
        }
    }

    fn book(answers: &[(&str, u64)]) -> NamesBook {
        let mut book = NamesBook::default();
        for (name, at) in answers {
            let name = DomainName::parse(name).expect("a name");
            let addr = [192, 0, 2, 1].into();
            let addrs = vec![AnsweredAddr { addr, ttl_secs: 3600, own_ttl_secs: 3600 }];
            let asker = Asker { device: Mac(PHONE), ipv4: None };
            book.learn(asker, BootTime(*at), &Answered { name, aliases: vec![], addrs });
        }
        book
    }

    #[track_caller]
    fn check(flow: DrainedFlow, answers: &[(&str, u64)], expected: Option<&str>) {
        let book = book(answers);
        let found = told(&flow.key, flow.opened, Beginning::of(&flow, &interval()), &book);
        assert_eq!(found.name.as_ref().map(DomainName::as_str), expected);
    }

    #[test]
    fn the_first_packet_is_placed_across_the_wrap() {
        let moment = BASE + 5 * SECOND + 250_000_000;
        let beginning = Beginning::of(&flow(protocol::UDP, 0, Some(moment)), &interval());
        assert_eq!(beginning, Beginning::At(BootTime(moment + 999_999)));
        let outside = flow(protocol::UDP, 0, Some(BASE + 61 * SECOND));
        assert_eq!(
            Beginning::of(&outside, &interval()),
            Beginning::Within(interval().began_boot, interval().ended_boot)
        );
    }

    #[test]
    fn the_name_asked_for_last_before_the_beginning() {
        let answers = [("before.example", BASE + SECOND), ("after.example", BASE + 9 * SECOND)];
        let tcp = flow(protocol::TCP, FlowState::OPENED_BY_DEVICE, Some(BASE + 5 * SECOND));
        check(tcp, &answers, Some("before.example"));
        check(flow(protocol::UDP, 0, Some(BASE + 5 * SECOND)), &answers, Some("before.example"));
        check(flow(protocol::UDP, 0, Some(BASE + 10 * SECOND)), &answers, Some("after.example"));
        // A ping after a fetch, which asks for the name again.
        let same = [("ya.example", BASE + SECOND), ("ya.example", BASE + 9 * SECOND)];
        check(flow(protocol::ICMP, 0, Some(BASE + 10 * SECOND)), &same, Some("ya.example"));
    }

    #[test]
    fn an_unknown_beginning_is_anywhere_in_the_interval() {
        let udp = flow(protocol::UDP, 0, None);
        let before = ("before.example", BASE - SECOND);
        check(udp, &[before], Some("before.example"));
        check(udp, &[before, ("after.example", BASE + SECOND)], None);
        check(udp, &[("one.example", BASE + SECOND)], Some("one.example"));
        check(udp, &[("one.example", BASE + SECOND), ("two.example", BASE + 2 * SECOND)], None);
    }

    #[test]
    fn what_was_under_way_is_not_named_by_a_later_answer() {
        let tcp = flow(protocol::TCP, 0, Some(BASE + 5 * SECOND));
        check(tcp, &[("later.example", BASE + SECOND)], None);
        check(tcp, &[("earlier.example", BASE - SECOND)], Some("earlier.example"));
    }

    #[test]
    fn what_must_be_said_with_a_name() {
        let tcp = flow(protocol::TCP, FlowState::OPENED_BY_DEVICE, Some(BASE + 5 * SECOND));
        let told_of = |flow: &DrainedFlow, answers: &[(&str, u64)]| {
            let told = told(&flow.key, flow.opened, Beginning::of(flow, &interval()), &book(answers));
            (told.name.map(|name| name.to_string()), told.marks, told.answer_secs)
        };
        let old = ("old.example", BASE - 3600 * SECOND);
        let a = || Some("a.example".to_owned());
        let covered = Marks::COVERED;
        assert_eq!(told_of(&tcp, &[("a.example", BASE)]), (a(), covered, Some(5)));
        assert_eq!(told_of(&tcp, &[old]).1, covered.with(Marks::STRETCHED), "an hour and five seconds");
        assert_eq!(
            told_of(&tcp, &[old, ("a.example", BASE)]),
            (a(), covered.with(Marks::HAS_RIVALS), Some(5))
        );
        let at_once = [("b.example", BASE + 3 * SECOND), ("a.example", BASE + 4 * SECOND)];
        let undecided = (None, covered.with(Marks::UNDECIDED), None);
        assert_eq!(told_of(&tcp, &at_once), undecided, "one second apart, one second ago");
        assert_eq!(told_of(&tcp, &[]), (None, Marks::UNCOVERED, None));
        let under_way = flow(protocol::TCP, 0, Some(BASE + 5 * SECOND));
        let long_ago = [old, ("a.example", BASE - 10 * SECOND)];
        assert_eq!(told_of(&under_way, &long_ago), undecided, "it may have begun between the two");
        assert_eq!(told_of(&under_way, &long_ago[1..]), (a(), covered, Some(10)));
        assert_eq!(told_of(&under_way, &[]), (None, Marks::NONE, None));
    }

    #[test]
    fn who_is_called_did_not_ask() {
        let answers = [("a.example", BASE - SECOND)];
        let opened = |by| flow(protocol::TCP, by, Some(BASE + SECOND));
        check(opened(FlowState::OPENED_BY_PEER), &answers, None);
        check(opened(FlowState::OPENED_BY_PEER | FlowState::OPENED_BY_DEVICE), &answers, Some("a.example"));
    }

    #[test]
    fn what_another_conversation_said_does_not_count() {
        let mut book = SaidBook::default();
        let flow = flow(protocol::TCP, 1, None).key;
        let name = DomainName::parse("said.example");
        let (evidence, application, at) = (Evidence::HttpHost, Application::Http, BootTime(100));
        book.enter(flow, Said { name: name.clone(), evidence, ..Said::nobody(application, at) });
        let marks = Marks::COVERED.with(Marks::HAS_RIVALS);
        let asked = Told { name: DomainName::parse("asked.example"), marks, answer_secs: Some(7) };
        let found = |since, until| attribute(&flow, (BootTime(since), BootTime(until)), &asked, &book);
        let by_itself = Attribution { name, evidence, marks: Marks::COVERED, application, answer_secs: None };
        assert_eq!(found(50, 150), by_itself);
        for by_dns in [found(101, 150), found(50, 99)] {
            assert_eq!((by_dns.name, by_dns.evidence), (asked.name.clone(), Evidence::Dns));
            assert_eq!((by_dns.marks, by_dns.answer_secs), (marks, Some(7)));
        }
    }
}
