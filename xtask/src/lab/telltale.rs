//! Runs the product on the gateway, from outside: start, ready, stop or kill, and what it said.

use super::household::Household;
use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// In the line that tells on standard error that every packet from then on is counted.
const READY: &str = "counting on";

/// How long the daemon may take to begin, and again to stop.
const DEADLINE: Duration = Duration::from_secs(30);

/// How to run `telltale run`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TelltaleOptions {
    /// The binary.
    pub binary: PathBuf,
    /// `--database`.
    pub database: PathBuf,
    /// `--config`, if any.
    pub config: Option<PathBuf>,
    /// Interfaces to count on; `auto` by default.
    pub interfaces: Vec<String>,
    /// `--drain-every-secs`, if not the product's own default.
    pub drain_every_secs: Option<u32>,
    /// Anything else for its command line.
    pub more: Vec<OsString>,
    /// Environment variables to set.
    pub environment: Vec<(OsString, OsString)>,
}

impl TelltaleOptions {
    /// The daemon as a user starts it.
    #[must_use]
    pub fn new(binary: impl AsRef<Path>, database: impl AsRef<Path>) -> Self {
        Self {
            binary: binary.as_ref().to_owned(),
            database: database.as_ref().to_owned(),
            config: None,
            interfaces: vec!["auto".to_owned()],
            drain_every_secs: None,
            more: Vec::new(),
            environment: Vec::new(),
        }
    }

    fn command(&self, pin_directory: &Path) -> Command {
        let Self { binary, database, config, interfaces, drain_every_secs, more, environment } = self;
        let mut command = Command::new(binary);
        command.arg("run");
        for interface in interfaces {
            command.args(["--interface", interface]);
        }
        command.arg("--database").arg(database).arg("--pin-dir").arg(pin_directory);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        if let Some(secs) = drain_every_secs {
            command.args(["--drain-every-secs", &secs.to_string()]);
        }
        command.args(more).envs(environment.iter().map(|(k, v)| (k, v)));
        command
    }
}

/// A daemon that counts. Dropping it kills it.
#[derive(Debug)]
pub struct Telltale {
    process: Child,
    lines: Receiver<String>,
    said: String,
}

/// A daemon that has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stopped {
    /// How it ended.
    pub status: ExitStatus,
    /// All it wrote on standard error.
    pub said: String,
}

/// Starts `telltale run` in the gateway's network namespace, with maps and links pinned in the run's own
/// directory, and waits until it counts.
///
/// # Errors
/// If it cannot be started, ends before it counts, or takes too long; the message carries what it said.
pub fn run_telltale(household: &Household, options: &TelltaleOptions) -> Result<Telltale> {
    mount_bpffs()?;
    let mut command = options.command(&household.run().pin_directory());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = household.gateway().spawn(&mut command)?;
    let stderr = process.stderr.take().context("take the daemon's standard error")?;
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        // Ends with the daemon, or when nobody wants its lines any more.
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut telltale = Telltale { process, lines, said: String::new() };
    if let Err(error) = telltale.listen(|line| line.contains(READY)) {
        bail!(
            "{} does not come to count: {error:#}; it said:\n{}",
            options.binary.display(),
            telltale.said.trim()
        );
    }
    Ok(telltale)
}

/// Mounts the BPF file system where it belongs, if nobody has.
fn mount_bpffs() -> Result<()> {
    let directory = "/sys/fs/bpf";
    let stat = nix::sys::statfs::statfs(directory).with_context(|| format!("look at {directory}"))?;
    if stat.filesystem_type() == nix::sys::statfs::BPF_FS_MAGIC {
        return Ok(());
    }
    let flags =
        nix::mount::MsFlags::MS_NOSUID | nix::mount::MsFlags::MS_NODEV | nix::mount::MsFlags::MS_NOEXEC;
    nix::mount::mount(Some("bpf"), directory, Some("bpf"), flags, Some("mode=700"))
        .with_context(|| format!("mount the BPF file system on {directory}"))
}

impl Telltale {
    /// The process, for signals at chosen moments.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Reads what it says until a line pleases.
    ///
    /// # Errors
    /// If it ends first, or takes too long.
    pub fn listen(&mut self, pleases: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                    if pleases(&line) {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("nothing after {DEADLINE:?}"),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.process.wait().context("wait for the daemon")?;
                    bail!("it ended with {status}");
                }
            }
        }
    }

    /// Stops it by SIGTERM, as an init system does, and waits.
    ///
    /// # Errors
    /// If it does not stop in time; the message carries what it said.
    pub fn terminate(self) -> Result<Stopped> {
        self.end_by(Signal::SIGTERM)
    }

    /// Kills it by SIGKILL.
    ///
    /// # Errors
    /// If that fails.
    pub fn kill(self) -> Result<Stopped> {
        self.end_by(Signal::SIGKILL)
    }

    /// Waits for its end without asking for it.
    ///
    /// # Errors
    /// If it goes on for too long.
    pub fn wait(mut self) -> Result<Stopped> {
        self.collect()
    }

    fn end_by(mut self, signal: Signal) -> Result<Stopped> {
        let pid = i32::try_from(self.process.id()).map_err(|_| anyhow!("a process id beyond any"))?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("send {signal} to telltale"))?;
        self.collect()
    }

    fn collect(&mut self) -> Result<Stopped> {
        // Its standard error ends when it does.
        let end = self.listen(|_| false);
        if let Some(status) = self.process.try_wait().context("look whether telltale has ended")? {
            return Ok(Stopped { status, said: std::mem::take(&mut self.said) });
        }
        let why = end.err().map_or_else(|| "it goes on".to_owned(), |error| format!("{error:#}"));
        bail!("telltale does not end: {why}; it said:\n{}", self.said.trim())
    }
}

impl Stopped {
    /// Did it end as it should after SIGTERM?
    ///
    /// # Errors
    /// With what it said, if not.
    pub fn check(&self) -> Result<()> {
        let Self { status, said } = self;
        if status.success() {
            return Ok(());
        }
        let how = status.signal().map_or_else(|| status.to_string(), |signal| format!("signal {signal}"));
        bail!("telltale ended with {how}; it said:\n{said}")
    }
}

impl Drop for Telltale {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            // It cannot refuse; if it has just ended, so much the better.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
