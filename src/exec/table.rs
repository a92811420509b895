//! The hash table of the aggregates: open addressing over a dense list of entries.
//!
//! A slot is four bytes: the number of an entry, in as many bits as the table has, and bits of its hash in the others, so
//! that a miss seldom looks at an entry. An entry is a key and its state and nothing else: a hash of its own would make
//! a word with its count straddle two cache lines, and costs less to compute again when the table grows. Entries stand
//! in the order in which they came. The slot of an entry follows the *high* bits of its hash, so that walking the slots
//! meets the entries almost sorted by hash, and the final order costs a short insertion sort instead of a full one.

use std::cmp::Ordering;

use prefetch_index::prefetch_index;

use super::permute::{goals, swap_to};
use super::segments::Segments;
use crate::record::Key;

/// A map from keys to states that remembers the order in which the keys came.
#[derive(Debug)]
pub struct Table<K, A> {
    slots: Vec<u32>,
    /// Bits of the hash above those that choose a slot: the same in all keys of a partition.
    skip_bits: u32,
    slot_bits: u32,
    entries: Segments<(K, A)>,
}

/// How many look-ups lie between asking for a cache line and using it: 16 times the 10 ns of one are more than a miss costs.
pub const AHEAD: usize = 32;

const MIN_SLOT_BITS: u32 = 4;

/// A slot must have a bit to spare; so many slots are reached with more than 40 GB of keys in one partition.
const MAX_SLOT_BITS: u32 = 31;

impl<K: Key, A> Table<K, A> {
    /// An empty table for keys that agree in the top `skip_bits` bits of their hashes.
    pub fn new(skip_bits: u32) -> Table<K, A> {
        Table { slots: Vec::new(), skip_bits, slot_bits: 0, entries: Segments::new() }
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of slots and entries, without what keys and states own elsewhere.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u32>() + self.entries.bytes()
    }

    /// The state of an entry.
    #[inline]
    pub fn state(&mut self, entry: usize) -> &mut A {
        &mut self.entries.get_mut(entry).1
    }

