//! `keys`: the keys of pairs.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::narrow::Map;
use crate::record::Data;

impl<K: Data, V: Data> Dataset<(K, V)> {
    /// The key of every pair, as often as it occurs.
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
    /// assert_eq!(ctx.from_vec(vec![("a", 1), ("a", 2)]).keys().collect()?, ["a", "a"]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn keys(&self) -> Dataset<K> {
        self.narrow(CallSite::here("keys"), Map::selecting(|(key, _): (K, V)| key))
    }
}
