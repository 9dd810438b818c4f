//! Datagrams put together from their fragments, to look into: a large answer of the DNS comes in several, and some
//! links cut everything. Nothing is counted by it.
//!
//! Only what fits without a gap or an overlap is put together: overlaps are an attack (RFC 5722, RFC 1858).

use super::fragments::{Datagram, Part};
use gateway_ebpf::Packet;
use std::collections::VecDeque;

/// How many datagrams may lack fragments at a time. Those that lack them longest leave first. The kernel of a host
/// waits for 30 seconds (Linux) or 60 (RFC 8200 §4.5); in that time a household sees a few.
const MAX_UNFINISHED: usize = 64;
/// The longest payload of an IP packet, so that all of them together are 4 MiB at most.
const MAX_LEN: usize = 65_535;
/// Fragments of one datagram: a whole one over the smallest link that IPv4 allows (RFC 791 §3.2) has more, but no
/// honest one.
const MAX_PARTS: usize = 512;

const IPV6_HEADER_LEN: usize = 40;

/// A datagram that lacks fragments.
struct Unfinished {
    datagram: Datagram,
    /// What stands before the fragmented part, made as if nothing were cut; from the first fragment.
    head: Option<Vec<u8>>,
    parts: Vec<(usize, Vec<u8>)>,
    len: Option<usize>,
}

/// Keeps fragments until they are whole.
#[derive(Default)]
pub(super) struct Defragmenter {
    unfinished: VecDeque<Unfinished>,
}

impl Defragmenter {
    /// Takes a fragment. `Some`: with it a datagram is whole; its frame, as if it had never been cut.
    pub(super) fn take(&mut self, bytes: &[u8], sent: &Packet, part: &Part) -> Option<Vec<u8>> {
        let (offset, len) = (usize::try_from(part.offset).ok()?, usize::try_from(part.len).ok()?);
        // A fragment that the capture has cut is of no use.
        let payload = bytes.get(part.begin..)?.get(..len)?;
        if offset.saturating_add(len) > MAX_LEN {
            return None;
        }
        let place = self.place(part.datagram);
        let unfinished = self.unfinished.get_mut(place)?;
        if part.is_first() {
            unfinished.head = head(bytes, sent, part);
        }
        if part.is_last {
            unfinished.len = Some(offset + len);
        }
        let is_copy = unfinished.parts.iter().any(|(other, _)| *other == offset);
        if !is_copy && unfinished.parts.len() < MAX_PARTS {
            unfinished.parts.push((offset, payload.to_vec()));
        }
        let whole = unfinished.whole(sent.l3_offset)?;
        self.unfinished.remove(place);
        Some(whole)
    }

    /// Where the datagram is, from now on.
    fn place(&mut self, datagram: Datagram) -> usize {
        if let Some(place) = self.unfinished.iter().position(|unfinished| unfinished.datagram == datagram) {
            return place;
        }
        if self.unfinished.len() >= MAX_UNFINISHED {
            self.unfinished.pop_front();
        }
        self.unfinished.push_back(Unfinished { datagram, head: None, parts: Vec::new(), len: None });
        self.unfinished.len() - 1
    }
}

impl Unfinished {
    /// The frame, if nothing is missing and nothing overlaps.
    fn whole(&mut self, l3: usize) -> Option<Vec<u8>> {
        let (head, len) = (self.head.as_ref()?, self.len?);
        self.parts.sort_unstable_by_key(|(offset, _)| *offset);
        let mut frame = head.clone();
        for (offset, part) in &self.parts {
            if head.len() + offset != frame.len() {
                return None;
            }
            frame.extend_from_slice(part);
        }
        if frame.len() != head.len() + len {
            return None;
        }
        let is_ipv6 = frame.get(l3)? >> 4 == 6;
        let packet_len = frame.len().checked_sub(l3)?;
        let (at, field) =
            if is_ipv6 { (4, packet_len.checked_sub(IPV6_HEADER_LEN)?) } else { (2, packet_len) };
        let field = u16::try_from(field).ok()?;
        frame.get_mut(l3 + at..)?.first_chunk_mut::<2>()?.copy_from_slice(&field.to_be_bytes());
        Some(frame)
    }
}

/// The headers of the first fragment without what says that it is one.
fn head(bytes: &[u8], sent: &Packet, part: &Part) -> Option<Vec<u8>> {
    let Some(cut) = part.ipv6 else {
        let mut head = bytes.get(..part.begin)?.to_vec();
        head.get_mut(sent.l3_offset + 6..)?.first_chunk_mut::<2>()?.copy_from_slice(&[0, 0]);
        return Some(head);
    };
    let mut head = bytes.get(..cut.header)?.to_vec();
    *head.get_mut(cut.next_header)? = *bytes.get(cut.header)?;
    Some(head)
}
