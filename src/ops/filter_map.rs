//! `filter_map`: one element or none for each.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::narrow::FlatMap;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Applies `f` to every element and keeps what is `Some`.
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
    /// let numbers = ctx.from_vec(vec!["1", "x", "3"]).filter_map(|text| text.parse::<i32>().ok());
    /// assert_eq!(numbers.collect()?, [1, 3]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn filter_map<U: Data>(&self, f: impl Fn(T) -> Option<U> + Send + Sync + 'static) -> Dataset<U> {
        self.narrow(CallSite::here("filter_map"), FlatMap::new(move |item| Ok(f(item))))
    }
}
