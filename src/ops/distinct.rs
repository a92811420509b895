//! `distinct`: each element once.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::aggregate::{ByKey, Combine};
use crate::exec::narrow::Map;
use crate::record::Key;

impl<T: Key> Dataset<T> {
    /// Each distinct element once: its first occurrence.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the element: arbitrary to look at, the same in every run.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let mut distinct = ctx.from_vec(vec![3, 1, 3]).distinct().collect()?;
    /// distinct.sort();
    /// assert_eq!(distinct, [1, 3]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn distinct(&self) -> Dataset<T> {
        let call = CallSite::here("distinct");
        let firsts: Dataset<(T, ())> = self.wide(call, ByKey::<T, _>::new(First));
        firsts.narrow_records(call, Map::selecting(|(item, ()): (T, ())| item))
    }
}

struct First;

impl<T: Key> Combine<T> for First {
    type Key = T;
    type State = ();

    const COMMUTES: bool = true;
    const SELECTS: bool = true;

    #[inline]
    fn key<'a>(&self, item: &'a T) -> &'a T {
        item
    }

    fn start(&self, item: T) -> (T, ()) {
        (item, ())
    }

    fn add(&self, (): &mut (), _: T) {}

    fn merge(&self, (): &mut (), (): ()) {}
}
