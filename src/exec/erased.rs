//! Types are erased while a task is assembled: one downcast an operator, one virtual call a chunk afterwards.

use std::any::Any;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use super::between::Between;
use super::chunk::Chunk;
use super::hold::{Division, Hold, Keep, Storage};
use super::job::{Batch, Terminal};
use super::known::{Codec, codec, known_codec};
use super::memory::Budget;
use super::metrics::{FirstOutput, StepMetrics};
use super::push::{Demand, Next, Push};
use super::relay::{self, Pump};
use super::source::{AnySource, Erased};
use super::task::TaskCx;
use super::wire::damaged;
use crate::error::{Error, ErrorKind, Result};
use crate::record::Record;

/// A [`Next<T>`] whose `T` is known to its neighbours only.
pub struct AnyPush(Box<dyn Any>);

impl AnyPush {
    /// Erases the element type.
    pub fn new<T: 'static>(push: impl Push<T> + 'static) -> AnyPush {
        let next: Next<T> = Box::new(push);
        AnyPush(Box::new(next))
    }

    /// Gives the element type back.
    ///
    /// # Errors
    ///
    /// If it is another one, which the types of `Dataset` rule out.
    pub fn typed<T: 'static>(self) -> Result<Next<T>> {
        match self.0.downcast::<Next<T>>() {
            Ok(next) => Ok(*next),
            Err(_) => Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "a pipeline was assembled with the wrong element type: not {}",
                    std::any::type_name::<T>()
                ),
            )),
        }
    }
}

/// What the engine must be able to do with the elements of a node without knowing their type.
pub trait Elements: Send + Sync {
    /// Hands every chunk to each of `consumers`.
    fn tee(&self, consumers: Vec<AnyPush>) -> Result<AnyPush>;

    /// Counts and times what `next` receives, as step `step` of the task.
    fn meter(&self, cx: &TaskCx, step: usize, next: AnyPush) -> Result<AnyPush>;

    /// Cuts a chain in two: a receiving end, and a pump that later moves what it received to `next`.
    fn relay(&self, next: AnyPush) -> Result<(AnyPush, Box<dyn Pump>)>;

    /// Holds elements between two pipelines of one run. What is no record stays in memory.
    fn hold(&self, keep: Keep, division: Division, storage: Storage, budget: &Budget) -> Held;

    /// Whether they are known to be records, which can go to disk.
    fn are_records(&self) -> bool;

    /// Whether they can become bytes: they are records, or of a type that is known to be one.
    fn can_be_bytes(&self) -> bool;

    /// A `Vec` of elements as bytes; none if they cannot become bytes.
    fn to_bytes(&self, rows: &dyn Any) -> Option<Result<Vec<u8>>>;

    /// The `Vec` of elements that bytes hold; none if they cannot become bytes.
    fn read_bytes(&self, bytes: &[u8]) -> Option<Result<Batch>>;

    /// Runs `pumps` in order after each chunk that `head` receives.
    fn pumped(&self, head: AnyPush, pumps: Vec<Box<dyn Pump>>) -> Result<AnyPush>;
}

/// The terminal that takes what is to be held, and the source that gives it again.
pub type Held = (Arc<dyn Terminal>, Arc<dyn AnySource>);

/// [`Elements`] of type `T`.
pub struct Of<T> {
    hold: fn(Keep, Division, Storage, &Budget) -> Held,
    are_records: bool,
    /// To bytes and back, if their type is known to be that of records.
    bytes: Option<Codec<T>>,
    types: PhantomData<fn() -> T>,
}

impl<T: Clone + Send + Sync + 'static> Of<T> {
    /// The table of functions for `T`, which may be no record: what is held stays in memory.
    pub fn elements() -> Arc<dyn Elements> {
        let hold = |keep, division, _, budget: &Budget| -> Held {
            let between = Between::<T>::new(keep, division, budget);
            (Arc::new(between.clone()), Arc::new(Erased::new(between)))
        };
        Arc::new(Of::<T> { hold, are_records: false, bytes: known_codec(), types: PhantomData })
    }
}

impl<T: Record> Of<T> {
    /// The table of functions for records: what is held can go to disk.
    pub fn records() -> Arc<dyn Elements> {
        let hold = |keep, division, storage, budget: &Budget| -> Held {
            let hold = Hold::<T>::new(keep, division, storage, budget);
            (Arc::new(hold.clone()), Arc::new(Erased::new(hold)))
        };
        Arc::new(Of::<T> { hold, are_records: true, bytes: Some(codec()), types: PhantomData })
    }
}

