//! Destinations that a device had no contact with on any of the days before.

use super::contacted::{Contacted, Facts, by_device};
use super::summary::input::{Slot, Sums};
use super::summary::model::Site;
use super::summary::observed::observed;
use crate::query::{Counted, FlowSum};
use crate::row::RowKind;
use crate::units::{Mac, WallTime};
use std::collections::{BTreeMap, BTreeSet};

/// So many of the days before have to be measured with the device there, or all where fewer are asked for: as a summary
/// takes it.
pub const MIN_DAYS: usize = 7;

/// A first contact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewLine {
    /// Whose.
    pub device: Mac,
    /// With whom.
    pub site: Site,
    /// What was exchanged.
    pub contacted: Contacted,
}

/// What is new, and of whom that cannot be said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct News {
    /// The first contacts, by their time.
    pub lines: Vec<NewLine>,
    /// Destinations that would be new, were their names sure.
    pub unsure: usize,
    /// Devices with traffic in the range of which nothing can be said, each with the days that it was there and measured.
    pub unjudged: BTreeMap<Mac, usize>,
    /// How many days before the range the database has.
    pub days: usize,
    /// How many of them were measured well enough.
    pub observed: usize,
}

/// Compares the rows of a range with the days before. `wanted_days` is how many were asked for.
#[must_use]
pub fn new(
    flows: &[FlowSum],
    before: Option<&Sums>,
    counted_before: &[Counted],
    wanted_days: usize,
    facts: &mut Facts<'_>,
) -> News {
    let slots: Vec<Slot> = before.map(|sums| sums.slots().collect()).unwrap_or_default();
    let observed = observed(&slots, counted_before);
    let mut met = BTreeSet::<(Mac, Site)>::new();
    let mut there = BTreeMap::<Mac, BTreeSet<usize>>::new();
    let is_routed = |kind| matches!(kind, RowKind::Flow | RowKind::LaterFragments);
    for sum in before.iter().flat_map(|sums| &sums.sums).filter(|sum| is_routed(sum.kind)) {
        met.insert((sum.device, facts.site_of(sum.name.as_ref(), sum.network.asn, sum.marks)));
        // Addresses without a name are of a network that was met, whatever its names were then.
        met.insert((sum.device, facts.site_of(None, sum.network.asn, sum.marks)));
        if observed.get(sum.bucket).copied().unwrap_or(false) {
            there.entry(sum.device).or_default().insert(sum.bucket);
        }
    }
    let mut news =
        News { days: slots.len(), observed: observed.iter().filter(|is| **is).count(), ..News::default() };
    for ((device, site), contacted) in by_device(flows, facts) {
        let days = there.get(&device).map_or(0, BTreeSet::len);
        if days < MIN_DAYS.min(wanted_days) {
            news.unjudged.insert(device, days);
        } else if met.contains(&(device, site.clone())) || matches!(site, Site::Unknown | Site::Withheld) {
        } else if contacted.is_unsure {
            news.unsure = news.unsure.saturating_add(1);
        } else {
            news.lines.push(NewLine { device, site, contacted });
        }
    }
    let order = |line: &NewLine| -> (WallTime, Mac, Site) {
        (line.contacted.first_at, line.device, line.site.clone())
    };
    news.lines.sort_by_key(order);
    news
}
