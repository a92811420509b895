//! `reduce_by_key`: joins the values of each key.

use std::mem;

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::aggregate::{ByKey, Combine};
use crate::record::{Key, Record};

impl<K: Key, V: Record> Dataset<(K, V)> {
    /// Joins all values of a key by `f`: one pair for each distinct key.
    ///
    /// Values are combined within a split before they are exchanged. `f` must be associative; it need not be commutative,
    /// since earlier values always stand on its left.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the key: arbitrary to look at, the same in every run.
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
    /// let pairs = ctx.from_vec(vec![("a", 1), ("b", 2), ("a", 3)]).map(|(key, n)| (key.to_string(), n));
    /// let mut sums = pairs.reduce_by_key(|a, b| a + b).collect()?;
    /// sums.sort();
    /// assert_eq!(sums, [("a".to_string(), 4), ("b".to_string(), 2)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// The map-side combine is that of Dean and Ghemawat, *MapReduce: Simplified Data Processing on Large Clusters*, 2004;
    /// the name and meaning are Spark's `reduceByKey`.
    #[track_caller]
    pub fn reduce_by_key(&self, f: impl Fn(V, V) -> V + Send + Sync + 'static) -> Dataset<(K, V)> {
        self.wide(CallSite::here("reduce_by_key"), ByKey::<(K, V), _>::new(Reduce(f)))
    }
}

/// The state of a key is the value joined so far.
struct Reduce<F>(F);

impl<K: Key, V: Record, F: Fn(V, V) -> V + Send + Sync + 'static> Combine<(K, V)> for Reduce<F> {
    type Key = K;
    type State = V;

    #[inline]
    fn key<'a>(&self, item: &'a (K, V)) -> &'a K {
        &item.0
    }

    fn start(&self, item: (K, V)) -> (K, V) {
        item
    }

    fn add(&self, state: &mut V, (_, value): (K, V)) {
        join(state, value, &self.0);
    }

    fn merge(&self, state: &mut V, later: V) {
        join(state, later, &self.0);
    }
}

#[inline]
fn join<V: Clone>(state: &mut V, value: V, f: impl Fn(V, V) -> V) {
    // `f` takes the state by value, so that something must stand in its place meanwhile: a clone of the new value,
    // which costs nothing for numbers and is the cheaper one of the two for collections that grow.
    let earlier = mem::replace(state, value.clone());
    *state = f(earlier, value);
}
