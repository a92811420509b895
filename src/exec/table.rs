//! The hash table of the aggregates: open addressing over a dense list of entries.
//!
//! A slot is four bytes: the number of an entry, in as many bits as the table has, and bits of its hash in the others, so
//! that a miss seldom looks at an entry. Entries stand in the order of their first
//! occurrence, each with its full hash, so that growing touches no key and partial results keep their order. The slot
//! of an entry follows the *high* bits of its hash, so that walking the slots meets the entries almost sorted by hash,
//! and the final order costs a short insertion sort instead of a full one.

use crate::record::Key;

/// A key with its state.
#[derive(Debug, Clone)]
pub struct Entry<K, A> {
    /// The stable hash of the key.
    pub hash: u64,
    /// The key.
    pub key: K,
    /// The state.
    pub state: A,
}

/// A map from keys to states that remembers the order in which keys first occurred.
#[derive(Debug)]
pub struct Table<K, A> {
    slots: Vec<u32>,
    /// Bits of the hash above those that choose a slot: the same in all keys of a partition.
    skip_bits: u32,
    slot_bits: u32,
    entries: Vec<Entry<K, A>>,
}

/// Keys that are looked up at once: their cache lines stay in the first level until they are used.
pub const BATCH: usize = 64;

/// Hashes, or guesses, of so many keys.
pub type Batch = [u64; BATCH];

const MIN_SLOT_BITS: u32 = 4;

/// A slot must have a bit to spare; so many slots are reached with more than 40 GB of keys in one partition.
const MAX_SLOT_BITS: u32 = 31;

impl<K: Key, A> Table<K, A> {
    /// An empty table for keys that agree in the top `skip_bits` bits of their hashes.
    pub fn new(skip_bits: u32) -> Table<K, A> {
        Table { slots: Vec::new(), skip_bits, slot_bits: 0, entries: Vec::new() }
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of slots and entries, without what keys and states own elsewhere.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u32>() + self.entries.capacity() * size_of::<Entry<K, A>>()
    }

    /// The entries in the order of first occurrence.
    pub fn entries(&mut self) -> &mut Vec<Entry<K, A>> {
        &mut self.entries
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
                let found = &self.entries[entry];
                if found.hash == hash && found.key.key_eq(key) {
                    return Ok(entry);
                }
            }
            slot = (slot + 1) & mask;
        }
        Err(slot)
    }

    /// Guesses the entry of each hash by its first slot: the number of an entry with this hash plus one, or 0.
    ///
    /// No guess depends on another one, and none takes a branch, so that the cache misses of a whole batch overlap; looking
    /// up one key after the other cost twice as much. A guess still needs [`Table::has_key`], and 0 means to
    /// [`Table::find`].
    #[inline]
    pub fn guess(&self, hashes: &Batch) -> Batch {
        let mut guesses = [0; BATCH];
        if self.entries.is_empty() {
            return guesses;
        }
        let mask = self.number_mask();
        // Two passes: the slots of all, then the entries of all.
        for (guess, &hash) in guesses.iter_mut().zip(hashes) {
            let word = self.slots[self.home(hash)];
            let number = u64::from(word & mask);
            *guess = if (word ^ hash as u32) & !mask == 0 { number } else { 0 };
        }
        for (guess, &hash) in guesses.iter_mut().zip(hashes) {
            let same = self.entries[guess.saturating_sub(1) as usize].hash == hash;
            *guess *= u64::from(same);
        }
        guesses
    }

    /// Whether the entry with this number has the key.
    #[inline]
    pub fn has_key(&self, entry: usize, hash: u64, key: &K) -> bool {
        let found = &self.entries[entry];
        found.hash == hash && found.key.key_eq(key)
    }

    /// Adds a key that [`Table::find`] did not find; `slot` is what it returned.
    #[inline]
    pub fn insert(&mut self, slot: usize, entry: Entry<K, A>) {
        let mut slot = slot;
        if self.entries.len() >= self.slots.len() / 2 && self.slot_bits < MAX_SLOT_BITS {
            self.grow();
            slot = self.free_slot(entry.hash);
        }
        self.entries.push(entry);
        self.slots[slot] = self.word(self.entries.len() - 1);
    }

    /// Removes all entries in the order of first occurrence; the slots stay for the next ones.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Entry<K, A>> {
        self.slots.fill(0);
        self.entries.drain(..)
    }

    /// Takes the entries, ordered by hash and then by first occurrence.
    pub fn into_hash_order(mut self) -> Vec<Entry<K, A>> {
        let order = self.hash_order();
        drop(std::mem::take(&mut self.slots));
        permute(&mut self.entries, &order);
        self.entries
    }

    /// The numbers of the entries in the order of (hash, number).
    fn hash_order(&self) -> Vec<u32> {
        let by_slot =
            self.slots.iter().filter(|word| **word != 0).map(|word| (word & self.number_mask()) - 1);
        let mut order: Vec<u32> = by_slot.collect();
        let rank = |&entry: &u32| (self.entries[entry as usize].hash, entry);
        let unsorted = order.windows(2).filter(|pair| rank(&pair[0]) > rank(&pair[1])).count();
        if unsorted * 2 > order.len() {
            order.sort_unstable_by_key(rank);
        } else {
            order.sort_by_key(rank);
        }
        order
    }

    fn home(&self, hash: u64) -> usize {
        // Two shifts, because a shift by 64 is not defined and both may be 0.
        (((hash << self.skip_bits) >> 1) >> (63 - self.slot_bits)) as usize
    }

    /// The bits of a slot that hold the number of an entry plus one; at most half of the slots are taken, so that it fits.
    fn number_mask(&self) -> u32 {
        (1 << self.slot_bits) - 1
    }

    /// The slot of an entry.
    fn word(&self, entry: usize) -> u32 {
        let mask = self.number_mask();
        (self.entries[entry].hash as u32 & !mask) | ((entry as u32 + 1) & mask)
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
        self.slots.clear();
        self.slots.resize(size, 0);
        self.entries.reserve_exact(size / 2 - self.entries.len());
        for number in 0..self.entries.len() {
            let slot = self.free_slot(self.entries[number].hash);
            self.slots[slot] = self.word(number);
        }
    }
}

/// Moves `items[order[i]]` to place `i`, for every `i`, along the cycles of the permutation.
fn permute<T>(items: &mut [T], order: &[u32]) {
    let mut goal = vec![0u32; order.len()];
    for (place, &from) in order.iter().enumerate() {
        goal[from as usize] = place as u32;
    }
    for place in 0..goal.len() {
        while goal[place] as usize != place {
            let to = goal[place] as usize;
            items.swap(place, to);
            goal.swap(place, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_leave_ordered_by_hash_and_first_occurrence() {
        let mut table: Table<u64, u64> = Table::new(3);
        // Few distinct hashes, so that every one collides; the top three bits agree.
        let hash = |key: u64| (key % 7).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 3;
        for key in (0..1000).chain(500..1500) {
            match table.find(hash(key), &key) {
                Ok(entry) => table.entries()[entry].state += 1,
                Err(slot) => table.insert(slot, Entry { hash: hash(key), key, state: 1 }),
            }
        }
        assert_eq!(table.len(), 1500);
        let mut expected: Vec<(u64, u64, u64)> =
            (0..1500).map(|key| (hash(key), key, if (500..1000).contains(&key) { 2 } else { 1 })).collect();
        expected.sort_unstable();
        let entries = table.into_hash_order().into_iter().map(|entry| (entry.hash, entry.key, entry.state));
        assert_eq!(entries.collect::<Vec<_>>(), expected);
    }
}
