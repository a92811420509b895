//! `subtract`: what the other side does not have.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::narrow::FlatMap;
use crate::ops::sides::Sides;
use crate::record::Key;

impl<T: Key> Dataset<T> {
    /// The elements that do not occur in `other`; duplicates stay, as in Spark, and unlike in SQL's `EXCEPT`.
    ///
    /// Elements are equal when they are the same [`Key`]. Duplicates come out as the first of them: this makes a difference for
    /// what is equal but not identical only, such as `-0.0` and `0.0`.
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
    /// let rest = ctx.from_vec(vec![3, 1, 3, 2]).subtract(&ctx.from_vec(vec![2, 4]));
    /// let mut rest = rest.collect()?;
    /// rest.sort();
    /// assert_eq!(rest, [1, 3, 3]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn subtract(&self, other: &Dataset<T>) -> Dataset<T> {
        let call = CallSite::here("subtract");
        self.sides(call, other).narrow(
            call,
            FlatMap::new(|(item, (left, right)): (T, Sides)| {
                Ok((0..if right { 0 } else { left }).map(move |_| item.clone()))
            }),
        )
    }
}
