//! One pass over the rows of a range, in the order in which they lie.

use super::conditions;
use crate::store::reader::Reader;
use gateway_core::query::buckets::Buckets;
use gateway_core::query::{Filter, TimeRange};
use gateway_core::units::WallTime;
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};
use std::collections::HashMap;

/// An interval that rows hang on.
#[derive(Clone, Copy)]
pub(super) struct Holder {
    pub(super) began_at: i64,
    pub(super) ended_at: i64,
    /// When the last drain in it began; only of a run.
    last_began_at: Option<i64>,
}

/// Which of some buckets rows belong to.
pub(super) struct Places<'a> {
    buckets: &'a Buckets,
    ends: Vec<i64>,
}

impl<'a> Places<'a> {
    pub(super) fn of(buckets: &'a Buckets) -> Self {
        Self { buckets, ends: buckets.iter().map(|bucket| bucket.until.0).collect() }
    }

    /// The bucket of an interval's rows, and whether they may reach out of it.
    pub(super) fn of_rows(&self, holder: Holder) -> Option<(usize, bool)> {
        let bucket = self.buckets.place_of(WallTime(holder.began_at))?;
        let until = self.ends.get(bucket).copied()?;
        Some((bucket, holder.last_began_at.is_some_and(|at| at >= until)))
    }
}

impl Reader {
    /// Shows `see` each row that a filter picks and whose interval has a place. Column 0 is the interval, the others
    /// are `columns`.
    pub(super) fn each_row<P: Copy>(
        &self,
        range: TimeRange,
        filter: &Filter,
        columns: &str,
        place: impl Fn(Holder) -> Option<P>,
        mut see: impl FnMut(P, Holder, &Row<'_>) -> rusqlite::Result<()>,
    ) -> anyhow::Result<()> {
        let holders = self.holders(range)?;
        let (Some(first), Some(last)) = (holders.keys().min().copied(), holders.keys().max().copied()) else {
            return Ok(());
        };
        let wanted = conditions(filter);
        // Rows lie in the order of their intervals' numbers. Where most of a stretch is wanted it is read through.
        let is_dense = last.abs_diff(first) / 2 <= holders.len() as u64;
        let (which, bounds) = match is_dense {
            true => ("BETWEEN ? AND ?", [first, last]),
            false => (
                "IN (SELECT id FROM interval WHERE began_at >= ? AND began_at < ?)",
                [range.since.0, range.until.0],
            ),
        };
        let sql =
            format!("SELECT interval, {columns} FROM flow f WHERE interval {which} AND {}", wanted.sql());
        let mut statement = self.db.prepare_cached(&sql)?;
        let values = bounds.map(Value::from).into_iter().chain(wanted.values);
        let mut rows = statement.query(params_from_iter(values))?;
        let mut at = None;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let found = match at {
                Some((of, found)) if of == id => found,
                _ => holders.get(&id).and_then(|holder| Some((*holder, place(*holder)?))),
            };
            at = Some((id, found));
            if let Some((holder, place)) = found {
                see(place, holder, row)?;
            }
        }
        Ok(())
    }

    /// The intervals of a range by their numbers.
    fn holders(&self, range: TimeRange) -> anyhow::Result<HashMap<i64, Holder>> {
        let sql = "SELECT id, began_at, ended_at, began_at + last_began_boot_ns - began_boot_ns FROM interval \
                   WHERE began_at >= ? AND began_at < ?";
        let found = self.all(sql, [range.since.0.into(), range.until.0.into()], |row| {
            Ok((
                row.get(0)?,
                Holder { began_at: row.get(1)?, ended_at: row.get(2)?, last_began_at: row.get(3)? },
            ))
        });
        Ok(found?.into_iter().collect())
    }
}
