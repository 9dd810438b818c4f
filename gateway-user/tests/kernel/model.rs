//! What the loaded program must say, worked out from the same bytes by the library that it is made of.

use crate::{
    bench::Counts,
    fixtures::{Fixture, frame::GATEWAY},
};
use gateway_common::{FlowCounters, FlowKey, FlowState, KernelStat, SNAPSHOT_LEN, SampleKind, StatBlock};
use gateway_core::drained::DrainedFlow;
use gateway_ebpf::{Frame, OtherEnd, Outcome, Packet, count_into, fresh, other_end, read_packet, worth};
use std::collections::BTreeMap;

/// A sample that must come out of a ring.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModelSample {
    pub kind: SampleKind,
    pub direction: u8,
    pub key: FlowKey,
    pub wire_len: u32,
    /// L3, L4, payload.
    pub offsets: [u16; 3],
    pub segment_len: u16,
    pub snapshot: Vec<u8>,
}

/// Counts as one CPU with room for all does.
#[derive(Default)]
pub struct Model {
    flows: BTreeMap<FlowKey, FlowCounters>,
    stats: StatBlock,
    pub names: Vec<ModelSample>,
    pub hellos: Vec<ModelSample>,
}

impl Model {
    pub fn of<'a>(fixtures: impl IntoIterator<Item = &'a Fixture>) -> Self {
        let mut model = Self::default();
        for fixture in fixtures {
            model.count(fixture);
        }
        model
    }

    fn pair(&mut self, packets_stat: KernelStat, packets: u64, bytes: u64) {
        let bytes_stat = KernelStat::ALL[packets_stat as usize + 1];
        self.stats.add(packets_stat, packets);
        self.stats.add(bytes_stat, bytes);
    }

    pub fn count(&mut self, fixture: &Fixture) {
        let Fixture { direction, gso_segs, gso_size, frame_len, .. } = *fixture;
        let frame = Frame { len: frame_len, gso_segs, gso_size };
        let packet = match read_packet(&fixture.frame[..], &frame, direction) {
            Outcome::Ip(packet) => packet,
            Outcome::Skip(stat, bytes) => {
                self.pair(KernelStat::SeenPackets, 1, bytes);
                self.pair(stat, 1, bytes);
                return;
            }
        };
        let packets = u64::from(packet.packets);
        self.pair(KernelStat::SeenPackets, packets, packet.bytes);
        self.stats.add(KernelStat::SuperPackets, u64::from(gso_size > 0));
        self.stats.add(KernelStat::SegmentsComputed, u64::from(packet.is_segments_computed));
        let [a, b, c, d, e, f] = GATEWAY;
        let gateway = [u32::from_ne_bytes([a, b, c, d]), u32::from(u16::from_ne_bytes([e, f]))];
        match other_end(&fixture.frame[..], direction) {
            Some(OtherEnd::Group) => {
                self.pair(KernelStat::GroupPackets, packets, packet.bytes);
                self.sample(fixture, &packet, None);
            }
            Some(OtherEnd::Station(mac)) if mac == gateway => {
                let is_new = !self.flows.contains_key(&packet.key);
                self.stats.add(KernelStat::FastSlots, u64::from(is_new));
                let counters = self.flows.entry(packet.key).or_insert_with(|| fresh(0));
                count_into(counters, &packet, direction);
                let state = counters.state;
                if let Some(next) = self.sample(fixture, &packet, Some(state))
                    && let Some(counters) = self.flows.get_mut(&packet.key)
                {
                    counters.state = next;
                }
            }
            _ => self.pair(KernelStat::BridgedPackets, packets, packet.bytes),
        }
    }

    /// Copies what is worth it, into rings that are never full. What the library finds worth copying is written out
    /// by hand in `samples` and in the reader's tests; here it is enough that the kernel finds the same.
    fn sample(&mut self, fixture: &Fixture, packet: &Packet, state: Option<FlowState>) -> Option<FlowState> {
        let verdict = worth(&fixture.frame[..], packet, fixture.direction, state)?;
        if let Some(kind) = verdict.kind {
            let (ring, stat) = if kind.is_for_names() {
                (&mut self.names, KernelStat::NamesSampled)
            } else {
                (&mut self.hellos, KernelStat::HellosSampled)
            };
            ring.push(sample(fixture, packet, kind));
            self.stats.add(stat, 1);
        }
        Some(verdict.state)
    }

    /// Everything that the kernel must have counted.
    pub fn counts(&self) -> Counts {
        let flows = self.flows.iter().map(|(key, counters)| {
            (*key, DrainedFlow { first_boot_ms: None, ..DrainedFlow::of(*key, *counters) })
        });
        (flows.collect(), self.stats)
    }
}

fn sample(fixture: &Fixture, packet: &Packet, kind: SampleKind) -> ModelSample {
    let len = fixture.frame.len().min(SNAPSHOT_LEN);
    ModelSample {
        kind,
        direction: fixture.direction as u8,
        key: packet.key,
        wire_len: fixture.frame_len,
        offsets: [packet.l3_offset, packet.l4_offset, packet.payload_offset].map(|o| o as u16),
        segment_len: fixture.gso_size as u16,
        snapshot: fixture.frame[..len].to_vec(),
    }
}

/// What differs between two counts; empty if nothing does.
pub fn differences(found: &Counts, expected: &Counts) -> Vec<String> {
    let mut differences = Vec::new();
    for &stat in KernelStat::ALL {
        if stat == KernelStat::UnplainPackets {
            // Tells of the way that a packet took, not of the packet.
            continue;
        }
        let (found, expected) = (found.1.get(stat), expected.1.get(stat));
        if found != expected {
            differences.push(format!("{}: {found}, expected {expected}", stat.name()));
        }
    }
    for (key, flow) in &expected.0 {
        match found.0.get(key) {
            Some(found) if found == flow => {}
            other => differences.push(format!("found {other:?}\nexpected {flow:?}")),
        }
    }
    differences.extend(
        found.0.values().filter(|f| !expected.0.contains_key(&f.key)).map(|f| format!("too much: {f:?}")),
    );
    differences
}
