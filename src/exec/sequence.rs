//! Rows in the order in which they came, in lists in memory and in blocks on disk: what partitions and tasks hold.

use std::ops::Range;
use std::vec::IntoIter;

use super::disk::Disk;
use super::spill::{BLOCK_BYTES, Block};
use crate::error::Result;
use crate::record::{Record, pack};

/// Rows in memory, and the bytes that they take, with what they own elsewhere.
#[derive(Debug)]
pub struct List<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Their bytes.
    pub bytes: usize,
}

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List { rows: Vec::new(), bytes: 0 }
    }
}

impl<T: Record> List<T> {
    /// A list of these rows.
    pub fn of(rows: Vec<T>) -> List<T> {
        let bytes = rows.iter().map(row_bytes).sum();
        List { rows, bytes }
    }

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, row: T) {
        self.bytes += row_bytes(&row);
        self.rows.push(row);
    }

    /// Makes the rows keep no more memory alive than they need.
    pub fn pack(&mut self) {
        pack(&mut self.rows);
    }
}

/// The bytes that a row takes in memory, with what it owns elsewhere.
#[inline]
pub fn row_bytes<T: Record>(row: &T) -> usize {
    size_of::<T>() + row.heap_bytes()
}

/// The sums of the first, the first two, the first three, ….
pub fn ends(rows: impl Iterator<Item = usize>) -> Vec<usize> {
    let sum = |end: &mut usize, rows| {
        *end += rows;
        Some(*end)
    };
    rows.scan(0, sum).collect()
}

/// Rows in the order in which they came; any part of them may lie on disk.
#[derive(Debug)]
pub struct Sequence<T> {
    parts: Vec<Part<T>>,
    rows: usize,
    bytes: usize,
    memory_bytes: usize,
}

#[derive(Debug)]
enum Part<T> {
    Memory(List<T>),
    Disk(Block<T>),
}

impl<T: Record> Part<T> {
    fn rows(&self) -> usize {
        match self {
            Part::Memory(list) => list.rows.len(),
            Part::Disk(block) => block.rows(),
        }
    }

    fn read(&self, wanted: Range<usize>) -> Result<Vec<T>> {
        match self {
            Part::Memory(list) => Ok(list.rows[wanted].to_vec()),
            Part::Disk(block) => {
                let mut rows = block.read()?;
                rows.truncate(wanted.end);
                rows.drain(..wanted.start);
                Ok(rows)
            }
        }
    }
}

/// What is left of a sequence that is being read.
#[derive(Debug)]
pub struct Lists<T> {
    parts: IntoIter<Part<T>>,
    memory_bytes: usize,
}

impl<T> Lists<T> {
    /// The bytes of those that lie in memory and have not been taken.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl<T: Record> Iterator for Lists<T> {
    type Item = Result<List<T>>;

    fn next(&mut self) -> Option<Result<List<T>>> {
        Some(match self.parts.next()? {
            Part::Memory(list) => {
                self.memory_bytes -= list.bytes;
                Ok(list)
            }
            Part::Disk(block) => block.read().map(|rows| List { rows, bytes: block.bytes() }),
        })
    }
}

impl<T> Default for Sequence<T> {
    fn default() -> Sequence<T> {
        Sequence { parts: Vec::new(), rows: 0, bytes: 0, memory_bytes: 0 }
    }
}

impl<T: Record> Sequence<T> {
    /// Adds rows at the end.
    pub fn push(&mut self, list: List<T>) {
        if !list.rows.is_empty() {
            self.rows += list.rows.len();
            self.bytes += list.bytes;
            self.memory_bytes += list.bytes;
            self.parts.push(Part::Memory(list));
        }
    }

    /// Adds all of another sequence at the end.
    pub fn append(&mut self, mut other: Sequence<T>) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.memory_bytes += other.memory_bytes;
        self.parts.append(&mut other.parts);
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The bytes that all rows would take in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes of the rows that lie in memory.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Its rows as blocks on disk.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    pub fn into_blocks(mut self, disk: &Disk) -> Result<impl Iterator<Item = Block<T>>> {
        self.spill(disk)?;
        let block = |part| if let Part::Disk(block) = part { Some(block) } else { None };
        Ok(self.parts.into_iter().filter_map(block))
    }

    /// The rows of a block on disk.
    pub fn of_block(block: Block<T>) -> Sequence<T> {
        Sequence { rows: block.rows(), bytes: block.bytes(), memory_bytes: 0, parts: vec![Part::Disk(block)] }
    }

