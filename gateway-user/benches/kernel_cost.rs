//! Kernel cost per packet: the real program against an empty one and a minimal hash counter, in interleaved
//! rounds on one CPU (`BPF_PROG_TEST_RUN`). Ratios count; nanoseconds are this machine's.
//!
//! Run by `cargo xtask bench`, which builds the bench programs; needs root.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use anyhow::Context;
use aya::{
    Ebpf,
    maps::{Array, MapData, ProgramArray},
    programs::{ProgramFd, SchedClassifier, TestRun, TestRunOptions},
};
use gateway_common::{KernelStat, map_name};
use gateway_core::units::BootTime;
use gateway_user::kernel::{Geometry, Kernel, KernelLog, LoadOptions, PinDirectory};
use nix::sched::{CpuSet, sched_setaffinity};
use std::path::{Path, PathBuf};

const FLOW_COUNTS: [u32; 4] = [1, 1_000, 10_000, 100_000];
/// Conversations that begin in one run: half of what the fast table has room for.
const NEW_CONVERSATIONS: u32 = 8_192;
/// Payload of a TLS hello that names a server, without post-quantum keys.
const HELLO_LEN: usize = 517;
/// Room for every hello of a run.
const RING_FOR_HELLOS: u32 = 1 << 23;

fn main() -> anyhow::Result<()> {
    let object = std::env::var_os("TELLTALE_BENCH_OBJECT")
        .context("run this by cargo xtask bench, which builds the bench programs and names them")?;
    let rounds: usize =
        std::env::var("TELLTALE_BENCH_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(11);
    let mut cpus = CpuSet::new();
    cpus.set(Geometry::possible_cpus()? as usize - 1)?;
    sched_setaffinity(nix::unistd::Pid::from_raw(0), &cpus).context("stay on one CPU")?;
    let root_for = |what| PathBuf::from(format!("/sys/fs/bpf/telltale-bench-{}-{what}", std::process::id()));
    let [root, unsampled_root] = ["sampled", "unsampled"].map(root_for);
    let result = measure(&PathBuf::from(object), [&root, &unsampled_root], rounds);
    for root in [root, unsampled_root] {
        std::fs::remove_dir_all(&root).ok();
    }
    result
}

fn measure(object: &Path, [root, unsampled_root]: [&Path; 2], rounds: usize) -> anyhow::Result<()> {
    let mut bench = Ebpf::load_file(object).with_context(|| format!("load {}", object.display()))?;
    for name in ["bench_empty", "bench_minimal", "bench_mutate"] {
        program(&mut bench, name)?.load()?;
    }
    let mut kernel = load(root, true)?;
    let mut jump = ProgramArray::try_from(bench.take_map("UNDER_TEST").context("find UNDER_TEST")?)?;
    let mut mutation: Array<_, [u32; 2]> =
        Array::try_from(bench.take_map("MUTATION").context("find MUTATION")?)?;

    println!(
        "{:<10} {:>10} {:>14} {:>14} {:>8}   (medians of {rounds} rounds, ns; net = less the floor)",
        "flows", "floor", "minimal net", "telltale net", "ratio"
    );
    let mut epoch = 1;
    for flows in FLOW_COUNTS {
        let fds: Vec<ProgramFd> = vec![
            program(&mut bench, "bench_empty")?.fd()?.try_clone()?,
            program(&mut bench, "bench_minimal")?.fd()?.try_clone()?,
            kernel.program(map_name::PROGRAM_INGRESS)?.fd()?.try_clone()?,
        ];
        let mut samples = vec![Vec::new(); fds.len()];
        for round in 0..=rounds {
            for offset in 0..fds.len() {
                // Another order each round, so that no program is always the one after the same other.
                let which = (offset + round) % fds.len();
                jump.set(0, &fds[which], 0)?;
                mutation.set(0, [flows, 0], 0)?;
                let ns = run(program(&mut bench, "bench_mutate")?, &packet(&record()), 300_000)?;
                // The first round warms the tables up.
                if round > 0 {
                    samples[which].push(ns);
                }
            }
        }
        let [empty, minimal, telltale] = [0, 1, 2].map(|i| median(&mut samples[i]));
        let (minimal_net, telltale_net) = (minimal - empty, telltale - empty);
        println!(
            "{flows:<10} {empty:>10.1} {minimal_net:>14.1} {telltale_net:>14.1} {:>8.2}",
            telltale_net / minimal_net
        );
        epoch += 1;
        let quiet = kernel.tables.flip(BootTime(epoch), epoch)?;
        let (drained, stats) = kernel.tables.read(quiet)?;
        let exact = stats.get(KernelStat::ExactPackets) as f64 / stats.get(KernelStat::SeenPackets) as f64;
        let coarse = stats.get(KernelStat::CoarsePackets) as f64 / stats.get(KernelStat::SeenPackets) as f64;
        println!(
            "           {} flows drained; {:.2} % of packets by the exact table, {:.2} % coarse; {} hellos sampled",
            drained.len(),
            exact * 100.0,
            coarse * 100.0,
            stats.get(KernelStat::HellosSampled)
        );
        kernel.tables.zero(quiet)?;
    }
    let mut kernels = [load(unsampled_root, false)?, kernel];
    measure_beginnings(&mut bench, &mut kernels, (&mut jump, &mut mutation), (rounds, epoch))
}

/// What a packet costs that begins a conversation: the slow way, a slot, and with sampling a copy of the hello.
fn measure_beginnings(
    bench: &mut Ebpf,
    kernels: &mut [Kernel; 2],
    (jump, mutation): (&mut ProgramArray<MapData>, &mut Array<MapData, [u32; 2]>),
    (rounds, mut epoch): (usize, u64),
) -> anyhow::Result<()> {
    let mut nanos = [Vec::new(), Vec::new()];
    for round in 0..=rounds {
        for offset in 0..kernels.len() {
            let which = (offset + round) % kernels.len();
            let kernel = &mut kernels[which];
            jump.set(0, kernel.program(map_name::PROGRAM_INGRESS)?.fd()?, 0)?;
            // Of so many flows hardly one comes twice.
            mutation.set(0, [u32::MAX, 0], 0)?;
            let ns = run(program(bench, "bench_mutate")?, &packet(&hello()), NEW_CONVERSATIONS)?;
            if round > 0 {
                nanos[which].push(ns);
            }
            epoch += 1;
            let quiet = kernel.tables.flip(BootTime(epoch), epoch)?;
            let (_, stats) = kernel.tables.read(quiet)?;
            kernel.tables.zero(quiet)?;
            kernel.hellos.take(u64::MAX, |_, _| {});
            let (sampled, expected) = (stats.get(KernelStat::HellosSampled), [0, NEW_CONVERSATIONS][which]);
            anyhow::ensure!(sampled == u64::from(expected), "{sampled} hellos sampled of {expected}");
        }
    }
    let [without, with] = nanos.each_mut().map(|nanos| median(nanos));
    println!(
        "new connections, a TLS hello of {HELLO_LEN} bytes each: {without:.1} without sampling, {with:.1} with (floor included)"
    );
    Ok(())
}

fn load(root: &Path, wants_samples: bool) -> anyhow::Result<Kernel> {
    let geometry = Geometry {
        cpus: Geometry::possible_cpus()?,
        fast_slots: 16_384,
        coarse_cells: 1024,
        exact_entries: 8192,
        ring_names_bytes: 1 << 18,
        ring_hellos_bytes: RING_FOR_HELLOS,
    };
    let options = LoadOptions { geometry, wants_samples, log: KernelLog::default() };
    let mut kernel = Kernel::load(&PinDirectory::open(root)?, &options)?.kernel;
    kernel.tables.begin(1, BootTime(1))?;
    kernel.tables.set_gateway_macs(&[[2, 0, 0, 0, 0, 1]])?;
    Ok(kernel)
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut SchedClassifier> {
    Ok(ebpf.program_mut(name).with_context(|| format!("find {name}"))?.try_into()?)
}

/// IPv4, TCP with this payload.
fn packet(payload: &[u8]) -> Vec<u8> {
    let total_len = (40 + payload.len() as u16).to_be_bytes();
    let mut packet = vec![2, 0, 0, 0, 0, 1, 0x7c, 3, 0xab, 1, 2, 3, 8, 0];
    packet.extend([0x45, 0, total_len[0], total_len[1], 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 2, 8, 8, 8, 8]);
    packet.extend([0xc0, 0, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    packet.extend(payload);
    packet
}

/// A TLS application record of 46 bytes.
fn record() -> Vec<u8> {
    [&[0x17, 3, 3, 0, 41][..], &[0xaa; 41]].concat()
}

/// The headers of a TLS record and of the ClientHello in it, and as many bytes as they say.
fn hello() -> Vec<u8> {
    let mut hello = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc];
    hello.resize(HELLO_LEN, 0xcc);
    hello
}

fn run(program: &SchedClassifier, packet: &[u8], repeat: u32) -> anyhow::Result<f64> {
    let mut options = TestRunOptions::new();
    options.data_in = Some(packet);
    options.repeat = repeat;
    let result = program.test_run(options)?;
    // The kernel rounds to whole nanoseconds per run.
    Ok(result.duration.as_nanos() as f64)
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
