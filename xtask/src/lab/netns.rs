//! One network namespace, named as `ip netns` names them, and how to act inside it.

use super::run::{maker_of, names_in};
use crate::tool;
use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Where `ip netns` keeps the names.
pub(crate) const NAMES: &str = "/run/netns";

/// A network namespace that exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    pub(crate) fn new(name: String) -> Self {
        Self { name }
    }

    /// Its name, for `ip netns exec` and `ip -n`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file, for `nsenter --net=`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new(NAMES).join(&self.name)
    }

    /// Runs `work` on a thread that is inside this namespace. Programs started and sockets opened by it belong
    /// to the namespace; mounts stay the machine's own, as with `nsenter --net` (`ip netns exec` would hide
    /// /sys/fs/bpf).
    ///
    /// # Errors
    /// If the namespace cannot be entered, or what `work` returns.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = self.path();
        let enter = || -> Result<T> {
            let file = fs::File::open(&path)
                .with_context(|| format!("open the network namespace {}", path.display()))?;
            setns(file, CloneFlags::CLONE_NEWNET)
                .with_context(|| format!("enter the network namespace {}", path.display()))?;
            work()
        };
        std::thread::scope(|scope| scope.spawn(enter).join())
            .map_err(|_| anyhow!("a thread inside {} panicked", self.name))?
    }

    /// Starts a program inside, with the machine's own mounts.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(&self, command: &mut Command) -> Result<Child> {
        self.inside(|| command.spawn().with_context(|| format!("start {}", tool::shown(command))))
    }

    /// Runs a program inside to its end, with the machine's own mounts.
    ///
    /// # Errors
    /// As [`tool::run`].
    pub fn run(&self, command: &mut Command) -> Result<String> {
        self.inside(|| tool::run(command))
    }

    /// Runs a batch of `ip` commands inside, one a line; the first that fails ends it.
    ///
    /// # Errors
    /// As [`tool::run`].
    pub fn ip(&self, lines: &str) -> Result<()> {
        self.inside(|| ip_batch(lines))
    }

    /// Runs a program as `ip netns exec` does: it sees this namespace's own /etc/resolv.conf.
    #[must_use]
    pub fn exec(&self, program: &str) -> Command {
        tool::command("ip", ["netns", "exec", &self.name, program])
    }

    /// Sets kernel parameters, given as paths below /proc/sys/net with their values.
    ///
    /// # Errors
    /// If the kernel refuses one.
    pub fn set(&self, parameters: &[(&str, &str)]) -> Result<()> {
        self.inside(|| {
            for (path, value) in parameters {
                let path = Path::new("/proc/sys/net").join(path);
                fs::write(&path, value).with_context(|| format!("write {value} to {}", path.display()))?;
            }
            Ok(())
        })
    }
}

/// Runs a batch of `ip` commands in the namespace of the calling thread.
pub(crate) fn ip_batch(lines: &str) -> Result<()> {
    tool::run_with_input(&mut tool::command("ip", ["-batch", "-"]), lines.as_bytes())
        .map(drop)
        .with_context(|| format!("set up the network with this batch:\n{lines}"))
}

/// Is the calling thread in a namespace of the lab? The generators of traffic refuse to run anywhere else.
///
/// # Errors
/// If /proc cannot be read.
pub fn is_lab_namespace() -> Result<bool> {
    let identity = |path: &Path| fs::metadata(path).map(|m| (m.dev(), m.ino()));
    let own = Path::new("/proc/thread-self/ns/net");
    let own = identity(own).with_context(|| format!("read {}", own.display()))?;
    let lab = names_in(Path::new(NAMES)).into_iter().filter(|name| maker_of(name).is_some());
    Ok(lab.map(|name| identity(&Path::new(NAMES).join(name))).any(|it| it.is_ok_and(|it| it == own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_is_not_there_is_an_error() {
        let error = Namespace::new("tt-never-made".to_owned()).inside(|| Ok(())).expect_err("no such name");
        assert!(format!("{error:#}").contains("/run/netns/tt-never-made"), "{error:#}");
    }
}
