//! Ranges of a sorted whole: each is merged from its part of every run.
//!
//! Neighbouring ranges meet in pieces of the runs, and several are read at a time. Whoever is the first to need such a piece cuts it, having
//! read it from the disk if it lies there, and the others find their parts. So no row is copied, and no block is read twice.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::border::Border;
use super::merge::{Lists, merge};
use super::order::Order;
use super::run::{Piece, Run};
use crate::error::Result;
use crate::exec::memory::Reservation;
use crate::exec::push::Flow;
use crate::record::Record;

/// All runs, and where the ranges begin.
pub struct Ranges<T> {
    runs: Vec<DividedRun<T>>,
    borders: Vec<Border<T>>,
    /// What lies in memory and nobody has read.
    whole_bytes: AtomicU64,
}

struct DividedRun<T> {
    pieces: Vec<Mutex<State<T>>>,
    /// The number of the row after the last one of each piece.
    ends: Vec<usize>,
    /// The piece that each border lies in.
    border_pieces: Vec<usize>,
}

/// A piece, and the memory that it takes.
struct State<T> {
    rows: Rows<T>,
    reservation: Reservation,
}

enum Rows<T> {
    /// As it came.
    Whole(Piece<T>),
    /// What the ranges that meet in it have not taken yet, and how many have not.
    Cut { parts: Vec<Vec<T>>, left: usize },
}

impl<T: Record> Ranges<T> {
    /// Divides runs at the borders.
    ///
    /// # Errors
    ///
    /// If a holder fails to make room.
    pub fn new<O: Order<T>>(order: &O, runs: Vec<Run<T>>, borders: Vec<Border<T>>) -> Result<Ranges<T>> {
        let whole_bytes = AtomicU64::new(runs.iter().map(|run| run.memory_bytes() as u64).sum());
        let divided = |(index, run)| DividedRun::new(order, index, run, &borders);
        let runs = runs.into_iter().enumerate().map(divided).collect::<Result<Vec<_>>>()?;
        Ok(Ranges { runs, borders, whole_bytes })
    }

    /// The number of ranges.
    pub fn len(&self) -> usize {
        self.borders.len() + 1
    }

    /// The bytes that spilling would give back.
    pub fn spillable_bytes(&self) -> u64 {
        self.whole_bytes.load(Ordering::Relaxed)
    }

    /// Writes pieces to disk until `wanted` bytes are given back, those of the last ranges first. What somebody is at is passed over.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    pub fn spill(&self, wanted: u64) -> Result<()> {
        let deepest = self.runs.iter().map(|run| run.pieces.len()).max().unwrap_or(0);
        let mut given = 0;
        for depth in 1..=deepest {
            for run in &self.runs {
                if given >= wanted {
                    return Ok(());
                }
                let piece = run.pieces.len().checked_sub(depth).map(|at| &run.pieces[at]);
                if let Some(Ok(mut piece)) = piece.map(Mutex::try_lock) {
                    let bytes = piece.spill()?;
                    self.whole_bytes.fetch_sub(bytes, Ordering::Relaxed);
                    given += bytes;
                }
            }
        }
        Ok(())
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
        let lists = |(index, run): (usize, &'_ DividedRun<T>)| {
            let pieces = run.pieces_of(range);
            Box::new(pieces.map(move |piece| self.take(order, range, index, piece))) as Lists<'_, T>
        };
        let lists = self.runs.iter().enumerate().map(lists).collect();
        merge(order, lists, &mut |_, row| emit(row))
    }

    /// The rows of a range in a piece.
    fn take<O: Order<T>>(&self, order: &O, range: usize, index: usize, piece: usize) -> Result<Vec<T>> {
        let run = &self.runs[index];
        let meeting = run.ranges_of(piece);
        let mut state = run.pieces[piece].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((rows, from_memory)) = state.read()? {
            self.whole_bytes.fetch_sub(from_memory, Ordering::Relaxed);
            let start = run.ends[piece] - rows.len();
            let borders = &self.borders[*meeting.start()..*meeting.end()];
            let cuts = borders.iter().map(|border| border.cut(order, index, start, &rows)).collect();
            let parts = cut(rows, cuts);
            state.rows = Rows::Cut { left: parts.len(), parts };
        }
        state.take(range - meeting.start())
    }
}

