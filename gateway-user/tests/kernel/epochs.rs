//! Exactly once: whatever step of a drain is the last one of a daemon's life, the next daemon loses nothing and
//! counts nothing twice.

use crate::{
    bench::{Bench, ControlWords, Counts, cpus, from_device, from_port, options, read, roomy, run, stay_on},
    fixtures::{Fixture, named},
};
use aya::programs::SchedClassifier;
use gateway_common::{Control, FlowSlot, KernelStat, MacAddr, map_name};
use gateway_core::units::BootTime;
use gateway_user::kernel::{Geometry, GracePeriod, PinDirectory, Quiet, Tables};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

fn control(bench: &Bench) -> Control {
    let words: ControlWords = bench.array(map_name::CONTROL).get(&0, 0).unwrap();
    zerocopy::transmute!(words)
}

fn set_control(bench: &Bench, change: impl FnOnce(&mut Control)) {
    let mut record = control(bench);
    change(&mut record);
    let words: ControlWords = zerocopy::transmute!(record);
    bench.array::<ControlWords>(map_name::CONTROL).set(0, words, 0).unwrap();
}

/// The tables as a daemon that has just started finds them.
fn reopened(bench: &Bench) -> Tables {
    let pins = PinDirectory::open(bench.root.path()).unwrap();
    let geometry = bench.kernel.tables.geometry();
    Tables::open(geometry, pins.open_tables(&geometry).unwrap()).unwrap()
}

/// Is every byte of this buffer zero, in all four tables?
fn is_clean(bench: &Bench, buffer: u32) -> bool {
    let Geometry { cpus, fast_slots, coarse_cells, .. } = bench.kernel.tables.geometry();
    let slots_are_zero = |name, per_cpu: u32| {
        let table = bench.array::<[u64; 8]>(name);
        let first = buffer * cpus * per_cpu;
        (first..first + cpus * per_cpu).all(|i| table.get(&i, 0).unwrap() == [0; 8])
    };
    let stats = bench.array::<[u64; 40]>(map_name::STATS);
    let exact = reopened(bench).read(quiet_of(bench, buffer)).unwrap().0;
    slots_are_zero(map_name::FAST, fast_slots)
        && slots_are_zero(map_name::COARSE, coarse_cells)
        && (buffer * cpus..(buffer + 1) * cpus).all(|i| stats.get(&i, 0).unwrap() == [0; 40])
        && exact.is_empty()
}