    /// Finds the entry of a key, or the free slot that [`Table::insert`] wants.
    #[inline]
    pub fn find(&self, hash: u64, key: &K) -> Result<usize, usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut slot = self.home(hash);
        while let Some(&word) = self.slots.get(slot) {
            if word == 0 {
                return Err(slot);
            }
            if (word ^ hash as u32) & !self.number_mask() == 0 {
                let entry = (word & self.number_mask()) as usize - 1;
                if self.entries.get(entry).0.key_eq(key) {
                    return Ok(entry);
                }
            }
            slot = (slot + 1) & mask;
        }
        Err(slot)
    }

    /// Asks for the slot of a hash that will be looked up soon, without waiting for it.
    #[inline]
    pub fn prefetch_slot(&self, hash: u64) {
        prefetch_index(&self.slots, self.home(hash));
    }

    /// Asks for the entry that the slot of a hash leads to. The slot should have been asked for earlier.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        if let Some(word) = self.slots.get(self.home(hash)) {
            self.entries.prefetch((word & self.number_mask()).wrapping_sub(1) as usize);
        }
    }

    /// Adds a key that [`Table::find`] did not find; `slot` is what it returned.
    #[inline]
    pub fn insert(&mut self, slot: usize, hash: u64, key: K, state: A) {
        let mut slot = slot;
        if self.entries.len() >= self.slots.len() / 2 && self.slot_bits < MAX_SLOT_BITS {
            self.grow();
            slot = self.free_slot(hash);
        }
        self.slots[slot] = self.word(self.entries.len(), hash);
        self.entries.push((key, state));
    }

    /// The entries, in the order in which their keys came.
    pub fn entries(&self) -> impl Iterator<Item = &(K, A)> {
        self.entries.iter()
    }

    /// Takes the entries, in the order in which their keys came, in lists.
    pub fn into_lists(self) -> Vec<Vec<(K, A)>> {
        self.entries.into_segments()
    }

    /// Bytes for each entry that [`Table::into_hash_order`] takes meanwhile: a hash, and two numbers.
    pub const ORDERING_BYTES: usize = 16;

    /// Takes the entries, ordered by hash.
    pub fn into_hash_order(mut self) -> impl Iterator<Item = (K, A)> {
        let order = self.hash_order();
        drop(std::mem::take(&mut self.slots));
        swap_to(goals(order.into_iter()), |place, to| self.entries.swap(place, to));
        self.entries.into_segments().into_iter().flatten()
    }

    /// The numbers of the entries in the order of their hashes.
    fn hash_order(&self) -> Vec<u32> {
        let by_slot =
            self.slots.iter().filter(|word| **word != 0).map(|word| (word & self.number_mask()) - 1);
        let mut order: Vec<u32> = by_slot.collect();
        let hashes: Vec<u64> = self.entries.iter().map(|(key, _)| key.key_hash()).collect();
        let compare = |&a: &u32, &b: &u32| {
            let by_hash = hashes[a as usize].cmp(&hashes[b as usize]);
            by_hash.then_with(|| self.break_tie(a, b))
        };
        let unsorted = order.windows(2).filter(|pair| compare(&pair[0], &pair[1]).is_gt()).count();
        if unsorted * 2 > order.len() {
            order.sort_unstable_by(compare);
        } else {
            order.sort_by(compare);
        }
        order
    }

    /// The order of two entries whose hashes are equal: by another hash, since the order in which they came may depend on
    /// what else is combined in the meantime; and by that order if this one is equal, too.
    #[cold]
    fn break_tie(&self, a: u32, b: u32) -> Ordering {
        const OTHER_SEED: u64 = 1;
        let rank = |number: u32| (self.entries.get(number as usize).0.hash_into(OTHER_SEED), number);
        rank(a).cmp(&rank(b))
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        high_bits(hash << self.skip_bits, self.slot_bits)
    }

    /// The bits of a slot that hold the number of an entry plus one; at most half of the slots are taken, so that it fits.
    fn number_mask(&self) -> u32 {
        (1 << self.slot_bits) - 1
    }

    /// What stands in the slot of an entry.
    fn word(&self, entry: usize, hash: u64) -> u32 {
        let mask = self.number_mask();
        (hash as u32 & !mask) | ((entry as u32 + 1) & mask)
    }

    fn free_slot(&self, hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.home(hash);
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        slot
    }

    #[cold]
    fn grow(&mut self) {
        self.slot_bits = (self.slot_bits + 1).max(MIN_SLOT_BITS);
        let size = 1usize << self.slot_bits;
        self.slots = Vec::new(); // gone before the larger ones are there: nothing of them is needed
        self.slots.resize(size, 0);
        for number in 0..self.entries.len() {
            let hash = self.entries.get(number).0.key_hash();
            let slot = self.free_slot(hash);
            self.slots[slot] = self.word(number, hash);
        }
    }
}

/// The number that the first bits of a hash are.
#[inline]
pub fn high_bits(hash: u64, bits: u32) -> usize {
    // Two shifts, because a shift by 64 is not defined and there may be no bits.
    ((hash >> 1) >> (63 - bits)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;

    /// Few of them have a hash of their own, and the top three bits of all agree. Another seed tells most of them apart.
    #[derive(Record, Clone, Debug, PartialEq)]
    struct Colliding(u64);

    impl Key for Colliding {
        fn hash_into(&self, seed: u64) -> u64 {
            (self.0 / 2).wrapping_mul(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        }

        fn key_hash(&self) -> u64 {
            (self.0 % 7).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 3
        }

        fn key_eq(&self, other: &Self) -> bool {
            self == other
        }
    }

    #[test]
    fn entries_leave_ordered_by_hash_however_they_came() {
        let table_of = |keys: &mut dyn Iterator<Item = u64>| {
            let mut table: Table<Colliding, u64> = Table::new(3);
            for key in keys.map(Colliding) {
                match table.find(key.key_hash(), &key) {
                    Ok(entry) => *table.state(entry) += 1,
                    Err(slot) => table.insert(slot, key.key_hash(), key, 1),
                }
            }
            assert_eq!(table.len(), 1500);
            table.into_hash_order().collect::<Vec<_>>()
        };
        let count = |key: u64| if (500..1000).contains(&key) { 2 } else { 1 };
        let mut expected: Vec<_> = (0..1500).map(|key| (Colliding(key), count(key))).collect();
        expected.sort_by_key(|(key, _)| (key.key_hash(), key.hash_into(1), key.0));
        assert_eq!(table_of(&mut (0..1000).chain(500..1500)), expected);
        // Backwards, pair by pair: those of a pair are told apart by nothing but the order in which they came.
        let pairs = (0..750).rev().flat_map(|pair| [2 * pair, 2 * pair + 1]);
        let mut backwards = pairs.chain(500..1000);
        assert_eq!(table_of(&mut backwards), expected);
    }
}
