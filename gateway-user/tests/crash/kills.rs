//! SIGKILL, at each step of a drain and at any moment.

use super::alone;
use super::books::{self, Books};
use super::daemon::{Daemon, Job};
use super::household::House;
use super::load::Dice;
use gateway_user::daemon::Step;
use std::time::Duration;

/// How often each thing is done to the daemon.
const TIMES: u32 = 20;

/// Ends the load, lets a daemon run that nobody kills, and holds the books against the truth.
#[track_caller]
pub fn settle(house: &mut House, job: &Job) {
    let said = house.end_load();
    Daemon::start_ready(house, job).stop();
    books::check(house, &said);
}

/// Twenty daemons, one after the other, each killed at the same step: at its first, second or third time.
#[track_caller]
fn is_killed_at(step: Step) {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    Daemon::start_ready(&house, &job).stop();
    house.begin_load();
    for life in 0..TIMES {
        let dying = job.dying_at(step, 1 + life % 3);
        Daemon::start(&house, &dying).wait_killed_at(step);
    }
    settle(&mut house, &job);
    assert!(Books::open(&house.database()).interval_count() > TIMES as usize);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn killed_after_the_flip() {
    is_killed_at(Step::Flip);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn killed_after_the_grace_period() {
    is_killed_at(Step::Grace);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn killed_after_reading() {
    is_killed_at(Step::Read);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn killed_after_the_commit() {
    is_killed_at(Step::Commit);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn killed_after_zeroing() {
    is_killed_at(Step::Zero);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn killed_again_while_recovering() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    Daemon::start_ready(&house, &job).stop();
    house.begin_load();
    // Behind each step, what the recovery does for the first time; and the same again.
    let again: [(Step, &[Step]); 5] = [
        (Step::Flip, &[Step::Flip, Step::Read, Step::Commit, Step::Zero]),
        (Step::Grace, &[Step::Grace, Step::Read, Step::Commit, Step::Zero]),
        (Step::Read, &[Step::Read, Step::Commit, Step::Zero]),
        (Step::Commit, &[Step::Commit, Step::Zero]),
        (Step::Zero, &[Step::Zero]),
    ];
    for (first, seconds) in again {
        for &second in seconds {
            Daemon::start(&house, &job.dying_at(first, 2)).wait_killed_at(first);
            Daemon::start(&house, &job.dying_at(second, 1)).wait_killed_at(second);
        }
    }
    settle(&mut house, &job);
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn killed_at_any_moment() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    Daemon::start_ready(&house, &job).stop();
    house.begin_load();
    let mut dice = Dice(0x00c0_ffee);
    for life in 0..TIMES {
        // Every other one is killed while it starts.
        let mut daemon = Daemon::start(&house, &job);
        if life % 2 == 0 {
            daemon.wait_ready();
        }
        // No event to wait for: any moment is what is wanted.
        std::thread::sleep(Duration::from_micros(dice.below(150_000).into()));
        daemon.kill();
    }
    settle(&mut house, &job);
}
