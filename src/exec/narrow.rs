//! The two forms that every narrow operator has: one element for one, and any number for one.

use std::marker::PhantomData;
use std::sync::Arc;

use super::chunk::Chunk;
use super::erased::AnyPush;
use super::out::Out;
use super::push::{Demand, Next, Push};
use super::task::TaskCx;
use super::trace::Cursor;
use crate::error::Result;

/// A narrow operator as the planner sees it: something that puts itself before what follows, once a task.
pub trait Operator: Send + Sync {
    /// The receiving side for one task, which pushes into `next`.
    ///
    /// # Errors
    ///
    /// If the types do not fit, which `Dataset` rules out.
    fn build(&self, cx: &TaskCx, next: AnyPush) -> Result<AnyPush>;

    /// Whether what comes out is never more than what goes in, in bytes.
    fn selects(&self) -> bool {
        false
    }

    /// Whether what comes out depends on where an element stands in its split, so that it would be something else over an input
    /// that has been held, and is read in other splits.
    fn is_positional(&self) -> bool {
        false
    }
}

/// One element for each.
pub struct Map<T, U, F> {
    f: Arc<F>,
    selects: bool,
    types: PhantomData<fn(T) -> U>,
}

/// Any number of elements for each; the closure may fail.
pub struct FlatMap<T, I, F> {
    f: Arc<F>,
    selects: bool,
    types: PhantomData<fn(T) -> I>,
}

impl<T, U, F: Fn(T) -> U> Map<T, U, F> {
    /// The operator that applies `f`.
    pub fn new(f: F) -> Map<T, U, F> {
        Map { f: Arc::new(f), selects: false, types: PhantomData }
    }

    /// As [`Map::new`]; `f` gives its argument or a part of it.
    pub fn selecting(f: F) -> Map<T, U, F> {
        Map { selects: true, ..Map::new(f) }
    }
}

impl<T, I, F: Fn(T) -> Result<I>> FlatMap<T, I, F> {
    /// The operator that applies `f` and emits what its result holds.
    pub fn new(f: F) -> FlatMap<T, I, F> {
        FlatMap { f: Arc::new(f), selects: false, types: PhantomData }
    }

    /// As [`FlatMap::new`]; `f` gives its argument or nothing.
    pub fn selecting(f: F) -> FlatMap<T, I, F> {
        FlatMap { selects: true, ..FlatMap::new(f) }
    }
}

impl<T, U, F> Operator for Map<T, U, F>
where
    T: 'static,
    U: 'static,
    F: Fn(T) -> U + Send + Sync + 'static,
{
    fn build(&self, cx: &TaskCx, next: AnyPush) -> Result<AnyPush> {
        let out = Chunk::with_capacity(cx.chunk_rows());
        Ok(AnyPush::new(MapPush {
            f: Arc::clone(&self.f),
            cx: cx.clone(),
            out,
            next: next.typed::<U>()?,
            types: PhantomData,
        }))
    }

    fn selects(&self) -> bool {
        self.selects
    }
}

impl<T, I, F> Operator for FlatMap<T, I, F>
where
    T: 'static,
    I: IntoIterator + 'static,
    I::Item: 'static,
    F: Fn(T) -> Result<I> + Send + Sync + 'static,
{
    fn build(&self, cx: &TaskCx, next: AnyPush) -> Result<AnyPush> {
        let out = Out::new(cx.chunk_rows(), next.typed::<I::Item>()?);
        Ok(AnyPush::new(FlatMapPush { f: Arc::clone(&self.f), cx: cx.clone(), out, types: PhantomData }))
    }

    fn selects(&self) -> bool {
        self.selects
    }
}

struct MapPush<T, U, F> {
    f: Arc<F>,
    cx: TaskCx,
    out: Chunk<U>,
    next: Next<U>,
    types: PhantomData<fn(T)>,
}

impl<T, U, F: Fn(T) -> U> Push<T> for MapPush<T, U, F> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let mut at = Cursor::new(self.cx.trace(), &chunk.rows);
        self.out.items.extend(chunk.items.drain(..).map(|item| {
            let item = (self.f)(item);
            at.advance();
            item
        }));
        drop(at);
        self.out.rows.take_from(&mut chunk.rows);
        let flow = self.next.push(&mut self.out);
        self.out.clear();
        flow
    }

    fn finish(&mut self) -> Result<()> {
        self.next.finish()
    }
}

struct FlatMapPush<T, I: IntoIterator, F> {
    f: Arc<F>,
    cx: TaskCx,
    out: Out<I::Item>,
    types: PhantomData<fn(T)>,
}

impl<T, I: IntoIterator, F: Fn(T) -> Result<I>> Push<T> for FlatMapPush<T, I, F> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let mut at = Cursor::new(self.cx.trace(), &chunk.rows);
        for item in chunk.items.drain(..) {
            if self.out.at_row(at.row())? == Demand::Enough {
                return Ok(Demand::Enough);
            }
            for result in (self.f)(item).inspect_err(|_| at.fail())? {
                if self.out.emit(result)? == Demand::Enough {
                    return Ok(Demand::Enough);
                }
            }
            at.advance();
        }
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        self.out.finish()
    }
}
