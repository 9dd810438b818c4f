//! The SQLite thread: the one writer, asked by message so that a slow disk never keeps the daemon from counting.

use crate::store::{Appended, Writer};
use anyhow::Context;
use gateway_core::row::{Batch, EpochId};
use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};
use tokio::sync::oneshot;

/// How many requests may wait. The daemon waits for every answer, so there is never more than one.
const MAX_WAITING: usize = 1;

enum Request {
    Append(Arc<Batch>, oneshot::Sender<anyhow::Result<Appended>>),
    IsDrained(EpochId, oneshot::Sender<anyhow::Result<bool>>),
    LastEpoch(String, u64, oneshot::Sender<anyhow::Result<Option<u64>>>),
    SetTablesDate(String, oneshot::Sender<()>),
}

/// The way to the thread.
pub struct Journal {
    requests: mpsc::SyncSender<Request>,
    thread: JoinHandle<()>,
}

impl Journal {
    /// Opens the database and starts the thread.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let writer = Writer::open(path)?;
        let (requests, inbox) = mpsc::sync_channel(MAX_WAITING);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || serve(writer, &inbox))
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

fn serve(mut writer: Writer, inbox: &mpsc::Receiver<Request>) {
    // An asker that went away needs no answer.
    while let Ok(request) = inbox.recv() {
        match request {
            Request::Append(batch, reply) => {
                let _ = reply.send(writer.append(&batch));
            }
            Request::IsDrained(epoch, reply) => {
                let _ = reply.send(writer.is_drained(&epoch));
            }
            Request::LastEpoch(boot_id, table_id, reply) => {
                let _ = reply.send(writer.last_epoch(&boot_id, table_id));
            }
            Request::SetTablesDate(date, reply) => {
                writer.set_tables_date((!date.is_empty()).then_some(date.as_str()));
                let _ = reply.send(());
            }
        }
    }
}
