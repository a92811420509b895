//! What the planner hands over to be run: pipelines, and the terminals that they feed.

use std::any::Any;
use std::sync::Arc;

use crossbeam::channel::Sender;

use super::erased::{AnyPush, Elements};
use super::narrow::Operator;
use super::push::Demand;
use super::scheduler::Event;
use super::source::AnySource;
use super::task::TaskCx;
use super::wire::Wire;
use crate::error::{CallSite, Result};

/// A whole run: a graph of pipelines between terminals.
pub struct Job {
    /// The pipelines; none depends on a later one.
    pub pipelines: Vec<Pipeline>,
    /// Exchanges, caches and sinks.
    pub terminals: Vec<Feed>,
}

/// A tree of fused operators that is run once for each split of its source.
pub struct Pipeline {
    /// What is read.
    pub source: Arc<dyn AnySource>,
    /// The call that made the source.
    pub call: CallSite,
    /// What the source's elements can do.
    pub elements: Arc<dyn Elements>,
    /// The terminal whose output is read, where this job fills it.
    pub reads: Option<usize>,
    /// The terminals that must be sealed before: the one that is read, where this run fills it, and those that operators look at.
    pub after: Vec<usize>,
    /// Pipelines start when all of earlier phases have ended. All are of phase 0 where nothing but `after` says what waits.
    pub phase: usize,
    /// The fused operators; the children of a step stand after it.
    pub steps: Vec<Step>,
    /// The steps that receive the source's elements.
    pub heads: Vec<usize>,
}

/// One step of a pipeline.
pub struct Step {
    /// The call it stems from.
    pub call: CallSite,
    /// What the elements that it receives can do.
    pub elements: Arc<dyn Elements>,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does.
pub enum StepKind {
    /// A narrow operator, whose output goes to the steps `to`, where elements are as `output` says.
    Operator { operator: Arc<dyn Operator>, output: Arc<dyn Elements>, to: Vec<usize> },
    /// The end of a path: the terminal with this index, as its input of this rank in this lane.
    Terminal { terminal: usize, lane: usize, rank: usize },
}

/// A terminal and the pipelines that feed it.
pub struct Feed {
    /// The terminal.
    pub terminal: Arc<dyn Terminal>,
    /// The call it stems from.
    pub call: CallSite,
    /// Whether it is an output of the run, and not something between its stages.
    pub is_output: bool,
    /// For each lane the pipeline of each input, in the order in which their elements count.
    pub lanes: Vec<Vec<usize>>,
}

/// Part of what a task leaves for one cell of a terminal; its type is known to the terminal only.
pub type Batch = Box<dyn Any + Send>;

/// Where pipelines end: an exchange, a cache or a sink.
///
/// It consists of cells that absorb what the tasks leave. What is left for a cell is absorbed in the order of inputs and
/// tasks, by one worker at a time, while other tasks still run; different cells absorb at the same time. This order is
/// what makes every result the same on any number of threads. The datasets that a join reads are lanes: the order counts
/// within each, and neither waits for the other.
pub trait Terminal: Send + Sync {
    /// The number of cells.
    fn cells(&self) -> usize {
        1
    }

    /// The receiving side for one task; it delivers through `port` when it is finished.
    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush>;

    /// Takes one batch of a lane into a cell. [`Demand::Enough`] says that nothing later can change the result.
    fn absorb(&self, cell: usize, lane: usize, batch: Batch) -> Result<Demand>;

    /// Everything for this cell has been absorbed.
    fn seal(&self, _cell: usize) -> Result<()> {
        Ok(())
    }

    /// How what is left for it travels between processes; none if it cannot.
    fn wire(&self) -> Option<&dyn Wire> {
        None
    }
}

/// The position of what a task leaves in the order of a lane of a terminal: its input's rank, then its split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    /// The rank of the input.
    pub rank: usize,
    /// The split of the input.
    pub split: usize,
}

/// Through which one task delivers to one terminal, exactly once.
pub struct Port {
    pub(crate) terminal: usize,
    pub(crate) lane: usize,
    pub(crate) order: Order,
    pub(crate) events: Sender<Event>,
}

impl Port {
    /// Which of the datasets that the terminal takes this is.
    pub fn lane(&self) -> usize {
        self.lane
    }

    /// The place of the task in the order of the lane.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Delivers batches, each with its cell; several for one cell count in the order given.
    pub fn deliver(&self, batches: Vec<(usize, Batch)>) {
        // The driver outlives every task of its run, so that the channel is open.
        let _open = self.events.send(Event::Delivered {
            terminal: self.terminal,
            lane: self.lane,
            order: self.order,
            batches,
        });
    }
}
