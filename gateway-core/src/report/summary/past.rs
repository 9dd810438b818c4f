//! The days before: what a device usually sends, and whom it has met.

use super::input::{Slot, Sums};
use super::model::{Site, Usual};
use super::observed::observed;
use super::places::Namer;
use crate::query::Counted;
use crate::query::buckets::Sent;
use crate::units::Mac;
use std::collections::{BTreeMap, BTreeSet};

/// Fewer comparable days tell nothing.
pub const MIN_DAYS: usize = 7;
/// Grown is at least so many times the median.
pub const GROWN_TIMES: u64 = 3;
/// Grown is at least so many bytes more than the median: below, a single photograph decides.
pub const GROWN_BYTES: u64 = 1_000_000;

/// The days before a range.
pub(super) struct Past {
    /// The days, and which of them count.
    pub days: usize,
    /// Days that were measured well enough.
    pub observed: Vec<bool>,
    /// Each device's bytes up by day; only days on which it was there.
    upload: BTreeMap<Mac, BTreeMap<usize, u64>>,
    /// The same for each destination.
    to_site: BTreeMap<(Mac, Site), BTreeMap<usize, u64>>,
    /// Protocols that hide something, by device.
    pub hidden: BTreeSet<(Mac, crate::application::Application)>,
}

impl Past {
    pub(super) fn of(sums: Option<&Sums<Sent>>, counted: &[Counted], namer: &Namer<'_>) -> Self {
        let slots: Vec<Slot> = sums.map(|sums| sums.slots().collect()).unwrap_or_default();
        let mut past = Self {
            days: slots.len(),
            observed: observed(&slots, counted),
            upload: BTreeMap::new(),
            to_site: BTreeMap::new(),
            hidden: BTreeSet::new(),
        };
        for sent in sums.iter().flat_map(|sums| &sums.sums) {
            let site = namer.site_of(sent.name.as_ref(), &sent.network, sent.marks);
            add(past.upload.entry(sent.device).or_default(), sent);
            add(past.to_site.entry((sent.device, site)).or_default(), sent);
            past.hidden.insert((sent.device, sent.application));
        }
        past
    }

    pub(super) fn observed_count(&self) -> usize {
        self.observed.iter().filter(|is| **is).count()
    }

    /// The days that count, on which the device was there.
    fn days_of(&self, device: Mac) -> Vec<usize> {
        let days = self.upload.get(&device).into_iter().flat_map(BTreeMap::keys).copied();
        days.filter(|day| self.observed.get(*day).copied().unwrap_or(false)).collect()
    }

    pub(super) fn day_count(&self, device: Mac) -> usize {
        self.days_of(device).len()
    }

    pub(super) fn was_there(&self, device: Mac) -> bool {
        self.upload.contains_key(&device)
    }

    /// Was it ever met, however thinly that day was measured?
    pub(super) fn has_met(&self, device: Mac, site: &Site) -> bool {
        self.to_site.contains_key(&(device, site.clone()))
    }

    /// What the device sent beside its usual day.
    pub(super) fn upload(&self, device: Mac, now: u64) -> Option<Usual> {
        usual(now, &self.days_of(device), self.upload.get(&device))
    }

    /// What it sent one destination beside its usual day; a day without contact counts as 0.
    pub(super) fn upload_to(&self, device: Mac, site: &Site, now: u64) -> Option<Usual> {
        usual(now, &self.days_of(device), self.to_site.get(&(device, site.clone())))
    }
}

fn add(days: &mut BTreeMap<usize, u64>, sent: &Sent) {
    for (day, bytes) in &sent.by_bucket {
        let sum = days.entry(*day).or_default();
        *sum = sum.saturating_add(*bytes);
    }
}

fn usual(now: u64, days: &[usize], sums: Option<&BTreeMap<usize, u64>>) -> Option<Usual> {
    let of_day = |day: &usize| sums.and_then(|sums| sums.get(day)).copied().unwrap_or(0);
    let mut amounts: Vec<u64> = days.iter().map(of_day).collect();
    if amounts.len() < MIN_DAYS {
        return None;
    }
    let median = median(&mut amounts);
    let (least, most) = (amounts.first().copied()?, amounts.last().copied()?);
    let has_grown =
        now > most && now >= median.saturating_mul(GROWN_TIMES) && now.saturating_sub(median) >= GROWN_BYTES;
    Some(Usual { now, median, range: (least, most), days: amounts.len(), has_grown })
}

/// The middle one; of an even number, the mean of the two in the middle. Leaves the amounts in order.
pub(super) fn median(amounts: &mut [u64]) -> u64 {
    amounts.sort_unstable();
    let middle = amounts.len() / 2;
    let upper = amounts.get(middle).copied().unwrap_or(0);
    if amounts.len() % 2 == 1 {
        return upper;
    }
    let lower = middle.checked_sub(1).and_then(|i| amounts.get(i)).copied().unwrap_or(0);
    u64::midpoint(lower, upper)
}
