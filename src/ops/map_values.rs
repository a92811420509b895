//! `map_values`: maps the values of pairs, keeps the keys.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::narrow::Map;
use crate::record::Data;

impl<K: Data, V: Data> Dataset<(K, V)> {
    /// Applies `f` to the value of every pair.
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
    /// assert_eq!(ctx.from_vec(vec![("a", 1), ("b", 2)]).map_values(|n| n + 1).collect()?, [("a", 2), ("b", 3)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn map_values<W: Data>(&self, f: impl Fn(V) -> W + Send + Sync + 'static) -> Dataset<(K, W)> {
        self.narrow(CallSite::here("map_values"), Map::new(move |(key, value): (K, V)| (key, f(value))))
    }
}
