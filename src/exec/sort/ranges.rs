//! Ranges of a sorted whole: each is merged from its part of every run.
//!
//! Neighbouring ranges meet in pieces of the runs, and several are read at a time. Whoever is the first to need such a piece cuts it, having
//! read it from the disk if it lies there, and the others find their parts. So no row is copied, and no block is read twice.

use std::borrow::Borrow;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::border::Border;
use super::merge::{Lists, merge};
use super::order::Order;
use super::run::{Pieces, Run};
use crate::error::Result;
use crate::exec::memory::Reservation;
use crate::exec::push::Demand;
use crate::exec::sequence::{List, ends};
use crate::exec::spill::Block;
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
    /// As it came, in memory.
    Listed(List<T>),
    /// As it came, on disk.
    Spilled(Block<T>),
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

    /// Where the ranges begin, but for the first one.
    pub fn borders(&self) -> &[Border<T>] {
        &self.borders
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
        emit: &mut impl FnMut(T) -> Result<Demand>,
    ) -> Result<Demand> {
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
        run: Run<T>,
        borders: &[Border<T>],
    ) -> Result<DividedRun<T>> {
        let mut reservation = run.reservation;
        let (ends, border_pieces, rows): (Vec<_>, _, Vec<_>) = match run.pieces {
            Pieces::Memory(lists) => {
                let ends = ends(lists.iter().map(|list| list.rows.len()));
                let pieces =
                    border_pieces(order, index, borders, &ends, lists.iter().map(|list| Ok(&list.rows[0])))?;
                (ends, pieces, lists.into_iter().map(Rows::Listed).collect())
            }
            Pieces::Disk(mut blocks) => {
                let ends = ends(blocks.all.iter().map(Block::rows));
                let pieces = border_pieces(order, index, borders, &ends, blocks.take_firsts())?;
                (ends, pieces, blocks.all.into_iter().map(Rows::Spilled).collect())
            }
            Pieces::Elsewhere(_) => (Vec::new(), vec![0; borders.len()], Vec::new()),
        };
        let state = |rows: Rows<T>| {
            let reservation = reservation.transfer(rows.memory_bytes() as u64)?;
            Ok(Mutex::new(State { rows, reservation }))
        };
        let pieces = rows.into_iter().map(state).collect::<Result<_>>()?;
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
            Rows::Listed(list) => Ok(Some((std::mem::take(&mut list.rows), self.reservation.bytes()))),
            Rows::Spilled(block) => {
                self.reservation.resize(block.bytes() as u64)?;
                Ok(Some((block.read()?, 0)))
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
        let Rows::Listed(list) = &self.rows else { return Ok(0) };
        self.rows = Rows::Spilled(Block::write(&list.rows, list.bytes, self.reservation.budget().disk())?);
        let bytes = self.reservation.bytes();
        self.reservation.resize(0)?;
        Ok(bytes)
    }
}

impl<T> Rows<T> {
    fn memory_bytes(&self) -> usize {
        match self {
            Rows::Listed(list) => list.bytes,
            Rows::Spilled(_) | Rows::Cut { .. } => 0,
        }
    }
}

/// The piece of a run that each border lies in: the last one that begins before it, or else the first one. They ascend, whatever the
/// order says. The pieces begin with the rows `firsts` and end before the row numbers `ends`.
fn border_pieces<T, O: Order<T>>(
    order: &O,
    run: usize,
    borders: &[Border<T>],
    ends: &[usize],
    firsts: impl Iterator<Item = Result<impl Borrow<T>>>,
) -> Result<Vec<usize>> {
    let mut pieces = Vec::with_capacity(borders.len());
    for (piece, first) in firsts.enumerate().skip(1) {
        let first = first?;
        let lies_before = |border: &&Border<T>| !border.is_after(order, run, ends[piece - 1], first.borrow());
        let found = borders[pieces.len()..].iter().take_while(lies_before).count();
        pieces.resize(pieces.len() + found, piece - 1);
    }
    pieces.resize(borders.len(), ends.len().saturating_sub(1));
    Ok(pieces)
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

#[cfg(test)]
mod tests {
    use super::super::border::borders;
    use super::super::order::ByKey;
    use super::super::run::Sampled;
    use super::*;
    use crate::exec::disk::Disk;
    use crate::exec::memory::Budget;
    use crate::record::Key;

    /// Three runs of numbers in lists of four, of which every third row is drawn.
    fn runs(budget: &Budget, spilled: usize) -> Vec<Run<u64>> {
        let run = |number: u64| {
            let mut rows: Vec<u64> = (0..50).map(|n| n * n % 37 + number).collect();
            rows.sort_unstable();
            let mut run = Run::new(budget.reservation());
            if number as usize == spilled {
                run.spill().unwrap();
            }
            for list in rows.chunks(4) {
                run.push(List::of(list.to_vec())).unwrap();
            }
            run.end().unwrap();
            run.reservation.resize(run.memory_bytes() as u64).unwrap();
            let drawn = rows.iter().enumerate().step_by(3);
            run.sample = drawn.map(|(at, &row)| Sampled { row, at, lot: row.key_hash() }).collect();
            run
        };
        (0..3).map(run).collect()
    }

    #[test]
    fn ranges_are_the_same_wherever_the_runs_lie() {
        let order = ByKey::new(|n: &u64| *n);
        let read = |spilled, spills_later: u64| -> Vec<Vec<u64>> {
            let budget = Budget::new(u64::MAX, Disk::in_temp());
            let mut runs = runs(&budget, spilled);
            let borders = borders(&order, &mut runs, 5);
            let ranges = Ranges::new(&order, runs, borders).unwrap();
            ranges.spill(spills_later).unwrap();
            let read = |range| {
                let mut rows = Vec::new();
                let flow = ranges.read(&order, range, &mut |row| {
                    rows.push(row);
                    Ok(Demand::More)
                });
                assert_eq!(flow.unwrap(), Demand::More);
                rows
            };
            // Not in their order: neighbours meet in pieces, and whoever comes first cuts them.
            let mut all: Vec<(usize, Vec<u64>)> = [3, 0, 4, 2, 1].map(|range| (range, read(range))).to_vec();
            all.sort_unstable();
            assert_eq!((ranges.len(), ranges.spillable_bytes(), budget.used_bytes()), (5, 0, 0));
            all.into_iter().map(|(_, rows)| rows).collect()
        };
        let in_memory = read(usize::MAX, 0);
        assert!(in_memory.iter().all(|rows| rows.len() > 15), "{in_memory:?}");
        let mut all: Vec<u64> = (0..3).flat_map(|run| (0..50).map(move |n| n * n % 37 + run)).collect();
        all.sort_unstable();
        assert_eq!(in_memory.concat(), all);
        for (spilled, spills_later) in [(0, 0), (1, 0), (2, 500), (usize::MAX, 200), (usize::MAX, u64::MAX)] {
            assert_eq!(read(spilled, spills_later), in_memory, "{spilled} {spills_later}");
        }
    }
}
