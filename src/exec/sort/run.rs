//! A sorted run: what one task leaves of its rows, in lists in memory or in blocks on disk, with a sample of where it has which rows.

use std::cmp::Ordering;

use super::order::{Order, Prefixes};
use crate::error::Result;
use crate::exec::disk::Disk;
use crate::exec::job::Order as Place;
use crate::exec::memory::Reservation;
use crate::exec::permute::{goals, permute_to};
use crate::exec::sequence::{List, Sequence, row_bytes};
use crate::exec::spill::Block;
use crate::record::{Record, pack};

/// Rows in order.
pub struct Run<T> {
    pub pieces: Pieces<T>,
    /// Rows drawn from it, the first ones first.
    pub sample: Vec<Sampled<T>>,
    /// The place of the task that left it.
    pub task: Place,
    /// For what lies in memory.
    pub reservation: Reservation,
}

/// The rows of a run in pieces of neighbours, none of which is empty: all in memory or all on disk.
pub enum Pieces<T> {
    Memory(Vec<List<T>>),
    Disk(Blocks<T>),
    /// In another process.
    Elsewhere(usize),
}

/// A row that was drawn from a run.
pub struct Sampled<T> {
    pub row: T,
    /// How many rows of the run come before it.
    pub at: usize,
    /// What it was drawn by: the smaller, the sooner.
    pub lot: u64,
}

impl<T: Record> Run<T> {
    /// A run without rows.
    pub fn new(reservation: Reservation) -> Run<T> {
        let task = Place { rank: 0, split: 0 };
        Run { pieces: Pieces::Memory(Vec::new()), sample: Vec::new(), task, reservation }
    }

    /// A run of another process, of which only the number of its rows is here.
    pub fn elsewhere(rows: usize, reservation: Reservation) -> Run<T> {
        Run { pieces: Pieces::Elsewhere(rows), ..Run::new(reservation) }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        match &self.pieces {
            Pieces::Memory(lists) => lists.iter().map(|list| list.rows.len()).sum(),
            Pieces::Disk(blocks) => blocks.all.iter().map(Block::rows).sum(),
            Pieces::Elsewhere(rows) => *rows,
        }
    }

    /// The bytes of the rows that lie in memory.
    pub fn memory_bytes(&self) -> usize {
        match &self.pieces {
            Pieces::Memory(lists) => lists.iter().map(|list| list.bytes).sum(),
            Pieces::Disk(_) | Pieces::Elsewhere(_) => 0,
        }
    }

    /// Whether it lies on disk.
    pub fn is_on_disk(&self) -> bool {
        matches!(self.pieces, Pieces::Disk(_))
    }

    /// The bytes that the largest piece on disk takes in memory.
    pub fn largest_block(&self) -> usize {
        match &self.pieces {
            Pieces::Memory(_) | Pieces::Elsewhere(_) => 0,
            Pieces::Disk(blocks) => blocks.all.iter().map(Block::bytes).max().unwrap_or(0),
        }
    }

    /// Adds rows at the end, to where the others lie.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    pub fn push(&mut self, list: List<T>) -> Result<()> {
        match &mut self.pieces {
            Pieces::Memory(lists) if !list.rows.is_empty() => lists.push(list),
            Pieces::Memory(_) | Pieces::Elsewhere(_) => {}
            Pieces::Disk(blocks) => blocks.push(&list)?,
        }
        Ok(())
    }

    /// Moves all rows to disk, and those that follow, too.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    pub fn spill(&mut self) -> Result<()> {
        if let Pieces::Memory(lists) = &self.pieces {
            let mut blocks = Blocks::new(self.reservation.budget().disk().clone());
            lists.iter().try_for_each(|list| blocks.push(list))?;
            self.pieces = Pieces::Disk(blocks);
        }
        self.reservation.resize(0)
    }

    /// Ends it: no rows follow.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    pub fn end(&mut self) -> Result<()> {
        match &mut self.pieces {
            Pieces::Memory(_) | Pieces::Elsewhere(_) => Ok(()),
            Pieces::Disk(blocks) => blocks.put_firsts_aside(),
        }
    }
}

/// Rows in order on disk.
pub struct Blocks<T> {
    pub all: Vec<Block<T>>,
    /// The first row of each block. They lie on disk, too: of large rows, they are as much as the rows themselves.
    firsts: Sequence<T>,
    /// Those that do not lie there yet.
    last_firsts: List<T>,
    disk: Disk,
}

/// Bytes of first rows that are put aside together.
const FIRSTS_BYTES: usize = 64 << 10;

impl<T: Record> Blocks<T> {
    /// A block that has come from another process; of its first row nobody asks.
    pub fn of(block: Block<T>, disk: &Disk) -> Blocks<T> {
        Blocks { all: vec![block], ..Blocks::new(disk.clone()) }
    }

    fn new(disk: Disk) -> Blocks<T> {
        Blocks { all: Vec::new(), firsts: Sequence::default(), last_firsts: List::default(), disk }
    }

