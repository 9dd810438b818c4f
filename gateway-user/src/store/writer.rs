//! Batches to SQLite, each exactly once. Checks nothing about the traffic: the pipeline has.

use super::answers::Answers;
use super::append::{Others, append};
use super::column::{count, table_id};
use super::ids::Ids;
use super::{memory, open};
use anyhow::Context;
use gateway_core::row::{Batch, EpochId, Memory, OpenConversation};
use gateway_core::units::{ClockPair, Mac, WallTime};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::Path;

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Appended {
    /// It is in the database now.
    Stored,
    /// Its epoch was in the journal already; nothing was changed.
    AlreadyThere,
}

/// The one that writes. Owned by one thread; `Send`, so that the thread may be any.
#[derive(Debug)]
pub struct Writer {
    pub(super) db: Connection,
    pub(super) ids: Ids,
    answers: Answers,
    others: Others,
    tables_date: Option<String>,
    late_names_missed: u64,
    /// The local day up to which usual days were looked for.
    pub(super) usual_until: Option<WallTime>,
}

impl Writer {
    /// Opens the database at `path`, makes it where it is missing (file 0600, directory 0700), and brings an older
    /// schema up to date.
    ///
    /// # Errors
    /// One line with the path: it cannot be written, is no SQLite file, is another program's, or has a schema newer
    /// than this program's.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(Self::with(open::for_writing(path)?))
    }

    /// A database in memory, gone when the writer is.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn open_in_memory() -> anyhow::Result<Self> {
        Ok(Self::with(open::in_memory()?))
    }

    fn with(db: Connection) -> Self {
        Self {
            db,
            ids: Ids::default(),
            answers: Answers::default(),
            others: Others::default(),
            tables_date: None,
            late_names_missed: 0,
            usual_until: None,
        }
    }

    /// The date of the tables that the networks of the batches to come are from, for example `2026-11`.
    pub fn set_tables_date(&mut self, date: Option<&str>) {
        self.tables_date = date.map(ToOwned::to_owned);
    }

    /// Writes a batch with its line in the journal in one transaction: either all of it is in the database when this
    /// returns, or nothing. Late names are applied and undated intervals of the same boot are dated in the same
    /// transaction.
    ///
    /// # Errors
    /// A count beyond 2^63 - 1, or the disk; the database is then as it was.
    pub fn append(&mut self, batch: &Batch) -> anyhow::Result<Appended> {
        let Self { db, ids, answers, others, tables_date, late_names_missed, .. } = self;
        let appended = append(db, (ids, answers, others), tables_date.as_deref(), batch);
        match appended {
            Ok(Some(missed)) => {
                *late_names_missed += missed;
                Ok(Appended::Stored)
            }
            Ok(None) => Ok(Appended::AlreadyThere),
            Err(error) => {
                ids.forget();
                answers.forget();
                Err(error).with_context(|| format!("store the drain {}", batch.epoch.epoch))
            }
        }
    }

    /// Keeps the conversations that are under way, and what was waiting of the DNS's answers, for the daemon that starts next over the same kernel tables. The
    /// next interval that is stored makes them old, and takes them away.
    ///
    /// # Errors
    /// If the database cannot be written; what was kept before is then still there.
    pub fn keep_conversations(
        &mut self,
        boot_id: &str,
        table_id: u64,
        conversations: &[OpenConversation],
    ) -> anyhow::Result<()> {
        let Self { db, ids, answers, others, .. } = self;
        let of = EpochId { boot_id: boot_id.to_owned(), table_id, epoch: 0 };
        let mut keep = || -> anyhow::Result<()> {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            others.notice(&tx, ids, answers)?;
            memory::keep(&tx, ids, &of, conversations)?;
            answers.settle(&tx)?;
            Ok(tx.commit()?)
        };
        let kept = keep().context("store the conversations that are under way");
        if kept.is_err() {
            self.ids.forget();
            self.answers.forget();
        }
        kept
    }

    /// What a daemon that starts at `now` in this boot, over these tables, should know of the time before it: the
    /// answers that still vouch, and the conversations that were under way when the last one stopped in good order.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn memory(
        &self,
        boot_id: &str,
        table_id: u64,
        now: ClockPair,
        is_clock_set: bool,
    ) -> anyhow::Result<Memory> {
        memory::recall(&self.db, boot_id, table_id, now, is_clock_set)
            .context("read what was known before the last stop")
    }

    /// How many late names found no row to mend, or one with less volume than they spoke of, since this writer was
    /// opened. Their volume stays where it is.
    #[must_use]
    pub fn late_names_missed(&self) -> u64 {
        self.late_names_missed
    }

    /// Is this drain in the journal?
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn is_drained(&self, epoch: &EpochId) -> anyhow::Result<bool> {
        let number = count(epoch.epoch, "an epoch")?;
        let is_there = self
            .db
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM origin JOIN interval ON interval.origin = origin.id \
                 WHERE boot_id = ?1 AND table_id = ?2 AND epoch >= ?3 AND COALESCE(first_epoch, epoch) <= ?3)",
            )?
            .query_row(params![epoch.boot_id, table_id(epoch), number], |row| row.get(0))
            .context("look a drain up in the journal")?;
        Ok(is_there)
    }

    /// Packets and bytes that a drain in the journal has seen; `None` if it is not there, or is added up with others.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn seen(&self, epoch: &EpochId) -> anyhow::Result<Option<(u64, u64)>> {
        let number = count(epoch.epoch, "an epoch")?;
        let seen: Option<(i64, i64)> = self
            .db
            .prepare_cached(
                "SELECT packets, COALESCE(bytes, 0) FROM ledger JOIN interval ON interval.id = ledger.interval \
                 JOIN origin ON origin.id = interval.origin \
                 WHERE boot_id = ? AND table_id = ? AND epoch = ? AND grain = 0 AND counter = 'seen'",
            )?
            .query_row(params![epoch.boot_id, table_id(epoch), number], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .context("look up what a drain in the journal has seen")?;
        Ok(seen.map(|(packets, bytes)| (packets.cast_unsigned(), bytes.cast_unsigned())))
    }

    /// The latest drain of these tables in the journal.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_epoch(&self, boot_id: &str, table_id: u64) -> anyhow::Result<Option<u64>> {
        let latest: Option<i64> = self
            .db
            .prepare_cached(
                "SELECT MAX(epoch) FROM interval WHERE origin = \
                 (SELECT id FROM origin WHERE boot_id = ? AND table_id = ?)",
            )?
            .query_row(params![boot_id, table_id.cast_signed()], |row| row.get(0))
            .context("look up the last drain in the journal")?;
        Ok(latest.map(i64::cast_unsigned))
    }

    /// The tables of a boot (or of a replayed capture) that have drains in the journal.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn table_ids(&self, boot_id: &str) -> anyhow::Result<Vec<u64>> {
        let read = || {
            self.db
                .prepare_cached("SELECT table_id FROM origin WHERE boot_id = ? ORDER BY table_id")?
                .query_map([boot_id], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))?
                .collect::<rusqlite::Result<_>>()
        };
        read().context("look up the tables in the journal")
    }

    /// Gives a device the user's own name for it, or takes that away. A device never seen may be given one.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn set_label(&mut self, mac: Mac, label: Option<&str>) -> anyhow::Result<()> {
        self.db
            .execute(
                "INSERT INTO device (mac, label) VALUES (?, ?) ON CONFLICT (mac) DO UPDATE SET label = excluded.label",
                params![&mac.0[..], label],
            )
            .with_context(|| format!("label the device {mac}"))?;
        Ok(())
    }

    /// One transaction: all of it, or nothing.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&tx)?;
        tx.commit()?;
        Ok(done)
    }
}
