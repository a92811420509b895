//! Rows of one hash that are joined, within the memory limit.

use super::map_output::Layout;
use crate::error::Result;
use crate::exec::memory::{Budget, Reservation};
use crate::exec::sequence::row_bytes;
use crate::record::Record;

/// Rows whose keys have one hash, joined by key as they come.
///
/// Joining may make rows smaller than they were or leave them as large as all together, and to measure them takes as long as they are
/// large. So their bytes are added up, and measured only where the sum exceeds what is reserved.
pub struct Group<T> {
    rows: Vec<T>,
    /// What the rows take at most.
    bytes: usize,
    /// For as many bytes as the rows may take before they are measured; the first few are not reserved.
    reservation: Reservation,
    allowed: usize,
}

impl<T: Record> Group<T> {
    /// No rows.
    pub fn new(budget: &Budget) -> Group<T> {
        let reservation = budget.reservation();
        Group { rows: Vec::new(), bytes: 0, reservation, allowed: budget.least_spill_bytes() }
    }

    /// Whether there are no rows.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a row, joined with that of its key if there is one.
    ///
    /// # Errors
    ///
    /// If a joined row exceeds the memory limit, or others fail to spill.
    #[inline]
    pub fn join<L: Layout<T>>(&mut self, layout: &L, row: T) -> Result<()> {
        self.bytes += row_bytes(&row);
        layout.join(&mut self.rows, row);
        if self.bytes > self.allowed { self.measure() } else { Ok(()) }
    }

    /// Reserves what the rows take, and room to grow: as much again, or, near the limit, an eighth.
    #[cold]
    fn measure(&mut self) -> Result<()> {
        let budget = self.reservation.budget().clone();
        self.bytes = 0;
        for row in &self.rows {
            let bytes = row_bytes(row);
            budget.check_row(bytes)?;
            self.bytes += bytes;
        }
        let least = self.bytes + self.bytes / 8 + budget.least_spill_bytes();
        self.allowed = (2 * self.bytes).min(budget.share(1)).max(least);
        self.reservation.resize(self.allowed as u64)
    }

    /// Hands all rows to `take`, which may order them first, and forgets them.
    ///
    /// # Errors
    ///
    /// Those of `take`.
    #[inline]
    pub fn drain<R>(&mut self, take: impl FnOnce(&mut Vec<T>) -> Result<R>) -> Result<R> {
        let taken = take(&mut self.rows)?;
        self.rows.clear();
        self.bytes = 0;
        if self.reservation.bytes() > 0 {
            self.allowed = self.reservation.budget().least_spill_bytes();
            self.reservation.resize(0)?;
        }
        Ok(taken)
    }
}
