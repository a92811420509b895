//! `count_by_value`: how often each element occurs.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::aggregate::{ByKey, Combine};
use crate::record::Key;

impl<T: Key> Dataset<T> {
    /// One pair for each distinct element, with the number of its occurrences.
    ///
    /// Lazy, unlike Spark's action of this name: the counts of a large input are a large dataset themselves.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the element: arbitrary to look at, the same in every run.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let mut counts = ctx.from_vec(vec![3, 1, 3]).count_by_value().collect()?;
    /// counts.sort();
    /// assert_eq!(counts, [(1, 1), (3, 2)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn count_by_value(&self) -> Dataset<(T, u64)> {
        self.wide(CallSite::here("count_by_value"), ByKey::<T, _>::new(Count))
    }
}

/// The state of an element is how often it occurred.
pub(super) struct Count;

impl<T: Key> Combine<T> for Count {
    type Key = T;
    type State = u64;

    const COMMUTES: bool = true;

    #[inline]
    fn key<'a>(&self, item: &'a T) -> &'a T {
        item
    }

    fn start(&self, item: T) -> (T, u64) {
        (item, 1)
    }

    fn add(&self, state: &mut u64, _: T) {
        *state += 1;
    }

    fn merge(&self, state: &mut u64, later: u64) {
        *state += later;
    }
}
