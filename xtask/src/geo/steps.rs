//! Ascending ranges → the steps a table is made from, and what is left out of them.

use super::read::Range;
use gateway_core::enrich::table::{RangeKey, Step};

/// The size of a block whose IPv6 countries are kept all or not at all: what registries give one network.
const BLOCK_PREFIX: u32 = 32;

/// A /32 split into more pieces than this gets no country: some 400 of them hold two fifths of all pieces.
const MAX_PIECES: usize = 12;

/// Steps from ranges: gaps become unknown, and a value that goes on is one step.
pub fn from_ranges<K: RangeKey + TryFrom<u64>>(ranges: &[Range<K>]) -> Vec<Step<K>> {
    let mut steps: Vec<Step<K>> = Vec::new();
    let mut next: Option<K> = None;
    let mut push = |step: Step<K>| {
        if steps.last().map_or(step.value.is_some(), |last| last.value != step.value) {
            steps.push(step);
        }
    };
    for range in ranges {
        if let Some(gap) = next.filter(|&gap| gap < range.first) {
            push(Step { start: gap, value: None });
        }
        push(Step { start: range.first, value: Some(range.value) });
        let after: u64 = range.last.into();
        next = after.checked_add(1).and_then(|after| K::try_from(after).ok());
    }
    if let Some(end) = next {
        push(Step { start: end, value: None });
    }
    steps
}

/// Countries by IPv6 address without the details that cost most: a /32 in many pieces becomes unknown, which is
/// not the truth but is no lie, except where it touches one of the `exact` ranges. Also tells how many /32s that
/// are.
pub fn coarsened(steps: &[Step<u64>], exact: &[Range<u64>]) -> (Vec<Step<u64>>, usize) {
    const OFFSET: u64 = u64::MAX >> BLOCK_PREFIX;
    let mut kept: Vec<Step<u64>> = Vec::with_capacity(steps.len());
    let mut pending: Option<Step<u64>> = None;
    let mut blanked = 0;
    for block in steps.chunk_by(|a, b| a.start | OFFSET == b.start | OFFSET) {
        let (Some(first), Some(last)) = (block.first(), block.last()) else { continue };
        let (from, to) = (first.start & !OFFSET, first.start | OFFSET);
        let pieces = block.len() + usize::from(first.start != from);
        let touches = exact.get(exact.partition_point(|r| r.last < from)).is_some_and(|r| r.first <= to);
        if pieces <= MAX_PIECES || touches {
            kept.extend(pending.take().filter(|p| p.start < first.start));
            kept.extend_from_slice(block);
        } else {
            blanked += 1;
            kept.extend(pending.take().filter(|p| p.start < from));
            kept.push(Step { start: from, value: None });
            pending = to.checked_add(1).map(|start| Step { start, value: last.value });
        }
    }
    kept.extend(pending);
    (kept, blanked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(start: u64, value: Option<u32>) -> Step<u64> {
        Step { start, value }
    }

    #[test]
    fn gaps_are_unknown_and_neighbours_join() {
        let range = |first: u32, last: u32, value| Range { first, last, value };
        let ranges = [range(5, 9, 1), range(10, 14, 1), range(15, 15, 2), range(20, u32::MAX, 1)];
        let steps: Vec<(u32, Option<u32>)> =
            from_ranges(&ranges).iter().map(|s| (s.start, s.value)).collect();
        assert_eq!(steps, [(5, Some(1)), (15, Some(2)), (16, None), (20, Some(1))]);
        let ends: Vec<(u32, Option<u32>)> =
            from_ranges(&[range(0, 7, 3)]).iter().map(|s| (s.start, s.value)).collect();
        assert_eq!(ends, [(0, Some(3)), (8, None)]);
    }

    /// A /32 at `block` that changes its country every /48, `pieces` times, then goes on with the last.
    fn split(block: u64, pieces: u64) -> Vec<Step<u64>> {
        (0..pieces).map(|n| step(block | n << 16, Some((n % 2) as u32))).collect()
    }

    #[test]
    fn a_block_in_many_pieces_is_unknown_and_its_neighbours_are_not() {
        let block = 0x2a00_0001_u64 << 32;
        let mut steps = vec![step(0x2a00_0000 << 32, Some(7))];
        steps.extend(split(block, 13));
        let expected =
            vec![step(0x2a00_0000 << 32, Some(7)), step(block, None), step(0x2a00_0002 << 32, Some(0))];
        assert_eq!(coarsened(&steps, &[]), (expected, 1));
    }

    #[test]
    fn a_block_in_few_pieces_is_kept() {
        let steps = split(0x2a00_0001 << 32, 12);
        assert_eq!(coarsened(&steps, &[]), (steps.clone(), 0));
    }

    #[test]
    fn a_block_that_must_be_exact_is_kept() {
        let block = 0x2a00_0001_u64 << 32;
        let steps = split(block, 40);
        let inside = Range { first: block | 5, last: block | 9, value: 0 };
        assert_eq!(coarsened(&steps, &[inside]), (steps.clone(), 0));
        let around = Range { first: 0x2a00_0000 << 32, last: 0x2a00_000f << 32, value: 0 };
        assert_eq!(coarsened(&steps, &[around]), (steps.clone(), 0));
        let before = Range { first: 0x2a00_0000 << 32, last: block - 1, value: 0 };
        assert_eq!(coarsened(&steps, &[before]).1, 1);
        let after = Range { first: block + (1 << 32), last: u64::MAX, value: 0 };
        assert_eq!(coarsened(&steps, &[after]).1, 1);
    }

    #[test]
    fn two_blocks_in_many_pieces_side_by_side() {
        let (one, two) = (0x2a00_0001_u64 << 32, 0x2a00_0002_u64 << 32);
        let mut steps = split(one, 20);
        // The second does not begin with a bound of its own: the first one's last value runs into it.
        steps.extend(split(two, 20).into_iter().skip(1));
        let (kept, blanked) = coarsened(&steps, &[]);
        assert_eq!(blanked, 2);
        assert_eq!(kept, [step(one, None), step(two, None), step(0x2a00_0003 << 32, Some(1))]);
    }
}
