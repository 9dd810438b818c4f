//! The kernel program: two tc hooks that count every packet of a LAN port and copy the heads of a few.
//!
//! Always lets the packet go on to the next filter. Hooks and maps only: what a packet is and what is worth
//! copying is decided by the library half of this crate.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod copy;
mod count;
mod maps;
mod skb;

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};
use gateway_common::Direction;

/// Packets that come in at a LAN port: from devices.
#[classifier]
#[inline(always)]
pub fn telltale_ingress(ctx: TcContext) -> i32 {
    count::count(&ctx, Direction::Up);
    TC_ACT_UNSPEC
}

/// Packets that go out at a LAN port: to devices.
#[classifier]
#[inline(always)]
pub fn telltale_egress(ctx: TcContext) -> i32 {
    count::count(&ctx, Direction::Down);
    TC_ACT_UNSPEC
}

/// The kernel lets only programs under a GPL-compatible licence call the helpers used here.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // Never reached: the verifier refuses a program that could come here.
    loop {}
}
