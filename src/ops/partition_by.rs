//! `partition_by`: the same elements, all of one key in the same partition.

use std::sync::Arc;

use super::repartition::MAX_PARTITIONS;
use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::divide::DivideByHash;
use crate::plan::graph::Shape;
use crate::record::{Key, Record};

impl<T: Record> Dataset<T> {
    /// The same elements in `n` partitions by the hash of a key, so that one task of what follows, such as
    /// [`Dataset::map_partitions`], sees all elements of a key.
    ///
    /// It is for what no operator by key does: a model for each customer, a file for each day, an algorithm that wants several keys at
    /// once. A partition has many keys, and with few keys some partitions are empty. Until all elements have arrived, they are held:
    /// in memory, and on disk beyond the memory limit. `n` is taken for 1 if it is 0, and for 65,536 if it is more.
    ///
    /// # Ordering
    ///
    /// Partitions by the stable hash of the key: arbitrary to look at, the same in every run. Within a partition, the elements have the
    /// order of the input.
    ///
    /// # Errors
    ///
    /// A run fails if the disk is full. See [`Dataset`] for all else.
    ///
    /// # Panics
    ///
    /// A panic of `key` ends the run with an error that names this call and the row of the input.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # use std::collections::BTreeSet;
    /// # let ctx = Context::new()?;
    /// let parts = ctx.range(0..100).partition_by(8, |n| n % 10);
    /// // Each partition tells its keys, and none is told twice.
    /// let keys = parts.map_partitions(|part| part.into_iter().map(|n| n % 10).collect::<BTreeSet<u64>>());
    /// assert_eq!(keys.count()?, 10);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// It is `repartition` by a column in Spark, and `partitionBy` with a `HashPartitioner`.
    #[track_caller]
    pub fn partition_by<K: Key>(
        &self,
        n: usize,
        key: impl Fn(&T) -> K + Send + Sync + 'static,
    ) -> Dataset<T> {
        partitioned(self, CallSite::here("partition_by"), n, move |item| key(item).key_hash())
    }
}

impl<K: Key, V: Record> Dataset<(K, V)> {
    /// As [`Dataset::partition_by`], by the key of each pair.
    ///
    /// # Ordering
    ///
    /// Partitions by the stable hash of the key: arbitrary to look at, the same in every run. Within a partition, the pairs have the
    /// order of the input.
    ///
    /// # Errors
    ///
    /// See [`Dataset::partition_by`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let visits = ctx.from_vec(vec![(1, 30), (2, 20), (1, 10)]);
    /// // All visits of a user are in one partition, so that sorting partitions sorts the visits of each.
    /// let sorted = visits.partition_by_key(4).map_partitions(|mut part| {
    ///     part.sort();
    ///     part
    /// });
    /// assert_eq!(sorted.filter(|(user, _)| *user == 1).collect()?, [(1, 10), (1, 30)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn partition_by_key(&self, n: usize) -> Dataset<(K, V)> {
        partitioned(self, CallSite::here("partition_by_key"), n, |(key, _)| key.key_hash())
    }
}

fn partitioned<T: Record>(
    data: &Dataset<T>,
    call: CallSite,
    n: usize,
    hash: impl Fn(&T) -> u64 + Send + Sync + 'static,
) -> Dataset<T> {
    let n = n.clamp(1, MAX_PARTITIONS);
    let shape = Shape::Wide(Arc::new(DivideByHash::new(n, hash)));
    let inputs = vec![Arc::clone(data.node())];
    Dataset::of_records(data.context(), call, format!("into {n}"), shape, inputs)
}
