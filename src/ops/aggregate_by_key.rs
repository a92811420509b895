//! `aggregate_by_key`: Spark's name for `fold_by_key`.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::aggregate::ByKey;
use crate::ops::fold_by_key::Folding;
use crate::record::{Data, Key, Record};

impl<K: Key, V: Data> Dataset<(K, V)> {
    /// Aggregates all values of a key into a state of another type: [`Dataset::fold_by_key`] under the name that users of
    /// Spark look for.
    ///
    /// Both take the same three arguments and mean the same: `init` begins every piece and must be neutral for `merge`, `add`
    /// adds a value, `merge` joins the state of a later piece.
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
    /// let pairs = ctx.from_vec(vec![(1, 3), (2, 5), (1, 4)]);
    /// let mut largest = pairs.aggregate_by_key(i32::MIN, |max, n| max.max(n), |a, b| a.max(b)).collect()?;
    /// largest.sort();
    /// assert_eq!(largest, [(1, 4), (2, 5)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Name and meaning are those of `PairRDDFunctions.aggregateByKey` in Spark.
    #[track_caller]
    pub fn aggregate_by_key<A: Record>(
        &self,
        init: A,
        add: impl Fn(A, V) -> A + Send + Sync + 'static,
        merge: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Dataset<(K, A)> {
        let call = CallSite::here("aggregate_by_key");
        self.wide(call, ByKey::<(K, V), _>::of_data(Folding { init, add, merge }))
    }
}
