//! `windows_by_key`: sliding windows over the values of each key, in an order of one's own.

use std::marker::PhantomData;

use crate::dataset::Dataset;
use crate::error::{CallSite, Result};
use crate::exec::cogroup::{ByKey, Matching, bytes_of};
use crate::exec::out::Out;
use crate::exec::push::Demand;
use crate::record::{Key, Record};

impl<K: Key, V: Record> Dataset<(K, V)> {
    /// Sorts the values of each key by `order`, and gives every window of `size` neighbours of which each begins `step` values
    /// after the one before: a moving average, or what a user did within three clicks.
    ///
    /// All windows are full, as those of [`slice::windows`]: values at the end that fill none are left out, and a key with less than
    /// `size` values gives nothing. With a `step` beyond `size`, the values in between are left out as well. `size` and `step`
    /// are taken for 1 if they are 0.
    ///
    /// The values of a key must fit the memory together, as in [`group_by_key`](Dataset::group_by_key); the windows, which are many
    /// times as large, need not.
    ///
    /// # Ordering
    ///
    /// Keys by their stable hash: arbitrary to look at, the same in every run. The windows of a key ascend by `order`, and so do the
    /// values of a window; among equals, they have the order of the input.
    ///
    /// # Errors
    ///
    /// The run fails if the values of one key exceed the memory limit.
    ///
    /// # Panics
    ///
    /// A panic of `order` ends the run with an error that names this call.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let clicks = ctx.from_vec(vec![(7, 30), (7, 10), (8, 5), (7, 20)]);
    /// let pairs = clicks.windows_by_key(2, 1, |at| *at);
    /// assert_eq!(pairs.collect()?, [(7, vec![10, 20]), (7, vec![20, 30])]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn windows_by_key<O: Ord>(
        &self,
        size: usize,
        step: usize,
        order: impl Fn(&V) -> O + Send + Sync + 'static,
    ) -> Dataset<(K, Vec<V>)> {
        let windows = Windows { size: size.max(1), step: step.max(1), order, types: PhantomData::<fn(K, V)> };
        self.wide(CallSite::here("windows_by_key"), ByKey::new(windows))
    }
}

struct Windows<K, V, F> {
    size: usize,
    step: usize,
    order: F,
    types: PhantomData<fn(K, V)>,
}

impl<K, V, O, F> Matching for Windows<K, V, F>
where
    K: Key,
    V: Record,
    O: Ord,
    F: Fn(&V) -> O + Send + Sync + 'static,
{
    type Key = K;
    type Left = V;
    type Right = ();
    type Out = (K, Vec<V>);

    fn emit(&self, key: K, left: &mut Vec<V>, _: &mut Vec<()>, out: &mut Out<(K, Vec<V>)>) -> Result<Demand> {
        left.sort_by_cached_key(&self.order); // stable, so that equals keep the order of the input
        for window in left.windows(self.size).step_by(self.step) {
            if out.emit_large((key.clone(), window.to_vec()), bytes_of(window))? == Demand::Enough {
                return Ok(Demand::Enough);
            }
        }
        Ok(Demand::More)
    }
}
