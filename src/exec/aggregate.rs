//! Aggregation by key: combined within a split, exchanged by hash, absorbed in the order of the splits.
//!
//! A task combines its split in a [`Combiner`]; what leaves that is listed by partition. Each partition absorbs these
//! partial results in the order of the splits. Since the splits, and what leaves a combiner when, depend on nothing but
//! the input and the types, so does the order in which states are merged: a sum of floats comes out the same to the
//! bit on any number of threads, and `merge` need be associative only, not commutative. Where it commutes exactly, as
//! counting does, the order does not matter: tasks bring their lists to the partitions themselves, as soon as these are full, and
//! combiners are kept from one split to the next until all input is read.
//!
//! What does not fit the memory goes to disk: lists that wait for their turn ([`super::scatter`]), and partitions
//! ([`super::partition`]).

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::chunk::Chunk;
use super::collect::downcast;
use super::combiner::{Combiner, Span};
use super::erased::{AnyPush, Elements, Of};
use super::exchange::{Exchange, ExchangeSettings};
use super::hold::group;
use super::job::{Batch, Port, Terminal};
use super::mapreduce;
use super::memory::{Budget, Holder};
use super::out::Out;
use super::partition::Partition;
use super::push::{Demand, Push};
use super::scatter::{Packing, Scatter, Scattered, Spare};
use super::source::{AnySource, Erased, Source};
use super::table::{AHEAD, high_bits};
use super::task::TaskCx;
use super::trace::{Cursor, Trace};
use crate::error::Result;
use crate::record::{Data, Key, Record};

/// Elements that one task of what follows takes from neighbouring partitions: enough for a good row group.
pub const ROWS_PER_TASK: usize = 1 << 17;

/// How elements become states, one for each key.
pub trait Combine<T>: Send + Sync + 'static {
    /// What elements are grouped by.
    type Key: Key;

    /// The state of a key.
    type State: Record;

    /// Whether a state comes out the same, to the bit, in whatever order elements are added and states are merged. A
    /// worker then keeps its states from one split to the next, so that they must refer to no block of the input.
    const COMMUTES: bool = false;

    /// Whether a key with its state is never more than the elements that it was made of, in bytes.
    const SELECTS: bool = false;

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
    input_elements: Option<Arc<dyn Elements>>,
    types: PhantomData<fn(T)>,
}

impl<T: Data, C: Combine<T>> ByKey<T, C> {
    /// The aggregation of records that `combine` describes.
    pub fn new(combine: C) -> ByKey<T, C>
    where
        T: Record,
    {
        ByKey { input_elements: Some(Of::<T>::records()), ..ByKey::of_data(combine) }
    }

    /// The aggregation that `combine` describes, of elements that may be no records.
    pub fn of_data(combine: C) -> ByKey<T, C> {
        ByKey { combine: Arc::new(combine), input_elements: None, types: PhantomData }
    }
}

impl<T: Data, C: Combine<T>> Exchange for ByKey<T, C> {
    fn open(&self, settings: &ExchangeSettings) -> (Arc<dyn Terminal>, Arc<dyn AnySource>) {
        if settings.execution.stores_exchanges() {
            let aggregate = mapreduce::aggregate::Aggregate::<T, C>::new(Arc::clone(&self.combine), settings);
            return (Arc::new(aggregate.clone()), Arc::new(Erased::new(aggregate)));
        }
        let ExchangeSettings { partition_bits, combine, budget, .. } = settings;
        let aggregate = Aggregate::<T, C>::new(Arc::clone(&self.combine), *partition_bits, *combine, budget);
        (Arc::new(aggregate.clone()), Arc::new(Erased::new(aggregate)))
    }

    fn input_elements(&self, _lane: usize) -> Option<Arc<dyn Elements>> {
        self.input_elements.clone()
    }

