//! Somebody else takes the daemon's things away: its hooks, or its database.

use super::alone;
use super::books::{self, Books};
use super::daemon::{Daemon, Job};
use super::household::{DEVICES, House};
use gateway_user::daemon::Step;
use std::fs;
use std::process::Command;

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn another_program_removes_the_qdisc() {
    let _one = alone();
    let mut house = House::new();
    let job = Job { is_tcx_off: true, ..Job::new(&house) };
    let mut daemon = Daemon::start_ready(&house, &job);
    daemon.wait_step(Step::Zero);
    let removed = Command::new("ip")
        .args(["netns", "exec", &house.namespace("gw"), "tc", "qdisc", "del", "dev", "lan0", "clsact"])
        .status();
    assert!(removed.unwrap().success());
    daemon.wait_for("the hook to come back", |line| line.contains("the hook on lan0 was gone; it is back"));
    // Only the port that was meddled with, and everything is counted from then on.
    house.begin_load();
    daemon.wait_step(Step::Zero);
    daemon.wait_step(Step::Zero);
    let said = house.end_load();
    daemon.stop();
    books::check(&house, &said);
    let (unhooked, _) = Books::open(&job.database).counted("unhooked_ports");
    assert_eq!(unhooked, 1, "the interval says that a port was not counted on throughout");
}

#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_database_is_removed_under_the_daemon() {
    let _one = alone();
    let mut house = House::new();
    let job = Job::new(&house);
    let mut daemon = Daemon::start_ready(&house, &job);
    daemon.wait_step(Step::Zero);
    for suffix in ["", "-wal", "-shm"] {
        let mut name = job.database.clone().into_os_string();
        name.push(suffix);
        let _ = fs::remove_file(name);
    }
    daemon.wait_for("a new database", |line| line.contains("was removed or replaced"));
    house.begin_load();
    daemon.wait_step(Step::Zero);
    let said = house.end_load();
    daemon.stop();
    let books = Books::open(&job.database);
    books.check_balance();
    assert_eq!(books.counted("database_replaced"), (1, 0));
    for (number, mac) in DEVICES.into_iter().enumerate() {
        assert_eq!(books.volume_of(mac), said[number]);
    }
}
