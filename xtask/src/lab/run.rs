//! One run of the lab: its name, its directory, and the certainty that nothing of it stays behind.
//!
//! Removal is the task of a second process, the cleaner, that waits for its standard input to end. The end comes
//! when the [`Run`] is dropped and just as well when its process is interrupted, aborts or is killed, so there is
//! one way of cleaning and no signal handler. Should even the cleaner be killed, the next run finds what is left
//! by the process id in the names.

use super::netns::{NAMES, Namespace};
use crate::tool;
use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Begins every name: of a namespace, of a run's directory, of its directory in /etc/netns.
const PREFIX: &str = "tt";

/// What a program is called with to be a cleaner: `xtask lab-cleaner RUN`.
pub const CLEANER_COMMAND: &str = "lab-cleaner";

/// Sent to the cleaner when it shall leave everything as it is.
const KEEP: &[u8] = b"keep";

/// How many runs this process has begun; tells the runs of one process apart.
static BEGUN: AtomicU32 = AtomicU32::new(0);

/// One run. Dropping it removes its namespaces, ends what runs in them and deletes its directory.
#[derive(Debug)]
pub struct Run {
    id: String,
    cleaner: Child,
}

impl Run {
    /// Begins a run: removes what dead runs left, makes a directory and starts the cleaner from the xtask
    /// binary at `xtask`.
    ///
    /// # Errors
    /// If the directory cannot be made or the cleaner not started.
    pub fn begin(xtask: &Path) -> Result<Self> {
        clean_leftovers()?;
        let number = BEGUN.fetch_add(1, Ordering::Relaxed);
        let id = format!("{PREFIX}{}n{number}", std::process::id());
        let directory = directory_of(&id);
        fs::create_dir_all(&directory)
            .with_context(|| format!("make the directory {}", directory.display()))?;
        let cleaner = Command::new(xtask)
            .args([CLEANER_COMMAND, &id])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // In a group of its own, so that Ctrl-C on the terminal does not reach it.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start the cleaner {}", xtask.display()))?;
        Ok(Self { id, cleaner })
    }

    /// The name that tells this run from others.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A directory for this run's files.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        directory_of(&self.id)
    }

    /// Where a daemon under test pins its maps: below bpffs, removed with the run.
    #[must_use]
    pub fn pin_directory(&self) -> PathBuf {
        pin_directory_of(&self.id)
    }

    /// The namespace called `role` in this run, whether it exists or not.
    #[must_use]
    pub fn namespace(&self, role: &str) -> Namespace {
        Namespace::new(format!("{}-{role}", self.id))
    }

    /// Leaves everything in place when this is dropped. The next run removes it.
    pub fn keep(&mut self) {
        if let Some(stdin) = &mut self.cleaner.stdin {
            // If the cleaner is gone there is nobody to clean, which is what was asked for.
            let _ = stdin.write_all(KEEP);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        drop(self.cleaner.stdin.take());
        // The cleaner says on standard error what it could not do.
        let _ = self.cleaner.wait();
    }
}

/// The cleaner: waits for standard input to end, then removes the run `id`, unless told to keep it.
///
/// # Errors
/// If something could not be removed.
pub fn clean_at_end_of_input(id: &str) -> Result<()> {
    let mut said = Vec::new();
    std::io::stdin().read_to_end(&mut said).context("wait for the end of the run")?;
    if said == KEEP { Ok(()) } else { clean(id) }
}

fn directory_of(id: &str) -> PathBuf {
    // Not /tmp: there, anybody could have made it first.
    Path::new("/run").join(format!("telltale-lab-{id}"))
}

fn pin_directory_of(id: &str) -> PathBuf {
    Path::new("/sys/fs/bpf").join(format!("telltale-{id}"))
}

/// Where `ip netns exec` looks for a namespace's own files of /etc.
pub(crate) fn etc_directory_of(namespace: &Namespace) -> PathBuf {
    Path::new("/etc/netns").join(namespace.name())
}

/// Names of the entries of a directory; none if it is not there.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The process that made the thing of this name; `None` if it is none of ours.
pub(crate) fn maker_of(name: &str) -> Option<(u32, &str)> {
    let id = name.split('-').next()?;
    let (pid, number) = id.strip_prefix(PREFIX)?.split_once('n')?;
    number.parse::<u32>().ok()?;
    Some((pid.parse().ok()?, id))
}

/// Removes every run whose process is dead.
///
/// # Errors
/// If something of it could not be removed.
pub fn clean_leftovers() -> Result<()> {
    let mut names = names_in(Path::new(NAMES));
    names.extend(names_in(Path::new("/etc/netns")));
    for (directory, prefix) in [("/run", "telltale-lab-"), ("/sys/fs/bpf", "telltale-")] {
        names.extend(
            names_in(Path::new(directory)).iter().filter_map(|n| n.strip_prefix(prefix)).map(str::to_owned),
        );
    }
    let is_dead = |pid: u32| !Path::new("/proc").join(pid.to_string()).exists();
    let mut ids: Vec<_> = names
        .iter()
        .filter_map(|name| maker_of(name))
        .filter(|(pid, _)| is_dead(*pid))
        .map(|(_, id)| id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().try_for_each(clean)
}

/// Removes one run: kills what runs in its namespaces, then deletes them and its directories.
fn clean(id: &str) -> Result<()> {
    let namespaces: Vec<_> = names_in(Path::new(NAMES))
        .into_iter()
        .filter(|n| maker_of(n).is_some_and(|(_, i)| i == id))
        .collect();
    for name in &namespaces {
        let pids = unless_gone(name, tool::run(&mut tool::command("ip", ["netns", "pids", name])))?;
        for pid in pids.lines().filter_map(|line| line.trim().parse().ok()) {
            // One that ended by itself meanwhile is as good.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    for name in &namespaces {
        unless_gone(name, tool::run(&mut tool::command("ip", ["netns", "delete", name])))?;
    }
    let etc =
        names_in(Path::new("/etc/netns")).into_iter().filter(|n| maker_of(n).is_some_and(|(_, i)| i == id));
    let directories =
        etc.map(|n| Path::new("/etc/netns").join(n)).chain([directory_of(id), pin_directory_of(id)]);
    for directory in directories {
        match fs::remove_dir_all(&directory) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("remove {}", directory.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Two runs that begin at once both clean what they find: to come second is no error.
fn unless_gone(namespace: &str, result: Result<String>) -> Result<String> {
    if result.is_err() && !Path::new(NAMES).join(namespace).exists() {
        return Ok(String::new());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_who_made_it() {
        assert_eq!(maker_of("tt123n0-gw"), Some((123, "tt123n0")));
        assert_eq!(maker_of("tt123n4"), Some((123, "tt123n4")));
        for other in ["", "gw", "tt", "ttn0-gw", "tt12-gw", "tt12nx-gw", "ttx1n0-gw", "att1n0-gw"] {
            assert_eq!(maker_of(other), None, "{other}");
        }
    }
}
