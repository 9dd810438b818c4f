//! The prefixes of one length, sorted, with a first-level index over their first bits.

/// Bits that the index takes: what is left of a prefix of 28 bits then fits two bytes. Prefixes of 24 bits are the many,
/// and theirs may be finer.
const fn index_bits(bits: u32) -> u32 {
    if bits == 24 { 13 } else { 12 }
}

/// Bits of a MAC address.
const MAC_BITS: u32 = 48;

/// What follows the bits of a prefix that the index takes.
pub(super) trait Rest: Copy + Ord + TryFrom<u64> + Into<u64> {}

impl Rest for u16 {}
impl Rest for u32 {}

/// Prefixes of one length and their values; 0 stands for nobody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Level<R> {
    bits: u32,
    rests: Vec<R>,
    values: Vec<u16>,
    /// For each bucket how many prefixes lie in buckets before it, and at the end how many there are.
    index: Vec<u16>,
}

impl<R: Rest> Level<R> {
    /// Of ascending prefixes; `None` where they do not ascend, have more bits than their length, or are more than the
    /// index can count.
    pub(super) fn new(len: super::PrefixLen, prefixes: &[(u64, u16)]) -> Option<Self> {
        let bits = len.bits();
        let (index_bits, rest_bits) = (index_bits(bits), bits - index_bits(bits));
        let total = u16::try_from(prefixes.len()).ok()?;
        let mut level = Self {
            bits,
            rests: Vec::with_capacity(prefixes.len()),
            values: Vec::with_capacity(prefixes.len()),
            index: Vec::with_capacity((1 << index_bits) + 1),
        };
        let mut last = None;
        for (position, &(prefix, value)) in (0_u16..).zip(prefixes) {
            if prefix >> bits != 0 || last.is_some_and(|last| last >= prefix) {
                return None;
            }
            last = Some(prefix);
            let bucket = usize::try_from(prefix >> rest_bits).ok()?;
            while level.index.len() <= bucket {
                level.index.push(position);
            }
            level.rests.push(R::try_from(prefix & ((1 << rest_bits) - 1)).ok()?);
            level.values.push(value);
        }
        level.index.resize((1 << index_bits) + 1, total);
        Some(level)
    }

    /// The value of the prefix that an address has, if it is here.
    pub(super) fn get(&self, mac: u64) -> Option<u16> {
        let rest_bits = self.bits - index_bits(self.bits);
        let prefix = mac >> (MAC_BITS - self.bits);
        let bucket = usize::try_from(prefix >> rest_bits).ok()?;
        let from = usize::from(*self.index.get(bucket)?);
        let to = usize::from(*self.index.get(bucket + 1)?);
        let rest = R::try_from(prefix & ((1 << rest_bits) - 1)).ok()?;
        let inside = self.rests.get(from..to)?.binary_search(&rest).ok()?;
        self.values.get(from + inside).copied()
    }

    /// Prefixes and values, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u16)> + '_ {
        let mut bucket = 0_usize;
        (0_usize..).zip(self.rests.iter().zip(&self.values)).map(move |(position, (rest, value))| {
            while self.index.get(bucket + 1).is_some_and(|&end| usize::from(end) <= position) {
                bucket += 1;
            }
            ((bucket as u64) << (self.bits - index_bits(self.bits)) | (*rest).into(), *value)
        })
    }

    pub(super) fn len(&self) -> usize {
        self.rests.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.rests.capacity() * size_of::<R>()
            + (self.values.capacity() + self.index.capacity()) * size_of::<u16>()
    }
}
