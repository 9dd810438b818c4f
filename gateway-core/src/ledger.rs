//! The loss ledger of one interval: every counter by name, so that what is in no row is accounted for.

use crate::row::LedgerLine;
use crate::units::Volume;
use gateway_common::{KernelStat, StatBlock};
use std::collections::BTreeMap;

/// The line that the others are held against; the only one that is written when it is zero.
const SEEN: &str = "seen";

/// The kernel's counters of volume: what line they make, packets, bytes.
const VOLUMES: [(&str, KernelStat, KernelStat); 12] = [
    (SEEN, KernelStat::SeenPackets, KernelStat::SeenBytes),
    ("bridged", KernelStat::BridgedPackets, KernelStat::BridgedBytes),
    ("group", KernelStat::GroupPackets, KernelStat::GroupBytes),
    ("arp", KernelStat::ArpPackets, KernelStat::ArpBytes),
    ("eapol", KernelStat::EapolPackets, KernelStat::EapolBytes),
    ("llc", KernelStat::LlcPackets, KernelStat::LlcBytes),
    ("pppoe_control", KernelStat::PppoeControlPackets, KernelStat::PppoeControlBytes),
    ("other_ethertype", KernelStat::OtherEthertypePackets, KernelStat::OtherEthertypeBytes),
    ("malformed", KernelStat::MalformedPackets, KernelStat::MalformedBytes),
    ("nobody", KernelStat::NobodyPackets, KernelStat::NobodyBytes),
    // Not losses: their volume is in rows. They tell how hard the tables were pressed.
    ("exact", KernelStat::ExactPackets, KernelStat::ExactBytes),
    ("coarse", KernelStat::CoarsePackets, KernelStat::CoarseBytes),
];

/// The kernel's counters of events.
const EVENTS: [KernelStat; 9] = [
    KernelStat::SuperPackets,
    KernelStat::SegmentsComputed,
    KernelStat::UnplainPackets,
    KernelStat::FastSlots,
    KernelStat::NamesSampled,
    KernelStat::NamesDropped,
    KernelStat::HellosSampled,
    KernelStat::HellosDropped,
    KernelStat::InsertRaces,
];

/// A ledger being written.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    lines: BTreeMap<&'static str, (u64, Option<u64>)>,
}

impl Ledger {
    /// The kernel's part.
    #[must_use]
    pub fn of(stats: &StatBlock) -> Self {
        let mut ledger = Self::default();
        for (counter, packets, bytes) in VOLUMES {
            ledger.lines.insert(counter, (stats.get(packets), Some(stats.get(bytes))));
        }
        for stat in EVENTS {
            ledger.count(stat.name(), stats.get(stat));
        }
        ledger
    }

    /// Adds volume to a line.
    pub fn add_volume(&mut self, counter: &'static str, volume: Volume) {
        let (packets, bytes) = self.lines.entry(counter).or_insert((0, Some(0)));
        *packets = packets.saturating_add(volume.packets());
        *bytes = bytes.map(|b| b.saturating_add(volume.bytes()));
    }

    /// Adds events to a line.
    pub fn count(&mut self, counter: &'static str, events: u64) {
        let (count, _) = self.lines.entry(counter).or_insert((0, None));
        *count = count.saturating_add(events);
    }

    /// The lines, ordered by counter, those of zero left out.
    #[must_use]
    pub fn into_lines(self) -> Vec<LedgerLine> {
        self.lines
            .into_iter()
            .filter(|(counter, (packets, bytes))| {
                *counter == SEEN || *packets != 0 || bytes.is_some_and(|b| b != 0)
            })
            .map(|(counter, (packets, bytes))| LedgerLine { counter: counter.to_owned(), packets, bytes })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_of_the_kernel_has_its_line() {
        let mut stats = StatBlock::default();
        for stat in KernelStat::ALL {
            stats.add(*stat, *stat as u64 + 1);
        }
        let lines = Ledger::of(&stats).into_lines();
        let total: u64 = lines.iter().map(|l| l.packets + l.bytes.unwrap_or(0)).sum();
        assert_eq!(total, (1..=KernelStat::ALL.len() as u64).sum::<u64>(), "each exactly once");
        let is_kernels = |counter: &&&str| {
            !["excluded", "left_out"].contains(counter) && !LedgerLine::IS_REMOVED.contains(counter)
        };
        for counter in LedgerLine::IS_LOSS.iter().filter(is_kernels) {
            assert!(lines.iter().any(|l| l.counter == *counter && l.bytes.is_some()), "{counter}");
        }
        assert!(lines.is_sorted());
    }

    #[test]
    fn only_seen_is_written_at_zero() {
        let seen = LedgerLine { counter: "seen".to_owned(), packets: 0, bytes: Some(0) };
        assert_eq!(Ledger::of(&StatBlock::default()).into_lines(), [seen]);
    }
}
