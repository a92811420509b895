//! Aggregation by key, as MapReduce does it: combined while it is collected and again when it is ordered, then merged by partition.
//!
//! States of a key are merged in the order of the input, first within each task and then task by task. Where they contain floats,
//! they are not combined again when they are ordered: sums would be added in other groups than those of the dataflow mode, and differ
//! from them in the last bits.

use std::cmp::Ordering;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::datatypes::DataType;

use super::group::Group;
use super::map_output::{Layout, MapOutput};
use super::merge::{Merged, merge_down};
use super::partitions::{Partitions, Segments, deliver};
use crate::error::Result;
use crate::exec::aggregate::{Combine, ROWS_PER_TASK, combine_chunk};
use crate::exec::chunk::Chunk;
use crate::exec::combiner::{Combiner, Span};
use crate::exec::erased::AnyPush;
use crate::exec::exchange::ExchangeSettings;
use crate::exec::hold::group;
use crate::exec::job::{Batch, Port, Terminal};
use crate::exec::memory::Budget;
use crate::exec::out::Out;
use crate::exec::partition::SAMPLE;
use crate::exec::push::{Demand, Push};
use crate::exec::scatter::Packing;
use crate::exec::sort::order::{Order, Prefixes};
use crate::exec::source::Source;
use crate::exec::table::high_bits;
use crate::exec::task::TaskCx;
use crate::exec::wire::Wire;
use crate::record::{Key, Record};

/// An aggregation by key: the terminal that its input ends in, and the source of what follows.
pub struct Aggregate<T, C: Combine<T>>(Arc<Shared<T, C>>);

struct Shared<T, C: Combine<T>> {
    states: Arc<States<T, C>>,
    partitions: Partitions<(C::Key, C::State)>,
    segments: Segments<(C::Key, C::State)>,
    budget: Budget,
}

/// Keys with their states, ordered by hash.
struct States<T, C> {
    combine: Arc<C>,
    map_side: bool,
    /// Whether states of a key are joined whenever they meet.
    combines: bool,
    partition_bits: u32,
    types: PhantomData<fn(T)>,
}

impl<T, C: Combine<T>> Clone for Aggregate<T, C> {
    fn clone(&self) -> Self {
        Aggregate(Arc::clone(&self.0))
    }
}

impl<T: 'static, C: Combine<T>> Aggregate<T, C> {
    /// The aggregation that `combine` describes.
    pub fn new(combine: Arc<C>, settings: &ExchangeSettings) -> Aggregate<T, C> {
        let states = Arc::new(States {
            combine,
            map_side: settings.combine,
            combines: settings.combine && !has_floats(&C::State::data_type()),
            partition_bits: settings.partition_bits,
            types: PhantomData,
        });
        let partitions = Partitions::new(1 << settings.partition_bits);
        let (segments, budget) =
            (Segments::new(partitions.len(), settings.budget.disk()), settings.budget.clone());
        Aggregate(Arc::new(Shared { states, partitions, segments, budget }))
    }
}

fn has_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => has_floats(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        other => other.is_floating(),
    }
}

impl<T: 'static, C: Combine<T>> Order<(C::Key, C::State)> for States<T, C> {
    fn prefixes(&self) -> Prefixes {
        Prefixes::Exact
    }

    #[inline]
    fn prefix(&self, row: &(C::Key, C::State)) -> u64 {
        row.0.key_hash()
    }

    fn compare(&self, a: &(C::Key, C::State), b: &(C::Key, C::State)) -> Ordering {
        a.0.key_hash().cmp(&b.0.key_hash())
    }
}

impl<T: 'static, C: Combine<T>> Layout<(C::Key, C::State)> for States<T, C> {
    const PACKING: Packing = Packing::No;

    #[inline]
    fn partition(&self, prefix: u64) -> usize {
        high_bits(prefix, self.partition_bits)
    }

    fn combines(&self) -> bool {
        self.combines
    }

    #[inline]
    fn join(&self, group: &mut Vec<(C::Key, C::State)>, row: (C::Key, C::State)) {
        match group.iter_mut().find(|(key, _)| key.key_eq(&row.0)) {
            Some((_, state)) => self.combine.merge(state, row.1),
            None => group.push(row),
        }
    }
}

