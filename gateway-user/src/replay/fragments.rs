//! Which conversation a later fragment belongs to: only the first fragment of a datagram has ports, and the others
//! have its identification (RFC 791 §3.2, RFC 8200 §4.5). They may come before it.

use super::conversations::{Ends, OneWay};
use super::table::Seen;
use gateway_ebpf::Packet;
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
pub(super) struct Datagram {
    source: [u8; 16],
    destination: [u8; 16],
    /// Of IPv4; 0 for IPv6, where it is no part of the identity.
    protocol: u8,
    id: u32,
}

/// A fragment's place in its datagram, in bytes of what was fragmented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub(super) datagram: Datagram,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) is_last: bool,
    /// Where in the frame its piece begins.
    pub(super) begin: usize,
    /// In IPv6 a header says that it is a fragment.
    pub(super) ipv6: Option<FragmentHeader>,
}

/// Where in the frame a fragment header is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FragmentHeader {
    pub(super) header: usize,
    /// The field of the header before it that names it.
    pub(super) next_header: usize,
}

impl Part {
    pub(super) fn is_first(&self) -> bool {
        self.offset == 0
    }
}

/// A datagram whose first fragment was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct First {
    ends: Ends,
    side: usize,
    /// How much was seen of it, and how long it is if its last fragment was.
    seen_len: u64,
    len: Option<u64>,
}

impl First {
    /// A datagram that is whole needs no more fragments: what comes next with its identification is another one's.
    fn is_whole(&self) -> bool {
        self.len.is_some_and(|len| self.seen_len >= len)
    }

    fn take(&mut self, part: Part) {
        self.seen_len = self.seen_len.saturating_add(part.len);
        if part.is_last {
            self.len = Some(part.offset.saturating_add(part.len));
        }
    }
}

/// Later fragments of one datagram that have no conversation yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Waiting {
    /// Where they are counted if the first one does not come: in the conversation of the last datagram that had the
    /// same identification (then they are copies), or in one without ports.
    pub(super) ends: Ends,
    pub(super) side: usize,
    pub(super) amount: OneWay,
    seen_len: u64,
    len: Option<u64>,
}

/// Where a packet is to be counted.
pub(super) enum Place {
    /// In this conversation, as sent by this side of it, together with fragments that waited for it.
    Here(Ends, usize, Option<OneWay>),
    /// Nowhere yet.
    Kept,
}

/// Remembers first fragments, and keeps later ones that came before theirs.
#[derive(Default)]
pub(super) struct Fragments {
    young: HashMap<Datagram, First>,
    old: HashMap<Datagram, First>,
    waiting: HashMap<Datagram, Waiting>,
}

impl Fragments {
    /// Where to count a packet whose own header says `ends` and `side`.
    pub(super) fn place(&mut self, seen: &Seen<'_>, (ends, side): (Ends, usize), amount: OneWay) -> Place {
        let Some(part) = part(seen.bytes, &seen.sent, &seen.received) else {
            return Place::Here(ends, side, None);
        };
        let datagram = part.datagram;
        if part.is_first() {
            let mut first = First { ends, side, seen_len: 0, len: None };
            first.take(part);
            let waited = self.waiting.remove(&datagram);
            if let Some(Waiting { seen_len, len, .. }) = waited {
                (first.seen_len, first.len) = (first.seen_len.saturating_add(seen_len), len);
            }
            self.remember(datagram, first);
            return Place::Here(ends, side, waited.map(|waited| waited.amount));
        }
        let mut fallback = (ends, side);
        if let Some(first) = self.young.get_mut(&datagram).or_else(|| self.old.get_mut(&datagram)) {
            if !first.is_whole() {
                first.take(part);
                return Place::Here(first.ends, first.side, None);
            }
            fallback = (first.ends, first.side);
        }
        self.wait(fallback, part, amount);
        Place::Kept
    }

    fn wait(&mut self, (ends, side): (Ends, usize), part: Part, amount: OneWay) {
        let waiting = self.waiting.entry(part.datagram).or_insert(Waiting {
            ends,
            side,
            amount: OneWay { packets: 0, bytes: 0, ..amount },
            seen_len: 0,
            len: None,
        });
        waiting.amount.add(amount);
        waiting.seen_len = waiting.seen_len.saturating_add(part.len);
        if part.is_last {
            waiting.len = Some(part.offset.saturating_add(part.len));
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

    fn remember(&mut self, datagram: Datagram, first: First) {
        if self.young.len() >= MAX_FIRST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(datagram, first);
    }
}

/// Which fragment a packet is; `None` if it is whole.
pub(super) fn part(bytes: &[u8], sent: &Packet, received: &Packet) -> Option<Part> {
    let u16_at = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes);
    let u32_at = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes);
    let ipv6 =
        if sent.key.is_ipv6() { Some(fragment_header(bytes, sent.l3_offset, sent.l4_offset)?) } else { None };
    let (protocol, id, eights, has_more, begin) = if let Some(FragmentHeader { header, .. }) = ipv6 {
        let field = u16_at(header + 2)?;
        (0, u32_at(header + 4)?, field >> 3, field & 1 != 0, header + 8)
    } else {
        let field = u16_at(sent.l3_offset + 6)?;
        let id = u32::from(u16_at(sent.l3_offset + 4)?);
        (sent.key.protocol, id, field & 0x1fff, field & 0x2000 != 0, sent.l4_offset)
    };
    if eights == 0 && !has_more {
        return None;
    }
    let datagram = Datagram {
        source: received.key.peer_addr_bytes(),
        destination: sent.key.peer_addr_bytes(),
        protocol,
        id,
    };
    let headers = begin.saturating_sub(sent.l3_offset) as u64;
    let len = sent.bytes.saturating_sub(headers);
    Some(Part { datagram, offset: u64::from(eights) * 8, len, is_last: !has_more, begin, ipv6 })
}

/// Where the fragment header is among the extension headers between `l3` and `l4`, which were read once already.
fn fragment_header(bytes: &[u8], l3: usize, l4: usize) -> Option<FragmentHeader> {
    let (mut next_header, mut header) = (l3 + 6, l3 + IPV6_HEADER_LEN);
    while header < l4 {
        if *bytes.get(next_header)? == FRAGMENT {
            return Some(FragmentHeader { header, next_header });
        }
        next_header = header;
        header += (usize::from(*bytes.get(header + 1)?) + 1) * 8;
    }
    None
}
