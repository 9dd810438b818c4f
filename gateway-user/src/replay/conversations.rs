//! The conversations of a capture, one by one: both directions of a 5-tuple with what was exchanged and what it was
//! named, over the whole capture. Bounded: see [`MAX_OPEN`].
//!
//! Counts what [`super::table`] has read, names what the pipeline has attributed; writes nothing.

use super::fragments::{Fragments, Place};
use super::table::Seen;
use gateway_common::{FlowKey, protocol};
use gateway_core::application::Application;
use gateway_core::attribute::Attribution;
use gateway_core::row::{Evidence, Marks};
use gateway_core::units::{DomainName, WallTime};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// How many conversations are held before those that were silent longest leave: about 400 MB. A conversation that
/// goes on after it has left is listed once more.
pub const MAX_OPEN: usize = 1 << 18;
/// How many names of one conversation are kept: connections that were used again for other sites, ports that were.
pub const MAX_NAMES: usize = 16;

const TCP_SYN: u8 = 0x02;
const TCP_ACK: u8 = 0x10;

/// One end: its address (IPv4 as `::ffff:a.b.c.d`) and port; no port is 0.
pub(super) type End = ([u8; 16], u16);

/// Whose packets: the two ends in the order of their bytes, and the protocol. The same for both directions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Ends {
    low: End,
    high: End,
    protocol: u8,
}

/// Packets and IP-layer bytes that one side sent, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OneWay {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) first_at: WallTime,
    pub(super) last_at: WallTime,
}

impl OneWay {
    fn of(seen: &Seen<'_>) -> Self {
        let (packets, bytes) = (u64::from(seen.sent.packets), seen.sent.bytes);
        Self { packets, bytes, first_at: seen.at, last_at: seen.at }
    }

    /// Adds what the same side sent.
    pub(super) fn add(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
    }
}

const LOW: usize = 0;
const HIGH: usize = 1;

/// A name that a conversation was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// The name.
    pub name: DomainName,
    /// Why.
    pub evidence: Evidence,
    /// What must be said with it.
    pub marks: Marks,
}

/// A conversation that is being counted.
#[derive(Clone, Debug, Default)]
struct Open {
    /// What the low end and the high end sent.
    sent: [Option<OneWay>; 2],
    /// The side that opened the first TCP connection.
    opening_side: Option<usize>,
    /// How many conversations began before it.
    turn: u64,
    names: Vec<Named>,
    /// Of the last attribution without a name.
    marks: Marks,
    application: Application,
}

impl Open {
    /// Adds what one side sent.
    fn add(&mut self, side: usize, amount: OneWay) {
        let Some(sent) = self.sent.get_mut(side) else { return };
        match sent {
            Some(sent) => sent.add(amount),
            None => *sent = Some(amount),
        }
    }

    fn last_at(&self) -> WallTime {
        self.sent.iter().flatten().map(|sent| sent.last_at).max().unwrap_or_default()
    }
}

/// A conversation, as it is listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Who began: the sender of the first TCP SYN, or whom the first one answers; else the sender of the first packet.
    pub source: (IpAddr, u16),
    /// The other end.
    pub destination: (IpAddr, u16),
    /// IP protocol number.
    pub protocol: u8,
    /// Packets from the source and to it.
    pub packets: (u64, u64),
    /// IP-layer bytes from the source and to it.
    pub bytes: (u64, u64),
    /// What it was named, the strongest evidence first. By the DNS only if it said nothing of itself.
    pub names: Vec<Named>,
    /// What must be said of it, with the first name or without one.
    pub marks: Marks,
    /// The protocol that was recognised.
    pub application: Application,
    /// When its first packet passed.
    pub first_at: WallTime,
    /// When its last packet passed.
    pub last_at: WallTime,
}

/// The conversations of a capture.
pub struct Conversations {
    open: HashMap<Ends, Open>,
    fragments: Fragments,
    /// Where attributions belong: the keys counted in this interval and in the last one, for late names.
    keys: HashMap<FlowKey, Ends>,
    last_keys: HashMap<FlowKey, Ends>,
    begun: u64,
    max_open: usize,
}

impl Default for Conversations {
    fn default() -> Self {
        Self::bounded(MAX_OPEN)
    }
}

impl Conversations {
    /// With another bound than [`MAX_OPEN`].
    #[must_use]
    pub fn bounded(max_open: usize) -> Self {
        Self {
            open: HashMap::new(),
            fragments: Fragments::default(),
            keys: HashMap::new(),
            last_keys: HashMap::new(),
            begun: 0,
            max_open,
        }
    }

    /// Counts a packet.
    pub fn count(&mut self, seen: &Seen<'_>) {
        let amount = OneWay::of(seen);
        match self.fragments.place(seen, ends_of(seen), amount) {
            Place::Here(ends, side, waited) => {
                let is_whole = !seen.sent.key.is_later_fragment();
                if is_whole {
                    self.keys.insert(seen.key, ends);
                }
                let open = self.add(ends, side, amount);
                if is_whole && open.opening_side.is_none() {
                    open.opening_side = opening_side(seen, side);
                }
                if let Some(waited) = waited {
                    open.add(side, waited);
                }
            }
            Place::Kept if self.fragments.is_full() => self.settle_fragments(),
            Place::Kept => {}
        }
    }

