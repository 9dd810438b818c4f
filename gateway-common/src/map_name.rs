//! The names of the kernel program's maps and settings, once.

/// One [`crate::Control`]. Mapped into the daemon.
pub const CONTROL: &str = "CONTROL";
/// The fast table: `[buffer][cpu][slot]` of [`crate::FlowSlot`]. Mapped into the daemon.
pub const FAST: &str = "FAST";
/// The exact overflow table of buffer 0: a per-CPU hash from [`crate::FlowKey`] to [`crate::FlowCounters`].
pub const EXACT_0: &str = "EXACT_0";
/// The same of buffer 1.
pub const EXACT_1: &str = "EXACT_1";
/// The coarse table: `[buffer][cpu][cell]` of [`crate::FlowSlot`]. Mapped into the daemon.
pub const COARSE: &str = "COARSE";
/// `[buffer][cpu]` of [`crate::StatBlock`]. Mapped into the daemon.
pub const STATS: &str = "STATS";
/// Ring of DNS (over UDP and TCP), DHCP and mDNS samples.
pub const RING_NAMES: &str = "RING_NAMES";
/// Ring of what conversations say of themselves: TLS, HTTP, QUIC, and how others begin.
pub const RING_HELLOS: &str = "RING_HELLOS";
/// Scratch space to put a sample together in, one per CPU. Not pinned.
pub const SCRATCH: &str = "SCRATCH";

/// Every map that outlives the daemon.
pub const PINNED: [&str; 8] = [CONTROL, FAST, EXACT_0, EXACT_1, COARSE, STATS, RING_NAMES, RING_HELLOS];

/// Setting: slots per CPU in the fast table, less one (a power of two less one).
pub const SLOT_MASK: &str = "SLOT_MASK";
/// Setting: cells per CPU in the coarse table, less one (a power of two less one).
pub const CELL_MASK: &str = "CELL_MASK";
/// Setting: how many CPUs the tables have room for.
pub const CPU_COUNT: &str = "CPU_COUNT";
/// Setting: the seed of [`crate::FlowKey::hash`].
pub const HASH_SEED: &str = "HASH_SEED";
/// Setting: 1 to copy samples, 0 to count only.
pub const SAMPLING: &str = "SAMPLING";

/// The tc program for packets from devices.
pub const PROGRAM_INGRESS: &str = "telltale_ingress";
/// The tc program for packets to devices.
pub const PROGRAM_EGRESS: &str = "telltale_egress";
