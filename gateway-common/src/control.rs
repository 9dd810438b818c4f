//! The one record by which the daemon steers the kernel program while it runs.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How many MAC addresses the gateway may have on its LAN side: bridges, VLAN interfaces and stand-alone ports
/// each have one. More are refused with a message, never dropped.
pub const MAX_GATEWAY_MACS: usize = 16;

/// The only element of the `CONTROL` map. Written by the daemon alone, read by the kernel for every packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Control {
    /// Which buffer the kernel counts into: 0 or 1.
    pub active: u32,
    /// How many of `gateway_macs` count.
    pub mac_count: u32,
    /// The gateway's MAC addresses: first four bytes, then the last two with two zero bytes behind, each in
    /// packet order.
    pub gateway_macs: [[u32; 2]; MAX_GATEWAY_MACS],
    /// The epoch each buffer belongs to; 0 for a buffer that is clean.
    pub epoch: [u64; 2],
    /// When each buffer became the active one: nanoseconds of `CLOCK_BOOTTIME`.
    pub began_boot_ns: [u64; 2],
    /// Drawn at random when the maps were made: tells these buffers' epochs from those of any others.
    pub table_id: u64,
}

const _: () = assert!(size_of::<Control>() == 176);
const _: () = assert!(core::mem::offset_of!(Control, gateway_macs) == 8);
const _: () = assert!(core::mem::offset_of!(Control, epoch) == 136);
const _: () = assert!(core::mem::offset_of!(Control, table_id) == 168);
