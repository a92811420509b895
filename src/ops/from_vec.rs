//! `from_vec` and `from_iter`: a dataset of elements that are in memory.

use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::hold::InMemory;
use crate::record::Data;

/// Splits that elements in memory are divided into, if there are enough of them.
const SPLITS: usize = 64;

/// The fewest elements that are worth a split of their own.
const MIN_PER_SPLIT: usize = 1024;

impl Context {
    /// The elements of a vector.
    ///
    /// They stay in memory as long as a dataset that needs them lives, and are cloned for every run.
    ///
    /// # Ordering
    ///
    /// That of the vector.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// assert_eq!(ctx.from_vec(vec!["b", "a"]).collect()?, ["b", "a"]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn from_vec<T: Data>(&self, items: Vec<T>) -> Dataset<T> {
        self.in_memory(CallSite::here("from_vec"), items)
    }

    /// The elements of an iterator, taken at once; see [`Context::from_vec`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// assert_eq!(ctx.from_iter("a-b".split('-')).collect()?, ["a", "b"]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn from_iter<T: Data>(&self, items: impl IntoIterator<Item = T>) -> Dataset<T> {
        self.in_memory(CallSite::here("from_iter"), items.into_iter().collect())
    }

    fn in_memory<T: Data>(&self, call: CallSite, items: Vec<T>) -> Dataset<T> {
        let per_split = match self.config().split_bytes {
            Some(bytes) => (usize::try_from(bytes).unwrap_or(usize::MAX) / size_of::<T>().max(1)).max(1),
            None => items.len().div_ceil(SPLITS).max(MIN_PER_SPLIT),
        };
        let detail = format!("{} elements", items.len());
        Dataset::from_source(self, call, detail, InMemory::new(items, per_split))
    }
}
