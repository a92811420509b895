//! Aggregation by key: combined within a split, exchanged by hash, absorbed in the order of the splits.
//!
//! A task combines its split in a table small enough for the cache; when that is full, its entries move to the buffers
//! of their partitions and it starts anew, so that rare keys pass through and frequent ones are combined. Each
//! partition absorbs these partial results in the order of the splits. Since splits and the size of the table depend
//! on nothing but the input and the types, so does the order in which states are merged: a sum of floats comes out the
//! same to the bit on any number of threads, and `merge` need be associative only, not commutative.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use super::chunk::Chunk;
use super::collect::downcast;
use super::erased::AnyPush;
use super::exchange::{Exchange, ExchangeSettings};
use super::hold::group;
use super::job::{Batch, Port, Terminal};
use super::memory::{Budget, Reservation};
use super::out::Out;
use super::push::{Flow, Push};
use super::source::{AnySource, Erased, Source};
use super::table::{BATCH, Entry, Table};
use super::task::TaskCx;
use super::trace::Cursor;
use crate::error::Result;
use crate::record::{Data, Key, Record};

/// Bytes of entries that a task combines before it hands them over. More would combine more, and miss the caches more often:
/// of 1, 4 and 16 MiB, the middle one was the fastest on text with five million distinct words, and no slower on English.
const COMBINE_BYTES: usize = 4 << 20;

/// Bytes of partial results that are handed over at once: lists of one size need no growing, and are cheap to allocate.
const LIST_BYTES: usize = 16 << 10;

/// Elements that one task of what follows takes from neighbouring partitions: enough for a good row group.
const ROWS_PER_TASK: usize = 1 << 17;

/// How values of a key become its state.
pub trait Combine<V>: Send + Sync + 'static {
    /// The state of a key.
    type State: Record;

    /// The state of the first value of a key within a split.
    fn start(&self, value: V) -> Self::State;

    /// Adds a later value of the split.
    fn add(&self, state: &mut Self::State, value: V);

    /// Joins the state of a later part of the input.
    fn merge(&self, state: &mut Self::State, later: Self::State);
}

/// The wide operator of an aggregation by key.
pub struct ByKey<K, V, C> {
    combine: Arc<C>,
    types: PhantomData<fn(K, V)>,
}

impl<K, V, C> ByKey<K, V, C> {
    /// The aggregation that `combine` describes.
    pub fn new(combine: C) -> ByKey<K, V, C> {
        ByKey { combine: Arc::new(combine), types: PhantomData }
    }
}

impl<K: Key, V: Data, C: Combine<V>> Exchange for ByKey<K, V, C> {
    fn open(&self, settings: &ExchangeSettings) -> (Arc<dyn Terminal>, Arc<dyn AnySource>) {
        let ExchangeSettings { partition_bits, combine, budget } = settings;
        let aggregate =
            Aggregate::<K, V, C>::new(Arc::clone(&self.combine), *partition_bits, *combine, budget);
        (Arc::new(aggregate.clone()), Arc::new(Erased::new(aggregate)))
    }
}

/// An aggregation by key: the terminal that its input ends in, and the source of what follows.
pub struct Aggregate<K, V, C: Combine<V>>(Arc<Shared<K, V, C>>);

impl<K, V, C: Combine<V>> Clone for Aggregate<K, V, C> {
    fn clone(&self) -> Self {
        Aggregate(Arc::clone(&self.0))
    }
}

struct Shared<K, V, C: Combine<V>> {
    combine: Arc<C>,
    map_side: bool,
    partition_bits: u32,
    partitions: Vec<Mutex<Partition<K, C::State>>>,
    tasks: Mutex<Vec<std::ops::Range<usize>>>,
    /// Emptied tables of tasks: one that is used again need not grow again.
    spare_tables: Mutex<Vec<Table<K, C::State>>>,
    types: PhantomData<fn(V)>,
}

struct Partition<K, A> {
    table: Table<K, A>,
    heap_bytes: usize,
    reservation: Reservation,
}

type Entries<K, A> = Vec<Entry<K, A>>;

/// What a task leaves for a partition; the memory is reserved until it is absorbed.
struct Partial<K, A> {
    entries: Entries<K, A>,
    _reservation: Reservation,
}

