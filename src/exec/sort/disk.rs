//! Ranges of a sorted whole that lies on disk: each is merged from the blocks of all runs that have rows of it.
//!
//! Neighbouring ranges meet in blocks, and are read at the same time. Such a block is decoded once and kept until the last of them has
//! read it; with runs of many blocks, about one a run is kept at a time, however many ranges are read.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use super::border::Border;
use super::merge::{Lists, merge};
use super::order::Order;
use super::run::{DiskPiece, Piece, Run, Sampled};
use crate::error::Result;
use crate::exec::memory::{Budget, Reservation};
use crate::exec::push::Flow;
use crate::exec::sequence::List;
use crate::exec::spill::Block;
use crate::record::Record;

/// All runs, and where the ranges begin.
pub struct OnDisk<T> {
    runs: Vec<DiskRun<T>>,
    borders: Vec<Border<T>>,
    /// Of the blocks that are decoded at a time.
    _reservation: Reservation,
}

struct DiskRun<T> {
    firsts: Vec<T>,
    /// The number of the row after the last one of each block.
    ends: Vec<usize>,
    blocks: Vec<Mutex<SharedBlock<T>>>,
}

struct SharedBlock<T> {
    /// None once all have read it.
    block: Option<Block<T>>,
    /// What is still to be read by others.
    decoded: Option<Arc<Vec<T>>>,
    /// The ranges that have not read it.
    readers: usize,
}

impl<T: Record> OnDisk<T> {
    /// Ranges between borders.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written, or a holder fails to make room.
    pub fn new<O: Order<T>>(
        order: &O,
        runs: Vec<Run<T>>,
        borders: Vec<Border<T>>,
        list_bytes: usize,
        budget: &Budget,
    ) -> Result<OnDisk<T>> {
        let mut reservation = budget.reservation();
        reservation.resize(2 * (runs.len() * list_bytes) as u64)?;
        let runs = runs.into_iter().map(DiskRun::new).collect::<Result<Vec<_>>>()?;
        let on_disk = OnDisk { runs, borders, _reservation: reservation };
        for range in 0..on_disk.ranges() {
            for (index, run) in on_disk.runs.iter().enumerate() {
                for block in on_disk.blocks(order, range, index) {
                    lock(&run.blocks[block]).readers += 1;
                }
            }
        }
        Ok(on_disk)
    }

    /// The number of ranges.
    pub fn ranges(&self) -> usize {
        self.borders.len() + 1
    }

    /// The blocks of a run that may have rows of a range: at least one.
    fn blocks<O: Order<T>>(&self, order: &O, range: usize, index: usize) -> RangeInclusive<usize> {
        let run = &self.runs[index];
        let block = |border: &Border<T>| border.piece(order, index, &run.ends, |block| &run.firsts[block]);
        let (lower, upper) = self.borders_of(range);
        lower.map_or(0, block)..=upper.map_or(run.blocks.len() - 1, block)
    }

    fn borders_of(&self, range: usize) -> (Option<&Border<T>>, Option<&Border<T>>) {
        (range.checked_sub(1).map(|lower| &self.borders[lower]), self.borders.get(range))
    }

    /// Hands the rows of a range to `emit`, in order, until it has enough.
    ///
    /// # Errors
    ///
    /// If the disk cannot be read, or `emit` fails.
    pub fn read<O: Order<T>>(
        &self,
        order: &O,
        range: usize,
        emit: &mut impl FnMut(T) -> Result<Flow>,
    ) -> Result<Flow> {
        let lists = |index| {
            let blocks = self.blocks(order, range, index);
            Box::new(blocks.map(move |block| self.rows(order, range, index, block))) as Lists<'_, T>
        };
        merge(order, (0..self.runs.len()).map(lists).collect(), &mut |_, row| emit(row))
    }

