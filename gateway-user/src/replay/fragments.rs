//! Which conversation a later fragment belongs to: only the first fragment of a datagram has ports, and the others
//! have its identification (RFC 791 §3.2, RFC 8200 §4.5). They may come before it.

use super::conversations::{Amount, Ends};
use super::table::Seen;
use std::collections::HashMap;

/// How many datagrams whose first fragment was seen are remembered at least, for twice as many at most: each is
/// some 90 bytes. IPv4 has 65 536 identifications for each pair of hosts, so that one remembered for long may
/// belong to another datagram.
const MAX_FIRST: usize = 1 << 14;
/// How many datagrams of which only later fragments were seen may wait for the first one. When there are more, all of
/// them are listed as what they are: fragments without ports.
const MAX_WAITING: usize = 1 << 14;

const IPV6_HEADER_LEN: usize = 40;
/// Next header number of the fragment header (RFC 8200 §4.5).
const FRAGMENT: u8 = 44;

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Datagram {
    source: [u8; 16],
    destination: [u8; 16],
    /// Of IPv4; 0 for IPv6, where it is no part of the identity.
    protocol: u8,
    id: u32,
}

/// Which fragment a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Piece {
    First(Datagram),
    Later(Datagram),
}

/// Later fragments that have no conversation yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Waiting {
    /// Their addresses and protocol, without ports.
    pub(super) ends: Ends,
    pub(super) amount: Amount,
}

/// Where a packet is to be counted.
pub(super) enum Place {
    /// In this conversation, together with fragments that waited for it.
    Here(Ends, Option<Amount>),
    /// Nowhere yet.
    Kept,
}

/// Remembers first fragments, and keeps later ones that came before theirs.
#[derive(Default)]
pub(super) struct Fragments {
    young: HashMap<Datagram, Ends>,
    old: HashMap<Datagram, Ends>,
    waiting: HashMap<Datagram, Waiting>,
}

impl Fragments {
    /// Where to count a packet whose own header says `ends`.
    pub(super) fn place(&mut self, seen: &Seen<'_>, ends: Ends, amount: Amount) -> Place {
        match piece(seen) {
            None => Place::Here(ends, None),
            Some(Piece::First(datagram)) => {
                self.remember(datagram, ends);
                Place::Here(ends, self.waiting.remove(&datagram).map(|waiting| waiting.amount))
            }
            Some(Piece::Later(datagram)) => {
                if let Some(whole) = self.young.get(&datagram).or_else(|| self.old.get(&datagram)) {
                    return Place::Here(*whole, None);
                }
                let waiting = Waiting { ends, amount: Amount::default() };
                self.waiting.entry(datagram).or_insert(waiting).amount.add(amount);
                Place::Kept
            }
        }
    }

    /// Do more datagrams wait than may?
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() > MAX_WAITING
    }

    /// Gives up waiting.
    pub(super) fn take_waiting(&mut self) -> Vec<Waiting> {
        self.waiting.drain().map(|(_, waiting)| waiting).collect()
    }

    fn remember(&mut self, datagram: Datagram, ends: Ends) {
        if self.young.len() >= MAX_FIRST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(datagram, ends);
    }
}

/// Which fragment this packet is; `None` if it is whole.
fn piece(seen: &Seen<'_>) -> Option<Piece> {
    let (sent, bytes) = (&seen.sent, seen.bytes);
    let u16_at = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes);
    let u32_at = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes);
    let datagram = |protocol, id| Datagram {
        source: seen.received.key.peer_addr_bytes(),
        destination: sent.key.peer_addr_bytes(),
        protocol,
        id,
    };
    if sent.key.is_ipv6() {
        let header = fragment_header(bytes, sent.l3_offset, sent.l4_offset)?;
        let (offset_and_more, id) = (u16_at(header + 2)?, u32_at(header + 4)?);
        return which(offset_and_more & 0xfff8 != 0, offset_and_more & 1 != 0, datagram(0, id));
    }
    let flags_and_offset = u16_at(sent.l3_offset + 6)?;
    let id = u32::from(u16_at(sent.l3_offset + 4)?);
    which(flags_and_offset & 0x1fff != 0, flags_and_offset & 0x2000 != 0, datagram(sent.key.protocol, id))
}

fn which(has_offset: bool, has_more: bool, datagram: Datagram) -> Option<Piece> {
    match (has_offset, has_more) {
        (true, _) => Some(Piece::Later(datagram)),
        (false, true) => Some(Piece::First(datagram)),
        (false, false) => None,
    }
}

/// Where the fragment header is among the extension headers between `l3` and `l4`, which were read once already.
fn fragment_header(bytes: &[u8], l3: usize, l4: usize) -> Option<usize> {
    let (mut next, mut at) = (*bytes.get(l3 + 6)?, l3 + IPV6_HEADER_LEN);
    while at < l4 {
        if next == FRAGMENT {
            return Some(at);
        }
        let eights = usize::from(*bytes.get(at + 1)?);
        next = *bytes.get(at)?;
        at += (eights + 1) * 8;
    }
    None
}
