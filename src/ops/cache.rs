//! `cache`: computed by the first run that needs it, kept for those after it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::hold::{Division, Hold, Keep, Storage};
use crate::exec::job::Terminal;
use crate::exec::memory::Budget;
use crate::exec::source::{AnySource, Erased};
use crate::exec::wire::Wire;
use crate::plan::graph::{CacheSlot, Shape};
use crate::record::Record;

impl<T: Record> Dataset<T> {
    /// Keeps the elements when the first run has computed them; later runs read them from there.
    ///
    /// They are kept in memory as long as nothing else needs it, and on disk beyond that, which is why they must be records. They
    /// are kept until the last handle on this dataset, and on what is derived from it, is dropped. Within the body of a loop, what
    /// depends on its state is kept for the round.
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
    /// # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// # let ctx = Context::new()?;
    /// let calls = Arc::new(AtomicU64::new(0));
    /// let counter = Arc::clone(&calls);
    /// let slow = ctx.range(0..100).inspect(move |_| { counter.fetch_add(1, Ordering::Relaxed); }).cache();
    /// assert_eq!(slow.count()?, 100);
    /// assert_eq!(slow.filter(|n| n % 2 == 0).count()?, 50);
    /// assert_eq!(calls.load(Ordering::Relaxed), 100);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn cache(&self) -> Dataset<T> {
        let kept = (!self.node().in_loop).then(Arc::default);
        let storage = Storage::of(self.context().config().execution);
        let slot = Slot::<T> { kept, storage, budget: self.context().budget().clone() };
        let inputs = vec![Arc::clone(self.node())];
        let shape = Shape::Cache(Arc::new(slot));
        Dataset::of_records(self.context(), CallSite::here("cache"), String::new(), shape, inputs)
    }
}

/// The cached elements, once a run has sealed them.
type Kept<T> = Arc<Mutex<Option<Hold<T>>>>;

struct Slot<T> {
    /// None for what depends on the state of a loop: the next round is to compute it anew.
    kept: Option<Kept<T>>,
    storage: Storage,
    budget: Budget,
}

impl<T: Record> CacheSlot for Slot<T> {
    fn filled(&self) -> Option<Arc<dyn AnySource>> {
        let kept = self.kept.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().map(|hold| Arc::new(Erased::new(hold.clone())) as Arc<dyn AnySource>)
    }

    fn open(&self) -> (Arc<dyn Terminal>, Arc<dyn AnySource>) {
        let hold = Hold::new(Keep::Always, Division::Grouped, self.storage, &self.budget);
        let terminal: Arc<dyn Terminal> = match &self.kept {
            Some(kept) => Arc::new(Filling { hold: hold.clone(), kept: Arc::clone(kept) }),
            None => Arc::new(hold.clone()),
        };
        (terminal, Arc::new(Erased::new(hold)))
    }
}

/// Fills a holder and, when all is there, makes it what the cache holds.
struct Filling<T> {
    hold: Hold<T>,
    kept: Kept<T>,
}

impl<T: Record> Terminal for Filling<T> {
    fn writer(
        &self,
        cx: &crate::exec::task::TaskCx,
        port: crate::exec::job::Port,
    ) -> crate::Result<crate::exec::erased::AnyPush> {
        self.hold.writer(cx, port)
    }

    fn absorb(
        &self,
        cell: usize,
        lane: usize,
        batch: crate::exec::job::Batch,
    ) -> crate::Result<crate::exec::push::Demand> {
        self.hold.absorb(cell, lane, batch)
    }

    fn seal(&self, _cell: usize) -> crate::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert_with(|| self.hold.clone());
        Ok(())
    }

    fn wire(&self) -> Option<&dyn Wire> {
        self.hold.wire()
    }
}
