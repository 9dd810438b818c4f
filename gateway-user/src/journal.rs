//! The SQLite thread: the one writer, asked by message so that a slow disk never keeps the daemon from counting.

use crate::clock;
use crate::store::{Appended, Ladder, Upkeep, Writer};
use anyhow::Context;
use gateway_core::row::{Batch, EpochId, LedgerLine, Memory, OpenConversation};
use gateway_core::units::ClockPair;
use jiff::tz::TimeZone;
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::oneshot;

/// How many requests may wait. The daemon waits for every answer, so there is never more than one.
const MAX_WAITING: usize = 1;

enum Request {
    Append(Arc<Batch>, oneshot::Sender<anyhow::Result<Appended>>),
    IsDrained(EpochId, oneshot::Sender<anyhow::Result<bool>>),
    LastEpoch(String, u64, oneshot::Sender<anyhow::Result<Option<u64>>>),
    Memory(String, u64, ClockPair, oneshot::Sender<anyhow::Result<Memory>>),
    Keep(String, u64, Vec<OpenConversation>, oneshot::Sender<anyhow::Result<()>>),
    SetTablesDate(String, oneshot::Sender<()>),
}

/// The way to the thread.
pub struct Journal {
    requests: mpsc::SyncSender<Request>,
    thread: JoinHandle<()>,
}

impl Journal {
    /// Opens the database and starts the thread, which adds old rows up by the ladder while nobody asks it anything.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn open(path: &Path, ladder: Ladder) -> anyhow::Result<Self> {
        let place = Place::open(path)?;
        let (requests, inbox) = mpsc::sync_channel(MAX_WAITING);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || serve(place, &ladder, &inbox))
            .context("start the database thread")?;
        Ok(Self { requests, thread })
    }

    /// Writes an interval.
    ///
    /// # Errors
    /// What the database says; the interval is then not in it.
    pub async fn append(&self, batch: Arc<Batch>) -> anyhow::Result<Appended> {
        self.ask(|reply| Request::Append(batch, reply)).await?
    }

    /// Is this interval in the database?
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_drained(&self, epoch: EpochId) -> anyhow::Result<bool> {
        self.ask(|reply| Request::IsDrained(epoch, reply)).await?
    }

    /// The last turn of these tables that is in the database.
    ///
    /// # Errors
    /// What the database says.
    pub async fn last_epoch(&self, boot_id: &str, table_id: u64) -> anyhow::Result<Option<u64>> {
        self.ask(|reply| Request::LastEpoch(boot_id.to_owned(), table_id, reply)).await?
    }

    /// What was known before the last stop and may still matter.
    ///
    /// # Errors
    /// What the database says.
    pub async fn memory(&self, boot_id: &str, table_id: u64, now: ClockPair) -> anyhow::Result<Memory> {
        self.ask(|reply| Request::Memory(boot_id.to_owned(), table_id, now, reply)).await?
    }

    /// Keeps the conversations that are under way, for the next start over these tables.
    ///
    /// # Errors
    /// What the database says.
    pub async fn keep(
        &self,
        boot_id: &str,
        table_id: u64,
        conversations: Vec<OpenConversation>,
    ) -> anyhow::Result<()> {
        self.ask(|reply| Request::Keep(boot_id.to_owned(), table_id, conversations, reply)).await?
    }

    /// The date of the tables that intervals are enriched from; noted beside what they say. Empty for none.
    ///
    /// # Errors
    /// When the thread has ended.
    pub async fn set_tables_date(&self, date: &str) -> anyhow::Result<()> {
        self.ask(|reply| Request::SetTablesDate(date.to_owned(), reply)).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> anyhow::Result<T> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).ok().context("ask the database thread, which has ended")?;
        answer.await.context("hear from the database thread, which has ended")
    }

    /// Ends the thread after what it is doing, which closes the database in good order.
    pub fn close(self) {
        let Self { requests, thread } = self;
        drop(requests);
        // A thread that panicked has said so; the process is about to end either way.
        let _ = thread.join();
    }
}

