//! What conversations said of themselves: the host that the device named in them, and the protocol they speak.

use super::aged::{Aged, Limits};
use crate::application::Application;
use crate::row::Said;
use gateway_common::FlowKey;

/// How many conversations of one device are remembered.
pub const MAX_SAID_PER_DEVICE: usize = 8192;
/// How many in all. A conversation lasts as long as it is counted: what no interval used leaves first.
pub const MAX_SAID: usize = 16_384;

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
    /// Enters what a conversation said. A host named later takes the place of one named before: ports are used again,
    /// and what was said in another conversation must not stay. What names nobody unmakes no name.
    pub fn enter(&mut self, flow: FlowKey, said: Said) {
        let Some(known) = self.known.get_mut(&flow) else {
            self.evicted = self.evicted.saturating_add(self.known.insert(flow, said));
            return;
        };
        let is_same_moment = known.at == said.at;
        if is_same_moment || said.name.is_some() || known.name.is_none() {
            *known = said;
        } else if known.application == Application::Unknown {
            known.application = said.application;
        }
        self.known.touch(&flow);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Evidence;
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
        book.enter(flow, said(Some("b.example"), Evidence::HttpHost, 3));
        assert_eq!(book.get(&flow), Some(&said(Some("b.example"), Evidence::HttpHost, 3)));
    }
}