impl<T: Record> DividedRun<T> {
    fn new<O: Order<T>>(
        order: &O,
        index: usize,
        mut run: Run<T>,
        borders: &[Border<T>],
    ) -> Result<DividedRun<T>> {
        let ends: Vec<usize> = run
            .pieces
            .iter()
            .scan(0, |end, piece| {
                *end += piece.rows();
                Some(*end)
            })
            .collect();
        let piece = |border: &Border<T>| border.piece(order, index, &ends, |piece| run.pieces[piece].first());
        let mut highest = 0;
        let ascend = |at: usize| {
            highest = highest.max(at);
            highest
        };
        let border_pieces = borders.iter().map(piece).map(ascend).collect();
        let mut pieces = Vec::with_capacity(run.pieces.len());
        for piece in std::mem::take(&mut run.pieces) {
            let reservation = run.reservation.transfer(piece.memory_bytes() as u64)?;
            pieces.push(Mutex::new(State { rows: Rows::Whole(piece), reservation }));
        }
        Ok(DividedRun { pieces, ends, border_pieces })
    }

    /// The pieces that may have rows of a range.
    fn pieces_of(&self, range: usize) -> RangeInclusive<usize> {
        let first = range.checked_sub(1).map_or(0, |lower| self.border_pieces[lower]);
        first..=self.border_pieces.get(range).copied().unwrap_or(self.pieces.len() - 1)
    }

    /// The ranges that may have rows of a piece: one more than there are borders in it.
    fn ranges_of(&self, piece: usize) -> RangeInclusive<usize> {
        let before = self.border_pieces.partition_point(|border| *border < piece);
        before..=self.border_pieces.partition_point(|border| *border <= piece)
    }
}

impl<T: Record> State<T> {
    /// The rows, unless they have been cut, and the bytes of them that lay in memory.
    fn read(&mut self) -> Result<Option<(Vec<T>, u64)>> {
        match &mut self.rows {
            Rows::Whole(Piece::Memory(list)) => {
                Ok(Some((std::mem::take(&mut list.rows), self.reservation.bytes())))
            }
            Rows::Whole(Piece::Disk(piece)) => {
                self.reservation.resize(piece.block.bytes() as u64)?;
                Ok(Some((piece.block.read()?, 0)))
            }
            Rows::Cut { .. } => Ok(None),
        }
    }

    /// Takes one part; with the last one the memory is given back.
    fn take(&mut self, part: usize) -> Result<Vec<T>> {
        let Rows::Cut { parts, left } = &mut self.rows else { return Ok(Vec::new()) };
        *left = left.saturating_sub(1);
        let rows = parts.get_mut(part).map(std::mem::take).unwrap_or_default();
        if *left == 0 {
            self.reservation.resize(0)?;
        }
        Ok(rows)
    }

    /// Writes the piece to disk if it lies in memory as it came; returns the bytes given back.
    fn spill(&mut self) -> Result<u64> {
        let Rows::Whole(piece) = &mut self.rows else { return Ok(0) };
        if !piece.spill(self.reservation.budget().disk())? {
            return Ok(0);
        }
        let bytes = self.reservation.bytes();
        self.reservation.resize(0)?;
        Ok(bytes)
    }
}

/// Cuts rows at these places, which ascend.
fn cut<T>(rows: Vec<T>, cuts: Vec<usize>) -> Vec<Vec<T>> {
    if cuts.is_empty() {
        return vec![rows];
    }
    let (mut start, mut rows) = (0, rows.into_iter());
    let mut parts = Vec::with_capacity(cuts.len() + 1);
    for cut in cuts {
        parts.push(rows.by_ref().take(cut.saturating_sub(start)).collect());
        start = start.max(cut);
    }
    parts.push(rows.collect());
    parts
}
