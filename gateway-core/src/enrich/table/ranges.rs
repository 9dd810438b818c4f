//! Ranges as they lie in a table's body, and the index that finds one of them: from a key to the value of the range
//! it lies in. Nothing is unpacked; a few distances are added up at every question.

use crate::enrich::cursor::{Cursor, put_varint};
use crate::enrich::envelope::TableError;
use core::marker::PhantomData;

/// The integer that ranges are sorted by.
pub trait RangeKey: Copy + Ord + Into<u64> + TryFrom<u64> {
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

/// Ranges between two entries of the index: more make it smaller and every question slower.
const BLOCK_LEN: usize = 16;

/// A first level of more buckets than this gains nothing: it is 256 KiB already.
const MAX_INDEX_BITS: u32 = 16;

/// How long a distance is as it lies.
const TOKEN_LEN: usize = 2;

/// Ranges from a key to a value that lie in a body, which every question must bring along.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Ranges<K> {
    count: usize,
    /// Where in the body the distances begin.
    tokens_at: usize,
    /// Where in the body the values begin, and how many bytes each takes.
    values_at: usize,
    width: usize,
    /// The start of every [`BLOCK_LEN`]th range.
    blocks: Vec<K>,
    index_bits: u32,
    /// For each bucket how many blocks begin in buckets before it, and at the end how many there are.
    index: Vec<u32>,
}

impl<K: RangeKey> Ranges<K> {
    /// Reads ranges with values up to `max_value`, checks every one, and makes the index.
    pub(super) fn decode(
        cursor: &mut Cursor<'_>,
        max_value: usize,
        field: &'static str,
    ) -> Result<Self, TableError> {
        let count = cursor.count(field)?;
        let width = width_of(max_value).ok_or(TableError::TooLarge)?;
        let mut start = if count == 0 { 0 } else { cursor.varint(field)? };
        let key_of = |start| K::try_from(start).map_err(|_| TableError::Malformed { field, found: start });
        let tokens_at = cursor.position();
        let tokens_len = count.saturating_sub(1).checked_mul(TOKEN_LEN).ok_or(TableError::TooLarge)?;
        let (tokens, _) = cursor.take(tokens_len as u64, field)?.as_chunks();
        let mut blocks = Vec::with_capacity(count.div_ceil(BLOCK_LEN));
        if count > 0 {
            blocks.push(key_of(start)?);
        }
        for (position, &token) in (1..).zip(tokens) {
            let step = distance::<K>(token);
            let next = start.checked_add(step).filter(|&next| next != start && next - start == step);
            start = next.ok_or(TableError::Malformed { field, found: step })?;
            if position % BLOCK_LEN == 0 {
                blocks.push(key_of(start)?);
            }
        }
        key_of(start)?;
        let values_at = cursor.position();
        let values_len = count.checked_mul(width).ok_or(TableError::TooLarge)?;
        for value in cursor.take(values_len as u64, field)?.chunks_exact(width) {
            let value = little_endian(value);
            if usize::try_from(value).map_or(true, |value| value > max_value) {
                return Err(TableError::Malformed { field, found: value.into() });
            }
        }
        // Two blocks to a bucket, more or less.
        let index_bits = blocks.len().checked_ilog2().unwrap_or(0).min(MAX_INDEX_BITS);
        let buckets = 1_usize << index_bits;
        let mut index = Vec::with_capacity(buckets + 1);
        for (position, &start) in (0_u32..).zip(&blocks) {
            let bucket = bucket_of(start, index_bits);
            while index.len() <= bucket {
                index.push(position);
            }
        }
        index.resize(buckets + 1, u32::try_from(blocks.len()).unwrap_or(u32::MAX));
        Ok(Self { count, tokens_at, values_at, width, blocks, index_bits, index })
    }

    /// The value of the range that holds the key; `None` for unknown. `body` is what it was decoded from.
    pub(super) fn get(&self, body: &[u8], key: K) -> Option<u32> {
        let bucket = bucket_of(key, self.index_bits);
        let from = usize::try_from(*self.index.get(bucket)?).ok()?;
        let to = usize::try_from(*self.index.get(bucket + 1)?).ok()?;
        let inside = self.blocks.get(from..to)?.partition_point(|&start| start <= key);
        let block = (from + inside).checked_sub(1)?;
        let (mut start, key): (u64, u64) = ((*self.blocks.get(block)?).into(), key.into());
        let first = block * BLOCK_LEN;
        let others = self.count.min(first + BLOCK_LEN) - first - 1;
        let at = self.tokens_at + first * TOKEN_LEN;
        let (tokens, _) = body.get(at..at + others * TOKEN_LEN)?.as_chunks();
        let mut position = first;
        // To the end of the block, past the key: a way out in the middle would be guessed wrong half the time. The
        // sums were all made before, when the table was checked.
        for &token in tokens {
            start = start.wrapping_add(distance::<K>(token));
            position += usize::from(start <= key);
        }
        let at = self.values_at + position * self.width;
        let value = little_endian(body.get(at..at + self.width)?);
        value.checked_sub(1)
    }

