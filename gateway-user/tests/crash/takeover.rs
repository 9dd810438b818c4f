//! Stop, upgrade and start under load; unhooking; two daemons at once.

use super::books::{self, Books};
use super::daemon::{Daemon, Ended, Job, STEPS};
use super::household::{DEVICES, House};
use super::load::Dice;
use super::tables::Pinned;
use super::{alone, kills::settle};
use gateway_user::daemon::Step;
use gateway_user::kernel::{Geometry, Kernel, KernelLog, LoadOptions, PinDirectory};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The product's own binary, on the gateway.
fn telltale(house: &House, command: &str, pin_dir: &Path) -> Daemon {
    let mut telltale = Command::new(env!("CARGO_BIN_EXE_telltale"));
    telltale.args([command, "--interface", "br-lan"]);
    telltale.arg("--database").arg(house.database()).arg("--pin-dir").arg(pin_dir);
    Daemon::spawn(house, &mut telltale)
}

#[track_caller]
fn exits_with(ended: &Ended, code: i32) {
    assert_eq!(ended.status.code(), Some(code), "{}", ended.said.join("\n"));
}

fn is_stopped_and_started(is_tcx_off: bool, word: &str) {
    let _one = alone();
    let mut house = House::new();
    let job = Job { is_tcx_off, ..Job::new(&house) };
    Daemon::start_ready(&house, &job).stop();
    house.begin_load();
    for _ in 0..5 {
        let ended = Daemon::start_ready(&house, &job).stop();
        assert_eq!(ended.lines_with(&format!("lan0 ({word}), lan1 ({word})")).len(), 1, "{:?}", ended.said);
    }
    for step in STEPS {
        Daemon::start(&house, &job.dying_at(step, 2)).wait_killed_at(step);
    }
    settle(&mut house, &job);
    // The same hooks and tables from the first to the last: a hook made anew would have let packets by.
    assert_eq!(Books::open(&house.database()).table_ids().len(), 1);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn stopped_and_started_under_load_by_tcx() {
    is_stopped_and_started(false, "tcx");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn stopped_and_started_under_load_by_clsact() {
    is_stopped_and_started(true, "clsact");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn an_upgrade_brings_tables_of_another_size() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    Daemon::start_ready(&house, &job).stop();
    house.begin_load();
    let of_size = |fast_slots| Job { fast_slots, ..job.clone() };
    for fast_slots in [64, 16, 32] {
        let ended = Daemon::start_ready(&house, &of_size(fast_slots)).stop();
        assert_eq!(ended.lines_with("the tables have a new shape").len(), 1, "{:?}", ended.said);
    }
    // Killed while it moves from one set to the other, and then to a third or back.
    for (life, step) in STEPS.into_iter().cycle().take(2 * STEPS.len()).enumerate() {
        let sized = of_size(16 << (life % 3));
        Daemon::start(&house, &sized.dying_at(step, 1)).wait_killed_at(step);
    }
    settle(&mut house, &job);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn tables_that_were_made_and_never_used_are_in_nobodys_way() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    Daemon::start_ready(&house, &job).stop();
    house.begin_load();
    // As an upgraded daemon leaves them that is killed before it hooks anything.
    let geometry = Geometry {
        cpus: Geometry::possible_cpus().unwrap(),
        fast_slots: 256,
        coarse_cells: 64,
        exact_entries: 128,
        ring_names_bytes: 1 << 16,
        ring_hellos_bytes: 1 << 16,
    };
    let pins = PinDirectory::open(&house.pin_dir).unwrap();
    let options = LoadOptions { geometry, wants_samples: true, log: KernelLog::default() };
    drop(Kernel::load(&pins, &options).unwrap());
    assert!(pins.maps(&geometry).exists());
    let ended = Daemon::start_ready(&house, &job).stop();
    assert!(ended.lines_with("lost").is_empty(), "{:?}", ended.said);
    assert!(!pins.maps(&geometry).exists());
    settle(&mut house, &job);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_kind_of_hook_changes() {
    let _one = alone();
    let mut house = House::new();
    let tcx = Job::new(&house);
    let clsact = Job { is_tcx_off: true, ..tcx.clone() };
    Daemon::start_ready(&house, &tcx).stop();
    house.begin_load();
    let mut said = house.end_load();
    // One kind cannot take over from the other without a moment between, so it is quiet meanwhile.
    for job in [&clsact, &tcx, &clsact] {
        let daemon = Daemon::start_ready(&house, job);
        house.resume_load();
        daemon.stop();
        let more = house.end_load();
        said.iter_mut().zip(more).for_each(|(said, more)| said.add(more));
    }
    Daemon::start_ready(&house, &clsact).stop();
    books::check(&house, &said);
}

fn is_detached(is_tcx_off: bool) {
    let _one = alone();
    let mut house = House::new();
    let job = Job { is_tcx_off, ..Job::new(&house) };
    Daemon::start_ready(&house, &job).stop();
    house.begin_load();
    Daemon::start(&house, &job.dying_at(Step::Grace, 2)).wait_killed_at(Step::Grace);
    let said = house.end_load();
    exits_with(&telltale(&house, "detach", &house.pin_dir).wait_end(), 0);
    books::check(&house, &said);
    assert!(!house.pin_dir.exists(), "pins are left");
    let ended = telltale(&house, "detach", &house.pin_dir).wait_end();
    exits_with(&ended, 1);
    assert_eq!(ended.lines_with("nothing is pinned").len(), 1, "{:?}", ended.said);
    assert_eq!(ended.said.len(), 1, "{:?}", ended.said);

    // Under load it is not known which packet was the last; but what was counted was stored.
    house.resume_load();
    Daemon::start(&house, &job.dying_at(Step::Commit, 2)).wait_killed_at(Step::Commit);
    let tables = Pinned::open(&house);
    exits_with(&telltale(&house, "detach", &house.pin_dir).wait_end(), 0);
    assert_eq!(tables.held_packets(), 0, "counted and thrown away");
    assert!(!house.pin_dir.exists(), "pins are left");

    let leaving = Job { detaches_at_exit: true, ..job.clone() };
    let mut daemon = Daemon::start_ready(&house, &leaving);
    daemon.wait_step(Step::Zero);
    let more_tables = Pinned::open(&house);
    daemon.stop();
    assert_eq!(more_tables.held_packets(), 0, "counted and thrown away");
    assert!(!house.pin_dir.exists(), "pins are left");
    house.end_load();
    assert_eq!(tables.held_packets() + more_tables.held_packets(), 0, "a hook is left");

    let books = Books::open(&house.database());
    assert_eq!(books.table_ids().len(), 3);
    for (number, mac) in DEVICES.into_iter().enumerate() {
        let (stored, truth) = (books.volume_of(mac), house.truth(number));
        assert!(stored.up_packets < truth.up_packets && stored.down_packets < truth.down_packets);
        assert!(stored.up_packets > said[number].up_packets, "and something came after the first detach");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn detached_from_tcx() {
    is_detached(false);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn detached_from_clsact() {
    is_detached(true);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn killed_while_detaching() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    Daemon::start_ready(&house, &job).stop();
    house.begin_load();
    let mut said = house.end_load();
    let mut dice = Dice(0xdead);
    for _ in 0..8 {
        let daemon = Daemon::start_ready(&house, &job);
        house.resume_load();
        daemon.kill();
        let more = house.end_load();
        said.iter_mut().zip(more).for_each(|(said, more)| said.add(more));
        let detaching = telltale(&house, "detach", &house.pin_dir);
        // Any moment of its life of about half a second.
        std::thread::sleep(Duration::from_micros(dice.below(600_000).into()));
        let ended = detaching.kill();
        assert!(ended.lines_with("lost").is_empty(), "{:?}", ended.said);
    }
    let ended = Daemon::start_ready(&house, &job).stop();
    assert!(ended.lines_with("lost").is_empty(), "{:?}", ended.said);
    let books = Books::open(&house.database());
    books.check_balance();
    for (number, mac) in DEVICES.into_iter().enumerate() {
        assert_eq!(books.volume_of(mac), house.truth(number));
        assert_eq!(said[number], house.truth(number));
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_second_daemon_is_refused() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    let mut first = Daemon::start_ready(&house, &job);
    house.begin_load();
    let with_a_slash = house.pin_dir.join("");
    let by_another_way = house.folder.join("pins");
    std::os::unix::fs::symlink(&house.pin_dir, &by_another_way).unwrap();
    for pin_dir in [&house.pin_dir, &with_a_slash, &by_another_way] {
        for command in ["run", "detach"] {
            let ended = telltale(&house, command, pin_dir).wait_end();
            exits_with(&ended, 2);
            let refusals = ended.lines_with("telltale: another telltale (process ");
            assert_eq!(refusals.len(), 1, "{:?}", ended.said);
            // The only other line tells where the configuration came from.
            assert!(ended.said.len() <= 2, "{:?}", ended.said);
        }
    }
    first.wait_step(Step::Zero);
    let said = house.end_load();
    first.stop();
    books::check(&house, &said);
}
