//! `collect`: all elements, in memory.

use std::path::Path;
use std::sync::Arc;

use crate::dataset::{Action, Dataset, Output};
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::collect::{Gather, Gathered, Gathering, downcast, stays};
use crate::exec::erased::Elements;
use crate::exec::job::Terminal;
use crate::exec::push::Demand;
use crate::exec::trace::Cursor;
use crate::io::commit::Transaction;
use crate::plan::graph::Opening;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Computes all elements and returns them, in order.
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
    /// assert_eq!(ctx.range(0..4).collect()?, [0, 1, 2, 3]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn collect(&self) -> Result<Vec<T>> {
        gather(self, CallSite::here("collect"), All::of(self)).run()
    }

    /// The lazy form of [`Dataset::collect`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_vec(&self) -> Output<Vec<T>> {
        gather(self, CallSite::here("to_vec"), All::of(self))
    }
}

struct All(Arc<dyn Elements>);

impl All {
    fn of<T>(dataset: &Dataset<T>) -> All {
        All(Arc::clone(&dataset.node().elements))
    }
}

impl<T: Data> Gathering<T> for All {
    type State = Vec<T>;

    fn start(&self) -> Vec<T> {
        Vec::new()
    }

    fn add(&self, state: &mut Vec<T>, items: &mut Vec<T>, _at: &mut Cursor<'_>) -> Result<Demand> {
        state.append(items);
        Ok(Demand::More)
    }

    fn join(&self, state: &mut Vec<T>, mut later: Vec<T>) -> Demand {
        state.append(&mut later);
        Demand::More
    }

    fn check(&self) -> Result<()> {
        check_rows::<T>(self.0.as_ref())
    }

    fn pack(&self, state: Vec<T>) -> Result<Vec<u8>> {
        rows_to_bytes(self.0.as_ref(), &state)
    }

    fn unpack(&self, bytes: &[u8]) -> Result<Vec<T>> {
        rows_from_bytes(self.0.as_ref(), bytes)
    }
}

/// Whether elements can travel.
pub(super) fn check_rows<T>(elements: &dyn Elements) -> Result<()> {
    if elements.can_be_bytes() { Ok(()) } else { Err(rows_stay::<T>()) }
}

fn rows_stay<T>() -> Error {
    stays::<T>("an element").hint(
        "gather what an exchange or a filter behind one gives, or plain numbers and texts; or write it to files",
    )
}

/// Elements as bytes, if they are known to be records.
#[allow(clippy::ptr_arg, reason = "they are known by the type of what holds them")]
pub(super) fn rows_to_bytes<T: Data>(elements: &dyn Elements, rows: &Vec<T>) -> Result<Vec<u8>> {
    elements.to_bytes(rows).unwrap_or_else(|| Err(rows_stay::<T>()))
}

/// The elements that bytes hold.
pub(super) fn rows_from_bytes<T: Data>(elements: &dyn Elements, bytes: &[u8]) -> Result<Vec<T>> {
    elements.read_bytes(bytes).map_or_else(|| Err(rows_stay::<T>()), |rows| downcast(rows?))
}

/// The lazy result of gathering a dataset; what all gathering actions are made of.
pub(super) fn gather<T: Data, G: Gathering<T>>(
    dataset: &Dataset<T>,
    call: CallSite,
    gathering: G,
) -> Output<G::State> {
    let (terminal, gathered) = Gather::new(gathering);
    Output::new(dataset, call, String::new(), GatherAction { terminal: Some(Arc::new(terminal)), gathered })
}

struct GatherAction<S> {
    terminal: Option<Arc<dyn Terminal>>,
    gathered: Gathered<S>,
}

impl<S> Action<S> for GatherAction<S> {
    fn open(&mut self, _opening: &Opening<'_>) -> Result<Arc<dyn Terminal>> {
        self.terminal.take().ok_or_else(|| Error::new(ErrorKind::Internal, "an output was opened twice"))
    }

    fn complete(self: Box<Self>, _transaction: &mut Transaction) -> Result<S> {
        self.gathered.take()
    }
}

/// The output whose result `finish` makes of that of another.
pub(super) fn finished<S: 'static, R>(
    output: Output<S>,
    finish: impl FnOnce(S) -> Result<R> + 'static,
) -> Output<R> {
    Output {
        ctx: output.ctx,
        sink: output.sink,
        action: Box::new(FinishAction { action: output.action, finish }),
    }
}

struct FinishAction<S, F> {
    action: Box<dyn Action<S>>,
    finish: F,
}

impl<S, R, F: FnOnce(S) -> Result<R>> Action<R> for FinishAction<S, F> {
    fn path(&self) -> Option<&Path> {
        self.action.path()
    }

    fn open(&mut self, opening: &Opening<'_>) -> Result<Arc<dyn Terminal>> {
        self.action.open(opening)
    }

    fn complete(self: Box<Self>, transaction: &mut Transaction) -> Result<R> {
        (self.finish)(self.action.complete(transaction)?)
    }
}

/// The output of a call whose arguments cannot work: its run fails before any work is done.
pub(super) fn refused<T, R>(dataset: &Dataset<T>, call: CallSite, error: Error) -> Output<R> {
    Output::new(dataset, call, String::new(), RefusedAction(Some(error)))
}

struct RefusedAction(Option<Error>);

impl<R> Action<R> for RefusedAction {
    fn open(&mut self, _opening: &Opening<'_>) -> Result<Arc<dyn Terminal>> {
        Err(self.refusal())
    }

    fn complete(mut self: Box<Self>, _transaction: &mut Transaction) -> Result<R> {
        Err(self.refusal())
    }
}

impl RefusedAction {
    fn refusal(&mut self) -> Error {
        self.0.take().unwrap_or_else(|| Error::new(ErrorKind::Internal, "an output was opened twice"))
    }
}
