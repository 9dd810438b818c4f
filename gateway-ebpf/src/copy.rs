//! Copying the heads of the few packets that may teach a name or a device. Counting never depends on it.

use crate::{count::Region, maps, maps::Scratch, skb};
use aya_ebpf::{
    helpers::{bpf_ktime_get_boot_ns, generated},
    maps::RingBuf,
    programs::TcContext,
};
use gateway_common::{
    Direction, FlowCounters, FlowState, KernelStat, SNAPSHOT_LEN, SampleHeader, SampleKind,
};
use gateway_ebpf::{Packet, Verdict, worth};

/// Copies the packet's head if it is worth it. `counters` are the flow's own, if it has any.
#[inline(always)]
pub fn perhaps(
    ctx: &TcContext,
    region: &mut Region,
    packet: &Packet,
    direction: Direction,
    counters: Option<*mut FlowCounters>,
) {
    // SAFETY: this CPU's own counters.
    let mut state = counters.map(|counters| unsafe { &mut (*counters).state });
    if maps::SAMPLING.load() == 0 {
        // Nothing is sought, so the flow may go the quick way.
        if let Some(state) = state {
            state.hello_stage = FlowState::HELLO_DONE;
        }
        return;
    }
    // Payload may lie outside the linear head: it is read by calls.
    let known = state.as_ref().map(|state| **state);
    let Some(verdict) = worth(&skb::Whole::of(ctx), packet, direction, known) else { return };
    let Verdict { kind, state: next } = verdict;
    // The state moves on only when the sample is in the ring, so that a full ring costs a packet and not a name.
    if let Some(kind) = kind
        && !sample(ctx, region, packet, direction, kind)
    {
        return;
    }
    if let Some(state) = &mut state {
        **state = next;
    }
}

/// Gives a sample to its ring, and counts what became of it.
#[inline(always)]
fn sample(
    ctx: &TcContext,
    region: &mut Region,
    packet: &Packet,
    direction: Direction,
    kind: SampleKind,
) -> bool {
    let (is_sent, sent, dropped) = if kind.is_for_names() {
        let is_sent = copy_to(&maps::RING_NAMES, ctx, packet, direction, kind);
        (is_sent, KernelStat::NamesSampled, KernelStat::NamesDropped)
    } else {
        let is_sent = copy_to(&maps::RING_HELLOS, ctx, packet, direction, kind);
        (is_sent, KernelStat::HellosSampled, KernelStat::HellosDropped)
    };
    region.stats().add(if is_sent { sent } else { dropped }, 1);
    is_sent
}

/// Puts header and snapshot together and gives them to the ring. False: they are lost.
#[inline(always)]
fn copy_to(ring: &RingBuf, ctx: &TcContext, packet: &Packet, direction: Direction, kind: SampleKind) -> bool {
    let Some(scratch) = maps::SCRATCH.get_ptr_mut(0) else { return false };
    // SAFETY: this CPU's own scratch space; tc programs do not interrupt each other on a CPU.
    let scratch: &mut Scratch = unsafe { &mut *scratch };
    let wire_len = ctx.len();
    let captured_len = if wire_len > SNAPSHOT_LEN as u32 { SNAPSHOT_LEN as u32 } else { wire_len };
    if captured_len == 0 {
        return false;
    }
    scratch.header = SampleHeader {
        // SAFETY: a plain call without arguments.
        boot_ns: unsafe { bpf_ktime_get_boot_ns() },
        key: packet.key,
        wire_len,
        ifindex: skb::ifindex_of(ctx),
        captured_len: captured_len as u16,
        l3_offset: packet.l3_offset as u16,
        l4_offset: packet.l4_offset as u16,
        payload_offset: packet.payload_offset as u16,
        kind,
        direction: direction as u8,
        segment_len: skb::segment_len_of(ctx),
        reserved: [0; 4],
    };
    // SAFETY: the snapshot has room for `SNAPSHOT_LEN` bytes, and `captured_len` is at most that.
    let read = unsafe {
        generated::bpf_skb_load_bytes(
            ctx.skb.skb.cast(),
            0,
            scratch.snapshot.as_mut_ptr().cast(),
            captured_len,
        )
    };
    if read != 0 {
        return false;
    }
    let len = size_of::<SampleHeader>() + captured_len as usize;
    // SAFETY: header and snapshot are one stretch of memory (`repr(C)`, no padding between), at least `len` long.
    let bytes = unsafe { core::slice::from_raw_parts((&raw const *scratch).cast::<u8>(), len) };
    ring.output::<[u8]>(bytes, 0).is_ok()
}
