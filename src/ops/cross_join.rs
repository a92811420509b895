//! `cross_join`: every element with every element.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::cross::Cross;
use crate::record::Record;

/// The most pairs that a cross join gives unless it is told otherwise.
const MAX_ROWS: u64 = 1_000_000_000;

impl<T: Record> Dataset<T> {
    /// Each element of this side with each element of the other side, if these are no more than 1,000,000,000 pairs.
    ///
    /// The other side is held, in memory and on disk beyond the memory limit, and read for each element of this side, which streams
    /// past. So let the smaller side be the other one. Where pairs of equal keys are wanted, a [`join`](Dataset::join) is far faster.
    ///
    /// # Ordering
    ///
    /// That of this side, and for each of its elements that of the other side.
    ///
    /// # Errors
    ///
    /// A run fails as soon as it has seen that there are more pairs; [`cross_join_up_to`](Dataset::cross_join_up_to) allows more. An action
    /// that stops early, such as `take`, may have what it needs before that. It fails, too, if a single element exceeds the memory
    /// limit, or if the disk is full.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let sizes = ctx.from_vec(vec![1u8, 2]);
    /// let colours = ctx.from_vec(vec![Text::from("red"), "blue".into()]);
    /// let pairs = sizes.cross_join(&colours).collect()?;
    /// assert_eq!(pairs, [(1, "red".into()), (1, "blue".into()), (2, "red".into()), (2, "blue".into())]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn cross_join<U: Record>(&self, other: &Dataset<U>) -> Dataset<(T, U)> {
        self.past(other, CallSite::here("cross_join"), Cross::<T, U>::new(MAX_ROWS))
    }

    /// As [`cross_join`](Dataset::cross_join), with at most `rows` pairs.
    ///
    /// # Ordering
    ///
    /// That of this side, and for each of its elements that of the other side.
    ///
    /// # Errors
    ///
    /// As for [`cross_join`](Dataset::cross_join).
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let numbers = ctx.range(0..1000);
    /// let error = numbers.cross_join_up_to(&numbers, 999_999).count().unwrap_err();
    /// assert!(error.to_string().contains("on the left and 1000 on the right give more than 999999 pairs"));
    /// assert_eq!(numbers.cross_join_up_to(&numbers, 1_000_000).count()?, 1_000_000);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn cross_join_up_to<U: Record>(&self, other: &Dataset<U>, rows: u64) -> Dataset<(T, U)> {
        self.past(other, CallSite::here("cross_join_up_to"), Cross::<T, U>::new(rows))
    }
}
