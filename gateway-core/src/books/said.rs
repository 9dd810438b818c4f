//! What conversations said of themselves: the host that the device named in them, and the protocol they speak.

use super::aged::{Aged, Limits};
use crate::application::Application;
use crate::row::{Evidence, Said};
use crate::units::BootTime;
use gateway_common::FlowKey;

/// How many conversations of one device are remembered.
pub const MAX_SAID_PER_DEVICE: usize = 8192;
/// How many in all. A conversation lasts as long as it is counted: what no interval used leaves first.
pub const MAX_SAID: usize = 16_384;

/// How long ports rest, as a rule, between two conversations: Linux and Windows keep them for a minute or longer in
/// TIME-WAIT (RFC 9293 §3.6.1 asks for four).
pub const PORTS_REST_SECS: u64 = 60;

const SECOND: u64 = 1_000_000_000;

/// Conversations that said something of themselves.
#[derive(Clone, Debug)]
pub struct SaidBook {
    known: Aged<FlowKey, Known>,
    /// Conversations forgotten for want of room.
    pub evicted: u64,
}

/// What one conversation said.
#[derive(Clone, Debug)]
struct Known {
    said: Said,
    /// When it named a host other than the one in `said`, the last time. [`Said::has_others`] is whether it did.
    other_at: Option<BootTime>,
}

impl Default for SaidBook {
    fn default() -> Self {
        let limits = Limits { per_device: MAX_SAID_PER_DEVICE, in_all: MAX_SAID };
        Self { known: Aged::new(limits), evicted: 0 }
    }
}

impl SaidBook {
    /// Enters what a conversation said. The book sees ports and moments, not where a conversation ends, so:
    ///
    /// - of one moment it is the same beginning, of which more was read: it takes the place of what was said, and
    ///   may take a name back;
    /// - what names nobody unmakes no name, it only fills in a protocol;
    /// - a sample that is read late, of an earlier moment, only fills in what is missing;
    /// - a name as strong as the one before or stronger takes its place: a TLS hello behind a CONNECT tells more
    ///   than the CONNECT (and is still for a proxy), another hello means that the ports are used again;
    /// - a weaker one does so `PORTS_REST_SECS` later at the earliest. What is said in the clear behind a hello is
    ///   of another conversation, or is put there to mislead; before that time the latter is more likely;
    /// - whichever of two names is taken, it is remembered that there was another ([`Said::has_others`]), unless the
    ///   one only refines the other, as the hello behind a CONNECT does.
    pub fn enter(&mut self, flow: FlowKey, said: Said) {
        let Some(known) = self.known.get_mut(&flow) else {
            let other_at = said.has_others.then_some(said.at);
            self.evicted = self.evicted.saturating_add(self.known.insert(flow, Known { said, other_at }));
            return;
        };
        known.enter(said);
        self.known.touch(&flow);
    }

    /// Forgets what was said over these ports before `since`: that was another conversation.
    pub fn forget_before(&mut self, flow: &FlowKey, since: BootTime) {
        let Some(known) = self.known.get_mut(flow) else { return };
        if known.said.at < since {
            self.known.remove(flow);
        } else if known.other_at.is_some_and(|at| at < since) {
            known.set_other_at(None);
        }
    }

    /// What this conversation said.
    #[must_use]
    pub fn get(&self, flow: &FlowKey) -> Option<&Said> {
        self.known.get(flow).map(|known| &known.said)
    }

    /// The conversation goes on: what it said is not old.
    pub fn touch(&mut self, flow: &FlowKey) {
        self.known.touch(flow);
    }
}

impl Known {
    fn enter(&mut self, said: Said) {
        let is_taken = takes_its_place(&said, &self.said);
        if names_another(&said, &self.said) {
            let other_at = if is_taken { self.said.at } else { said.at };
            self.set_other_at(self.other_at.max(Some(other_at)));
        }
        if is_taken {
            let is_inside_a_proxy = self.said.application == Application::HttpProxy
                && said.evidence == Evidence::TlsSni
                && is_soon(&said, &self.said);
            let application = if is_inside_a_proxy { self.said.application } else { said.application };
            self.said = Said { application, has_others: self.said.has_others, ..said };
        } else if self.said.application == Application::Unknown {
            self.said.application = said.application;
        }
    }

