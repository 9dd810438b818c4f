//! The kernel program on this machine's kernel.

use aya::programs::{TestRun, TestRunOptions};
use gateway_common::{KernelStat, map_name};
use gateway_core::units::BootTime;
use gateway_user::kernel::{Geometry, Kernel, KernelLog, LoadOptions, PinDirectory};

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn one_packet_is_counted() {
    let root = std::path::PathBuf::from(format!("/sys/fs/bpf/telltale-test-{}", std::process::id()));
    let pins = PinDirectory::open(&root).expect("pins");
    let geometry = Geometry {
        cpus: Geometry::possible_cpus().expect("cpus"),
        fast_slots: 1024,
        coarse_cells: 64,
        exact_entries: 128,
        ring_names_bytes: 1 << 16,
        ring_hellos_bytes: 1 << 16,
    };
    let options = LoadOptions { geometry, wants_samples: true, log: KernelLog::default() };
    let mut loaded = match Kernel::load(&pins, &options) {
        Ok(l) => l,
        Err(e) => {
            std::fs::remove_dir_all(&root).ok();
            panic!("{e:#}")
        }
    };
    let kernel = &mut loaded.kernel;
    kernel.tables.begin(7, BootTime(1)).expect("begin");
    kernel.tables.set_gateway_macs(&[[2, 0, 0, 0, 0, 1]]).expect("macs");
    let mut packet = vec![2, 0, 0, 0, 0, 1, 0x7c, 3, 0xab, 1, 2, 3, 8, 0];
    packet.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 168, 1, 2, 8, 8, 8, 8]);
    packet.extend([0xc0, 0, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
    packet.extend([0; 6]);
    let mut out = TestRunOptions::new();
    out.data_in = Some(&packet);
    out.repeat = 1_000_000;
    let program = kernel.program(map_name::PROGRAM_INGRESS).expect("program");
    let result = program.test_run(out).expect("run");
    println!("{result:?}");
    let quiet = kernel.tables.flip(BootTime(2), 2).expect("flip");
    let (flows, stats) = kernel.tables.read(quiet).expect("read");
    println!("{flows:?} {}", stats.get(KernelStat::SeenPackets));
    std::fs::remove_dir_all(&root).ok();
    assert_eq!(flows.len(), 1);
    assert_eq!(flows[0].up_packets, 1_000_000);
    assert_eq!(flows[0].up_bytes, 40_000_000);
}
