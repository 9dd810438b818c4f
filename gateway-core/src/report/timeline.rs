//! Volume over time, in stretches that lie side by side. What nobody measured is no nought.

use super::coverage::{begins_in, coverage, stretches};
use super::top::TopLine;
use crate::query::{Counted, TimeRange};
use crate::units::{Volume, WallTime};
use core::cmp::Reverse;
use std::collections::BTreeMap;

/// What is known of a stretch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// So many thousandths of it were measured, at least one.
    Measured(u16),
    /// It was counted together with an earlier one, under which its rows are filed.
    FiledEarlier,
    /// It is over, or about to be, and the next drain will bring it.
    NotStoredYet,
    /// Nobody measured it, or next to none of it.
    NotMeasured,
}

/// What is known of each stretch. `counted` are the intervals that touch them, by their start; `latest` the last ones.
#[must_use]
pub fn states(slots: &[TimeRange], counted: &[Counted], latest: &[Counted], now: WallTime) -> Vec<State> {
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return Vec::new() };
    let whole = TimeRange { since: first.since, until: last.until };
    let pending = coverage(counted, latest, whole, now).pending_since;
    let measured = stretches(counted, whole);
    let of_slot = |slot: &TimeRange| {
        let ns: u64 = measured.iter().filter_map(|m| m.overlap(*slot)).map(TimeRange::len_ns).sum();
        let permille = u128::from(ns) * 1_000 / u128::from(slot.len_ns().max(1));
        let permille = u16::try_from(permille.clamp(1, 1_000)).unwrap_or(1_000);
        match ns {
            0 if pending.is_some_and(|since| slot.until > since) => State::NotStoredYet,
            0 => State::NotMeasured,
            _ if counted.iter().any(|c| begins_in(c, *slot)) => State::Measured(permille),
            // An ordinary interval that ends a little behind the edge says nothing of the rest.
            _ if permille < 500 => State::NotMeasured,
            _ => State::FiledEarlier,
        }
    };
    slots.iter().map(of_slot).collect()
}

/// One row of bars.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Series {
    /// What it is of, for programs; `None` gathers what has none.
    pub id: Option<String>,
    /// What it is of, for people.
    pub said: String,
    /// Of all stretches together.
    pub total: Volume,
    /// How many conversations, counted once per stretch and interval that they were alive in.
    pub conversations: u64,
    /// Of each stretch.
    pub by_slot: Vec<Volume>,
}

/// The lines of each stretch as one series each, the largest first.
#[must_use]
pub fn series(slots: &[Vec<TopLine>]) -> Vec<Series> {
    let mut found = BTreeMap::<Option<String>, Series>::new();
    for (place, lines) in slots.iter().enumerate() {
        for TopLine { id, said, volume, conversations, .. } in lines {
            let series = found.entry(id.clone()).or_insert_with(|| Series {
                id: id.clone(),
                said: said.clone(),
                total: Volume::default(),
                conversations: 0,
                by_slot: vec![Volume::default(); slots.len()],
            });
            series.total.add(*volume);
            series.conversations = series.conversations.saturating_add(*conversations);
            series.by_slot.get_mut(place).into_iter().for_each(|slot| slot.add(*volume));
        }
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by_key(|series| Reverse(series.total.bytes()));
    found
}

/// A bar of at most `cells` cells for an amount beside the greatest one. What is there shows.
#[must_use]
pub fn bar(amount: u64, greatest: u64, cells: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if amount == 0 || greatest == 0 {
        return String::new();
    }
    let eighths = u128::from(amount) * u128::from(cells) * 8 / u128::from(greatest);
    let eighths = usize::try_from(eighths).unwrap_or(usize::MAX).max(1);
    let part = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    format!("{}{part}", "█".repeat(eighths / 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_part() {
        assert_eq!([bar(0, 9, 4), bar(1, 1_000, 4), bar(9, 9, 4)], ["", "▏", "████"]);
        assert_eq!(bar(5, 8, 2), "█▎");
    }

    #[test]
    fn a_stretch_that_nobody_measured_is_no_nought() {
        let range = |since, until| TimeRange { since: WallTime(since), until: WallTime(until) };
        let second = 1_000_000_000;
        let counted = |since: i64, until: i64| Counted {
            origin: 1,
            boot_ns: (since.cast_unsigned(), until.cast_unsigned()),
            range: range(since, until),
            is_clock_set: true,
            row_bytes: 0,
        };
        let slots: Vec<_> = (0..5).map(|n| range(n * 100 * second, (n + 1) * 100 * second)).collect();
        // One interval of the first stretch reaches through the second; the third has a half; then nothing.
        let intervals = [counted(0, 200 * second), counted(250 * second, 300 * second)];
        let found = states(&slots, &intervals, &intervals, WallTime(10_000 * second));
        let expected = [
            State::Measured(1_000),
            State::FiledEarlier,
            State::Measured(500),
            State::NotMeasured,
            State::NotMeasured,
        ];
        assert_eq!(found, expected);
        let found = states(&slots, &intervals, &intervals, WallTime(310 * second));
        assert_eq!(found.get(3), Some(&State::NotStoredYet));
    }
}
