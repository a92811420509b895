//! Rows brought to cells by what they hold, each cell in the order of the input: the hand-over that groups and joins read.
//!
//! A cell keeps the rows of up to two inputs, one sequence for each, in the order of the splits. Nothing is done to them
//! until all have arrived. When memory is short, the largest cells go to disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::chunk::Chunk;
use super::collect::downcast;
use super::erased::AnyPush;
use super::job::{Batch, Port, Terminal};
use super::memory::{Budget, Holder, Reservation};
use super::push::{Demand, Push};
use super::scatter::{Packing, Scatter, Scattered, Spare};
use super::sequence::Sequence;
use super::task::TaskCx;
use super::trace::Cursor;
use crate::error::Result;
use crate::record::Record;

/// Which cell a row belongs to.
pub trait Route<L, R>: Send + Sync + 'static {
    /// The cell of a row of the first input.
    fn left(&self, row: &L) -> usize;

    /// The cell of a row of the second input.
    fn right(&self, row: &R) -> usize;
}

/// The rows of a cell.
pub struct Cell<L, R> {
    /// Those of the first input.
    pub left: Sequence<L>,
    /// Those of the second input, if there is one.
    pub right: Sequence<R>,
    /// The memory that they take.
    pub reservation: Reservation,
}

impl<L: Record, R: Record> Cell<L, R> {
    fn new(budget: &Budget) -> Cell<L, R> {
        Cell { left: Sequence::default(), right: Sequence::default(), reservation: budget.reservation() }
    }

    fn memory_bytes(&self) -> usize {
        self.left.memory_bytes() + self.right.memory_bytes()
    }

    /// The number of rows of both inputs.
    pub fn rows(&self) -> usize {
        self.left.rows() + self.right.rows()
    }

    /// Moves all rows to disk.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    pub fn spill(&mut self) -> Result<()> {
        let disk = self.reservation.budget().disk().clone();
        self.left.spill(&disk)?;
        self.right.spill(&disk)?;
        self.reservation.resize(0)
    }
}

/// The terminal that brings rows to their cells.
pub struct Shuffle<L, R, F>(Arc<Shared<L, R, F>>);

impl<L, R, F> Clone for Shuffle<L, R, F> {
    fn clone(&self) -> Self {
        Shuffle(Arc::clone(&self.0))
    }
}

struct Shared<L, R, F> {
    route: F,
    budget: Budget,
    cells: Vec<Mutex<Cell<L, R>>>,
    spare_left: Arc<Spare<L>>,
    spare_right: Arc<Spare<R>>,
}

impl<L: Record, R: Record, F: Route<L, R>> Shuffle<L, R, F> {
    /// So many empty cells; `route` must name no others.
    pub fn new(cells: usize, route: F, budget: &Budget) -> Shuffle<L, R, F> {
        let cells = std::iter::repeat_with(|| Mutex::new(Cell::new(budget))).take(cells).collect();
        let (spare_left, spare_right, budget) = (Arc::default(), Arc::default(), budget.clone());
        let shared = Arc::new(Shared { route, budget, cells, spare_left, spare_right });
        let holder: Weak<Shared<L, R, F>> = Arc::downgrade(&shared);
        shared.budget.register(holder);
        Shuffle(shared)
    }

    /// The number of cells.
    pub fn len(&self) -> usize {
        self.0.cells.len()
    }

    /// A cell, once everything has arrived.
    pub fn cell(&self, index: usize) -> MutexGuard<'_, Cell<L, R>> {
        locked(&self.0.cells[index])
    }

    /// Takes all that a cell holds.
    pub fn take(&self, index: usize) -> Cell<L, R> {
        std::mem::replace(&mut *self.cell(index), Cell::new(&self.0.budget))
    }
}

impl<L: Record, R: Record, F: Route<L, R>> Holder for Shared<L, R, F> {
    fn spillable_bytes(&self) -> u64 {
        self.largest_cells().iter().map(|(bytes, _)| *bytes as u64).sum()
    }

    fn spill(&self, wanted: u64) -> Result<()> {
        let mut given = 0;
        for (_, cell) in self.largest_cells() {
            if given >= wanted {
                break;
            }
            if let Ok(mut cell) = self.cells[cell].try_lock() {
                given += cell.memory_bytes() as u64;
                cell.spill()?;
            }
        }
        Ok(())
    }
}

impl<L: Record, R: Record, F: Route<L, R>> Shared<L, R, F> {
    /// The cells that are worth spilling and not locked, the largest first.
    fn largest_cells(&self) -> Vec<(usize, usize)> {
        let least = self.budget.least_spill_bytes();
        let bytes = |(index, cell): (usize, &Mutex<Cell<L, R>>)| {
            let bytes = cell.try_lock().ok()?.memory_bytes();
            (bytes > least).then_some((bytes, index))
        };
        let mut largest: Vec<_> = self.cells.iter().enumerate().filter_map(bytes).collect();
        largest.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        largest
    }
}

impl<L: Record, R: Record, F: Route<L, R>> Terminal for Shuffle<L, R, F> {
    fn cells(&self) -> usize {
        self.len()
    }

    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        let shared = Arc::clone(&self.0);
        if port.lane() == 0 {
            let spare = Arc::clone(&self.0.spare_left);
            Ok(Writer::push(cx, port, self.len(), move |row: &L| shared.route.left(row), spare))
        } else {
            let spare = Arc::clone(&self.0.spare_right);
            Ok(Writer::push(cx, port, self.len(), move |row: &R| shared.route.right(row), spare))
        }
    }

    fn absorb(&self, index: usize, lane: usize, batch: Batch) -> Result<Demand> {
        let mut cell = self.cell(index);
        let reserved = if lane == 0 {
            let (rows, reserved) = downcast::<Scattered<L>>(batch)?;
            cell.left.append(rows);
            reserved
        } else {
            let (rows, reserved) = downcast::<Scattered<R>>(batch)?;
            cell.right.append(rows);
            reserved
        };
        cell.reservation.merge(reserved);
        Ok(Demand::More)
    }
}

/// Lists the rows of one task by cell.
struct Writer<T, F> {
    cx: TaskCx,
    port: Port,
    cell_of: F,
    /// None after the end.
    lists: Option<Scatter<T>>,
    spare: Arc<Spare<T>>,
}

impl<T: Record, F: Fn(&T) -> usize + 'static> Writer<T, F> {
    fn push(cx: &TaskCx, port: Port, cells: usize, cell_of: F, spare: Arc<Spare<T>>) -> AnyPush {
        let lists = Some(Scatter::new(cells, cx.memory_share(), Packing::Yes, cx.budget()));
        AnyPush::new(Writer { cx: cx.clone(), port, cell_of, lists, spare })
    }
}

impl<T: Record, F: Fn(&T) -> usize> Push<T> for Writer<T, F> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let Some(lists) = &mut self.lists else { return Ok(Demand::Enough) };
        let mut at = Cursor::new(self.cx.trace(), &chunk.rows);
        for row in chunk.items.drain(..) {
            let cell = (self.cell_of)(&row);
            if lists.is_full(cell) {
                lists.renew(cell, &self.spare)?;
            }
            lists.push(cell, row);
            at.advance();
        }
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        let Some(lists) = self.lists.take() else { return Ok(()) };
        let batches = lists.finish()?.into_iter();
        self.port.deliver(batches.map(|(cell, rows)| (cell, Box::new(rows) as Batch)).collect());
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
