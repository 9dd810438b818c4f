//! How much of a range the intervals that are filed under it cover: what nobody measured, what is not stored yet, and
//! what an interval across the range's edge took with it.
//!
//! An interval is filed, whole, under the range that it began in. An ordinary one that crosses an edge blurs it by
//! seconds. One that was counted for days, because nobody drained, leaves whole ranges without a row although there
//! was traffic, and none of them may be called quiet or complete.

use crate::query::{Counted, TimeRange};
use crate::units::WallTime;
use std::collections::BTreeMap;

/// A gap on the calendar shorter than this (nanoseconds) is the clock being set right, not time that went by
/// unmeasured.
const MIN_HOLE_NS: u64 = 1_000_000_000;

/// How many of the latest intervals tell how often the tables are drained. Odd, so that one of them is in the middle.
pub const LATEST: usize = 9;

/// Least slack, nanoseconds: an early drain now and then must not make the next ordinary one look late.
const MIN_SLACK_NS: u64 = 120 * 1_000_000_000;

/// Greatest slack, nanoseconds: twice the longest time between drains that can be configured, so that an interval of
/// days does not excuse days of silence.
const MAX_SLACK_NS: u64 = 2 * 3_600 * 1_000_000_000;

/// What of a range was measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coverage {
    /// How much of the range, up to [`Self::stored_until`], intervals cover that began in it; nanoseconds.
    pub measured_ns: u64,
    /// What no interval covers.
    pub holes: Vec<TimeRange>,
    /// Since when nothing is stored because the next drain is only just due.
    pub pending_since: Option<WallTime>,
    /// The end of what can be judged: the range's end, or now, or where the latest drain ended.
    pub stored_until: WallTime,
    /// The dated intervals that cross an edge of the range, by their start.
    pub straddles: Vec<Straddle>,
}

/// Which edge of a range an interval crosses. One that began before it and ends after it counts as [`Edge::Start`]:
/// it is not filed in the range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Edge {
    /// It began before the range: its rows are filed outside and reach in.
    Start,
    /// It began in the range and ends after it: its rows are filed inside and reach out.
    End,
}

/// An interval that crosses an edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Straddle {
    /// Which edge.
    pub edge: Edge,
    /// The interval.
    pub interval: TimeRange,
    /// Bytes in its rows, of all devices.
    pub bytes: u64,
    /// Is it an ordinary interval that blurs the edge, and no more?
    pub is_small: bool,
}

impl Coverage {
    /// The intervals that began before the range and reach into it, as one: from the first's start to the last's end,
    /// and their bytes.
    #[must_use]
    pub fn reaching_in(&self) -> Option<(TimeRange, u64)> {
        self.straddles.iter().filter(|s| s.edge == Edge::Start).fold(None, |sum, s| Some(join(sum, s)))
    }
}

/// Adds an interval to others: first start, last end, bytes together.
#[must_use]
pub fn join(sum: Option<(TimeRange, u64)>, straddle: &Straddle) -> (TimeRange, u64) {
    let Straddle { interval, bytes, .. } = *straddle;
    let Some((so_far, sum)) = sum else { return (interval, bytes) };
    let since = so_far.since.min(interval.since);
    let until = so_far.until.max(interval.until);
    (TimeRange { since, until }, sum.saturating_add(bytes))
}

/// Judges a range, up to now. `counted` are the intervals that touch it, by their start; `latest` the last
/// [`LATEST`] that began by now, wherever the range is: they tell how often the tables are drained.
#[must_use]
pub fn coverage(counted: &[Counted], latest: &[Counted], range: TimeRange, now: WallTime) -> Coverage {
    let slack_ns = slack_ns(latest);
    let until = range.until.min(now).max(range.since);
    let pending_since =
        pending(latest, slack_ns, now).map(|since| since.max(range.since)).filter(|s| *s < until);
    let straddles = straddles(counted, range, slack_ns);
    let judged = TimeRange { since: range.since, until: pending_since.unwrap_or(until) };
    let holes = holes(counted, judged);
    let reaches_in = straddles.iter().filter(|s| s.edge == Edge::Start);
    let elsewhere = reaches_in.filter_map(|s| s.interval.overlap(judged)).map(TimeRange::len_ns).max();
    let missing: u64 = holes.iter().map(|hole| hole.len_ns()).sum();
    Coverage {
        measured_ns: judged.len_ns().saturating_sub(missing).saturating_sub(elsewhere.unwrap_or(0)),
        holes,
        pending_since,
        stored_until: judged.until,
        straddles,
    }
}

/// About two drains' length, nanoseconds: how late a drain may be before time counts as unmeasured, and how far an
/// ordinary interval may reach across an edge. Twice the median of the latest intervals, but at least two minutes and
/// at most two hours: neither one interval of days nor one early drain decides it.
fn slack_ns(latest: &[Counted]) -> u64 {
    let mut lengths: Vec<_> = latest.iter().map(|c| c.range.len_ns()).collect();
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    median.saturating_mul(2).clamp(MIN_SLACK_NS, MAX_SLACK_NS)
}

