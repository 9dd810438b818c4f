//! Two sets of rows side by side, by destination.

use super::contacted::{Contacted, Facts, together};
use super::summary::model::Site;
use crate::query::FlowSum;
use crate::units::Volume;
use core::cmp::Reverse;
use std::collections::BTreeMap;

/// One destination in both.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    /// Which.
    pub site: Site,
    /// Whose name it is; `None` if that is not known.
    pub owner: Option<String>,
    /// In the first; `None` if it is not there.
    pub first: Option<Contacted>,
    /// In the second.
    pub second: Option<Contacted>,
}

impl Pair {
    /// What was exchanged in each.
    #[must_use]
    pub fn volumes(&self) -> [Volume; 2] {
        [&self.first, &self.second].map(|side| side.as_ref().map(|found| found.volume).unwrap_or_default())
    }
}

/// Compares. The destinations with the most bytes in either come first.
#[must_use]
pub fn compare(first: &[FlowSum], second: &[FlowSum], facts: &mut Facts<'_>) -> Vec<Pair> {
    let mut sites = BTreeMap::<Site, [Option<Contacted>; 2]>::new();
    for (site, found) in together(first, facts) {
        sites.entry(site).or_default()[0] = Some(found);
    }
    for (site, found) in together(second, facts) {
        sites.entry(site).or_default()[1] = Some(found);
    }
    let pair = |(site, [first, second]): (Site, [Option<Contacted>; 2])| {
        let owner = [&first, &second].into_iter().flatten().find_map(|found| found.owner.clone());
        Pair { site, owner, first, second }
    };
    let mut pairs: Vec<Pair> = sites.into_iter().map(pair).collect();
    pairs.sort_by_key(|pair| Reverse(pair.volumes().map(Volume::bytes).into_iter().max()));
    pairs
}

/// How many times the first the second is, in hundredths, rounded; `None` where the first is nothing.
#[must_use]
pub fn hundredths(first: u64, second: u64) -> Option<u64> {
    let (first, second) = (u128::from(first), u128::from(second));
    (first > 0).then(|| u64::try_from((second * 100 + first / 2) / first).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_rounded_and_has_a_base() {
        assert_eq!([hundredths(0, 5), hundredths(3, 0), hundredths(3, 1)], [None, Some(0), Some(33)]);
        assert_eq!([hundredths(3, 2), hundredths(1, u64::MAX)], [Some(67), Some(u64::MAX)]);
    }
}
