//! Elements held between pipelines, in memory and on disk: what `cache` keeps, what the rounds of a loop read, and what is divided
//! into other splits.
//!
//! A task leaves a sequence of rows for it, packed in lists so that they keep no block of an input alive. A task that takes more
//! than its share of the memory writes its rows to disk; what is held in memory goes there when others need the room, the last
//! part first, because whoever reads again and again begins with the first. The splits of what is held follow from the rows alone,
//! wherever they lie.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use serde::Deserialize;
use serde_json::{Value, json};

use super::chunk::Chunk;
use super::collect::downcast;
use super::erased::AnyPush;
use super::job::{Batch, Order, Port, Terminal};
use super::memory::{Budget, Holder, Reservation};
use super::out::Out;
use super::push::{Demand, Push};
use super::scatter::{Scattered, SequenceWire};
use super::sequence::{List, Sequence, ends, row_bytes};
use super::source::Source;
use super::spill::BLOCK_BYTES;
use super::task::TaskCx;
use super::wire::{ExchangeWire, Frames, Routing, Wire, damaged, take_u64};
use crate::config::Execution;
use crate::error::{Place, Result};
use crate::record::Record;

/// Whether held elements can be read once, or as often as one likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Reading moves them out.
    Once,
    /// Reading clones them.
    Always,
}

/// Where what is held lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In memory, and on disk as far as that is needed elsewhere.
    Memory,
    /// On disk, as soon as there is a block of it.
    Disk,
}

impl Storage {
    /// Where it lies between the stages of a run.
    pub fn of(execution: Execution) -> Storage {
        match execution {
            Execution::Dataflow => Storage::Memory,
            Execution::MapReduce | Execution::Spark => Storage::Disk,
        }
    }
}

/// How what is held is divided into splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// As the tasks left it: a split for each, be it empty.
    AsLeft,
    /// As the tasks left it, but what small tasks left is read together.
    Grouped,
    /// Into exactly so many splits of equal size, to one row.
    Equal(usize),
    /// Into at most so many splits, which are what neighbouring tasks left.
    AtMost(usize),
}

/// Elements that a split of what is held has at least, if there are as many: what small tasks left is read together, or
/// else a union of many paths would multiply the splits each time it is held.
pub const ROWS_PER_SPLIT: usize = 1 << 14;

/// A terminal that holds what each task leaves, and the source that gives it again.
pub struct Hold<T>(Arc<Shared<T>>);

struct Shared<T> {
    /// Which of all of the process this is; the same one in all processes of one program, which make them in one order.
    number: u64,
    budget: Budget,
    keep: Keep,
    division: Division,
    storage: Storage,
    /// Locked for a moment only. What a task left is at its place.
    parts: Mutex<Vec<Arc<Part<T>>>>,
    /// Fixed when it is first asked for; no more parts come then.
    layout: OnceLock<Layout>,
}

/// What one task left.
struct Part<T> {
    /// The place of the task that left it, where that is known.
    order: Order,
    rows: usize,
    /// How many splits have not read it yet.
    unread: AtomicUsize,
    /// Whoever reads keeps the lock meanwhile, and spilling passes over what is locked: only reading waits, and only while this
    /// part is written to disk.
    rest: RwLock<Scattered<T>>,
}

/// Which rows belong to which split.
struct Layout {
    /// The number of the row after the last one of each part.
    ends: Vec<usize>,
    splits: Vec<Range<usize>>,
}

impl<T> Clone for Hold<T> {
    fn clone(&self) -> Hold<T> {
        Hold(Arc::clone(&self.0))
    }
}

impl<T: Record> Hold<T> {
    /// An empty holder, which spills when the budget is short.
    pub fn new(keep: Keep, division: Division, storage: Storage, budget: &Budget) -> Hold<T> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (number, budget_of) = (NEXT.fetch_add(1, Ordering::Relaxed), budget.clone());
        let (parts, layout) = (Mutex::default(), OnceLock::new());
        let shared = Arc::new(Shared { number, budget: budget_of, keep, division, storage, parts, layout });
        let holder: Weak<Shared<T>> = Arc::downgrade(&shared);
        budget.register(holder);
        Hold(shared)
    }

    /// The number of all rows, once all are there.
    pub fn rows(&self) -> usize {
        self.0.layout().ends.last().copied().unwrap_or(0)
    }

    /// Hands the rows of a split to `emit`, each with its number among all rows, until it has enough.
    ///
    /// # Errors
    ///
    /// If the disk cannot be read, or `emit` fails.
    pub fn read_rows(&self, split: usize, emit: &mut impl FnMut(T, u64) -> Result<Demand>) -> Result<Demand> {
        let layout = self.0.layout();
        let wanted = layout.splits[split].clone();
        let mut index = layout.ends.partition_point(|end| *end <= wanted.start);
        let mut row = wanted.start;
        while row < wanted.end {
            let part = self.0.part(index);
            let first = layout.ends[index] - part.rows;
            let rows = row - first..wanted.end.min(layout.ends[index]) - first;
            let mut numbered = |item| {
                row += 1;
                emit(item, row as u64 - 1)
            };
            if part.read(rows, self.0.keep, &mut numbered)? == Demand::Enough {
                return Ok(Demand::Enough);
            }
            (row, index) = (layout.ends[index], index + 1);
        }
        Ok(Demand::More)
    }
}

