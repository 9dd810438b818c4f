//! The whole road: samples and counts through the pipeline, captures through the reader, the table and the pipeline.

use super::input::{self, Input};
use gateway_common::{FlowKey, KernelStat, SampleHeader, SampleKind, StatBlock};
use gateway_core::drained::{Drained, DrainedFlow};
use gateway_core::enrich::NoNetworks;
use gateway_core::pipeline::{Pipeline, PipelineConfig};
use gateway_core::row::{Batch, EpochId, Interval, Memory};
use gateway_core::units::{BootTime, WallTime};
use gateway_user::replay::capture::Capture;
use gateway_user::replay::table::{Rules, Sample, Table};
use gateway_user::replay::{Downstream, feed};
use std::collections::BTreeMap;
use std::io::Cursor;

const SECOND: u64 = 1_000_000_000;

fn config() -> PipelineConfig {
    let local = vec!["192.168.0.0/16".parse().expect("a prefix")];
    let excluded = vec!["8.8.8.0/24".parse().expect("a prefix")];
    PipelineConfig { local, excluded, ..PipelineConfig::default() }
}

/// Nothing is lost, no row is there twice, and no name is without a reason.
fn check(batch: &Batch) {
    batch.check_conservation().expect("seen = rows + named losses");
    assert!(batch.rows.is_sorted_by(|a, b| a.key < b.key), "rows come in order, each once");
    for row in &batch.rows {
        assert_eq!(row.key.name.is_some(), row.key.evidence as u8 != 0, "a name has a reason: {:?}", row.key);
    }
    for late in &batch.late_names {
        assert!(late.evidence > late.from.evidence, "a late name is a better one: {late:?}");
    }
}

/// One sample with any header before any bytes.
pub fn sample(data: &[u8]) {
    let mut input = Input::new(data);
    let mut header = SampleHeader { key: input::key(&mut input), ..SampleHeader::default() };
    header.kind = SampleKind(input.byte());
    header.direction = input.byte();
    header.boot_ns = u64::from(input.short()) * SECOND;
    header.captured_len = input.short();
    header.l3_offset = input.short();
    header.l4_offset = input.short();
    header.payload_offset = input.short();
    header.segment_len = input.short();
    let mut pipeline = Pipeline::new(config());
    let snapshot = input.rest();
    pipeline.handle_sample(&header, snapshot);
    pipeline.handle_sample(&header, snapshot);
    check(&pipeline.handle_drain(drained(1, BTreeMap::new()), &NoNetworks));
}

/// Samples, drains and restarts in any order: the law holds at each drain.
pub fn pipeline(data: &[u8]) {
    let mut input = Input::new(data);
    let mut pipeline = Pipeline::new(config());
    let mut flows: BTreeMap<FlowKey, DrainedFlow> = BTreeMap::new();
    let mut memory = Memory::default();
    let (mut now, mut epoch) = (60 * SECOND, 1);
    while !input.is_over() {
        match input.byte() % 16 {
            0 => {
                let batch = pipeline.handle_drain(drained(epoch, core::mem::take(&mut flows)), &NoNetworks);
                check(&batch);
                memory.answers.extend(batch.answers);
                epoch += 1;
                now = now.max(epoch * 60 * SECOND);
            }
            1 => {
                memory.conversations = pipeline.open_conversations();
                pipeline = Pipeline::new(config());
                pipeline.restore(core::mem::take(&mut memory));
            }
            2 => now = now.saturating_add(u64::from(input.short()) * SECOND / 16),
            3 | 4 => {
                let key = input::key(&mut input);
                let key = if input.byte() < 8 { key.coarse() } else { key };
                let flow = flows.entry(key).or_insert(DrainedFlow { key, ..DrainedFlow::default() });
                flow.up_bytes += u64::from(input.short());
                flow.down_bytes += u64::from(input.short());
                flow.up_packets += u64::from(input.byte());
                flow.down_packets += u64::from(input.byte());
                flow.opened |= input.byte() & 3;
                flow.first_boot_ms = (input.byte() & 1 == 0).then_some((now / 1_000_000) as u32);
            }
            _ => {
                let key = input::key(&mut input);
                let (header, bytes) = input::sample(&mut input, key, now);
                pipeline.handle_sample(&header, &bytes);
                now += 1_000_000;
            }
        }
    }
    check(&pipeline.handle_drain(drained(epoch, flows), &NoNetworks));
}

/// A minute of these flows, seen whole.
fn drained(epoch: u64, flows: BTreeMap<FlowKey, DrainedFlow>) -> Drained {
    let mut stats = StatBlock::default();
    for flow in flows.values() {
        stats.add(KernelStat::SeenPackets, flow.up_packets + flow.down_packets);
        stats.add(KernelStat::SeenBytes, flow.up_bytes + flow.down_bytes);
        if flow.key.is_coarse() {
            stats.add(KernelStat::CoarsePackets, flow.up_packets + flow.down_packets);
            stats.add(KernelStat::CoarseBytes, flow.up_bytes + flow.down_bytes);
        }
    }
    let interval = Interval {
        began_boot: BootTime(epoch * 60 * SECOND),
        ended_boot: BootTime((epoch + 1) * 60 * SECOND),
        began_at: WallTime(0),
        ended_at: WallTime(1),
        is_clock_set: true,
    };
    let epoch = EpochId { boot_id: "fuzz".to_owned(), table_id: 1, epoch };
    Drained { epoch, interval, flows: flows.into_values().collect(), stats }
}

/// Leads a capture's samples and counts through a pipeline.
struct Listener(Pipeline);

impl Downstream for Listener {
    fn sample(&mut self, sample: &Sample<'_>) {
        self.0.handle_sample(&sample.header, sample.snapshot);
    }

    fn drained(&mut self, drained: Drained) -> Result<(), anyhow::Error> {
        check(&self.0.handle_drain(drained, &NoNetworks));
        Ok(())
    }

    fn note(&mut self, _counter: &'static str, _events: u64) {}
}

/// Any bytes as a capture file.
pub fn capture(data: &[u8]) {
    let Ok(mut capture) = Capture::from_reader(Box::new(Cursor::new(data.to_vec()))) else { return };
    let rules = Rules { local: config().local, gateway: None, drain_every_secs: 30, max_conversations: 64 };
    let mut table = Table::new(rules, "fuzz".to_owned(), 1);
    let mut listener = Listener(Pipeline::new(config()));
    feed(&mut capture, &mut table, &mut listener).expect("nothing here refuses an interval");
}
