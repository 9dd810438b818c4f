//! A file that is coming in: `<name>.part`, and beside it what the server said of it, so that a cut download goes on
//! where it stopped, tomorrow too.

use super::check::sha256_of_text;
use super::fetch::{Rest, Validators};
use super::place::remove_if_there;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// The two files.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) path: PathBuf,
    told: PathBuf,
}

/// What was said of the part. A part without it is begun anew.
#[derive(Serialize, Deserialize)]
struct Told {
    /// The hash of the URL, which may carry a key of its owner.
    url: String,
    validators: Validators,
}

impl Part {
    /// The part called `name`.
    pub(super) fn named(directory: &Path, name: &str) -> Self {
        Self {
            path: directory.join(format!("{name}.part")),
            told: directory.join(format!("{name}.part.json")),
        }
    }

    /// What is left to ask for, if a part of this URL is here and the server can tell its version.
    pub(super) fn rest(&self, url: &str) -> Option<Rest> {
        let told: Told = serde_json::from_slice(&std::fs::read(&self.told).ok()?).ok()?;
        let from = std::fs::metadata(&self.path).ok()?.len();
        let if_range =
            told.validators.for_range().filter(|_| told.url == sha256_of_text(url) && from > 0)?.to_owned();
        Some(Rest { from, if_range })
    }

    /// The file, ready to take what comes from place `from` on.
    pub(super) fn begin(&self, url: &str, from: u64, validators: &Validators) -> anyhow::Result<File> {
        let shown = self.path.display();
        if from == 0 {
            self.remove()?;
            let told = Told { url: sha256_of_text(url), validators: validators.clone() };
            let told = serde_json::to_vec(&told)?;
            std::fs::write(&self.told, told).with_context(|| format!("write {}", self.told.display()))?;
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        options.open(&self.path).with_context(|| format!("write {shown}"))
    }

    /// Forgets what has come.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        for path in [&self.told, &self.path] {
            remove_if_there(path).with_context(|| format!("remove {}", path.display()))?;
        }
        Ok(())
    }
}
