//! `range`: the whole numbers of a range.

use std::ops::Range;

use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::{CallSite, Place, Result};
use crate::exec::hold::emit_all;
use crate::exec::out::Out;
use crate::exec::source::Source;

/// Splits that a range is divided into, if it is long enough.
const SPLITS: u64 = 64;

/// Splits that a range is divided into at the most, however small they are asked to be.
const MAX_SPLITS: u64 = 1 << 20;

/// The fewest numbers that are worth a split of their own.
const MIN_PER_SPLIT: u64 = 4096;

impl Context {
    /// The numbers from the start of the range up to, but not including, its end.
    ///
    /// # Ordering
    ///
    /// Ascending.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// assert_eq!(ctx.range(0..1_000_000).filter(|n| n % 7 == 0).count()?, 142_858);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn range(&self, range: Range<u64>) -> Dataset<u64> {
        let len = range.end.saturating_sub(range.start);
        let per_split = match self.config().split_bytes {
            Some(bytes) => (bytes / 8).max(1).max(len.div_ceil(MAX_SPLITS)),
            None => len.div_ceil(SPLITS).max(MIN_PER_SPLIT),
        };
        let detail = format!("{}..{}", range.start, range.end);
        Dataset::from_source(self, CallSite::here("range"), detail, Numbers { range, len, per_split })
    }
}

struct Numbers {
    range: Range<u64>,
    len: u64,
    per_split: u64,
}

impl Source<u64> for Numbers {
    fn splits(&self) -> usize {
        self.len.div_ceil(self.per_split) as usize
    }

    fn read(&self, split: usize, out: &mut Out<u64>) -> Result<()> {
        let start = self.range.start + split as u64 * self.per_split;
        emit_all(start..start.saturating_add(self.per_split).min(self.range.end), out)
    }

    fn size_bytes(&self) -> Option<u64> {
        Some(self.len.saturating_mul(8))
    }

    fn is_in_memory(&self) -> bool {
        true
    }

    fn place(&self, split: usize, row: u64) -> Place {
        Place::row(split as u64 * self.per_split + row)
    }
}
