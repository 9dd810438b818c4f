//! What was usual on each of the last days, kept so that a summary need not read a month of rows.
//!
//! It is made of rows and never instead of them. A day counts as long as the lines of the journal that began in it are
//! those it was made of; what changes rows in place ([late names](super::late), expiry, forgetting) takes it away.

use super::Writer;
use super::reader::Reader;
use super::roll_up::{Grain, stretch_of};
use anyhow::Context;
use gateway_core::query::TimeRange;
use gateway_core::row::{Marks, RowKind};
use gateway_core::units::WallTime;
use jiff::tz::TimeZone;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

/// Days that are kept: as many as a summary of yesterday compares with, and yesterday.
const KEPT_DAYS: usize = 31;

/// A day is made so long after its end: names that come late have come by then.
const SETTLED_NS: i64 = 3_600_000_000_000;

/// Of the lines of the journal that began in a stretch: how many, and the sum of their numbers.
const MADE_OF: &str =
    "SELECT COUNT(*), COALESCE(SUM(id), 0) FROM interval WHERE began_at >= ?1 AND began_at < ?2";

const ADD_SENT: &str = "INSERT INTO usual_sent SELECT ?1, device, name, COALESCE(p.asn, -1), marks & ?4, application, \
     SUM(up_bytes) FROM flow f LEFT JOIN peer p ON p.id = f.peer AND f.name = 0 \
     WHERE interval IN (SELECT id FROM interval WHERE began_at >= ?2 AND began_at < ?3) AND kind IN (?5, ?6) \
     GROUP BY 2, 3, 4, 5, 6";

/// `?4` are the hours, a list of pairs in JSON.
const ADD_HOURS: &str = "INSERT INTO usual_hour \
     WITH hour AS MATERIALIZED (SELECT value ->> 0 AS since, value ->> 1 AS until FROM json_each(?4)), \
     line AS MATERIALIZED (SELECT i.id, h.since FROM interval i JOIN hour h \
     ON i.began_at >= h.since AND i.began_at < h.until \
     AND COALESCE(i.began_at + i.last_began_boot_ns - i.began_boot_ns, i.began_at) < h.until \
     WHERE i.began_at >= ?2 AND i.began_at < ?3) \
     SELECT ?1, device, since, SUM(up_bytes), SUM(down_bytes) FROM line JOIN flow f ON f.interval = line.id \
     WHERE kind IN (?5, ?6) GROUP BY 2, 3";

impl Writer {
    /// Makes one of the days that are missing, the latest first; answers which. Looks once for each local day, and once
    /// after the start: rows of old days are added up all day long, and what was made of them would be made again.
    pub(super) fn remember_day(
        &mut self,
        zone: &TimeZone,
        now: WallTime,
    ) -> anyhow::Result<Option<TimeRange>> {
        let today = stretch_of(now.0.saturating_sub(SETTLED_NS), Grain::Day, zone)?.since;
        if self.usual_until == Some(today) {
            return Ok(None);
        }
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut until = today;
        for _ in 0..KEPT_DAYS {
            let day = stretch_of(until.0.saturating_sub(1), Grain::Day, zone)?;
            until = day.since;
            let made_of = made_of(&tx, day)?;
            if made_of.0 > 0 && !is_made(&tx, day, made_of)? {
                make(&tx, day, made_of, zone)?;
                tx.commit()?;
                return Ok(Some(day));
            }
        }
        let past = TimeRange { since: WallTime(i64::MIN), until };
        if tx
            .query_row("SELECT EXISTS (SELECT 1 FROM usual_day WHERE until <= ?)", [until.0], |r| r.get(0))?
        {
            unlearn(&tx, past)?;
            tx.commit()?;
        }
        self.usual_until = Some(today);
        Ok(None)
    }
}

fn made_of(db: &Connection, day: TimeRange) -> rusqlite::Result<(i64, i64)> {
    db.prepare_cached(MADE_OF)?.query_row([day.since.0, day.until.0], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn is_made(db: &Connection, day: TimeRange, made_of: (i64, i64)) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM usual_day WHERE since = ? AND until = ? AND intervals = ? AND id_sum = ?)";
    let values = [day.since.0, day.until.0, made_of.0, made_of.1];
    db.prepare_cached(sql)?.query_row(values, |row| row.get(0))
}

fn make(tx: &Transaction<'_>, day: TimeRange, made_of: (i64, i64), zone: &TimeZone) -> anyhow::Result<()> {
    unlearn(tx, day)?;
    let id = tx
        .prepare_cached("INSERT INTO usual_day (since, until, intervals, id_sum) VALUES (?, ?, ?, ?)")?
        .insert([day.since.0, day.until.0, made_of.0, made_of.1])?;
    let (since, until) = (day.since.0, day.until.0);
    let routed = [RowKind::Flow, RowKind::LaterFragments].map(|kind| kind as u8);
    let withheld = Marks::WITHHELD.number();
    tx.prepare_cached(ADD_SENT)?.execute(params![id, since, until, withheld, routed[0], routed[1]])?;
    let hours = serde_json::to_string(&hours_of(day, zone)?)?;
    tx.prepare_cached(ADD_HOURS)?.execute(params![id, since, until, hours, routed[0], routed[1]])?;
    Ok(())
}

