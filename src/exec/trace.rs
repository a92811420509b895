//! Which operator of a task is at work, and on which row: what an error or a panic needs in order to say where.

use std::cell::Cell;

use super::chunk::Rows;

/// The position of one task, kept up to date once a chunk.
#[derive(Debug, Default)]
pub struct Trace {
    step: Cell<usize>,
    row: Cell<Option<u64>>,
}

impl Trace {
    /// Enters a step and returns the one left, to be entered again afterwards.
    pub fn enter(&self, step: usize) -> usize {
        self.step.replace(step)
    }

    /// The step at work.
    pub fn step(&self) -> usize {
        self.step.get()
    }

    /// Notes the source row of a failure, where it is known; the innermost note stays.
    pub fn fail_at(&self, row: u64) {
        if self.row.get().is_none() && row != Rows::UNKNOWN {
            self.row.set(Some(row));
        }
    }

    /// The source row of the failure, where one was noted.
    pub fn failed_row(&self) -> Option<u64> {
        self.row.get()
    }
}

/// Follows a loop over a chunk, so that a panic in a user's closure finds the row it happened at.
///
/// The index lives in a register; only unwinding writes it down.
pub struct Cursor<'a> {
    trace: &'a Trace,
    rows: &'a Rows,
    index: usize,
    /// Where [`Cursor::row`] has come to.
    run: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor before the first element of a chunk with these rows.
    pub fn new(trace: &'a Trace, rows: &'a Rows) -> Cursor<'a> {
        Cursor { trace, rows, index: 0, run: 0 }
    }

    /// The row of the current element.
    #[inline]
    pub fn row(&mut self) -> u64 {
        self.rows.next_row(&mut self.run, self.index)
    }

    /// Goes on to the next element.
    pub fn advance(&mut self) {
        self.index += 1;
    }

    /// Notes the current row as the one that failed.
    pub fn fail(&self) {
        self.trace.fail_at(self.rows.row(self.index));
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail();
        }
    }
}
