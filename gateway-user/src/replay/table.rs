//! The twin of the kernel's counting, for frames from a capture: the same reader, the same arithmetic, the same
//! choice of samples; only the table is a plain map, and the clock is the capture's.
//!
//! One interval at a time. Reads no file, and does not know what becomes of what it counts.

use super::capture::{Frame, LinkType};
use super::defragment::Defragmenter;
use super::fragments;
use super::link::{self, Normaliser};
use super::orient::{Orientation, Orienter, Reach};
use gateway_common::{
    Direction, FlowCounters, FlowKey, FlowState, KernelStat, MAX_SLOT_PACKETS, SNAPSHOT_LEN, SampleHeader,
    SampleKind, StatBlock,
};
use gateway_core::drained::{Drained, DrainedFlow};
use gateway_core::row::{EpochId, Interval};
use gateway_core::units::{BootTime, Mac, WallTime};
use gateway_ebpf::{Outcome, Packet, Verdict, count_into, fresh, read_packet, worth};
use ipnetwork::IpNetwork;
use std::collections::HashMap;

/// How many conversations one interval may have: about 30 MiB, table and drained copy. An interval with more is
/// closed before its time and the next begins there, so nothing is lost by it.
pub const MAX_CONVERSATIONS: usize = 1 << 17;

/// A capture that shows nothing for longer was perhaps not running (captures of two evenings may be one file), so
/// that time is not called measured: ten minutes, in which any LAN of phones is heard at least once.
const MAX_SILENCE_NS: i64 = 600 * 1_000_000_000;

/// How often the times of a capture may jump, backwards by an interval or forwards by more than
/// [`MAX_SILENCE_NS`], before they are no longer believed: each jump is an interval and a transaction, and times
/// that alternate would make every packet one. Files merged from some hundred captures stay below. What jumps
/// after that is counted in the interval that is open, and told ([`Table::misdated`]).
pub const MAX_JUMPS: u32 = 1024;

/// How the table counts.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The networks whose addresses are devices'.
    pub local: Vec<IpNetwork>,
    /// The gateway's own MAC address on the LAN; then only frames from and to it are routed traffic.
    pub gateway: Option<Mac>,
    /// Length of an interval in seconds of the capture's time, at least 1; intervals begin at its multiples.
    pub drain_every_secs: u32,
    /// [`MAX_CONVERSATIONS`], or fewer.
    pub max_conversations: usize,
}

/// A packet's head that may teach a name or a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample<'a> {
    /// As the kernel would have filled it in.
    pub header: SampleHeader,
    /// From the Ethernet header on, at most [`SNAPSHOT_LEN`] bytes.
    pub snapshot: &'a [u8],
}

/// An IP packet that was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen<'a> {
    /// When it was caught.
    pub at: WallTime,
    /// The conversation it was counted in.
    pub key: FlowKey,
    /// The packet with its sender as the device.
    pub sent: Packet,
    /// The packet with its receiver as the device.
    pub received: Packet,
    /// From the Ethernet header on, as much as was caught.
    pub bytes: &'a [u8],
}

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counted<'a> {
    /// `None` if it is no sound IP.
    pub packet: Option<Seen<'a>>,
    /// Its head, if that is worth decoding.
    pub sample: Option<Sample<'a>>,
}

/// The kind of link cannot be read; the frame was not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnreadableLink;

/// Counts frames into intervals.
pub struct Table {
    rules: Rules,
    /// `boot_id` and `table_id` of every epoch, and the epoch that is open or comes next.
    epoch: EpochId,
    normaliser: Normaliser,
    orienter: Orienter,
    flows: HashMap<FlowKey, FlowCounters>,
    stats: StatBlock,
    open: Option<Span>,
    is_full: bool,
    jumps: u32,
    misdated: u64,
    /// Looks into datagrams that came in fragments. The kernel does not, so the twin of its counting has none.
    defragmenter: Option<Defragmenter>,
    /// The frame of the last one that was put together.
    whole: Vec<u8>,
}

/// An open interval, half-open, in nanoseconds since 1970.
#[derive(Clone, Copy)]
struct Span {
    began: i64,
    ends: i64,
}