fn hours_of(day: TimeRange, zone: &TimeZone) -> anyhow::Result<Vec<(i64, i64)>> {
    let mut hours = Vec::new();
    let mut at = day.since.0;
    while at < day.until.0 {
        let until = stretch_of(at, Grain::Hour, zone)?.until.0.min(day.until.0);
        hours.push((at, until));
        at = until;
    }
    Ok(hours)
}

/// Takes away the days that have any time in common with a stretch.
pub(super) fn unlearn(db: &Connection, stretch: TimeRange) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM usual_sent WHERE day IN (SELECT id FROM usual_day WHERE since < ?2 AND until > ?1)",
        "DELETE FROM usual_hour WHERE day IN (SELECT id FROM usual_day WHERE since < ?2 AND until > ?1)",
        "DELETE FROM usual_day WHERE since < ?2 AND until > ?1",
    ] {
        db.prepare_cached(sql)?.execute([stretch.since.0, stretch.until.0])?;
    }
    Ok(())
}

/// Takes away the day that an interval began in.
pub(super) fn unlearn_interval(db: &Connection, interval: i64) -> rusqlite::Result<()> {
    let sql = "SELECT since, until FROM usual_day JOIN interval ON began_at >= since AND began_at < until WHERE interval.id = ?";
    let mut statement = db.prepare_cached(sql)?;
    let days = statement.query_map([interval], |row| {
        Ok(TimeRange { since: WallTime(row.get(0)?), until: WallTime(row.get(1)?) })
    })?;
    days.collect::<Result<Vec<_>, _>>()?.into_iter().try_for_each(|day| unlearn(db, day))
}

impl Reader {
    /// The days within a range that are kept and still hold, by their time.
    pub(super) fn usual_days(&self, range: TimeRange) -> anyhow::Result<Vec<(i64, TimeRange)>> {
        let sql = "SELECT id, since, until FROM usual_day d WHERE since >= ?1 AND until <= ?2 AND (intervals, id_sum) = \
                   (SELECT COUNT(*), COALESCE(SUM(i.id), 0) FROM interval i WHERE i.began_at >= d.since \
                   AND i.began_at < d.until) ORDER BY since";
        self.all(sql, [range.since.0.into(), range.until.0.into()], |row| {
            Ok((row.get(0)?, TimeRange { since: WallTime(row.get(1)?), until: WallTime(row.get(2)?) }))
        })
        .context("read which days are kept")
    }

    /// Days that hold but do not say what their rows say: a line each.
    pub(super) fn usual_faults(&self) -> anyhow::Result<Vec<String>> {
        let mut faults = Vec::new();
        for (id, day) in self.usual_days(TimeRange::EVER)? {
            let sql = "SELECT COALESCE((SELECT SUM(up_bytes) FROM usual_sent WHERE day = ?1), 0), \
                       COALESCE((SELECT SUM(up_bytes) FROM flow WHERE interval IN (SELECT id FROM interval \
                       WHERE began_at >= ?2 AND began_at < ?3) AND kind IN (?4, ?5)), 0)";
            let routed = [RowKind::Flow, RowKind::LaterFragments].map(|kind| i64::from(kind as u8));
            let values = [id, day.since.0, day.until.0, routed[0], routed[1]].map(Into::into);
            let (kept, rows): (i64, i64) = self.one(sql, values, |row| Ok((row.get(0)?, row.get(1)?)))?;
            if kept != rows {
                faults.push(format!(
                    "the day that began at {} is kept with {kept} bytes sent, its rows have {rows}",
                    day.since.0
                ));
            }
        }
        Ok(faults)
    }
}

/// What of a range is in none of these days, which lie in it by their time.
pub(super) fn gaps(range: TimeRange, days: &[(i64, TimeRange)]) -> Vec<TimeRange> {
    let mut gaps = Vec::new();
    let mut since = range.since;
    for (_, day) in days {
        gaps.push(TimeRange { since, until: day.since });
        since = day.until;
    }
    gaps.push(TimeRange { since, until: range.until });
    gaps.retain(|gap| gap.since < gap.until);
    gaps
}

/// Forgets all days, before rows are removed.
pub(super) fn unlearn_all(db: &Connection) -> rusqlite::Result<()> {
    unlearn(db, TimeRange { since: WallTime(i64::MIN), until: WallTime(i64::MAX) })
}
