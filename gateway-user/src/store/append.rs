//! One batch in one transaction: its line in the journal, its rows, its ledger, and what it brought besides.

use super::answers::Answers;
use super::column::{count, counts, table_id};
use super::ids::Ids;
use super::{late, memory, sightings};
use gateway_core::row::{Batch, EpochId, FlowRow, Interval, LedgerLine, RowKey};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, TransactionBehavior, params};

/// Adds to the row of this key; makes it where there is none.
const ADD_TO_ROW: &str = "INSERT INTO flow (interval, device, peer, port, protocol, kind, opened_by, name, \
     evidence, marks, application, up_bytes, down_bytes, up_packets, down_packets, conversations, answer_secs) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
     ON CONFLICT DO UPDATE SET up_bytes = up_bytes + excluded.up_bytes, \
     down_bytes = down_bytes + excluded.down_bytes, up_packets = up_packets + excluded.up_packets, \
     down_packets = down_packets + excluded.down_packets, conversations = conversations + excluded.conversations, \
     answer_secs = MAX(COALESCE(answer_secs, excluded.answer_secs), COALESCE(excluded.answer_secs, answer_secs))";

/// What other connections do to the file meanwhile.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// SQLite's own number: another one once another connection has committed.
    data_version: i64,
}

impl Others {
    /// Forgets what is remembered of numbers if somebody else has written since. `telltale db forget` frees numbers, and a
    /// name or a device that comes next may get one of them: what is remembered would then speak of another.
    pub(super) fn notice(
        &mut self,
        tx: &Transaction<'_>,
        ids: &mut Ids,
        answers: &mut Answers,
    ) -> rusqlite::Result<()> {
        let now = tx.query_row("PRAGMA data_version", [], |row| row.get(0))?;
        if now != self.data_version {
            self.data_version = now;
            ids.forget();
            answers.forget();
        }
        Ok(())
    }
}

/// `None` if the batch was there already, else how many late names missed.
pub(super) fn append(
    db: &mut Connection,
    (ids, told, others): (&mut Ids, &mut Answers, &mut Others),
    tables_date: Option<&str>,
    batch: &Batch,
) -> anyhow::Result<Option<u64>> {
    let Batch { epoch, interval, rows, ledger, networks, devices, aliases, answers, late_names } = batch;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    others.notice(&tx, ids, told)?;
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
