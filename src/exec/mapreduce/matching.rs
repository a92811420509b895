//! Groups and joins, as MapReduce does them: both inputs are sorted by the hashes of their keys, and merged side by side.

use std::cmp::Ordering;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::map_output::Layout;
use super::map_rows;
use super::merge::{Merged, merge_down};
use super::partitions::{Partitions, ReduceTasks, SegmentWire, join_summaries};
use crate::error::Result;
use crate::exec::bucket::Pairing;
use crate::exec::cogroup::{Left, Matching, Part, ROWS_PER_TASK, Right, emit_whole};
use crate::exec::erased::AnyPush;
use crate::exec::exchange::ExchangeSettings;
use crate::exec::grace::Hashes;
use crate::exec::hold::group;
use crate::exec::job::{Batch, Order as Place, Port, Terminal};
use crate::exec::memory::{Budget, Reservation};
use crate::exec::out::Out;
use crate::exec::push::Demand;
use crate::exec::scatter::Packing;
use crate::exec::sequence::{List, Sequence, row_bytes};
use crate::exec::sort::order::{Order, Prefixes};
use crate::exec::source::Source;
use crate::exec::spill::BLOCK_BYTES;
use crate::exec::table::high_bits;
use crate::exec::task::TaskCx;
use crate::exec::wire::{ExchangeWire, Frames, Wire};
use crate::record::{Key, Record};

/// Bytes of rows whose keys are brought together at once.
const GROUPED_BYTES: usize = 256 << 10;

/// The exchange of groups and joins: a terminal of two lanes, and the source of what comes out.
pub struct Matched<M: Matching>(Arc<Shared<M>>);

struct Shared<M: Matching> {
    matching: Arc<M>,
    left: Arc<ByHash<M::Key, M::Left>>,
    right: Arc<ByHash<M::Key, M::Right>>,
    left_rows: Partitions<Left<M>>,
    right_rows: Partitions<Right<M>>,
    tasks: ReduceTasks,
    bits: u32,
    budget: Budget,
}

impl<M: Matching> Clone for Matched<M> {
    fn clone(&self) -> Self {
        Matched(Arc::clone(&self.0))
    }
}

impl<M: Matching> Matched<M> {
    /// The exchange for what `matching` describes.
    pub fn new(matching: Arc<M>, settings: &ExchangeSettings) -> Matched<M> {
        let bits = settings.partition_bits;
        Matched(Arc::new(Shared {
            matching,
            left: Arc::new(ByHash { bits, types: PhantomData }),
            right: Arc::new(ByHash { bits, types: PhantomData }),
            left_rows: Partitions::new(1 << bits),
            right_rows: Partitions::new(1 << bits),
            tasks: ReduceTasks::default(),
            bits,
            budget: settings.budget.clone(),
        }))
    }
}

/// Rows ordered by the hashes of their keys.
struct ByHash<K, V> {
    bits: u32,
    types: PhantomData<fn(K, V)>,
}

impl<K: Key, V: Record> Order<(K, V)> for ByHash<K, V> {
    fn prefixes(&self) -> Prefixes {
        Prefixes::Exact
    }

    #[inline]
    fn prefix(&self, row: &(K, V)) -> u64 {
        row.0.key_hash()
    }

    fn compare(&self, a: &(K, V), b: &(K, V)) -> Ordering {
        a.0.key_hash().cmp(&b.0.key_hash())
    }
}

impl<K: Key, V: Record> Layout<(K, V)> for ByHash<K, V> {
    const PACKING: Packing = Packing::Yes;

    fn partition(&self, prefix: u64) -> usize {
        high_bits(prefix, self.bits)
    }
}

impl<M: Matching> Terminal for Matched<M> {
    fn cells(&self) -> usize {
        self.0.left_rows.len()
    }

    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        Ok(match port.lane() {
            0 => map_rows::writer(&self.0.left, cx, port),
            _ => map_rows::writer(&self.0.right, cx, port),
        })
    }

    fn absorb(&self, cell: usize, lane: usize, batch: Batch) -> Result<Demand> {
        match lane {
            0 => self.0.left_rows.add(cell, batch)?,
            _ => self.0.right_rows.add(cell, batch)?,
        }
        Ok(Demand::More)
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(self)
    }
}

impl<M: Matching> Wire for Matched<M> {
    fn pack(&self, lane: usize, cell: usize, batch: Batch, frames: &mut Frames<'_>) -> Result<()> {
        match lane {
            0 => SegmentWire::<Left<M>>::pack(cell, batch, frames),
            _ => SegmentWire::<Right<M>>::pack(cell, batch, frames),
        }
    }

