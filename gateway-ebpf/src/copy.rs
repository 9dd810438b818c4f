//! Copying the heads of the few packets that may teach a name or a device. Counting never depends on it.

use crate::{count::Region, maps, maps::Scratch, skb};
use aya_ebpf::{
    helpers::{bpf_ktime_get_boot_ns, generated},
    maps::RingBuf,
    programs::TcContext,
};
use gateway_common::{
    Direction, FlowCounters, FlowState, KernelStat, SNAPSHOT_LEN, SampleHeader, SampleKind, protocol,
};
use gateway_ebpf::{Packet, Verdict, hello_verdict, names_sample};

/// Copies the packet's head if it is worth it. `counters` are the flow's own, if it has any.
#[inline(always)]
pub fn perhaps(
    ctx: &TcContext,
    region: &mut Region,
    packet: &Packet,
    direction: Direction,
    counters: Option<*mut FlowCounters>,
) {
    if maps::SAMPLING.load() == 0 {
        return;
    }
    if packet.key.protocol == protocol::TCP {
        if let (Direction::Up, Some(counters)) = (direction, counters) {
            // SAFETY: this CPU's own counters.
            let state = unsafe { &mut (*counters).state };
            if state.hello_stage != FlowState::HELLO_DONE && packet.payload_len > 0 {
                hello(ctx, region, packet, state);
            }
        }
    } else if let Some(kind) = names_sample(packet, direction) {
        let (sent, dropped) = (KernelStat::NamesSampled, KernelStat::NamesDropped);
        let is_sent = sample(ctx, packet, direction, kind, &maps::RING_NAMES);
        region.stats().add(if is_sent { sent } else { dropped }, 1);
    }
}

/// The stage moves on only when the sample is in the ring, so that a full ring costs a packet and not a name.
#[inline(always)]
fn hello(ctx: &TcContext, region: &mut Region, packet: &Packet, state: &mut FlowState) {
    let mut head = [0u8; 6];
    // Read by a call: payload may lie outside the linear head. A shorter payload than six bytes is no hello.
    // SAFETY: the destination is six bytes long.
    let read = unsafe {
        generated::bpf_skb_load_bytes(
            ctx.skb.skb.cast(),
            packet.payload_offset as u32,
            head.as_mut_ptr().cast(),
            head.len() as u32,
        )
    };
    let verdict = if read == 0 {
        hello_verdict(state.hello_stage, head, packet.payload_len)
    } else if state.hello_stage > 0 {
        Verdict::Copy(SampleKind::TLS, state.hello_stage)
    } else {
        Verdict::Over
    };
    match verdict {
        Verdict::Over => state.hello_stage = FlowState::HELLO_DONE,
        Verdict::Copy(kind, next) => {
            if sample(ctx, packet, Direction::Up, kind, &maps::RING_HELLOS) {
                state.hello_stage = next;
                region.stats().add(KernelStat::HellosSampled, 1);
            } else {
                region.stats().add(KernelStat::HellosDropped, 1);
            }
        }
    }
}

/// Puts header and snapshot together and gives them to the ring. False: they are lost.
#[inline(always)]
fn sample(ctx: &TcContext, packet: &Packet, direction: Direction, kind: SampleKind, ring: &RingBuf) -> bool {
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