    fn selects(&self) -> bool {
        C::SELECTS
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
    spare_lists: Spare<(C::Key, C::State)>,
    types: PhantomData<fn(T)>,
}

impl<T: 'static, C: Combine<T>> Aggregate<T, C> {
    /// An aggregation into `2^partition_bits` partitions; without `map_side`, every element travels by itself.
    pub fn new(combine: Arc<C>, partition_bits: u32, map_side: bool, budget: &Budget) -> Aggregate<T, C> {
        let partition = || Mutex::new(Partition::new(partition_bits, budget));
        let partitions = std::iter::repeat_with(partition).take(1 << partition_bits).collect();
        let shared = Arc::new(Shared {
            combine,
            map_side,
            partition_bits,
            partitions,
            tasks: Mutex::new(Vec::new()),
            spare_combiners: Mutex::new(Vec::new()),
            spare_lists: Spare::default(),
            types: PhantomData,
        });
        let holder: Weak<Shared<T, C>> = Arc::downgrade(&shared);
        budget.register(holder);
        Aggregate(shared)
    }

    /// Which of several equal keys is kept would depend on their order, unless they are identical.
    const UNORDERED: bool = C::COMMUTES && C::Key::EQUAL_IS_IDENTICAL;

    fn span() -> Span {
        if Self::UNORDERED { Span::Worker } else { Span::Split }
    }
}

impl<T: 'static, C: Combine<T>> Holder for Shared<T, C> {
    fn spillable_bytes(&self) -> u64 {
        self.largest_partitions().iter().map(|(bytes, _)| *bytes as u64).sum()
    }

    fn spill(&self, wanted: u64) -> Result<()> {
        let mut given = 0;
        for (_, partition) in self.largest_partitions() {
            if given >= wanted {
                break;
            }
            if let Ok(mut partition) = self.partitions[partition].try_lock() {
                given += partition.memory_bytes() as u64;
                partition.spill()?;
            }
        }
        Ok(())
    }
}

impl<T: 'static, C: Combine<T>> Shared<T, C> {
    /// The partitions that are worth spilling and not locked, the largest first.
    fn largest_partitions(&self) -> Vec<(usize, usize)> {
        let bytes = |(index, partition): (usize, &Mutex<Partition<_, _>>)| {
            let partition = partition.try_lock().ok()?;
            partition.is_worth_spilling().then(|| (partition.memory_bytes(), index))
        };
        let mut largest: Vec<_> = self.partitions.iter().enumerate().filter_map(bytes).collect();
        largest.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        largest
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
        let lists = Scatter::new(self.0.partitions.len(), cx.memory_share(), Packing::No, cx.budget());
        let writer = Writer {
            shared: Arc::clone(&self.0),
            cx: cx.clone(),
            port,
            combiner: self.0.map_side.then(combiner),
            lists: Some(lists),
            hashes: Vec::new(),
        };
        Ok(AnyPush::new(writer))
    }

    fn absorb(&self, cell: usize, _lane: usize, batch: Batch) -> Result<Demand> {
        let (entries, _reserved) = downcast::<Scattered<(C::Key, C::State)>>(batch)?;
        let mut partition = locked(&self.0.partitions[cell]);
        partition.absorb_all(entries, self.0.combine.as_ref(), &self.0.spare_lists)?;
        Ok(Demand::More)
    }

    fn seal(&self, cell: usize) -> Result<()> {
        // What workers kept. The lock is held for the copy only, so that cells absorb at the same time.
        let take = |combiner: &mut Combiner<_, _>| combiner.take(cell).collect::<Vec<_>>();
        let kept: Vec<_> = locked(&self.0.spare_combiners).iter_mut().map(take).collect();
        let mut partition = locked(&self.0.partitions[cell]);
        kept.into_iter().try_for_each(|mut entries| partition.absorb(&mut entries, self.0.combine.as_ref()))
    }
}

struct Writer<T: 'static, C: Combine<T>> {
    shared: Arc<Shared<T, C>>,
    cx: TaskCx,
    port: Port,
    /// None where every element is to travel by itself.
    combiner: Option<Combiner<C::Key, C::State>>,
    /// What has left the combiner; none after the end.
    lists: Option<Scatter<(C::Key, C::State)>>,
    /// The hashes of a chunk.
    hashes: Vec<u64>,
}

