//! `broadcast_join`, `broadcast_left_join`: a join that streams past a small side, which is held in memory.

use std::sync::Arc;

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::broadcast::Broadcast;
use crate::exec::join::{Inner, Join, LeftOuter, hold_right};
use crate::exec::lookup::Room;
use crate::plan::graph::Shape;
use crate::record::{Data, Key, Record};

impl<K: Key, V: Data> Dataset<(K, V)> {
    /// Each value of this side with each value of the other side that has the same key; the other side is held in memory.
    ///
    /// This side is not exchanged: it streams past a table of the other side, as if it were mapped. That is fast if the other side is
    /// small. A [`join`](Dataset::join) chooses it by itself where it knows that a side is; this is for a side of which only you
    /// know. If both are made of one dataset, that one is read twice, and held before if it is the output of an exchange.
    ///
    /// # Ordering
    ///
    /// That of this side, and for each of its values that of the other side.
    ///
    /// # Errors
    ///
    /// A run fails if the other side exceeds the memory limit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let left = ctx.from_vec(vec![(2, 10), (1, 20), (2, 30)]);
    /// let right = ctx.from_vec(vec![(2, 'x' as u8), (3, 'y' as u8), (2, 'z' as u8)]);
    /// let joined = left.broadcast_join(&right).collect()?;
    /// assert_eq!(joined, [(2, (10, b'x')), (2, (10, b'z')), (2, (30, b'x')), (2, (30, b'z'))]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// The name is that of the hint `broadcast` in Spark.
    #[track_caller]
    pub fn broadcast_join<W: Record>(&self, other: &Dataset<(K, W)>) -> Dataset<(K, (V, W))> {
        self.joined_with_held::<W, Inner>(other, CallSite::here("broadcast_join"))
    }

    /// As [`broadcast_join`](Dataset::broadcast_join); a value of this side without a match comes with `None`.
    ///
    /// # Ordering
    ///
    /// That of this side, and for each of its values that of the other side.
    ///
    /// # Errors
    ///
    /// A run fails if the other side exceeds the memory limit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let left = ctx.from_vec(vec![(2, 10), (1, 20)]);
    /// let right = ctx.from_vec(vec![(2, 'x' as u8), (3, 'y' as u8)]);
    /// assert_eq!(left.broadcast_left_join(&right).collect()?, [(2, (10, Some(b'x'))), (1, (20, None))]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn broadcast_left_join<W: Record>(&self, other: &Dataset<(K, W)>) -> Dataset<(K, (V, Option<W>))> {
        self.joined_with_held::<W, LeftOuter>(other, CallSite::here("broadcast_left_join"))
    }

    fn joined_with_held<W: Record, J: Join<V, W>>(
        &self,
        other: &Dataset<(K, W)>,
        call: CallSite,
    ) -> Dataset<(K, J::Out)> {
        self.past(other, call, hold_right::<K, V, W, J>(Room::Limited))
    }
}

impl<T: Data> Dataset<T> {
    /// What this dataset becomes when it passes another one that is held.
    pub(super) fn past<O: Data, U: Data>(
        &self,
        held: &Dataset<O>,
        call: CallSite,
        broadcast: impl Broadcast + 'static,
    ) -> Dataset<U> {
        let inputs = vec![Arc::clone(self.node()), Arc::clone(held.node())];
        Dataset::from_shape(
            self.context(),
            call,
            String::new(),
            Shape::Broadcast(Arc::new(broadcast)),
            inputs,
        )
    }
}
