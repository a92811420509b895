//! `union`: one dataset after the other.

use std::sync::Arc;

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::plan::graph::Shape;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// The elements of this dataset, then those of `other`; duplicates stay, as in SQL's `UNION ALL`.
    ///
    /// # Ordering
    ///
    /// Kept on both sides.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let few = ctx.range(0..2);
    /// assert_eq!(few.union(&few.map(|n| n + 10)).collect()?, [0, 1, 10, 11]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn union(&self, other: &Dataset<T>) -> Dataset<T> {
        self.followed_by(CallSite::here("union"), other)
    }

    /// The union that is made by another operator, on behalf of its call.
    pub(super) fn followed_by(&self, call: CallSite, other: &Dataset<T>) -> Dataset<T> {
        let inputs = vec![Arc::clone(self.node()), Arc::clone(other.node())];
        Dataset::from_shape(self.context(), call, String::new(), Shape::Union, inputs)
    }
}
