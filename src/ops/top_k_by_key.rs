//! `top_k_by_key`: the largest values of each key, in order, without sorting the rest.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::aggregate::{ByKey, Combine};
use crate::record::{Key, Record};

impl<K: Key, V: Record> Dataset<(K, V)> {
    /// For each key the `k` values with the largest `f`, the largest first: one pair for each distinct key, with a list that
    /// is shorter than `k` where the key has fewer values.
    ///
    /// No more than `k` values a key are held for each split, and at the end. It is meant for a small `k`: a value that gets
    /// in moves those after it.
    ///
    /// # Ordering
    ///
    /// Keys by their stable hash: arbitrary to look at, the same in every run. The values of a key descend by `f`; among
    /// equals, they have the order of the input.
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
    /// let scores = ctx.from_vec(vec![(1, 4), (1, 9), (2, 5), (1, 7)]);
    /// let mut best = scores.top_k_by_key(2, |score| *score).collect()?;
    /// best.sort();
    /// assert_eq!(best, [(1, vec![9, 7]), (2, vec![5])]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn top_k_by_key<O: Ord>(
        &self,
        k: usize,
        f: impl Fn(&V) -> O + Send + Sync + 'static,
    ) -> Dataset<(K, Vec<V>)> {
        self.wide(CallSite::here("top_k_by_key"), ByKey::<(K, V), _>::new(TopK { k, f }))
    }
}

/// The state of a key is the list of its largest values so far, in order.
struct TopK<F> {
    k: usize,
    f: F,
}

impl<F> TopK<F> {
    fn insert<V, O: Ord>(&self, top: &mut Vec<V>, value: V)
    where
        F: Fn(&V) -> O,
    {
        let rank = (self.f)(&value);
        let full = top.len() >= self.k;
        // Most values fail against the last one of a full list.
        if full && top.last().is_none_or(|last| rank <= (self.f)(last)) {
            return;
        }
        if full {
            top.pop();
        }
        let place = top.partition_point(|earlier| (self.f)(earlier) >= rank);
        top.insert(place, value);
    }
}

impl<K, V, O, F> Combine<(K, V)> for TopK<F>
where
    K: Key,
    V: Record,
    O: Ord,
    F: Fn(&V) -> O + Send + Sync + 'static,
{
    type Key = K;
    type State = Vec<V>;

    #[inline]
    fn key<'a>(&self, item: &'a (K, V)) -> &'a K {
        &item.0
    }

    fn start(&self, (key, value): (K, V)) -> (K, Vec<V>) {
        let mut top = Vec::new();
        self.insert(&mut top, value);
        (key, top)
    }

    fn add(&self, state: &mut Vec<V>, (_, value): (K, V)) {
        self.insert(state, value);
    }

    fn merge(&self, state: &mut Vec<V>, later: Vec<V>) {
        for value in later {
            self.insert(state, value);
        }
    }
}
