//! The law of conservation over whatever a kernel may hand up: bytes seen = bytes in rows + bytes in named losses.

use gateway_common::{FlowFlags, FlowKey, KernelStat, SampleHeader, SampleKind, StatBlock, protocol};
use gateway_core::drained::{Drained, DrainedFlow};
use gateway_core::enrich::NoNetworks;
use gateway_core::pipeline::{Pipeline, PipelineConfig};
use gateway_core::privacy::{Level, Privacy};
use gateway_core::row::{Batch, EpochId, Interval, LedgerLine};
use gateway_core::units::{BootTime, Mac, Volume, WallTime};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND: u64 = 1_000_000_000;

/// A key out of few, so that conversations meet again in later intervals and share rows.
fn any_key() -> impl Strategy<Value = FlowKey> {
    let protocols =
        prop::sample::select(vec![protocol::TCP, protocol::UDP, protocol::ICMP, protocol::SCTP, 47, 255]);
    let peers =
        prop::sample::select(vec![[47, 241, 10, 5], [192, 168, 1, 1], [198, 51, 100, 7], [8, 8, 8, 8]]);
    (1..4_u8, peers, 0..3_u16, 0..3_u16, protocols, 0..32_u8, 0..12_u8).prop_map(
        |(device, peer, device_port, peer_port, protocol, flags, shape)| {
            let key = FlowKey {
                peer_addr: [0, 0, 0xffff_u32.to_be(), u32::from_ne_bytes(peer)],
                device_addr_low: u32::from(device),
                device_port,
                peer_port,
                mac_head: u32::from_ne_bytes([2, 0, 0, device]),
                mac_tail: 1,
                protocol,
                flags: (flags & !FlowFlags::COARSE) | FlowFlags::VALID,
            };
            match shape {
                0..3 => key.coarse(),
                _ => key,
            }
        },
    )
}

fn any_flow() -> impl Strategy<Value = DrainedFlow> {
    let count = || 0..1_000_000_u64;
    (any_key(), count(), count(), count(), count(), 0..4_u8, prop::option::of(any::<u32>())).prop_map(
        |(key, up_bytes, down_bytes, up_packets, down_packets, opened, first_boot_ms)| DrainedFlow {
            key,
            up_bytes,
            down_bytes,
            up_packets,
            down_packets,
            opened,
            first_boot_ms,
        },
    )
}

fn volume_of(flow: &DrainedFlow) -> Volume {
    Volume {
        up_bytes: flow.up_bytes,
        down_bytes: flow.down_bytes,
        up_packets: flow.up_packets,
        down_packets: flow.down_packets,
    }
}

/// An interval whose counters add up: what is in flows and what `losses` says, and nothing else.
fn drained(epoch: u64, flows: Vec<DrainedFlow>, losses: &[u64]) -> Drained {
    // Every conversation once, as the tables give them.
    let flows: Vec<DrainedFlow> =
        flows.into_iter().map(|f| (f.key, f)).collect::<BTreeMap<_, _>>().into_values().collect();
    let mut stats = StatBlock::default();
    // Bridged to malformed, packets and bytes by turns, as in the table of counters.
    for (n, loss) in losses.iter().enumerate() {
        let stat = KernelStat::ALL[KernelStat::BridgedPackets as usize + n];
        stats.add(stat, *loss);
        stats.add(if n % 2 == 0 { KernelStat::SeenPackets } else { KernelStat::SeenBytes }, *loss);
    }
    for flow in &flows {
        let volume = volume_of(flow);
        stats.add(KernelStat::SeenPackets, volume.packets());
        stats.add(KernelStat::SeenBytes, volume.bytes());
        if flow.key.is_coarse() {
            stats.add(KernelStat::CoarsePackets, volume.packets());
            stats.add(KernelStat::CoarseBytes, volume.bytes());
        }
    }
    let interval = Interval {
        began_boot: BootTime(epoch * 60 * SECOND),
        ended_boot: BootTime((epoch + 1) * 60 * SECOND),
        began_at: WallTime(0),
        ended_at: WallTime(0),
        is_clock_set: true,
    };
    Drained { epoch: EpochId { boot_id: "b".to_owned(), table_id: 1, epoch }, interval, flows, stats }
}