    /// Moves everything to disk, neighbouring lists together in blocks of a good size.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    pub fn spill(&mut self, disk: &Disk) -> Result<()> {
        if self.memory_bytes == 0 {
            return Ok(());
        }
        let mut spilled = Vec::with_capacity(self.parts.len());
        let mut pending = List::default();
        for part in std::mem::take(&mut self.parts) {
            match part {
                Part::Memory(list) if pending.rows.is_empty() => pending = list,
                Part::Memory(mut list) => {
                    pending.rows.append(&mut list.rows);
                    pending.bytes += list.bytes;
                }
                Part::Disk(block) => {
                    write(&mut pending, disk, &mut spilled)?;
                    spilled.push(Part::Disk(block));
                }
            }
            if pending.bytes >= BLOCK_BYTES {
                write(&mut pending, disk, &mut spilled)?;
            }
        }
        write(&mut pending, disk, &mut spilled)?;
        self.parts = spilled;
        self.memory_bytes = 0;
        Ok(())
    }

    /// The rows, list by list, in order. A block is read when its turn comes, and gone from the disk then.
    pub fn into_lists(self) -> Lists<T> {
        Lists { parts: self.parts.into_iter(), memory_bytes: self.memory_bytes }
    }

    /// The rows, list by list, in order, to be read again later.
    pub fn lists(&self) -> impl Iterator<Item = Result<Vec<T>>> {
        self.range(0..self.rows)
    }

    /// Some of the rows, list by list, in order, to be read again later. A block that has none of them is not read.
    pub fn range(&self, rows: Range<usize>) -> impl Iterator<Item = Result<Vec<T>>> {
        let mut end = 0;
        self.parts.iter().filter_map(move |part| {
            let first = end;
            end += part.rows();
            let wanted = rows.start.clamp(first, end) - first..rows.end.clamp(first, end) - first;
            (!wanted.is_empty()).then(|| part.read(wanted))
        })
    }
}

/// Writes rows in blocks of about [`BLOCK_BYTES`] and leaves the list empty.
fn write<T: Record>(list: &mut List<T>, disk: &Disk, parts: &mut Vec<Part<T>>) -> Result<()> {
    let rows = std::mem::take(&mut list.rows);
    let bytes = std::mem::take(&mut list.bytes);
    let per_block = if bytes < 2 * BLOCK_BYTES { rows.len() } else { rows.len() * BLOCK_BYTES / bytes };
    for rows in rows.chunks(per_block.max(1)) {
        let bytes = rows.iter().map(row_bytes).sum();
        parts.push(Part::Disk(Block::write(rows, bytes, disk)?));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    fn list(range: Range<u64>) -> List<(u64, Text)> {
        List::of(range.map(|n| (n, Text::from(format!("a text beyond twenty-three bytes {n}")))).collect())
    }

    #[test]
    fn rows_stay_in_order_wherever_they_lie() {
        let disk = Disk::in_temp();
        let mut sequence = Sequence::default();
        let mut other = Sequence::default();
        sequence.push(list(0..10));
        sequence.push(list(10..11));
        sequence.spill(&disk).unwrap();
        assert_eq!((sequence.memory_bytes(), sequence.rows()), (0, 11));
        other.push(list(11..20_000));
        other.spill(&disk).unwrap();
        sequence.push(list(0..0));
        sequence.append(other);
        sequence.push(list(20_000..20_005));
        assert!(sequence.parts.len() > 4, "a large list becomes several blocks");
        assert_eq!(sequence.memory_bytes(), list(20_000..20_005).bytes);
        let all: Vec<_> = sequence.lists().flat_map(Result::unwrap).collect();
        assert_eq!(all, list(0..20_005).rows);
        for range in [0..0, 3..11, 9..12, 11..20_002, 20_001..20_005, 20_004..30_000] {
            let some: Vec<_> = sequence.range(range.clone()).flat_map(Result::unwrap).collect();
            assert_eq!(some, list(range.start as u64..range.end.min(20_005) as u64).rows, "{range:?}");
        }
        sequence.spill(&disk).unwrap();
        assert_eq!(sequence.bytes(), list(0..20_005).bytes);
        let all: Vec<_> = sequence.into_lists().flat_map(|list| list.unwrap().rows).collect();
        assert_eq!(all, list(0..20_005).rows);
        assert_eq!(disk.used_bytes(), 0);
    }
}
