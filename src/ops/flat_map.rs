//! `flat_map`: any number of elements for each.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::narrow::FlatMap;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Applies `f` to every element and emits what the iterators hold.
    ///
    /// # Ordering
    ///
    /// Kept.
    ///
    /// # Panics
    ///
    /// A panic of `f` or of its iterator ends the run with an error that names this call and the row of the input.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let words = ctx.from_vec(vec![Text::from("a b"), Text::from("c")]).flat_map(|line| line.split_whitespace());
    /// assert_eq!(words.collect()?, ["a", "b", "c"]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn flat_map<I>(&self, f: impl Fn(T) -> I + Send + Sync + 'static) -> Dataset<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.narrow(CallSite::here("flat_map"), FlatMap::new(move |item| Ok(f(item))))
    }
}