impl<T: Record> Shared<T> {
    fn all_parts(&self) -> Vec<Arc<Part<T>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn part(&self, index: usize) -> Arc<Part<T>> {
        Arc::clone(&self.parts.lock().unwrap_or_else(PoisonError::into_inner)[index])
    }

    fn layout(&self) -> &Layout {
        self.layout.get_or_init(|| {
            let parts = self.all_parts();
            let rows = || parts.iter().map(|part| part.rows);
            let layout = Layout { ends: ends(rows()), splits: self.division.divide(rows()) };
            for (part, end) in parts.iter().zip(&layout.ends) {
                let first = layout.splits.partition_point(|split| split.end <= end - part.rows);
                let readers = layout.splits[first..].iter().take_while(|split| split.start < *end);
                part.unread.store(readers.filter(|split| !split.is_empty()).count(), Ordering::Relaxed);
            }
            layout
        })
    }
}

impl<T: Record> Part<T> {
    fn read(
        &self,
        rows: Range<usize>,
        keep: Keep,
        emit: &mut impl FnMut(T) -> Result<Demand>,
    ) -> Result<Demand> {
        if keep == Keep::Once && rows.len() == self.rows {
            // Nobody else reads it: every list and every block is given back when it has been read.
            let (sequence, _reserved) = self.take();
            return emit_lists(sequence.into_lists().map(|list| list.map(|list| list.rows)), emit);
        }
        let rest = self.rest.read().unwrap_or_else(PoisonError::into_inner);
        let flow = emit_lists(rest.0.range(rows), emit);
        drop(rest);
        if self.unread.fetch_sub(1, Ordering::Relaxed) == 1 && keep == Keep::Once {
            drop(self.take());
        }
        flow
    }

    fn take(&self) -> Scattered<T> {
        let mut rest = self.rest.write().unwrap_or_else(PoisonError::into_inner);
        let empty = rest.1.split_off();
        std::mem::replace(&mut rest, (Sequence::default(), empty))
    }
}

impl<T: Record> Holder for Shared<T> {
    fn spillable_bytes(&self) -> u64 {
        let bytes = |part: Arc<Part<T>>| part.rest.try_read().map_or(0, |rest| worth_spilling(&rest));
        self.all_parts().into_iter().map(bytes).sum()
    }

    fn spill(&self, wanted: u64) -> Result<()> {
        let mut given = 0;
        for part in self.all_parts().into_iter().rev() {
            if given >= wanted {
                break;
            }
            if let Ok(mut rest) = part.rest.try_write()
                && worth_spilling(&rest) > 0
            {
                given += worth_spilling(&rest);
                let (sequence, reservation) = &mut *rest;
                sequence.spill(reservation.budget().disk())?;
                reservation.resize(0)?;
            }
        }
        Ok(())
    }
}

/// The bytes that spilling would give back, or none where these would not be worth a block on disk.
fn worth_spilling<T: Record>((sequence, reservation): &Scattered<T>) -> u64 {
    let bytes = sequence.memory_bytes();
    if bytes > reservation.budget().least_spill_bytes() { bytes as u64 } else { 0 }
}

impl Division {
    /// The rows of each split, from the rows of each part.
    fn divide(self, parts: impl Iterator<Item = usize> + Clone) -> Vec<Range<usize>> {
        let ends = ends(parts.clone());
        let all = ends.last().copied().unwrap_or(0);
        let rows_of = |parts: Range<usize>| {
            let start = parts.start.checked_sub(1).map_or(0, |before| ends[before]);
            start..ends[parts.end - 1]
        };
        match self {
            Division::AsLeft => ends.iter().zip(parts).map(|(end, rows)| end - rows..*end).collect(),
            Division::Grouped => group(parts, ROWS_PER_SPLIT).into_iter().map(rows_of).collect(),
            Division::Equal(splits) => {
                let start = |split: usize| (split as u128 * all as u128 / splits as u128) as usize;
                (0..splits).map(|split| start(split)..start(split + 1)).collect()
            }
            Division::AtMost(splits) => {
                group(parts, all.div_ceil(splits.max(1)).max(1)).into_iter().map(rows_of).collect()
            }
        }
    }
}

