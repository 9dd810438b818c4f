//! Conversations of earlier intervals: who opened them and what they were named, so that one that lasts keeps its
//! name when the answer that gave it has gone stale, and an answer that came after its beginning never names it.

use super::aged::{Aged, Limits};
use crate::row::Told;
use crate::units::BootTime;
use gateway_common::{FlowKey, FlowState, protocol};

/// How many conversations of one device are remembered.
pub const MAX_PER_DEVICE: usize = 8192;
/// How many in all: some 4 MiB at worst. One that is forgotten is taken for new, and may lose its name.
pub const MAX_CONVERSATIONS: usize = 16_384;

/// How long a TCP conversation may be silent and still be the same: two hours and four minutes, which RFC 5382
/// REQ-5 has every NAT wait for, as hosts may wait two hours before they send a keep-alive (RFC 9293 §3.8.4).
pub const TCP_IDLE_SECS: u64 = 2 * 3600 + 4 * 60;
/// The same for everything else, which has no SYN to tell a new conversation by. RFC 4787 REQ-5 has NATs wait for
/// two minutes at least, and gateways wait for three: Linux's `nf_conntrack_udp_timeout_stream` was 180 s for most
/// of its life. Who is silent for longer has lost its mapping, and begins anew.
pub const OTHER_IDLE_SECS: u64 = 180;

/// What is remembered of a conversation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conversation {
    /// [`gateway_common::FlowState`] `opened`, ORed over its intervals.
    pub opened: u8,
    /// What the DNS had told of its peer before it began.
    pub told: Told,
    /// What the device said before this was said in another conversation over the same ports.
    pub said_since: BootTime,
    /// The end of the last interval in which it had packets: its last packet may be older by an interval.
    pub last_seen: BootTime,
}

impl Conversation {
    /// Do these SYNs ([`gateway_common::FlowState`] `opened`) begin another one over the same ports? One that the device
    /// opened is not begun anew by a SYN of its peer alone: the device answers that with an ACK and goes on (RFC 9293
    /// §3.10.7.4).
    #[must_use]
    pub fn is_begun_anew(&self, opened: u8) -> bool {
        let is_ours = self.opened & FlowState::OPENED_BY_DEVICE != 0;
        opened != 0 && !(is_ours && opened == FlowState::OPENED_BY_PEER)
    }

    /// Is what goes over these addresses and ports at `at` still this conversation, or was it silent too long?
    #[must_use]
    pub fn goes_on(&self, flow: &FlowKey, at: BootTime) -> bool {
        let idle_secs = if flow.protocol == protocol::TCP { TCP_IDLE_SECS } else { OTHER_IDLE_SECS };
        at.since(self.last_seen) <= idle_secs.saturating_mul(1_000_000_000)
    }
}

/// Conversations of earlier intervals; those seen longest ago leave first.
#[derive(Clone, Debug)]
pub struct ConversationsBook {
    known: Aged<FlowKey, Conversation>,
    /// Conversations forgotten for want of room.
    pub evicted: u64,
}

impl Default for ConversationsBook {
    fn default() -> Self {
        let limits = Limits { per_device: MAX_PER_DEVICE, in_all: MAX_CONVERSATIONS };
        Self { known: Aged::new(limits), evicted: 0 }
    }
}

impl ConversationsBook {
    /// What is remembered of it.
    #[must_use]
    pub fn get(&self, flow: &FlowKey) -> Option<&Conversation> {
        self.known.get(flow)
    }

    /// Remembers it, as the one seen last.
    pub fn remember(&mut self, flow: FlowKey, conversation: Conversation) {
        self.evicted = self.evicted.saturating_add(self.known.insert(flow, conversation));
    }

    /// Corrects what the DNS had told before it began, if it is still remembered.
    pub fn tell(&mut self, flow: &FlowKey, told: &Told) {
        if let Some(conversation) = self.known.get_mut(flow) {
            conversation.told = told.clone();
        }
    }

    /// Those that had packets at `since` or later.
    pub fn alive(&self, since: BootTime) -> impl Iterator<Item = (&FlowKey, &Conversation)> {
        self.known.iter().filter(move |(_, conversation)| conversation.last_seen >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::DomainName;

    #[test]
    fn the_one_seen_longest_ago_leaves_first() {
        let mut book = ConversationsBook::default();
        let flow = |port: u16| FlowKey { device_port: port, mac_head: 7, ..FlowKey::default() };
        for port in 0..=u16::try_from(MAX_PER_DEVICE).expect("small") {
            book.remember(flow(port), Conversation { opened: 1, ..Conversation::default() });
        }
        assert_eq!((book.evicted, book.get(&flow(0)), book.get(&flow(1)).is_some()), (1, None, true));
        let name = DomainName::parse("a.example");
        book.tell(&flow(1), &Told { name: name.clone(), ..Told::default() });
        assert_eq!(book.get(&flow(1)).and_then(|c| c.told.name.clone()), name);
    }
}
