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
/// Rows that run on one after another are a number; after an operator that drops or multiplies elements they are one
/// 32-bit offset an element, which costs a fraction of a nanosecond.
#[derive(Debug, Default)]
pub struct Rows {
    first: u64,
    offsets: Vec<u32>,
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
    /// Elements `0, 1, 2, …` stem from rows `first, first + 1, first + 2, …`.
    pub fn restart(&mut self, first: u64) {
        self.first = first;
        self.offsets.clear();
    }

    /// The row of the element at `index`.
    pub fn row(&self, index: usize) -> u64 {
        let offset = self.offsets.get(index).map_or(index as u64, |offset| u64::from(*offset));
        self.first + offset
    }

    /// All elements from those already noted up to `len` stem from `row`.
    ///
    /// Returns false where `row` is too far from the first row to be noted; the caller then starts a new chunk.
    #[inline]
    pub fn fill(&mut self, len: usize, row: u64) -> bool {
        if self.offsets.is_empty() {
            self.first = row;
        }
        match u32::try_from(row.wrapping_sub(self.first)) {
            Ok(offset) => {
                self.offsets.resize(len, offset);
                true
            }
            Err(_) => false,
        }
    }

    /// Takes over the rows of a chunk whose elements were mapped one to one.
    pub fn take_from(&mut self, other: &mut Rows) {
        self.first = other.first;
        std::mem::swap(&mut self.offsets, &mut other.offsets);
    }

    /// A copy, for a chunk that several consumers receive.
    pub fn copy_from(&mut self, other: &Rows) {
        self.first = other.first;
        self.offsets.clone_from(&other.offsets);
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
        assert!(!rows.fill(4, 7 + (1 << 32)));
    }
}
