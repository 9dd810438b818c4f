//! Packet memory: at fixed offsets directly, anywhere else by a call.
//!
//! The verifier follows every offset that a direct read may have; a chain of IPv6 extension headers has too many.
//! To a call any offset is fine, so what is rare pays for a call per field and what is common pays nothing.

use aya_ebpf::{helpers::generated::bpf_skb_load_bytes, programs::TcContext};
use gateway_ebpf::{Frame, PacketBytes, Window};

/// The linear head of a packet: what can be read without a call.
pub struct Head {
    start: usize,
    end: usize,
}

impl Head {
    #[inline(always)]
    pub fn of(ctx: &TcContext) -> Self {
        Self { start: ctx.data(), end: ctx.data_end() }
    }
}

/// Keeps the compiler from turning `x + 1 > end` into `x >= end`, of which the verifier learns nothing.
#[inline(always)]
fn opaque(mut address: usize) -> usize {
    // SAFETY: no instruction at all.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) address, options(pure, nomem, nostack, preserves_flags))
    };
    address
}

impl PacketBytes for Head {
    type Window<const N: usize> = HeadWindow<N>;

    #[inline(always)]
    fn window<const N: usize>(&self, offset: usize) -> Option<HeadWindow<N>> {
        let behind = opaque(self.start + offset + N);
        (behind <= self.end).then_some(HeadWindow { behind })
    }
}

/// `N` bytes of packet memory, known by where they end.
pub struct HeadWindow<const N: usize> {
    behind: usize,
}

impl<const N: usize> HeadWindow<N> {
    #[inline(always)]
    fn read<T: Copy, const AT: usize>(&self) -> T {
        const { assert!(AT + size_of::<T>() <= N) };
        // SAFETY: the `N` bytes before `behind` lie between the packet's start and end, which the verifier checks
        // again, for every path, before this program may run. Alignment: `PacketBytes` promises it relative to
        // NET_IP_ALIGN.
        unsafe { *((self.behind - N + AT) as *const T) }
    }
}

impl<const N: usize> Window<N> for HeadWindow<N> {
    #[inline(always)]
    fn u8<const AT: usize>(&self) -> u8 {
        self.read::<u8, AT>()
    }
    #[inline(always)]
    fn u16<const AT: usize>(&self) -> u16 {
        self.read::<u16, AT>()
    }
    #[inline(always)]
    fn u32<const AT: usize>(&self) -> u32 {
        self.read::<u32, AT>()
    }
}

/// The whole packet, read by calls: at any offset, in any of the pieces it lies in.
pub struct Whole<'a> {
    ctx: &'a TcContext,
}

impl<'a> Whole<'a> {
    #[inline(always)]
    pub fn of(ctx: &'a TcContext) -> Self {
        Self { ctx }
    }
}

impl PacketBytes for Whole<'_> {
    type Window<const N: usize> = [u8; N];

    #[inline(always)]
    fn window<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        // SAFETY: the destination has room for `N` bytes.
        let result = unsafe {
            bpf_skb_load_bytes(self.ctx.skb.skb.cast(), offset as u32, bytes.as_mut_ptr().cast(), N as u32)
        };
        (result == 0).then_some(bytes)
    }
}

/// Length and segments, from the packet's metadata.
#[inline(always)]
pub fn frame_of(ctx: &TcContext) -> Frame {
    let skb = ctx.skb.skb;
    // SAFETY: `skb` is the program's context; the verifier knows every field read here.
    unsafe { Frame { len: (*skb).len, gso_segs: (*skb).gso_segs, gso_size: (*skb).gso_size } }
}

/// The same where only an unmerged packet is of interest: the number of segments is not fetched.
#[inline(always)]
pub fn unmerged_frame_of(ctx: &TcContext) -> Frame {
    let skb = ctx.skb.skb;
    // SAFETY: as above.
    unsafe { Frame { len: (*skb).len, gso_segs: 0, gso_size: (*skb).gso_size } }
}

/// Interface index of the hook.
#[inline(always)]
pub fn ifindex_of(ctx: &TcContext) -> u32 {
    // SAFETY: as above.
    unsafe { (*ctx.skb.skb).ifindex }
}

/// Payload bytes of each packet that an offload merged into this one; 0 if nothing was merged.
#[inline(always)]
pub fn segment_len_of(ctx: &TcContext) -> u16 {
    // SAFETY: the context's own `__sk_buff`; the verifier knows the field.
    unsafe { (*ctx.skb.skb).gso_size as u16 }
}
