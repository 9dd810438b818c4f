//! Old rows are added up: the drains of an hour to one row each, later the hours of a day. Hours and midnights are the
//! gateway's own. Every step is one transaction that moves a stretch as a whole: what is added up is removed in it.
//!
//! Only drains that follow each other without a gap become one line of the journal, so that what nobody measured stays
//! to be seen.

use super::Writer;
use super::usual::unlearn;
use anyhow::Context;
use gateway_core::query::TimeRange;
use gateway_core::units::WallTime;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

const NANOS_PER_SEC: i64 = 1_000_000_000;
const HOUR_NS: i64 = 3_600 * NANOS_PER_SEC;
const DAY_NS: i64 = 24 * HOUR_NS;

/// A calendar that stepped by this much between two drains keeps them apart: readers must see the step.
const CLOCK_STEPPED_NS: u64 = 5 * NANOS_PER_SEC.unsigned_abs();

/// How much of the last time stays as it is however large the file grows: what is being looked at now.
const ALWAYS_RAW_NS: i64 = 2 * HOUR_NS;

/// Free pages, of all, from which on they are given back to the file system: below that they are soon used again, and
/// giving them back costs writes.
const FREE_SHARE: i64 = 4;
/// Pages given back at one step.
const PAGES_AT_ONCE: i64 = 512;

/// How long rows stand for one drain, one hour and one day each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ladder {
    /// Days for which each drain has rows of its own.
    pub raw_days: u32,
    /// Days for which each hour has; at least as many.
    pub hourly_days: u32,
    /// Days after which rows are removed; at least as many.
    pub daily_days: u32,
    /// Bytes that the database may use. Above it, rows go down the ladder earlier, the oldest and finest first.
    pub max_bytes: u64,
}

impl Default for Ladder {
    fn default() -> Self {
        Self { raw_days: 7, hourly_days: 35, daily_days: 730, max_bytes: 512 << 20 }
    }
}

/// For how long a line of the journal stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Grain {
    /// One drain.
    Drain = 0,
    /// Drains of one hour.
    Hour = 1,
    /// Drains of one day.
    Day = 2,
    /// Its rows are removed; the journal and the ledger stay.
    Gone = 3,
}

/// What one step of the upkeep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upkeep {
    /// There was nothing to do.
    Nothing,
    /// Rows that began in this stretch are of this grain now.
    Moved(Grain, TimeRange),
    /// What was usual on this day is kept now.
    Remembered(TimeRange),
    /// Free pages were given back to the file system.
    Shrunk,
}

/// A line of the journal.
#[derive(Clone, Copy, Debug)]
struct Line {
    id: i64,
    origin: i64,
    first_epoch: i64,
    epoch: i64,
    boot: (i64, i64),
    last_began_boot: i64,
    at: (i64, i64),
    is_clock_set: bool,
}

/// Which lines may go down the ladder.
#[derive(Clone, Copy)]
enum Which {
    /// Those with a date.
    Dated,
    /// Those without one too, if the gateway was started anew since: before that they may still get theirs.
    All,
}

impl Which {
    const fn condition(self) -> &'static str {
        match self {
            Self::Dated => "is_clock_set = 1",
            Self::All => "(is_clock_set = 1 OR origin <> (SELECT MAX(origin) FROM interval))",
        }
    }
}

/// Lines that become one.
#[derive(Debug)]
struct Run {
    whole: Line,
    ids: Vec<i64>,
}

impl Writer {
    /// Does one step of what is due at `now`, if anything is. Small enough that a drain may wait for it: an hour or a
    /// day of the calendar at most. To be called again until it says [`Upkeep::Nothing`].
    ///
    /// # Errors
    /// If the database cannot be written; it is then as it was.
    pub fn upkeep(&mut self, ladder: &Ladder, zone: &TimeZone, now: WallTime) -> anyhow::Result<Upkeep> {
        let done = self.step(ladder, zone, now).context("add old rows up");
        if done.is_err() {
            self.ids.forget();
        }
        done
    }

