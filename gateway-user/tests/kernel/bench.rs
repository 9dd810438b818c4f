//! A loaded kernel program with tables of its own, and a way to give it packets without a network.

use crate::fixtures::{Fixture, frame::GATEWAY};
use aya::{
    maps::{Array, Map, MapData},
    programs::{SchedClassifier, TestRun, TestRunOptions},
};
use gateway_common::{
    Control,
    Direction::{Down, Up},
    FlowKey, KernelStat, StatBlock, map_name,
};
use gateway_core::{drained::DrainedFlow, units::BootTime};
use gateway_user::kernel::{
    Geometry, GracePeriod, Kernel, KernelLog, LoadOptions, Loaded, PinDirectory, Quiet, Tables,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A pin directory that nobody else has; gone when dropped, also by a panic.
pub struct Root(PathBuf);

impl Root {
    pub fn new(name: &str) -> Self {
        Self(PathBuf::from(format!("/sys/fs/bpf/telltale-test-{}-{name}", std::process::id())))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn pins(&self) -> PinDirectory {
        PinDirectory::open(&self.0).expect("a pin directory")
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Tables with room for every test that is not about having none.
pub fn roomy() -> Geometry {
    Geometry {
        cpus: Geometry::possible_cpus().expect("the number of CPUs"),
        fast_slots: 1024,
        coarse_cells: 64,
        exact_entries: 128,
        ring_names_bytes: 1 << 16,
        ring_hellos_bytes: 1 << 16,
    }
}

pub fn options(geometry: Geometry, wants_samples: bool) -> LoadOptions {
    LoadOptions { geometry, wants_samples, log: KernelLog::default() }
}

/// A kernel program that counts into tables of its own.
pub struct Bench {
    pub kernel: Kernel,
    pub epoch: u64,
    grace: GracePeriod,
    // Dropped last: the pins go when nothing uses them.
    pub root: Root,
}

/// One interval's flows by key, and the counters.
pub type Counts = (BTreeMap<FlowKey, DrainedFlow>, StatBlock);

impl Bench {
    pub fn new(name: &str) -> Self {
        Self::with(name, &options(roomy(), true))
    }

    pub fn with(name: &str, options: &LoadOptions) -> Self {
        let root = Root::new(name);
        let Loaded { mut kernel, left_over, notes } =
            Kernel::load(&root.pins(), options).unwrap_or_else(|e| panic!("{e:#}"));
        assert!(left_over.is_empty() && notes.is_empty(), "{notes:?}");
        assert!(!kernel.tables.is_begun().unwrap(), "new tables");
        begin(&mut kernel.tables);
        let grace = GracePeriod::choose().unwrap();
        Self { kernel, epoch: 1, grace, root }
    }

    /// Runs the program of the fixture's direction on it, `repeat` times.
    pub fn send(&mut self, fixture: &Fixture, repeat: u32) {
        let name = match fixture.direction {
            Up => map_name::PROGRAM_INGRESS,
            Down => map_name::PROGRAM_EGRESS,
        };
        run(self.kernel.program(name).unwrap(), fixture, repeat);
    }

    /// Turns the kernel to the other buffer and waits until the quiet one stands still.
    pub fn flip(&mut self) -> Quiet {
        self.epoch += 1;
        let quiet = self.kernel.tables.flip(BootTime(self.epoch), self.epoch).unwrap();
        self.grace.wait().unwrap();
        quiet
    }

    /// What was counted since the last drain.
    pub fn drain(&mut self) -> Counts {
        let quiet = self.flip();
        let counts = read(&self.kernel.tables, quiet);
        self.kernel.tables.zero(quiet).unwrap();
        counts
    }

    /// A pinned map as an array of elements, to look at it and to change it behind the program's back.
    pub fn array<T: aya::Pod>(&self, name: &str) -> Array<MapData, T> {
        let map = self.kernel.pins.open_map(&self.kernel.tables.geometry(), name).unwrap();
        Array::try_from(Map::Array(map)).unwrap()
    }
}

/// Starts new tables for a gateway with one address.
pub fn begin(tables: &mut Tables) {
    tables.begin(Tables::new_table_id(), BootTime(1)).unwrap();
    tables.set_gateway_macs(&[GATEWAY]).unwrap();
}

/// A quiet buffer's counts, which must obey the law. When a flow was first seen is looked at here and then left
/// out: it differs from run to run.
pub fn read(tables: &Tables, quiet: Quiet) -> Counts {
    let (flows, stats) = tables.read(quiet).unwrap();
    let now_ms = gateway_user::clock::now().unwrap().boot.0 / 1_000_000;
    let mut counts = BTreeMap::new();
    for flow in flows {
        let age_ms = flow.first_boot_ms.map(|ms| (now_ms as u32).wrapping_sub(ms));
        assert!(age_ms.is_some_and(|age| age < 600_000), "first seen {age_ms:?} ms ago");
        let other = counts.insert(flow.key, DrainedFlow { first_boot_ms: None, ..flow });
        assert_eq!(other, None, "every flow comes once");
    }
    assert_conserved(&counts, &stats);
    (counts, stats)
}

/// The law: seen = flows + nobody + bridged + group + every non-IP class + malformed, packets and bytes.
#[track_caller]
pub fn assert_conserved(flows: &BTreeMap<FlowKey, DrainedFlow>, stats: &StatBlock) {
    use KernelStat::*;
    let counted = |stats_of: &[KernelStat]| -> u64 { stats_of.iter().map(|&s| stats.get(s)).sum() };
    let packets: u64 = flows.values().map(|f| f.up_packets + f.down_packets).sum();
    let bytes: u64 = flows.values().map(|f| f.up_bytes + f.down_bytes).sum();
    let others = [
        NobodyPackets,
        BridgedPackets,
        GroupPackets,
        ArpPackets,
        EapolPackets,
        LlcPackets,
        PppoeControlPackets,
        OtherEthertypePackets,
        MalformedPackets,
    ];
    let others_bytes = [
        NobodyBytes,
        BridgedBytes,
        GroupBytes,
        ArpBytes,
        EapolBytes,
        LlcBytes,
        PppoeControlBytes,
        OtherEthertypeBytes,
        MalformedBytes,
    ];
    assert_eq!(stats.get(SeenPackets), packets + counted(&others), "packets");
    assert_eq!(stats.get(SeenBytes), bytes + counted(&others_bytes), "bytes");
}

/// Gives the program a packet by `BPF_PROG_TEST_RUN`.
pub fn run(program: &SchedClassifier, fixture: &Fixture, repeat: u32) {
    try_run(program, fixture, repeat).unwrap_or_else(|e| panic!("{}: {e}", fixture.name));
}

pub fn try_run(
    program: &SchedClassifier,
    fixture: &Fixture,
    repeat: u32,
) -> Result<(), aya::programs::ProgramError> {
    // Places of two fields in `struct __sk_buff` (linux/bpf.h); the kernel refuses most of the others.
    const GSO_SEGS: usize = 164;
    const GSO_SIZE: usize = 176;
    let mut context = [0u8; 192];
    context[GSO_SEGS..GSO_SEGS + 4].copy_from_slice(&fixture.gso_segs.to_ne_bytes());
    context[GSO_SIZE..GSO_SIZE + 4].copy_from_slice(&fixture.gso_size.to_ne_bytes());
    let mut options = TestRunOptions::new();
    options.data_in = Some(&fixture.frame);
    options.ctx_in = Some(&context);
    options.repeat = repeat;
    let result = program.test_run(options)?;
    // TC_ACT_UNSPEC: the next filter decides.
    assert_eq!(result.return_value, u32::MAX, "{}: the packet goes on", fixture.name);
    Ok(())
}

/// Keeps this thread on one CPU.
pub fn stay_on(cpu: usize) {
    let mut cpus = nix::sched::CpuSet::new();
    cpus.set(cpu).unwrap();
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &cpus).unwrap();
}

/// The CPUs this thread may run on.
pub fn cpus() -> Vec<usize> {
    let allowed = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).unwrap();
    (0..nix::sched::CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap()).collect()
}

/// The fixture with another port of the device.
pub fn from_port(fixture: &Fixture, port: u16) -> Fixture {
    let mut fixture = fixture.clone();
    let at = match fixture.direction {
        Up => 34,
        Down => 36,
    };
    fixture.frame[at..at + 2].copy_from_slice(&port.to_be_bytes());
    fixture
}

/// The fixture of another device.
pub fn from_device(fixture: &Fixture, device: u16) -> Fixture {
    let mut fixture = fixture.clone();
    let at = match fixture.direction {
        Up => 10,
        Down => 4,
    };
    fixture.frame[at..at + 2].copy_from_slice(&device.to_be_bytes());
    fixture
}

/// The control record as a pinned element.
pub type ControlWords = [u64; size_of::<Control>() / 8];
