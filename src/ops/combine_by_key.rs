//! `combine_by_key`: folds the values of each key into a state that its first value makes.

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

use crate::dataset::Dataset;
use crate::error::{CallSite, Result};
use crate::exec::aggregate::{ByKey, Combine};
use crate::exec::narrow::FlatMap;
use crate::record::{Column, Data, Key, Record, Rows};
use crate::text::Text;

impl<K: Key, V: Data> Dataset<(K, V)> {
    /// Folds all values of a key into a state that the first of them makes: one pair for each distinct key.
    ///
    /// It is [`Dataset::fold_by_key`] for states that have no neutral beginning. The values of a key are taken in pieces, one
    /// or more a split, depending on the input alone: `create` makes a state of the first value of a piece, `add` adds each
    /// further one, and `merge` joins the states of the pieces, the earlier one on the left.
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
    /// let visits = ctx.from_vec(vec![(1, 30), (2, 5), (1, 10)]);
    /// let spans = visits.combine_by_key(
    ///     |n| (n, n),
    ///     |(low, high), n| (n.min(low), n.max(high)),
    ///     |a, b| (a.0.min(b.0), a.1.max(b.1)),
    /// );
    /// let mut spans = spans.collect()?;
    /// spans.sort();
    /// assert_eq!(spans, [(1, (10, 30)), (2, (5, 5))]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Name and meaning are those of `PairRDDFunctions.combineByKey` in Spark.
    #[track_caller]
    pub fn combine_by_key<A: Record>(
        &self,
        create: impl Fn(V) -> A + Send + Sync + 'static,
        add: impl Fn(A, V) -> A + Send + Sync + 'static,
        merge: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Dataset<(K, A)> {
        let call = CallSite::here("combine_by_key");
        let states: Dataset<(K, Slot<A>)> =
            self.wide(call, ByKey::<(K, V), _>::of_data(Combining { create, add, merge }));
        states.narrow(
            call,
            FlatMap::new(|(key, Slot(state)): (K, Slot<A>)| Ok(state.map(|state| (key, state)))),
        )
    }
}

struct Combining<C, F, M> {
    create: C,
    add: F,
    merge: M,
}

impl<K, V, A, C, F, M> Combine<(K, V)> for Combining<C, F, M>
where
    K: Key,
    V: Data,
    A: Record,
    C: Fn(V) -> A + Send + Sync + 'static,
    F: Fn(A, V) -> A + Send + Sync + 'static,
    M: Fn(A, A) -> A + Send + Sync + 'static,
{
    type Key = K;
    type State = Slot<A>;

    #[inline]
    fn key<'a>(&self, item: &'a (K, V)) -> &'a K {
        &item.0
    }

    fn start(&self, (key, value): (K, V)) -> (K, Slot<A>) {
        (key, Slot(Some((self.create)(value))))
    }

    fn add(&self, state: &mut Slot<A>, (_, value): (K, V)) {
        state.0 = state.0.take().map(|earlier| (self.add)(earlier, value));
    }

    fn merge(&self, state: &mut Slot<A>, later: Slot<A>) {
        state.0 = match (state.0.take(), later.0) {
            (Some(earlier), Some(later)) => Some((self.merge)(earlier, later)),
            (earlier, later) => earlier.or(later),
        };
    }
}

/// A state that closures take by value: the slot is empty only while one of them has it.
///
/// An `Option` would do, but is no record where the state is nullable itself.
#[derive(Clone)]
struct Slot<A>(Option<A>);

impl<A: Record> Record for Slot<A> {
    const NULLABLE: bool = A::NULLABLE;

    fn data_type() -> DataType {
        A::data_type()
    }

    fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
        A::to_array(rows.map(|row| row.and_then(|slot| slot.0.as_ref())), nulls, len)
    }

    fn from_column(column: &Column) -> Result<Vec<Self>> {
        Ok(A::from_column(column)?.into_iter().map(|state| Slot(Some(state))).collect())
    }

    fn each_text(&mut self, visit: &mut impl FnMut(&mut Text)) {
        if let Some(state) = &mut self.0 {
            state.each_text(visit);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, Record::heap_bytes)
    }
}
