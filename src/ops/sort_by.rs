//! `sort_by`: all elements in the order of a comparison.

use std::cmp::Ordering;

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::sort::Sort;
use crate::exec::sort::order::By;
use crate::record::Record;

impl<T: Record> Dataset<T> {
    /// All elements in the order that `compare` gives.
    ///
    /// It is [`slice::sort_by`] for what may be many times the memory: each task leaves sorted runs, beyond the memory limit on disk, which
    /// are then merged by ranges of the order, several at a time. Where a key can be told, [`Dataset::sort_by_key`] is faster.
    ///
    /// The concatenation of the partitions is sorted, and so are the parts of a directory that it is written to. How it is divided
    /// depends on the input alone; a value that most elements share does not end up in one partition.
    ///
    /// # Ordering
    ///
    /// Stable: elements that compare equal stay in the order of the input. Floats have no total order of their own; compare them as
    /// [`Total`](crate::Total).
    ///
    /// # Errors
    ///
    /// The run fails if a single element exceeds the memory limit, or if the disk is full. See [`Dataset`] for all else.
    ///
    /// # Panics
    ///
    /// A panic of `compare` ends the run with an error that names this call. If it is no total order, the result is in some order, or
    /// the run fails.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let words = ctx.from_vec(["to", "be", "or", "not"].map(Text::from).to_vec());
    /// let by_length = words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    /// assert_eq!(by_length.collect()?, ["not", "be", "or", "to"]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn sort_by(&self, compare: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static) -> Dataset<T> {
        self.wide(CallSite::here("sort_by"), Sort::new(By(compare)))
    }
}