impl<T: Record> Terminal for Hold<T> {
    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        let share_bytes = cx.memory_share();
        Ok(AnyPush::new(Writer {
            list: List::<T>::default(),
            full: Sequence::default(),
            list_bytes: BLOCK_BYTES.min(share_bytes / 4).max(1),
            share_bytes,
            storage: self.0.storage,
            reservation: cx.budget().reservation(),
            port,
        }))
    }

    fn absorb(&self, _cell: usize, _lane: usize, batch: Batch) -> Result<Demand> {
        let part = match batch.downcast::<Elsewhere>() {
            Ok(elsewhere) => self.0.elsewhere(*elsewhere),
            Err(batch) => {
                let left = downcast::<Scattered<T>>(batch)?;
                let order = Order { rank: 0, split: 0 };
                Part { order, rows: left.0.rows(), unread: AtomicUsize::new(0), rest: RwLock::new(left) }
            }
        };
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(part));
        Ok(Demand::More)
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(self)
    }
}

/// A part that is in another process.
struct Elsewhere {
    order: Order,
    rows: usize,
}

impl<T: Record> Shared<T> {
    fn elsewhere(&self, Elsewhere { order, rows }: Elsewhere) -> Part<T> {
        let rest = (Sequence::default(), self.budget.reservation());
        Part { order, rows, unread: AtomicUsize::new(0), rest: RwLock::new(rest) }
    }
}

impl<T: Record> Wire for Hold<T> {
    fn pack(&self, _lane: usize, cell: usize, batch: Batch, frames: &mut Frames<'_>) -> Result<()> {
        SequenceWire::<T>::pack(cell, batch, frames)
    }

    fn unpack(&self, _lane: usize, frame: &[u8]) -> Result<Batch> {
        SequenceWire::<T>::unpack(frame, &self.0.budget)
    }

    fn join(&self, _lane: usize, first: Batch, later: Batch) -> Result<Batch> {
        SequenceWire::<T>::join(first, later)
    }

    fn exchange(&self) -> Option<&dyn ExchangeWire> {
        Some(self)
    }

    fn told(&self) -> Value {
        let parts = self.0.all_parts();
        json!(parts.iter().map(|part| (part.order.rank, part.order.split, part.rows)).collect::<Vec<_>>())
    }

    fn tell(&self, told: &Value) -> Result<()> {
        let told = Vec::<(usize, usize, usize)>::deserialize(told).map_err(damaged)?;
        let part = |(rank, split, rows)| {
            Arc::new(self.0.elsewhere(Elsewhere { order: Order { rank, split }, rows }))
        };
        *self.0.parts.lock().unwrap_or_else(PoisonError::into_inner) = told.into_iter().map(part).collect();
        Ok(())
    }
}

impl<T: Record> ExchangeWire for Hold<T> {
    fn summary(&self, _lane: usize, batch: &Batch) -> Result<Vec<u8>> {
        let left = batch.downcast_ref::<Scattered<T>>().ok_or_else(|| damaged("it is no sequence"))?;
        Ok((left.0.rows() as u64).to_le_bytes().to_vec())
    }

    fn summarized(&self, _lane: usize, order: Order, mut summary: &[u8]) -> Result<Batch> {
        Ok(Box::new(Elsewhere { order, rows: take_u64(&mut summary)? as usize }))
    }

    fn cells(&self) -> usize {
        1
    }

    /// The parts that have rows of the split.
    fn cells_of(&self, split: usize) -> Range<usize> {
        let layout = self.0.layout();
        let rows = &layout.splits[split];
        if rows.is_empty() {
            return 0..0;
        }
        let first = layout.ends.partition_point(|end| *end <= rows.start);
        first..layout.ends.partition_point(|end| *end < rows.end) + 1
    }

    fn routing(&self) -> Routing {
        Routing::ByTask(self.0.number)
    }

    fn arrive(&self, order: Order, batch: Batch) -> Result<()> {
        let left = downcast::<Scattered<T>>(batch)?;
        let parts = self.0.all_parts();
        let part = parts.iter().find(|part| part.order == order && part.rows == left.0.rows());
        let part = part.ok_or_else(|| damaged("a task has left other rows than before"))?;
        *part.rest.write().unwrap_or_else(PoisonError::into_inner) = left;
        Ok(())
    }
}

impl<T: Record> Source<T> for Hold<T> {
    fn wire(&self) -> Option<&dyn Wire> {
        Some(self)
    }

    fn splits(&self) -> usize {
        self.0.layout().splits.len()
    }

    fn read(&self, split: usize, out: &mut Out<T>) -> Result<()> {
        self.read_rows(split, &mut |item, _| out.emit(item)).map(drop)
    }

