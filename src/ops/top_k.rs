//! `top_k`: the largest elements, in order, without sorting the rest.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::aggregate::{ByKey, Combine};
use crate::exec::narrow::FlatMap;
use crate::record::Record;

impl<T: Record> Dataset<T> {
    /// The `k` elements with the largest `f`, the largest first.
    ///
    /// Each split keeps at most `2k` candidates, and the end at most `4k`; nothing else is held. Most elements fail one comparison with
    /// the last of the best `k`. Those that pass wait until there are as many as that, and are ordered then, which costs each what a heap
    /// would, in fewer cache misses.
    ///
    /// # Ordering
    ///
    /// Descending by `f`; among equals, the order of the input.
    ///
    /// # Errors
    ///
    /// The run fails if the candidates, which are one state, exceed the memory limit. See [`Dataset`] for all else.
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
    /// assert_eq!(ctx.from_vec(vec![4, 9, 1, 7]).top_k(2, |n| *n).collect()?, [9, 7]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn top_k<O: Ord>(&self, k: usize, f: impl Fn(&T) -> O + Send + Sync + 'static) -> Dataset<T> {
        let call = CallSite::here("top_k");
        let top = Arc::new(TopK { k, f });
        let tops: Dataset<((), Vec<T>)> = self.wide(call, ByKey::<T, _>::new(Arc::clone(&top)));
        tops.narrow_records(
            call,
            FlatMap::new(move |((), mut candidates): ((), Vec<T>)| {
                top.prune(&mut candidates);
                Ok(candidates)
            }),
        )
    }
}

/// The state is a list of candidates: the first `k` in order as soon as there are as many, and later ones after these.
struct TopK<F> {
    k: usize,
    f: F,
}

impl<F> TopK<F> {
    fn prune<T, O: Ord>(&self, candidates: &mut Vec<T>)
    where
        F: Fn(&T) -> O,
    {
        candidates.sort_by_cached_key(|item| Reverse((self.f)(item)));
        candidates.truncate(self.k);
    }
}

impl<T: Record, O: Ord, F: Fn(&T) -> O + Send + Sync + 'static> Combine<T> for Arc<TopK<F>> {
    type Key = ();
    type State = Vec<T>;

    fn key<'a>(&self, _: &'a T) -> &'a () {
        &()
    }

    fn start(&self, item: T) -> ((), Vec<T>) {
        let mut state = Vec::new();
        self.add(&mut state, item);
        ((), state)
    }

    fn add(&self, state: &mut Vec<T>, value: T) {
        // From the k-th candidate on, the first k are in order, and the last of them is a bound that most elements fail.
        let hopeless =
            state.len() >= self.k && (self.k == 0 || (self.f)(&value) <= (self.f)(&state[self.k - 1]));
        if hopeless {
            return;
        }
        let mut value = value;
        value.detach(); // few candidates would keep most blocks of the input alive
        state.push(value);
        if state.len() == self.k || state.len() >= self.k.saturating_mul(2) {
            self.prune(state);
        }
    }

    fn merge(&self, state: &mut Vec<T>, later: Vec<T>) {
        state.extend(later);
        self.prune(state);
    }
}