    /// The rows of a range in a block.
    fn rows<O: Order<T>>(&self, order: &O, range: usize, index: usize, block: usize) -> Result<Vec<T>> {
        let run = &self.runs[index];
        let rows = lock(&run.blocks[block]).take()?;
        let start = run.ends[block] - rows.len();
        let cut = |border: &Border<T>| border.cut(order, index, start, &rows);
        let (lower, upper) = self.borders_of(range);
        let wanted = lower.map_or(0, cut)..upper.map_or(rows.len(), cut);
        match Arc::try_unwrap(rows) {
            Ok(mut rows) => {
                rows.truncate(wanted.end);
                rows.drain(..wanted.start);
                Ok(rows)
            }
            Err(rows) => Ok(rows[wanted].to_vec()),
        }
    }
}

impl<T: Record> DiskRun<T> {
    fn new(mut run: Run<T>) -> Result<DiskRun<T>> {
        run.spill()?;
        let (mut firsts, mut ends, mut blocks, mut end) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for piece in run.pieces {
            if let Piece::Disk(DiskPiece { first, block }) = piece {
                end += block.rows();
                firsts.push(first);
                ends.push(end);
                blocks.push(Mutex::new(SharedBlock { block: Some(block), decoded: None, readers: 0 }));
            }
        }
        Ok(DiskRun { firsts, ends, blocks })
    }
}

impl<T: Record> SharedBlock<T> {
    /// The rows, for one of its readers.
    fn take(&mut self) -> Result<Arc<Vec<T>>> {
        self.readers = self.readers.saturating_sub(1);
        let rows = match (self.decoded.take(), &self.block) {
            (Some(rows), _) => rows,
            (None, Some(block)) => Arc::new(block.read()?),
            (None, None) => Arc::default(),
        };
        if self.readers > 0 {
            self.decoded = Some(Arc::clone(&rows));
        } else {
            self.block = None;
        }
        Ok(rows)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Merges neighbouring runs until there are no more than `fan_in`.
///
/// # Errors
///
/// If the disk cannot be written or read.
pub fn merge_runs<T: Record, O: Order<T>>(
    order: &O,
    mut runs: Vec<Run<T>>,
    fan_in: usize,
    list_bytes: usize,
) -> Result<Vec<Run<T>>> {
    while runs.len() > fan_in {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(fan_in));
        let mut rest = runs.into_iter();
        while rest.len() > 0 {
            let group: Vec<_> = rest.by_ref().take(fan_in).collect();
            merged.push(merge_group(order, group, list_bytes)?);
        }
        runs = merged;
    }
    Ok(runs)
}

/// One run on disk out of several; what was drawn of them keeps its place.
fn merge_group<T: Record, O: Order<T>>(order: &O, group: Vec<Run<T>>, list_bytes: usize) -> Result<Run<T>> {
    let Some(budget) = group.first().map(|run| run.reservation.budget().clone()) else {
        return Err(crate::error::Error::new(crate::error::ErrorKind::Internal, "no runs were to be merged"));
    };
    let mut working = budget.reservation();
    working.resize((group.len() * list_bytes) as u64)?;
    let (mut lists, mut samples) = (Vec::new(), Vec::new());
    for mut run in group {
        samples.push((0, std::mem::take(&mut run.sample).into_iter().peekable()));
        lists.push(lists_of(run));
    }
    let mut merged = Run::new(budget.reservation());
    let (mut list, mut at) = (List::default(), 0);
    let _all: Flow = merge(order, lists, &mut |source, row| {
        let (passed, sample) = &mut samples[source];
        merged
            .sample
            .extend(sample.next_if(|drawn| drawn.at == *passed).map(|drawn| Sampled { at, ..drawn }));
        (*passed, at) = (*passed + 1, at + 1);
        list.push(row);
        if list.bytes >= list_bytes {
            merged.pieces.extend(Piece::write(&std::mem::take(&mut list), budget.disk())?.map(Piece::Disk));
        }
        Ok(Flow::More)
    })?;
    merged.pieces.extend(Piece::write(&list, budget.disk())?.map(Piece::Disk));
    Ok(merged)
}

fn lists_of<T: Record>(run: Run<T>) -> Lists<'static, T> {
    let Run { pieces, reservation, .. } = run;
    Box::new(pieces.into_iter().map(move |piece| {
        let _held = &reservation;
        match piece {
            Piece::Memory(list) => Ok(list.rows),
            Piece::Disk(piece) => piece.block.read(),
        }
    }))
}
