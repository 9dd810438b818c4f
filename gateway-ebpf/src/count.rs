//! Counting: one packet into one slot, and the counters beside it.
//!
//! No atomics, no clock on a hit: every slot and counter has one writer, the CPU it belongs to (tc programs do
//! not interrupt each other on a CPU). The buffer that is not active is never written.

use crate::{copy, maps, skb};
use aya_ebpf::{
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns},
    maps::{Array, PerCpuHashMap},
    programs::TcContext,
};
use aya_log_ebpf::{debug, trace};
use gateway_common::{
    Control, Direction, FlowCounters, FlowKey, FlowSlot, KernelStat, MAX_GATEWAY_MACS, MAX_SLOT_PACKETS,
    PROBES, StatBlock, protocol,
};
use gateway_ebpf::{
    Frame, IPV4_HEAD, IPV6_HEAD, OtherEnd, Outcome, Packet, PacketBytes, count_into, fresh, is_sought,
    names_sample, other_end, other_mac, read_packet, read_quick_ipv4, read_quick_ipv6,
};

/// How far a packet goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Between a device and the gateway: routed, or for the gateway itself.
    Gateway,
    /// To a group.
    Group,
    /// Between two devices of the LAN.
    Bridged,
}

/// The part of the maps that this CPU may write now.
#[derive(Clone, Copy)]
pub struct Region {
    /// Index of `[buffer][cpu]`.
    index: u32,
    buffer: u32,
    stats: *mut StatBlock,
}

impl Region {
    /// This CPU's counters.
    #[inline(always)]
    pub fn stats(&mut self) -> &mut StatBlock {
        // SAFETY: the element of this CPU and the active buffer has no other writer, and no reader while active.
        unsafe { &mut *self.stats }
    }
}

/// Counts one packet.
#[inline(always)]
pub fn count(ctx: &TcContext, direction: Direction) {
    let Some(control) = maps::CONTROL.get(0) else { return };
    // SAFETY: a plain call without arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    // SAFETY: a valid reference; volatile, because the daemon changes it while the program runs.
    let buffer = unsafe { core::ptr::read_volatile(&raw const control.active) } & 1;
    let index = buffer * maps::CPU_COUNT.load() + cpu;
    let Some(stats) = maps::STATS.get_ptr_mut(index) else { return };
    let mut region = Region { index, buffer, stats };
    if !count_plain(ctx, control, &mut region, direction) {
        count_any(ctx, control, region, direction);
    }
}

/// The quick way: true if the packet is counted. IPv4 and IPv6 stay apart to the end, so that each keeps what it
/// knows in registers.
#[inline(always)]
fn count_plain(ctx: &TcContext, control: &Control, region: &mut Region, direction: Direction) -> bool {
    let frame = skb::unmerged_frame_of(ctx);
    let bytes = skb::Head::of(ctx);
    if frame.gso_size > 0 {
        return false;
    }
    let Some(head) = bytes.window::<IPV4_HEAD>(0) else { return false };
    // Asked first: what it needs is then no longer in the way.
    if !is_gateway(control, other_mac(&head, direction)) {
        return false;
    }
    if let Some(packet) = read_quick_ipv4(&head, &bytes, &frame, direction) {
        return count_hit(region, &packet, direction);
    }
    if let Some(head) = bytes.window::<IPV6_HEAD>(0)
        && let Some(packet) = read_quick_ipv6(&head, &bytes, &frame, direction)
    {
        return count_hit(region, &packet, direction);
    }
    false
}

/// Counts a plain packet of a flow that has its slot and nothing more to tell: nearly every packet. False: it is
/// not one of those, and nothing has been done.
#[inline(always)]
fn count_hit(region: &mut Region, packet: &Packet, direction: Direction) -> bool {
    if packet.key.protocol == protocol::UDP && names_sample(packet, direction).is_some() {
        return false;
    }
    let mask = maps::SLOT_MASK.load();
    let Place::Slot(slot, false) = find(&maps::FAST, region.index * (mask + 1), mask, &packet.key) else {
        return false;
    };
    // SAFETY: a slot of this CPU's own region of the active buffer.
    let counters = unsafe { &mut (*slot).counters };
    if opens(packet) || is_sought(packet, direction, counters.state) {
        return false;
    }
    count_into(counters, packet, direction);
    add_pair(region.stats(), KernelStat::SeenPackets, 1, packet.bytes);
    true
}

