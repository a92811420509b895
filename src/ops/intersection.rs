//! `intersection`: what both sides have.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::narrow::FlatMap;
use crate::ops::sides::Sides;
use crate::record::Key;

impl<T: Key> Dataset<T> {
    /// Each element that occurs both here and in `other`, once, as in SQL's `INTERSECT`.
    ///
    /// Elements are equal when they are the same [`Key`]; the first one of this side comes out.
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
    /// let both = ctx.from_vec(vec![3, 1, 3, 2]).intersection(&ctx.from_vec(vec![4, 3, 2]));
    /// let mut both = both.collect()?;
    /// both.sort();
    /// assert_eq!(both, [2, 3]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn intersection(&self, other: &Dataset<T>) -> Dataset<T> {
        let call = CallSite::here("intersection");
        self.sides(call, other).narrow(
            call,
            FlatMap::new(|(item, (left, right)): (T, Sides)| Ok((left > 0 && right).then_some(item))),
        )
    }
}
