//! How packet bytes are read: from a position, if they are there.

/// A packet's readable bytes. Integers come in memory order (as the packet holds them), because that is what a
/// [`gateway_common::FlowKey`] keeps; use `u16::from_be` where the value counts.
///
/// Every offset that the quick readers ask for is aligned for its width if the packet itself starts two bytes past an
/// aligned address, as the kernel arranges (`NET_IP_ALIGN`): some CPUs need that. The others ask for any offset.
pub trait PacketBytes {
    /// Some bytes that are known to be there.
    type Window<const N: usize>: Window<N>;

    /// `N` bytes from `offset` on.
    fn window<const N: usize>(&self, offset: usize) -> Option<Self::Window<N>>;

    /// The byte at `offset`.
    #[inline(always)]
    fn u8_at(&self, offset: usize) -> Option<u8> {
        Some(self.window::<1>(offset)?.u8::<0>())
    }

    /// Two bytes at `offset`, in memory order.
    #[inline(always)]
    fn u16_at(&self, offset: usize) -> Option<u16> {
        Some(self.window::<2>(offset)?.u16::<0>())
    }

    /// Four bytes at `offset`, in memory order.
    #[inline(always)]
    fn u32_at(&self, offset: usize) -> Option<u32> {
        Some(self.window::<4>(offset)?.u32::<0>())
    }
}

/// `N` bytes that were checked once; a place outside them does not compile.
pub trait Window<const N: usize> {
    /// The byte at `AT`.
    fn u8<const AT: usize>(&self) -> u8;
    /// Two bytes at `AT`, in memory order.
    fn u16<const AT: usize>(&self) -> u16;
    /// Four bytes at `AT`, in memory order.
    fn u32<const AT: usize>(&self) -> u32;
}

impl PacketBytes for [u8] {
    type Window<const N: usize> = [u8; N];

    fn window<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }
}

impl<const N: usize> Window<N> for [u8; N] {
    #[inline(always)]
    fn u8<const AT: usize>(&self) -> u8 {
        const { assert!(AT < N) };
        self[AT]
    }
    #[inline(always)]
    fn u16<const AT: usize>(&self) -> u16 {
        const { assert!(AT + 2 <= N) };
        u16::from_ne_bytes([self[AT], self[AT + 1]])
    }
    #[inline(always)]
    fn u32<const AT: usize>(&self) -> u32 {
        const { assert!(AT + 4 <= N) };
        u32::from_ne_bytes([self[AT], self[AT + 1], self[AT + 2], self[AT + 3]])
    }
}
