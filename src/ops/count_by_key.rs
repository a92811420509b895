//! `count_by_key`: how often each key occurs.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::aggregate::ByKey;
use crate::exec::narrow::Map;
use crate::ops::count_by_value::Count;
use crate::record::{Data, Key};

impl<K: Key, V: Data> Dataset<(K, V)> {
    /// One pair for each distinct key, with the number of its values.
    ///
    /// Lazy, unlike Spark's action of this name: the counts of a large input are a large dataset themselves.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the key: arbitrary to look at, the same in every run.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let mut counts = ctx.from_vec(vec![(3, 'a'), (1, 'b'), (3, 'a')]).count_by_key().collect()?;
    /// counts.sort();
    /// assert_eq!(counts, [(1, 1), (3, 2)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn count_by_key(&self) -> Dataset<(K, u64)> {
        let call = CallSite::here("count_by_key");
        let keys: Dataset<K> = self.narrow(call, Map::new(|(key, _): (K, V)| key));
        keys.wide(call, ByKey::<K, _>::new(Count))
    }
}