impl Table {
    /// An empty table. `boot_id` names the capture and `table_id` the way it is counted, so that the epochs of
    /// the same capture counted the same way are the same.
    #[must_use]
    pub fn new(rules: Rules, boot_id: String, table_id: u64) -> Self {
        Self {
            orienter: Orienter::new(rules.local.clone(), rules.gateway),
            rules,
            epoch: EpochId { boot_id, table_id, epoch: 1 },
            normaliser: Normaliser::default(),
            flows: HashMap::new(),
            stats: StatBlock::default(),
            open: None,
            is_full: false,
            jumps: 0,
            misdated: 0,
            defragmenter: None,
            whole: Vec::new(),
        }
    }

    /// An empty table that sees every conversation from the end that began it, and counts all packets, whatever MAC
    /// address they go to. Its intervals are `drain_every_secs` long. Samples of datagrams in fragments are whole.
    #[must_use]
    pub fn by_initiator(drain_every_secs: u32, boot_id: String) -> Self {
        let max_conversations = MAX_CONVERSATIONS;
        let rules = Rules { local: Vec::new(), gateway: None, drain_every_secs, max_conversations };
        let (orienter, defragmenter) = (Orienter::by_initiator(), Some(Defragmenter::default()));
        Self { orienter, defragmenter, ..Self::new(rules, boot_id, 0) }
    }

    /// Takes note of a router's MAC address, if the frame shows one. Counts nothing: for a look ahead, so that even
    /// the first conversations between a device and its gateway are seen from the device.
    pub fn look_at(&mut self, frame: &Frame<'_>) {
        let info = gateway_ebpf::Frame { len: frame.wire_len, ..gateway_ebpf::Frame::default() };
        // On other links the addresses are made up from IP addresses and show nothing.
        if frame.link == LinkType::ETHERNET
            && let Ok((sent, received)) = read_both_ways(frame.bytes, &info)
        {
            self.orienter.learn(frame.bytes, &sent, &received);
        }
    }

    /// Closes the interval that a frame caught `at` no longer belongs to, and opens the one it does. Call it
    /// before [`Table::count`]. `Some`: the interval that was closed.
    ///
    /// A frame a little older than the interval (captures of several interfaces are not quite in order) is
    /// counted in it; one that is older by a whole interval shows that the clock was set back, and opens another.
    /// A silence of up to ten minutes belongs to the interval before it, which was measured and quiet. Times that
    /// jump more than [`MAX_JUMPS`] times are not followed.
    pub fn advance(&mut self, at: WallTime) -> Option<Drained> {
        let every = i64::from(self.rules.drain_every_secs.max(1)).saturating_mul(1_000_000_000);
        let aligned = at.0.saturating_sub(at.0.rem_euclid(every));
        let next = Span { began: aligned, ends: aligned.saturating_add(every) };
        let Some(open) = self.open else {
            self.open = Some(next);
            return None;
        };
        let is_over = at.0 >= open.ends || at.0 < open.began.saturating_sub(every);
        let is_silence = (0..=MAX_SILENCE_NS).contains(&next.began.saturating_sub(open.ends));
        let is_misdated = is_over && !is_silence && self.jumps >= MAX_JUMPS;
        self.misdated += u64::from(is_misdated);
        if is_over && !is_misdated {
            self.jumps += u32::from(!is_silence);
            let drained = self.close(if is_silence { next.began } else { open.ends });
            self.open = Some(next);
            return drained;
        }
        if self.is_full {
            // Never empty, and never beyond the end it would have had.
            let cut = at.0.clamp(open.began.saturating_add(1), open.ends);
            let drained = self.close(cut);
            self.open = Some(if cut < open.ends { Span { began: cut, ends: open.ends } } else { next });
            return drained;
        }
        None
    }

    /// How many frames were counted in another interval than their times say.
    #[must_use]
    pub fn misdated(&self) -> u64 {
        self.misdated
    }

    /// Closes the last interval; `None` if no frame ever came.
    pub fn finish(&mut self) -> Option<Drained> {
        let open = self.open?;
        self.close(open.ends)
    }

