//! `for_each`: a call for every element.

use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Result};
use crate::exec::collect::Gathering;
use crate::exec::push::Demand;
use crate::exec::trace::Cursor;
use crate::ops::collect::gather;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Calls `f` with every element.
    ///
    /// # Ordering
    ///
    /// The calls are made from several threads at once, in order within a split only. On a cluster of Spark they are made in the processes of
    /// the executors, and what they change there stays there; a [`Counter`](crate::Counter) comes back.
    ///
    /// # Errors
    ///
    /// See [`Dataset`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// # let ctx = Context::new()?;
    /// let sum = Arc::new(AtomicU64::new(0));
    /// let adder = Arc::clone(&sum);
    /// ctx.range(0..5).for_each(move |n| { adder.fetch_add(n, Ordering::Relaxed); })?;
    /// assert_eq!(sum.load(Ordering::Relaxed), 10);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn for_each(&self, f: impl Fn(T) + Send + Sync + 'static) -> Result<()> {
        gather(self, CallSite::here("for_each"), ForEach(f)).run()
    }

    /// The lazy form of [`Dataset::for_each`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_each(&self, f: impl Fn(T) + Send + Sync + 'static) -> Output<()> {
        gather(self, CallSite::here("to_each"), ForEach(f))
    }
}

struct ForEach<F>(F);

impl<T: Data, F: Fn(T) + Send + Sync + 'static> Gathering<T> for ForEach<F> {
    type State = ();

    fn start(&self) {}

    fn add(&self, (): &mut (), items: &mut Vec<T>, at: &mut Cursor<'_>) -> Result<Demand> {
        for item in items.drain(..) {
            (self.0)(item);
            at.advance();
        }
        Ok(Demand::More)
    }

    fn join(&self, (): &mut (), (): ()) -> Demand {
        Demand::More
    }

    fn pack(&self, (): ()) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn unpack(&self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
}
