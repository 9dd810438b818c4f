//! How packet bytes are read: from a position, if they are there.

/// A packet's readable bytes. Integers come in memory order (as the packet holds them), because that is what a
/// [`gateway_common::FlowKey`] keeps; use `u16::from_be` where the value counts.
///
/// Every offset this crate asks for is aligned for its width if the packet itself starts two bytes past an
/// aligned address, as the kernel arranges (`NET_IP_ALIGN`): some CPUs need that.
pub trait PacketBytes {
    /// The byte at `offset`.
    fn u8_at(&self, offset: usize) -> Option<u8>;
    /// Two bytes at `offset`, in memory order.
    fn u16_at(&self, offset: usize) -> Option<u16>;
    /// Four bytes at `offset`, in memory order.
    fn u32_at(&self, offset: usize) -> Option<u32>;
}

impl PacketBytes for [u8] {
    fn u8_at(&self, offset: usize) -> Option<u8> {
        self.get(offset).copied()
    }
    fn u16_at(&self, offset: usize) -> Option<u16> {
        self.get(offset..)?.first_chunk().copied().map(u16::from_ne_bytes)
    }
    fn u32_at(&self, offset: usize) -> Option<u32> {
        self.get(offset..)?.first_chunk().copied().map(u32::from_ne_bytes)
    }
}