impl<T: Clone + Send + Sync + 'static> Elements for Of<T> {
    fn tee(&self, consumers: Vec<AnyPush>) -> Result<AnyPush> {
        let consumers = consumers.into_iter().map(AnyPush::typed::<T>).collect::<Result<Vec<_>>>()?;
        let consumers = consumers.into_iter().map(|next| (next, Demand::More)).collect();
        Ok(AnyPush::new(Tee { consumers, copy: Chunk::with_capacity(0) }))
    }

    fn meter(&self, cx: &TaskCx, step: usize, next: AnyPush) -> Result<AnyPush> {
        let next = next.typed::<T>()?;
        let (metrics, first_output) = (cx.step_metrics(step), cx.first_output(step));
        Ok(AnyPush::new(Meter { cx: cx.clone(), step, metrics, first_output, next }))
    }

    fn relay(&self, next: AnyPush) -> Result<(AnyPush, Box<dyn Pump>)> {
        Ok(relay::pair(next.typed::<T>()?))
    }

    fn hold(&self, keep: Keep, division: Division, storage: Storage, budget: &Budget) -> Held {
        (self.hold)(keep, division, storage, budget)
    }

    fn are_records(&self) -> bool {
        self.are_records
    }

    fn can_be_bytes(&self) -> bool {
        self.bytes.is_some()
    }

    fn to_bytes(&self, rows: &dyn Any) -> Option<Result<Vec<u8>>> {
        let (to_bytes, _) = self.bytes?;
        let rows = rows.downcast_ref::<Vec<T>>().ok_or_else(|| damaged("rows of another type"));
        Some(rows.and_then(|rows| to_bytes(rows)))
    }

    fn read_bytes(&self, bytes: &[u8]) -> Option<Result<Batch>> {
        let (_, from_bytes) = self.bytes?;
        Some(from_bytes(bytes).map(|rows| Box::new(rows) as Batch))
    }

    fn pumped(&self, head: AnyPush, pumps: Vec<Box<dyn Pump>>) -> Result<AnyPush> {
        Ok(AnyPush::new(relay::Pumped::new(head.typed::<T>()?, pumps)))
    }
}

/// Hands every chunk to several consumers; all but the last receive clones.
struct Tee<T> {
    consumers: Vec<(Next<T>, Demand)>,
    copy: Chunk<T>,
}

impl<T: Clone> Push<T> for Tee<T> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let Some(((last, last_flow), others)) = self.consumers.split_last_mut() else {
            return Ok(Demand::Enough);
        };
        for (next, flow) in others.iter_mut().filter(|(_, flow)| *flow == Demand::More) {
            self.copy.clear();
            self.copy.items.extend_from_slice(&chunk.items);
            self.copy.rows.copy_from(&chunk.rows);
            *flow = next.push(&mut self.copy)?;
        }
        if *last_flow == Demand::More {
            *last_flow = last.push(chunk)?;
        }
        let all_done = self.consumers.iter().all(|(_, flow)| *flow == Demand::Enough);
        Ok(if all_done { Demand::Enough } else { Demand::More })
    }

    fn finish(&mut self) -> Result<()> {
        self.consumers.iter_mut().try_for_each(|(next, _)| next.finish())
    }
}

/// Stands before every step: counts, times, tells the trace who is at work, and sees a cancel.
struct Meter<T> {
    cx: TaskCx,
    step: usize,
    metrics: Rc<StepMetrics>,
    /// For an output of the run.
    first_output: Option<Arc<FirstOutput>>,
    next: Next<T>,
}

impl<T> Push<T> for Meter<T> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        self.cx.check_canceled()?;
        let left = self.cx.trace().enter(self.step);
        let timer = self.metrics.start(chunk.items.len());
        if let Some(first_output) = &self.first_output {
            first_output.note();
        }
        let flow = self.next.push(chunk)?;
        self.metrics.stop(&timer);
        self.cx.trace().enter(left);
        Ok(flow)
    }

    fn finish(&mut self) -> Result<()> {
        let left = self.cx.trace().enter(self.step);
        let timer = self.metrics.start(0);
        self.next.finish()?;
        self.metrics.stop(&timer);
        self.cx.trace().enter(left);
        Ok(())
    }
}
