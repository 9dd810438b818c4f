//! Updates by itself, only where `[update] every` is set: a thread that waits, and starts `telltale update` as a
//! program of its own, so that nothing in an update, not even a crash, reaches the counting.

use super::record::Records;
use super::slot::directory_of;
use crate::clock;
use crate::config::Config;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Not at once: a router that starts has other things to do, and often no way to the Internet yet.
const FIRST_WAIT: Duration = Duration::from_secs(10 * 60);
/// After a failure it is tried again sooner.
const WAIT_AFTER_FAILURE: Duration = Duration::from_secs(6 * 60 * 60);
/// Machines that were switched on together do not ask together: up to this share of a wait is added.
const SPREAD: u32 = 10;

/// Starts the thread, if the configuration wants it. It ends with the process.
///
/// # Errors
/// When the system gives no thread.
pub fn start(config: &Config, file: Option<&Path>) -> std::io::Result<()> {
    let Some(every) = config.update.every else { return Ok(()) };
    let command =
        Order { every, database: std::path::absolute(&config.database)?, file: file.map(Path::to_owned) };
    std::thread::Builder::new().name("update".to_owned()).spawn(move || command.follow())?;
    Ok(())
}

/// What to do, and how often.
struct Order {
    every: Duration,
    database: PathBuf,
    file: Option<PathBuf>,
}

impl Order {
    fn follow(&self) {
        let mut wait = spread(FIRST_WAIT);
        loop {
            std::thread::sleep(wait);
            let left = self.left();
            if !left.is_zero() {
                wait = spread(left);
                continue;
            }
            wait = match self.update() {
                Ok(()) => spread(self.every),
                Err(words) => {
                    tracing::warn!(
                        "no fresh tables: {words}; those in force stay, and it is tried again later"
                    );
                    spread(WAIT_AFTER_FAILURE)
                }
            };
        }
    }

    /// How long until it is time.
    fn left(&self) -> Duration {
        let updated_at = Records::read(&directory_of(&self.database)).updated_at;
        let now = clock::now().map_or(0, |now| now.wall.0 / 1_000_000_000);
        left(updated_at, now, self.every)
    }

    /// One update, in a process of its own.
    fn update(&self) -> Result<(), String> {
        // The very program that runs, even if an upgrade has put another in its place.
        let mut command = Command::new("/proc/self/exe");
        command.arg("update").arg("--database").arg(&self.database).stdin(Stdio::null());
        if let Some(file) = &self.file {
            command.arg("--config").arg(file);
        }
        let output = command.output().map_err(|error| format!("start the update: {error}"))?;
        let said =
            String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
        if !output.status.success() {
            return Err(said.trim().replace('\n', "; "));
        }
        for line in said.lines() {
            tracing::info!("update: {line}");
        }
        Ok(())
    }
}

/// A time in the future was noted by a clock that was wrong: it is then time.
fn left(updated_at: Option<i64>, now: i64, every: Duration) -> Duration {
    let Some(since) = updated_at.and_then(|at| u64::try_from(now.saturating_sub(at)).ok()) else {
        return Duration::ZERO;
    };
    every.saturating_sub(Duration::from_secs(since))
}

/// A little longer than said, by chance.
fn spread(wait: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let chance = u32::try_from(RandomState::new().hash_one(()) % 1000).unwrap_or_default();
    wait.saturating_add(wait / SPREAD * chance / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_when_it_is() {
        let every = Duration::from_secs(100);
        assert_eq!(left(None, 1000, every), Duration::ZERO);
        assert_eq!(left(Some(1000), 1000, every), every);
        assert_eq!(left(Some(940), 1000, every), Duration::from_secs(40));
        assert_eq!(left(Some(900), 1000, every), Duration::ZERO);
        assert_eq!(left(Some(2000), 1000, every), Duration::ZERO);
    }

    #[test]
    fn a_wait_is_spread_by_a_tenth_at_most() {
        let wait = Duration::from_secs(1000);
        for _ in 0..100 {
            let spread = spread(wait);
            assert!(wait <= spread && spread <= wait + wait / SPREAD, "{spread:?}");
        }
    }
}
