//! A bounded map whose oldest key leaves, the shape that all books share.

use crate::units::Mac;
use gateway_common::FlowKey;
use std::collections::{BTreeMap, BTreeSet};

/// Whose a key is: each device has a share of its own.
pub(super) trait OfDevice: Copy + Ord {
    /// The device.
    fn device(&self) -> Mac;
}

impl OfDevice for FlowKey {
    fn device(&self) -> Mac {
        Mac(self.device_mac())
    }
}

impl<T: Copy + Ord> OfDevice for (FlowKey, T) {
    fn device(&self) -> Mac {
        self.0.device()
    }
}

impl OfDevice for Mac {
    fn device(&self) -> Mac {
        *self
    }
}

impl<T: Copy + Ord> OfDevice for (Mac, T) {
    fn device(&self) -> Mac {
        self.0
    }
}

/// How many keys a book may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of one device.
    pub(super) per_device: usize,
    /// Of all devices.
    pub(super) in_all: usize,
}

/// A map that knows which of its keys was touched longest ago.
#[derive(Clone, Debug)]
pub(super) struct Aged<K, V> {
    limits: Limits,
    entries: BTreeMap<K, (u64, V)>,
    by_turn: BTreeMap<u64, K>,
    by_device: BTreeSet<(Mac, u64)>,
    held: BTreeMap<Mac, usize>,
    /// The same, fewest first.
    by_held: BTreeSet<(usize, Mac)>,
    next_turn: u64,
}