impl<K: Key, V: 'static, C: Combine<V>> Aggregate<K, V, C> {
    /// An aggregation into `2^partition_bits` partitions; without `map_side`, every value travels by itself.
    pub fn new(combine: Arc<C>, partition_bits: u32, map_side: bool, budget: &Budget) -> Aggregate<K, V, C> {
        let partition = || {
            let table = Table::new(partition_bits);
            Mutex::new(Partition { table, heap_bytes: 0, reservation: budget.reservation() })
        };
        let partitions = std::iter::repeat_with(partition).take(1 << partition_bits).collect();
        Aggregate(Arc::new(Shared {
            combine,
            map_side,
            partition_bits,
            partitions,
            tasks: Mutex::new(Vec::new()),
            spare_tables: Mutex::new(Vec::new()),
            types: PhantomData,
        }))
    }
}

impl<K: Key, V: 'static, C: Combine<V>> Terminal for Aggregate<K, V, C> {
    fn cells(&self) -> usize {
        self.0.partitions.len()
    }

    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        let limit =
            if self.0.map_side { (COMBINE_BYTES / size_of::<Entry<K, C::State>>()).max(1024) } else { 1 };
        let lists = std::iter::repeat_with(Vec::new).take(self.0.partitions.len()).collect();
        let writer = Writer {
            shared: Arc::clone(&self.0),
            cx: cx.clone(),
            port,
            limit,
            table: take_spare(&self.0.spare_tables).unwrap_or_else(|| Table::new(0)),
            lists,
            full: Vec::new(),
        };
        Ok(AnyPush::new(writer))
    }

    fn absorb(&self, cell: usize, batch: Batch) -> Result<Flow> {
        let partial = downcast::<Partial<K, C::State>>(batch)?;
        let mut partition = self.0.partitions[cell].lock().unwrap_or_else(PoisonError::into_inner);
        partition.absorb(partial.entries, self.0.combine.as_ref())?;
        Ok(Flow::More)
    }
}

impl<K: Key, A: Record> Partition<K, A> {
    fn absorb<V, C: Combine<V, State = A>>(&mut self, entries: Entries<K, A>, combine: &C) -> Result<()> {
        let mut entries = entries.into_iter();
        while !entries.as_slice().is_empty() {
            let mut hashes = [0; BATCH];
            for (hash, entry) in hashes.iter_mut().zip(entries.as_slice()) {
                *hash = entry.hash;
            }
            let guesses = self.table.guess(&hashes);
            // The guesses first: of two zipped iterators, the first gives away an item even if the second has ended.
            for (guess, entry) in guesses.into_iter().zip(entries.by_ref()) {
                self.absorb_entry(entry, guess as usize, combine);
            }
        }
        self.reservation.resize((self.table.bytes() + self.heap_bytes) as u64)
    }

    #[inline]
    fn absorb_entry<V, C: Combine<V, State = A>>(&mut self, entry: Entry<K, A>, guess: usize, combine: &C) {
        let found = if guess > 0 && self.table.has_key(guess - 1, entry.hash, &entry.key) {
            Ok(guess - 1)
        } else {
            self.table.find(entry.hash, &entry.key)
        };
        match found {
            Ok(found) => combine.merge(&mut self.table.entries()[found].state, entry.state),
            Err(slot) => {
                self.heap_bytes += entry.key.heap_bytes() + entry.state.heap_bytes();
                self.table.insert(slot, entry);
            }
        }
    }
}

struct Writer<K: Key, V: 'static, C: Combine<V>> {
    shared: Arc<Shared<K, V, C>>,
    cx: TaskCx,
    port: Port,
    /// Keys at which the table is emptied.
    limit: usize,
    table: Table<K, C::State>,
    /// What has left the table, by partition.
    lists: Vec<Entries<K, C::State>>,
    /// Lists that are full.
    full: Vec<(usize, Batch)>,
}

impl<K: Key, V: 'static, C: Combine<V>> Writer<K, V, C> {
    /// Adds a value whose key was not found where it was guessed.
    #[inline(never)]
    fn add(&mut self, hash: u64, key: K, value: V) -> Result<()> {
        let slot = match self.table.find(hash, &key) {
            Ok(found) => {
                self.shared.combine.add(&mut self.table.entries()[found].state, value);
                return Ok(());
            }
            Err(slot) if self.table.len() < self.limit => slot,
            Err(_) => {
                self.empty_table()?;
                self.table.find(hash, &key).unwrap_or_else(|slot| slot)
            }
        };
        let state = self.shared.combine.start(value);
        self.table.insert(slot, Entry { hash, key: detached(key), state });
        Ok(())
    }

    /// Moves the entries of the table to the lists of their partitions, in the order of first occurrence.
    fn empty_table(&mut self) -> Result<()> {
        let capacity = (LIST_BYTES / size_of::<Entry<K, C::State>>()).max(1);
        for mut entry in self.table.drain() {
            entry.state.detach(); // what was added to it may still refer to a block of the input
            // Two shifts, because a shift by 64 is not defined and there may be one partition.
            let partition = ((entry.hash >> 1) >> (63 - self.shared.partition_bits)) as usize;
            let list = &mut self.lists[partition];
            if list.len() == list.capacity() {
                let filled = std::mem::replace(list, Vec::with_capacity(capacity));
                if !filled.is_empty() {
                    self.full.push((partition, partial(filled, &self.cx)?));
                }
            }
            list.push(entry);
        }
        Ok(())
    }
}

