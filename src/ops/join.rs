//! `join`, `left_join`, `right_join`, `full_join`, `semi_join`, `anti_join`: two sides by key.
//!
//! They are one operator: both sides are shuffled by the hash of the key, and what is made of the values of a key is all that differs.
//! Where one side is small, the planner may hold it instead, and let the other one stream past.

use std::marker::PhantomData;

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::aggregate::Combine;
use crate::exec::cogroup::ByKey;
use crate::exec::join::{Existence, FullOuter, Inner, Join, Joining, LeftOuter, RightOuter};
use crate::exec::narrow::Map;
use crate::record::{Key, Record};

impl<K: Key, V: Record> Dataset<(K, V)> {
    /// Each value of this side with each value of the other side that has the same key.
    ///
    /// Neither side need fit the memory, and no key need: what is too large is divided on disk, and a key that is too large by itself is
    /// streamed from there.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the key: arbitrary to look at, the same in every run. The rows of a key are in the order of the left side, and
    /// for each of its values in that of the right side.
    ///
    /// Where the planner broadcasts a side, in the order of the other side instead, and for each of its values in that of the side that
    /// is broadcast. It does so, if the rule [`broadcast`](crate::config::Rules::broadcast) allows it, where it knows that one side
    /// takes at most 8 MiB and less than the other one: a vector or a file, or a selection of its rows. [`Dataset::explain`] shows it, and it
    /// depends on the sizes of the inputs alone, so that the order is the same in every run.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let left = ctx.from_vec(vec![(1, 10), (2, 20)]);
    /// let right = ctx.from_vec(vec![(2, 'x' as u8), (3, 'y' as u8), (2, 'z' as u8)]);
    /// let mut joined = left.join(&right).collect()?;
    /// assert_eq!(joined, [(2, (20, b'x')), (2, (20, b'z'))]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn join<W: Record>(&self, other: &Dataset<(K, W)>) -> Dataset<(K, (V, W))> {
        self.wide_with(other, CallSite::here("join"), ByKey::new(Joining::<K, V, W, Inner>::new()))
    }

    /// As [`join`](Dataset::join); a value of this side without a match comes with `None`.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the key: arbitrary to look at, the same in every run. The rows of a key are in the order of the left side, and
    /// for each of its values in that of the right side.
    ///
    /// Where the planner broadcasts a side, in the order of the other side instead, and for each of its values in that of the side that
    /// is broadcast. It does so, if the rule [`broadcast`](crate::config::Rules::broadcast) allows it, where it knows that the right side
    /// takes at most 8 MiB and less than the other one: a vector or a file, or a selection of its rows. [`Dataset::explain`] shows it, and it
    /// depends on the sizes of the inputs alone, so that the order is the same in every run.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let left = ctx.from_vec(vec![(1, 10), (2, 20)]);
    /// let right = ctx.from_vec(vec![(2, 'x' as u8), (3, 'y' as u8), (2, 'z' as u8)]);
    /// let mut joined = left.left_join(&right).collect()?;
    /// joined.sort();
    /// assert_eq!(joined, [(1, (10, None)), (2, (20, Some(b'x'))), (2, (20, Some(b'z')))]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn left_join<W: Record>(&self, other: &Dataset<(K, W)>) -> Dataset<(K, (V, Option<W>))> {
        self.joined::<W, LeftOuter>(other, CallSite::here("left_join"))
    }

    /// As [`join`](Dataset::join); a value of the other side without a match comes with `None`.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the key: arbitrary to look at, the same in every run. The rows of a key are in the order of the left side, and
    /// for each of its values in that of the right side.
    ///
    /// Where the planner broadcasts a side, in the order of the other side instead, and for each of its values in that of the side that
    /// is broadcast. It does so, if the rule [`broadcast`](crate::config::Rules::broadcast) allows it, where it knows that the left side
    /// takes at most 8 MiB and less than the other one: a vector or a file, or a selection of its rows. [`Dataset::explain`] shows it, and it
    /// depends on the sizes of the inputs alone, so that the order is the same in every run.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let left = ctx.from_vec(vec![(1, 10), (2, 20)]);
    /// let right = ctx.from_vec(vec![(2, 'x' as u8), (3, 'y' as u8), (2, 'z' as u8)]);
    /// let mut joined = left.right_join(&right).collect()?;
    /// joined.sort();
    /// assert_eq!(joined, [(2, (Some(20), b'x')), (2, (Some(20), b'z')), (3, (None, b'y'))]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn right_join<W: Record>(&self, other: &Dataset<(K, W)>) -> Dataset<(K, (Option<V>, W))> {
        self.joined::<W, RightOuter>(other, CallSite::here("right_join"))
    }

    /// As [`join`](Dataset::join); a value of either side without a match comes with `None`.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the key: arbitrary to look at, the same in every run. The rows of a key are in the order of the left side, and
    /// for each of its values in that of the right side.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let left = ctx.from_vec(vec![(1, 10), (2, 20)]);
    /// let right = ctx.from_vec(vec![(2, 'x' as u8), (3, 'y' as u8), (2, 'z' as u8)]);
    /// assert_eq!(left.full_join(&right).count()?, 4);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn full_join<W: Record>(&self, other: &Dataset<(K, W)>) -> Dataset<(K, Outer<V, W>)> {
        self.joined::<W, FullOuter>(other, CallSite::here("full_join"))
    }

    /// The elements whose keys occur on the other side, each once.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the key: arbitrary to look at, the same in every run. The values of a key are in the order of the input. Where
    /// the planner broadcasts the right side, as for a [`left_join`](Dataset::left_join), in the order of the left side.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let left = ctx.from_vec(vec![(1, 10), (2, 20)]);
    /// let right = ctx.from_vec(vec![(2, 'x' as u8), (3, 'y' as u8), (2, 'z' as u8)]);
    /// assert_eq!(left.semi_join(&right).collect()?, [(2, 20)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn semi_join<W: Record>(&self, other: &Dataset<(K, W)>) -> Dataset<(K, V)> {
        self.existing(other, CallSite::here("semi_join"), true)
    }

    /// The elements whose keys do not occur on the other side.
    ///
    /// # Ordering
    ///
    /// As for [`semi_join`](Dataset::semi_join).
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let left = ctx.from_vec(vec![(1, 10), (2, 20)]);
    /// let right = ctx.from_vec(vec![(2, 'x' as u8), (3, 'y' as u8), (2, 'z' as u8)]);
    /// assert_eq!(left.anti_join(&right).collect()?, [(1, 10)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn anti_join<W: Record>(&self, other: &Dataset<(K, W)>) -> Dataset<(K, V)> {
        self.existing(other, CallSite::here("anti_join"), false)
    }

    fn joined<W: Record, J: Join<V, W>>(
        &self,
        other: &Dataset<(K, W)>,
        call: CallSite,
    ) -> Dataset<(K, J::Out)> {
        // An option of what may be null already is no record.
        self.wide_with_data(other, call, ByKey::new(Joining::<K, V, W, J>::new()))
    }

    fn existing<W: Record>(
        &self,
        other: &Dataset<(K, W)>,
        call: CallSite,
        with_match: bool,
    ) -> Dataset<(K, V)> {
        // Of the other side only the keys are needed, and each but once.
        let keys: Dataset<(K, ())> = other.narrow(call, Map::selecting(|(key, _): (K, W)| (key, ())));
        let once: Dataset<(K, ())> = keys.wide(call, crate::exec::aggregate::ByKey::<(K, ()), _>::new(Once));
        self.wide_with(&once, call, ByKey::new(Existence::<K, V> { with_match, types: PhantomData }))
    }
}

/// A value of the left side and one of the right side, of which at least one is there.
pub type Outer<V, W> = (Option<V>, Option<W>);

/// Keeps one of each key.
struct Once;

impl<K: Key> Combine<(K, ())> for Once {
    type Key = K;
    type State = ();

    const COMMUTES: bool = true;
    const SELECTS: bool = true;

    #[inline]
    fn key<'a>(&self, item: &'a (K, ())) -> &'a K {
        &item.0
    }

    fn start(&self, item: (K, ())) -> (K, ()) {
        item
    }

    fn add(&self, (): &mut (), _: (K, ())) {}

    fn merge(&self, (): &mut (), (): ()) {}
}