fn quiet_of(bench: &Bench, buffer: u32) -> Quiet {
    let epoch = control(bench).epoch[buffer as usize];
    Quiet { buffer: buffer as usize, epoch, began: BootTime(0), ended: BootTime(0) }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_other_buffer_must_be_clean_before_a_flip() {
    let mut bench = Bench::new("refuse");
    let tables = &mut bench.kernel.tables;
    assert_eq!(tables.quiet().unwrap(), None);
    let quiet = tables.flip(BootTime(20), 2).unwrap();
    assert_eq!(quiet, Quiet { buffer: 0, epoch: 1, began: BootTime(1), ended: BootTime(20) });
    assert_eq!(tables.quiet().unwrap(), Some(quiet));
    let refusal = tables.flip(BootTime(30), 3).unwrap_err().to_string();
    assert_eq!(refusal, "the other buffer still holds epoch 1");
    assert_eq!(tables.quiet().unwrap(), Some(quiet), "a refusal changes nothing");
    tables.zero(quiet).unwrap();
    assert_eq!(tables.quiet().unwrap(), None);
    // The journal may be ahead: a database that has seen more than these tables.
    let quiet = tables.flip(BootTime(30), 17).unwrap();
    assert_eq!((quiet.buffer, quiet.epoch), (1, 2));
    tables.zero(quiet).unwrap();
    assert_eq!(tables.flip(BootTime(40), 0).unwrap().epoch, 17);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn zeroing_leaves_nothing_and_may_be_done_again() {
    let mut bench = Bench::with("zero", &options(tiny(), false));
    for &cpu in &cpus() {
        stay_on(cpu);
        for i in 0..200 {
            bench.send(&from_port(&named("tcp4 up"), 1000 + i), 1);
        }
    }
    let quiet = bench.flip();
    let (flows, stats) = bench.kernel.tables.read(quiet).unwrap();
    assert!(
        flows.iter().any(|f| f.key.is_coarse()) && stats.get(KernelStat::ExactPackets) > 0,
        "all tiers are used"
    );
    assert!(!is_clean(&bench, 0) && is_clean(&bench, 1));
    bench.send(&named("tcp4 up"), 5);
    for _ in 0..3 {
        bench.kernel.tables.zero(quiet).unwrap();
        assert!(is_clean(&bench, 0) && !is_clean(&bench, 1), "one buffer, not the other");
        assert_eq!(bench.kernel.tables.quiet().unwrap(), None);
    }
    let (flows, _) = bench.drain();
    assert_eq!(flows.values().map(|f| f.up_packets).sum::<u64>(), 5);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn after_every_cut_the_right_buffer_is_quiet() {
    let mut bench = Bench::new("cuts");
    let up = named("udp4 up");
    bench.send(&up, 3);
    // A flip writes when, which, and then turns. Cut after the first step, nothing has happened.
    set_control(&bench, |c| c.began_boot_ns[1] = 50);
    assert_eq!(reopened(&bench).quiet().unwrap(), None);
    // Cut after the second, there is an empty buffer that is marked and never was active: it is still clean.
    set_control(&bench, |c| c.epoch[1] = 2);
    let mut tables = reopened(&bench);
    assert_eq!(tables.quiet().unwrap(), None);
    assert!(is_clean(&bench, 1));
    // The flip is done again, over the mark.
    let quiet = tables.flip(BootTime(60), 3).unwrap();
    assert_eq!(quiet, Quiet { buffer: 0, epoch: 1, began: BootTime(1), ended: BootTime(60) });
    assert_eq!(control(&bench).epoch, [1, 3]);
    bench.send(&up, 4);
    // From here on until the last step of zeroing it is the same buffer for every daemon that comes.
    for _ in 0..3 {
        let tables = reopened(&bench);
        assert_eq!(tables.quiet().unwrap(), Some(quiet));
        assert_eq!(total(&read(&tables, quiet)), (3, 99));
    }
    // Zeroing cut short: part of the slots are gone, and the mark is not.
    zero_partly(&bench, quiet, 700);
    let mut tables = reopened(&bench);
    assert_eq!(tables.quiet().unwrap(), Some(quiet));
    tables.zero(quiet).unwrap();
    assert!(is_clean(&bench, 0));
    let mut tables = reopened(&bench);
    assert_eq!(tables.quiet().unwrap(), None);
    let quiet = tables.flip(BootTime(70), 4).unwrap();
    assert_eq!((quiet.epoch, quiet.began, quiet.ended), (3, BootTime(60), BootTime(70)));
    assert_eq!(total(&read(&tables, quiet)), (4, 132));
}

/// As a daemon that is killed while it zeroes leaves the fast table.
fn zero_partly(bench: &Bench, quiet: Quiet, slots: u32) {
    let mut fast = bench.array::<[u64; 8]>(map_name::FAST);
    let half = fast.len() / 2;
    let first = half * quiet.buffer as u32;
    let free: [u64; 8] = zerocopy::transmute!(FlowSlot::default());
    for index in first..first + slots.min(half) {
        fast.set(index, free, 0).unwrap();
    }
}

/// Packets and bytes of an interval.
fn total((_, stats): &Counts) -> (u64, u64) {
    (stats.get(KernelStat::SeenPackets), stats.get(KernelStat::SeenBytes))
}

/// Tables that three devices overflow, down to the coarse cells.
fn tiny() -> Geometry {
    Geometry { fast_slots: 64, exact_entries: 32, coarse_cells: 16, ..roomy() }
}

/// Where a daemon dies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Cut {
    Nowhere,
    WithinFlip,
    BehindFlip,
    BehindRead,
    BehindCommit,
    WithinZero(u32),
}

/// What outlives a daemon besides the tables: the database, in which an interval's counts and its epoch are
/// written at once or not at all.
#[derive(Default)]
struct Journal {
    epochs: BTreeMap<u64, Counts>,
}

impl Journal {
    fn next(&self) -> u64 {
        self.epochs.keys().last().map_or(0, |e| e + 1)
    }

    fn commit(&mut self, quiet: Quiet, counts: Counts) {
        assert!(self.epochs.insert(quiet.epoch, counts).is_none(), "epoch {} is counted twice", quiet.epoch);
    }
}

/// One daemon's life: it finds what is there, brings it to an end, drains once, and dies at the cut.
fn live(bench: &Bench, grace: &GracePeriod, journal: &mut Journal, cut: Cut) {
    let mut tables = reopened(bench);
    if let Some(quiet) = tables.quiet().unwrap() {
        if !journal.epochs.contains_key(&quiet.epoch) {
            grace.wait().unwrap();
            journal.commit(quiet, read(&tables, quiet));
        }
        tables.zero(quiet).unwrap();
    }
    if cut == Cut::WithinFlip {
        let next = 1 - control(bench).active as usize;
        let epoch = journal.next().max(control(bench).epoch[1 - next] + 1);
        return set_control(bench, |c| c.epoch[next] = epoch);
    }
    // The journal may not have the active buffer's epoch yet: a new one must be beyond both.
    let quiet = tables.flip(BootTime(journal.next() + 100), journal.next()).unwrap();
    if cut == Cut::BehindFlip {
        return;
    }
    grace.wait().unwrap();
    let counts = read(&tables, quiet);
    if cut == Cut::BehindRead {
        return;
    }
    journal.commit(quiet, counts);
    match cut {
        Cut::BehindCommit => {}
        Cut::WithinZero(slots) => zero_partly(bench, quiet, slots),
        _ => tables.zero(quiet).unwrap(),
    }
}

/// Packets and bytes by device.
type ByDevice = BTreeMap<MacAddr, (u64, u64)>;

/// Sends packets of many flows from one CPU until told to stop, and says how many.
fn inject(pin: &std::path::Path, cpu: usize, stop: &AtomicBool) -> ByDevice {
    stay_on(cpu);
    let program = SchedClassifier::from_pin(pin).unwrap();
    // The quick way, the slow way and merged packets; three devices, of which each keeps within its cells.
    let kinds = [("tcp4 up", 45, 1), ("vlan ipv4", 33, 1), ("two datagrams", 2456, 2)];
    let mut frames: Vec<(Fixture, MacAddr, u64, u64)> = Vec::new();
    for i in 0..50u16 {
        for (name, bytes, packets) in kinds {
            let fixture = from_device(&named(name), 1 + i % 3);
            let fixture = if name == "vlan ipv4" { fixture } else { from_port(&fixture, 1000 + i) };
            let mac = fixture.frame[6..12].try_into().unwrap();
            frames.push((fixture, mac, packets, bytes));
        }
    }
    let mut sent = ByDevice::new();
    for (at, (fixture, mac, packets, bytes)) in frames.iter().cycle().enumerate() {
        if at % frames.len() == 0 && stop.load(Ordering::Relaxed) {
            break;
        }
        run(&program, fixture, 25);
        let total = sent.entry(*mac).or_default();
        *total = (total.0 + 25 * packets, total.1 + 25 * bytes);
    }
    sent
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn two_hundred_deaths_under_load_lose_nothing() {
    let mut bench = Bench::with("deaths", &options(tiny(), false));
    let grace = GracePeriod::choose().unwrap();
    let pin = bench.root.path().join("program");
    bench.kernel.program(map_name::PROGRAM_INGRESS).unwrap().pin(&pin).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let injectors: Vec<_> = cpus()
        .into_iter()
        .map(|cpu| {
            let (pin, stop) = (pin.clone(), Arc::clone(&stop));
            thread::spawn(move || inject(&pin, cpu, &stop))
        })
        .collect();

    let mut journal = Journal::default();
    let mut deaths = BTreeMap::<Cut, u32>::new();
    // A linear congruential generator's upper bits: any order will do, and it is the same on every run.
    let mut state = 7u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..200 {
        let cut = match random(6) {
            0 => Cut::Nowhere,
            1 => Cut::WithinFlip,
            2 => Cut::BehindFlip,
            3 => Cut::BehindRead,
            4 => Cut::BehindCommit,
            _ => Cut::WithinZero(random(64 * 2) as u32),
        };
        *deaths.entry(cut).or_default() += 1;
        live(&bench, &grace, &mut journal, cut);
    }
    stop.store(true, Ordering::Relaxed);
    let mut sent = ByDevice::new();
    for injector in injectors {
        for (mac, (packets, bytes)) in injector.join().unwrap() {
            let total = sent.entry(mac).or_default();
            *total = (total.0 + packets, total.1 + bytes);
        }
    }
    // Two more, so that both buffers come to their turn.
    for _ in 0..2 {
        live(&bench, &grace, &mut journal, Cut::Nowhere);
    }

    let mut drained = ByDevice::new();
    for (flows, stats) in journal.epochs.values() {
        assert_eq!(stats.get(KernelStat::NobodyPackets), 0, "the devices have their cells");
        for flow in flows.values() {
            let total = drained.entry(flow.key.device_mac()).or_default();
            *total = (total.0 + flow.up_packets, total.1 + flow.up_bytes);
        }
    }
    assert_eq!(drained, sent, "{} epochs, deaths {deaths:?}", journal.epochs.len());
    let seen: u64 = journal.epochs.values().map(|c| total(c).0).sum();
    assert_eq!(seen, sent.values().map(|s| s.0).sum::<u64>());
    let uses = |stat| journal.epochs.values().map(|(_, s)| s.get(stat)).sum::<u64>();
    assert!(uses(KernelStat::ExactPackets) > 0 && uses(KernelStat::CoarsePackets) > 0, "all tiers are used");
}
