//! `first`: the first element.

use crate::dataset::Dataset;
use crate::error::{CallSite, Result};
use crate::ops::collect::gather;
use crate::ops::take::Take;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Computes the first element; `None` if there is none.
    ///
    /// # Errors
    ///
    /// See [`Dataset`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// assert_eq!(ctx.range(7..9).first()?, Some(7));
    /// assert_eq!(ctx.range(0..0).first()?, None);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn first(&self) -> Result<Option<T>> {
        Ok(gather(self, CallSite::here("first"), Take::of(self, 1)).run()?.pop())
    }
}
