//! `take`: the first elements.

use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Result};
use crate::exec::collect::Gathering;
use crate::exec::push::Demand;
use crate::exec::trace::Cursor;
use crate::ops::collect::gather;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Computes the first `n` elements, or all if there are fewer. It stops reading when it has them.
    ///
    /// # Errors
    ///
    /// See [`Dataset`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// assert_eq!(ctx.range(0..u64::MAX).take(2)?, [0, 1]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn take(&self, n: usize) -> Result<Vec<T>> {
        gather(self, CallSite::here("take"), Take(n)).run()
    }

    /// The lazy form of [`Dataset::take`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_take(&self, n: usize) -> Output<Vec<T>> {
        gather(self, CallSite::here("to_take"), Take(n))
    }
}

pub(super) struct Take(pub(super) usize);

impl Take {
    fn flow<T>(&self, state: &[T]) -> Demand {
        if state.len() < self.0 { Demand::More } else { Demand::Enough }
    }
}

impl<T: Data> Gathering<T> for Take {
    type State = Vec<T>;

    fn start(&self) -> Vec<T> {
        Vec::new()
    }

    fn add(&self, state: &mut Vec<T>, items: &mut Vec<T>, _at: &mut Cursor<'_>) -> Result<Demand> {
        state.extend(items.drain(..).take(self.0 - state.len()));
        Ok(self.flow(state))
    }

    fn join(&self, state: &mut Vec<T>, later: Vec<T>) -> Demand {
        state.extend(later.into_iter().take(self.0 - state.len()));
        self.flow(state)
    }
}