    fn unpack(&self, lane: usize, frame: &[u8]) -> Result<Batch> {
        match lane {
            0 => SegmentWire::<Left<M>>::unpack(frame, self.0.budget.disk()),
            _ => SegmentWire::<Right<M>>::unpack(frame, self.0.budget.disk()),
        }
    }

    fn join(&self, lane: usize, first: Batch, later: Batch) -> Result<Batch> {
        match lane {
            0 => SegmentWire::<Left<M>>::join(first, later),
            _ => SegmentWire::<Right<M>>::join(first, later),
        }
    }

    fn exchange(&self) -> Option<&dyn ExchangeWire> {
        Some(self)
    }

    fn told(&self) -> Value {
        self.0.tasks.told()
    }

    fn tell(&self, told: &Value) -> Result<()> {
        self.0.tasks.tell(told)
    }
}

impl<M: Matching> ExchangeWire for Matched<M> {
    fn summary(&self, lane: usize, batch: &Batch) -> Result<Vec<u8>> {
        match lane {
            0 => SegmentWire::<Left<M>>::summary(batch),
            _ => SegmentWire::<Right<M>>::summary(batch),
        }
    }

    fn summarized(&self, lane: usize, _order: Place, summary: &[u8]) -> Result<Batch> {
        match lane {
            0 => SegmentWire::<Left<M>>::summarized(summary),
            _ => SegmentWire::<Right<M>>::summarized(summary),
        }
    }

    fn join_summaries(&self, first: &[u8], later: &[u8]) -> Result<Option<Vec<u8>>> {
        join_summaries(first, later).map(Some)
    }

    fn cells(&self) -> usize {
        self.0.left_rows.len()
    }

    fn cells_of(&self, split: usize) -> Range<usize> {
        self.0.tasks.partitions_of(split)
    }
}

impl<M: Matching> Source<M::Out> for Matched<M> {
    /// Neighbouring partitions are read by one task, as in the dataflow mode, so that what follows is cut alike.
    fn splits(&self) -> usize {
        let rows = |partition| self.0.left_rows.rows(partition) + self.0.right_rows.rows(partition);
        let tasks = group((0..self.0.left_rows.len()).map(rows), ROWS_PER_TASK);
        let count = tasks.len();
        self.0.tasks.set(tasks);
        count
    }

    fn read(&self, split: usize, out: &mut Out<M::Out>) -> Result<()> {
        for partition in self.0.tasks.partitions_of(split) {
            if self.0.reduce(partition, out)? == Demand::Enough {
                break;
            }
        }
        Ok(())
    }
}

impl<M: Matching> Shared<M> {
    /// Fetches the segments of a partition, merges them, and emits what each key gives.
    fn reduce(&self, partition: usize, out: &mut Out<M::Out>) -> Result<Demand> {
        let left_runs = merge_down(self.left.as_ref(), self.left_rows.fetch(partition), &self.budget)?;
        let right_runs = merge_down(self.right.as_ref(), self.right_rows.fetch(partition), &self.budget)?;
        let mut left = Side::new(Merged::new(self.left.as_ref(), left_runs, &self.budget)?)?;
        let mut right = Side::new(Merged::new(self.right.as_ref(), right_runs, &self.budget)?)?;
        let mut reservation = self.budget.reservation();
        let bound = GROUPED_BYTES.min(self.budget.share(8));
        while let Some(hash) = next_hash(&left, &right) {
            left.take(hash, bound)?;
            right.take(hash, bound)?;
            let bytes = left.bytes + right.bytes;
            let (left_goes_on, right_goes_on) = (left.goes_on(hash), right.goes_on(hash));
            if left_goes_on || right_goes_on {
                // The rows of one hash are more than is taken at once: they get a part of their own.
                if self.emit_large(hash, &mut left, &mut right, &mut reservation, out)? == Demand::Enough {
                    return Ok(Demand::Enough);
                }
            } else if bytes >= bound || next_hash(&left, &right).is_none() {
                reservation.resize(2 * bytes as u64)?;
                let pairing = Pairing::new(left.taken(), right.taken());
                if self.emit(pairing, out)? == Demand::Enough {
                    return Ok(Demand::Enough);
                }
            }
        }
        Ok(Demand::More)
    }

    fn emit(&self, mut pairing: Pairing<M::Key, M::Left, M::Right>, out: &mut Out<M::Out>) -> Result<Demand> {
        let (mut values, mut others) = (Vec::new(), Vec::new());
        while let Some(key) = pairing.next_key(&mut values, &mut others) {
            if self.matching.emit(key, &mut values, &mut others, out)? == Demand::Enough {
                return Ok(Demand::Enough);
            }
            values.clear();
            others.clear();
        }
        Ok(Demand::More)
    }

