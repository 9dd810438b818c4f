//! A thread for each way that is configured: takes the oldest message that waits, delivers it, or waits longer and
//! longer. None of them ever holds up another, nor the counting.

use super::queue::{Outbox, Waiting};
use super::{Failure, Message, Way, send};
use crate::clock;
use crate::config::Config;
use gateway_core::units::WallTime;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// After the first failure that may pass.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause, and the one after a refusal: a wrong password tried more often may lock an account.
const MAX_PAUSE: Duration = Duration::from_secs(3600);
/// Gateways that lost the same server do not come back together: up to this share of a pause is added.
const SPREAD: u32 = 4;
/// How long the end waits for an attempt under way. What it does not finish is tried again after the next start.
const PATIENCE: Duration = Duration::from_secs(2);

/// The threads. They end when this is dropped.
#[derive(Debug)]
pub struct Workers {
    outbox: Arc<Outbox>,
    ways: Vec<(Way, SyncSender<()>, JoinHandle<()>)>,
}

impl Workers {
    /// Starts one for each way that is configured; what waited from before is tried at once.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(config: &Config) -> std::io::Result<Self> {
        let database = std::path::absolute(&config.database).unwrap_or_else(|_| config.database.clone());
        Self::start_with(config, &database, FIRST_PAUSE)
    }

    fn start_with(config: &Config, database: &Path, first_pause: Duration) -> std::io::Result<Self> {
        let outbox = Arc::new(Outbox::beside(database));
        let mut ways = Vec::new();
        for way in Way::wanted(&config.deliver) {
            // One word waiting is as good as many.
            let (wake, woken) = sync_channel(1);
            let worker =
                Worker { way, config: config.deliver.clone(), outbox: Arc::clone(&outbox), first_pause };
            let thread = std::thread::Builder::new().name(format!("deliver {}", way.word()));
            ways.push((way, wake, thread.spawn(move || worker.follow(&woken))?));
        }
        Ok(Self { outbox, ways })
    }

    /// Queues a message on every way.
    ///
    /// # Errors
    /// When a queue cannot be written; the other ways have it all the same.
    pub fn push(&self, message: &Message) -> anyhow::Result<()> {
        self.push_on(message, &[])
    }

    /// Queues a message on some ways; on every way if none is named.
    ///
    /// # Errors
    /// When a queue cannot be written; the other ways have it all the same.
    pub fn push_on(&self, message: &Message, ways: &[Way]) -> anyhow::Result<()> {
        let now = now();
        let mut result = Ok(());
        for (way, wake, _) in self.ways.iter().filter(|(way, ..)| ways.is_empty() || ways.contains(way)) {
            match self.outbox.push(*way, message, now) {
                Ok(()) => drop(wake.try_send(())),
                Err(error) => result = Err(error),
            }
        }
        result
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let threads: Vec<_> = self.ways.drain(..).map(|(_, _, thread)| thread).collect();
        let until = Instant::now() + PATIENCE;
        while threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    clock::now().map_or(0, |now| now.wall.0 / 1_000_000_000)
}

struct Worker {
    way: Way,
    config: crate::config::DeliverConfig,
    outbox: Arc<Outbox>,
    first_pause: Duration,
}

/// What to do next.
enum Next {
    /// Look for another message at once.
    Another,
    /// There is none.
    Idle,
    /// Leave the server alone for a while.
    Pause(Option<Duration>),
    /// Leave it alone for long.
    LongPause,
}

impl Worker {
    fn follow(&self, woken: &Receiver<()>) {
        let mut failures = 0;
        loop {
            let next = self.turn().unwrap_or_else(|error| {
                tracing::warn!("{}: {error:#}", self.way.word());
                Next::Pause(None)
            });
            let pause = match next {
                Next::Another => Duration::ZERO,
                Next::Idle => match woken.recv() {
                    Ok(()) => Duration::ZERO,
                    Err(_) => return,
                },
                Next::Pause(asked) => {
                    failures += 1;
                    pause(failures, self.first_pause).max(asked.unwrap_or_default())
                }
                Next::LongPause => MAX_PAUSE,
            };
            if pause.is_zero() {
                failures = 0;
            } else if !rest(spread(pause), woken) {
                return;
            }
        }
    }

    /// One attempt at the oldest message.
    fn turn(&self) -> anyhow::Result<Next> {
        let Self { way, config, outbox, .. } = self;
        let Some(waiting) = outbox.waiting(*way)?.into_iter().next() else { return Ok(Next::Idle) };
        if is_too_old(&waiting, now(), config.give_up_hours) {
            tracing::warn!("{}: a message waited too long and is given up: dropped_old", way.word());
            outbox.settle(*way, &waiting, |books| books.dropped_old += 1)?;
            return Ok(Next::Another);
        }
        let Some(message) = outbox.message(*way, &waiting)? else { return Ok(Next::Another) };
        match send(*way, config, &message) {
            Ok(()) => {
                tracing::info!("{}: delivered {}", way.word(), waiting.id);
                outbox.settle(*way, &waiting, |books| {
                    books.delivered += 1;
                    books.delivered_at = Some(now());
                    books.failure = None;
                })?;
                Ok(Next::Another)
            }
            Err(Failure::Unwanted(words)) => {
                tracing::warn!("{}: {words}; the message is dropped: dropped_unwanted", way.word());
                outbox.settle(*way, &waiting, |books| {
                    books.dropped_unwanted += 1;
                    books.failure = Some(words);
                })?;
                Ok(Next::Another)
            }
            Err(failure) => {
                let words = failure.to_string();
                // Once: a server that is gone for days must not fill the log.
                if outbox.books(*way).failure.as_ref() != Some(&words) {
                    tracing::warn!("{}: {words}; it is tried again", way.word());
                }
                outbox.change(*way, |books| books.failure = Some(words))?;
                Ok(match failure {
                    Failure::Passing { wait, .. } => Next::Pause(wait),
                    _ => Next::LongPause,
                })
            }
        }
    }
}