/// A list as it is handed over.
fn partial<K: Key, A: Record>(entries: Entries<K, A>, cx: &TaskCx) -> Result<Batch> {
    let mut reservation = cx.budget().reservation();
    reservation.resize((entries.capacity() * size_of::<Entry<K, A>>()) as u64)?;
    Ok(Box::new(Partial { entries, _reservation: reservation }))
}

impl<K: Key, V: 'static, C: Combine<V>> Push<(K, V)> for Writer<K, V, C> {
    fn push(&mut self, chunk: &mut Chunk<(K, V)>) -> Result<Flow> {
        let cx = self.cx.clone();
        let mut at = Cursor::new(cx.trace(), &chunk.rows);
        let mut items = chunk.items.drain(..);
        while !items.as_slice().is_empty() {
            let mut hashes = [0; BATCH];
            for (hash, (key, _)) in hashes.iter_mut().zip(items.as_slice()) {
                *hash = key.key_hash();
            }
            let guesses = self.table.guess(&hashes);
            // The hashes first: of two zipped iterators, the first gives away an item even if the second has ended.
            for ((hash, guess), (key, value)) in hashes.into_iter().zip(guesses).zip(items.by_ref()) {
                let guess = guess as usize;
                // The table may have been emptied since the guess.
                if guess > 0 && guess <= self.table.len() && self.table.has_key(guess - 1, hash, &key) {
                    self.shared.combine.add(&mut self.table.entries()[guess - 1].state, value);
                } else {
                    self.add(hash, key, value)?;
                }
                at.advance();
            }
        }
        Ok(Flow::More)
    }

    fn finish(&mut self) -> Result<()> {
        self.empty_table()?;
        let mut batches = std::mem::take(&mut self.full);
        for (partition, list) in std::mem::take(&mut self.lists).into_iter().enumerate() {
            if !list.is_empty() {
                batches.push((partition, partial(list, &self.cx)?));
            }
        }
        keep_spare(&self.shared.spare_tables, std::mem::replace(&mut self.table, Table::new(0)));
        self.port.deliver(batches);
        Ok(())
    }
}

/// A key that keeps no input block alive.
fn detached<K: Key>(mut key: K) -> K {
    key.detach();
    key
}

fn take_spare<T>(spare: &Mutex<Vec<T>>) -> Option<T> {
    spare.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

fn keep_spare<T>(spare: &Mutex<Vec<T>>, item: T) {
    spare.lock().unwrap_or_else(PoisonError::into_inner).push(item);
}

impl<K: Key, V: 'static, C: Combine<V>> Source<(K, C::State)> for Aggregate<K, V, C> {
    fn splits(&self) -> usize {
        // All input has been absorbed: nobody needs the spare tables any more.
        self.0.spare_tables.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        *tasks = self.group_partitions();
        tasks.len()
    }

    fn read(&self, split: usize, out: &mut Out<(K, C::State)>) -> Result<()> {
        let partitions = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)[split].clone();
        for cell in partitions {
            let mut partition = self.0.partitions[cell].lock().unwrap_or_else(PoisonError::into_inner);
            let table = std::mem::replace(&mut partition.table, Table::new(0));
            for entry in table.into_hash_order() {
                if out.emit((entry.key, entry.state))? == Flow::Enough {
                    return Ok(());
                }
            }
            partition.reservation.resize(0)?;
        }
        Ok(())
    }
}

impl<K: Key, V: 'static, C: Combine<V>> Aggregate<K, V, C> {
    /// Neighbouring partitions, for one task of what follows each.
    fn group_partitions(&self) -> Vec<std::ops::Range<usize>> {
        let rows = |partition: &Mutex<Partition<K, C::State>>| {
            partition.lock().unwrap_or_else(PoisonError::into_inner).table.len()
        };
        group(self.0.partitions.iter().map(rows), ROWS_PER_TASK)
    }
}
