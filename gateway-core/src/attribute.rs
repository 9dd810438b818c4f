//! Conversation → name, with its evidence. A wrong name is worse than none: where the DNS gave a device two names
//! for one address and both still vouch when a conversation begins, it gets neither.

use crate::books::{Asked, HellosBook, NamesBook};
use crate::drained::DrainedFlow;
use crate::fact::Asker;
use crate::row::{Evidence, Interval};
use crate::units::{BootTime, DomainName};
use gateway_common::{FlowKey, FlowState, protocol};

/// A name and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribution {
    /// The name, if one is known.
    pub name: Option<DomainName>,
    /// Why.
    pub evidence: Evidence,
}

impl Attribution {
    /// No name.
    pub const NONE: Self = Self { name: None, evidence: Evidence::None };
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

/// The name that the DNS gave this device for the peer, as of the conversation's beginning.
#[must_use]
pub fn dns_name<'a>(flow: &FlowKey, opened: u8, beginning: Beginning, names: &'a NamesBook) -> Asked<'a> {
    // Who was called did not ask for the caller's name.
    if is_opened_by_peer(opened) {
        return Asked::Nothing;
    }
    let between = match beginning {
        Beginning::At(moment) | Beginning::Before(moment) => (moment, moment),
        Beginning::Within(start, end) => (start, end),
    };
    names.asked_before(Asker::of(flow), flow.peer(), between)
}

/// The conversation's attribution: what the device said in it between `since` and `until`, else the name that the
/// DNS gave. The bounds keep out what was said in another conversation over the same ports.
#[must_use]
pub fn attribute(
    flow: &FlowKey,
    (since, until): (BootTime, BootTime),
    dns_name: Option<&DomainName>,
    hellos: &HellosBook,
) -> Attribution {
    if let Some(hello) = hellos.get(flow).filter(|h| since <= h.at && h.at <= until) {
        return Attribution { name: Some(hello.name.clone()), evidence: hello.evidence };
    }
    dns_name
        .map_or(Attribution::NONE, |name| Attribution { name: Some(name.clone()), evidence: Evidence::Dns })
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
    use crate::wire::dns::Answered;

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
            let addrs = vec![([192, 0, 2, 1].into(), 3600)];
            let asker = Asker { device: Mac(PHONE), ipv4: None };
            book.learn(asker, BootTime(*at), &Answered { name, aliases: vec![], addrs });
        }
        book
    }

    #[track_caller]
    fn check(flow: DrainedFlow, answers: &[(&str, u64)], expected: Option<&str>) {
        let book = book(answers);
        let found = dns_name(&flow.key, flow.opened, Beginning::of(&flow, &interval()), &book);
        assert_eq!(found.name().map(DomainName::as_str), expected);
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
    fn the_name_before_the_beginning_and_no_rival() {
        let answers = [("before.example", BASE + SECOND), ("after.example", BASE + 9 * SECOND)];
        let tcp = flow(protocol::TCP, FlowState::OPENED_BY_DEVICE, Some(BASE + 5 * SECOND));
        check(tcp, &answers, Some("before.example"));
        check(flow(protocol::UDP, 0, Some(BASE + 5 * SECOND)), &answers, Some("before.example"));
        check(flow(protocol::UDP, 0, Some(BASE + 10 * SECOND)), &answers, None);
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
    fn who_is_called_did_not_ask() {
        let answers = [("a.example", BASE - SECOND)];
        let opened = |by| flow(protocol::TCP, by, Some(BASE + SECOND));
        check(opened(FlowState::OPENED_BY_PEER), &answers, None);
        check(opened(FlowState::OPENED_BY_PEER | FlowState::OPENED_BY_DEVICE), &answers, Some("a.example"));
    }

    #[test]
    fn a_hello_of_another_conversation_does_not_count() {
        let mut hellos = HellosBook::default();
        let flow = flow(protocol::TCP, 1, None).key;
        let said = DomainName::parse("said.example").expect("a name");
        let asked = DomainName::parse("asked.example").expect("a name");
        let request = b"GET / HTTP/1.1\r\nHost: said.example\r\n\r\n";
        assert_eq!(hellos.learn_segment(flow, BootTime(100), 1, request), Ok(()));
        let name = |since, until| attribute(&flow, (BootTime(since), BootTime(until)), Some(&asked), &hellos);
        assert_eq!(name(50, 150), Attribution { name: Some(said), evidence: Evidence::HttpHost });
        let by_dns = Attribution { name: Some(asked.clone()), evidence: Evidence::Dns };
        assert_eq!(name(101, 150), by_dns);
        assert_eq!(name(50, 99), by_dns);
        assert_eq!(attribute(&flow, (BootTime(0), BootTime(1)), None, &hellos), Attribution::NONE);
    }
}
