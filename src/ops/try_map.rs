//! `try_map`: one element for each, or an error.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::ops::try_flat_map::fallible;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Applies `f`, which may fail, to every element. The first error ends the run, unless [`Dataset::on_error`] says otherwise.
    ///
    /// # Ordering
    ///
    /// Kept.
    ///
    /// # Errors
    ///
    /// An error of `f` comes back from the action, with this call and the row of the input. What [`Dataset::on_error`] leaves out is none.
    ///
    /// # Panics
    ///
    /// A panic of `f` ends the run likewise.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let error = ctx.from_vec(vec!["1", "x"]).try_map(|text| text.parse::<i32>()).collect().unwrap_err();
    /// assert!(error.to_string().contains("invalid digit found in string (row 1)"));
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn try_map<U, E>(&self, f: impl Fn(T) -> Result<U, E> + Send + Sync + 'static) -> Dataset<U>
    where
        U: Data,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        fallible(self, CallSite::here("try_map"), move |item| f(item).map(Some))
    }
}
