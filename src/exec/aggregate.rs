//! Aggregation by key: combined within a split, exchanged by hash, absorbed in the order of the splits.
//!
//! A task combines its split in a [`Combiner`]; what leaves that is listed by partition. Each partition absorbs these
//! partial results in the order of the splits. Since the splits, and what leaves a combiner when, depend on nothing but
//! the input and the types, so does the order in which states are merged: a sum of floats comes out the same to the
//! bit on any number of threads, and `merge` need be associative only, not commutative. Where it commutes exactly, as
//! counting does, the order does not matter, and combiners are kept from one split to the next until all input is read.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::chunk::Chunk;
use super::collect::downcast;
use super::combiner::{Combiner, Span};
use super::erased::AnyPush;
use super::exchange::{Exchange, ExchangeSettings};
use super::hold::group;
use super::job::{Batch, Port, Terminal};
use super::memory::{Budget, Reservation};
use super::out::Out;
use super::push::{Flow, Push};
use super::source::{AnySource, Erased, Source};
use super::table::{AHEAD, Table, high_bits};
use super::task::TaskCx;
use super::trace::Cursor;
use crate::error::Result;
use crate::record::{Data, Key, Record};

/// Bytes of partial results that are handed over at once: lists of one size need no growing, and are cheap to allocate.
const LIST_BYTES: usize = 16 << 10;

/// Elements that one task of what follows takes from neighbouring partitions: enough for a good row group.
const ROWS_PER_TASK: usize = 1 << 17;

/// How elements become states, one for each key.
pub trait Combine<T>: Send + Sync + 'static {
    /// What elements are grouped by.
    type Key: Key;

    /// The state of a key.
    type State: Record;

    /// Whether a state comes out the same, to the bit, in whatever order elements are added and states are merged. A
    /// worker then keeps its states from one split to the next, so that they must refer to no block of the input.
    const COMMUTES: bool = false;

    /// The key of an element.
    fn key<'a>(&self, item: &'a T) -> &'a Self::Key;

    /// The key and the state of its first element within a split.
    fn start(&self, item: T) -> (Self::Key, Self::State);

    /// Adds a later element of the split.
    fn add(&self, state: &mut Self::State, item: T);

    /// Joins the state of a later part of the input.
    fn merge(&self, state: &mut Self::State, later: Self::State);
}

/// The wide operator of an aggregation by key.
pub struct ByKey<T, C> {
    combine: Arc<C>,
    types: PhantomData<fn(T)>,
}

impl<T: Data, C: Combine<T>> ByKey<T, C> {
    /// The aggregation that `combine` describes.
    pub fn new(combine: C) -> ByKey<T, C> {
        ByKey { combine: Arc::new(combine), types: PhantomData }
    }
}

impl<T: Data, C: Combine<T>> Exchange for ByKey<T, C> {
    fn open(&self, settings: &ExchangeSettings) -> (Arc<dyn Terminal>, Arc<dyn AnySource>) {
        let ExchangeSettings { partition_bits, combine, budget } = settings;
        let aggregate = Aggregate::<T, C>::new(Arc::clone(&self.combine), *partition_bits, *combine, budget);
        (Arc::new(aggregate.clone()), Arc::new(Erased::new(aggregate)))
    }
}

/// An aggregation by key: the terminal that its input ends in, and the source of what follows.
pub struct Aggregate<T, C: Combine<T>>(Arc<Shared<T, C>>);

impl<T, C: Combine<T>> Clone for Aggregate<T, C> {
    fn clone(&self) -> Self {
        Aggregate(Arc::clone(&self.0))
    }
}

struct Shared<T, C: Combine<T>> {
    combine: Arc<C>,
    map_side: bool,
    partition_bits: u32,
    partitions: Vec<Mutex<Partition<C::Key, C::State>>>,
    tasks: Mutex<Vec<std::ops::Range<usize>>>,
    /// Combiners of tasks that have ended: emptied ones, which need not grow again, or those with what workers keep.
    spare_combiners: Mutex<Vec<Combiner<C::Key, C::State>>>,
    /// Absorbed lists: to fill one again costs neither an allocation nor a page fault.
    spare_lists: Mutex<Vec<Partial<C::Key, C::State>>>,
    types: PhantomData<fn(T)>,
}

struct Partition<K, A> {
    table: Table<K, A>,
    heap_bytes: usize,
    reservation: Reservation,
}

/// What a task leaves for a partition: some keys with their states, and the memory that is reserved for them.
struct Partial<K, A> {
    entries: Vec<(K, A)>,
    /// What keys and states own elsewhere.
    heap_bytes: usize,
    reservation: Reservation,
}

impl<K, A> Partial<K, A> {
    /// A list without room: the first one of every partition, which may get none.
    fn empty(budget: &Budget) -> Partial<K, A> {
        Partial { entries: Vec::new(), heap_bytes: 0, reservation: budget.reservation() }
    }

