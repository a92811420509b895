//! `zip_with_index` and `enumerate`: every element with its number.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::divide::Number;
use crate::record::Record;

impl<T: Record> Dataset<T> {
    /// Every element with its number in the order of the dataset, from 0.
    ///
    /// The dataset is computed once and held until the elements before each split have been counted: in memory, and on disk
    /// beyond the memory limit. [`Dataset::enumerate`] is the same with the number first.
    ///
    /// # Ordering
    ///
    /// Kept: the numbers ascend.
    ///
    /// # Errors
    ///
    /// A run fails if a single element exceeds the memory limit, or if the disk is full. See [`Dataset`] for all else.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let words = ctx.from_vec(vec![Text::from("to"), Text::from("be")]);
    /// assert_eq!(words.zip_with_index().collect()?, [("to".into(), 0), ("be".into(), 1)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// The name and meaning are Spark's `zipWithIndex`.
    #[track_caller]
    pub fn zip_with_index(&self) -> Dataset<(T, u64)> {
        self.wide(CallSite::here("zip_with_index"), Number::new(|item: T, row: u64| (item, row)))
    }

    /// Every element after its number in the order of the dataset, from 0: as [`Dataset::zip_with_index`], with the sides of
    /// [`Iterator::enumerate`].
    ///
    /// # Ordering
    ///
    /// Kept: the numbers ascend.
    ///
    /// # Errors
    ///
    /// See [`Dataset::zip_with_index`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// assert_eq!(ctx.range(7..9).enumerate().collect()?, [(0, 7), (1, 8)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn enumerate(&self) -> Dataset<(u64, T)> {
        self.wide(CallSite::here("enumerate"), Number::new(|item: T, row: u64| (row, item)))
    }
}
