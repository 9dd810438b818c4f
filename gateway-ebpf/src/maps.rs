//! Every map: its size, who writes, who reads, what happens when it is full.
//!
//! The sizes here are placeholders; the daemon sets them at load from the machine's memory. All but `SCRATCH` and
//! the log ring are pinned and outlive the daemon.

use aya_ebpf::{
    Global,
    macros::map,
    maps::{Array, PerCpuArray, PerCpuHashMap, RingBuf},
};
use gateway_common::{Control, FlowCounters, FlowKey, FlowSlot, SNAPSHOT_LEN, SampleHeader, StatBlock};

const MMAPABLE: u32 = 1 << 10;

/// Written by the daemon, read here for every packet. One element.
#[map]
pub static CONTROL: Array<Control> = Array::with_max_entries(1, MMAPABLE);

/// The fast table, `[buffer][cpu][slot]`: each CPU writes its own slots, the daemon reads and zeroes the quiet
/// buffer. No room within [`gateway_common::PROBES`] slots: the flow goes to `EXACT`.
#[map]
pub static FAST: Array<FlowSlot> = Array::with_max_entries(1, MMAPABLE);

/// The exact table of buffer 0, preallocated: written here, read and emptied by the daemon while quiet. Full: the
/// packet goes to `COARSE`.
#[map]
pub static EXACT_0: PerCpuHashMap<FlowKey, FlowCounters> = PerCpuHashMap::with_max_entries(1, 0);

/// The exact table of buffer 1.
#[map]
pub static EXACT_1: PerCpuHashMap<FlowKey, FlowCounters> = PerCpuHashMap::with_max_entries(1, 0);

/// The coarse table, `[buffer][cpu][cell]`: a cell per device and class of protocol. No room: counted for nobody, in
/// `STATS`.
#[map]
pub static COARSE: Array<FlowSlot> = Array::with_max_entries(1, MMAPABLE);

/// `[buffer][cpu]`: written here, read and zeroed by the daemon while quiet.
#[map]
pub static STATS: Array<StatBlock> = Array::with_max_entries(1, MMAPABLE);

/// DNS (over UDP and TCP), DHCP and mDNS samples. Full: the sample is dropped and counted.
#[map]
pub static RING_NAMES: RingBuf = RingBuf::with_byte_size(1 << 16, 0);

/// TLS, HTTP, QUIC, and how others begin. Full: dropped, counted, and the flow's next packet tries again.
#[map]
pub static RING_HELLOS: RingBuf = RingBuf::with_byte_size(1 << 16, 0);

/// Where a sample is put together: the stack is too small.
#[repr(C, align(8))]
pub struct Scratch {
    pub header: SampleHeader,
    pub snapshot: [u8; SNAPSHOT_LEN],
}

/// One per CPU; no reader but the program that fills it.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// Slots per CPU in `FAST`, less one.
#[unsafe(no_mangle)]
pub static SLOT_MASK: Global<u32> = Global::new(0);

/// Cells per CPU in `COARSE`, less one.
#[unsafe(no_mangle)]
pub static CELL_MASK: Global<u32> = Global::new(0);

/// CPUs that the tables have room for.
#[unsafe(no_mangle)]
pub static CPU_COUNT: Global<u32> = Global::new(1);

/// Seed of [`FlowKey::hash`].
#[unsafe(no_mangle)]
pub static HASH_SEED: Global<u64> = Global::new(0);

/// 1 to copy samples.
#[unsafe(no_mangle)]
pub static SAMPLING: Global<u32> = Global::new(1);
