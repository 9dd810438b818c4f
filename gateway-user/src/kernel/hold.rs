//! One daemon per set of pinned maps: two would drain each other's buffers.

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};
use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Kept for as long as this process may drain. The kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Hold {
    _lock: Flock<File>,
}

impl Hold {
    /// The lock file of a pin directory: not in it, because a BPF file system has no plain files. It stays when
    /// the hold is given back.
    ///
    /// # Errors
    /// When this machine has no folder for such files.
    pub fn file_of(pin_directory: &Path) -> anyhow::Result<PathBuf> {
        let folder = ["/run", "/var/run", "/tmp"].into_iter().map(Path::new).find(|p| p.is_dir());
        let folder =
            folder.context("find a folder for the lock file: none of /run, /var/run, /tmp is there")?;
        Ok(folder.join(format!("telltale-{:016x}.lock", name_hash(&real_path(pin_directory)))))
    }

    /// Takes the hold on a pin directory.
    ///
    /// # Errors
    /// When another process has it; the message names it.
    pub fn take(pin_directory: &Path) -> anyhow::Result<Self> {
        let path = Self::file_of(pin_directory)?;
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW);
        let file = options.open(&path).with_context(|| format!("open the lock file {}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                let pid = std::process::id();
                lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| write!(lock, "{pid}")).ok();
                Ok(Self { _lock: lock })
            }
            Err((mut file, _)) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).ok();
                bail!(
                    "another telltale (process {}) already counts with {}: stop it, or give this one a --pin-dir of its own",
                    holder.trim(),
                    pin_directory.display()
                )
            }
        }
    }
}

/// The one name of a directory that may be reached by several and need not be there yet.
fn real_path(path: &Path) -> PathBuf {
    for nearest in path.ancestors() {
        if let Ok(real) = nearest.canonicalize() {
            // Collected part by part, so that a final slash makes no difference.
            return real.join(path.strip_prefix(nearest).unwrap_or(path)).components().collect();
        }
    }
    path.to_owned()
}

/// FNV-1a: only has to tell a few directories apart.
pub(super) fn name_hash(path: &Path) -> u64 {
    path.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_lock_file_when_it_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let pins = folder.path().join("pins");
        let before = Hold::file_of(&pins).expect("a file");
        std::fs::create_dir(&pins).expect("made");
        assert_eq!(Hold::file_of(&pins).expect("a file"), before);
        assert_ne!(Hold::file_of(folder.path()).expect("a file"), before);
    }

    #[test]
    fn a_second_daemon_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let hold = Hold::take(folder.path()).expect("the first gets it");
        let refused = Hold::take(folder.path()).expect_err("the second does not").to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        let link = tempfile::tempdir().expect("a folder");
        let link = link.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).expect("a link");
        for same in [folder.path().join(""), folder.path().join("."), link] {
            Hold::take(&same).expect_err("the same by another name");
        }
        drop(hold);
        Hold::take(folder.path()).expect("free again");
    }
}
