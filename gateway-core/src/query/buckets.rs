//! Rows added up over stretches of the calendar: what a summary of many days is made of.

use super::TimeRange;
use crate::application::Application;
use crate::row::{Evidence, Marks, Network, RowKind};
use crate::units::{DomainName, Mac, Volume, WallTime};

/// Stretches that lie side by side, such as the hours of a local day: 23, 24 or 25 of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Buckets {
    /// Where each begins, and last where the last one ends. Ascending.
    bounds: Vec<WallTime>,
}

impl Buckets {
    /// Buckets between these moments. `None` if there are fewer than two, or they do not ascend.
    #[must_use]
    pub fn between(bounds: Vec<WallTime>) -> Option<Self> {
        let ascends = bounds.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
        (bounds.len() >= 2 && ascends).then_some(Self { bounds })
    }

    /// From the first one's beginning to the last one's end.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        let ends = (self.bounds.first(), self.bounds.last());
        let (since, until) = (ends.0.copied().unwrap_or_default(), ends.1.copied().unwrap_or_default());
        TimeRange { since, until }
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = TimeRange> {
        self.bounds.windows(2).filter_map(|pair| match pair {
            [since, until] => Some(TimeRange { since: *since, until: *until }),
            _ => None,
        })
    }

    /// The one that this moment is in: its place among them.
    #[must_use]
    pub fn place_of(&self, at: WallTime) -> Option<usize> {
        let begun = self.bounds.partition_point(|bound| *bound <= at);
        (begun < self.bounds.len()).then(|| begun.checked_sub(1)).flatten()
    }
}

/// What one device exchanged under one name with one network in one bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketSum {
    /// The place among the buckets that were asked for. A row belongs to the one it began in, whole.
    pub bucket: usize,
    /// The device; of merged ones the one that the others were merged into.
    pub device: Mac,
    /// The name, if there is one.
    pub name: Option<DomainName>,
    /// How the name is known.
    pub evidence: Evidence,
    /// How sure it is.
    pub marks: Marks,
    /// Which protocol was recognised.
    pub application: Application,
    /// What kind of rows.
    pub kind: RowKind,
    /// Whose network the peers are in.
    pub network: Network,
    /// What was exchanged.
    pub volume: Volume,
    /// How many conversations.
    pub conversations: u64,
    /// The rows were kept for longer stretches than this bucket: parts of them may belong to later ones.
    pub is_coarse: bool,
}

/// What one device sent to one destination, in each bucket in which there was any contact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// The device; of merged ones the one that the others were merged into.
    pub device: Mac,
    /// The destination's name, if there is one.
    pub name: Option<DomainName>,
    /// Whose network it is in; unknown where there is a name.
    pub network: Network,
    /// [`Marks::WITHHELD`] or nothing.
    pub marks: Marks,
    /// Which protocol was recognised.
    pub application: Application,
    /// Bytes up, with the place of the bucket; a bucket may be there more than once.
    pub by_bucket: Vec<(usize, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_in_the_bucket_that_began_last() {
        let buckets = Buckets::between([10, 20, 45].map(WallTime).to_vec()).expect("ascending");
        let places = [9, 10, 19, 20, 44, 45].map(|at| buckets.place_of(WallTime(at)));
        assert_eq!(places, [None, Some(0), Some(0), Some(1), Some(1), None]);
        assert_eq!(buckets.range(), TimeRange { since: WallTime(10), until: WallTime(45) });
        assert_eq!(buckets.iter().map(TimeRange::len_ns).collect::<Vec<_>>(), [10, 25]);
    }

    #[test]
    fn what_does_not_ascend_makes_no_buckets() {
        for bounds in [vec![], vec![1], vec![1, 1], vec![2, 1]] {
            assert_eq!(Buckets::between(bounds.into_iter().map(WallTime).collect()), None);
        }
    }
}
