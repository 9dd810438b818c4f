//! Batches to SQLite, each exactly once. Checks nothing about the traffic: the pipeline has.

use super::answers::Answers;
use super::column::{count, counts, table_id};
use super::ids::Ids;
use super::{late, memory, open, sightings};
use anyhow::Context;
use gateway_core::row::{Batch, EpochId, FlowRow, Interval, LedgerLine, Memory, OpenConversation, RowKey};
use gateway_core::units::{ClockPair, Mac};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::Path;

/// Adds to the row of this key; makes it where there is none.
const ADD_TO_ROW: &str = "INSERT INTO flow (interval, device, peer, port, protocol, kind, opened_by, name, \
     evidence, marks, application, up_bytes, down_bytes, up_packets, down_packets, conversations, answer_secs) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
     ON CONFLICT DO UPDATE SET up_bytes = up_bytes + excluded.up_bytes, \
     down_bytes = down_bytes + excluded.down_bytes, up_packets = up_packets + excluded.up_packets, \
     down_packets = down_packets + excluded.down_packets, conversations = conversations + excluded.conversations, \
     answer_secs = MAX(COALESCE(answer_secs, excluded.answer_secs), COALESCE(excluded.answer_secs, answer_secs))";

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
    tables_date: Option<String>,
    late_names_missed: u64,
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
        Self { db, ids: Ids::default(), answers: Answers::default(), tables_date: None, late_names_missed: 0 }
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
        let Self { db, ids, answers, tables_date, late_names_missed } = self;
        let appended = append(db, ids, answers, tables_date.as_deref(), batch);
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
        let Self { db, ids, answers, .. } = self;
        let of = EpochId { boot_id: boot_id.to_owned(), table_id, epoch: 0 };
        let mut keep = || -> anyhow::Result<()> {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
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

/// `None` if the batch was there already, else how many late names missed.
fn append(
    db: &mut Connection,
    ids: &mut Ids,
    told: &mut Answers,
    tables_date: Option<&str>,
    batch: &Batch,
) -> anyhow::Result<Option<u64>> {
    let Batch { epoch, interval, rows, ledger, networks, devices, aliases, answers, late_names } = batch;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let origin = origin_of(&tx, epoch)?;
    let Some(id) = enter(&tx, origin, epoch, interval)? else { return Ok(None) };
    // A capture that is counted into the gateway's database makes nothing old of what the daemon kept.
    let is_replayed = memory::is_replayed(&epoch.boot_id);
    if !is_replayed {
        memory::forget_conversations(&tx)?;
    }
    if interval.is_clock_set {
        sightings::date_earlier(&tx, &epoch.boot_id, interval)?;
    }
    store_rows(&tx, ids, id, rows)?;
    store_ledger(&tx, id, ledger)?;
    for (addr, network) in networks {
        ids.set_network(&tx, *addr, network, tables_date)?;
    }
    for fact in devices {
        sightings::learn(&tx, ids, fact)?;
    }
    if interval.is_clock_set {
        sightings::see(&tx, id)?;
    }
    for alias in aliases {
        let device = ids.device(&tx, alias.device)?;
        let (name, alias) = (ids.name(&tx, Some(&alias.name))?, ids.name(&tx, Some(&alias.alias))?);
        tx.prepare_cached("INSERT OR IGNORE INTO alias (device, name, alias) VALUES (?, ?, ?)")?
            .execute([device, name, alias])?;
    }
    let dropped = told.enter(&tx, ids, (origin, is_replayed), interval, answers)?;
    let missed = late::apply(&tx, ids, late_names)?;
    for (counter, packets) in [("answers_dropped", dropped), ("late_names_missed", missed)] {
        if packets > 0 {
            store_ledger(&tx, id, &[LedgerLine { counter: counter.to_owned(), packets, bytes: None }])?;
        }
    }
    tx.commit()?;
    Ok(Some(missed))
}

pub(super) fn origin_of(tx: &Transaction<'_>, epoch: &EpochId) -> rusqlite::Result<i64> {
    let key = params![epoch.boot_id, table_id(epoch)];
    let found = tx
        .prepare_cached("SELECT id FROM origin WHERE boot_id = ? AND table_id = ?")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    match found {
        Some(id) => Ok(id),
        None => tx.prepare_cached("INSERT INTO origin (boot_id, table_id) VALUES (?, ?)")?.insert(key),
    }
}

/// Enters the drain in the journal; `None` if it is there.
fn enter(
    tx: &Transaction<'_>,
    origin: i64,
    epoch: &EpochId,
    interval: &Interval,
) -> anyhow::Result<Option<i64>> {
    let Interval { began_boot, ended_boot, began_at, ended_at, is_clock_set } = interval;
    // A run of drains has the number of its last one, and stands for those before it.
    let entered = tx
        .prepare_cached(
            "INSERT INTO interval (origin, epoch, began_boot_ns, ended_boot_ns, began_at, ended_at, is_clock_set) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS \
             (SELECT 1 FROM interval WHERE origin = ?1 AND epoch >= ?2 AND first_epoch <= ?2) ON CONFLICT (origin, epoch) DO NOTHING RETURNING id",
        )?
        .query_row(
            params![
                origin,
                count(epoch.epoch, "an epoch")?,
                count(began_boot.0, "a time since boot")?,
                count(ended_boot.0, "a time since boot")?,
                began_at.0,
                ended_at.0,
                is_clock_set
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(entered)
}

fn store_rows(tx: &Transaction<'_>, ids: &mut Ids, interval: i64, rows: &[FlowRow]) -> anyhow::Result<()> {
    let mut statement = tx.prepare_cached(ADD_TO_ROW)?;
    for FlowRow { key, volume, conversations, oldest_answer_secs } in rows {
        let place = Place::of(tx, ids, interval, key)?;
        place.add(
            &mut statement,
            counts(*volume)?,
            count(*conversations, "conversations")?,
            *oldest_answer_secs,
        )?;
    }
    Ok(())
}

fn store_ledger(tx: &Transaction<'_>, interval: i64, ledger: &[LedgerLine]) -> anyhow::Result<()> {
    let mut statement =
        tx.prepare_cached("INSERT INTO ledger (interval, counter, packets, bytes) VALUES (?, ?, ?, ?)")?;
    for LedgerLine { counter, packets, bytes } in ledger {
        let bytes = bytes.map(|b| count(b, "bytes of a ledger line")).transpose()?;
        statement.execute(params![interval, counter, count(*packets, "packets of a ledger line")?, bytes])?;
    }
    Ok(())
}

/// A row's place: the primary key of `flow`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) interval: i64,
    pub(super) device: i64,
    pub(super) peer: i64,
    pub(super) port: u16,
    pub(super) protocol: u8,
    pub(super) kind: u8,
    pub(super) opened_by: u8,
    pub(super) name: i64,
    pub(super) evidence: u8,
    pub(super) marks: u8,
    pub(super) application: u8,
}

impl Place {
    pub(super) fn of(db: &Connection, ids: &mut Ids, interval: i64, key: &RowKey) -> rusqlite::Result<Self> {
        let RowKey { device, peer, port, protocol, kind, opened_by, name, evidence, marks, application } =
            key;
        Ok(Self {
            interval,
            device: ids.device(db, *device)?,
            peer: ids.peer(db, *peer)?,
            port: *port,
            protocol: *protocol,
            kind: *kind as u8,
            opened_by: *opened_by as u8,
            name: ids.name(db, name.as_ref())?,
            evidence: *evidence as u8,
            marks: marks.number(),
            application: *application as u8,
        })
    }

    pub(super) fn add(
        self,
        statement: &mut CachedStatement<'_>,
        volume: [i64; 4],
        conversations: i64,
        answer_secs: Option<u32>,
    ) -> rusqlite::Result<()> {
        let Self {
            interval,
            device,
            peer,
            port,
            protocol,
            kind,
            opened_by,
            name,
            evidence,
            marks,
            application,
        } = self;
        let [up_bytes, down_bytes, up_packets, down_packets] = volume;
        statement.execute(params![
            interval,
            device,
            peer,
            port,
            protocol,
            kind,
            opened_by,
            name,
            evidence,
            marks,
            application,
            up_bytes,
            down_bytes,
            up_packets,
            down_packets,
            conversations,
            answer_secs
        ])?;
        Ok(())
    }

    /// [`Place::add`] for the seldom row.
    pub(super) fn add_one(
        self,
        db: &Connection,
        volume: [i64; 4],
        conversations: i64,
        answer_secs: Option<u32>,
    ) -> rusqlite::Result<()> {
        self.add(&mut db.prepare_cached(ADD_TO_ROW)?, volume, conversations, answer_secs)
    }
}