impl<T: 'static, C: Combine<T>> Shared<T, C> {
    /// Adds to the list of a partition. A full one is brought to the partition, if the order allows it and nobody is there,
    /// or put aside.
    #[inline]
    fn add(
        &self,
        lists: &mut Scatter<(C::Key, C::State)>,
        partition: usize,
        entry: (C::Key, C::State),
    ) -> Result<()> {
        let mut entry = entry;
        entry.1.detach(); // what was added to it may still refer to a block of the input
        if lists.is_full(partition) {
            self.hand_over(lists, partition)?;
            if lists.is_full(partition) {
                lists.renew(partition, &self.spare_lists)?;
            }
        }
        lists.push(partition, entry);
        Ok(())
    }

    #[cold]
    fn hand_over(&self, lists: &mut Scatter<(C::Key, C::State)>, partition: usize) -> Result<()> {
        if Aggregate::<T, C>::UNORDERED
            && let Ok(mut absorbing) = self.partitions[partition].try_lock()
        {
            let list = lists.list(partition);
            absorbing.absorb(&mut list.rows, self.combine.as_ref())?;
            list.bytes = 0;
        }
        Ok(())
    }
}

/// Takes the elements of a chunk into the combiner, and hands on what it drives out, with its hash; without a combiner, each element by itself.
/// `hashes` is memory for those of a chunk.
#[inline]
pub fn combine_chunk<T, C: Combine<T>>(
    combine: &C,
    mut combiner: Option<&mut Combiner<C::Key, C::State>>,
    chunk: &mut Chunk<T>,
    hashes: &mut Vec<u64>,
    trace: &Trace,
    mut hand_on: impl FnMut(u64, (C::Key, C::State)) -> Result<()>,
) -> Result<()> {
    let mut at = Cursor::new(trace, &chunk.rows);
    hashes.clear();
    hashes.extend(chunk.items.iter().map(|item| combine.key(item).key_hash()));
    let mut soon = hashes.iter();
    if let Some(combiner) = &combiner {
        soon.by_ref().take(AHEAD).for_each(|&hash| combiner.prefetch(hash));
    }
    for (item, &hash) in chunk.items.drain(..).zip(hashes.iter()) {
        let left = if let Some(combiner) = &mut combiner {
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
            hand_on(hash, entry)?;
        }
        at.advance();
    }
    Ok(())
}

impl<T: 'static, C: Combine<T>> Push<T> for Writer<T, C> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let Writer { shared, cx, combiner, lists: Some(lists), hashes, .. } = self else {
            return Ok(Demand::Enough);
        };
        let (combine, bits) = (shared.combine.as_ref(), shared.partition_bits);
        combine_chunk(combine, combiner.as_mut(), chunk, hashes, cx.trace(), |hash, entry| {
            shared.add(lists, high_bits(hash, bits), entry)
        })?;
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        let Some(mut lists) = self.lists.take() else { return Ok(()) };
        let partitions = 0..self.shared.partitions.len();
        if let Some(mut combiner) = self.combiner.take() {
            if Aggregate::<T, C>::span() == Span::Split {
                for partition in partitions.clone() {
                    let mut entries = combiner.take(partition);
                    entries.try_for_each(|entry| self.shared.add(&mut lists, partition, entry))?;
                }
                combiner.restart();
            }
            locked(&self.shared.spare_combiners).push(combiner);
        }
        for partition in partitions {
            self.shared.hand_over(&mut lists, partition)?;
        }
        let batches = lists.finish()?.into_iter();
        self.port
            .deliver(batches.map(|(partition, entries)| (partition, Box::new(entries) as Batch)).collect());
        Ok(())
    }
}

impl<T: 'static, C: Combine<T>> Source<(C::Key, C::State)> for Aggregate<T, C> {
    fn splits(&self) -> usize {
        // All input has been absorbed: nobody needs the spare memory any more.
        locked(&self.0.spare_combiners).clear();
        self.0.spare_lists.clear();
        // Neighbouring partitions, for one task of what follows each.
        let keys = self.0.partitions.iter().map(|partition| locked(partition).estimate_keys());
        let mut tasks = locked(&self.0.tasks);
        *tasks = group(keys, ROWS_PER_TASK);
        tasks.len()
    }

    fn read(&self, split: usize, out: &mut Out<(C::Key, C::State)>) -> Result<()> {
        let cells = locked(&self.0.tasks)[split].clone();
        for cell in cells {
            let partition = locked(&self.0.partitions[cell]).take();
            if partition.drain(self.0.combine.as_ref(), &mut |entry| out.emit(entry))? == Demand::Enough {
                break;
            }
        }
        Ok(())
    }
}

/// The lock, also after a panic: the run that it belonged to has failed, and nothing of it is used any more.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
