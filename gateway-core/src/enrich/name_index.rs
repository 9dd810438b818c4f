//! Names with a small value each, found by any of a name's endings: what owners, public suffixes and lists are kept in.
//!
//! A name and everything it ends in (`a.b.c`, `b.c`, `c`) is looked up in one walk from its right end. Records lie
//! in one block of memory, bucket after bucket, so that a name costs its text and about four bytes. Imports nothing.

/// Longest name in bytes (RFC 1035 §2.3.4 less the root); a record's length is one byte.
const MAX_NAME_LEN: usize = 253;

/// Records per bucket on average: two are read about as quickly as one.
const NAMES_PER_BUCKET: usize = 2;

/// A bucket longer than this is not chance but somebody's work: the names are spread anew, by another seed.
const MAX_BUCKET_LEN: u32 = 32;

/// Seeds that are tried. Whoever can spoil them all makes look-ups slow, and not wrong.
const SEEDS: u64 = 8;

/// Names, each with `N` bytes of value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NameIndex<const N: usize> {
    /// Each record: length of the name in one byte, value, name.
    records: Box<[u8]>,
    /// Where each bucket begins in `records`; one more at the end.
    buckets: Box<[u32]>,
    seed: u64,
    count: usize,
}

/// Takes names in any order.
#[derive(Debug, Default)]
pub(crate) struct NameIndexBuilder<const N: usize> {
    records: Vec<u8>,
    count: usize,
}

/// What one ending of a name is in the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Match<'a, const N: usize> {
    /// The ending, as the index has it.
    name: &'a [u8],
    /// Of how many labels it is.
    pub(crate) labels: usize,
    /// Its value.
    pub(crate) value: [u8; N],
}

impl<'a, const N: usize> Match<'a, N> {
    /// The ending as text.
    pub(crate) fn text(&self) -> &'a str {
        // What was taken was text.
        core::str::from_utf8(self.name).unwrap_or_default()
    }

    /// Of how many bytes it is.
    pub(crate) fn len(&self) -> usize {
        self.name.len()
    }
}

impl<const N: usize> Default for NameIndex<N> {
    fn default() -> Self {
        NameIndexBuilder::default().finish(|_, _| ())
    }
}

impl<const N: usize> NameIndexBuilder<N> {
    /// Adds a name. `None`, and nothing is added, where it is empty or too long, or the index would exceed 4 GiB.
    pub(crate) fn push(&mut self, name: &str, value: [u8; N]) -> Option<()> {
        let len = u8::try_from(name.len()).ok().filter(|&len| len > 0 && name.len() <= MAX_NAME_LEN)?;
        u32::try_from(self.records.len() + 1 + N + name.len()).ok()?;
        self.records.push(len);
        self.records.extend_from_slice(&value);
        self.records.extend_from_slice(name.as_bytes());
        self.count += 1;
        Some(())
    }

    /// How many names were added.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The index. Of a name given twice there is one record: `join` puts the later value into the earlier one.
    pub(crate) fn finish(self, join: impl Fn(&mut [u8; N], [u8; N])) -> NameIndex<N> {
        let Self { records, count } = self;
        // A power of two, so that a bucket is the upper bits of a hash.
        let bits = (count / NAMES_PER_BUCKET).max(2).ilog2();
        let mut best = Spread::of(&records, count, bits, 0);
        for seed in 1..SEEDS {
            if best.longest <= MAX_BUCKET_LEN {
                break;
            }
            let other = Spread::of(&records, count, bits, seed);
            if other.longest < best.longest {
                best = other;
            }
        }
        best.gather(&records, join)
    }
}

/// Which record goes into which bucket, by one seed.
struct Spread<const N: usize> {
    seed: u64,
    /// Where each record begins, those of one bucket side by side.
    starts: Vec<u32>,
    /// How many records are in the buckets up to and with this one.
    ends: Vec<u32>,
    longest: u32,
}

impl<const N: usize> Spread<N> {
    fn of(records: &[u8], count: usize, bits: u32, seed: u64) -> Self {
        let bucket = |name: &[u8]| bucket_of(hash_of(seed, name), bits);
        let mut ends = vec![0_u32; 1 << bits];
        for (_, name, _) in each::<N>(records) {
            if let Some(len) = ends.get_mut(bucket(name)) {
                *len += 1;
            }
        }
        let longest = ends.iter().copied().max().unwrap_or(0);
        let mut sum = 0;
        for end in &mut ends {
            // Where the bucket begins; filling it below moves this to its end.
            let len = core::mem::replace(end, sum);
            sum += len;
        }
        let mut starts = vec![0_u32; count];
        for (start, name, _) in each::<N>(records) {
            let Some(next) = ends.get_mut(bucket(name)) else { continue };
            if let Some(slot) = usize::try_from(*next).ok().and_then(|at| starts.get_mut(at)) {
                *slot = start;
            }
            *next += 1;
        }
        Self { seed, starts, ends, longest }
    }