    fn new(budget: &Reservation) -> Result<Partial<K, A>> {
        let capacity = (LIST_BYTES / size_of::<(K, A)>().max(1)).max(1);
        let entries = Vec::with_capacity(capacity);
        let mut partial = Partial { entries, heap_bytes: 0, reservation: budget.split_off() };
        partial.reserve()?;
        Ok(partial)
    }

    fn reserve(&mut self) -> Result<()> {
        self.reservation.resize((self.entries.capacity() * size_of::<(K, A)>() + self.heap_bytes) as u64)
    }

    fn is_full(&self) -> bool {
        self.entries.len() == self.entries.capacity()
    }
}

impl<T: 'static, C: Combine<T>> Aggregate<T, C> {
    /// An aggregation into `2^partition_bits` partitions; without `map_side`, every element travels by itself.
    pub fn new(combine: Arc<C>, partition_bits: u32, map_side: bool, budget: &Budget) -> Aggregate<T, C> {
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
            spare_combiners: Mutex::new(Vec::new()),
            spare_lists: Mutex::new(Vec::new()),
            types: PhantomData,
        }))
    }
}

impl<T: 'static, C: Combine<T>> Aggregate<T, C> {
    /// Which of several equal keys is kept would depend on their order, unless they are identical.
    fn span() -> Span {
        if C::COMMUTES && C::Key::EQUAL_IS_IDENTICAL { Span::Worker } else { Span::Split }
    }
}

impl<T: 'static, C: Combine<T>> Terminal for Aggregate<T, C> {
    fn cells(&self) -> usize {
        self.0.partitions.len()
    }

    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        let combiner = || {
            let spare = locked(&self.0.spare_combiners).pop();
            spare.unwrap_or_else(|| Combiner::new(self.0.partition_bits, Self::span(), cx.budget()))
        };
        let writer = Writer {
            shared: Arc::clone(&self.0),
            cx: cx.clone(),
            port,
            combiner: self.0.map_side.then(combiner),
            lists: Lists::new(self.0.partitions.len(), cx.budget()),
            hashes: Vec::new(),
        };
        Ok(AnyPush::new(writer))
    }

    fn absorb(&self, cell: usize, batch: Batch) -> Result<Flow> {
        let mut partial = downcast::<Partial<C::Key, C::State>>(batch)?;
        let mut partition = locked(&self.0.partitions[cell]);
        partition.absorb(&mut partial.entries, self.0.combine.as_ref());
        partial.heap_bytes = 0;
        partial.reserve()?;
        locked(&self.0.spare_lists).push(partial);
        partition.reserve(&self.0.spare_lists)?;
        Ok(Flow::More)
    }

    fn seal(&self, cell: usize) -> Result<()> {
        // What workers kept. The lock is held for the copy only, so that cells absorb at the same time.
        let take = |combiner: &mut Combiner<_, _>| combiner.take(cell).collect::<Vec<_>>();
        let kept: Vec<_> = locked(&self.0.spare_combiners).iter_mut().map(take).collect();
        let mut partition = locked(&self.0.partitions[cell]);
        for mut entries in kept {
            partition.absorb(&mut entries, self.0.combine.as_ref());
        }
        partition.reserve(&self.0.spare_lists)
    }
}

impl<K: Key, A: Record> Partition<K, A> {
    fn absorb<T, C: Combine<T, Key = K, State = A>>(&mut self, entries: &mut Vec<(K, A)>, combine: &C) {
        let hashes: Vec<u64> = entries.iter().map(|(key, _)| key.key_hash()).collect();
        for (index, (key, state)) in entries.drain(..).enumerate() {
            if let Some(&later) = hashes.get(index + 2 * AHEAD) {
                self.table.prefetch_slot(later);
            }
            if let Some(&soon) = hashes.get(index + AHEAD) {
                self.table.prefetch_entry(soon);
            }
            match self.table.find(hashes[index], &key) {
                Ok(found) => combine.merge(self.table.state(found), state),
                Err(slot) => {
                    self.heap_bytes += key.heap_bytes() + state.heap_bytes();
                    self.table.insert(slot, hashes[index], key, state);
                }
            }
        }
    }

    /// Reserves what it holds by now. If that is too much, the spare lists go first.
    fn reserve(&mut self, spare: &Mutex<Vec<Partial<K, A>>>) -> Result<()> {
        let bytes = (self.table.bytes() + self.heap_bytes) as u64;
        if self.reservation.resize(bytes).is_ok() {
            return Ok(());
        }
        locked(spare).clear();
        self.reservation.resize(bytes)
    }
}

struct Writer<T: 'static, C: Combine<T>> {
    shared: Arc<Shared<T, C>>,
    cx: TaskCx,
    port: Port,
    /// None where every element is to travel by itself.
    combiner: Option<Combiner<C::Key, C::State>>,
    /// What has left the combiner.
    lists: Lists<C::Key, C::State>,
    /// The hashes of a chunk.
    hashes: Vec<u64>,
}

/// Lists by partition.
struct Lists<K, A> {
    filling: Vec<Partial<K, A>>,
    full: Vec<(usize, Batch)>,
}

