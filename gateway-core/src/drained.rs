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
    /// When its first packet of the interval passed: milliseconds of `CLOCK_BOOTTIME`, low 32 bits. `None` if
    /// that is not known; a slot that does not say holds 0.
    pub first_boot_ms: Option<u32>,
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
        let FlowCounters { up_bytes, down_bytes, up_packets, down_packets, first_boot_ms, state } = counters;
        self.merge(&Self {
            key: self.key,
            up_bytes,
            down_bytes,
            up_packets: u64::from(up_packets),
            down_packets: u64::from(down_packets),
            opened: state.opened,
            first_boot_ms: (first_boot_ms != 0).then_some(first_boot_ms),
        });
    }

    /// Adds another part of the same conversation.
    pub fn merge(&mut self, part: &Self) {
        let Self { key: _, up_bytes, down_bytes, up_packets, down_packets, opened, first_boot_ms } = *part;
        self.up_bytes = self.up_bytes.wrapping_add(up_bytes);
        self.down_bytes = self.down_bytes.wrapping_add(down_bytes);
        self.up_packets = self.up_packets.wrapping_add(up_packets);
        self.down_packets = self.down_packets.wrapping_add(down_packets);
        self.opened |= opened;
        self.first_boot_ms = match (self.first_boot_ms, first_boot_ms) {
            // The difference as a signed number: right across the wrap, as intervals are far shorter than it.
            (Some(mine), Some(theirs)) if theirs.wrapping_sub(mine).cast_signed() >= 0 => Some(mine),
            (mine, None) => mine,
            (_, theirs) => theirs,
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_one_flow_add_up() {
        let slot =
            |first_boot_ms| FlowCounters { up_bytes: 3, up_packets: 1, first_boot_ms, ..Default::default() };
        let mut flow = DrainedFlow::of(FlowKey::default(), slot(5));
        assert_eq!(flow.first_boot_ms, Some(5));
        flow.absorb(slot(u32::MAX - 1));
        flow.absorb(slot(0));
        flow.absorb(slot(9));
        assert_eq!((flow.up_bytes, flow.up_packets), (12, 4));
        assert_eq!(
            flow.first_boot_ms,
            Some(u32::MAX - 1),
            "the number wraps; the moment before it is earlier"
        );
    }
}
