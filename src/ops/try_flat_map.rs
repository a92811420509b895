//! `try_flat_map`: any number of elements for each, or an error.

use std::sync::Arc;

use crate::dataset::Dataset;
use crate::error::{CallSite, Error, ErrorKind};
use crate::exec::narrow::FlatMap;
use crate::ops::tolerant::tolerant;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Applies `f`, which may fail, to every element and emits what the iterators hold. The first error ends the run, unless
    /// [`Dataset::on_error`] says otherwise.
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
        fallible(self, CallSite::here("try_flat_map"), f)
    }
}

/// What a closure that may fail makes of a dataset. Its first error ends the run, unless another policy follows.
pub(super) fn fallible<T, I, E>(
    input: &Dataset<T>,
    call: CallSite,
    f: impl Fn(T) -> Result<I, E> + Send + Sync + 'static,
) -> Dataset<I::Item>
where
    T: Data,
    I: IntoIterator + 'static,
    I::Item: Data,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let f = Arc::new(move |item| f(item).map_err(closure_error));
    let strict = Arc::clone(&f);
    let results = input.narrow(call, FlatMap::new(move |item| strict(item)));
    // Of the input its node only: what it knows of policies itself would be a chain, which is dropped link within link.
    let input = Dataset::<T>::of_node(input.context(), Arc::clone(input.node()));
    results.with_tolerant(Arc::new(move |policy| tolerant(&input, call, &f, policy)))
}

/// The error of a closure, as the engine reports it.
fn closure_error<E: Into<Box<dyn std::error::Error + Send + Sync>>>(error: E) -> Error {
    let source = error.into();
    Error::new(ErrorKind::Closure, source.to_string()).because(source)
}