    /// Emits what has been taken of earlier hashes, and then the rows of one hash, of which there are many: from memory if they fit, else
    /// from the disk.
    fn emit_large(
        &self,
        hash: u64,
        left: &mut Side<'_, M::Key, M::Left>,
        right: &mut Side<'_, M::Key, M::Right>,
        reservation: &mut Reservation,
        out: &mut Out<M::Out>,
    ) -> Result<Demand> {
        let (left_rows, right_rows) = (left.take_back(hash), right.take_back(hash));
        if self.emit(Pairing::new(left.taken(), right.taken()), out)? == Demand::Enough {
            return Ok(Demand::Enough);
        }
        let left_rows = left.gather(hash, left_rows, &self.budget)?;
        let right_rows = right.gather(hash, right_rows, &self.budget)?;
        let bytes = left_rows.bytes() + right_rows.bytes();
        if reservation.try_resize(2 * bytes as u64)? {
            let pairing = Pairing::new(rows_of(left_rows)?, rows_of(right_rows)?);
            return self.emit(pairing, out);
        }
        let part =
            Part { left: left_rows, right: right_rows, used_bits: self.bits, hashes: Hashes::One(hash) };
        emit_whole(self.matching.as_ref(), part, bytes, reservation, out)
    }
}

fn next_hash<K: Key, V: Record, W: Record>(left: &Side<'_, K, V>, right: &Side<'_, K, W>) -> Option<u64> {
    match (left.next_hash(), right.next_hash()) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn rows_of<T: Record>(rows: Sequence<T>) -> Result<Vec<T>> {
    let mut all = Vec::with_capacity(rows.rows());
    for list in rows.into_lists() {
        all.append(&mut list?.rows);
    }
    Ok(all)
}

/// One input of a reduce task.
struct Side<'a, K, V> {
    merged: Merged<'a, (K, V), ByHash<K, V>>,
    next: Option<(u64, (K, V))>,
    /// Rows that have been taken and not been emitted, in the order of their hashes.
    rows: Vec<(K, V)>,
    bytes: usize,
}

impl<'a, K: Key, V: Record> Side<'a, K, V> {
    fn new(merged: Merged<'a, (K, V), ByHash<K, V>>) -> Result<Side<'a, K, V>> {
        let mut side = Side { merged, next: None, rows: Vec::new(), bytes: 0 };
        side.advance()?;
        Ok(side)
    }

    #[inline]
    fn advance(&mut self) -> Result<Option<(K, V)>> {
        let next = self.merged.next()?.map(|row| (row.0.key_hash(), row));
        Ok(std::mem::replace(&mut self.next, next).map(|(_, row)| row))
    }

    #[inline]
    fn next_hash(&self) -> Option<u64> {
        self.next.as_ref().map(|(hash, _)| *hash)
    }

    #[inline]
    fn goes_on(&self, hash: u64) -> bool {
        self.next_hash() == Some(hash)
    }

    /// Takes rows of a hash until twice the bound is held.
    #[inline]
    fn take(&mut self, hash: u64, bound: usize) -> Result<()> {
        while self.goes_on(hash) && self.bytes < 2 * bound {
            if let Some(row) = self.advance()? {
                self.bytes += row_bytes(&row);
                self.rows.push(row);
            }
        }
        Ok(())
    }

    /// All rows that have been taken.
    fn taken(&mut self) -> Vec<(K, V)> {
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }

    /// The rows of the last hash that have been taken.
    fn take_back(&mut self, hash: u64) -> Vec<(K, V)> {
        let first = self.rows.partition_point(|(key, _)| key.key_hash() < hash);
        self.rows.split_off(first)
    }

    /// All rows of a hash, of which the first ones have been taken; what is more than a block lies on disk.
    fn gather(&mut self, hash: u64, taken: Vec<(K, V)>, budget: &Budget) -> Result<Sequence<(K, V)>> {
        let mut rows = Sequence::default();
        let mut list = List::of(taken);
        while self.goes_on(hash) {
            if let Some(row) = self.advance()? {
                list.push(row);
            }
            if list.bytes >= BLOCK_BYTES {
                rows.push(std::mem::take(&mut list));
                rows.spill(budget.disk())?;
            }
        }
        rows.push(list);
        rows.spill(budget.disk())?;
        Ok(rows)
    }
}
