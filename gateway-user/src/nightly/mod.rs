//! Every night by itself: writes the summary of each day that is over, and hands it on to be delivered.
//!
//! A thread of its own with a reader of its own: whatever happens here, counting goes on.

mod due;
mod files;
pub mod report;

pub use files::Summaries;

use crate::clock;
use crate::config::{Config, SummaryConfig};
use crate::deliver::Message;
use crate::deliver::worker::Workers;
use due::due;
use jiff::ZonedDateTime;
use jiff::civil::Date;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often it is looked whether a day is due: a clock that is set right, or a zone that changes, is noticed so soon.
const LOOK_EVERY: Duration = Duration::from_secs(5 * 60);
/// Not at once: the first look lets the daemon take over what was counted while it was away.
const FIRST_LOOK: Duration = Duration::from_secs(60);
/// How long the end waits for a summary that is being made.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes the summary of a local day; `None` where nothing was measured.
pub type Make = Box<dyn Fn(Date) -> anyhow::Result<Option<Message>> + Send>;

/// The thread that writes. It ends when this is dropped.
#[derive(Debug)]
pub struct Nights {
    /// Never used: its end is the thread's.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Nights {
    /// Starts it; what it writes is handed to `workers`. `file` is where it was read from, if not the default.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(config: &Config, file: Option<&Path>, workers: Arc<Workers>) -> std::io::Result<Self> {
        let database = std::path::absolute(&config.database)?;
        let make = report::maker(report::THIS_PROGRAM.into(), file.map(Path::to_owned), database.clone());
        let files = Summaries::beside(&database);
        let said = files.failure();
        let night = Night { summary: config.summary.clone(), files, make, workers, said };
        let (stop, stopped) = channel();
        let builder = std::thread::Builder::new().name("nightly".to_owned());
        let thread = builder.spawn(move || night.follow(&stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Nights {
    fn drop(&mut self) {
        drop(self.stop.take());
        let until = Instant::now() + PATIENCE + PATIENCE;
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

struct Night {
    summary: SummaryConfig,
    files: Summaries,
    make: Make,
    workers: Arc<Workers>,
    /// The failure that was said last, even by an earlier run.
    said: Option<String>,
}

impl Night {
    fn follow(mut self, stopped: &Receiver<()>) {
        let mut wait = FIRST_LOOK;
        while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            wait = LOOK_EVERY;
            let is_set = clock::now().is_ok_and(|now| clock::is_set(now.wall));
            if is_set {
                self.look(&ZonedDateTime::now());
            }
        }
    }

    /// Writes what is due. A failure is said once, and tried again at the next look.
    fn look(&mut self, now: &ZonedDateTime) {
        let Some(at) = self.summary.at else { return };
        let words = match self.files.done() {
            // A day that fails keeps none of the others.
            Ok(done) => {
                due(now, at, &done).into_iter().fold(None, |said, day| self.write(day).err().or(said))
            }
            Err(error) => Some(error),
        };
        let words = words.map(|error| format!("write the summary: {error:#}"));
        if words == self.said {
            return;
        }
        if let Some(words) = &words {
            tracing::error!("{words}; it is tried again every few minutes, and counting goes on");
        }
        if let Err(error) = self.files.note(words.as_deref()) {
            tracing::debug!("note a failure: {error:#}");
        }
        self.said = words;
    }

    fn write(&self, day: Date) -> anyhow::Result<()> {
        let Some(message) = (self.make)(day)? else { return Ok(()) };
        self.files.write(day, &message)?;
        // Before the day is done: a power cut in between delivers it twice rather than never. What still waits under
        // the same id is replaced.
        self.workers.push(&message)?;
        self.files.finish(day, &message, self.summary.keep as usize)?;
        tracing::info!("the summary of {day} is written");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;
    use crate::deliver::Priority;
    use crate::deliver::queue::Outbox;
    use jiff::tz::TimeZone;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn message(day: Date) -> Message {
        Message {
            id: format!("summary-{day}"),
            subject: "s".into(),
            text: format!("of {day}\n"),
            html: Some("<p>".into()),
            json: "{}".into(),
            priority: Priority::Low,
            figures: None,
        }
    }

    fn night(dir: &Path, make: Make, keep: u32) -> Night {
        let database = dir.join("t.db");
        let config = Config { database: database.clone(), ..Config::default() };
        Night {
            summary: SummaryConfig { keep, ..SummaryConfig::default() },
            files: Summaries::beside(&database),
            make,
            workers: Arc::new(Workers::start(&config).unwrap()),
            said: None,
        }
    }

    fn at(time: &str) -> ZonedDateTime {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        time.parse::<jiff::civil::DateTime>().unwrap().to_zoned_datetime(zone).unwrap()
    }

    #[test]
    fn only_the_latest_days_are_kept_and_none_is_written_twice() {
        let dir = tempfile::tempdir().unwrap();
        let mut night = night(dir.path(), Box::new(|day| Ok(Some(message(day)))), 8);
        for time in ["2026-11-10T07:00", "2026-11-10T08:00", "2026-11-15T07:00"] {
            night.look(&at(time));
        }
        let done: Vec<_> = night.files.done().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!((done.len(), done[0].as_str(), done[7].as_str()), (8, "2026-11-07", "2026-11-14"));
        let files = std::fs::read_dir(dir.path().join("summaries")).unwrap().count();
        assert_eq!(files, 24, "three for each day, nothing else");
        let text = std::fs::read_to_string(dir.path().join("summaries/2026-11-14.txt")).unwrap();
        assert_eq!(text, "of 2026-11-14\n");
        assert!(
            Outbox::beside(&dir.path().join("t.db")).waiting(crate::deliver::Way::Email).unwrap().is_empty()
        );
    }

    #[test]
    fn a_failure_is_kept_for_doctor_until_it_heals_and_keeps_no_other_day() {
        let dir = tempfile::tempdir().unwrap();
        let is_broken = Arc::new(AtomicBool::new(true));
        let broken = Arc::clone(&is_broken);
        let bad: Date = "2026-11-05".parse().unwrap();
        let make = move |day| {
            anyhow::ensure!(day != bad || !broken.load(Ordering::Relaxed), "no room");
            Ok(Some(message(day)))
        };
        let mut night = night(dir.path(), Box::new(make), 62);
        night.look(&at("2026-11-10T07:00"));
        assert_eq!(night.files.failure().as_deref(), Some("write the summary: no room"));
        assert_eq!(night.files.done().unwrap().len(), 6);
        is_broken.store(false, Ordering::Relaxed);
        night.look(&at("2026-11-10T07:05"));
        assert_eq!(night.files.failure(), None);
        assert_eq!(night.files.done().unwrap().len(), 7);
    }
}
