//! `sort_by_key` and `sort_unstable_by_key`: all elements in the order of a key.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::sort::Sort;
use crate::exec::sort::order::ByKey;
use crate::record::Record;

impl<T: Record> Dataset<T> {
    /// All elements in the order of the key that `f` gives.
    ///
    /// It is [`slice::sort_by_key`] for what may be many times the memory; see [`Dataset::sort_by`] for how it works and how the
    /// result is divided. `f` is called often: it should do no more than name a field.
    /// [`Reverse`](std::cmp::Reverse) turns the order round.
    ///
    /// Keys that are integers, floats as [`Total`](crate::Total), characters, [`Text`](crate::Text) or `String`, or the `Reverse` of
    /// one, are compared by a word of eight bytes first, and texts only where these are equal. Keys of other types, such as
    /// tuples, are compared as they are, at about twice the cost.
    ///
    /// # Ordering
    ///
    /// Stable: elements of equal keys stay in the order of the input. Floats are no `Ord`; the key is to be
    /// [`Total`](crate::Total), which fixes one order of them.
    ///
    /// # Errors
    ///
    /// The run fails if a single element exceeds the memory limit, or if the disk is full. See [`Dataset`] for all else.
    ///
    /// # Panics
    ///
    /// A panic of `f` ends the run with an error that names this call.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// use std::cmp::Reverse;
    ///
    /// # let ctx = Context::new()?;
    /// let counts = ctx.from_vec(vec![(1, 20), (2, 50), (3, 20)]);
    /// assert_eq!(counts.sort_by_key(|(_, n)| Reverse(*n)).collect()?, [(2, 50), (1, 20), (3, 20)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn sort_by_key<O: Ord + 'static>(&self, f: impl Fn(&T) -> O + Send + Sync + 'static) -> Dataset<T> {
        self.wide(CallSite::here("sort_by_key"), Sort::new(ByKey::new(f)))
    }

    /// All elements in the order of the key that `f` gives; in which order those of equal keys come is not promised.
    ///
    /// It is [`slice::sort_unstable_by_key`] for what may be many times the memory, and otherwise as [`Dataset::sort_by_key`]. To keep the order
    /// of the input costs nothing at present, so that both do the same work; a program that does not need it should say so here.
    ///
    /// # Ordering
    ///
    /// By the key; among equal keys any, but the same in every run on any number of threads, with any memory limit.
    ///
    /// # Errors
    ///
    /// See [`Dataset::sort_by_key`].
    ///
    /// # Panics
    ///
    /// See [`Dataset::sort_by_key`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// assert_eq!(ctx.from_vec(vec![3, 1, 2]).sort_unstable_by_key(|n| *n).collect()?, [1, 2, 3]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn sort_unstable_by_key<O: Ord + 'static>(
        &self,
        f: impl Fn(&T) -> O + Send + Sync + 'static,
    ) -> Dataset<T> {
        self.wide(CallSite::here("sort_unstable_by_key"), Sort::new(ByKey::new(f)))
    }
}