/// Waits; a new message does not shorten it. False when it is time to end.
fn rest(pause: Duration, woken: &Receiver<()>) -> bool {
    let until = Instant::now() + pause;
    loop {
        match woken.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// The pause after so many failures one after the other: twice as long each time.
fn pause(failures: u32, first: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(MAX_PAUSE)
}

fn spread(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0);
    pause + (pause / SPREAD).mul_f64((random % 1024) as f64 / 1024.0)
}

/// A clock that was never set tells no age.
fn is_too_old(waiting: &Waiting, now: i64, give_up_hours: u64) -> bool {
    let is_set = |secs: i64| clock::is_set(WallTime(secs.saturating_mul(1_000_000_000)));
    let age = now.saturating_sub(waiting.since);
    is_set(now) && is_set(waiting.since) && age > i64::try_from(give_up_hours * 3600).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        let minutes: Vec<_> = (1..9).map(|n| pause(n, FIRST_PAUSE).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(u32::MAX, FIRST_PAUSE), MAX_PAUSE);
        let spread = spread(MAX_PAUSE);
        assert!(spread >= MAX_PAUSE && spread <= MAX_PAUSE * 5 / 4);
    }

    #[test]
    fn only_a_clock_that_was_set_makes_old() {
        let waiting = |since| Waiting { since, id: "a".into(), len: 1 };
        let now = 1_795_000_000;
        assert!(!is_too_old(&waiting(now - 72 * 3600), now, 72));
        assert!(is_too_old(&waiting(now - 72 * 3600 - 1), now, 72));
        assert!(!is_too_old(&waiting(now + 3600), now, 72), "the clock went back");
        assert!(!is_too_old(&waiting(100), now, 72), "queued before the clock was set");
    }

    /// A webhook that is not there, then is; and a broker that takes the connection and never says a word.
    #[cfg(feature = "deliver")]
    #[test]
    fn a_server_that_comes_back_gets_it_once_while_another_hangs() {
        use crate::config::deliver::{MqttConfig, UrlPlace, WebhookConfig};
        use std::io::{BufRead, BufReader, Read, Write};
        use std::net::TcpListener;
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("t.db");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config::default();
        let url = UrlPlace::Plain(format!("http://127.0.0.1:{port}/"));
        config.deliver.webhook = Some(WebhookConfig { url, key: None });
        config.deliver.mqtt = Some(MqttConfig {
            host: "127.0.0.1".into(),
            port: silent.local_addr().unwrap().port(),
            is_tls: false,
            prefix: "telltale".into(),
            discovery: None,
            login: None,
        });
        let message = Message {
            id: "summary-1".into(),
            subject: "s".into(),
            text: "t".into(),
            html: None,
            json: "{}".into(),
            priority: super::super::Priority::Low,
            figures: None,
        };
        let workers = Workers::start_with(&config, &database, Duration::from_millis(50)).unwrap();
        workers.push(&message).unwrap();
        let outbox = Outbox::beside(&database);
        let until = |is_so: &dyn Fn() -> bool| {
            let end = Instant::now() + Duration::from_secs(20);
            while !is_so() {
                assert!(Instant::now() < end, "not in time");
                std::thread::yield_now();
            }
        };
        until(&|| outbox.books(Way::Webhook).failure.is_some());
        assert_eq!(outbox.waiting(Way::Webhook).unwrap().len(), 1);
        let server = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let mut reader = BufReader::new(server.accept().unwrap().0);
        let (mut line, mut len) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            len = line
                .to_lowercase()
                .strip_prefix("content-length: ")
                .map_or(len, |l| l.trim().parse().unwrap());
        }
        reader.read_exact(&mut vec![0; len]).unwrap();
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        until(&|| {
            outbox.books(Way::Webhook).delivered == 1 && outbox.waiting(Way::Webhook).unwrap().is_empty()
        });
        assert_eq!(outbox.books(Way::Webhook).failure, None);
        assert_eq!(outbox.waiting(Way::Mqtt).unwrap().len(), 1, "still waits, and held up nobody");
        server.set_nonblocking(true).unwrap();
        let began = Instant::now();
        drop(workers);
        assert!(began.elapsed() < Duration::from_secs(10), "the end does not wait for the one that hangs");
        assert!(server.accept().is_err(), "once");
        assert_eq!(Outbox::beside(&database).waiting(Way::Mqtt).unwrap().len(), 1, "for the next start");
    }
}
