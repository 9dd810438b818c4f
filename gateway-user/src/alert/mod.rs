//! Alerts: told at once, once. Every few minutes a process of its own looks at the database and says what is to be told
//! ([`check`]); the daemon queues it for delivery and notes that it did. Nothing of this is in the road of a packet, and
//! a crash of the check is a line in the log.

pub mod check;
pub mod state;

use crate::clock;
use crate::config::alert::{Per, Watch};
use crate::config::{AlertConfig, Config};
use crate::deliver::worker::Workers;
use crate::deliver::{Message, Way};
use crate::nightly::report::THIS_PROGRAM;
use anyhow::{Context, bail};
use gateway_core::report::amount::human_bytes;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use state::State;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often alerts are checked at most.
pub const CHECK_EVERY: Duration = Duration::from_secs(5 * 60);
/// A check that takes long is made less often: it may have this share of the time, 1 in so many.
const SHARE: u32 = 20;
/// Not at once: the daemon first takes over what was counted while it was away.
const FIRST_CHECK: Duration = Duration::from_secs(90);
/// How long the end waits for a check under way; one that is cut short is made again after the next start.
const PATIENCE: Duration = Duration::from_secs(2);

/// An alert as a line: also what it is known by.
#[must_use]
pub fn words(alert: &AlertConfig) -> String {
    let AlertConfig { watch, device, ways } = alert;
    let of = device.as_ref().map_or_else(|| "any device".to_owned(), ToString::to_string);
    let what = match watch {
        Watch::NewDestination { min_up_bytes: 0 } => format!("a new destination of {of}"),
        Watch::NewDestination { min_up_bytes } => {
            format!("a new destination of {of} with at least {} up", human_bytes(*min_up_bytes))
        }
        Watch::Quota { per, of: amount, bytes } => format!(
            "more than {} {} in a {} by {of}",
            human_bytes(*bytes),
            check::amount_word(*amount),
            match per {
                Per::Day => "day",
                Per::Month => "month",
            }
        ),
        Watch::Coverage { floor_percent } => format!("less than {floor_percent} % of a day measured"),
    };
    match ways.as_slice() {
        [] => what,
        ways => format!("{what}, by {}", ways.iter().map(|way| way.word()).collect::<Vec<_>>().join(", ")),
    }
}

/// A message and the ways it goes out on; none are all.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Raised {
    /// The ways.
    pub ways: Vec<Way>,
    /// The message.
    pub message: Message,
}

/// What a check came to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Checked {
    /// To be told.
    pub raised: Vec<Raised>,
    /// To be kept once that is queued.
    pub state: State,
}

/// How checks are made.
#[derive(Clone, Debug)]
pub struct Checker {
    /// A telltale.
    pub program: PathBuf,
    /// Its configuration, if not the default one.
    pub file: Option<PathBuf>,
    /// The database.
    pub database: PathBuf,
    /// The local time to check as of; `None` is now.
    pub at: Option<DateTime>,
}

impl Checker {
    /// Checks once: queues what is to be told, then notes that it is. In that order: a power cut in between tells it
    /// twice rather than never, and while it still waits the second takes the place of the first.
    ///
    /// # Errors
    /// When the check fails or crashes, or the disk refuses; what is not noted is told by the next check.
    pub fn turn(&self, workers: &Workers) -> anyhow::Result<()> {
        let began = Instant::now();
        let Checked { raised, mut state } = self.check()?;
        for Raised { ways, message } in &raised {
            workers.push_on(message, ways)?;
            tracing::info!("an alert is raised: {}", message.id);
        }
        state.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        state.failure = None;
        state.write(&self.database)
    }

    fn check(&self) -> anyhow::Result<Checked> {
        let mut command = Command::new(&self.program);
        command.args(["alerts", "check", "--database"]).arg(&self.database).stdin(Stdio::null());
        if let Some(file) = &self.file {
            command.arg("--config").arg(file);
        }
        if let Some(at) = &self.at {
            command.arg("--at").arg(at.to_string());
        }
        let output = command.output().context("start the program that checks alerts")?;
        match output.status.code() {
            Some(0) => serde_json::from_slice(&output.stdout).context("read what the check of alerts says"),
            Some(_) => {
                let said = String::from_utf8_lossy(&output.stderr);
                bail!("{}", said.trim().trim_start_matches("telltale: ").replace('\n', "; "))
            }
            None => bail!("the program that checks alerts crashed ({})", output.status),
        }
    }
}

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Alerts {
    /// Never used: its end is the thread's.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Alerts {
    /// Starts it, if there are alerts. `file` is where the configuration was read from, if not the default.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(config: &Config, file: Option<&Path>, workers: Arc<Workers>) -> std::io::Result<Self> {
        if config.alerts.is_empty() {
            return Ok(Self { stop: None, thread: None });
        }
        let checker = Checker {
            program: THIS_PROGRAM.into(),
            file: file.map(Path::to_owned),
            database: std::path::absolute(&config.database)?,
            at: None,
        };
        let (stop, stopped) = channel();
        let builder = std::thread::Builder::new().name("alerts".to_owned());
        let thread = builder.spawn(move || follow(&checker, &workers, &stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        drop(self.stop.take());
        let until = Instant::now() + PATIENCE;
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn follow(checker: &Checker, workers: &Workers, stopped: &Receiver<()>) {
    let mut wait = FIRST_CHECK;
    let mut said = None;
    while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let began = Instant::now();
        if clock::now().is_ok_and(|now| clock::is_set(now.wall)) {
            said = look(checker, workers, said);
        }
        wait = pause(began.elapsed());
    }
}

/// Checks; a failure is said once, and kept for `telltale alerts`.
fn look(checker: &Checker, workers: &Workers, said: Option<String>) -> Option<String> {
    let words = checker.turn(workers).err().map(|error| format!("check the alerts: {error:#}"));
    if let Some(words) = words.as_ref().filter(|words| said.as_ref() != Some(*words)) {
        tracing::error!("{words}; it is tried again every few minutes, and counting goes on");
        let noted = State::read(&checker.database).and_then(|mut state| {
            state.failure = Some(words.clone());
            state.write(&checker.database)
        });
        if let Err(error) = noted {
            tracing::debug!("note a failure: {error:#}");
        }
    }
    words
}

/// The pause after a check that took so long.
#[must_use]
pub fn pause(took: Duration) -> Duration {
    CHECK_EVERY.max(took.saturating_mul(SHARE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_check_is_made_less_often() {
        assert_eq!(pause(Duration::from_secs(1)), CHECK_EVERY);
        assert_eq!(pause(Duration::from_secs(60)), Duration::from_secs(1200));
    }
}
