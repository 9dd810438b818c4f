//! What waits to be delivered: one file per message and way in the directory `outbox` beside the database, so that it
//! outlives a restart. Bounded; what does not fit is counted.

use super::{Message, Way};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Messages that may wait on one way: two months of summaries. Above, the oldest goes, counted in
/// [`Books::dropped_full`].
pub const MAX_WAITING: usize = 64;
/// Bytes that may wait on one way; as above.
pub const MAX_WAITING_BYTES: u64 = 8 << 20;
/// The longest file of an own making that is read back.
const MAX_FILE_LEN: u64 = MAX_WAITING_BYTES;

/// What became of a way's messages, for good.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Books {
    /// Taken by the other side.
    pub delivered: u64,
    /// Dropped, the oldest first, because too many waited.
    pub dropped_full: u64,
    /// Given up because of their age.
    pub dropped_old: u64,
    /// Not taken by the other side, for good.
    pub dropped_unwanted: u64,
    /// Could not be read back from the disk.
    pub dropped_broken: u64,
    /// When the last one was taken, seconds since 1970.
    pub delivered_at: Option<i64>,
    /// Why the last attempt came to nothing; none after one that did not.
    pub failure: Option<String>,
}

impl Books {
    /// Messages that nobody got.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let Self { dropped_full, dropped_old, dropped_unwanted, dropped_broken, .. } = self;
        dropped_full + dropped_old + dropped_unwanted + dropped_broken
    }
}

/// A message that waits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Waiting {
    /// When it was queued, seconds since 1970.
    pub since: i64,
    /// Its id.
    pub id: String,
    /// Bytes of its file.
    pub len: u64,
}

/// The queue of every way.
#[derive(Debug)]
pub struct Outbox {
    directory: PathBuf,
    /// Threads change the books and the files one at a time.
    turn: Mutex<()>,
}

impl Outbox {
    /// The one beside a database. Nothing is made before there is something to keep.
    #[must_use]
    pub fn beside(database: &Path) -> Self {
        let directory = database.parent().unwrap_or(Path::new("")).join("outbox");
        Self { directory, turn: Mutex::new(()) }
    }

    /// Queues a message. One that waits under the same id already is replaced, and keeps its place.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&self, way: Way, message: &Message, now: i64) -> anyhow::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self.waiting(way)?;
        let text = serde_json::to_vec(message)?;
        let id = plain(&message.id);
        let since = waiting.iter().find(|waiting| waiting.id == id).map_or(now, |waiting| waiting.since);
        waiting.retain(|waiting| waiting.id != id);
        let len = text.len() as u64;
        let mut books = self.books(way);
        if len > MAX_WAITING_BYTES {
            books.dropped_full += 1;
            tracing::warn!("{}: a message of {len} bytes is too large: dropped_full", way.word());
            return self.note(way, &books);
        }
        let mut total: u64 = waiting.iter().map(|waiting| waiting.len).sum();
        let mut dropped = 0;
        let mut oldest = waiting.iter();
        while waiting.len() - dropped >= MAX_WAITING || total + len > MAX_WAITING_BYTES {
            let Some(waiting) = oldest.next() else { break };
            remove_if_there(&self.file(way, waiting))?;
            total -= waiting.len;
            dropped += 1;
        }
        if dropped > 0 {
            tracing::warn!("{}: too much waits; dropped_full rises by {dropped}", way.word());
            books.dropped_full += dropped as u64;
            self.note(way, &books)?;
        }
        write_whole(&self.file(way, &Waiting { since, id, len }), &text).context("queue a message")
    }

    /// What waits on a way, the oldest first.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn waiting(&self, way: Way) -> anyhow::Result<Vec<Waiting>> {
        let directory = self.directory.join(way.word());
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("read the directory {}", directory.display()))?,
        };
        let mut waiting: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let (since, id) = name.strip_suffix(".json")?.split_once('-')?;
                let (since, id) = (since.parse().ok()?, id.to_owned());
                Some(Waiting { since, id, len: entry.metadata().ok()?.len() })
            })
            .collect();
        waiting.sort();
        Ok(waiting)
    }

    /// The message itself; `None`, counted, where it cannot be read back.
    ///
    /// # Errors
    /// When what is broken cannot be removed.
    pub fn message(&self, way: Way, waiting: &Waiting) -> anyhow::Result<Option<Message>> {
        let path = self.file(way, waiting);
        let read = || -> anyhow::Result<Message> {
            anyhow::ensure!(waiting.len <= MAX_FILE_LEN, "it is too long");
            Ok(serde_json::from_slice(&std::fs::read(&path)?)?)
        };
        match read() {
            Ok(message) => Ok(Some(message)),
            // Replaced or dropped as the oldest meanwhile: counted there.
            Err(_) if !path.exists() => Ok(None),
            Err(error) => {
                tracing::warn!("{}: a waiting message is broken ({error}): dropped_broken", way.word());
                self.settle(way, waiting, |books| books.dropped_broken += 1)?;
                Ok(None)
            }
        }
    }

    /// Takes a message out of the queue and notes what became of it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn settle(&self, way: Way, waiting: &Waiting, note: impl FnOnce(&mut Books)) -> anyhow::Result<()> {
        remove_if_there(&self.file(way, waiting))?;
        self.change(way, note)
    }

    /// Changes the books of a way.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn change(&self, way: Way, change: impl FnOnce(&mut Books)) -> anyhow::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.books(way);
        let mut books = before.clone();
        change(&mut books);
        if books == before { Ok(()) } else { self.note(way, &books) }
    }

    /// What became of a way's messages so far.
    #[must_use]
    pub fn books(&self, way: Way) -> Books {
        let text = std::fs::read(self.books_file(way)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// What `telltale deliver status` and `doctor` tell: the books and what waits, of every way that has any.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn all(&self) -> anyhow::Result<BTreeMap<Way, (Books, Vec<Waiting>)>> {
        Way::ALL.into_iter().map(|way| Ok((way, (self.books(way), self.waiting(way)?)))).collect()
    }

    fn note(&self, way: Way, books: &Books) -> anyhow::Result<()> {
        write_whole(&self.books_file(way), &serde_json::to_vec(books)?)
            .context("note what became of messages")
    }

    fn books_file(&self, way: Way) -> PathBuf {
        self.directory.join(format!("{}.json", way.word()))
    }

    fn file(&self, way: Way, Waiting { since, id, len: _ }: &Waiting) -> PathBuf {
        self.directory.join(way.word()).join(format!("{since:012}-{id}.json"))
    }
}

