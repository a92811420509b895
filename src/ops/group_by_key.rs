//! `group_by_key`: all values of each key.

use std::marker::PhantomData;

use crate::dataset::Dataset;
use crate::error::{CallSite, Result};
use crate::exec::cogroup::{ByKey, Matching, bytes_of, moved_out};
use crate::exec::out::Out;
use crate::exec::push::Demand;
use crate::record::{Key, Record};

impl<K: Key, V: Record> Dataset<(K, V)> {
    /// Brings all values of each key together: one pair for each distinct key.
    ///
    /// The values of a key are one row, and must fit the memory together. What can be computed value by value, such as a sum, is far
    /// cheaper with [`reduce_by_key`](Dataset::reduce_by_key) or [`fold_by_key`](Dataset::fold_by_key), which combine
    /// before they exchange.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the key: arbitrary to look at, the same in every run. The values of a key are in the order of the input.
    ///
    /// # Errors
    ///
    /// The run fails if the values of one key exceed the memory limit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let pairs = ctx.from_vec(vec![("b", 1), ("a", 2), ("b", 3)]).map(|(key, n)| (Text::from(key), n));
    /// let mut groups = pairs.group_by_key().collect()?;
    /// groups.sort();
    /// assert_eq!(groups, [("a".into(), vec![2]), ("b".into(), vec![1, 3])]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn group_by_key(&self) -> Dataset<(K, Vec<V>)> {
        self.wide(CallSite::here("group_by_key"), ByKey::new(Group::<K, V>(PhantomData)))
    }
}

struct Group<K, V>(PhantomData<fn(K, V)>);

impl<K: Key, V: Record> Matching for Group<K, V> {
    type Key = K;
    type Left = V;
    type Right = ();
    type Out = (K, Vec<V>);

    fn emit(&self, key: K, left: &mut Vec<V>, _: &mut Vec<()>, out: &mut Out<(K, Vec<V>)>) -> Result<Demand> {
        let bytes = bytes_of(left);
        out.emit_large((key, moved_out(left)), bytes)
    }
}