/// The database and the file it is in.
struct Place {
    path: PathBuf,
    /// Device and inode: tells whether the path still leads to the file that is open.
    file: (u64, u64),
    writer: Writer,
    tables_date: Option<String>,
}

impl Place {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let writer = Writer::open(path)?;
        let file = file_at(path).with_context(|| format!("look at the database {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file, writer, tables_date: None })
    }

    /// Opens the database anew if somebody removed or replaced the file: what is written to one that has no name
    /// is lost. True if that was so.
    fn follow_file(&mut self) -> anyhow::Result<bool> {
        if file_at(&self.path).is_ok_and(|file| file == self.file) {
            return Ok(false);
        }
        let mut fresh = Self::open(&self.path)?;
        fresh.writer.set_tables_date(self.tables_date.as_deref());
        fresh.tables_date = self.tables_date.take();
        *self = fresh;
        tracing::warn!("{} was removed or replaced; it goes on in a new one", self.path.display());
        Ok(true)
    }

    fn append(&mut self, batch: &Arc<Batch>) -> anyhow::Result<Appended> {
        if !self.follow_file()? {
            return self.writer.append(batch);
        }
        let mut batch = Batch::clone(batch);
        batch.ledger.push(LedgerLine { counter: "database_replaced".to_owned(), packets: 1, bytes: None });
        batch.ledger.sort();
        self.writer.append(&batch)
    }
}

fn file_at(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

/// How long nobody must have asked before a step of the upkeep is done.
const IDLE_FOR: Duration = Duration::from_millis(200);

/// What is due of the upkeep. A step is tried after each interval that was stored, and at once again while there is more.
struct Due {
    is_due: bool,
    said: Option<String>,
}

impl Due {
    fn step(&mut self, place: &mut Place, ladder: &Ladder) {
        self.is_due = false;
        let now = match clock::now() {
            Ok(now) if clock::is_set(now.wall) => now.wall,
            _ => return,
        };
        match place.writer.upkeep(ladder, &TimeZone::system(), now) {
            Ok(done) => {
                self.is_due = done != Upkeep::Nothing;
                self.said = None;
            }
            // A full disk: said once, tried again after the next interval.
            Err(error) => {
                let error = format!("{error:#}");
                if self.said.as_ref() != Some(&error) {
                    tracing::warn!("{error}; old rows stay as they are until it goes");
                }
                self.said = Some(error);
            }
        }
    }
}

fn serve(mut place: Place, ladder: &Ladder, inbox: &mpsc::Receiver<Request>) {
    let mut due = Due { is_due: false, said: None };
    // An asker that went away needs no answer.
    loop {
        let request = match due.is_due {
            true => inbox.recv_timeout(IDLE_FOR),
            false => inbox.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
        };
        let request = match request {
            Ok(request) => request,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                due.step(&mut place, ladder);
                continue;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        };
        match request {
            Request::Append(batch, reply) => {
                let appended = place.append(&batch);
                due.is_due |= appended.is_ok();
                let _ = reply.send(appended);
            }
            Request::IsDrained(epoch, reply) => {
                let _ = reply.send(place.writer.is_drained(&epoch));
            }
            Request::LastEpoch(boot_id, table_id, reply) => {
                let _ = reply.send(place.writer.last_epoch(&boot_id, table_id));
            }
            Request::Memory(boot_id, table_id, now, reply) => {
                let is_clock_set = clock::is_set(now.wall);
                let _ = reply.send(place.writer.memory(&boot_id, table_id, now, is_clock_set));
            }
            Request::Keep(boot_id, table_id, conversations, reply) => {
                let _ = reply.send(place.writer.keep_conversations(&boot_id, table_id, &conversations));
            }
            Request::SetTablesDate(date, reply) => {
                place.tables_date = (!date.is_empty()).then_some(date);
                place.writer.set_tables_date(place.tables_date.as_deref());
                let _ = reply.send(());
            }
        }
    }
}
