//! What a summary is made from, as the shell gathers it.

use crate::query::buckets::{BucketSum, Buckets, Sent};
use crate::query::{Counted, DeviceInfo, TimeRange};
use crate::report::civil::Civil;
use crate::report::known::KnownEntry;
use crate::row::LedgerLine;
use crate::units::{Mac, Volume, WallTime};
use std::collections::BTreeSet;

/// Stretches of the calendar with the rows that began in each.
#[derive(Clone, Debug)]
pub struct Sums<S = BucketSum> {
    /// The stretches.
    pub buckets: Buckets,
    /// Seconds that local clocks are ahead of UTC where each stretch begins.
    pub offsets: Vec<i32>,
    /// The rows, added up by stretch.
    pub sums: Vec<S>,
}

impl<S> Sums<S> {
    /// Each stretch with its offset.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        let offset_of = |place: usize| self.offsets.get(place).copied().unwrap_or(0);
        self.buckets.iter().enumerate().map(move |(place, range)| Slot { range, offset: offset_of(place) })
    }
}

/// One stretch of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// From when to when.
    pub range: TimeRange,
    /// Seconds that local clocks are ahead of UTC where it begins.
    pub offset: i32,
}

impl Slot {
    /// The hour that clocks show where it begins.
    #[must_use]
    pub fn hour(self) -> u8 {
        Civil::of(self.range.since, self.offset).hour()
    }

    /// The day of the week where it begins, 0 for Monday.
    #[must_use]
    pub fn weekday(self) -> u8 {
        Civil::weekday(self.range.since, self.offset)
    }

    /// The local date where it begins.
    #[must_use]
    pub fn date(self) -> String {
        Civil::of(self.range.since, self.offset).date()
    }
}

/// A finding that the user knows of: it stays in the summary, apart from the others, with the user's reason.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Known {
    /// The finding's id.
    pub id: String,
    /// Why it is all right, in the user's words.
    pub reason: String,
    /// Since when it is known: `2026-11-22`.
    pub date: String,
}

/// All that a summary is made from.
#[derive(Clone, Debug)]
pub struct SummaryInput {
    /// The range, by local hour.
    pub hours: Sums,
    /// The whole local days before the day that the range begins in, by day: what was sent to the world. `None` if
    /// there is nothing before. The same device and destination may be there more than once.
    pub days_before: Option<Sums<Sent>>,
    /// The last of these days, by local hour: from them the quiet hours are learned. Devices and kinds are enough.
    pub hours_before: Option<Sums>,
    /// Is the range one whole local day? Only days are compared with days.
    pub is_whole_day: bool,
    /// The time now: nothing behind it counts as unmeasured.
    pub now: WallTime,
    /// The intervals that touch the range, by their start.
    pub counted: Vec<Counted>,
    /// The intervals that touch the days before, by their start.
    pub counted_before: Vec<Counted>,
    /// The last [`LATEST`](crate::report::coverage::LATEST) intervals that began by now.
    pub latest: Vec<Counted>,
    /// How many intervals of the range had a port of the LAN, or all, unhooked.
    pub unhooked_intervals: u64,
    /// All devices.
    pub devices: Vec<DeviceInfo>,
    /// Those that are telephones, as far as is known: they come first.
    pub phones: BTreeSet<Mac>,
    /// All volume in rows of the range.
    pub stored: Volume,
    /// The ledger of the range.
    pub ledger: Vec<LedgerLine>,
    /// The date of the table of owners; empty if there is none.
    pub owners_date: String,
    /// The findings that the user knows of.
    pub known: Vec<Known>,
    /// The destinations that the user knows of.
    pub known_places: Vec<KnownEntry>,
}
