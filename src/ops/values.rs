//! `values`: the values of pairs.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::narrow::Map;
use crate::record::Data;

impl<K: Data, V: Data> Dataset<(K, V)> {
    /// The value of every pair.
    ///
    /// # Ordering
    ///
    /// Kept.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// assert_eq!(ctx.from_vec(vec![("a", 1), ("b", 2)]).values().collect()?, [1, 2]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn values(&self) -> Dataset<V> {
        self.narrow(CallSite::here("values"), Map::selecting(|(_, value): (K, V)| value))
    }
}
