//! A [`SummaryInput`] from a [`Reader`].

use crate::cli::when;
use crate::config::KnownConfig;
use crate::store::Reader;
use anyhow::Context;
use gateway_core::query::buckets::{BucketSum, Buckets, Sent};
use gateway_core::query::{Filter, TimeRange};
use gateway_core::report::summary::input::{SummaryInput, Sums};
use gateway_core::units::{Mac, WallTime};
use std::collections::BTreeSet;

/// Days before the range that it is compared with.
pub const DAYS_BEFORE: usize = 30;

/// Of these, the last ones that quiet hours are learned from.
pub const NIGHTS_BEFORE: usize = 14;

/// What the database does not say.
#[derive(Debug, Default)]
pub struct Beside {
    /// The devices that are telephones.
    pub phones: BTreeSet<Mac>,
    /// The date of the table of owners; empty if there is none.
    pub owners_date: String,
    /// What the user knows of.
    pub known: KnownConfig,
}

/// Gathers what a summary of `range` is made from.
///
/// # Errors
/// If the database cannot be read.
pub fn gather(
    reader: &Reader,
    range: TimeRange,
    now: WallTime,
    filter: &Filter,
    beside: Beside,
) -> anyhow::Result<SummaryInput> {
    let bounds = when::days_before(range.since, DAYS_BEFORE)?;
    // Days from before the first interval are no days that were looked at.
    let began = reader.extent()?.map_or(range.since, |extent| extent.since);
    let first = bounds.partition_point(|bound| *bound <= began).saturating_sub(1);
    let days: Vec<WallTime> = bounds.iter().skip(first).copied().collect();
    let nights = days.get(days.len().saturating_sub(NIGHTS_BEFORE + 1)..).unwrap_or(&[]);
    let night_bounds = match (nights.first(), nights.last()) {
        (Some(since), Some(until)) if since < until => {
            when::hour_bounds(TimeRange { since: *since, until: *until })
        }
        _ => Vec::new(),
    };
    let counted_before = match (days.first(), days.last()) {
        (Some(since), Some(until)) if since < until => {
            reader.counted(TimeRange { since: *since, until: *until })?
        }
        _ => Vec::new(),
    };
    let hours = sums(reader, when::hour_bounds(range), filter)?.context("the range is empty")?;
    let (days_before, hours_before) = before(reader, days, night_bounds, filter)?;
    let day = when::days_back(range)?;
    Ok(SummaryInput {
        hours,
        days_before,
        hours_before,
        is_whole_day: matches!(day.as_slice(), [(_, whole)] if *whole == range),
        now,
        counted: reader.counted(range)?,
        counted_before,
        latest: reader.latest(now)?,
        unhooked_intervals: reader.unhooked_intervals(range)?,
        devices: reader.devices()?,
        phones: beside.phones,
        stored: reader.stored(range)?,
        ledger: reader.ledger(range)?,
        owners_date: beside.owners_date,
        known: beside.known.findings,
        known_places: beside.known.places,
    })
}

/// What went where, by stretches.
fn sums(reader: &Reader, bounds: Vec<WallTime>, filter: &Filter) -> anyhow::Result<Option<Sums>> {
    sums_by(bounds, |buckets| reader.bucketed(buckets, filter))
}

/// What each device had, by stretches: all that quiet hours are learned from.
pub(crate) fn device_sums(
    reader: &Reader,
    bounds: Vec<WallTime>,
    filter: &Filter,
) -> anyhow::Result<Option<Sums>> {
    sums_by(bounds, |buckets| reader.bucketed_by_device(buckets, filter))
}

/// The days before, and the hours of the last of them.
fn before(
    reader: &Reader,
    days: Vec<WallTime>,
    hours: Vec<WallTime>,
    filter: &Filter,
) -> anyhow::Result<(Option<Sums<Sent>>, Option<Sums>)> {
    let (day_offsets, hour_offsets) = (offsets(&days), offsets(&hours));
    let Some(days) = Buckets::between(days) else { return Ok((None, None)) };
    let hours = Buckets::between(hours);
    let found = reader.before(&days, hours.as_ref(), filter)?;
    let hours = hours.map(|buckets| Sums { buckets, offsets: hour_offsets, sums: found.hours });
    Ok((Some(Sums { buckets: days, offsets: day_offsets, sums: found.days }), hours))
}

fn sums_by(
    bounds: Vec<WallTime>,
    read: impl FnOnce(&Buckets) -> anyhow::Result<Vec<BucketSum>>,
) -> anyhow::Result<Option<Sums>> {
    let offsets = offsets(&bounds);
    let Some(buckets) = Buckets::between(bounds) else { return Ok(None) };
    let sums = read(&buckets)?;
    Ok(Some(Sums { buckets, offsets, sums }))
}

/// Of the stretches between these moments, seconds ahead of UTC where each begins.
fn offsets(bounds: &[WallTime]) -> Vec<i32> {
    bounds.iter().take(bounds.len().saturating_sub(1)).map(|at| when::offset_of(*at)).collect()
}
