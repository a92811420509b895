//! `map`: one element for each.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::narrow::Map;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Applies `f` to every element.
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
    /// assert_eq!(ctx.from_vec(vec![1, 2, 3]).map(|n| n * 10).collect()?, [10, 20, 30]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn map<U: Data>(&self, f: impl Fn(T) -> U + Send + Sync + 'static) -> Dataset<U> {
        self.narrow(CallSite::here("map"), Map::new(f))
    }
}