fn config() -> PipelineConfig {
    PipelineConfig {
        local: vec!["192.168.0.0/16".parse().expect("a prefix")],
        excluded: vec!["198.51.100.0/24".parse().expect("a prefix")],
        ..PipelineConfig::default()
    }
}

/// Per device, all four numbers: what the rows say, and what the flows said.
fn by_device(batch: &Batch, flows: &[DrainedFlow]) -> (BTreeMap<Mac, Volume>, BTreeMap<Mac, Volume>) {
    let excluded = config().excluded;
    let (mut rows, mut counted) = (BTreeMap::<Mac, Volume>::new(), BTreeMap::<Mac, Volume>::new());
    for row in &batch.rows {
        rows.entry(row.key.device).or_default().add(row.volume);
    }
    for flow in flows {
        let is_excluded = !flow.key.is_coarse() && excluded.iter().any(|p| p.contains(flow.key.peer()));
        if !is_excluded {
            counted.entry(Mac(flow.key.device_mac())).or_default().add(volume_of(flow));
        }
    }
    (rows, counted)
}

proptest! {
    #[test]
    fn whatever_is_drained_the_books_balance(
        intervals in prop::collection::vec(
            (prop::collection::vec(any_flow(), 0..40), prop::collection::vec(0..1_000_000_u64, 16)), 1..4),
        samples in prop::collection::vec(
            (any_key(), 0..200 * SECOND, 0..10_u8, 0..3_u8, prop::collection::vec(any::<u8>(), 0..200)), 0..20),
    ) {
        let mut pipeline = Pipeline::new(config());
        for (epoch, (flows, losses)) in (0..).zip(intervals) {
            for (key, boot_ns, kind, direction, bytes) in &samples {
                let header = SampleHeader {
                    key: *key, boot_ns: *boot_ns, captured_len: 200, l3_offset: 14, l4_offset: 34,
                    payload_offset: 42, kind: SampleKind(*kind), direction: *direction,
                    ..SampleHeader::default()
                };
                pipeline.handle_sample(&header, bytes);
            }
            let drained = drained(epoch, flows, &losses);
            let flows = drained.flows.clone();
            let batch = pipeline.handle_drain(drained, &NoNetworks);
            prop_assert_eq!(batch.check_conservation(), Ok(()));
            let (rows, counted) = by_device(&batch, &flows);
            prop_assert_eq!(&rows, &counted);
            prop_assert!(batch.rows.is_sorted_by(|a, b| a.key < b.key), "ordered, no key twice");
            prop_assert!(batch.ledger.is_sorted_by(|a, b| a.counter < b.counter));
            prop_assert!(batch.ledger.iter().all(|l| l.counter == "seen" || l.packets != 0 || l.bytes > Some(0)));
            for level in Level::ALL {
                let mut private = batch.clone();
                Privacy::new(level, BTreeMap::new(), Arc::default()).apply(&mut private);
                prop_assert_eq!(private.check_conservation(), Ok(()));
                prop_assert!(private.rows.is_sorted_by(|a, b| a.key < b.key), "ordered, no key twice");
                if level != Level::LeaveOut {
                    prop_assert_eq!(&by_device(&private, &flows).0, &counted, "device by device");
                }
            }
        }
    }

    #[test]
    fn a_byte_that_is_missing_is_noticed(flow in any_flow(), missing in 1..1000_u64) {
        let mut drained = drained(1, vec![flow], &[]);
        drained.stats.add(KernelStat::SeenBytes, missing);
        let batch = Pipeline::default().handle_drain(drained, &NoNetworks);
        prop_assert!(batch.check_conservation().is_err());
    }
}

#[test]
fn every_loss_is_a_line_of_the_law() {
    let losses: Vec<u64> = (1..=16).collect();
    let batch = Pipeline::default().handle_drain(drained(1, vec![], &losses), &NoNetworks);
    assert_eq!(batch.check_conservation(), Ok(()));
    let lines: Vec<&str> = batch.ledger.iter().map(|l| l.counter.as_str()).filter(|c| *c != "seen").collect();
    assert_eq!(lines.len(), 8);
    assert!(lines.iter().all(|line| LedgerLine::IS_LOSS.contains(line)), "{lines:?}");
}