    fn gather(self, records: &[u8], join: impl Fn(&mut [u8; N], [u8; N])) -> NameIndex<N> {
        let Self { seed, starts, ends, longest: _ } = self;
        let mut sorted: Vec<u8> = Vec::with_capacity(records.len());
        let mut buckets = Vec::with_capacity(ends.len() + 1);
        let (mut from, mut count) = (0, 0);
        let mut bucket: Vec<(&[u8], [u8; N])> = Vec::new();
        for end in ends {
            buckets.push(u32::try_from(sorted.len()).unwrap_or(u32::MAX));
            let end = usize::try_from(end).unwrap_or(usize::MAX);
            for &start in starts.get(from..end).unwrap_or_default() {
                let rest = usize::try_from(start).ok().and_then(|start| records.get(start..));
                if let Some((_, name, value)) = rest.and_then(|rest| each::<N>(rest).next()) {
                    bucket.push((name, value));
                }
            }
            from = end;
            // Stable: of equal names the first given stays first.
            bucket.sort_by_key(|&(name, _)| name);
            bucket.dedup_by(|(later, value), (first, joined)| {
                let is_same = later == first;
                if is_same {
                    join(joined, *value);
                }
                is_same
            });
            count += bucket.len();
            for (name, value) in bucket.drain(..) {
                sorted.push(u8::try_from(name.len()).unwrap_or_default());
                sorted.extend_from_slice(&value);
                sorted.extend_from_slice(name);
            }
        }
        buckets.push(u32::try_from(sorted.len()).unwrap_or(u32::MAX));
        NameIndex { records: sorted.into(), buckets: buckets.into(), seed, count }
    }
}

impl<const N: usize> NameIndex<N> {
    /// How many different names there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Bytes of memory it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.records.len() + size_of_val(&*self.buckets)
    }

    /// Every name with its value, in an order that depends on nothing but the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, [u8; N])> {
        each::<N>(&self.records)
            .filter_map(|(_, name, value)| Some((core::str::from_utf8(name).ok()?, value)))
    }

    /// Gives every name a new value.
    pub(crate) fn revalue(&mut self, value: impl Fn(&[u8], [u8; N]) -> [u8; N]) {
        let mut rest = &mut *self.records;
        while let Some((&mut len, after)) = rest.split_first_mut() {
            let Some((old, after)) = after.split_first_chunk_mut::<N>() else { return };
            let Some((name, after)) = after.split_at_mut_checked(len.into()) else { return };
            *old = value(name, *old);
            rest = after;
        }
    }

    /// Tells `found` of every ending of the name that is in the index, the shortest first. Endings begin at a label;
    /// the whole name is the last of them.
    pub(crate) fn walk<'a>(&'a self, name: &str, mut found: impl FnMut(Match<'a, N>)) {
        if self.count == 0 {
            return;
        }
        let bits = self.buckets.len().saturating_sub(1).max(1).ilog2();
        let bytes = name.as_bytes();
        let (mut hash, mut labels) = (begin(self.seed), 1);
        for (at, &byte) in bytes.iter().enumerate().rev() {
            if byte == b'.' {
                self.look(bytes.get(at + 1..).unwrap_or_default(), bucket_of(hash, bits), labels, &mut found);
                labels += 1;
            }
            hash = step(hash, byte);
        }
        self.look(bytes, bucket_of(hash, bits), labels, &mut found);
    }

    fn look<'a>(&'a self, ending: &[u8], bucket: usize, labels: usize, found: &mut impl FnMut(Match<'a, N>)) {
        let bound = |at: usize| self.buckets.get(at).and_then(|&at| usize::try_from(at).ok());
        let (Some(from), Some(to)) = (bound(bucket), bound(bucket + 1)) else { return };
        let mut rest = self.records.get(from..to).unwrap_or_default();
        while let Some((&len, after)) = rest.split_first() {
            let Some((&value, after)) = after.split_first_chunk::<N>() else { return };
            let Some((name, after)) = after.split_at_checked(len.into()) else { return };
            if name == ending {
                found(Match { name, labels, value });
                return;
            }
            rest = after;
        }
    }
}

/// Each record: where it begins, its name and its value.
fn each<const N: usize>(records: &[u8]) -> impl Iterator<Item = (u32, &[u8], [u8; N])> {
    let (mut rest, mut start) = (records, 0_u32);
    core::iter::from_fn(move || {
        let (&len, after) = rest.split_first()?;
        let (&value, after) = after.split_first_chunk::<N>()?;
        let (name, after) = after.split_at_checked(len.into())?;
        let began = start;
        start += u32::try_from(rest.len() - after.len()).ok()?;
        rest = after;
        Some((began, name, value))
    })
}

// A polynomial in 257 over the bytes from the last to the first, so that a name's endings are hashed on the way, and a
// byte costs a shift and two additions. The multiplications that spread it come once for each ending.

