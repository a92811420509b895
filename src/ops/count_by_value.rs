//! `count_by_value`: how often each element occurs.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::aggregate::{ByKey, Combine};
use crate::exec::narrow::Map;
use crate::record::Key;

impl<T: Key> Dataset<T> {
    /// One pair for each distinct element, with the number of its occurrences.
    ///
    /// Lazy, unlike Spark's action of this name: the counts of a large input are a large dataset themselves.
    ///
    /// # Ordering
    ///
    /// By (stable hash of the element, first occurrence): arbitrary to look at, the same in every run.
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
        let call = CallSite::here("count_by_value");
        let pairs: Dataset<(T, ())> = self.narrow(call, Map::new(|item: T| (item, ())));
        pairs.wide(call, ByKey::<T, (), _>::new(Count))
    }
}

struct Count;

impl Combine<()> for Count {
    type State = u64;

    const COMMUTES: bool = true;

    fn start(&self, (): ()) -> u64 {
        1
    }

    fn add(&self, state: &mut u64, (): ()) {
        *state += 1;
    }

    fn merge(&self, state: &mut u64, later: u64) {
        *state += later;
    }
}
