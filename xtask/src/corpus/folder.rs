//! Where the corpus is, unpacked if it came packed.

use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use xtask::tool;

/// A corpus on this machine.
pub struct Corpus {
    pcap: PathBuf,
    nasty: PathBuf,
    /// A JSON Lines file for each capture.
    pub truth: PathBuf,
    /// The program that compares.
    pub scorer: PathBuf,
}

impl Corpus {
    /// Finds the parts in `folder`. An archive is unpacked below `place`, once.
    ///
    /// # Errors
    /// If a part is missing, or the archive cannot be unpacked.
    pub fn open(folder: &Path, place: &Path) -> Result<Self> {
        let is_unpacked = folder.join("pcap").is_dir() && folder.join("truth").is_dir();
        let root = if is_unpacked { folder.to_owned() } else { unpack(&folder.join("open.tar.zst"), place)? };
        let scorer = folder.join("score.py");
        ensure!(scorer.is_file(), "find the scorer: there is no score.py in {}", folder.display());
        Ok(Self { pcap: root.join("pcap"), nasty: root.join("nasty"), truth: root.join("truth"), scorer })
    }

    /// The captures, by name.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn captures(&self) -> Result<Vec<PathBuf>> {
        files(&self.pcap)
    }

    /// What no honest sender wrote; most of it is no capture at all.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn hostile(&self) -> Result<Vec<PathBuf>> {
        if self.nasty.is_dir() { files(&self.nasty) } else { Ok(Vec::new()) }
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    let mut files = read().with_context(|| format!("list {}", folder.display()))?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

/// Unpacks the archive, unless what lies there came out of it.
fn unpack(archive: &Path, place: &Path) -> Result<PathBuf> {
    let found = fs::metadata(archive)
        .with_context(|| format!("find a corpus: neither pcap/ and truth/ nor {}", archive.display()))?;
    let changed_at = found.modified()?.duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let identity = format!("{} {} {changed_at}\n", archive.display(), found.len());
    let (root, note) = (place.join("open"), place.join("open.from"));
    if fs::read_to_string(&note).is_ok_and(|unpacked| unpacked == identity) {
        return Ok(root);
    }
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("remove {}", root.display()))?;
    }
    fs::create_dir_all(&root).with_context(|| format!("make {}", root.display()))?;
    tool::run(tool::command("tar", ["--zstd", "-x", "-f"]).arg(archive).arg("-C").arg(&root))?;
    fs::write(&note, identity).with_context(|| format!("write {}", note.display()))?;
    Ok(root)
}