/// The end of the last interval, if the drain after it may still come.
fn pending(latest: &[Counted], slack_ns: u64, now: WallTime) -> Option<WallTime> {
    let past = latest.iter().filter(|c| c.range.since <= now);
    let since = past.map(|c| c.range.until).max()?;
    let gap = TimeRange { since, until: now }.len_ns();
    (gap > 0 && gap <= slack_ns).then_some(since)
}

/// The stretches that no interval covers, wherever the interval is filed.
fn holes(counted: &[Counted], range: TimeRange) -> Vec<TimeRange> {
    let mut holes = Vec::new();
    let mut hole = |since: WallTime, until: WallTime| {
        let Some(hole) = range.overlap(TimeRange { since, until }) else { return };
        if hole.len_ns() >= MIN_HOLE_NS {
            holes.push(hole);
        }
    };
    let mut covered_until = range.since;
    // Where each origin's steady clock has come to: what goes on from there leaves no gap, even where the
    // calendar was set forward in between.
    let mut steady = BTreeMap::<i64, u64>::new();
    for Counted { origin, boot_ns: (began, ended), range: interval, .. } in counted {
        let goes_on = steady.get(origin).is_some_and(|until| began <= until);
        if interval.since > covered_until && !goes_on {
            hole(covered_until, interval.since);
        }
        steady.insert(*origin, *ended);
        covered_until = covered_until.max(interval.until);
    }
    hole(covered_until, range.until);
    holes
}

/// The stretches of a range that were measured without a hole, in order. `counted` are the intervals that touch it, by
/// their start.
pub(super) fn stretches(counted: &[Counted], range: TimeRange) -> Vec<TimeRange> {
    let mut since = range.since;
    let mut stretches = Vec::new();
    for hole in holes(counted, range) {
        stretches.push(TimeRange { since, until: hole.since });
        since = hole.until;
    }
    stretches.push(TimeRange { since, until: range.until });
    stretches.retain(|stretch| stretch.since < stretch.until);
    stretches
}

/// Does an interval belong to a range?
pub(super) fn begins_in(counted: &Counted, range: TimeRange) -> bool {
    (range.since..range.until).contains(&counted.range.since)
}

