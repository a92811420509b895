//! `fold_by_key`: folds the values of each key into a state of another type.

use std::mem;

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::aggregate::{ByKey, Combine};
use crate::record::{Data, Key, Record};

impl<K: Key, V: Data> Dataset<(K, V)> {
    /// Folds all values of a key into a state: one pair for each distinct key.
    ///
    /// The values are folded with `fold` in pieces, each beginning with a clone of `init`: one or more a split, depending on the
    /// input alone. The states are then joined with `merge`, the earlier one on the left. `init` must be neutral for `merge`.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the key: arbitrary to look at, the same in every run.
    ///
    /// # Panics
    ///
    /// A panic of a closure ends the run with an error that names this call.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let pairs = ctx.from_vec(vec![(1, 3.0), (2, 5.0), (1, 4.0)]);
    /// let mut means = pairs
    ///     .fold_by_key((0.0, 0u32), |(sum, n), x| (sum + x, n + 1), |a, b| (a.0 + b.0, a.1 + b.1))
    ///     .map_values(|(sum, n)| sum / f64::from(n))
    ///     .collect()?;
    /// means.sort_by_key(|(key, _)| *key);
    /// assert_eq!(means, [(1, 3.5), (2, 5.0)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn fold_by_key<A: Record>(
        &self,
        init: A,
        fold: impl Fn(A, V) -> A + Send + Sync + 'static,
        merge: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Dataset<(K, A)> {
        self.wide(
            CallSite::here("fold_by_key"),
            ByKey::<(K, V), _>::of_data(Folding { init, add: fold, merge }),
        )
    }
}

/// The state of a key is what its values were folded into.
pub(super) struct Folding<A, F, M> {
    pub(super) init: A,
    pub(super) add: F,
    pub(super) merge: M,
}

impl<K, V, A, F, M> Combine<(K, V)> for Folding<A, F, M>
where
    K: Key,
    A: Record,
    F: Fn(A, V) -> A + Send + Sync + 'static,
    M: Fn(A, A) -> A + Send + Sync + 'static,
{
    type Key = K;
    type State = A;

    #[inline]
    fn key<'a>(&self, item: &'a (K, V)) -> &'a K {
        &item.0
    }

    fn start(&self, (key, value): (K, V)) -> (K, A) {
        (key, (self.add)(self.init.clone(), value))
    }

    fn add(&self, state: &mut A, (_, value): (K, V)) {
        let earlier = mem::replace(state, self.init.clone());
        *state = (self.add)(earlier, value);
    }

    fn merge(&self, state: &mut A, later: A) {
        let earlier = mem::replace(state, self.init.clone());
        *state = (self.merge)(earlier, later);
    }
}