/// Might this open a connection? Only TCP has these flags.
#[inline(always)]
fn opens(packet: &Packet) -> bool {
    const SYN: u8 = 0x02;
    packet.tcp_flags & SYN != 0
}

/// Counts whatever comes. Not inlined, so that the quick way keeps its registers.
#[inline(never)]
fn count_any(ctx: &TcContext, control: &Control, mut region: Region, direction: Direction) {
    let frame = skb::frame_of(ctx);
    // Ethernet headers are always in the linear head.
    let reach = match other_end(&skb::Head::of(ctx), direction) {
        Some(OtherEnd::Group) => Reach::Group,
        Some(OtherEnd::Station(mac)) if is_gateway(control, mac) => Reach::Gateway,
        _ => Reach::Bridged,
    };
    region.stats().add(KernelStat::UnplainPackets, 1);
    match read_packet(&skb::Whole::of(ctx), &frame, direction) {
        Outcome::Ip(packet) => count_ip(ctx, &mut region, &frame, &packet, direction, reach),
        Outcome::Skip(stat, bytes) => {
            trace!(ctx, "not counted as IP: counter {}, {} bytes", stat as u32, bytes);
            add_pair(region.stats(), KernelStat::SeenPackets, 1, bytes);
            add_pair(region.stats(), stat, 1, bytes);
        }
    }
}

/// Adds to a counter of packets and to the counter of bytes behind it.
#[inline(always)]
fn add_pair(stats: &mut StatBlock, packets_stat: KernelStat, packets: u64, bytes: u64) {
    let at = packets_stat as usize;
    // The indices are constants wherever this is inlined but one, and that one is masked for the verifier.
    let at = at & 30;
    stats.counts[at] += packets;
    stats.counts[at + 1] += bytes;
}

#[inline(always)]
fn is_gateway(control: &Control, mac: [u32; 2]) -> bool {
    // Most gateways have one address; only the rest is worth a call.
    control.gateway_macs[0] == mac || (control.mac_count > 1 && is_other_gateway(control, mac[0], mac[1]))
}

#[inline(never)]
fn is_other_gateway(control: &Control, mac_head: u32, mac_tail: u32) -> bool {
    for i in 1..MAX_GATEWAY_MACS {
        if i >= control.mac_count as usize {
            break;
        }
        let [head, tail] = control.gateway_macs[i];
        if head == mac_head && tail == mac_tail {
            return true;
        }
    }
    false
}

#[inline(always)]
fn count_ip(
    ctx: &TcContext,
    region: &mut Region,
    frame: &Frame,
    packet: &Packet,
    direction: Direction,
    reach: Reach,
) {
    let packets = u64::from(packet.packets);
    add_pair(region.stats(), KernelStat::SeenPackets, packets, packet.bytes);
    if frame.gso_size > 0 {
        region.stats().add(KernelStat::SuperPackets, 1);
        if packet.is_segments_computed {
            region.stats().add(KernelStat::SegmentsComputed, 1);
        }
    }
    match reach {
        Reach::Gateway => {
            let counters = count_flow(ctx, region, packet, direction);
            copy::perhaps(ctx, region, packet, direction, counters);
        }
        Reach::Group => {
            add_pair(region.stats(), KernelStat::GroupPackets, packets, packet.bytes);
            copy::perhaps(ctx, region, packet, direction, None);
        }
        Reach::Bridged => add_pair(region.stats(), KernelStat::BridgedPackets, packets, packet.bytes),
    }
}

/// What the search for a slot came to.
enum Place {
    /// The flow's own slot (false), or a free one (true).
    Slot(*mut FlowSlot, bool),
    /// No room within reach.
    Full,
}

