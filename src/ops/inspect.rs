//! `inspect`: looks at every element on its way.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::narrow::Map;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Calls `f` with every element and passes it on.
    ///
    /// # Ordering
    ///
    /// Kept in the data. The calls themselves are made from several threads, in order within a split only.
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
    /// assert_eq!(ctx.range(0..3).inspect(|n| assert!(*n < 3)).count()?, 3);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn inspect(&self, f: impl Fn(&T) + Send + Sync + 'static) -> Dataset<T> {
        let call = CallSite::here("inspect");
        self.narrow_same(
            call,
            Map::selecting(move |item| {
                f(&item);
                item
            }),
        )
    }
}
