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
    known: Aged<FlowKey, Said>,
    /// Conversations forgotten for want of room.
    pub evicted: u64,
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
    ///   of another conversation, or is put there to mislead; before that time the latter is more likely.
    pub fn enter(&mut self, flow: FlowKey, said: Said) {
        let Some(known) = self.known.get_mut(&flow) else {
            self.evicted = self.evicted.saturating_add(self.known.insert(flow, said));
            return;
        };
        if takes_its_place(&said, known) {
            let is_inside_a_proxy = known.application == Application::HttpProxy
                && said.evidence == Evidence::TlsSni
                && said.at.since(known.at) <= PORTS_REST_SECS.saturating_mul(SECOND);
            let application = if is_inside_a_proxy { known.application } else { said.application };
            *known = Said { application, ..said };
        } else if known.application == Application::Unknown {
            known.application = said.application;
        }
        self.known.touch(&flow);
    }

    /// Forgets what was said over these ports before `since`: that was another conversation.
    pub fn forget_before(&mut self, flow: &FlowKey, since: BootTime) {
        if self.known.get(flow).is_some_and(|said| said.at < since) {
            self.known.remove(flow);
        }
    }

    /// What this conversation said.
    #[must_use]
    pub fn get(&self, flow: &FlowKey) -> Option<&Said> {
        self.known.get(flow)
    }

    /// The conversation goes on: what it said is not old.
    pub fn touch(&mut self, flow: &FlowKey) {
        self.known.touch(flow);
    }
}

fn takes_its_place(said: &Said, known: &Said) -> bool {
    if said.at == known.at || known.name.is_none() {
        return true;
    }
    if said.name.is_none() || said.at < known.at {
        return false;
    }
    said.evidence >= known.evidence || said.at.since(known.at) > PORTS_REST_SECS.saturating_mul(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{BootTime, DomainName};

    fn said(name: Option<&str>, evidence: Evidence, at: u64) -> Said {
        let name = name.map(|name| DomainName::parse(name).expect("a name"));
        Said { name, evidence, is_outer: false, application: Application::Tls, at: BootTime(at) }
    }

    #[test]
    fn what_only_tells_a_protocol_does_not_unmake_a_name() {
        let (flow, mut book) = (FlowKey::default(), SaidBook::default());
        book.enter(flow, said(Some("a.example"), Evidence::TlsSni, 1));
        book.enter(flow, said(None, Evidence::None, 2));
        assert_eq!(book.get(&flow), Some(&said(Some("a.example"), Evidence::TlsSni, 1)));
        book.enter(flow, said(Some("b.example"), Evidence::TlsSni, 3));
        assert_eq!(book.get(&flow), Some(&said(Some("b.example"), Evidence::TlsSni, 3)));
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
        let proxied =
            Said { application: Application::HttpProxy, ..said(Some("b.example"), Evidence::HttpHost, 1) };
        check(&[named, proxied], Some("b.example"), Application::HttpProxy);
    }

    #[test]
    fn a_hello_behind_a_connect_goes_before_it_and_stays_proxied() {
        let connect =
            Said { application: Application::HttpProxy, ..said(Some("a.example"), Evidence::HttpHost, 1) };
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
}
