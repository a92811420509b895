//! `cogroup`: all values of each key on two sides.

use std::marker::PhantomData;

use crate::dataset::Dataset;
use crate::error::{CallSite, Result};
use crate::exec::cogroup::{ByKey, Matching, bytes_of, moved_out};
use crate::exec::out::Out;
use crate::exec::push::Demand;
use crate::record::{Key, Record};

impl<K: Key, V: Record> Dataset<(K, V)> {
    /// Brings all values of each key on both sides together: one pair for each key that occurs on either.
    ///
    /// The values of a key are one row, and must fit the memory together. To pair them off, a [`join`](Dataset::join) needs no
    /// such thing. Name and meaning are Spark's.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the key: arbitrary to look at, the same in every run. The values of a key are in the order of their input.
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
    /// let ages = ctx.from_vec(vec![(1, 30), (2, 40)]);
    /// let names = ctx.from_vec(vec![(2, 'b' as u8), (2, 'c' as u8)]);
    /// let mut both = ages.cogroup(&names).collect()?;
    /// both.sort();
    /// assert_eq!(both, [(1, (vec![30], vec![])), (2, (vec![40], vec![b'b', b'c']))]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn cogroup<W: Record>(&self, other: &Dataset<(K, W)>) -> Dataset<(K, Groups<V, W>)> {
        self.wide_with(other, CallSite::here("cogroup"), ByKey::new(Both::<K, V, W>(PhantomData)))
    }
}

/// The values of a key on the left side, and those on the right one.
pub type Groups<V, W> = (Vec<V>, Vec<W>);

struct Both<K, V, W>(PhantomData<fn(K, V, W)>);

impl<K: Key, V: Record, W: Record> Matching for Both<K, V, W> {
    type Key = K;
    type Left = V;
    type Right = W;
    type Out = (K, Groups<V, W>);

    fn emit(
        &self,
        key: K,
        left: &mut Vec<V>,
        right: &mut Vec<W>,
        out: &mut Out<Self::Out>,
    ) -> Result<Demand> {
        let bytes = bytes_of(left) + bytes_of(right);
        out.emit_large((key, (moved_out(left), moved_out(right))), bytes)
    }
}
