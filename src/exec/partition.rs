//! A partition of an aggregate: a table of states, and what did not fit the memory.
//!
//! A partition that is told to spill writes its table to disk. Where states commute exactly, it goes on with an empty table;
//! otherwise all that arrives later is kept as it comes, because states must be merged in the order of the input: what the table
//! held is the sum of all that came before. When the output is read, a partition that was spilled is absorbed again from the
//! disk, and if it still does not fit, divided by further bits of the hash, as often as it takes. The order of the output is that of
//! the hash, so that it is the same whether anything was spilled or not.

use super::aggregate::Combine;
use super::memory::{Budget, Reservation};
use super::push::Demand;
use super::scatter::{Packing, Scatter, Spare};
use super::sequence::{List, Sequence, row_bytes};
use super::table::{AHEAD, Table, high_bits};
use crate::error::Result;
use crate::record::{Key, Record};

/// A partition that does not fit the memory is divided by so many bits of the hash.
const DIVIDE_BITS: u32 = 4;

/// Of so many keys one is sampled, by its hash.
pub const SAMPLE: u64 = 1024;

/// The states of the keys of one partition.
pub struct Partition<K, A> {
    table: Table<K, A>,
    /// Bits of the hash in which all keys agree.
    used_bits: u32,
    /// What the keys and states of the table own elsewhere, at most.
    heap_bytes: usize,
    /// Whether `heap_bytes` may be too much: merging says how much is added, not how much remains.
    estimated: bool,
    /// What was spilled, and what came afterwards.
    spilled: Sequence<(K, A)>,
    /// The hashes of the keys that are sampled; some may come twice.
    sample: Vec<u64>,
    reservation: Reservation,
}

impl<K: Key, A: Record> Partition<K, A> {
    /// An empty partition of keys that agree in the first `used_bits` of their hashes.
    pub fn new(used_bits: u32, budget: &Budget) -> Partition<K, A> {
        Partition {
            table: Table::new(used_bits),
            used_bits,
            heap_bytes: 0,
            estimated: false,
            spilled: Sequence::default(),
            sample: Vec::new(),
            reservation: budget.reservation(),
        }
    }

    /// Takes in entries, and spills if it has to.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    pub fn absorb<T, C>(&mut self, entries: &mut Vec<(K, A)>, combine: &C) -> Result<()>
    where
        C: Combine<T, Key = K, State = A>,
    {
        if C::COMMUTES || self.spilled.is_empty() {
            self.merge(entries, combine);
        } else {
            let hashes = entries.iter().map(|(key, _)| key.key_hash());
            self.sample.extend(hashes.filter(|hash| hash.is_multiple_of(SAMPLE)));
            self.spilled.push(List::of(std::mem::take(entries)));
        }
        self.reserve()
    }

    /// Takes in what a task left, and spills if it has to.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written or read.
    pub fn absorb_all<T, C>(
        &mut self,
        scattered: Sequence<(K, A)>,
        combine: &C,
        spare: &Spare<(K, A)>,
    ) -> Result<()>
    where
        C: Combine<T, Key = K, State = A>,
    {
        for list in scattered.into_lists() {
            let mut list = list?;
            self.absorb(&mut list.rows, combine)?;
            if list.rows.capacity() > 0 {
                spare.give(list.rows);
            }
        }
        Ok(())
    }

    fn merge<T, C>(&mut self, entries: &mut Vec<(K, A)>, combine: &C)
    where
        C: Combine<T, Key = K, State = A>,
    {
        let hashes: Vec<u64> = entries.iter().map(|(key, _)| key.key_hash()).collect();
        for (index, (mut key, state)) in entries.drain(..).enumerate() {
            if let Some(&later) = hashes.get(index + 2 * AHEAD) {
                self.table.prefetch_slot(later);
            }
            if let Some(&soon) = hashes.get(index + AHEAD) {
                self.table.prefetch_entry(soon);
            }
            let hash = hashes[index];
            match self.table.find(hash, &key) {
                Ok(found) => {
                    let added = state.heap_bytes();
                    self.heap_bytes += added;
                    self.estimated |= added > 0;
                    combine.merge(self.table.state(found), state);
                }
                Err(slot) => {
                    key.detach(); // it shares a block with the other keys of its list
                    self.heap_bytes += key.heap_bytes() + state.heap_bytes();
                    if hash.is_multiple_of(SAMPLE) {
                        self.sample.push(hash);
                    }
                    self.table.insert(slot, hash, key, state);
                }
            }
        }
    }

    /// The bytes that it holds in memory.
    pub fn memory_bytes(&self) -> usize {
        self.table.bytes() + self.heap_bytes + self.spilled.memory_bytes()
    }

    /// Whether it holds enough to be worth a block on disk.
    pub fn is_worth_spilling(&self) -> bool {
        self.memory_bytes() > self.reservation.budget().least_spill_bytes()
    }

    /// Takes all that it holds, and leaves it empty.
    pub fn take(&mut self) -> Partition<K, A> {
        let empty = Partition::new(self.used_bits, self.reservation.budget());
        std::mem::replace(self, empty)
    }

