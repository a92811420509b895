//! `key_by`: pairs of a computed key and the element.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::narrow::Map;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Pairs every element with the key that `f` gives it.
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
    /// assert_eq!(ctx.from_vec(vec!["a", "bb"]).key_by(|text| text.len()).collect()?, [(1, "a"), (2, "bb")]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn key_by<K: Data>(&self, f: impl Fn(&T) -> K + Send + Sync + 'static) -> Dataset<(K, T)> {
        self.narrow(CallSite::here("key_by"), Map::new(move |item| (f(&item), item)))
    }
}