impl<K: OfDevice, V> Aged<K, V> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            by_turn: BTreeMap::new(),
            by_device: BTreeSet::new(),
            held: BTreeMap::new(),
            by_held: BTreeSet::new(),
            next_turn: 0,
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, (_, value))| (key, value))
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (turn, value) = self.entries.remove(key)?;
        self.by_turn.remove(&turn);
        self.by_device.remove(&(key.device(), turn));
        let count = self.held_by(key.device());
        self.set_held(key.device(), count.saturating_sub(1));
        Some(value)
    }

    fn held_by(&self, device: Mac) -> usize {
        self.held.get(&device).copied().unwrap_or(0)
    }

    fn set_held(&mut self, device: Mac, count: usize) {
        if let Some(before) = self.held.remove(&device) {
            self.by_held.remove(&(before, device));
        }
        if count > 0 {
            self.held.insert(device, count);
            self.by_held.insert((count, device));
        }
    }

    /// Who has to make room when all is full: the oldest of all, unless another device holds more than that one's.
    /// So who fills a book with much makes room for it before those who hold less.
    fn oldest_of_those_with_most(&self) -> Option<u64> {
        let (turn, oldest) = self.by_turn.iter().next()?;
        let (most, device) = self.by_held.iter().next_back()?;
        if self.held_by(oldest.device()) >= *most {
            return Some(*turn);
        }
        self.oldest_of(*device)
    }

    fn oldest_of(&self, device: Mac) -> Option<u64> {
        self.by_device.range((device, 0)..=(device, u64::MAX)).next().map(|(_, turn)| *turn)
    }

    /// Lets those go of whose value this is true; tells how many.
    pub(super) fn remove_where(&mut self, mut is_over: impl FnMut(&V) -> bool) -> u64 {
        let over: Vec<K> =
            self.entries.iter().filter(|(_, (_, value))| is_over(value)).map(|(key, _)| *key).collect();
        over.iter().filter_map(|key| self.remove(key)).fold(0_u64, |count, _| count.saturating_add(1))
    }

    /// Puts a value in as the youngest; tells how many others had to leave for it: none or one.
    pub(super) fn insert(&mut self, key: K, value: V) -> u64 {
        u64::from(self.put(key, value).is_some())
    }

    /// The same; gives back the one that had to leave for it.
    pub(super) fn put(&mut self, key: K, value: V) -> Option<V> {
        self.remove(&key);
        let device = key.device();
        let leaves = if self.held_by(device) >= self.limits.per_device {
            self.oldest_of(device)
        } else if self.entries.len() >= self.limits.in_all {
            self.oldest_of_those_with_most()
        } else {
            None
        };
        let evicted =
            leaves.and_then(|turn| self.by_turn.get(&turn).copied()).and_then(|old| self.remove(&old));
        let turn = self.next_turn;
        self.next_turn = self.next_turn.wrapping_add(1);
        self.entries.insert(key, (turn, value));
        self.by_turn.insert(turn, key);
        self.by_device.insert((device, turn));
        let count = self.held_by(device);
        self.set_held(device, count.saturating_add(1));
        evicted
    }

    /// Makes a key the youngest, if it is here.
    pub(super) fn touch(&mut self, key: &K) {
        let Some((turn, _)) = self.entries.get_mut(key) else { return };
        let old = core::mem::replace(turn, self.next_turn);
        self.by_turn.remove(&old);
        self.by_turn.insert(self.next_turn, *key);
        self.by_device.remove(&(key.device(), old));
        self.by_device.insert((key.device(), self.next_turn));
        self.next_turn = self.next_turn.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn book() -> Aged<(Mac, u8), u8> {
        Aged::new(Limits { per_device: 3, in_all: 5 })
    }

    #[test]
    fn the_oldest_of_the_same_device_leaves_first() {
        let mut book = book();
        book.insert((B, 0), 0);
        let evicted: Vec<u64> = (1..=4).map(|n| book.insert((A, n), n)).collect();
        assert_eq!(evicted, [0, 0, 0, 1], "three is the limit of one device");
        assert_eq!((book.get(&(A, 1)), book.get(&(B, 0))), (None, Some(&0)));
        book.touch(&(A, 2));
        book.insert((A, 5), 5);
        assert_eq!((book.get(&(A, 3)), book.get(&(A, 2))), (None, Some(&2)));
    }

    #[test]
    fn the_oldest_of_all_leaves_when_all_is_full() {
        let mut book = book();
        for n in 0..3 {
            book.insert((A, n), n);
        }
        assert_eq!((book.insert((B, 0), 0), book.insert((B, 1), 1)), (0, 0));
        assert_eq!((book.insert((B, 2), 2), book.get(&(A, 0))), (1, None));
        assert_eq!(book.insert((B, 2), 9), 0, "the same key again takes no room");
    }

    #[test]
    fn who_holds_most_makes_room_before_an_older_one_of_another() {
        let mut book = book();
        book.insert((B, 0), 0);
        for n in 0..3 {
            book.insert((A, n), n);
        }
        let c = Mac([2, 0, 0, 0, 0, 3]);
        assert_eq!((book.insert((c, 0), 0), book.insert((c, 1), 1)), (0, 1));
        assert_eq!((book.get(&(B, 0)), book.get(&(A, 0))), (Some(&0), None));
    }

    proptest! {
        #[test]
        fn the_indexes_agree(steps in proptest::collection::vec((0..4_u8, 0..3_u8, 0..8_u8), 0..200)) {
            let mut book = book();
            for (what, device, n) in steps {
                let key = (Mac([2, 0, 0, 0, 0, device]), n);
                match what {
                    0 => { book.insert(key, n); }
                    1 => { book.remove(&key); }
                    2 if n == 0 => { book.remove_where(|value| value % 2 == 0); }
                    _ => book.touch(&key),
                }
                prop_assert!(book.entries.len() <= 5);
                prop_assert_eq!(book.entries.len(), book.by_turn.len());
                prop_assert_eq!(book.entries.len(), book.by_device.len());
                prop_assert_eq!(book.entries.len(), book.held.values().sum::<usize>());
                prop_assert_eq!(book.held.len(), book.by_held.len());
                prop_assert!(book.held.values().all(|held| (1..=3).contains(held)));
            }
        }
    }
}
