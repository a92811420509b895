//! `take`: the first elements.

use std::sync::Arc;

use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Result};
use crate::exec::collect::Gathering;
use crate::exec::erased::Elements;
use crate::exec::push::Demand;
use crate::exec::trace::Cursor;
use crate::ops::collect::{check_rows, gather, rows_from_bytes, rows_to_bytes};
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
        gather(self, CallSite::here("take"), Take::of(self, n)).run()
    }

    /// The lazy form of [`Dataset::take`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_take(&self, n: usize) -> Output<Vec<T>> {
        gather(self, CallSite::here("to_take"), Take::of(self, n))
    }
}

pub(super) struct Take {
    n: usize,
    elements: Arc<dyn Elements>,
}

impl Take {
    /// The first `n` elements of a dataset.
    pub(super) fn of<T>(dataset: &Dataset<T>, n: usize) -> Take {
        Take { n, elements: Arc::clone(&dataset.node().elements) }
    }

    fn flow<T>(&self, state: &[T]) -> Demand {
        if state.len() < self.n { Demand::More } else { Demand::Enough }
    }
}

impl<T: Data> Gathering<T> for Take {
    type State = Vec<T>;

    fn start(&self) -> Vec<T> {
        Vec::new()
    }

    fn add(&self, state: &mut Vec<T>, items: &mut Vec<T>, _at: &mut Cursor<'_>) -> Result<Demand> {
        state.extend(items.drain(..).take(self.n - state.len()));
        Ok(self.flow(state))
    }

    fn join(&self, state: &mut Vec<T>, later: Vec<T>) -> Demand {
        state.extend(later.into_iter().take(self.n - state.len()));
        self.flow(state)
    }

    fn check(&self) -> Result<()> {
        check_rows::<T>(self.elements.as_ref())
    }

    fn pack(&self, state: Vec<T>) -> Result<Vec<u8>> {
        rows_to_bytes(self.elements.as_ref(), &state)
    }

    fn unpack(&self, bytes: &[u8]) -> Result<Vec<T>> {
        rows_from_bytes(self.elements.as_ref(), bytes)
    }
}