    /// Without what the elements own elsewhere: how much that is depends on where they have been.
    fn size_bytes(&self) -> Option<u64> {
        let rows: usize = self.0.all_parts().iter().map(|part| part.rows).sum();
        Some((rows * size_of::<T>()) as u64)
    }

    fn place(&self, split: usize, row: u64) -> Place {
        Place::row(self.0.layout().splits[split].start as u64 + row)
    }
}

/// Neighbours in groups of at least `rows_per_group`, by their rows alone, so that the groups are the same in every run.
pub fn group(rows: impl Iterator<Item = usize>, rows_per_group: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let (mut first, mut end, mut sum) = (0, 0, 0);
    for rows in rows {
        (end, sum) = (end + 1, sum + rows);
        if sum >= rows_per_group {
            groups.push(first..end);
            (first, sum) = (end, 0);
        }
    }
    if sum > 0 {
        groups.push(first..end);
    }
    groups
}

/// Emits elements until nobody wants more.
pub fn emit_all<T>(items: impl IntoIterator<Item = T>, out: &mut Out<T>) -> Result<()> {
    for item in items {
        if out.emit(item)? == Demand::Enough {
            break;
        }
    }
    Ok(())
}

/// Hands the elements of lists to `emit` until it has enough.
fn emit_lists<T>(
    lists: impl Iterator<Item = Result<Vec<T>>>,
    emit: &mut impl FnMut(T) -> Result<Demand>,
) -> Result<Demand> {
    for list in lists {
        for item in list? {
            if emit(item)? == Demand::Enough {
                return Ok(Demand::Enough);
            }
        }
    }
    Ok(Demand::More)
}

/// What one task leaves: packed lists, and those that are full on disk where memory is short.
struct Writer<T> {
    list: List<T>,
    full: Sequence<T>,
    /// Bytes of a list.
    list_bytes: usize,
    /// Bytes that it may hold before it spills, whatever else is free.
    share_bytes: usize,
    storage: Storage,
    reservation: Reservation,
    port: Port,
}

impl<T: Record> Writer<T> {
    /// Puts the list aside; what has no room goes to disk.
    #[cold]
    fn put_aside(&mut self) -> Result<()> {
        let mut list = std::mem::take(&mut self.list);
        let budget = self.reservation.budget();
        if list.bytes as u64 > budget.limit_bytes() {
            list.rows.iter().try_for_each(|row| budget.check_row(row_bytes(row)))?;
        }
        list.rows.shrink_to_fit();
        list.pack();
        self.full.push(list);
        if self.storage == Storage::Disk {
            self.full.spill(self.reservation.budget().disk())?;
            return self.reservation.resize(0);
        }
        let bytes = self.full.memory_bytes();
        if bytes <= self.share_bytes && self.reservation.try_resize_free(bytes as u64) {
            return Ok(());
        }
        let budget = self.reservation.budget();
        if bytes > budget.least_spill_bytes() {
            self.full.spill(budget.disk())?;
        }
        self.reservation.resize(self.full.memory_bytes() as u64)
    }
}

impl<T: Record> Push<T> for Writer<T> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        for item in chunk.items.drain(..) {
            self.list.push(item);
            if self.list.bytes >= self.list_bytes {
                self.put_aside()?;
            }
        }
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        if !self.list.rows.is_empty() {
            self.put_aside()?;
        }
        let empty = self.reservation.split_off();
        let reserved = std::mem::replace(&mut self.reservation, empty);
        let left: Scattered<T> = (std::mem::take(&mut self.full), reserved);
        self.port.deliver(vec![(0, Box::new(left))]);
        Ok(())
    }
}

/// A source over elements that are in memory already, in splits of `per_split`.
pub struct InMemory<T> {
    items: Arc<Vec<T>>,
    per_split: usize,
}

impl<T> InMemory<T> {
    /// The elements, in splits of `per_split`, which must not be 0.
    pub fn new(items: Vec<T>, per_split: usize) -> InMemory<T> {
        InMemory { items: Arc::new(items), per_split }
    }
}

impl<T: Clone + Send + Sync + 'static> Source<T> for InMemory<T> {
    fn splits(&self) -> usize {
        self.items.len().div_ceil(self.per_split)
    }

    fn read(&self, split: usize, out: &mut Out<T>) -> Result<()> {
        let start = split * self.per_split;
        let end = (start + self.per_split).min(self.items.len());
        emit_all(self.items[start..end].iter().cloned(), out)
    }

    fn size_bytes(&self) -> Option<u64> {
        Some((self.items.len() * size_of::<T>()) as u64)
    }

    fn is_in_memory(&self) -> bool {
        true
    }

    fn place(&self, split: usize, row: u64) -> Place {
        Place::row((split * self.per_split) as u64 + row)
    }
}
