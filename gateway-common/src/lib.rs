//! The contract between the kernel program and the daemon, byte by byte.
//!
//! The kernel program counts packets into maps whose keys and values are these types, and copies the heads of
//! some packets behind a [`SampleHeader`]. Both sides run on one machine, so integers are native-endian; what
//! came from a packet keeps the packet's byte order in memory (see [`FlowKey`]).
//!
//! This crate has no features, no allocation and no `unsafe`. Every size and offset that crosses the border is
//! asserted at compile time, so a change of layout is a build error and not a wrong number. Whoever changes a
//! layout raises [`ABI_VERSION`]: it names the directory of the pinned maps.
#![no_std]
#![forbid(unsafe_code)]

mod control;
mod flow;
pub mod map_name;
mod sample;
mod stat;

pub use control::{Control, MAX_GATEWAY_MACS};
pub use flow::{
    FlowCounters, FlowFlags, FlowKey, FlowSlot, FlowState, MAX_SLOT_PACKETS, MacAddr, PROBES, protocol,
};
pub use sample::{Direction, SNAPSHOT_LEN, SampleHeader, SampleKind};
pub use stat::{KernelStat, StatBlock};

/// Version of every layout in this crate. Maps pinned under another version are not reused.
pub const ABI_VERSION: u32 = 2;

/// How many buffers the kernel counts into by turns: one fills while the other is read.
pub const BUFFERS: usize = 2;
