//! What was fetched last from each source, so that the same file is not fetched twice: `sources.json`.
//!
//! A URL may carry its owner's key, and this file may be read by all: it has the URL's hash.

use super::check::{sha256_of, sha256_of_text};
use super::fetch::Validators;
use super::slot::Slot;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file as a whole.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Records {
    /// Seconds since 1970 of the last update that went well as a whole.
    pub(super) updated_at: Option<i64>,
    sources: BTreeMap<String, Record>,
}

/// One source.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// The hash of the URL that answered; a monthly source has several.
    url: String,
    #[serde(flatten)]
    pub(super) validators: Validators,
    /// Where its file was put.
    file: String,
    /// The hash of that file.
    sha256: String,
}

impl Record {
    pub(super) fn new(url: &str, validators: Validators, slot: Slot, sha256: String) -> Self {
        Self { url: sha256_of_text(url), validators, file: slot.file_name().to_owned(), sha256 }
    }

    /// Is it about this URL?
    pub(super) fn is_of(&self, url: &str) -> bool {
        self.url == sha256_of_text(url)
    }
}

impl Records {
    fn path(directory: &Path) -> PathBuf {
        directory.join("sources.json")
    }

    /// Reads them. One that cannot be read only costs a download.
    pub(super) fn read(directory: &Path) -> Self {
        let bytes = std::fs::read(Self::path(directory)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// The record of a source, with the slot of its file, if that file is still the one in place.
    pub(super) fn of(&self, source: &str, directory: &Path) -> Option<(&Record, Slot)> {
        let record = self.sources.get(&sha256_of_text(source))?;
        let slot = Slot::ALL.into_iter().find(|slot| slot.file_name() == record.file)?;
        let sha256 = sha256_of(&slot.path(directory)).ok()?;
        (sha256 == record.sha256).then_some((record, slot))
    }

    pub(super) fn set(&mut self, source: &str, record: Record) {
        self.sources.insert(sha256_of_text(source), record);
    }

    /// Writes them, by one rename.
    pub(super) fn write(&self, directory: &Path) -> anyhow::Result<()> {
        let (path, new) = (Self::path(directory), directory.join("sources.json.new"));
        let bytes = serde_json::to_vec_pretty(self)?;
        std::fs::write(&new, bytes)
            .and_then(|()| std::fs::rename(&new, &path))
            .with_context(|| format!("write {}", path.display()))
    }
}
