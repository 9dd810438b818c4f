//! A step that was cut short in its middle.

use super::books::{self, Books};
use super::daemon::{Daemon, Job};
use super::household::House;
use super::load::Dice;
use super::tables::Pinned;
use super::{alone, kills::settle};
use gateway_user::daemon::Step;
use std::time::Duration;

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn half_a_buffer_was_zeroed() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    Daemon::start_ready(&house, &job).stop();
    house.begin_load();
    for life in 0..4 {
        Daemon::start(&house, &job.dying_at(Step::Commit, 1 + life % 2)).wait_killed_at(Step::Commit);
        let mut tables = Pinned::open(&house);
        assert!(tables.is_quiet_marked());
        tables.zero_half();
    }
    settle(&mut house, &job);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn killed_while_zeroing() {
    let _one = alone();
    let mut house = House::new();
    // Large tables take long to zero.
    let job = Job { fast_slots: 1 << 16, ..Job::new(&house) };
    Daemon::start_ready(&house, &job).stop();
    house.begin_load();
    let mut dice = Dice(0xbad);
    let mut caught = 0;
    for _ in 0..8 {
        let mut daemon = Daemon::start_ready(&house, &job);
        daemon.wait_step(Step::Commit);
        std::thread::sleep(Duration::from_micros(dice.below(3000).into()));
        daemon.kill();
        caught += u32::from(Pinned::open(&house).is_quiet_marked());
    }
    assert!(caught > 0, "no kill came between commit and the end of zeroing");
    settle(&mut house, &job);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn a_flip_was_announced_and_never_came() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    Daemon::start_ready(&house, &job).stop();
    house.begin_load();
    for _ in 0..3 {
        Daemon::start(&house, &job.dying_at(Step::Zero, 2)).wait_killed_at(Step::Zero);
        Pinned::open(&house).flip_half();
    }
    let said = house.end_load();
    Daemon::start_ready(&house, &job).stop();
    books::check(&house, &said);
    assert_eq!(Books::open(&house.database()).table_ids().len(), 1);
}
