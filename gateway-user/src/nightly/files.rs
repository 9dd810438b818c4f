//! The written summaries: `summaries/2026-11-22.{txt,html,json}` beside the database. The JSON is written last: a day
//! that has it is done.

use crate::deliver::Message;
use crate::deliver::queue::write_whole;
use anyhow::Context;
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What a summary is written as; the last makes it done.
const KINDS: [&str; 3] = ["txt", "html", "json"];
/// What went wrong the last time; not there if nothing did.
const FAILURE: &str = "failure.txt";

/// The directory.
#[derive(Clone, Debug)]
pub struct Summaries {
    directory: PathBuf,
}

impl Summaries {
    /// The one beside a database. Nothing is made before there is something to keep.
    #[must_use]
    pub fn beside(database: &Path) -> Self {
        Self { directory: database.parent().unwrap_or(Path::new("")).join("summaries") }
    }

    /// The days that are written.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn done(&self) -> anyhow::Result<BTreeSet<Date>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
            entries => entries.with_context(|| format!("read the directory {}", self.directory.display()))?,
        };
        let day = |name: &str| name.strip_suffix(".json")?.parse::<Date>().ok();
        Ok(entries.flatten().filter_map(|entry| day(entry.file_name().to_str()?)).collect())
    }

    /// Writes what people read.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, day: Date, message: &Message) -> anyhow::Result<()> {
        write_whole(&self.file(day, "txt"), message.text.as_bytes())?;
        match &message.html {
            Some(html) => write_whole(&self.file(day, "html"), html.as_bytes()),
            None => Ok(()),
        }
    }

    /// Writes what makes a day done, and removes the oldest days above `keep`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(&self, day: Date, message: &Message, keep: usize) -> anyhow::Result<()> {
        write_whole(&self.file(day, "json"), message.json.as_bytes())?;
        let done = self.done()?;
        for old in done.iter().take(done.len().saturating_sub(keep)) {
            for kind in KINDS {
                remove_if_there(&self.file(*old, kind))?;
            }
        }
        Ok(())
    }

    /// What went wrong the last time.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        std::fs::read_to_string(self.directory.join(FAILURE)).ok().map(|text| text.trim().to_owned())
    }

    /// Keeps what went wrong for `telltale doctor`, or that nothing does any more.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn note(&self, failure: Option<&str>) -> anyhow::Result<()> {
        match failure {
            Some(words) => write_whole(&self.directory.join(FAILURE), words.as_bytes()),
            None => remove_if_there(&self.directory.join(FAILURE)),
        }
    }

    fn file(&self, day: Date, kind: &str) -> PathBuf {
        self.directory.join(format!("{day}.{kind}"))
    }
}

fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