    fn set_other_at(&mut self, other_at: Option<BootTime>) {
        self.other_at = other_at;
        self.said.has_others = other_at.is_some();
    }
}

fn takes_its_place(said: &Said, known: &Said) -> bool {
    if said.at == known.at || known.name.is_none() {
        return true;
    }
    if said.name.is_none() || said.at < known.at {
        return false;
    }
    said.evidence >= known.evidence || !is_soon(said, known)
}

/// Do two words of one conversation name two hosts? Not if they are of one beginning, of which the later word says
/// more; only datagrams that were merged may be two beginnings of one moment. Nor if one is for the proxy and the
/// other for the host behind it.
fn names_another(said: &Said, known: &Said) -> bool {
    let (earlier, later) = if said.at < known.at { (said, known) } else { (known, said) };
    let is_one_beginning = said.at == known.at && said.evidence != Evidence::QuicSni;
    let is_refined = earlier.application == Application::HttpProxy
        && earlier.evidence == Evidence::HttpHost
        && later.evidence == Evidence::TlsSni
        && is_soon(later, earlier);
    let are_two = said.name.as_ref().zip(known.name.as_ref()).is_some_and(|(one, other)| one != other);
    are_two && !is_one_beginning && !is_refined
}

/// Does it follow before ports that rest could have been used again?
fn is_soon(later: &Said, earlier: &Said) -> bool {
    later.at.since(earlier.at) <= PORTS_REST_SECS.saturating_mul(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{BootTime, DomainName};

    fn said(name: Option<&str>, evidence: Evidence, at: u64) -> Said {
        let name = name.map(|name| DomainName::parse(name).expect("a name"));
        Said { name, evidence, ..Said::nobody(Application::Tls, BootTime(at)) }
    }

    fn proxied(name: &str, at: u64) -> Said {
        Said { application: Application::HttpProxy, ..said(Some(name), Evidence::HttpHost, at) }
    }

    #[test]
    fn what_only_tells_a_protocol_does_not_unmake_a_name() {
        let (flow, mut book) = (FlowKey::default(), SaidBook::default());
        book.enter(flow, said(Some("a.example"), Evidence::TlsSni, 1));
        book.enter(flow, said(None, Evidence::None, 2));
        assert_eq!(book.get(&flow), Some(&said(Some("a.example"), Evidence::TlsSni, 1)));
        book.enter(flow, said(Some("b.example"), Evidence::TlsSni, 3));
        let last = Said { has_others: true, ..said(Some("b.example"), Evidence::TlsSni, 3) };
        assert_eq!(book.get(&flow), Some(&last));
    }

    /// One after the other, and the name that is left, with its protocol.
    #[track_caller]
    fn check(entered: &[Said], expected: Option<&str>, application: Application) {
        let (flow, mut book) = (FlowKey::default(), SaidBook::default());
        for said in entered {
            book.enter(flow, said.clone());
        }
        let found = book.get(&flow).expect("something was said");
        assert_eq!((found.name.as_ref().map(DomainName::as_str), found.application), (expected, application));
    }

    #[test]
    fn more_of_the_same_beginning_may_take_a_name_back() {
        let named = said(Some("a.example"), Evidence::TlsSni, 1);
        check(&[named.clone(), said(None, Evidence::None, 1)], None, Application::Tls);
        check(&[named, proxied("b.example", 1)], Some("b.example"), Application::HttpProxy);
    }

    #[test]
    fn a_hello_behind_a_connect_goes_before_it_and_stays_proxied() {
        let connect = proxied("a.example", 1);
        let hello = |at| said(Some("b.example"), Evidence::TlsSni, at);
        check(&[connect.clone(), hello(5)], Some("b.example"), Application::HttpProxy);
        check(&[connect, hello(PORTS_REST_SECS * SECOND + 2)], Some("b.example"), Application::Tls);
    }

    #[test]
    fn a_weaker_word_waits_until_the_ports_have_rested() {
        let strong = said(Some("a.example"), Evidence::TlsSni, 1);
        let weak = |at| said(Some("b.example"), Evidence::HttpHost, at);
        check(&[strong.clone(), weak(PORTS_REST_SECS * SECOND + 1)], Some("a.example"), Application::Tls);
        check(&[strong.clone(), weak(PORTS_REST_SECS * SECOND + 2)], Some("b.example"), Application::Tls);
        check(&[weak(1), strong, weak(2)], Some("a.example"), Application::Tls);
    }

    #[test]
    fn a_sample_read_late_does_not_replace_a_later_name() {
        let at = |name, at| said(Some(name), Evidence::TlsSni, at);
        check(&[at("new.example", 9), at("old.example", 3)], Some("new.example"), Application::Tls);
        check(&[said(None, Evidence::None, 9), at("a.example", 3)], Some("a.example"), Application::Tls);
    }

    #[track_caller]
    fn check_others(entered: &[Said], expected: bool) {
        let (flow, mut book) = (FlowKey::default(), SaidBook::default());
        for said in entered {
            book.enter(flow, said.clone());
        }
        assert_eq!(book.get(&flow).map(|said| said.has_others), Some(expected));
    }

    #[test]
    fn two_hosts_of_one_conversation_are_remembered() {
        let http = |name, at| said(Some(name), Evidence::HttpHost, at);
        let tls = |name, at| said(Some(name), Evidence::TlsSni, at);
        let quic = |name, at| said(Some(name), Evidence::QuicSni, at);
        for kind in [http, tls, quic] {
            check_others(&[kind("a.example", 1), kind("b.example", 2)], true);
            check_others(&[kind("b.example", 2), kind("a.example", 1)], true);
            check_others(&[kind("a.example", 1), kind("b.example", 2), kind("b.example", 3)], true);
            check_others(&[kind("a.example", 1), kind("a.example", 2)], false);
        }
        check_others(&[tls("a.example", 1), http("b.example", 2)], true);
        check_others(&[proxied("a.example", 1), proxied("b.example", 2)], true);
        check_others(&[tls("a.example", 1), said(None, Evidence::None, 2)], false);
    }

    #[test]
    fn more_of_one_beginning_is_no_other_host() {
        let at_once = |evidence, name| said(Some(name), evidence, 1);
        for (evidence, expected) in
            [(Evidence::HttpHost, false), (Evidence::TlsSni, false), (Evidence::QuicSni, true)]
        {
            check_others(&[at_once(evidence, "a.example"), at_once(evidence, "b.example")], expected);
        }
        let taken_back = said(None, Evidence::None, 1);
        check_others(&[at_once(Evidence::TlsSni, "a.example"), taken_back], false);
    }

    #[test]
    fn a_hello_behind_a_connect_is_no_other_host() {
        let hello = |name, at| said(Some(name), Evidence::TlsSni, at);
        check_others(&[proxied("a.example", 1), hello("b.example", 5)], false);
        check_others(&[hello("b.example", 5), proxied("a.example", 1)], false);
        check_others(&[proxied("a.example", 1), hello("b.example", 5), hello("c.example", 6)], true);
        check_others(&[proxied("a.example", 1), proxied("b.example", 2), hello("c.example", 5)], true);
        check_others(&[proxied("a.example", 1), hello("b.example", PORTS_REST_SECS * SECOND + 2)], true);
    }

    #[test]
    fn what_was_said_before_the_ports_were_used_again_is_no_other_host() {
        let (flow, mut book) = (FlowKey::default(), SaidBook::default());
        for (name, at) in [("a.example", 1), ("b.example", 5), ("b.example", 9)] {
            book.enter(flow, said(Some(name), Evidence::TlsSni, at));
        }
        let has_others = |book: &SaidBook| book.get(&flow).map(|said| said.has_others);
        book.forget_before(&flow, BootTime(1));
        assert_eq!(has_others(&book), Some(true));
        book.forget_before(&flow, BootTime(2));
        assert_eq!(has_others(&book), Some(false));
        book.forget_before(&flow, BootTime(10));
        assert_eq!(has_others(&book), None);
    }
}