    /// Names a conversation; the later attribution of the same name and evidence stands.
    pub fn name(&mut self, key: &FlowKey, attribution: Attribution) {
        let ends = self.keys.get(key).or_else(|| self.last_keys.get(key));
        let Some(open) = ends.and_then(|ends| self.open.get_mut(ends)) else { return };
        let Attribution { name, evidence, marks, application, answer_secs: _ } = attribution;
        if application != Application::Unknown {
            open.application = application;
        }
        let Some(name) = name else {
            open.marks = marks;
            return;
        };
        let named = Named { name, evidence, marks };
        let is_known = |known: &&mut Named| known.name == named.name && known.evidence == evidence;
        if let Some(known) = open.names.iter_mut().find(is_known) {
            *known = named;
        } else if open.names.len() < MAX_NAMES {
            open.names.push(named);
        }
    }

    /// An interval is over and its attributions are in. Gives out what there is no room for: those that were silent
    /// longest, until half is free.
    pub fn end_interval(&mut self) -> Vec<Listed> {
        self.last_keys = std::mem::take(&mut self.keys);
        if self.open.len() <= self.max_open {
            return Vec::new();
        }
        let mut silent: Vec<_> =
            self.open.iter().map(|(ends, open)| (open.last_at(), open.turn, *ends)).collect();
        silent.sort_unstable();
        silent.truncate(self.open.len().saturating_sub(self.max_open / 2));
        let leaving = silent.into_iter().filter_map(|(_, _, ends)| Some((ends, self.open.remove(&ends)?)));
        leaving.map(|(ends, open)| listed(&ends, open)).collect()
    }

    /// All that is left, in the order in which it began.
    pub fn finish(&mut self) -> Vec<Listed> {
        self.settle_fragments();
        let mut left: Vec<_> = self.open.drain().collect();
        left.sort_unstable_by_key(|(_, open)| open.turn);
        left.into_iter().map(|(ends, open)| listed(&ends, open)).collect()
    }

    /// Fragments whose first one did not come are a conversation without ports.
    fn settle_fragments(&mut self) {
        let mut waiting = self.fragments.take_waiting();
        waiting.sort_unstable_by_key(|waiting| (waiting.amount.first_at, waiting.ends));
        for waiting in waiting {
            self.add(waiting.ends, waiting.side, waiting.amount);
        }
    }

    fn add(&mut self, ends: Ends, side: usize, amount: OneWay) -> &mut Open {
        let begun = &mut self.begun;
        let open = self.open.entry(ends).or_insert_with(|| {
            *begun += 1;
            Open { turn: *begun, ..Open::default() }
        });
        open.add(side, amount);
        open
    }
}

/// The ends of a packet in order, and which of them sent it.
fn ends_of(seen: &Seen<'_>) -> (Ends, usize) {
    // The peer of one reading is the sender, that of the other the receiver.
    let source = (seen.received.key.peer_addr_bytes(), seen.received.key.peer_port());
    let destination = (seen.sent.key.peer_addr_bytes(), seen.sent.key.peer_port());
    let protocol = seen.sent.key.protocol;
    if source <= destination {
        (Ends { low: source, high: destination, protocol }, LOW)
    } else {
        (Ends { low: destination, high: source, protocol }, HIGH)
    }
}

/// The side that opens a TCP connection: it sends a SYN, or the other one answers it.
fn opening_side(seen: &Seen<'_>, side: usize) -> Option<usize> {
    match seen.sent.tcp_flags & (TCP_SYN | TCP_ACK) {
        _ if seen.sent.key.protocol != protocol::TCP => None,
        TCP_SYN => Some(side),
        flags if flags == TCP_SYN | TCP_ACK => Some(if side == LOW { HIGH } else { LOW }),
        _ => None,
    }
}

fn listed(ends: &Ends, open: Open) -> Listed {
    let last_at = open.last_at();
    let Open { sent, opening_side, turn: _, mut names, marks, application } = open;
    let first_at = sent.iter().flatten().map(|sent| sent.first_at).min().unwrap_or_default();
    let first_side = match sent {
        [Some(low), Some(high)] if high.first_at < low.first_at => HIGH,
        [None, _] => HIGH,
        _ => LOW,
    };
    if names.iter().any(|named| named.evidence > Evidence::Dns) {
        names.retain(|named| named.evidence > Evidence::Dns);
    }
    // Stable: of two with the same evidence the earlier one stays first.
    names.sort_by_key(|named| std::cmp::Reverse(named.evidence));
    let [low, high] = sent.map(|sent| sent.map_or((0, 0), |sent| (sent.packets, sent.bytes)));
    let (low, high) = ((endpoint(ends.low), low), (endpoint(ends.high), high));
    let is_from_low = opening_side.unwrap_or(first_side) == LOW;
    let ((source, up), (destination, down)) = if is_from_low { (low, high) } else { (high, low) };
    Listed {
        source,
        destination,
        protocol: ends.protocol,
        packets: (up.0, down.0),
        bytes: (up.1, down.1),
        marks: names.first().map_or(marks, |named| named.marks),
        names,
        application,
        first_at,
        last_at,
    }
}

fn endpoint((addr, port): End) -> (IpAddr, u16) {
    (Ipv6Addr::from(addr).to_canonical(), port)
}
