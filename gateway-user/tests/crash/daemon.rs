//! The daemon under test: this test binary once more, in the gateway's namespace, told what to do by its
//! environment. What it does is what `telltale run` does, plus dying when told.

use super::household::{AT_MOST, House, inside};
use gateway_user::config::{Config, Level};
use gateway_user::daemon::{self, RunOptions, Step};
use gateway_user::links::Selection;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Every step, in order.
pub const STEPS: [Step; 5] = [Step::Flip, Step::Grace, Step::Read, Step::Commit, Step::Zero];

/// The environment variable that makes this binary a daemon.
const JOB: &str = "TELLTALE_CRASH_JOB";
/// Marks the daemon's own lines on standard output; the test harness writes there too.
const MARK: &str = "@";
const READY: &str = "@ready";

/// What a daemon is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub database: PathBuf,
    pub pin_dir: PathBuf,
    pub drain_every: Duration,
    /// Few, so that the exact table behind it has its part too.
    pub fast_slots: u32,
    pub is_tcx_off: bool,
    pub detaches_at_exit: bool,
    /// Die when this step (by its place in [`STEPS`]) is done for the n-th time.
    pub dies_at: Option<(usize, u32)>,
}

impl Job {
    /// The usual one.
    pub fn new(house: &House) -> Self {
        Self {
            database: house.database(),
            pin_dir: house.pin_dir.clone(),
            drain_every: Duration::from_millis(20),
            fast_slots: 16,
            is_tcx_off: false,
            detaches_at_exit: false,
            dies_at: None,
        }
    }

    /// The same, dying at a step when it is done for the n-th time.
    pub fn dying_at(&self, step: Step, nth: u32) -> Self {
        let place = STEPS.iter().position(|s| *s == step).expect("every step is in the list");
        Self { dies_at: Some((place, nth)), ..self.clone() }
    }

    fn config(&self) -> Config {
        Config {
            interfaces: Selection::Names(vec!["br-lan".to_owned()]),
            database: self.database.clone(),
            pin_dir: self.pin_dir.clone(),
            log: Level::Debug,
            fast_slots_per_cpu: Some(self.fast_slots),
            ..Config::default()
        }
    }
}

/// What the binary does where its environment holds a job; it does not come back then.
pub fn serve_if_told() {
    let Ok(job) = std::env::var(JOB) else { return };
    let job: Job = serde_json::from_str(&job).expect("a job");
    // Whoever started this daemon holds the other end: when the test dies, its daemon dies.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        die()
    });
    gateway_user::telemetry::start(Level::Debug);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let options = RunOptions {
        detaches_at_exit: job.detaches_at_exit,
        is_tcx_off: job.is_tcx_off,
        watch: Some(watch(job.dies_at)),
        drain_every: Some(job.drain_every),
    };
    let ended = runtime.block_on(async {
        let daemon = daemon::Daemon::start(job.config(), options).await?;
        say(READY);
        daemon.run().await
    });
    // As the command line does it.
    std::process::exit(match ended {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("telltale: {error:#}");
            2
        }
    })
}

fn watch(dies_at: Option<(usize, u32)>) -> daemon::Watch {
    let mut seen = 0;
    Box::new(move |step| {
        say(&format!("{MARK}{step:?}"));
        if let Some((place, nth)) = dies_at
            && STEPS[place] == step
        {
            seen += 1;
            if seen == nth {
                die();
            }
        }
    })
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("somebody listens");
}

fn die() -> ! {
    kill(Pid::this(), Signal::SIGKILL).expect("to die");
    unreachable!("the signal is there before the call returns")
}

/// A running daemon. Dropping it kills it.
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

/// A daemon that has ended.
pub struct Ended {
    pub status: ExitStatus,
    /// Its log and its steps, in the order they arrived.
    pub said: Vec<String>,
}

impl Daemon {
    /// Starts one on the household's gateway.
    pub fn start(house: &House, job: &Job) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "the_daemon_that_the_others_kill", "--include-ignored", "--nocapture"]);
        command.env(JOB, serde_json::to_string(job).unwrap());
        Self::spawn(house, &mut command)
    }

    /// Starts one and waits until it counts.
    pub fn start_ready(house: &House, job: &Job) -> Self {
        let mut daemon = Self::start(house, job);
        daemon.wait_ready();
        daemon
    }

    /// Starts any program on the household's gateway.
    pub fn spawn(house: &House, command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("NO_COLOR", "1");
        let mut child = inside(&house.namespace("gw"), || command.spawn().unwrap());
        let (sender, lines) = channel();
        listen(child.stdout.take().unwrap(), sender.clone(), |line| line.starts_with(MARK));
        listen(child.stderr.take().unwrap(), sender, |_| true);
        Self { child, lines, said: Vec::new() }
    }

    /// Waits for a line that fits; panics with all that was said if the daemon ends first.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + AT_MOST;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()));
            let Ok(line) = line else {
                panic!("waited in vain for {what} ({line:?}); the daemon said:\n{}", self.said.join("\n"))
            };
            self.said.push(line.clone());
            if is_it(&line) {
                return line;
            }
        }
    }

    /// Waits until it counts.
    #[track_caller]
    pub fn wait_ready(&mut self) {
        self.wait_for("the daemon to count", |line| line == READY);
    }

    /// Waits until a step is done once more.
    #[track_caller]
    pub fn wait_step(&mut self, step: Step) {
        let line = format!("{MARK}{step:?}");
        self.wait_for(&line, |l| l == line);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait_end(mut self) -> Ended {
        let until = Instant::now() + AT_MOST;
        // Both pipes are closed when it has ended.
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.said.push(line);
        }
        assert!(Instant::now() < until, "the daemon does not end; it said:\n{}", self.said.join("\n"));
        Ended { status: self.child.wait().unwrap(), said: std::mem::take(&mut self.said) }
    }

    /// Waits until it has killed itself at a step.
    #[track_caller]
    pub fn wait_killed_at(self, step: Step) {
        let ended = self.wait_end();
        let is_killed = ended.status.signal() == Some(Signal::SIGKILL as i32);
        let last = ended.said.iter().rfind(|line| line.starts_with(MARK));
        assert!(
            is_killed && last == Some(&format!("{MARK}{step:?}")),
            "not killed at {step:?} but {}:\n{}",
            ended.status,
            ended.said.join("\n")
        );
    }

    /// Kills it from outside, if it has not ended by itself.
    #[track_caller]
    pub fn kill(self) -> Ended {
        self.signal(Signal::SIGKILL);
        self.wait_end()
    }

    /// Stops it as a service manager does; it must end well.
    #[track_caller]
    pub fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        let ended = self.wait_end();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.said.join("\n"));
        ended
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Ended already, unless the test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Lines of its log that contain these words.
    pub fn lines_with(&self, words: &str) -> Vec<&str> {
        self.said.iter().map(String::as_str).filter(|line| line.contains(words)).collect()
    }
}

fn listen(pipe: impl Read + Send + 'static, sender: Sender<String>, is_wanted: fn(&str) -> bool) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok).filter(|line| is_wanted(line)) {
            // Nobody listens any more: still read on, so that the writer never waits.
            let _ = sender.send(line);
        }
    });
}
