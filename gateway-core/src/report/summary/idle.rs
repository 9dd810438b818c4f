//! The quiet hours of a device, learned from the days before.

use super::input::{Slot, Sums};
use super::observed::observed;
use super::past::{MIN_DAYS, median};
use super::places::is_routed;
use crate::query::Counted;
use crate::units::Mac;
use std::collections::{BTreeMap, BTreeSet};

/// An hour of the day is quiet if the median of its bytes is at most so many percent of the mean of the 24 medians.
pub const QUIET_PERCENT: u64 = 20;
/// The quiet hours are at least so many in a row.
pub const MIN_HOURS: usize = 3;
/// And at most so many: a device that is quiet for longer is used now and then, and has no night.
pub const MAX_HOURS: usize = 12;

/// What each device exchanged in each hour of some days.
#[derive(Debug)]
pub struct Hours {
    slots: Vec<Slot>,
    observed: Vec<bool>,
    bytes: BTreeMap<Mac, BTreeMap<usize, u64>>,
}

impl Hours {
    /// From rows by local hour, and the intervals that touch these days, by their start.
    #[must_use]
    pub fn of(sums: Option<&Sums>, counted: &[Counted]) -> Self {
        let slots: Vec<Slot> = sums.map(|sums| sums.slots().collect()).unwrap_or_default();
        let mut bytes = BTreeMap::<Mac, BTreeMap<usize, u64>>::new();
        let wanted = sums.iter().flat_map(|sums| &sums.sums).filter(|s| is_routed(s.kind) && !s.is_coarse);
        for sum in wanted {
            let hour = bytes.entry(sum.device).or_default().entry(sum.bucket).or_default();
            *hour = hour.saturating_add(sum.volume.bytes());
        }
        Self { observed: observed(&slots, counted), slots, bytes }
    }

    /// The quiet hours (the first, and the first that is not), and from how many days.
    ///
    /// # Errors
    /// Why there are none.
    pub fn window(&self, device: Mac) -> Result<((u8, u8), usize), &'static str> {
        const FEW: &str = "fewer than 7 of the days before were measured with this device there";
        let Some(bytes) = self.bytes.get(&device) else { return Err(FEW) };
        let date_of = |place: &usize| self.slots.get(*place).map(|slot| slot.date());
        // A day away is no quiet day.
        let there: BTreeSet<String> = bytes.keys().filter_map(date_of).collect();
        let mut by_hour: Vec<Vec<u64>> = vec![Vec::new(); 24];
        for (place, slot) in self.slots.iter().enumerate() {
            let is_observed = self.observed.get(place).copied().unwrap_or(false);
            if is_observed && there.contains(&slot.date()) {
                let amount = bytes.get(&place).copied().unwrap_or(0);
                by_hour.get_mut(usize::from(slot.hour())).into_iter().for_each(|hour| hour.push(amount));
            }
        }
        let days = by_hour.iter().map(Vec::len).min().unwrap_or(0);
        if days < MIN_DAYS {
            return Err(FEW);
        }
        let medians: Vec<u64> = by_hour.iter_mut().map(|hour| median(hour)).collect();
        longest_quiet(&medians).map(|window| (window, days))
    }
}

/// The longest run of quiet hours, round midnight; of equals the one with the least bytes, then the earliest.
fn longest_quiet(medians: &[u64]) -> Result<(u8, u8), &'static str> {
    let mean = u64::try_from(medians.iter().map(|m| u128::from(*m)).sum::<u128>() / 24).unwrap_or(u64::MAX);
    if mean == 0 {
        return Err("in most hours of most days it exchanges nothing at all");
    }
    let is_quiet = |hour: usize| {
        let median = medians.get(hour % 24).copied().unwrap_or(u64::MAX);
        u128::from(median) * 100 <= u128::from(mean) * u128::from(QUIET_PERCENT)
    };
    let run = |first: usize| (0..24).take_while(|n| is_quiet(first + n)).count();
    let bytes = |first: usize, len: usize| -> u64 {
        (first..first + len).filter_map(|hour| medians.get(hour % 24)).sum()
    };
    let runs = (0..24).map(|first| (first, run(first))).filter(|(_, len)| *len >= MIN_HOURS);
    let best = runs.min_by_key(|(first, len)| (core::cmp::Reverse(*len), bytes(*first, *len), *first));
    match best {
        None => Err("no 3 hours in a row are much quieter than the rest of the day"),
        Some((_, len)) if len > MAX_HOURS => Err("it is quiet for more than 12 hours of a usual day"),
        Some((first, len)) => {
            let hour = |n: usize| u8::try_from(n % 24).unwrap_or(0);
            Ok((hour(first), hour(first + len)))
        }
    }
}

/// Is an hour of the day in the window?
#[must_use]
pub fn is_in(window: (u8, u8), hour: u8) -> bool {
    let (first, end) = window;
    if first < end { (first..end).contains(&hour) } else { hour >= first || hour < end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_goes_round_midnight() {
        let mut medians = [100; 24];
        for hour in [23, 0, 1, 2, 3] {
            medians[hour] = 1;
        }
        assert_eq!(longest_quiet(&medians), Ok((23, 4)));
        assert!(is_in((23, 4), 23) && is_in((23, 4), 0) && !is_in((23, 4), 4) && !is_in((1, 3), 0));
    }

    #[test]
    fn what_is_always_quiet_or_never_has_no_window() {
        assert!(longest_quiet(&[0; 24]).is_err());
        assert!(longest_quiet(&[100; 24]).is_err());
        let mut used_in_one_hour = [0; 24];
        used_in_one_hour[12] = 100;
        assert!(longest_quiet(&used_in_one_hour).is_err());
    }
}
