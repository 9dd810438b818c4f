//! Sorted range starts with a first-level index: from a key to the value of the range it lies in.

/// The integer that ranges are sorted by.
pub trait RangeKey: Copy + Ord + Into<u64> {
    /// How many bits [`RangeKey::spread`] fills.
    const SPREAD_BITS: u32;

    /// The key, moved and clamped so that the addresses in use fill the whole range. Never descends as the key
    /// ascends.
    fn spread(self) -> u64;
}

/// An IPv4 address.
impl RangeKey for u32 {
    const SPREAD_BITS: u32 = 32;

    fn spread(self) -> u64 {
        self.into()
    }
}

/// The upper half of an IPv6 address. All global unicast is in 2000::/3 (RFC 4291 §2.4 and IANA's registry).
impl RangeKey for u64 {
    const SPREAD_BITS: u32 = 61;

    fn spread(self) -> u64 {
        const FIRST: u64 = 0x2000 << 48;
        const LAST: u64 = (0x4000 << 48) - 1;
        self.clamp(FIRST, LAST) - FIRST
    }
}

/// An index of more buckets than this gains nothing: it is 256 KiB already.
const MAX_INDEX_BITS: u32 = 16;

/// Ranges from a key to a value. The default value stands for unknown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeMap<K, V> {
    starts: Vec<K>,
    values: Vec<V>,
    index_bits: u32,
    /// For each bucket how many starts lie in buckets before it, and at the end how many there are.
    index: Vec<u32>,
}

/// Takes ranges in ascending order.
pub struct RangeMapBuilder<K, V> {
    starts: Vec<K>,
    values: Vec<V>,
    last_start: Option<K>,
}

impl<K: RangeKey, V: Copy + Default + Eq> RangeMap<K, V> {
    /// Begins a map of about so many ranges.
    #[must_use]
    pub fn builder(capacity: usize) -> RangeMapBuilder<K, V> {
        RangeMapBuilder {
            starts: Vec::with_capacity(capacity),
            values: Vec::with_capacity(capacity),
            last_start: None,
        }
    }

    /// The value of the range that holds the key, if it is known.
    #[must_use]
    pub fn get(&self, key: K) -> Option<V> {
        let bucket = bucket_of(key, self.index_bits);
        let from = usize::try_from(*self.index.get(bucket)?).ok()?;
        let to = usize::try_from(*self.index.get(bucket + 1)?).ok()?;
        let inside = self.starts.get(from..to)?.partition_point(|&start| start <= key);
        let value = *self.values.get((from + inside).checked_sub(1)?)?;
        (value != V::default()).then_some(value)
    }

    /// How many ranges there are, unknown ones between known ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Is everything unknown?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Start and value of each range, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        self.starts.iter().copied().zip(self.values.iter().copied())
    }

    /// Bytes of memory it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.starts.capacity() * size_of::<K>()
            + self.values.capacity() * size_of::<V>()
            + self.index.capacity() * size_of::<u32>()
    }
}

impl<K: RangeKey, V: Copy + Default + Eq> RangeMapBuilder<K, V> {
    /// Adds a range. A value that goes on is one range with what went before. `None`, and nothing is added, where
    /// `start` is not past the last one.
    pub fn push(&mut self, start: K, value: V) -> Option<()> {
        if self.last_start.is_some_and(|last| last >= start) {
            return None;
        }
        self.last_start = Some(start);
        if self.values.last().copied().unwrap_or_default() != value {
            self.starts.push(start);
            self.values.push(value);
        }
        Some(())
    }

    /// The map, with its index.
    #[must_use]
    pub fn finish(self) -> RangeMap<K, V> {
        let Self { mut starts, mut values, last_start: _ } = self;
        starts.shrink_to_fit();
        values.shrink_to_fit();
        // About four ranges to a bucket: the index stays small beside what it points into.
        let index_bits = starts.len().checked_ilog2().unwrap_or(0).saturating_sub(2).min(MAX_INDEX_BITS);
        let buckets = 1_usize << index_bits;
        let mut index = Vec::with_capacity(buckets + 1);
        for (position, &start) in (0_u32..).zip(&starts) {
            let bucket = bucket_of(start, index_bits);
            while index.len() <= bucket {
                index.push(position);
            }
        }
        let total = u32::try_from(starts.len()).unwrap_or(u32::MAX);
        index.resize(buckets + 1, total);
        RangeMap { starts, values, index_bits, index }
    }
}

fn bucket_of<K: RangeKey>(key: K, index_bits: u32) -> usize {
    // At most 2^16 - 1, so it fits every usize.
    (key.spread() >> (K::SPREAD_BITS - index_bits)) as usize
}