impl<K: Key, A: Record> Lists<K, A> {
    fn new(partitions: usize, budget: &Budget) -> Lists<K, A> {
        let none = || Partial::empty(budget);
        Lists { filling: std::iter::repeat_with(none).take(partitions).collect(), full: Vec::new() }
    }

    /// Adds to the list of a partition; where that is full, it takes a spare one.
    fn push(&mut self, partition: usize, mut entry: (K, A), spare: &Mutex<Vec<Partial<K, A>>>) -> Result<()> {
        entry.1.detach(); // what was added to it may still refer to a block of the input
        if self.filling[partition].is_full() {
            self.renew(partition, spare)?;
        }
        let list = &mut self.filling[partition];
        list.heap_bytes += entry.0.heap_bytes() + entry.1.heap_bytes();
        list.entries.push(entry);
        Ok(())
    }

    #[cold]
    fn renew(&mut self, partition: usize, spare: &Mutex<Vec<Partial<K, A>>>) -> Result<()> {
        let list = &mut self.filling[partition];
        let spare = locked(spare).pop();
        let fresh = spare.map_or_else(|| Partial::new(&list.reservation), Ok)?;
        let mut filled = std::mem::replace(list, fresh);
        if !filled.entries.is_empty() {
            filled.reserve()?;
            self.full.push((partition, Box::new(filled)));
        }
        Ok(())
    }

    /// All lists that hold something, those of one partition in the order in which they were filled.
    fn into_batches(self) -> Result<Vec<(usize, Batch)>> {
        let mut batches = self.full;
        for (partition, mut list) in self.filling.into_iter().enumerate() {
            if !list.entries.is_empty() {
                list.reserve()?;
                batches.push((partition, Box::new(list)));
            }
        }
        Ok(batches)
    }
}

impl<T: 'static, C: Combine<T>> Push<T> for Writer<T, C> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Flow> {
        let Writer { shared, cx, combiner, lists, hashes, .. } = self;
        let combine = shared.combine.as_ref();
        let mut at = Cursor::new(cx.trace(), &chunk.rows);
        hashes.clear();
        hashes.extend(chunk.items.iter().map(|item| combine.key(item).key_hash()));
        let mut soon = hashes.iter();
        if let Some(combiner) = combiner {
            soon.by_ref().take(AHEAD).for_each(|&hash| combiner.prefetch(hash));
        }
        for (item, &hash) in chunk.items.drain(..).zip(hashes.iter()) {
            let left = if let Some(combiner) = combiner {
                if let Some(&soon) = soon.next() {
                    combiner.prefetch(soon);
                }
                combiner.add(hash, item, combine)
            } else {
                let (mut key, state) = combine.start(item);
                key.detach();
                Some((key, state))
            };
            if let Some(entry) = left {
                let partition = high_bits(hash, shared.partition_bits);
                lists.push(partition, entry, &shared.spare_lists)?;
            }
            at.advance();
        }
        Ok(Flow::More)
    }

    fn finish(&mut self) -> Result<()> {
        let none = Lists { filling: Vec::new(), full: Vec::new() };
        let mut lists = std::mem::replace(&mut self.lists, none);
        if let Some(mut combiner) = self.combiner.take() {
            if Aggregate::<T, C>::span() == Span::Split {
                for partition in 0..self.shared.partitions.len() {
                    let mut entries = combiner.take(partition);
                    entries.try_for_each(|entry| lists.push(partition, entry, &self.shared.spare_lists))?;
                }
                combiner.restart();
            }
            locked(&self.shared.spare_combiners).push(combiner);
        }
        self.port.deliver(lists.into_batches()?);
        Ok(())
    }
}

impl<T: 'static, C: Combine<T>> Source<(C::Key, C::State)> for Aggregate<T, C> {
    fn splits(&self) -> usize {
        // All input has been absorbed: nobody needs the spare memory any more.
        locked(&self.0.spare_combiners).clear();
        locked(&self.0.spare_lists).clear();
        let mut tasks = locked(&self.0.tasks);
        *tasks = self.group_partitions();
        tasks.len()
    }

    fn read(&self, split: usize, out: &mut Out<(C::Key, C::State)>) -> Result<()> {
        let partitions = locked(&self.0.tasks)[split].clone();
        for cell in partitions {
            let mut partition = locked(&self.0.partitions[cell]);
            let table = std::mem::replace(&mut partition.table, Table::new(0));
            for entry in table.into_hash_order() {
                if out.emit(entry)? == Flow::Enough {
                    return Ok(());
                }
            }
            partition.reservation.resize(0)?;
        }
        Ok(())
    }
}

impl<T: 'static, C: Combine<T>> Aggregate<T, C> {
    /// Neighbouring partitions, for one task of what follows each.
    fn group_partitions(&self) -> Vec<std::ops::Range<usize>> {
        let rows = |partition: &Mutex<Partition<C::Key, C::State>>| locked(partition).table.len();
        group(self.0.partitions.iter().map(rows), ROWS_PER_TASK)
    }
}

/// The lock, also after a panic: the run that it belonged to has failed, and nothing of it is used any more.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
