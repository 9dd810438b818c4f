//! What a daemon finds pinned: its own tables, those of other settings, and what is of no use.

use crate::{
    bench::{Bench, Root, begin, options, read, roomy, run},
    fixtures::named,
};
use aya::maps::MapData;
use gateway_common::{KernelStat, map_name};
use gateway_core::units::BootTime;
use gateway_user::kernel::{Found, Geometry, Hold, Kernel, KernelLog, LoadOptions, Loaded, Tables};
use std::fs;

fn load(root: &Root, options: &LoadOptions) -> Loaded {
    Kernel::load(&root.pins(), options).unwrap_or_else(|e| panic!("{e:#}"))
}

/// Runs a packet of 45 bytes, `times` times.
fn send(kernel: &mut Kernel, times: u32) {
    run(kernel.program(map_name::PROGRAM_INGRESS).unwrap(), &named("tcp4 up"), times);
}

/// Packets in the buffer that is active until now.
fn drained(tables: &mut Tables) -> u64 {
    let quiet = tables.flip(BootTime(9), 0).unwrap();
    let (flows, stats) = read(tables, quiet);
    tables.zero(quiet).unwrap();
    assert_eq!(flows.values().map(|f| f.up_bytes).sum::<u64>(), 45 * stats.get(KernelStat::SeenPackets));
    stats.get(KernelStat::SeenPackets)
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn tables_of_the_same_shape_are_taken_over_with_their_counts() {
    let root = Root::new("same");
    let options = options(roomy(), true);
    let mut first = load(&root, &options).kernel;
    begin(&mut first.tables);
    let table_id = first.tables.table_id().unwrap();
    send(&mut first, 3);
    drop(first);

    let Loaded { kernel: mut second, left_over, notes } = load(&root, &options);
    assert!(left_over.is_empty() && notes.is_empty(), "{notes:?}");
    assert!(second.tables.is_begun().unwrap());
    assert_eq!(second.tables.table_id().unwrap(), table_id);
    // Another seed of the hash: the flow has two slots now, and is one flow.
    send(&mut second, 4);
    let quiet = second.tables.flip(BootTime(9), 0).unwrap();
    let (flows, _) = read(&second.tables, quiet);
    assert_eq!(flows.values().map(|f| f.up_packets).collect::<Vec<_>>(), [7]);
    // What waited in a ring waits there still.
    let named = second.names.take(u64::MAX, |_, _| ()).samples;
    assert_eq!(named, 0, "a TCP packet teaches no name");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn tables_of_another_shape_are_left_over_with_their_counts() {
    let root = Root::new("other");
    let mut first = load(&root, &options(roomy(), true)).kernel;
    begin(&mut first.tables);
    send(&mut first, 3);
    let other = Geometry { fast_slots: 2048, ..roomy() };
    let Loaded { kernel: mut second, mut left_over, notes } = load(&root, &options(other, true));
    assert!(notes.is_empty(), "{notes:?}");
    assert!(!second.tables.is_begun().unwrap());
    begin(&mut second.tables);
    let [(path, tables)] = &mut left_over[..] else { panic!("one set is left over") };
    assert_eq!(tables.geometry(), roomy());
    // The hooks may still count into them, until they are turned.
    send(&mut first, 2);
    send(&mut second, 1);
    assert_eq!((drained(tables), drained(&mut second.tables)), (5, 1));
    second.pins.remove(path).unwrap();
    assert!(!path.exists());
    let again = load(&root, &options(other, true));
    assert!(again.left_over.is_empty() && again.notes.is_empty());
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_broken_set_is_made_anew_and_said() {
    let options = options(roomy(), true);
    let directory = |root: &Root| root.pins().maps(&roomy());
    for (name, broken) in [
        (
            "a pin is missing",
            Box::new(|root: &Root| fs::remove_file(directory(root).join(map_name::COARSE)).unwrap())
                as Box<dyn Fn(&Root)>,
        ),
        (
            "a ring is missing",
            Box::new(|root| fs::remove_file(directory(root).join(map_name::RING_NAMES)).unwrap()),
        ),
        (
            "the wrong size",
            Box::new(|root| {
                // As many elements of the right size as another geometry has.
                let small = Root::new("small");
                let kernel =
                    load(&small, &self::options(Geometry { fast_slots: 512, ..roomy() }, true)).kernel;
                let mut map = kernel.pins.open_map(&kernel.tables.geometry(), map_name::FAST).unwrap();
                replace_pin(root, map_name::FAST, &mut map);
            }),
        ),
        (
            "the wrong type",
            Box::new(|root| {
                let mut map = root.pins().open_map(&roomy(), map_name::RING_HELLOS).unwrap();
                replace_pin(root, map_name::EXACT_1, &mut map);
            }),
        ),
    ] {
        let root = Root::new("broken");
        let mut first = load(&root, &options).kernel;
        begin(&mut first.tables);
        send(&mut first, 3);
        drop(first);
        assert_eq!(root.pins().check(&roomy()).unwrap(), Found::Whole);
        broken(&root);
        assert!(matches!(root.pins().check(&roomy()).unwrap(), Found::Broken(_)), "{name}");
        let Loaded { mut kernel, left_over, notes } = load(&root, &options);
        assert!(left_over.is_empty());
        let [note] = &notes[..] else { panic!("{name}: {notes:?}") };
        assert!(note.contains("made anew") && note.contains("is lost"), "{note}");
        assert_eq!(root.pins().check(&roomy()).unwrap(), Found::Whole, "{name}");
        assert!(!kernel.tables.is_begun().unwrap());
        begin(&mut kernel.tables);
        send(&mut kernel, 2);
        assert_eq!(drained(&mut kernel.tables), 2, "{name}");
    }
}

/// Pins another map in the place of ours.
fn replace_pin(root: &Root, name: &str, map: &mut MapData) {
    let path = root.pins().maps(&roomy()).join(name);
    fs::remove_file(&path).unwrap();
    map.pin(&path).unwrap();
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn tables_of_another_version_are_removed_and_said() {
    let root = Root::new("version");
    let pins = root.pins();
    let donor = Root::new("version-donor");
    let old = load(&donor, &options(roomy(), true)).kernel;
    let geometry = old.tables.geometry();
    let strange = root.path().join("maps-v0-2-1024-64-128-65536-65536");
    fs::create_dir(&strange).unwrap();
    old.pins.open_map(&geometry, map_name::FAST).unwrap().pin(strange.join("FAST")).unwrap();
    // What is not called like a set of maps is somebody else's.
    let foreign = root.path().join("something-else");
    fs::create_dir(&foreign).unwrap();
    let Loaded { left_over, notes, .. } = load(&root, &options(roomy(), true));
    assert!(left_over.is_empty());
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert!(note.contains("another version") && note.contains("maps-v0-"), "{note}");
    assert!(!strange.exists() && foreign.exists());
    assert_eq!(pins.check(&roomy()).unwrap(), Found::Whole);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_pin_directory_goes_only_when_it_is_empty() {
    let root = Root::new("empty");
    let mut kernel = load(&root, &options(roomy(), true)).kernel;
    send(&mut kernel, 1);
    let pins = root.pins();
    pins.remove_if_empty();
    assert!(root.path().exists(), "the maps are in it");
    pins.remove(&pins.maps(&roomy())).unwrap();
    assert_eq!(pins.check(&roomy()).unwrap(), Found::Nothing);
    pins.remove_if_empty();
    assert!(!root.path().exists());
    assert!(pins.remove(std::path::Path::new("/sys/fs/bpf/maps-of-others")).is_err(), "not ours to remove");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn one_daemon_holds_a_pin_directory() {
    let root = Root::new("hold");
    let hold = Hold::take(root.path()).unwrap();
    let refusal = Hold::take(root.path()).unwrap_err().to_string();
    assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
    assert!(refusal.contains("--pin-dir"), "{refusal}");
    Hold::take(Root::new("hold-of-another").path()).expect("another directory is another daemon's");
    drop(hold);
    Hold::take(root.path()).unwrap();
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_place_that_cannot_hold_pins_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = gateway_user::kernel::PinDirectory::open(folder.path()).unwrap_err().to_string();
    assert!(refusal.contains("is not on a BPF file system") && refusal.contains("mount -t bpf"), "{refusal}");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_program_loads_and_counts_whether_it_talks_or_not() {
    for word in ["off", "info", "trace"] {
        let log = KernelLog::from_word(word).expect("a level");
        let mut bench = Bench::with(&format!("log-{word}"), &LoadOptions { log, ..options(roomy(), true) });
        for name in ["tcp4 up", "arp", "dns question"] {
            bench.send(&named(name), 2);
        }
        let (flows, stats) = bench.drain();
        assert_eq!((flows.len(), stats.get(KernelStat::SeenPackets)), (2, 6), "{word}");
    }
    assert_eq!(KernelLog::from_word("loud"), None);
}