    /// Writes rows, which follow all others, as one block.
    fn push(&mut self, list: &List<T>) -> Result<()> {
        let Some(first) = list.rows.first() else { return Ok(()) };
        let mut first = first.clone();
        first.detach();
        self.last_firsts.push(first);
        self.all.push(Block::write(&list.rows, list.bytes, &self.disk)?);
        if self.last_firsts.bytes >= FIRSTS_BYTES { self.put_firsts_aside() } else { Ok(()) }
    }

    /// Writes the first rows that are in memory.
    fn put_firsts_aside(&mut self) -> Result<()> {
        self.firsts.push(std::mem::take(&mut self.last_firsts));
        self.firsts.spill(&self.disk)
    }

    /// Takes the first row of each block, in order.
    pub fn take_firsts(&mut self) -> impl Iterator<Item = Result<T>> {
        let in_memory = std::mem::take(&mut self.last_firsts);
        let lists = std::mem::take(&mut self.firsts).into_lists().chain([Ok(in_memory)]);
        lists.flat_map(|list| match list {
            Ok(list) => list.rows.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }
}

/// Rows that will be a run.
pub struct Unsorted<T> {
    rows: Vec<T>,
    prefixes: Vec<u64>,
    /// The number and the lot of each row that was drawn.
    drawn: Vec<(usize, u64)>,
    bytes: usize,
    /// How many rows have been packed.
    packed: usize,
}

/// Rows that are packed before they are ordered. They are still in the cache, and what they leave is used again by those that follow;
/// to free it in the order of the sort cost a cache miss a row.
const PACKED_ROWS: usize = 512;

/// Bytes for each row, beside the row itself, that it takes to order it: a prefix twice, and two numbers.
const ORDERING_BYTES: usize = 24;

impl<T: Record> Unsorted<T> {
    /// No rows.
    pub fn new() -> Unsorted<T> {
        Unsorted { rows: Vec::new(), prefixes: Vec::new(), drawn: Vec::new(), bytes: 0, packed: 0 }
    }

    /// Adds a row, and its lot if it was drawn.
    #[inline]
    pub fn push<O: Order<T>>(&mut self, row: T, lot: Option<u64>, order: &O) {
        if order.prefixes() != Prefixes::None {
            self.prefixes.push(order.prefix(&row));
        }
        if let Some(lot) = lot {
            self.drawn.push((self.rows.len(), lot));
        }
        self.bytes += row_bytes(&row) + ORDERING_BYTES;
        self.rows.push(row);
        if self.rows.len() - self.packed == PACKED_ROWS {
            pack(&mut self.rows[self.packed..]);
            self.packed = self.rows.len();
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The bytes of the rows, with what it takes to order them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The largest row, in bytes.
    pub fn largest_row(&self) -> usize {
        self.rows.iter().map(row_bytes).max().unwrap_or(0)
    }

    /// Orders the rows and hands them over in lists of at least `list_bytes`; returns what was drawn of them.
    ///
    /// # Errors
    ///
    /// Whatever `put` fails with.
    pub fn sort<O: Order<T>>(
        &mut self,
        order: &O,
        list_bytes: usize,
        mut put: impl FnMut(List<T>) -> Result<()>,
    ) -> Result<Vec<Sampled<T>>> {
        let goal = self.goals(order);
        let mut places: Vec<_> = self.drawn.drain(..).map(|(row, lot)| (goal[row] as usize, lot)).collect();
        permute_to(&mut self.rows, goal);
        places.sort_unstable();
        let sampled = |(at, lot): (usize, u64)| {
            let mut row = self.rows[at].clone();
            row.detach();
            Sampled { row, at, lot }
        };
        let sample = places.into_iter().map(sampled).collect();
        let rows_per_list = (self.rows.len() * list_bytes).div_ceil(self.bytes.max(1)).max(1);
        let mut rows = self.rows.drain(..);
        while rows.len() > 0 {
            let mut list: Vec<T> = rows.by_ref().take(rows_per_list).collect();
            pack(&mut list);
            put(List::of(list))?;
        }
        (self.bytes, self.packed) = (0, 0);
        Ok(sample)
    }

    /// The place of each row in the order; equal rows stay in theirs.
    fn goals<O: Order<T>>(&mut self, order: &O) -> Vec<u32> {
        let rows = &self.rows;
        if order.prefixes() == Prefixes::None {
            let mut numbers: Vec<u32> = (0..rows.len() as u32).collect();
            numbers.sort_by(|&a, &b| order.compare(&rows[a as usize], &rows[b as usize]));
            return goals(numbers.into_iter());
        }
        let mut entries: Vec<(u64, u32)> = self.prefixes.drain(..).zip(0..).collect();
        if order.prefixes() == Prefixes::Exact {
            entries.sort_unstable();
        } else {
            entries.sort_unstable_by(|a, b| match a.0.cmp(&b.0) {
                Ordering::Equal => {
                    order.compare(&rows[a.1 as usize], &rows[b.1 as usize]).then(a.1.cmp(&b.1))
                }
                unequal => unequal,
            });
        }
        goals(entries.into_iter().map(|(_, number)| number))
    }
}
