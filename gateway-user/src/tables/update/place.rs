//! The directory of updated tables: one update at a time, a new table by one rename, the one before it kept.

use super::slot::{Slot, directory_of};
use anyhow::{Context, bail};
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Everyone may read a table: there is nothing of anybody's traffic in it.
const MODE: u32 = 0o644;
const MODE_OF_DIRECTORY: u32 = 0o755;

/// The directory, for as long as this update goes on.
pub(super) struct Place {
    directory: PathBuf,
    _lock: File,
}

impl Place {
    /// Makes the directory if need be, and keeps every other update out of it.
    pub(super) fn enter(database: &Path) -> anyhow::Result<Self> {
        let directory = directory_of(database);
        let shown = directory.display();
        if !directory.is_dir() {
            std::fs::create_dir_all(&directory)
                .and_then(|()| std::fs::set_permissions(&directory, mode(MODE_OF_DIRECTORY)))
                .with_context(|| format!("make the directory of tables {shown}"))?;
        }
        let path = directory.join(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("open {} (run this as the owner of the tables)", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { directory, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("another update is under way in {shown}; try again when it has ended")
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {shown}")),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.directory
    }

    /// Bytes that may still be written here; `None` where the file system does not say.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let stat = nix::sys::statvfs::statvfs(&self.directory).ok()?;
        // The types are narrower on 32-bit machines.
        #[allow(clippy::useless_conversion, reason = "fsblkcnt_t and long are not u64 everywhere")]
        let (blocks, size) = (u64::from(stat.blocks_available()), u64::from(stat.fragment_size()));
        blocks.checked_mul(size).filter(|_| size > 0)
    }

    /// Puts a checked file in place; what it displaces is kept as the one before.
    pub(super) fn install(&self, new: &Path, slot: Slot) -> anyhow::Result<()> {
        let path = slot.path(&self.directory);
        let install = || -> io::Result<()> {
            std::fs::set_permissions(new, mode(MODE))?;
            File::open(new)?.sync_all()?;
            if path.exists() {
                keep(&path, &slot.previous(&self.directory))?;
            }
            std::fs::rename(new, &path)?;
            for displaced in slot.displaces() {
                let old = displaced.path(&self.directory);
                if old.exists() {
                    std::fs::rename(&old, displaced.previous(&self.directory))?;
                }
            }
            self.sync()
        };
        install().with_context(|| format!("put the new table in place as {}", path.display()))
    }

    /// Exchanges each of these with the one before it.
    pub(super) fn exchange(&self, slot: Slot) -> anyhow::Result<()> {
        let (path, previous) = (slot.path(&self.directory), slot.previous(&self.directory));
        let aside = self.directory.join(format!("{}.aside", slot.file_name()));
        let exchange = || -> io::Result<()> {
            match (path.exists(), previous.exists()) {
                (true, true) => {
                    keep(&path, &aside)?;
                    std::fs::rename(&previous, &path)?;
                    std::fs::rename(&aside, &previous)?;
                }
                (true, false) => std::fs::rename(&path, &previous)?,
                (false, true) => std::fs::rename(&previous, &path)?,
                (false, false) => {}
            }
            self.sync()
        };
        exchange().with_context(|| format!("bring back the table before {}", path.display()))
    }

    /// A rename is on the disk when its directory is.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// A second name for a file, so that the first is there at every moment; a copy where there are no second names.
fn keep(path: &Path, other: &Path) -> io::Result<()> {
    remove_if_there(other)?;
    if std::fs::hard_link(path, other).is_ok() {
        return Ok(());
    }
    std::fs::copy(path, other)?;
    File::open(other)?.sync_all()
}

/// Removes a file; none is no failure.
pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn mode(mode: u32) -> Permissions {
    Permissions::from_mode(mode)
}
