//! What an operator is while it runs: something that chunks are pushed into.

use super::chunk::Chunk;
use crate::error::Result;

/// Whether whoever receives chunks wants more of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Demand {
    /// Go on.
    More,
    /// Nothing that follows can change the result: the source may stop.
    Enough,
}

/// The receiving side of an operator within one task.
///
/// It is built by the worker that uses it and never leaves its thread; one virtual call moves a whole chunk.
pub trait Push<T> {
    /// Takes all elements of `chunk`, which is left empty or is emptied by the caller.
    ///
    /// # Errors
    ///
    /// Whatever the operator or anything after it fails with; the task then ends.
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand>;

    /// No more chunks will come: passes on what is held back and finishes what follows.
    ///
    /// # Errors
    ///
    /// As for [`Push::push`].
    fn finish(&mut self) -> Result<()>;
}

/// The next operator of a chain.
pub type Next<T> = Box<dyn Push<T>>;
