//! Nothing is lost and nothing is counted twice, whatever happens to the daemon: killed at every step of a
//! drain, killed at any moment, stopped and upgraded under load, refused by its database, unhooked.
//!
//! Each test has a household of its own in network namespaces, and proves its point by exact counts. They run one
//! after the other, because each is to have the machine's two or four CPUs for its traffic.
#![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

mod books;
mod daemon;
mod halves;
mod household;
mod kills;
mod load;
mod meddling;
mod memory;
mod refusals;
mod tables;
mod takeover;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One at a time; a test that failed keeps no other from running.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// No test but an entry: the others start this binary again with this name and a job in its environment.
#[test]
#[ignore = "needs root: cargo xtask test runs it"]
fn the_daemon_that_the_others_kill() {
    daemon::serve_if_told();
}
