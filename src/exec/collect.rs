//! Terminals that gather: all elements, the first few, or one state folded over them.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use super::chunk::Chunk;
use super::erased::AnyPush;
use super::job::{Batch, Port, Terminal};
use super::push::{Demand, Push};
use super::task::TaskCx;
use super::trace::Cursor;
use super::wire::{Frames, Wire, damaged};
use crate::error::{Error, ErrorKind, Result};

/// How a [`Gather`] works: what a task builds from its elements, and how these are joined in order.
pub trait Gathering<T>: Send + Sync + 'static {
    /// What a task builds, and what the whole run results in.
    type State: Send + 'static;

    /// The state before the first element of a task, and of the run.
    fn start(&self) -> Self::State;

    /// Takes the elements of a chunk; the cursor is to follow.
    fn add(&self, state: &mut Self::State, items: &mut Vec<T>, at: &mut Cursor<'_>) -> Result<Demand>;

    /// Joins the state of a later task.
    fn join(&self, state: &mut Self::State, later: Self::State) -> Demand;

    /// Whether states can travel between processes.
    ///
    /// # Errors
    ///
    /// If they cannot.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The state as bytes, to travel between processes.
    ///
    /// # Errors
    ///
    /// If it cannot.
    fn pack(&self, state: Self::State) -> Result<Vec<u8>>;

    /// The state that bytes stand for.
    ///
    /// # Errors
    ///
    /// If it cannot travel, or these are not its bytes.
    fn unpack(&self, bytes: &[u8]) -> Result<Self::State>;
}

/// The error of something of type `T` that cannot leave the process in which it was computed.
pub fn stays<T>(what: &str) -> Error {
    let message = format!(
        "{what} of type {} cannot travel from the executors of Spark to the driver, since nothing says that it is a record",
        std::any::type_name::<T>()
    );
    Error::new(ErrorKind::Config, message)
}

/// A terminal of one cell that joins what the tasks gathered, in their order.
pub struct Gather<T, G: Gathering<T>> {
    gathering: Arc<G>,
    result: Arc<Mutex<Option<G::State>>>,
    types: PhantomData<fn(T)>,
}

/// The result of a [`Gather`], there once the run has ended.
pub struct Gathered<S>(Arc<Mutex<Option<S>>>);

impl<T, G: Gathering<T>> Gather<T, G> {
    /// The terminal, and where its result will be.
    pub fn new(gathering: G) -> (Gather<T, G>, Gathered<G::State>) {
        let result = Arc::new(Mutex::new(Some(gathering.start())));
        let gathered = Gathered(Arc::clone(&result));
        (Gather { gathering: Arc::new(gathering), result, types: PhantomData }, gathered)
    }
}

impl<S> Gathered<S> {
    /// Takes the result of a run that succeeded.
    ///
    /// # Errors
    ///
    /// If it was taken before.
    pub fn take(self) -> Result<S> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| Error::new(ErrorKind::Internal, "the result of a run is missing"))
    }
}

impl<T: 'static, G: Gathering<T>> Terminal for Gather<T, G> {
    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        let state = Some(self.gathering.start());
        Ok(AnyPush::new(Writer {
            gathering: Arc::clone(&self.gathering),
            cx: cx.clone(),
            state,
            port,
            types: PhantomData,
        }))
    }

    fn absorb(&self, _cell: usize, _lane: usize, batch: Batch) -> Result<Demand> {
        let later = downcast::<G::State>(batch)?;
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(result.as_mut().map_or(Demand::Enough, |state| self.gathering.join(state, later)))
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(self)
    }
}

impl<T: 'static, G: Gathering<T>> Wire for Gather<T, G> {
    fn check(&self) -> Result<()> {
        self.gathering.check()
    }

    fn pack(&self, _lane: usize, cell: usize, batch: Batch, frames: &mut Frames<'_>) -> Result<()> {
        frames(cell, self.gathering.pack(downcast::<G::State>(batch)?)?)
    }

    fn unpack(&self, _lane: usize, frame: &[u8]) -> Result<Batch> {
        Ok(Box::new(self.gathering.unpack(frame)?))
    }

    fn join(&self, _lane: usize, _first: Batch, _later: Batch) -> Result<Batch> {
        Err(damaged("a state is one frame"))
    }
}

/// Gives a batch its type back.
///
/// # Errors
///
/// If it is of another type: a bug of the terminal that calls.
pub fn downcast<B: 'static>(batch: Batch) -> Result<B> {
    match batch.downcast::<B>() {
        Ok(batch) => Ok(*batch),
        Err(_) => Err(Error::new(ErrorKind::Internal, "a terminal received a batch of another type")),
    }
}

struct Writer<T, G: Gathering<T>> {
    gathering: Arc<G>,
    cx: TaskCx,
    state: Option<G::State>,
    port: Port,
    types: PhantomData<fn(T)>,
}

impl<T, G: Gathering<T>> Push<T> for Writer<T, G> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let Some(state) = &mut self.state else { return Ok(Demand::Enough) };
        let mut at = Cursor::new(self.cx.trace(), &chunk.rows);
        self.gathering.add(state, &mut chunk.items, &mut at)
    }

    fn finish(&mut self) -> Result<()> {
        if let Some(state) = self.state.take() {
            self.port.deliver(vec![(0, Box::new(state))]);
        }
        Ok(())
    }
}
