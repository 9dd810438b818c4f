//! A database that refuses, goes away, or is another one.

use super::alone;
use super::books::{self, Books};
use super::daemon::{Daemon, Job};
use super::household::{DEVICES, House};
use super::load::Said;
use gateway_core::units::Volume;
use gateway_user::daemon::Step;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the daemon says of each drain that could not be stored.
const REFUSED: &str = "store the interval";

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_database_is_locked_for_longer_than_anybody_waits() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    let mut daemon = Daemon::start_ready(&house, &job);
    house.begin_load();
    daemon.wait_step(Step::Zero);
    let other = Connection::open(&job.database).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let line = daemon.wait_for("a refusal", |line| line.contains("ERROR"));
    assert!(line.contains(REFUSED) && line.contains("it is tried again at each drain"), "{line}");
    other.execute_batch("COMMIT").unwrap();
    daemon.wait_step(Step::Commit);
    daemon.wait_step(Step::Zero);
    let said = house.end_load();
    let ended = daemon.stop();
    assert_eq!(ended.lines_with("ERROR").len(), 1, "once per failure: {:?}", ended.said);
    books::check(&house, &said);
}

/// A disk of one megabyte.
fn small_disk(house: &House) -> PathBuf {
    let disk = house.folder.join("disk");
    fs::create_dir(&disk).unwrap();
    mount(Some("none"), &disk, Some("tmpfs"), MsFlags::empty(), Some("size=1m")).unwrap();
    disk
}

/// Fills a disk to the last byte.
fn fill(disk: &Path) -> PathBuf {
    let filler = disk.join("filler");
    let refused = fs::write(&filler, vec![0; 2 << 20]).expect_err("a full disk");
    assert_eq!(refused.kind(), std::io::ErrorKind::StorageFull);
    filler
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_disk_is_full() {
    let _one = alone();
    let mut house = House::new();
    let disk = small_disk(&house);
    // Few drains, so that it is the filler that fills the disk.
    let job = Job {
        database: disk.join("telltale.db"),
        drain_every: Duration::from_millis(250),
        ..Job::new(&house)
    };
    let mut daemon = Daemon::start_ready(&house, &job);
    house.begin_load();
    daemon.wait_step(Step::Zero);
    let filler = fill(&disk);
    daemon.wait_for("a refusal", |line| line.contains("ERROR") && line.contains(REFUSED));
    for _ in 0..3 {
        daemon.wait_step(Step::Read);
    }
    fs::remove_file(&filler).unwrap();
    daemon.wait_step(Step::Commit);

    // Full when it is told to stop: it must say that it could not store.
    let filler = fill(&disk);
    daemon.wait_for("a refusal", |line| line.contains("ERROR") && line.contains(REFUSED));
    daemon.signal(Signal::SIGTERM);
    let ended = daemon.wait_end();
    assert_eq!(ended.status.code(), Some(2), "{:?}", ended.said);
    assert_eq!(ended.lines_with("the counts stay in the kernel").len(), 1, "{:?}", ended.said);
    let said_once = ended.lines_with("ERROR").len();
    assert_eq!(
        said_once, 2,
        "once for each time that the disk was full, not at each drain: {:?}",
        ended.said
    );

    // Full when it starts: it says so and ends; the hooks count on.
    let ended = Daemon::start(&house, &job).wait_end();
    assert_eq!(ended.status.code(), Some(2), "{:?}", ended.said);
    assert_eq!(ended.lines_with("telltale: ").len(), 1, "{:?}", ended.said);

    fs::remove_file(&filler).unwrap();
    let said = house.end_load();
    Daemon::start_ready(&house, &job).stop();
    books::check_sum_of(&house, &[Books::open(&job.database)], &said);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_database_is_another_one() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    let old = Job { database: house.folder.join("old.db"), ..job.clone() };
    Daemon::start_ready(&house, &old).stop();
    house.begin_load();
    // To and fro: what one database has, the other never gets, and neither meets an epoch twice.
    for job in [&old, &job, &old, &job] {
        let mut daemon = Daemon::start_ready(&house, job);
        daemon.wait_step(Step::Zero);
        daemon.stop();
    }
    let said = house.end_load();
    Daemon::start_ready(&house, &job).stop();
    let both = [Books::open(&old.database), Books::open(&job.database)];
    assert_eq!(both[0].table_ids(), both[1].table_ids());
    check_spread(&house, &both, &said);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_database_is_taken_away_while_it_runs() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    let mut daemon = Daemon::start_ready(&house, &job);
    house.begin_load();
    daemon.wait_step(Step::Zero);
    // Between two steps nobody knows; so the daemon holds still while its files are moved.
    daemon.signal(Signal::SIGSTOP);
    let taken = house.folder.join("taken.db");
    for ending in ["", "-wal", "-shm"] {
        let with = |path: &Path| format!("{}{ending}", path.display());
        fs::rename(with(&job.database), with(&taken)).unwrap();
    }
    daemon.signal(Signal::SIGCONT);
    daemon.wait_for("a word of it", |line| line.contains("was removed or replaced"));
    daemon.wait_step(Step::Zero);
    daemon.wait_step(Step::Zero);
    daemon.kill();
    let said = house.end_load();
    Daemon::start_ready(&house, &job).stop();
    let both = [Books::open(&taken), Books::open(&job.database)];
    assert_eq!(both[1].counted("database_replaced").0, 1);
    check_spread(&house, &both, &said);
}

/// Every packet in one of these databases, and in no other.
#[track_caller]
fn check_spread(house: &House, all: &[Books], said: &Said) {
    all.iter().for_each(Books::check_balance);
    for (number, mac) in DEVICES.into_iter().enumerate() {
        let mut stored = Volume::default();
        all.iter().for_each(|books| stored.add(books.volume_of(mac)));
        assert_eq!(stored, house.truth(number));
        assert_eq!(stored, said[number]);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_machine_was_booted_again() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    Daemon::start_ready(&house, &job).stop();
    house.begin_load();
    Daemon::start(&house, &job.dying_at(Step::Zero, 2)).wait_killed_at(Step::Zero);
    let mut said = house.end_load();
    Daemon::start_ready(&house, &job).stop();
    fs::remove_dir_all(&house.pin_dir).unwrap();

    let daemon = Daemon::start_ready(&house, &job);
    house.resume_load();
    daemon.kill();
    Daemon::start_ready(&house, &job).stop();
    let more = house.end_load();
    said.iter_mut().zip(more).for_each(|(said, more)| said.add(more));
    Daemon::start_ready(&house, &job).stop();
    let books = Books::open(&job.database);
    assert_eq!(books.table_ids().len(), 2, "tables made anew have a number of their own");
    check_spread(&house, &[books], &said);
}
