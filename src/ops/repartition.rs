//! `repartition` and `coalesce`: the same elements in other partitions.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::divide::Divide;
use crate::exec::hold::Division;
use crate::record::Record;

/// More partitions than this would cost more than they are worth.
pub(super) const MAX_PARTITIONS: usize = 1 << 16;

impl<T: Record> Dataset<T> {
    /// The same elements in `n` partitions of equal size, to one element: what each task of the operators that follow sees, such as
    /// [`Dataset::map_partitions`].
    ///
    /// It evens out what filters and `flat_map` made uneven, and divides among many workers what came in few pieces. The dataset is
    /// held before: in memory, and on disk beyond the memory limit. If there are fewer than `n` elements, some partitions are empty.
    /// `n` is taken for 1 if it is 0, and for 65,536 if it is more.
    ///
    /// # Ordering
    ///
    /// Kept: the first partition has the first elements.
    ///
    /// # Errors
    ///
    /// A run fails if a single element exceeds the memory limit, or if the disk is full. See [`Dataset`] for all else.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let sizes = ctx.range(0..10).repartition(4).map_partitions(|part| [part.len()]);
    /// assert_eq!(sizes.collect()?, [2, 3, 2, 3]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn repartition(&self, n: usize) -> Dataset<T> {
        let division = Division::Equal(n.clamp(1, MAX_PARTITIONS));
        self.wide(CallSite::here("repartition"), Divide::<T>::new(division))
    }

    /// The same elements in at most `n` partitions: neighbouring ones are joined until that many are left, and none is cut.
    ///
    /// It is for operators that do better with few large partitions, and for fewer row groups in what is written. The dataset is
    /// held before: in memory, and on disk beyond the memory limit. Empty partitions are left out. `n` is taken for 1 if it is 0.
    ///
    /// # Ordering
    ///
    /// Kept.
    ///
    /// # Errors
    ///
    /// A run fails if a single element exceeds the memory limit, or if the disk is full. See [`Dataset`] for all else.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let sizes = ctx.range(0..10).repartition(5).coalesce(2).map_partitions(|part| [part.len()]);
    /// assert_eq!(sizes.collect()?, [6, 4]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn coalesce(&self, n: usize) -> Dataset<T> {
        self.wide(CallSite::here("coalesce"), Divide::<T>::new(Division::AtMost(n.max(1))))
    }
}