    fn close(&mut self, ended: i64) -> Option<Drained> {
        let open = self.open.take()?;
        let mut flows: Vec<_> =
            self.flows.drain().map(|(key, counters)| DrainedFlow::of(key, counters)).collect();
        flows.sort_unstable_by_key(|flow| flow.key);
        let epoch = self.epoch.clone();
        self.epoch.epoch += 1;
        self.is_full = false;
        Some(Drained {
            epoch,
            interval: Interval {
                began_boot: boot_of(WallTime(open.began)),
                ended_boot: boot_of(WallTime(ended)),
                began_at: WallTime(open.began),
                ended_at: WallTime(ended),
                is_clock_set: true,
            },
            flows,
            stats: std::mem::take(&mut self.stats),
        })
    }

    /// Counts one frame in the open interval. `Some`: its head is worth decoding.
    ///
    /// # Errors
    /// [`UnreadableLink`]; nothing was counted.
    pub fn count<'a>(&'a mut self, frame: &Frame<'a>) -> Result<Option<Sample<'a>>, UnreadableLink> {
        self.count_packet(frame).map(|counted| counted.sample)
    }

    /// Counts one frame in the open interval, and tells what it was.
    ///
    /// # Errors
    /// [`UnreadableLink`]; nothing was counted.
    pub fn count_packet<'a>(&'a mut self, frame: &Frame<'a>) -> Result<Counted<'a>, UnreadableLink> {
        let Self { normaliser, orienter, flows, stats, rules, is_full, defragmenter, whole, .. } = self;
        let ethernet = normaliser.ethernet(frame.link, frame.bytes, frame.wire_len).ok_or(UnreadableLink)?;
        let bytes = ethernet.bytes;
        let info = gateway_ebpf::Frame { len: ethernet.wire_len, ..gateway_ebpf::Frame::default() };

        let (sent, received) = match read_both_ways(bytes, &info) {
            Ok(both) => both,
            Err((stat, skipped)) => {
                add_pair(stats, KernelStat::SeenPackets, 1, skipped);
                add_pair(stats, stat, 1, skipped);
                return Ok(Counted::default());
            }
        };
        if link::has_addresses(frame.link) {
            orienter.learn(bytes, &sent, &received);
        }
        let orientation = orienter.orient(bytes, &sent, &received);
        let (packet, Orientation { reach, direction, .. }) =
            (orientation.choose(sent, received), orientation);
        let seen = Some(Seen { at: frame.at, key: packet.key, sent, received, bytes });
        let packets = u64::from(packet.packets);
        add_pair(stats, KernelStat::SeenPackets, packets, packet.bytes);
        let kind = match reach {
            Reach::Bridged => {
                add_pair(stats, KernelStat::BridgedPackets, packets, packet.bytes);
                None
            }
            Reach::Group => {
                add_pair(stats, KernelStat::GroupPackets, packets, packet.bytes);
                sought(bytes, &packet, direction, None)
            }
            Reach::Gateway => {
                let counters = flows.entry(packet.key).or_insert_with(|| fresh(boot_ms(frame.at)));
                count_into(counters, &packet, direction);
                *is_full |= (counters.up_packets | counters.down_packets) >= MAX_SLOT_PACKETS;
                let fragment = defragmenter.as_mut().zip(fragments::part(bytes, &sent, &received));
                if let Some((defragmenter, part)) = fragment {
                    *whole = defragmenter.take(bytes, &sent, &part).unwrap_or_default();
                    // The rest of its datagram may not come, but if it does the search must not be over.
                    sought(bytes, &packet, direction, Some(&mut counters.state.clone()))
                } else {
                    whole.clear();
                    sought(bytes, &packet, direction, Some(&mut counters.state))
                }
            }
        };
        *is_full |= flows.len() >= rules.max_conversations;
        if !whole.is_empty() {
            let sample = sample_of_whole(whole, orienter, flows, frame.at);
            return Ok(Counted { packet: seen, sample });
        }
        let Some(kind) = kind else { return Ok(Counted { packet: seen, sample: None }) };
        let sampled = if kind.is_for_names() { KernelStat::NamesSampled } else { KernelStat::HellosSampled };
        stats.add(sampled, 1);
        let snapshot = bytes.get(..SNAPSHOT_LEN).unwrap_or(bytes);
        let header = header(&packet, direction, kind, snapshot, ethernet.wire_len, frame.at);
        Ok(Counted { packet: seen, sample: Some(Sample { header, snapshot }) })
    }
}

