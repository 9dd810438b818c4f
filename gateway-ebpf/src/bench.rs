//! What the kernel cost of counting is measured against: nothing, and the least that anyone would do.
//!
//! Not part of the product; `cargo xtask bench` loads it beside the real programs.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![allow(internal_features, reason = "core's public atomics lack 64-bit fetch_add on this target")]

#[allow(dead_code, reason = "shared with the tap, which uses all of it")]
mod skb;

use aya_ebpf::{
    Global,
    bindings::TC_ACT_UNSPEC,
    helpers::bpf_ktime_get_ns,
    macros::{classifier, map},
    maps::{Array, HashMap, ProgramArray},
    programs::TcContext,
};
use core::intrinsics::{AtomicOrdering, atomic_xadd};
use gateway_common::{Direction, FlowKey};
use gateway_ebpf::{IPV4_HEAD, PacketBytes, read_quick_ipv4};

/// What the usual counter keeps per flow.
#[repr(C)]
pub struct Totals {
    bytes: u64,
    packets: u64,
    first_ns: u64,
    last_ns: u64,
}

#[map]
static MINIMAL: HashMap<FlowKey, Totals> = HashMap::with_max_entries(262_144, 0);

/// The program that `bench_mutate` goes on to.
#[map]
static UNDER_TEST: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// How many flows `bench_mutate` makes, and its running number.
#[map]
static MUTATION: Array<[u32; 2]> = Array::with_max_entries(1, 0);

/// Keeps the program array's index from being a constant the compiler folds away.
#[unsafe(no_mangle)]
static SLOT: Global<u32> = Global::new(0);

/// The floor: what it costs to be called at all.
#[classifier]
#[inline(always)]
pub fn bench_empty(_ctx: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// The minimal exact counter: read the packet, one hash look-up, two atomic adds, one clock.
#[classifier]
#[inline(always)]
pub fn bench_minimal(ctx: TcContext) -> i32 {
    let frame = skb::frame_of(&ctx);
    let bytes = skb::Head::of(&ctx);
    let Some(head) = bytes.window::<IPV4_HEAD>(0) else { return TC_ACT_UNSPEC };
    let Some(packet) = read_quick_ipv4(&head, &bytes, &frame, Direction::Up) else { return TC_ACT_UNSPEC };
    // SAFETY: a plain call without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    if let Some(totals) = MINIMAL.get_ptr_mut(&packet.key) {
        // SAFETY: a live map value; the adds are atomic.
        unsafe {
            atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(&raw mut (*totals).bytes, packet.bytes);
            atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(&raw mut (*totals).packets, 1);
            (*totals).last_ns = now;
        }
    } else {
        let totals = Totals { bytes: packet.bytes, packets: 1, first_ns: now, last_ns: now };
        // A full table is of no interest here: the bench makes fewer flows than it holds.
        let _ = MINIMAL.insert(&packet.key, &totals, 0);
    }
    TC_ACT_UNSPEC
}

/// Makes one packet into many flows, in a random-looking order, and goes on to the program under test: no system
/// call per packet. The packet must be plain IPv4 over TCP or UDP with eight bytes of room behind the ports.
#[classifier]
#[inline(always)]
pub fn bench_mutate(ctx: TcContext) -> i32 {
    let Some(mutation) = MUTATION.get_ptr_mut(0) else { return TC_ACT_UNSPEC };
    // SAFETY: one element; the bench runs on one CPU.
    let [flows, turn] = unsafe { &mut *mutation };
    *turn = turn.wrapping_add(1);
    // MurmurHash3's finaliser, to visit flows without a pattern the cache could learn.
    let mut hash = turn.wrapping_mul(0x9e37_79b1);
    hash = (hash ^ (hash >> 15)).wrapping_mul(0x85eb_ca77);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae3d);
    hash ^= hash >> 16;
    let flow = ((u64::from(hash) * u64::from(*flows)) >> 32) as u32;
    let (start, end) = (ctx.data(), ctx.data_end());
    if start + 42 > end {
        return TC_ACT_UNSPEC;
    }
    // SAFETY: 42 bytes are there.
    unsafe {
        *((start + 26) as *mut u32) = (0x0a00_0000 | (flow & 15)).to_be();
        *((start + 30) as *mut u32) =
            0x5000_0000u32.wrapping_add((flow >> 4).wrapping_mul(2_654_435)).to_be();
        *((start + 34) as *mut u16) = ((32_768 + (flow & 0x3fff)) as u16).to_be();
    }
    // SAFETY: tail calls keep the context.
    let _ = unsafe { UNDER_TEST.tail_call(&ctx, SLOT.load()) };
    TC_ACT_UNSPEC
}

/// The kernel lets only programs under a GPL-compatible licence call the helpers used here.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