    /// How many ranges there are, unknown ones between known ones included.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Bytes of memory it takes beside the body.
    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<K>() + self.index.capacity() * size_of::<u32>()
    }
}

/// Writes ranges given in ascending order. A value that goes on is one range with what went before.
pub(super) struct RangeWriter<K> {
    first: u64,
    tokens: Vec<u8>,
    values: Vec<u8>,
    width: usize,
    count: u64,
    last_start: Option<u64>,
    last_kept: Option<(u64, u32)>,
    key: PhantomData<K>,
}

impl<K: RangeKey> RangeWriter<K> {
    /// Begins a list whose values are at most `max_value`.
    pub(super) fn new(max_value: usize) -> Result<Self, TableError> {
        Ok(Self {
            first: 0,
            tokens: Vec::new(),
            values: Vec::new(),
            width: width_of(max_value).ok_or(TableError::TooLarge)?,
            count: 0,
            last_start: None,
            last_kept: None,
            key: PhantomData,
        })
    }

    /// Adds a range; 0 is unknown. `None`, and nothing is added, where `start` is not past the last one.
    pub(super) fn push(&mut self, start: K, value: u32) -> Option<()> {
        let start: u64 = start.into();
        if self.last_start.is_some_and(|last| last >= start) {
            return None;
        }
        self.last_start = Some(start);
        if self.last_kept.map_or(0, |(_, value)| value) != value {
            match self.last_kept {
                None => self.first = start,
                Some((before, old)) => {
                    let mut rest = start - before;
                    loop {
                        let (token, covered) = token_for::<K>(rest);
                        self.tokens.extend_from_slice(&token);
                        rest -= covered;
                        if rest == 0 {
                            break;
                        }
                        // Too fine for one token: a bound on the way at which nothing changes.
                        self.put_value(old)?;
                    }
                }
            }
            self.put_value(value)?;
            self.last_kept = Some((start, value));
        }
        Some(())
    }

    fn put_value(&mut self, value: u32) -> Option<()> {
        self.values.extend_from_slice(value.to_le_bytes().get(..self.width)?);
        self.count += 1;
        Some(())
    }

    /// The list as it stands in a body.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        put_varint(out, self.count);
        if self.count > 0 {
            put_varint(out, self.first);
        }
        out.extend_from_slice(&self.tokens);
        out.extend_from_slice(&self.values);
    }
}

/// How many bits of a token are the number; those above say by how much it is shifted.
const fn number_bits<K: RangeKey>() -> u32 {
    // A shift of up to 31 or of up to 63.
    if K::SPREAD_BITS <= 32 { 11 } else { 10 }
}

/// The token of a distance, or of the greatest below it that has one; and the distance it stands for.
fn token_for<K: RangeKey>(distance: u64) -> ([u8; TOKEN_LEN], u64) {
    let significant = u64::BITS - distance.leading_zeros();
    let shift = significant.saturating_sub(number_bits::<K>()).max(distance.trailing_zeros() & 63);
    let number = distance >> shift;
    // The number has at most its bits and the shift at most the others, whatever the distance.
    (((shift << number_bits::<K>()) as u16 | number as u16).to_le_bytes(), number << shift)
}

fn distance<K: RangeKey>(token: [u8; TOKEN_LEN]) -> u64 {
    let token = u64::from(u16::from_le_bytes(token));
    (token & ((1 << number_bits::<K>()) - 1)) << (token >> number_bits::<K>())
}

/// How many bytes hold every value up to this one; `None` beyond three.
fn width_of(max_value: usize) -> Option<usize> {
    match max_value {
        0..=0xff => Some(1),
        0x100..=0xffff => Some(2),
        0x1_0000..=0xff_ffff => Some(3),
        _ => None,
    }
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
}

fn bucket_of<K: RangeKey>(key: K, index_bits: u32) -> usize {
    // At most 2^16 - 1, so it fits every usize.
    (key.spread() >> (K::SPREAD_BITS - index_bits)) as usize
}
