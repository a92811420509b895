//! The sending side of an operator that drops or multiplies elements, and of every source.

use super::chunk::Chunk;
use super::push::{Demand, Next};
use crate::error::Result;

/// Collects elements into chunks and pushes each full one on.
///
/// # Examples
///
/// A source gets one to emit its elements into:
///
/// ```
/// use gristmill::prelude::*;
///
/// struct Squares;
///
/// impl Source<u64> for Squares {
///     fn splits(&self) -> usize { 4 }
///     fn read(&self, split: usize, out: &mut Out<u64>) -> gristmill::Result<()> {
///         for i in 0..10 {
///             let i = split as u64 * 10 + i;
///             if out.emit(i * i)? == Demand::Enough { break }
///         }
///         Ok(())
///     }
/// }
///
/// let ctx = Context::new()?;
/// assert_eq!(ctx.read(Squares).count()?, 40);
/// # Ok::<(), gristmill::Error>(())
/// ```
pub struct Out<T> {
    chunk: Chunk<T>,
    limit: usize,
    /// Bytes of large elements in the chunk.
    large_bytes: usize,
    row: u64,
    contiguous: bool,
    next: Next<T>,
}

impl<T> Out<T> {
    /// An output of chunks of `limit` elements whose rows are given by [`Out::at_row`].
    pub(crate) fn new(limit: usize, next: Next<T>) -> Out<T> {
        Out { chunk: Chunk::with_capacity(limit), limit, large_bytes: 0, row: 0, contiguous: false, next }
    }

    /// An output for a source: every element is a row of its own.
    pub(crate) fn numbered(limit: usize, next: Next<T>) -> Out<T> {
        Out { contiguous: true, ..Out::new(limit, next) }
    }

    /// The elements that follow stem from `row`.
    #[inline]
    pub(crate) fn at_row(&mut self, row: u64) -> Result<Demand> {
        if self.chunk.rows.fill(self.chunk.items.len(), self.row) {
            self.row = row;
            return Ok(Demand::More);
        }
        let flow = self.flush()?;
        self.row = row;
        Ok(flow)
    }

    /// Emits one element.
    ///
    /// Returns [`Demand::Enough`] once nobody wants more; the caller may then stop.
    ///
    /// # Errors
    ///
    /// Whatever the operators that follow fail with.
    #[inline]
    pub fn emit(&mut self, item: T) -> Result<Demand> {
        self.chunk.items.push(item);
        if self.chunk.items.len() < self.limit { Ok(Demand::More) } else { self.flush() }
    }

    /// Emits one element of so many bytes: a chunk of large ones is pushed on before it is full.
    pub(crate) fn emit_large(&mut self, item: T, bytes: usize) -> Result<Demand> {
        const CHUNK_BYTES: usize = 1 << 20;
        self.large_bytes += bytes;
        match self.emit(item)? {
            Demand::More if self.large_bytes >= CHUNK_BYTES => self.flush(),
            flow => Ok(flow),
        }
    }

    /// The most elements that a chunk has.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Emits elements of which there are no more than a chunk may have. They become a chunk as they are, without a copy, unless few were
    /// emitted before.
    pub(crate) fn emit_all(&mut self, items: Vec<T>) -> Result<Demand> {
        debug_assert!(items.len() <= self.limit);
        if self.chunk.items.len() + items.len() > self.limit && self.flush()? == Demand::Enough {
            return Ok(Demand::Enough);
        }
        if self.chunk.items.is_empty() {
            self.chunk.items = items;
        } else {
            self.chunk.items.extend(items);
        }
        if self.chunk.items.len() < self.limit { Ok(Demand::More) } else { self.flush() }
    }

    /// Emits what `fill` appends to the elements of a chunk, until it says that there is no more. It is given how many elements a chunk
    /// is to have at most.
    pub(crate) fn emit_from(&mut self, mut fill: impl FnMut(&mut Vec<T>, usize) -> bool) -> Result<Demand> {
        while fill(&mut self.chunk.items, self.limit) {
            if self.flush()? == Demand::Enough {
                return Ok(Demand::Enough);
            }
        }
        Ok(Demand::More)
    }

    /// Pushes on what has been emitted so far.
    pub(crate) fn flush(&mut self) -> Result<Demand> {
        let len = self.chunk.items.len();
        if len == 0 {
            return Ok(Demand::More);
        }
        if self.contiguous {
            self.chunk.rows.restart(self.row);
            self.row += len as u64;
        } else {
            self.chunk.rows.fill(len, self.row);
        }
        self.large_bytes = 0;
        let flow = self.next.push(&mut self.chunk);
        self.chunk.clear();
        flow
    }

    /// Pushes on what is left and finishes what follows.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let _done: Demand = self.flush()?;
        self.next.finish()
    }
}
