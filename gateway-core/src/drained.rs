//! What comes out of the counting tables: the pipeline's input, be it from the kernel or from a capture.

use crate::row::{EpochId, Interval};
use gateway_common::{FlowCounters, FlowKey, StatBlock};

/// One conversation's counts of one interval, summed over CPUs and tiers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DrainedFlow {
    /// Which conversation.
    pub key: FlowKey,
    /// IP-layer bytes from the device.
    pub up_bytes: u64,
    /// IP-layer bytes to the device.
    pub down_bytes: u64,
    /// Packets from the device.
    pub up_packets: u64,
    /// Packets to the device.
    pub down_packets: u64,
    /// [`gateway_common::FlowState`] `opened`, ORed over CPUs.
    pub opened: u8,
}

impl DrainedFlow {
    /// One slot's counts.
    #[must_use]
    pub fn of(key: FlowKey, counters: FlowCounters) -> Self {
        let mut flow = Self { key, ..Self::default() };
        flow.absorb(counters);
        flow
    }

    /// Adds the counts of another slot of the same key.
    pub fn absorb(&mut self, counters: FlowCounters) {
        let FlowCounters { up_bytes, down_bytes, up_packets, down_packets, first_boot_ms: _, state } =
            counters;
        self.up_bytes = self.up_bytes.wrapping_add(up_bytes);
        self.down_bytes = self.down_bytes.wrapping_add(down_bytes);
        self.up_packets = self.up_packets.wrapping_add(u64::from(up_packets));
        self.down_packets = self.down_packets.wrapping_add(u64::from(down_packets));
        self.opened |= state.opened;
    }
}

/// One interval as it left the tables.
#[derive(Clone, Debug)]
pub struct Drained {
    /// Its name in the journal.
    pub epoch: EpochId,
    /// When.
    pub interval: Interval,
    /// Every conversation once, in any order.
    pub flows: Vec<DrainedFlow>,
    /// The kernel's counters, summed over CPUs.
    pub stats: StatBlock,
}
