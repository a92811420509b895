//! `map_partitions`: a function over the whole of each partition.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::dataset::Dataset;
use crate::error::{CallSite, Result};
use crate::exec::chunk::{Chunk, Rows};
use crate::exec::erased::AnyPush;
use crate::exec::hold::emit_all;
use crate::exec::narrow::Operator;
use crate::exec::out::Out;
use crate::exec::push::{Demand, Push};
use crate::exec::task::TaskCx;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Applies `f` to all elements of each partition at once, and emits what the iterators hold.
    ///
    /// A partition is what one task sees: a split of the input, or neighbouring partitions of an exchange. All its elements
    /// are held in memory. How an input is divided depends on the input alone.
    ///
    /// # Ordering
    ///
    /// Within a partition as `f` gives it; partitions in their order.
    ///
    /// # Panics
    ///
    /// A panic of `f` ends the run with an error that names this call.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let largest = ctx.range(0..100).map_partitions(|part| part.into_iter().max());
    /// assert_eq!(largest.collect()?.last(), Some(&99));
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn map_partitions<I>(&self, f: impl Fn(Vec<T>) -> I + Send + Sync + 'static) -> Dataset<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.narrow(CallSite::here("map_partitions"), MapPartitions { f: Arc::new(f), types: PhantomData })
    }
}

struct MapPartitions<T, I, F> {
    f: Arc<F>,
    types: PhantomData<fn(T) -> I>,
}

impl<T, I, F> Operator for MapPartitions<T, I, F>
where
    T: 'static,
    I: IntoIterator + 'static,
    I::Item: 'static,
    F: Fn(Vec<T>) -> I + Send + Sync + 'static,
{
    fn build(&self, cx: &TaskCx, next: AnyPush) -> Result<AnyPush> {
        let out = Out::new(cx.chunk_rows(), next.typed::<I::Item>()?);
        Ok(AnyPush::new(Buffer { f: Arc::clone(&self.f), items: Vec::new(), out, types: PhantomData }))
    }
}

struct Buffer<T, I: IntoIterator, F> {
    f: Arc<F>,
    items: Vec<T>,
    out: Out<I::Item>,
    types: PhantomData<fn() -> I>,
}

impl<T, I: IntoIterator, F: Fn(Vec<T>) -> I> Push<T> for Buffer<T, I, F> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        self.items.append(&mut chunk.items);
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        let items = std::mem::take(&mut self.items);
        let _more: Demand = self.out.at_row(Rows::UNKNOWN)?;
        emit_all((self.f)(items), &mut self.out)?;
        self.out.finish()
    }
}