/// Counts into the first tier that has room, and returns the counters where they are the flow's own.
#[inline(always)]
fn count_flow(
    ctx: &TcContext,
    region: &mut Region,
    packet: &Packet,
    direction: Direction,
) -> Option<*mut FlowCounters> {
    let mask = maps::SLOT_MASK.load();
    let base = region.index * (mask + 1);
    if let Place::Slot(slot, is_new) = place(&maps::FAST, base, mask, &packet.key) {
        if is_new {
            region.stats().add(KernelStat::FastSlots, 1);
        }
        // SAFETY: a slot of this CPU's own region of the active buffer.
        let counters = unsafe { &mut (*slot).counters };
        count_into(counters, packet, direction);
        return Some(counters);
    }
    let exact = if region.buffer == 0 { &maps::EXACT_0 } else { &maps::EXACT_1 };
    if let Some(counters) = exact_place(exact, region, &packet.key) {
        // SAFETY: this CPU's own value of a per-CPU map.
        count_into(unsafe { &mut *counters }, packet, direction);
        add_pair(region.stats(), KernelStat::ExactPackets, u64::from(packet.packets), packet.bytes);
        return Some(counters);
    }
    debug!(ctx, "both tables full: a packet of {} bytes is counted for its device only", packet.bytes);
    count_coarse(region, packet, direction);
    None
}

/// Finds the key's slot, or a free one, within [`PROBES`] places.
#[inline(always)]
fn find(table: &Array<FlowSlot>, base: u32, mask: u32, key: &FlowKey) -> Place {
    let hash = key.hash(maps::HASH_SEED.load());
    let wanted = words(key);
    for i in 0..PROBES {
        let Some(slot) = table.get_ptr_mut(base + (hash.wrapping_add(i) & mask)) else { return Place::Full };
        // SAFETY: an element of the table, in this CPU's own region of the active buffer.
        let held_slot = unsafe { &*slot };
        let held = words(&held_slot.key);
        if held[2] == wanted[2] && held[3] == wanted[3] && held[1] == wanted[1] && held[0] == wanted[0] {
            let packets = held_slot.counters.up_packets | held_slot.counters.down_packets;
            if packets < MAX_SLOT_PACKETS {
                return Place::Slot(slot, false);
            }
        } else if held[3] == 0 {
            return Place::Slot(slot, true);
        }
    }
    Place::Full
}

/// The same, and takes the free slot.
#[inline(always)]
fn place(table: &Array<FlowSlot>, base: u32, mask: u32, key: &FlowKey) -> Place {
    let place = find(table, base, mask, key);
    if let Place::Slot(slot, true) = place {
        // SAFETY: as in `find`; nobody reads the slot before this program ends.
        unsafe { *slot = FlowSlot { key: *key, counters: fresh(boot_ms()) } };
    }
    place
}

/// A key as the words it is compared by; the last one holds the flags, which a free slot has none of.
#[inline(always)]
fn words(key: &FlowKey) -> [u64; 4] {
    // SAFETY: a key is 32 bytes without padding, aligned to 8; every bit pattern is four numbers.
    unsafe { core::mem::transmute::<FlowKey, [u64; 4]>(*key) }
}

#[inline(always)]
fn exact_place(
    table: &PerCpuHashMap<FlowKey, FlowCounters>,
    region: &mut Region,
    key: &FlowKey,
) -> Option<*mut FlowCounters> {
    const NO_EXIST: u64 = 1;
    const EEXIST: i32 = -17;
    if let Some(counters) = table.get_ptr_mut(key) {
        // SAFETY: this CPU's own value.
        let held = unsafe { &*counters };
        return ((held.up_packets | held.down_packets) < MAX_SLOT_PACKETS).then_some(counters);
    }
    match table.insert(key, fresh(boot_ms()), NO_EXIST) {
        Ok(()) => {}
        Err(EEXIST) => region.stats().add(KernelStat::InsertRaces, 1),
        Err(_) => return None,
    }
    table.get_ptr_mut(key)
}

/// Counts for the device alone, or, where even its cell is taken, for nobody. Cannot fail.
#[inline(always)]
fn count_coarse(region: &mut Region, packet: &Packet, direction: Direction) {
    let mask = maps::CELL_MASK.load();
    let base = region.index * (mask + 1);
    let packets = u64::from(packet.packets);
    if let Place::Slot(cell, _) = place(&maps::COARSE, base, mask, &packet.key.coarse()) {
        // SAFETY: a cell of this CPU's own region of the active buffer.
        count_into(unsafe { &mut (*cell).counters }, packet, direction);
        add_pair(region.stats(), KernelStat::CoarsePackets, packets, packet.bytes);
        return;
    }
    add_pair(region.stats(), KernelStat::NobodyPackets, packets, packet.bytes);
}

#[inline(always)]
fn boot_ms() -> u32 {
    // SAFETY: a plain call without arguments.
    (unsafe { bpf_ktime_get_boot_ns() } / 1_000_000) as u32
}