fn begin(seed: u64) -> u64 {
    0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn step(hash: u64, byte: u8) -> u64 {
    (hash << 8).wrapping_add(hash.wrapping_add(byte.into()))
}

fn hash_of(seed: u64, name: &[u8]) -> u64 {
    name.iter().rev().fold(begin(seed), |hash, &byte| step(hash, byte))
}

/// The upper bits of the hash after some mixing: the last bytes alone move only its lower ones, and names that differ
/// in one byte would stay neighbours.
fn bucket_of(hash: u64, bits: u32) -> usize {
    let mixed = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> (64 - bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on purpose")]

    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn index(names: &[(&str, u8)]) -> NameIndex<1> {
        let mut builder = NameIndexBuilder::<1>::default();
        for (name, value) in names {
            builder.push(name, [*value]).unwrap();
        }
        builder.finish(|first, later| first[0] |= later[0])
    }

    fn walked(index: &NameIndex<1>, name: &str) -> Vec<(String, usize, u8)> {
        let mut found = Vec::new();
        index.walk(name, |it| found.push((it.text().to_owned(), it.labels, it.value[0])));
        found
    }

    #[test]
    fn endings_are_found_at_labels_and_the_longest_last() {
        let index = index(&[("com", 1), ("xiaomi.com", 2), ("data.xiaomi.com", 3), ("i.com", 4)]);
        assert_eq!(index.len(), 4);
        let found = walked(&index, "x.data.xiaomi.com");
        let expected = [("com", 1, 1), ("xiaomi.com", 2, 2), ("data.xiaomi.com", 3, 3)];
        assert_eq!(found, expected.map(|(text, labels, value)| (text.to_owned(), labels, value)));
        assert_eq!(walked(&index, "notxiaomi.com"), [("com".to_owned(), 1, 1)]);
        assert_eq!(walked(&index, "com"), [("com".to_owned(), 1, 1)]);
        assert!(walked(&index, "org").is_empty() && walked(&index, "").is_empty());
    }

    #[test]
    fn a_name_given_twice_is_joined() {
        let index = index(&[("a.b", 1), ("c.d", 8), ("a.b", 4)]);
        assert_eq!((index.len(), walked(&index, "a.b")), (2, vec![("a.b".to_owned(), 2, 5)]));
    }

    #[test]
    fn an_empty_index_knows_nothing() {
        assert!(walked(&NameIndex::default(), "a.b").is_empty());
        assert_eq!(index(&[]), NameIndex::default());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let mut builder = NameIndexBuilder::<1>::default();
        assert_eq!(builder.push("", [0]), None);
        assert_eq!(builder.push(&"a".repeat(254), [0]), None);
        assert_eq!(builder.push(&"a".repeat(253), [0]), Some(()));
        assert_eq!(builder.len(), 1);
    }

    #[test]
    fn names_that_were_made_to_collide_are_spread_by_another_seed() {
        // All in one bucket of the first seed.
        let (count, bits) = (1024, 9);
        let names: Vec<String> = (0_u32..)
            .map(|n| format!("n{n}.example"))
            .filter(|name| bucket_of(hash_of(0, name.as_bytes()), bits) == 7)
            .take(count)
            .collect();
        let mut builder = NameIndexBuilder::<1>::default();
        for name in &names {
            builder.push(name, [0]).unwrap();
        }
        let index = builder.finish(|_, _| ());
        assert_ne!(index.seed, 0);
        assert!(names.iter().all(|name| walked(&index, name).len() == 1));
    }

    #[test]
    fn a_name_costs_its_text_and_a_few_bytes() {
        let mut builder = NameIndexBuilder::<1>::default();
        let mut text = 0;
        for n in 0..10_000 {
            let name = format!("host{n}.example.com");
            text += name.len();
            builder.push(&name, [0]).unwrap();
        }
        let bytes = builder.finish(|_, _| ()).memory_bytes();
        assert!(bytes < text + 10_000 * 7, "{bytes} bytes for {text} bytes of names");
    }

    proptest! {
        #[test]
        fn it_finds_what_a_map_finds(
            names in prop::collection::vec("[ab](\\.[ab]){0,4}", 0..200),
            asked in "[ab](\\.[ab]){0,5}",
        ) {
            let pairs: Vec<(&str, u8)> = names.iter().map(|name| (&**name, 1)).collect();
            let index = index(&pairs);
            let map: BTreeMap<&str, u8> = pairs.iter().copied().collect();
            prop_assert_eq!(index.len(), map.len());
            let endings = (0..asked.len()).rev().filter(|&at| at == 0 || asked.as_bytes()[at - 1] == b'.');
            let expected: Vec<&str> = endings.map(|at| &asked[at..]).filter(|e| map.contains_key(e)).collect();
            let found = walked(&index, &asked);
            prop_assert_eq!(found.iter().map(|(text, ..)| &**text).collect::<Vec<_>>(), expected);
        }
    }
}
