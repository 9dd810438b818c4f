//! What a drain costs the daemon, from counts to SQLite: 100 000 conversations of 30 devices with 3 000 peers,
//! through the pipeline (rows, networks, ledger) and the writer. The bar is 1 s of CPU time for all of it.
//! `cargo bench -p gateway-user --bench drain`.
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use gateway_common::{FlowKey, KernelStat, StatBlock};
use gateway_core::{
    drained::{Drained, DrainedFlow},
    enrich::envelope::TableKind,
    pipeline::{Pipeline, PipelineConfig},
    row::{EpochId, Interval},
    units::{BootTime, WallTime},
};
use gateway_user::{store::Writer, tables};
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

const FLOWS: u32 = 100_000;
const DEVICES: u32 = 30;
const PEERS: u32 = 3_000;
const SECOND: u64 = 1_000_000_000;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut writer = Writer::open(&directory.path().join("bench.db")).expect("open the database");
    let networks = tables::load(tables::embedded::packed(TableKind::Networks), None, &[])
        .expect("the embedded table")
        .networks;
    let mut pipeline = Pipeline::new(PipelineConfig::default());
    println!(
        "{:>6} {:>10} {:>8} {:>14} {:>12} {:>12}",
        "drain", "flows", "rows", "pipeline CPU", "SQLite CPU", "together"
    );
    for epoch in 1..=5 {
        let drained = drained(epoch);
        let flows = drained.flows.len();
        let before = cpu_time();
        let batch = pipeline.handle_drain(drained, networks.as_ref());
        let made = cpu_time();
        batch.check_conservation().expect("the books balance");
        let checked = cpu_time();
        writer.append(&batch).expect("store the batch");
        let (pipeline_cpu, sqlite_cpu) = (made - before, cpu_time() - checked);
        println!(
            "{epoch:>6} {flows:>10} {:>8} {:>11.0} ms {:>9.0} ms {:>9.0} ms",
            batch.rows.len(),
            millis(pipeline_cpu),
            millis(sqlite_cpu),
            millis(pipeline_cpu + sqlite_cpu)
        );
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("every Linux has this clock").into()
}

/// The same conversations in every run: each has a device, a peer and ports of its own.
fn drained(epoch: u64) -> Drained {
    let mut stats = StatBlock::default();
    let flows = (0..FLOWS)
        .map(|n| {
            let spread = n.wrapping_mul(2_654_435_761).wrapping_add(epoch as u32);
            let key = FlowKey {
                peer_addr: [0, 0, 0xffff_u32.to_be(), (0x2f4a_0000 + (spread >> 8) % PEERS * 257).to_be()],
                device_addr_low: (0xc0a8_0100 + n % DEVICES).to_be(),
                device_port: (1024 + (n % 60_000) as u16).to_be(),
                peer_port: 443_u16.to_be(),
                mac_head: u32::from_ne_bytes([2, 0, 0, 0]),
                mac_tail: u16::from_ne_bytes([0, (n % DEVICES) as u8]),
                protocol: 6,
                flags: 1,
            };
            let flow = DrainedFlow {
                key,
                up_bytes: 500,
                down_bytes: 9_000,
                up_packets: 5,
                down_packets: 9,
                ..Default::default()
            };
            stats.add(KernelStat::SeenPackets, flow.up_packets + flow.down_packets);
            stats.add(KernelStat::SeenBytes, flow.up_bytes + flow.down_bytes);
            flow
        })
        .collect();
    let interval = Interval {
        began_boot: BootTime(epoch * 30 * SECOND),
        ended_boot: BootTime((epoch + 1) * 30 * SECOND),
        began_at: WallTime(1_800_000_000 * SECOND as i64 + (epoch * 30 * SECOND) as i64),
        ended_at: WallTime(1_800_000_000 * SECOND as i64 + ((epoch + 1) * 30 * SECOND) as i64),
        is_clock_set: true,
    };
    Drained { epoch: EpochId { boot_id: "bench".to_owned(), table_id: 1, epoch }, interval, flows, stats }
}