/// An id as part of a file's name.
fn plain(id: &str) -> String {
    id.chars().take(80).map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a file that only its owner can read: whole, or not at all.
///
/// # Errors
/// When the disk refuses; what was there before stays.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.as_file().set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]
    use super::*;
    use crate::deliver::Priority;

    fn message(id: &str, len: usize) -> Message {
        Message {
            id: id.into(),
            subject: "s".into(),
            text: "t".repeat(len),
            html: None,
            json: "{}".into(),
            priority: Priority::Normal,
            figures: None,
        }
    }

    fn outbox() -> (tempfile::TempDir, Outbox) {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::beside(&dir.path().join("t.db"));
        (dir, outbox)
    }

    #[test]
    fn what_waits_outlives_a_restart_for_its_owner_only() {
        let (dir, outbox) = outbox();
        assert!(outbox.waiting(Way::Email).unwrap().is_empty() && !dir.path().join("outbox").exists());
        outbox.push(Way::Email, &message("b", 1), 200).unwrap();
        outbox.push(Way::Email, &message("a", 1), 100).unwrap();
        let again = Outbox::beside(&dir.path().join("t.db"));
        let waiting = again.waiting(Way::Email).unwrap();
        assert_eq!(waiting.iter().map(|w| w.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(again.message(Way::Email, &waiting[0]).unwrap(), Some(message("a", 1)));
        assert!(again.waiting(Way::Ntfy).unwrap().is_empty());
        let mode = again.file(Way::Email, &waiting[0]).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(dir.path().join("outbox/email").metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn one_id_waits_once() {
        let (_dir, outbox) = outbox();
        outbox.push(Way::Mqtt, &message("summary-1", 1), 100).unwrap();
        outbox.push(Way::Mqtt, &message("summary-1", 2), 200).unwrap();
        let waiting = outbox.waiting(Way::Mqtt).unwrap();
        assert_eq!((waiting.len(), waiting[0].since), (1, 100));
        assert_eq!(outbox.message(Way::Mqtt, &waiting[0]).unwrap(), Some(message("summary-1", 2)));
    }

    #[test]
    fn the_oldest_goes_where_too_many_wait_and_is_counted() {
        let (_dir, outbox) = outbox();
        for n in 0..70 {
            outbox.push(Way::Ntfy, &message(&format!("m{n}"), 1), n).unwrap();
        }
        let waiting = outbox.waiting(Way::Ntfy).unwrap();
        assert_eq!((waiting.len(), waiting[0].since), (MAX_WAITING, 6));
        assert_eq!(outbox.books(Way::Ntfy).dropped_full, 6);
        // By size: two of three megabytes fit beside a third, and nothing else.
        for n in 100..103 {
            outbox.push(Way::Email, &message(&format!("m{n}"), 3 << 20), n).unwrap();
        }
        assert_eq!(outbox.waiting(Way::Email).unwrap().len(), 2);
        outbox.push(Way::Email, &message("huge", 9 << 20), 200).unwrap();
        let books = outbox.books(Way::Email);
        assert_eq!(
            (books.dropped_full, books.dropped(), outbox.waiting(Way::Email).unwrap().len()),
            (2, 2, 2)
        );
    }

    #[test]
    fn a_broken_file_is_counted_and_does_not_stop_the_others() {
        let (_dir, outbox) = outbox();
        outbox.push(Way::Email, &message("a", 1), 100).unwrap();
        let waiting = outbox.waiting(Way::Email).unwrap();
        std::fs::write(outbox.file(Way::Email, &waiting[0]), "{").unwrap();
        assert_eq!(outbox.message(Way::Email, &waiting[0]).unwrap(), None);
        assert_eq!(outbox.books(Way::Email).dropped_broken, 1);
        assert!(outbox.waiting(Way::Email).unwrap().is_empty());
    }
}