/// The sample of a datagram that was put together, for the conversation that its first fragment was counted in.
fn sample_of_whole<'a>(
    whole: &'a [u8],
    orienter: &mut Orienter,
    flows: &mut HashMap<FlowKey, FlowCounters>,
    at: WallTime,
) -> Option<Sample<'a>> {
    let wire_len = u32::try_from(whole.len()).unwrap_or(u32::MAX);
    let info = gateway_ebpf::Frame { len: wire_len, ..gateway_ebpf::Frame::default() };
    let (sent, received) = read_both_ways(whole, &info).ok()?;
    let orientation = orienter.orient(whole, &sent, &received);
    let (packet, direction) = (orientation.choose(sent, received), orientation.direction);
    // In another interval it has no state there, and need not: its first fragment was the first packet.
    let mut fresh = FlowState::default();
    let state = flows.get_mut(&packet.key).map_or(&mut fresh, |counters| &mut counters.state);
    let kind = sought(whole, &packet, direction, Some(state))?;
    let snapshot = whole.get(..SNAPSHOT_LEN).unwrap_or(whole);
    Some(Sample { header: header(&packet, direction, kind, snapshot, wire_len, at), snapshot })
}

/// The packet as seen from its sender and from its receiver: which of them is the device depends on the addresses,
/// and those are read first. Or its class and bytes, if it is no sound IP.
fn read_both_ways(bytes: &[u8], info: &gateway_ebpf::Frame) -> Result<(Packet, Packet), (KernelStat, u64)> {
    let of = |direction| match read_packet(bytes, info, direction) {
        Outcome::Ip(packet) => Ok(packet),
        Outcome::Skip(stat, skipped) => Err((stat, skipped)),
    };
    Ok((of(Direction::Up)?, of(Direction::Down)?))
}

/// The steady clock of a replay is the calendar itself, which nobody sets while it runs.
fn boot_of(at: WallTime) -> BootTime {
    BootTime(u64::try_from(at.0).unwrap_or(0))
}

/// As a slot notes when it was taken: milliseconds, the low 32 bits.
fn boot_ms(at: WallTime) -> u32 {
    (boot_of(at).0 / 1_000_000) as u32
}

/// Adds to a counter of packets and to the counter of bytes behind it.
fn add_pair(stats: &mut StatBlock, packets_stat: KernelStat, packets: u64, bytes: u64) {
    stats.add(packets_stat, packets);
    if let Some(bytes_stat) = KernelStat::ALL.get(packets_stat as usize + 1) {
        stats.add(*bytes_stat, bytes);
    }
}

/// Why this packet's head is worth decoding, if it is. `state` is the flow's own, if it has any; nothing is ever full
/// here, so it always moves on. The kernel's `copy::perhaps`.
fn sought(
    bytes: &[u8],
    packet: &Packet,
    direction: Direction,
    state: Option<&mut FlowState>,
) -> Option<SampleKind> {
    let Verdict { kind, state: next } = worth(bytes, packet, direction, state.as_deref().copied())?;
    if let Some(state) = state {
        *state = next;
    }
    kind
}

fn header(
    packet: &Packet,
    direction: Direction,
    kind: SampleKind,
    snapshot: &[u8],
    wire_len: u32,
    at: WallTime,
) -> SampleHeader {
    // Beyond the snapshot all places are the same: there is nothing.
    let place = |offset: usize| u16::try_from(offset).unwrap_or(u16::MAX);
    SampleHeader {
        boot_ns: boot_of(at).0,
        key: packet.key,
        wire_len,
        ifindex: 0,
        captured_len: place(snapshot.len()),
        l3_offset: place(packet.l3_offset),
        l4_offset: place(packet.l4_offset),
        payload_offset: place(packet.payload_offset),
        kind,
        direction: direction as u8,
        segment_len: 0,
        reserved: [0; 4],
    }
}
