//! Where a pipeline's elements come from: typed for those who write one, erased for the scheduler.

use std::marker::PhantomData;
use std::path::PathBuf;

use super::erased::AnyPush;
use super::out::Out;
use super::task::TaskCx;
use super::wire::Wire;
use crate::error::{Place, Result};
use crate::io::origin::Origins;

/// Something that can be read in splits.
///
/// The number of splits and what each holds must depend on the input alone, never on the machine: results are combined
/// in split order, and that is why every run gives the same bytes.
///
/// # Examples
///
/// See [`Out`].
pub trait Source<T>: Send + Sync + 'static {
    /// The number of splits. Asked once a run, when everything that it depends on is complete.
    fn splits(&self) -> usize;

    /// Emits the elements of one split, in order.
    ///
    /// # Errors
    ///
    /// If the split cannot be read; the run then stops with that error.
    fn read(&self, split: usize, out: &mut Out<T>) -> Result<()>;

    /// The size of the whole input in bytes, where it is known; the planner chooses the number of partitions by it.
    fn size_bytes(&self) -> Option<u64> {
        None
    }

    /// The bytes of one split, for progress and metrics.
    fn split_bytes(&self, _split: usize) -> u64 {
        0
    }

    /// Whether reading it again costs next to nothing, because its elements lie in memory or are made as they are read. A loop reads
    /// such a source in every round, and holds what it reads of others.
    fn is_in_memory(&self) -> bool {
        false
    }

    /// The files that are read, where they are files, and the directories and patterns that they were found by, so that no
    /// output overwrites its own input or becomes a part of the next one.
    fn paths(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// A hash of the splits and of the state that its files were in when it was planned: processes that share a job must have found the same.
    fn state(&self) -> u64 {
        0
    }

    /// Where the `row`-th element that `split` emitted is, for messages. It may be slow: it is asked once, after a failure.
    fn place(&self, _split: usize, row: u64) -> Place {
        Place::row(row)
    }

    /// How it is read by many processes, where it is something that an earlier job of the program has left.
    fn wire(&self) -> Option<&dyn Wire> {
        None
    }

    /// What the elements of a split were read from, for those that a closure refuses. It is asked when the run has succeeded. Where
    /// there is none, because it was no text or cannot be read again, [`Source::place`] is asked for each of them, while the split is read.
    fn origins(&self, _split: usize) -> Option<Box<dyn Origins + '_>> {
        None
    }
}

/// A [`Source`] whose element type is known to its neighbours only.
pub trait AnySource: Send + Sync {
    /// See [`Source::splits`].
    fn splits(&self) -> usize;
    /// Pushes one split into `next` and finishes it.
    fn read(&self, split: usize, cx: &TaskCx, next: AnyPush) -> Result<()>;
    /// See [`Source::size_bytes`].
    fn size_bytes(&self) -> Option<u64>;
    /// See [`Source::split_bytes`].
    fn split_bytes(&self, split: usize) -> u64;
    /// See [`Source::is_in_memory`].
    fn is_in_memory(&self) -> bool;
    /// See [`Source::paths`].
    fn paths(&self) -> Vec<PathBuf>;
    /// See [`Source::state`].
    fn state(&self) -> u64;
    /// See [`Source::place`].
    fn place(&self, split: usize, row: u64) -> Place;
    /// See [`Source::wire`].
    fn wire(&self) -> Option<&dyn Wire>;
    /// See [`Source::origins`].
    fn origins(&self, split: usize) -> Option<Box<dyn Origins + '_>>;
}

/// Erases the element type of a source.
pub struct Erased<S, T> {
    source: S,
    types: PhantomData<fn() -> T>,
}

impl<T: 'static, S: Source<T>> Erased<S, T> {
    /// The source, erased.
    pub fn new(source: S) -> Erased<S, T> {
        Erased { source, types: PhantomData }
    }
}

impl<T: 'static, S: Source<T>> AnySource for Erased<S, T> {
    fn splits(&self) -> usize {
        self.source.splits()
    }

    fn read(&self, split: usize, cx: &TaskCx, next: AnyPush) -> Result<()> {
        let mut out = Out::numbered(cx.chunk_rows(), next.typed::<T>()?);
        self.source.read(split, &mut out)?;
        out.finish()
    }

    fn size_bytes(&self) -> Option<u64> {
        self.source.size_bytes()
    }

    fn split_bytes(&self, split: usize) -> u64 {
        self.source.split_bytes(split)
    }

    fn is_in_memory(&self) -> bool {
        self.source.is_in_memory()
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.source.paths()
    }

    fn state(&self) -> u64 {
        self.source.state()
    }

    fn place(&self, split: usize, row: u64) -> Place {
        self.source.place(split, row)
    }

    fn wire(&self) -> Option<&dyn Wire> {
        self.source.wire()
    }

    fn origins(&self, split: usize) -> Option<Box<dyn Origins + '_>> {
        self.source.origins(split)
    }
}