impl<T: 'static, C: Combine<T>> Terminal for Aggregate<T, C> {
    fn cells(&self) -> usize {
        self.0.partitions.len()
    }

    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        let states = Arc::clone(&self.0.states);
        let combiner = || Combiner::new(states.partition_bits, Span::Split, cx.budget());
        let combiner = states.map_side.then(combiner);
        let (output, hashes) = (Some(MapOutput::new(cx)), Vec::new());
        Ok(AnyPush::new(Writer { states, cx: cx.clone(), port, combiner, output, hashes }))
    }

    fn absorb(&self, cell: usize, _lane: usize, batch: Batch) -> Result<Demand> {
        self.0.partitions.add(cell, batch)?;
        Ok(Demand::More)
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(&self.0.segments)
    }
}

/// Collects the states of one task.
struct Writer<T: 'static, C: Combine<T>> {
    states: Arc<States<T, C>>,
    cx: TaskCx,
    port: Port,
    /// None where every element is to travel by itself.
    combiner: Option<Combiner<C::Key, C::State>>,
    /// None after the end.
    output: Option<MapOutput<(C::Key, C::State)>>,
    /// The hashes of a chunk.
    hashes: Vec<u64>,
}

impl<T: 'static, C: Combine<T>> Push<T> for Writer<T, C> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let Writer { states, cx, combiner, output: Some(output), hashes, .. } = self else {
            return Ok(Demand::Enough);
        };
        combine_chunk(
            states.combine.as_ref(),
            combiner.as_mut(),
            chunk,
            hashes,
            cx.trace(),
            |_, (key, mut state)| {
                state.detach(); // what was added to it may still refer to a block of the input
                output.push(states.as_ref(), (key, state));
                Ok(())
            },
        )?;
        output.make_room(states.as_ref())?;
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        let Some(mut output) = self.output.take() else { return Ok(()) };
        if let Some(mut combiner) = self.combiner.take() {
            for partition in 0..1 << self.states.partition_bits {
                for (key, mut state) in combiner.take(partition) {
                    state.detach();
                    output.push(self.states.as_ref(), (key, state));
                }
            }
        }
        deliver(output.finish(self.states.as_ref())?, &self.port);
        Ok(())
    }
}

impl<T: 'static, C: Combine<T>> Source<(C::Key, C::State)> for Aggregate<T, C> {
    /// Neighbouring partitions are read by one task, as in the dataflow mode, so that what follows is cut alike.
    fn splits(&self) -> usize {
        let partitions = &self.0.partitions;
        let keys = |partition| match partitions.rows(partition) {
            0 => 0,
            _ => (partitions.sample(partition).len() * SAMPLE as usize).max(1),
        };
        let tasks = group((0..partitions.len()).map(keys), ROWS_PER_TASK);
        let count = tasks.len();
        self.0.segments.tasks.set(tasks);
        count
    }

    fn read(&self, split: usize, out: &mut Out<(C::Key, C::State)>) -> Result<()> {
        for partition in self.0.segments.tasks.partitions_of(split) {
            if self.0.reduce(partition, out)? == Demand::Enough {
                break;
            }
        }
        Ok(())
    }
}

impl<T: 'static, C: Combine<T>> Shared<T, C> {
    /// Fetches the segments of a partition, merges them, and emits each key with its state.
    fn reduce(&self, partition: usize, out: &mut Out<(C::Key, C::State)>) -> Result<Demand> {
        let states = self.states.as_ref();
        let runs = merge_down(states, self.partitions.fetch(partition), &self.budget)?;
        let mut merged = Merged::new(states, runs, &self.budget)?;
        let (mut group, mut hash) = (Group::new(&self.budget), 0);
        while let Some(row) = merged.next()? {
            let next = row.0.key_hash();
            if next != hash && group.drain(|rows| emit(rows, out))? == Demand::Enough {
                return Ok(Demand::Enough);
            }
            hash = next;
            group.join(states, row)?;
        }
        group.drain(|rows| emit(rows, out))
    }
}

/// Emits the keys of one hash; if there are several, ordered by another hash, as tables do.
fn emit<K: Key, A: Record>(group: &mut Vec<(K, A)>, out: &mut Out<(K, A)>) -> Result<Demand> {
    const OTHER_SEED: u64 = 1;
    if group.len() > 1 {
        group.sort_by_key(|(key, _)| key.hash_into(OTHER_SEED));
    }
    for entry in group.drain(..) {
        if out.emit(entry)? == Demand::Enough {
            return Ok(Demand::Enough);
        }
    }
    Ok(Demand::More)
}
