//! How well each stretch was measured: nothing is learned from days that nobody watched.

use super::input::Slot;
use crate::query::{Counted, TimeRange};
use crate::report::coverage::stretches;

/// A stretch counts as observed if at least so much of it was measured, percent.
pub const OBSERVED_PERCENT: u64 = 80;

/// The calendar and the steady clock may differ by so much, nanoseconds, before it counts as the calendar being set.
const STEP_NS: u64 = 2_000_000_000;

/// For each slot: was enough of it measured? The slots ascend.
pub(crate) fn observed(slots: &[Slot], counted: &[Counted]) -> Vec<bool> {
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return Vec::new() };
    let whole = TimeRange { since: first.range.since, until: last.range.until };
    let measured = stretches(counted, whole);
    let of_slot = |slot: &Slot| {
        let begin = measured.partition_point(|m| m.until <= slot.range.since);
        let touching = measured.iter().skip(begin).take_while(|m| m.since < slot.range.until);
        let ns: u64 = touching.filter_map(|m| m.overlap(slot.range)).map(TimeRange::len_ns).sum();
        ns.saturating_mul(100) / OBSERVED_PERCENT >= slot.range.len_ns()
    };
    slots.iter().map(of_slot).collect()
}

/// How often the calendar was set while one origin counted: between two of its intervals that touch on the steady clock
/// the calendar leaves a gap or goes back, or an interval is longer on one clock than on the other.
pub(super) fn clock_steps(counted: &[Counted]) -> usize {
    let by_steady = |c: &Counted| (c.origin, c.boot_ns);
    let mut in_order: Vec<_> = counted.iter().collect();
    in_order.sort_by_key(|c| by_steady(c));
    let is_step = |pair: &[&Counted]| match pair {
        [a, b] if a.origin == b.origin && a.is_clock_set && b.is_clock_set => {
            let steady = b.boot_ns.0.abs_diff(a.boot_ns.0);
            let wall = b.range.since.0.abs_diff(a.range.since.0);
            b.range.since < a.range.since || steady.abs_diff(wall) > STEP_NS
        }
        _ => false,
    };
    in_order.windows(2).filter(|pair| is_step(pair)).count()
}
