//! Many replays side by side, each watched: it must end in time, by an exit code of its own, with a line at most.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use xtask::tool;

/// Beyond this a replay hangs: the largest capture of the corpus takes a second.
const MAX_REPLAY: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What all replays have in common.
pub struct Bench {
    binary: PathBuf,
    config: PathBuf,
    said: PathBuf,
}

impl Bench {
    /// Replays with `binary` and every setting at its default.
    ///
    /// # Errors
    /// If `place` cannot be written.
    pub fn new(binary: &Path, place: &Path) -> Result<Self> {
        let (config, said) = (place.join("telltale.toml"), place.join("said"));
        fs::write(&config, "").with_context(|| format!("write {}", config.display()))?;
        fs::create_dir_all(&said).with_context(|| format!("make {}", said.display()))?;
        Ok(Self { binary: binary.to_owned(), config, said })
    }

    /// Replays every file, into `out` (emptied before) if there is one. Returns what went wrong with which.
    ///
    /// # Errors
    /// If a replay cannot be started, or `out` not be made.
    pub fn replay_all(&self, files: &[PathBuf], out: Option<&Path>) -> Result<Vec<String>> {
        if let Some(out) = out {
            if out.exists() {
                fs::remove_dir_all(out).with_context(|| format!("remove {}", out.display()))?;
            }
            fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))?;
        }
        let (next, faults) = (Mutex::new(files.iter()), Mutex::new(Vec::new()));
        let work = || -> Result<()> {
            loop {
                let file = next.lock().ok().and_then(|mut files| files.next());
                let Some(file) = file else { return Ok(()) };
                let fault = self.replay(file, out)?;
                if let (Some(fault), Ok(mut faults)) = (fault, faults.lock()) {
                    faults.push(format!("{}: {fault}", file.display()));
                }
            }
        };
        let count = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Ok(())))
        })?;
        let mut faults = faults.into_inner().unwrap_or_default();
        faults.sort();
        Ok(faults)
    }

    /// `Some`: what is wrong with the way in which it ended.
    fn replay(&self, file: &Path, out: Option<&Path>) -> Result<Option<String>> {
        let id = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // Of the hostile files several may differ only behind a point.
        let said = self.said.join(file.file_name().unwrap_or_default());
        let mut command = Command::new(&self.binary);
        command.arg("replay").arg(file).arg("--config").arg(&self.config).arg("--flows-json");
        if let Some(out) = out {
            command.arg(out.join(format!("{id}.jsonl")));
        }
        let stderr = fs::File::create(&said).with_context(|| format!("write {}", said.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let mut child = command.spawn().with_context(|| format!("start {}", tool::shown(&command)))?;
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if begun.elapsed() > MAX_REPLAY {
                child.kill()?;
                child.wait()?;
                return Ok(Some(format!("took more than {} s", MAX_REPLAY.as_secs())));
            }
            thread::sleep(LOOK_EVERY);
        };
        let text = fs::read_to_string(&said).with_context(|| format!("read {}", said.display()))?;
        let is_sound = match status.code() {
            Some(0) => text.is_empty(),
            Some(1 | 2) => text.lines().count() == 1,
            _ => false,
        };
        Ok((!is_sound).then(|| format!("{status}, and said: {}", text.trim())))
    }
}
