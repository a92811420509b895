//! The unit that moves between operators: some hundred elements and where they came from.

/// A typed run of elements on its way through a pipeline, each with the row of the source it stems from.
///
/// Whoever receives a chunk drains it; its allocation stays with the sender and is used again.
#[derive(Debug)]
pub struct Chunk<T> {
    /// The elements, in order.
    pub items: Vec<T>,
    /// The source row of each element.
    pub rows: Rows,
}

/// Which row of the task's source each element of a chunk stems from; needed only when something goes wrong.
///
/// Rows that run on one after another are a number. After an operator that drops or multiplies elements they are a run for each
/// row that left any.
#[derive(Debug, Default)]
pub struct Rows {
    first: u64,
    runs: Vec<Run>,
}

/// The elements from the end of the run before it up to `end` stem from one row.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The row, counted from the first one of the chunk.
    offset: u32,
    end: u32,
}

impl<T> Chunk<T> {
    /// An empty chunk with room for `rows` elements.
    pub fn with_capacity(rows: usize) -> Chunk<T> {
        Chunk { items: Vec::with_capacity(rows), rows: Rows::default() }
    }

    /// Forgets the elements and their rows, keeps the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.rows.restart(0);
    }
}

impl Rows {
    /// The row of an element that stems from no certain one.
    pub const UNKNOWN: u64 = u64::MAX;

    /// Elements `0, 1, 2, …` stem from rows `first, first + 1, first + 2, …`.
    pub fn restart(&mut self, first: u64) {
        self.first = first;
        self.runs.clear();
    }

    /// The row of the element at `index`.
    pub fn row(&self, index: usize) -> u64 {
        self.row_in(self.runs.partition_point(|run| run.end as usize <= index), index)
    }

    /// The row of the element at `index`, for whoever asks for one after the other; `run` is kept for it, 0 at first.
    #[inline]
    pub fn next_row(&self, run: &mut usize, index: usize) -> u64 {
        while self.runs.get(*run).is_some_and(|run| run.end as usize <= index) {
            *run += 1;
        }
        self.row_in(*run, index)
    }

    #[inline]
    fn row_in(&self, run: usize, index: usize) -> u64 {
        self.first + self.runs.get(run).map_or(index as u64, |run| u64::from(run.offset))
    }

    /// All elements from those already noted up to `len` stem from `row`.
    ///
    /// Returns false where `row` is too far from the first row to be noted; the caller then starts a new chunk.
    #[inline]
    pub fn fill(&mut self, len: usize, row: u64) -> bool {
        if self.runs.is_empty() {
            self.first = row;
        }
        let noted = self.runs.last().map_or(0, |run| run.end);
        let Ok(offset) = u32::try_from(row.wrapping_sub(self.first)) else { return false };
        if len > noted as usize {
            self.runs.push(Run { offset, end: len as u32 });
        }
        true
    }

    /// Takes over the rows of a chunk whose elements were mapped one to one.
    pub fn take_from(&mut self, other: &mut Rows) {
        self.first = other.first;
        std::mem::swap(&mut self.runs, &mut other.runs);
    }

    /// A copy, for a chunk that several consumers receive.
    pub fn copy_from(&mut self, other: &Rows) {
        self.first = other.first;
        self.runs.clone_from(&other.runs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_run_on_until_they_are_filled() {
        let mut rows = Rows::default();
        rows.restart(10);
        assert_eq!((rows.row(0), rows.row(5)), (10, 15));
        rows.restart(0);
        assert!(rows.fill(2, 7));
        assert!(rows.fill(3, 9));
        assert_eq!((rows.row(0), rows.row(1), rows.row(2)), (7, 7, 9));
        assert!(rows.fill(3, 10), "a row without elements leaves no trace");
        assert!(rows.fill(5, 11));
        let mut run = 0;
        let asked: Vec<u64> = (0..5).map(|index| rows.next_row(&mut run, index)).collect();
        assert_eq!(asked, [7, 7, 9, 11, 11]);
        assert_eq!((0..5).map(|index| rows.row(index)).collect::<Vec<_>>(), asked);
        assert!(!rows.fill(6, 7 + (1 << 32)));
    }
}
