//! `fold`: one state over all elements.

use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Error, Result};
use crate::exec::collect::{Gathering, stays};
use crate::exec::known::known_codec;
use crate::exec::push::Demand;
use crate::exec::trace::Cursor;
use crate::exec::wire::damaged;
use crate::ops::collect::gather;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Folds all elements into one state.
    ///
    /// Each split folds its elements with `fold`, beginning with a clone of `init`; the states of the splits are joined with
    /// `merge` in the order of the input, so that a sum of floats is the same in every run. `init` should be neutral for `merge`.
    ///
    /// # Errors
    ///
    /// On a cluster of Spark, if the type of the state is not known to be a [`Record`](crate::Record): numbers, texts, `bool`, an `Option` or a
    /// `Vec` of one, and pairs of common ones are. Otherwise, see [`Dataset`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// assert_eq!(ctx.range(1..11).fold(0, |sum, n| sum + n, |a, b| a + b)?, 55);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn fold<A: Data>(
        &self,
        init: A,
        fold: impl Fn(A, T) -> A + Send + Sync + 'static,
        merge: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Result<A> {
        gather(self, CallSite::here("fold"), Folding { init, add: fold, merge }).run()
    }

    /// The lazy form of [`Dataset::fold`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_fold<A: Data>(
        &self,
        init: A,
        fold: impl Fn(A, T) -> A + Send + Sync + 'static,
        merge: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Output<A> {
        gather(self, CallSite::here("to_fold"), Folding { init, add: fold, merge })
    }
}

fn stays_here<A>() -> Error {
    stays::<A>("a state").hint(
        "fold into a number, a text, a Vec or Option of these or a pair; or map each element to ((), state), \
         a state that is a record, and use reduce_by_key",
    )
}

struct Folding<A, F, M> {
    init: A,
    add: F,
    merge: M,
}

impl<T, A, F, M> Gathering<T> for Folding<A, F, M>
where
    T: Data,
    A: Data,
    F: Fn(A, T) -> A + Send + Sync + 'static,
    M: Fn(A, A) -> A + Send + Sync + 'static,
{
    type State = A;

    fn start(&self) -> A {
        self.init.clone()
    }

    fn add(&self, state: &mut A, items: &mut Vec<T>, at: &mut Cursor<'_>) -> Result<Demand> {
        let before = std::mem::replace(state, self.init.clone());
        *state = items.drain(..).fold(before, |state, item| {
            let state = (self.add)(state, item);
            at.advance();
            state
        });
        Ok(Demand::More)
    }

    fn join(&self, state: &mut A, later: A) -> Demand {
        let earlier = std::mem::replace(state, self.init.clone());
        *state = (self.merge)(earlier, later);
        Demand::More
    }

    fn check(&self) -> Result<()> {
        known_codec::<A>().map(drop).ok_or_else(stays_here::<A>)
    }

    fn pack(&self, state: A) -> Result<Vec<u8>> {
        let (to_bytes, _) = known_codec::<A>().ok_or_else(stays_here::<A>)?;
        to_bytes(&[state])
    }

    fn unpack(&self, bytes: &[u8]) -> Result<A> {
        let (_, from_bytes) = known_codec::<A>().ok_or_else(stays_here::<A>)?;
        from_bytes(bytes)?.pop().ok_or_else(|| damaged("there is no state"))
    }
}
