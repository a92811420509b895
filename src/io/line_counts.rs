//! How many lines lie before a piece of a large file.

use std::collections::HashMap;
use std::io::{Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use super::input::{changed, open_unchanged, read_error};
use super::lines::count_line_ends;
use super::resolve::InputFile;
use super::split::{Piece, Split};
use crate::Result;

/// The line ends in each range of a file, counted when somebody needs them, and kept.
///
/// Whoever reads a range needs the counts of all before it. Each is taken once, at the speed of memory; ranges that are read at the same
/// time count different ones, and then wait for the others at most as long as one takes. So all bytes but those of the last range are
/// read once more than without line numbers, as a rule from the cache of the system.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use gristmill::io::{line_counts::LineCounts, resolve::resolve};
///
/// let file = resolve(&["src/io/mod.rs"])?.files.remove(0);
/// let end = file.bytes();
/// let counts = LineCounts::new(Arc::new(file), vec![0..100, 100..end]);
/// assert!(counts.before(1)? < 100);
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug)]
pub struct LineCounts {
    file: Arc<InputFile>,
    ranges: Vec<(Range<u64>, Mutex<Option<u64>>)>,
}

impl LineCounts {
    /// Those of the ranges of a file that is not compressed; nothing is read yet.
    pub fn new(file: Arc<InputFile>, ranges: Vec<Range<u64>>) -> LineCounts {
        LineCounts { file, ranges: ranges.into_iter().map(|range| (range, Mutex::new(None))).collect() }
    }

    /// The line ends in all ranges before the one with this index.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or has changed since it was planned.
    pub fn before(&self, index: usize) -> Result<u64> {
        let before = &self.ranges[..index.min(self.ranges.len())];
        // Backwards, and past what others count: tasks that start together share the work.
        for (range, count) in before.iter().rev() {
            match count.try_lock() {
                Ok(mut count) => self.counted(range, &mut count)?,
                Err(TryLockError::Poisoned(count)) => self.counted(range, &mut count.into_inner())?,
                Err(TryLockError::WouldBlock) => 0,
            };
        }
        let all = before.iter();
        all.map(|(range, count)| {
            self.counted(range, &mut count.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .sum()
    }

    fn counted(&self, range: &Range<u64>, count: &mut Option<u64>) -> Result<u64> {
        match *count {
            Some(lines) => Ok(lines),
            None => Ok(*count.insert(self.count(range)?)),
        }
    }

    fn count(&self, range: &Range<u64>) -> Result<u64> {
        let path = &self.file.path;
        let mut file = open_unchanged(&self.file)?;
        file.seek(SeekFrom::Start(range.start)).map_err(|error| read_error(path, range.start, error))?;
        let counted = count_line_ends(&mut file, range.end - range.start, &mut vec![0; 256 << 10]);
        let (read, ends) = counted.map_err(|error| read_error(path, range.start, error))?;
        if read < range.end - range.start { Err(changed(path)) } else { Ok(ends) }
    }
}
/// The line ends before each split that begins in the middle of a file.
#[derive(Debug)]
pub struct SplitLineCounts(HashMap<usize, (Arc<LineCounts>, usize)>);

impl SplitLineCounts {
    /// Those of splits as they are planned; nothing is read yet.
    pub fn new(splits: &[Split]) -> SplitLineCounts {
        // The pieces of a file that is cut are splits of their own, one after the other.
        let first = |split: &Split| {
            split.pieces.first().filter(|piece| !piece.is_whole() && !piece.is_relayed()).cloned()
        };
        let cut: Vec<(usize, Piece)> =
            splits.iter().enumerate().filter_map(|(split, pieces)| Some((split, first(pieces)?))).collect();
        let mut counts = HashMap::new();
        for of_file in cut.chunk_by(|(_, a), (_, b)| Arc::ptr_eq(&a.file, &b.file)) {
            let Some((_, Piece { file, .. })) = of_file.first() else { continue };
            let ranges = of_file.iter().map(|(_, piece)| piece.start..piece.end).collect();
            let shared = Arc::new(LineCounts::new(Arc::clone(file), ranges));
            let numbered = of_file.iter().enumerate();
            counts.extend(numbered.map(|(index, (split, _))| (*split, (Arc::clone(&shared), index))));
        }
        SplitLineCounts(counts)
    }

    /// The line ends in the file before a split; none if it begins with a file.
    ///
    /// # Errors
    ///
    /// As [`LineCounts::before`].
    pub fn before(&self, split: usize) -> Result<Option<u64>> {
        self.0.get(&split).map(|(counts, index)| counts.before(*index)).transpose()
    }
}