    fn step(&mut self, ladder: &Ladder, zone: &TimeZone, now: WallTime) -> anyhow::Result<Upkeep> {
        let before = |days: u32| now.0.saturating_sub(i64::from(days).saturating_mul(DAY_NS));
        let is_full = used_bytes(&self.db)? > i64::try_from(ladder.max_bytes).unwrap_or(i64::MAX);
        let steps = [
            (Grain::Drain, Grain::Hour, before(ladder.raw_days), now.0 - ALWAYS_RAW_NS),
            (Grain::Hour, Grain::Day, before(ladder.hourly_days.max(ladder.raw_days)), now.0 - DAY_NS),
            (Grain::Day, Grain::Gone, before(ladder.daily_days.max(ladder.hourly_days)), now.0 - DAY_NS),
        ];
        // What has no date has no age. It waits until there is no room, and then goes before what has one.
        let by_age = steps.map(|(from, to, due, _)| (from, to, due, Which::Dated));
        let by_room = steps.map(|(from, to, _, due)| (from, to, due, Which::All));
        for (from, to, due, which) in by_age.into_iter().chain(by_room.into_iter().filter(|_| is_full)) {
            if let Some(stretch) = self.oldest(from, to, zone, due, which)? {
                return self.step_down(from, to, stretch, which);
            }
        }
        if let Some(day) = self.remember_day(zone, now)? {
            return Ok(Upkeep::Remembered(day));
        }
        self.shrink()
    }

    /// The oldest stretch of rows of one grain that ends by `due`, as long as the next grain's are.
    fn oldest(
        &self,
        from: Grain,
        to: Grain,
        zone: &TimeZone,
        due: i64,
        which: Which,
    ) -> anyhow::Result<Option<TimeRange>> {
        let sql = format!(
            "SELECT began_at FROM interval WHERE grain = ? AND began_at < ? AND {} ORDER BY began_at LIMIT 1",
            which.condition()
        );
        let oldest: Option<i64> =
            self.db.prepare_cached(&sql)?.query_row([from as i64, due], |row| row.get(0)).optional()?;
        let Some(oldest) = oldest else { return Ok(None) };
        let stretch = stretch_of(oldest, to, zone)?;
        Ok((stretch.until.0 <= due).then_some(stretch))
    }

    fn step_down(
        &mut self,
        from: Grain,
        to: Grain,
        stretch: TimeRange,
        which: Which,
    ) -> anyhow::Result<Upkeep> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if to == Grain::Gone {
            expire(&tx, from, stretch, which)?;
        } else {
            for run in runs(lines(&tx, from, stretch, which)?) {
                fold(&tx, &run, to)?;
            }
        }
        tx.commit()?;
        if to == Grain::Day {
            self.drop_peers()?;
        }
        Ok(Upkeep::Moved(to, stretch))
    }

    /// Removes the addresses that no row has any more. Without the check of who points to them, which would search all
    /// rows for each: the condition is that check. A crash before it leaves them for the next time.
    fn drop_peers(&mut self) -> anyhow::Result<()> {
        self.ids.forget();
        self.db.pragma_update(None, "foreign_keys", false)?;
        let sql = "DELETE FROM peer WHERE addr IS NOT NULL AND id NOT IN (SELECT peer FROM flow)";
        let dropped = self.db.execute(sql, []);
        self.db.pragma_update(None, "foreign_keys", true)?;
        dropped.context("remove addresses that no row has")?;
        Ok(())
    }

    fn shrink(&mut self) -> anyhow::Result<Upkeep> {
        let read = |pragma| self.db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let (free, pages, mode) = (read("freelist_count")?, read("page_count")?, read("auto_vacuum")?);
        // 2: incremental. A file from before it knew that is shrunk by `telltale db vacuum`.
        if mode != 2 || free < PAGES_AT_ONCE || free.saturating_mul(FREE_SHARE) < pages {
            return Ok(Upkeep::Nothing);
        }
        self.db.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
        Ok(Upkeep::Shrunk)
    }
}

/// Bytes of the pages in use.
fn used_bytes(db: &Connection) -> rusqlite::Result<i64> {
    let read = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    Ok((read("page_count")? - read("freelist_count")?).saturating_mul(read("page_size")?))
}