    /// Reserves what it holds by now; if there is no room, spills.
    fn reserve(&mut self) -> Result<()> {
        if self.try_reserve()? {
            return Ok(());
        }
        if self.is_worth_spilling() {
            return self.spill();
        }
        self.reservation.resize(self.memory_bytes() as u64)
    }

    fn try_reserve(&mut self) -> Result<bool> {
        if self.reservation.try_resize(self.memory_bytes() as u64)? {
            return Ok(true);
        }
        if std::mem::take(&mut self.estimated) {
            let entries = self.table.entries();
            self.heap_bytes = entries.map(|(key, state)| key.heap_bytes() + state.heap_bytes()).sum();
            return self.reservation.try_resize(self.memory_bytes() as u64);
        }
        Ok(false)
    }

    /// Moves all that it holds to disk.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    pub fn spill(&mut self) -> Result<()> {
        let table = std::mem::replace(&mut self.table, Table::new(self.used_bits));
        (self.heap_bytes, self.estimated) = (0, false);
        table.into_lists().into_iter().for_each(|list| self.spilled.push(List::of(list)));
        self.spilled.spill(self.reservation.budget().disk())?;
        self.reservation.resize(0)
    }

    /// About how many keys it has, and whatever was spilled: the same number in every run.
    pub fn estimate_keys(&mut self) -> usize {
        self.sample.sort_unstable();
        self.sample.dedup();
        let none = self.table.len() == 0 && self.spilled.is_empty();
        if none { 0 } else { (self.sample.len() * SAMPLE as usize).max(1) }
    }

    /// Hands all entries to `emit` in the order of their hashes, until it has enough.
    ///
    /// # Errors
    ///
    /// If the disk cannot be read or written, the state of a single key exceeds the memory limit, or `emit` fails.
    pub fn drain<T, C>(self, combine: &C, emit: &mut impl FnMut((K, A)) -> Result<Demand>) -> Result<Demand>
    where
        C: Combine<T, Key = K, State = A>,
    {
        let budget = self.reservation.budget().clone();
        let mut divided = Vec::new();
        let mut next = Some(self);
        while let Some(mut partition) = next.take() {
            divided.extend(partition.restore(combine)?.into_iter().rev());
            let table = std::mem::replace(&mut partition.table, Table::new(0));
            let ordering = table.len() * Table::<K, A>::ORDERING_BYTES;
            let bytes = table.bytes() + partition.heap_bytes + ordering;
            partition.reservation.resize(bytes as u64)?;
            for entry in table.into_hash_order() {
                if emit(entry)? == Demand::Enough {
                    return Ok(Demand::Enough);
                }
            }
            next = divided
                .pop()
                .map(|(used_bits, spilled)| Partition { spilled, ..Partition::new(used_bits, &budget) });
        }
        Ok(Demand::More)
    }
}

/// Sequences of entries whose keys agree in so many bits.
type Divided<K, A> = Vec<(u32, Sequence<(K, A)>)>;

impl<K: Key, A: Record> Partition<K, A> {
    /// Absorbs what was spilled again. If it does not fit, it is divided instead, and nothing is left in the table.
    fn restore<T, C>(&mut self, combine: &C) -> Result<Divided<K, A>>
    where
        C: Combine<T, Key = K, State = A>,
    {
        if self.spilled.is_empty() {
            return Ok(Vec::new());
        }
        let spilled = std::mem::take(&mut self.spilled);
        let rest = std::mem::replace(&mut self.table, Table::new(self.used_bits)).into_lists();
        self.heap_bytes = 0;
        let mut lists = spilled.into_lists().chain(rest.into_iter().map(List::of).map(Ok));
        while let Some(list) = lists.next() {
            self.merge(&mut list?.rows, combine);
            if !self.try_reserve()? {
                let largest = self.table.entries().map(row_bytes).max().unwrap_or(0);
                self.reservation.budget().check_row(largest)?;
                if self.table.len() > 1 && self.used_bits + DIVIDE_BITS <= u64::BITS {
                    return self.divide(lists);
                }
                self.reservation.resize(self.memory_bytes() as u64)?;
            }
        }
        Ok(Vec::new())
    }

    /// Divides the table and all that would have come after it by further bits of the hash.
    fn divide(&mut self, lists: impl Iterator<Item = Result<List<(K, A)>>>) -> Result<Divided<K, A>> {
        let budget = self.reservation.budget().clone();
        let share = budget.share(64).min(4 << 20);
        let mut scatter: Scatter<(K, A)> = Scatter::new(1 << DIVIDE_BITS, share, Packing::No, &budget);
        let emptied = Spare::default();
        let table = std::mem::replace(&mut self.table, Table::new(0));
        for list in table.into_lists().into_iter().map(List::of).map(Ok).chain(lists) {
            for entry in list?.rows {
                let place = high_bits(entry.0.key_hash() << self.used_bits, DIVIDE_BITS);
                if scatter.is_full(place) {
                    scatter.renew(place, &emptied)?;
                }
                scatter.push(place, entry);
            }
        }
        self.heap_bytes = 0;
        self.reservation.resize(0)?;
        let used_bits = self.used_bits + DIVIDE_BITS;
        let mut divided = Vec::new();
        for (_, (mut sequence, _)) in scatter.finish()? {
            sequence.spill(budget.disk())?;
            divided.push((used_bits, sequence));
        }
        Ok(divided)
    }
}
