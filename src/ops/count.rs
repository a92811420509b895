//! `count`: the number of elements.

use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Result};
use crate::exec::collect::Gathering;
use crate::exec::push::Demand;
use crate::exec::trace::Cursor;
use crate::exec::wire::take_u64;
use crate::ops::collect::gather;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Computes the number of elements.
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
    /// assert_eq!(ctx.range(5..8).count()?, 3);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn count(&self) -> Result<u64> {
        gather(self, CallSite::here("count"), Count).run()
    }

    /// The lazy form of [`Dataset::count`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_count(&self) -> Output<u64> {
        gather(self, CallSite::here("to_count"), Count)
    }
}

struct Count;

impl<T: Data> Gathering<T> for Count {
    type State = u64;

    fn start(&self) -> u64 {
        0
    }

    fn add(&self, state: &mut u64, items: &mut Vec<T>, _at: &mut Cursor<'_>) -> Result<Demand> {
        *state += items.len() as u64;
        items.clear();
        Ok(Demand::More)
    }

    fn join(&self, state: &mut u64, later: u64) -> Demand {
        *state += later;
        Demand::More
    }

    fn pack(&self, state: u64) -> Result<Vec<u8>> {
        Ok(state.to_le_bytes().to_vec())
    }

    fn unpack(&self, mut bytes: &[u8]) -> Result<u64> {
        take_u64(&mut bytes)
    }
}
