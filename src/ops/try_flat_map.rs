//! `try_flat_map`: any number of elements for each, or an error.

use crate::dataset::Dataset;
use crate::error::{CallSite, Error, ErrorKind};
use crate::exec::narrow::FlatMap;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Applies `f`, which may fail, to every element and emits what the iterators hold. The first error ends the run.
    ///
    /// # Ordering
    ///
    /// Kept.
    ///
    /// # Errors
    ///
    /// An error of `f` comes back from the action, with this call and the row of the input.
    ///
    /// # Panics
    ///
    /// A panic of `f` or of its iterator ends the run likewise.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let parse = |line: &str| line.split(',').map(str::parse).collect::<Result<Vec<u8>, _>>();
    /// assert_eq!(ctx.from_vec(vec!["1,2", "3"]).try_flat_map(parse).collect()?, [1, 2, 3]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn try_flat_map<I, E>(
        &self,
        f: impl Fn(T) -> Result<I, E> + Send + Sync + 'static,
    ) -> Dataset<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.narrow(CallSite::here("try_flat_map"), FlatMap::new(move |item| f(item).map_err(closure_error)))
    }
}

/// The error of a closure, as the engine reports it.
pub(super) fn closure_error<E: Into<Box<dyn std::error::Error + Send + Sync>>>(error: E) -> Error {
    let source = error.into();
    Error::new(ErrorKind::Closure, source.to_string()).because(source)
}
