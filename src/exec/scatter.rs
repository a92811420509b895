//! What a task leaves for the partitions of an exchange: a sequence of rows for each.

use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use super::collect::downcast;
use super::job::Batch;
use super::memory::{Budget, Reservation};
use super::sequence::{List, Sequence};
use super::spill::Block;
use super::wire::Frames;
use crate::error::Result;
use crate::record::Record;

/// Bytes of rows that are handed over at once: lists of one size need no growing, and are cheap to allocate.
const LIST_BYTES: usize = 16 << 10;

/// With what its rows own elsewhere, a list may take so many times the bytes.
const OWNED_TIMES: usize = 4;

/// So many lists are handed over, or as many times the number of partitions, before those that are not full are packed, too: a list
/// that fills slowly beside one that fills fast would keep all blocks alive that its few rows stem from.
const PACK_EVERY: usize = 256;
const PACK_EVERY_OF_PARTITION: usize = 8;

/// Lists that wait to be filled again, at most.
const MAX_SPARE: usize = 1024;

/// Emptied lists: to fill one again costs neither an allocation nor a page fault.
#[derive(Debug)]
pub struct Spare<T>(Mutex<Vec<Vec<T>>>);

impl<T> Default for Spare<T> {
    fn default() -> Spare<T> {
        Spare(Mutex::default())
    }
}

impl<T> Spare<T> {
    /// Takes a list, if there is one.
    pub fn take(&self) -> Option<Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Gives an emptied list.
    pub fn give(&self, list: Vec<T>) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MAX_SPARE {
            spare.push(list);
        }
    }

    /// Frees all lists.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Whether the rows of a list get one block for their texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// They do: they may be cut out of the blocks of an input.
    Yes,
    /// They own what they refer to already.
    No,
}

/// The rows of one task, by partition.
pub struct Scatter<T> {
    partitions: Vec<Filling<T>>,
    list_rows: usize,
    /// Bytes of a list whose rows own much elsewhere.
    list_bytes: usize,
    /// Bytes that it may hold before it spills, whatever else is free.
    share_bytes: usize,
    packing: Packing,
    /// Lists that have been handed over.
    renewed: usize,
    /// Bytes of the partitions and all lists, with what their rows own elsewhere as far as they are full.
    bytes: usize,
    reservation: Reservation,
}

struct Filling<T> {
    list: List<T>,
    full: Sequence<T>,
}

/// Rows for one partition, and the memory that is reserved for them.
pub type Scattered<T> = (Sequence<T>, Reservation);

/// How sequences travel between processes.
pub struct SequenceWire<T>(PhantomData<fn() -> T>);

impl<T: Record> SequenceWire<T> {
    /// Packs a sequence into frames, one for each block.
    pub fn pack(cell: usize, left: Batch, frames: &mut Frames<'_>) -> Result<()> {
        let (sequence, reserved) = downcast::<Scattered<T>>(left)?;
        sequence.into_blocks(reserved.budget().disk())?.try_for_each(|block| frames(cell, block.to_frame()?))
    }

    /// The sequence of one block that a frame brings.
    pub fn unpack(frame: &[u8], budget: &Budget) -> Result<Batch> {
        let left: Scattered<T> =
            (Sequence::of_block(Block::from_frame(frame, budget.disk())?), budget.reservation());
        Ok(Box::new(left))
    }

    /// A sequence with the rows of two.
    pub fn join(first: Batch, later: Batch) -> Result<Batch> {
        let (mut rows, mut reserved) = downcast::<Scattered<T>>(first)?;
        let (later, more) = downcast::<Scattered<T>>(later)?;
        rows.append(later);
        reserved.merge(more);
        Ok(Box::new((rows, reserved)))
    }
}

impl<T: Record> Scatter<T> {
    /// Nothing yet, for so many partitions.
    pub fn new(partitions: usize, share_bytes: usize, packing: Packing, budget: &Budget) -> Scatter<T> {
        let filling = || Filling { list: List::default(), full: Sequence::default() };
        // At most a quarter of the share for lists that are not full.
        let list_bytes = LIST_BYTES.min(share_bytes / (4 * partitions));
        Scatter {
            partitions: std::iter::repeat_with(filling).take(partitions).collect(),
            list_rows: (list_bytes / size_of::<T>().max(1)).max(1),
            list_bytes: (OWNED_TIMES * list_bytes).max(1),
            share_bytes,
            packing,
            renewed: 0,
            bytes: partitions * size_of::<Filling<T>>(),
            reservation: budget.reservation(),
        }
    }

    /// Whether the list of a partition must be handed over before another row can be pushed.
    #[inline]
    pub fn is_full(&self, partition: usize) -> bool {
        let list = &self.partitions[partition].list;
        list.rows.len() == list.rows.capacity() || list.bytes >= self.list_bytes
    }

    /// Adds a row to the list of a partition, which is not full.
    #[inline]
    pub fn push(&mut self, partition: usize, row: T) {
        self.partitions[partition].list.push(row);
    }

    /// The rows of a list, to be taken out.
    pub fn list(&mut self, partition: usize) -> &mut List<T> {
        &mut self.partitions[partition].list
    }

    /// Puts a full list aside and begins another one.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    #[cold]
    pub fn renew(&mut self, partition: usize, spare: &Spare<T>) -> Result<()> {
        let rows = spare.take().unwrap_or_else(|| Vec::with_capacity(self.list_rows));
        self.bytes += rows.capacity() * size_of::<T>();
        let Filling { list, full } = &mut self.partitions[partition];
        let mut filled = std::mem::replace(list, List { rows, bytes: 0 });
        self.bytes += filled.bytes - filled.rows.len() * size_of::<T>();
        if self.packing == Packing::Yes {
            filled.pack();
        }
        full.push(filled);
        self.renewed += 1;
        let period = PACK_EVERY.max(PACK_EVERY_OF_PARTITION * self.partitions.len());
        if self.packing == Packing::Yes && self.renewed.is_multiple_of(period) {
            for partition in &mut self.partitions {
                partition.list.pack();
            }
        }
        self.reserve()
    }

    /// Reserves what the lists take; what has no room goes to disk.
    fn reserve(&mut self) -> Result<()> {
        if self.bytes <= self.share_bytes && self.reservation.try_resize(self.bytes as u64)? {
            return Ok(());
        }
        let full: usize = self.partitions.iter().map(|partition| partition.full.memory_bytes()).sum();
        if full >= self.share_bytes / 4 {
            self.spill()?;
        }
        self.reservation.resize(self.bytes as u64)
    }

    fn spill(&mut self) -> Result<()> {
        self.bytes = self.partitions.len() * size_of::<Filling<T>>();
        for Filling { list, full } in &mut self.partitions {
            full.spill(self.reservation.budget().disk())?;
            self.bytes += list.rows.capacity() * size_of::<T>();
        }
        Ok(())
    }

    /// What there is for each partition that got rows, with the memory reserved for it.
    ///
    /// # Errors
    ///
    /// If a holder fails to make room.
    pub fn finish(mut self) -> Result<Vec<(usize, Scattered<T>)>> {
        let mut scattered = Vec::new();
        for (partition, Filling { mut list, mut full }) in
            std::mem::take(&mut self.partitions).into_iter().enumerate()
        {
            if self.packing == Packing::Yes {
                list.pack();
            }
            full.push(list);
            if !full.is_empty() {
                let reservation = self.reservation.transfer(full.memory_bytes() as u64)?;
                scattered.push((partition, (full, reservation)));
            }
        }
        Ok(scattered)
    }
}