fn straddles(counted: &[Counted], range: TimeRange, slack_ns: u64) -> Vec<Straddle> {
    let has_its_own = counted.iter().any(|c| begins_in(c, range));
    // Most of a short range may be small beside the slack, and is not small for the range.
    let most_in = slack_ns.min(range.len_ns() / 2);
    let straddle = |c: &Counted| {
        let Counted { range: interval, row_bytes, is_clock_set, .. } = c;
        let is_inside = begins_in(c, range);
        let (edge, is_small) = if is_inside && interval.until > range.until {
            let reach = TimeRange { since: range.until, until: interval.until }.len_ns();
            (Edge::End, reach <= slack_ns)
        } else {
            let reach = interval.overlap(range).filter(|_| !is_inside)?.len_ns();
            (Edge::Start, has_its_own && reach <= most_in)
        };
        is_clock_set.then_some(Straddle { edge, interval: *interval, bytes: *row_bytes, is_small })
    };
    counted.iter().filter_map(straddle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;
    const DAY: i64 = 86_400;

    fn at(secs: i64) -> WallTime {
        WallTime(secs * S)
    }

    fn range(since: i64, until: i64) -> TimeRange {
        TimeRange { since: at(since), until: at(until) }
    }

    /// Seconds: origin, start and end since boot, start and end on the calendar.
    fn counted(origin: i64, boot: (u64, u64), wall: (i64, i64)) -> Counted {
        let ns = S.cast_unsigned();
        Counted {
            origin,
            boot_ns: (boot.0 * ns, boot.1 * ns),
            range: range(wall.0, wall.1),
            is_clock_set: true,
            row_bytes: 7,
        }
    }

    /// Of one origin whose clocks agree.
    fn plain(since: i64, until: i64) -> Counted {
        counted(1, (since.cast_unsigned(), until.cast_unsigned()), (since, until))
    }

    #[track_caller]
    fn check(journal: &[Counted], now: i64, measured: u64, holes: &[(i64, i64)]) {
        let found = coverage(journal, &[], range(0, 100), at(now));
        let holes: Vec<_> = holes.iter().map(|(a, b)| range(*a, *b)).collect();
        assert_eq!((found.measured_ns, found.holes), (measured * S.cast_unsigned(), holes));
        assert_eq!(found.stored_until, at(now.clamp(0, 100)));
        assert_eq!(found.pending_since, None);
    }

    /// Which edges are crossed, and whether only a little.
    fn edges(journal: &[Counted], latest: &[Counted], range: TimeRange) -> Vec<(Edge, bool)> {
        let found = coverage(journal, latest, range, at(1_000 * DAY));
        found.straddles.iter().map(|s| (s.edge, s.is_small)).collect()
    }

    #[test]
    fn holes_are_what_no_interval_covers() {
        check(&[], 1_000, 0, &[(0, 100)]);
        check(
            &[counted(1, (0, 10), (10, 20)), counted(1, (30, 40), (40, 50))],
            1_000,
            20,
            &[(0, 10), (20, 40), (50, 100)],
        );
    }

    #[test]
    fn only_what_began_in_the_range_measures_it() {
        check(&[counted(1, (0, 200), (-50, 150))], 1_000, 0, &[]);
        check(&[counted(1, (0, 60), (-50, 10)), counted(1, (60, 150), (10, 100))], 1_000, 90, &[]);
    }

    #[test]
    fn the_future_is_no_hole() {
        check(&[plain(0, 60)], 60, 60, &[]);
        check(&[], -5, 0, &[]);
        // A date that is wrong does not make the present late.
        let journal = [plain(0, 30), plain(30, 60), counted(2, (0, 9), (90_000, 90_009))];
        let found = coverage(&journal, &journal, range(0, 100_000), at(65));
        assert_eq!((found.holes, found.pending_since), (Vec::new(), Some(at(60))));
    }

    #[test]
    fn a_drain_that_is_due_is_no_hole() {
        let journal = [plain(0, 30), plain(30, 60), plain(60, 62)];
        let found = |now: i64| coverage(&journal, &journal, range(0, 1_000), at(now));
        // An early drain of 2 s does not make the next one due after 4 s.
        assert_eq!((found(182).pending_since, found(182).stored_until), (Some(at(62)), at(62)));
        assert_eq!(found(182).holes, []);
        assert_eq!((found(183).pending_since, found(183).holes), (None, vec![range(62, 183)]));
    }

    #[test]
    fn an_interval_of_days_excuses_no_days_of_silence() {
        let journal = [plain(0, 3 * DAY)];
        let found = |now: i64| coverage(&journal, &journal, range(0, 9 * DAY), at(3 * DAY + now));
        assert_eq!(found(7_200).pending_since, Some(at(3 * DAY)));
        assert_eq!(found(7_201).holes, [range(3 * DAY, 3 * DAY + 7_201)]);
    }

    #[test]
    fn nothing_of_a_range_younger_than_the_last_drain_is_stored() {
        let latest = [plain(0, 30), plain(30, 60)];
        let found = coverage(&[], &latest, range(70, 80), at(80));
        assert_eq!((found.stored_until, found.measured_ns, found.holes), (at(70), 0, Vec::new()));
    }

    #[test]
    fn a_clock_set_forward_makes_no_hole() {
        check(&[counted(1, (0, 50), (0, 50)), counted(1, (50, 90), (60, 100))], 1_000, 100, &[]);
        // Other tables, other time.
        check(&[counted(1, (0, 50), (0, 50)), counted(2, (50, 90), (60, 100))], 1_000, 90, &[(50, 60)]);
    }

    #[test]
    fn an_interval_of_days_is_no_small_thing_to_any_of_its_days() {
        let journal = [plain(DAY / 2, 3 * DAY + DAY / 2)];
        let day = |n: i64| range(n * DAY, (n + 1) * DAY);
        assert_eq!(edges(&journal, &journal, day(0)), [(Edge::End, false)]);
        for n in 1..=3 {
            assert_eq!(edges(&journal, &journal, day(n)), [(Edge::Start, false)], "day {n}");
        }
        assert_eq!(edges(&journal, &journal, range(0, 9 * DAY)), []);
        let found = coverage(&journal, &journal, day(1), at(9 * DAY));
        assert_eq!((found.measured_ns, found.reaching_in()), (0, Some((journal[0].range, 7))));
    }

    #[test]
    fn an_ordinary_interval_across_midnight_is_small() {
        let journal = [plain(DAY - 10, DAY + 20), plain(DAY + 20, 2 * DAY + 10)];
        let drains = [plain(0, 30), plain(30, 60)];
        let found = edges(&journal, &drains, range(DAY, 2 * DAY));
        assert_eq!(found, [(Edge::Start, true), (Edge::End, true)]);
    }

    #[test]
    fn a_range_shorter_than_a_drain_is_not_covered_by_one_from_before() {
        let drains = [plain(0, 30), plain(30, 60)];
        assert_eq!(edges(&drains[..1], &drains, range(10, 20)), [(Edge::Start, false)]);
        // Nor is one of which it takes the most.
        assert_eq!(edges(&drains, &drains, range(10, 40)), [(Edge::Start, false), (Edge::End, true)]);
    }

    #[test]
    fn an_interval_without_a_date_straddles_nothing() {
        let undated = Counted { is_clock_set: false, ..plain(50, 150) };
        assert_eq!(edges(&[undated], &[], range(100, 200)), []);
    }
}
