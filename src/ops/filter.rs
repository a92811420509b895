//! `filter`: the elements that a predicate accepts.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::narrow::FlatMap;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Keeps the elements for which `f` is true.
    ///
    /// # Ordering
    ///
    /// Kept.
    ///
    /// # Panics
    ///
    /// A panic of `f` ends the run with an error that names this call and the row of the input.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// assert_eq!(ctx.range(0..10).filter(|n| n % 4 == 1).collect()?, [1, 5, 9]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn filter(&self, f: impl Fn(&T) -> bool + Send + Sync + 'static) -> Dataset<T> {
        self.narrow_same(
            CallSite::here("filter"),
            FlatMap::selecting(move |item| Ok(f(&item).then_some(item))),
        )
    }
}