/// The hour or the day of the zone that a moment is in.
pub(super) fn stretch_of(at: i64, grain: Grain, zone: &TimeZone) -> anyhow::Result<TimeRange> {
    let local = Timestamp::from_nanosecond(at.into())?.to_zoned_datetime(zone.clone());
    let (since, until) = if grain == Grain::Hour {
        // The minutes into the local hour; an hour has sixty, whatever the clocks are put to in it.
        let into = (i64::from(local.minute()) * 60 + i64::from(local.second())) * NANOS_PER_SEC;
        let since = at - into - i64::from(local.subsec_nanosecond());
        (since, since.saturating_add(HOUR_NS))
    } else {
        let since = local.start_of_day()?;
        let until = since.checked_add(1.day())?.start_of_day()?;
        let nanos = |day: &jiff::ZonedDateTime| i64::try_from(day.timestamp().as_nanosecond());
        (nanos(&since)?, nanos(&until)?)
    };
    Ok(TimeRange { since: WallTime(since), until: WallTime(until) })
}

fn lines(tx: &Transaction<'_>, grain: Grain, stretch: TimeRange, which: Which) -> anyhow::Result<Vec<Line>> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT id, origin, COALESCE(first_epoch, epoch), epoch, began_boot_ns, ended_boot_ns, \
         COALESCE(last_began_boot_ns, began_boot_ns), began_at, ended_at, is_clock_set FROM interval \
         WHERE grain = ? AND began_at >= ? AND began_at < ? AND {} ORDER BY origin, epoch",
        which.condition()
    ))?;
    let found = statement.query_map([grain as i64, stretch.since.0, stretch.until.0], |row| {
        Ok(Line {
            id: row.get(0)?,
            origin: row.get(1)?,
            first_epoch: row.get(2)?,
            epoch: row.get(3)?,
            boot: (row.get(4)?, row.get(5)?),
            last_began_boot: row.get(6)?,
            at: (row.get(7)?, row.get(8)?),
            is_clock_set: row.get(9)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Puts lines together that follow each other: next drain, same steady clock, same calendar.
fn runs(lines: Vec<Line>) -> Vec<Run> {
    let mut runs = Vec::<Run>::new();
    for line in lines {
        match runs.last_mut() {
            Some(Run { whole, ids }) if goes_on(whole, &line) => {
                whole.epoch = line.epoch;
                whole.boot.1 = line.boot.1;
                whole.last_began_boot = line.last_began_boot;
                whole.at.1 = line.at.1.max(whole.at.1);
                ids.push(line.id);
            }
            _ => runs.push(Run { whole: line, ids: vec![line.id] }),
        }
    }
    runs
}

fn goes_on(run: &Line, next: &Line) -> bool {
    run.origin == next.origin
        && run.is_clock_set == next.is_clock_set
        && run.epoch.checked_add(1) == Some(next.first_epoch)
        && run.boot.1 == next.boot.0
        && run.at.1.abs_diff(next.at.0) < CLOCK_STEPPED_NS
}

/// The rows of the intervals `?2`, a list in JSON, added up under the interval `?1`.
const ADD_HOUR_UP: &str = "INSERT INTO flow SELECT ?1, device, peer, port, protocol, kind, opened_by, name, evidence, \
     marks, application, SUM(up_bytes), SUM(down_bytes), SUM(up_packets), SUM(down_packets), SUM(conversations), \
     MAX(answer_secs) FROM flow WHERE interval IN (SELECT value FROM json_each(?2)) \
     GROUP BY device, peer, port, protocol, kind, opened_by, name, evidence, marks, application";

/// The same by the day: of a peer that has a name only its network stays, and neither port nor who opened. One without a
/// name keeps its address and port, which are all that is known of it.
const ADD_DAY_UP: &str = "INSERT INTO flow \
     WITH coarse AS MATERIALIZED (SELECT p.id AS peer, n.id AS network FROM peer p JOIN peer n ON n.addr IS NULL \
     AND n.asn IS p.asn AND n.country IS p.country AND n.organisation IS p.organisation \
     AND n.registered_country IS p.registered_country AND n.network_marks = p.network_marks \
     WHERE p.id IN (SELECT peer FROM flow WHERE interval IN (SELECT value FROM json_each(?2)) AND name <> 0)) \
     SELECT ?1, device, IIF(name = 0, flow.peer, network), IIF(name = 0, port, 0), protocol, kind, \
     IIF(name = 0, opened_by, 0), name, evidence, marks, application, SUM(up_bytes), SUM(down_bytes), \
     SUM(up_packets), SUM(down_packets), SUM(conversations), MAX(answer_secs) \
     FROM flow LEFT JOIN coarse ON coarse.peer = flow.peer WHERE interval IN (SELECT value FROM json_each(?2)) \
     GROUP BY 2, 3, 4, 5, 6, 7, 8, 9, 10, 11";

/// A line for each network that the named rows of the intervals `?1` need and that has none.
const ADD_NETWORKS: &str = "INSERT INTO peer (asn, organisation, country, registered_country, network_marks, as_of) \
     SELECT asn, organisation, country, registered_country, network_marks, MAX(as_of) FROM peer p \
     WHERE id IN (SELECT peer FROM flow WHERE interval IN (SELECT value FROM json_each(?1)) AND name <> 0) \
     AND NOT EXISTS (SELECT 1 FROM peer n WHERE n.addr IS NULL AND n.asn IS p.asn AND n.country IS p.country \
     AND n.organisation IS p.organisation AND n.registered_country IS p.registered_country \
     AND n.network_marks = p.network_marks) \
     GROUP BY asn, organisation, country, registered_country, network_marks";

/// Makes one line of the journal of a run, with its rows and its ledger.
fn fold(tx: &Transaction<'_>, run: &Run, to: Grain) -> anyhow::Result<()> {
    let Run { whole, ids } = run;
    if let ([id], Grain::Hour) = (ids.as_slice(), to) {
        // Its rows are what they would be added up to.
        tx.prepare_cached(
            "UPDATE interval SET grain = 1, first_epoch = epoch, last_began_boot_ns = began_boot_ns WHERE id = ?",
        )?
        .execute([id])?;
        return Ok(());
    }
    let list = serde_json::to_string(ids)?;
    let Line { origin, first_epoch, epoch, boot, last_began_boot, at, is_clock_set, .. } = whole;
    // Its number is taken until those that it stands for are gone; no drain has one below zero.
    let id = tx
        .prepare_cached(
            "INSERT INTO interval (origin, epoch, first_epoch, began_boot_ns, ended_boot_ns, last_began_boot_ns, \
             began_at, ended_at, is_clock_set, grain) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .insert(params![
            origin,
            -epoch - 1,
            first_epoch,
            boot.0,
            boot.1,
            last_began_boot,
            at.0,
            at.1,
            is_clock_set,
            to as u8
        ])?;
    if to == Grain::Day {
        tx.prepare_cached(ADD_NETWORKS)?.execute([&list])?;
        tx.prepare_cached(ADD_DAY_UP)?.execute(params![id, list])?;
    } else {
        tx.prepare_cached(ADD_HOUR_UP)?.execute(params![id, list])?;
    }
    tx.prepare_cached(
        "INSERT INTO ledger SELECT ?1, counter, SUM(packets), SUM(bytes) FROM ledger \
         WHERE interval IN (SELECT value FROM json_each(?2)) GROUP BY counter",
    )?
    .execute(params![id, list])?;
    for sql in [
        "DELETE FROM flow WHERE interval IN (SELECT value FROM json_each(?))",
        "DELETE FROM ledger WHERE interval IN (SELECT value FROM json_each(?))",
        "DELETE FROM interval WHERE id IN (SELECT value FROM json_each(?))",
    ] {
        tx.prepare_cached(sql)?.execute([&list])?;
    }
    tx.prepare_cached("UPDATE interval SET epoch = ? WHERE id = ?")?.execute([*epoch, id])?;
    Ok(())
}

/// Removes the rows of a stretch. What they held is said in the ledger, so that the account still adds up.
fn expire(tx: &Transaction<'_>, from: Grain, stretch: TimeRange, which: Which) -> anyhow::Result<()> {
    unlearn(tx, stretch)?;
    for line in lines(tx, from, stretch, which)? {
        tx.prepare_cached(
            "INSERT INTO ledger SELECT ?1, 'expired', packets, bytes FROM (SELECT SUM(up_packets + down_packets) \
             AS packets, SUM(up_bytes + down_bytes) AS bytes FROM flow WHERE interval = ?1) WHERE packets IS NOT NULL",
        )?
        .execute([line.id])?;
        tx.prepare_cached("DELETE FROM flow WHERE interval = ?")?.execute([line.id])?;
        tx.prepare_cached("UPDATE interval SET grain = ? WHERE id = ?")?
            .execute(params![Grain::Gone as u8, line.id])?;
    }
    Ok(())
}
