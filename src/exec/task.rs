//! One task: a pipeline over one split, assembled, run and located on the worker that runs it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam::channel::Sender;

use super::beside::Beside;
use super::cancel::CancelToken;
use super::counter::Tally;
use super::erased::{AnyPush, Elements};
use super::job::{Job, Order, Pipeline, Port, Step, StepKind};
use super::memory::Budget;
use super::metrics::{FirstOutput, RunMetrics, StepMetrics, nanos_since};
use super::relay::Pump;
use super::scheduler::Event;
use super::source::AnySource;
use super::trace::Trace;
use crate::error::{CallSite, Error, ErrorKind, Place, Result};

/// Operators that may stand on the stack of a worker at once; longer chains are cut by relays.
const MAX_DEPTH: usize = 64;

/// The identity of a run within the process: of all jobs that an action leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(u64);

impl RunId {
    /// One that no other run has.
    pub fn fresh() -> RunId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        RunId(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// How many runs the process has begun before it.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// The same elements of the same split, whichever task of a run computes them; in the order of the plan, then of the splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Computation {
    /// The run.
    pub run: RunId,
    /// The number of its job.
    pub job: usize,
    /// The number of the computation in the job.
    pub number: usize,
    /// The split of the source.
    pub split: usize,
}

/// What all tasks of a job share.
pub struct Run {
    /// Which run it is.
    pub id: RunId,
    /// The number of the job in the run.
    pub number: usize,
    /// What is run.
    pub job: Job,
    /// Elements a chunk.
    pub chunk_rows: usize,
    /// Whether chains are fused; otherwise every operator runs by itself.
    pub fuse: bool,
    /// The context's memory budget.
    pub budget: Budget,
    /// Tasks that run at a time.
    pub threads: usize,
    /// Splits that a pipeline may be ahead of its oldest unfinished one.
    pub in_flight: usize,
    /// Cancelled from outside.
    pub cancel: CancelToken,
    /// Set when a task of this run failed.
    pub failed: CancelToken,
    /// What is counted.
    pub metrics: RunMetrics,
    /// What closures count.
    pub tally: Arc<Tally>,
    /// All that tasks leave beside what they deliver, the tally among it.
    pub beside: Vec<Arc<dyn Beside>>,
}

/// What the operators of one task share.
#[derive(Clone)]
pub struct TaskCx(Rc<Inner>);

struct Inner {
    run: Arc<Run>,
    pipeline: usize,
    split: usize,
    trace: Trace,
    steps: Vec<Rc<StepMetrics>>,
}

impl TaskCx {
    fn new(run: &Arc<Run>, pipeline: usize, split: usize) -> TaskCx {
        let steps = run.job.pipelines[pipeline].steps.len();
        let steps = std::iter::repeat_with(Rc::default).take(steps).collect();
        TaskCx(Rc::new(Inner { run: Arc::clone(run), pipeline, split, trace: Trace::default(), steps }))
    }

    /// Elements a chunk.
    pub fn chunk_rows(&self) -> usize {
        self.0.run.chunk_rows
    }

    /// The context's memory budget.
    pub fn budget(&self) -> &Budget {
        &self.0.run.budget
    }

    /// Tasks that run at a time, this one among them.
    pub fn threads(&self) -> usize {
        self.0.run.threads
    }

    /// The split of the source that is read.
    pub fn split(&self) -> usize {
        self.0.split
    }

    /// The identity of the node that is read, within the process.
    pub fn origin(&self) -> u64 {
        self.0.run.tally.origin(self.0.pipeline)
    }

    /// The source that is read.
    pub fn source(&self) -> &Arc<dyn AnySource> {
        &self.0.run.job.pipelines[self.0.pipeline].source
    }

    /// What the step at work computes of this split; none if what it does counts elsewhere.
    pub fn computation(&self) -> Option<Computation> {
        let Inner { run, pipeline, split, trace, .. } = &*self.0;
        let number = run.tally.computation(*pipeline, trace.step())?;
        Some(Computation { run: run.id, job: run.number, number, split: *split })
    }

    /// The bytes that what this task leaves may take in memory: all tasks in flight together leave half of the budget to the state
    /// that they feed.
    pub fn memory_share(&self) -> usize {
        self.budget().share(2 * self.0.run.in_flight)
    }

    /// Which operator is at work, on which row.
    pub fn trace(&self) -> &Trace {
        &self.0.trace
    }

    /// The counters of a step.
    pub fn step_metrics(&self, step: usize) -> Rc<StepMetrics> {
        Rc::clone(&self.0.steps[step])
    }

    /// What is to be told that elements reach a step, if it is an output of the run.
    pub fn first_output(&self, step: usize) -> Option<Arc<FirstOutput>> {
        let Inner { run, pipeline, .. } = &*self.0;
        match run.job.pipelines[*pipeline].steps[step].kind {
            StepKind::Terminal { terminal, .. } if run.job.terminals[terminal].is_output => {
                Some(Arc::clone(&run.metrics.first_output))
            }
            StepKind::Terminal { .. } | StepKind::Operator { .. } => None,
        }
    }

    /// An error once the run is to stop.
    ///
    /// # Errors
    ///
    /// If it was cancelled, or another task failed.
    pub fn check_canceled(&self) -> Result<()> {
        self.0.run.failed.check()?;
        self.0.run.cancel.check()
    }
}

/// Runs one split of a pipeline; an error or a panic comes back with operator and place.
pub fn run(run: &Arc<Run>, pipeline: usize, split: usize, events: &Sender<Event>) -> Result<()> {
    let started = Instant::now();
    let cx = TaskCx::new(run, pipeline, split);
    let source = &run.job.pipelines[pipeline].source;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        run.tally.task(&cx, pipeline, || {
            let head = assemble(run, &cx, split, events)?;
            cx.0.trace.enter(usize::MAX);
            source.read(split, &cx, head)
        })
    }));
    let result = outcome.unwrap_or_else(|payload| Err(panic_error(payload.as_ref())));
    let totals = &run.metrics.pipelines[pipeline];
    for (step, total) in cx.0.steps.iter().zip(&totals.steps) {
        step.add_to(total);
    }
    totals.nanos.fetch_add(nanos_since(started), Ordering::Relaxed);
    result.map_err(|error| locate(error, &cx, split))
}

/// Notes that a task is done.
pub fn note_done(run: &Run, pipeline: usize, split: usize) {
    let metrics = &run.metrics.pipelines[pipeline];
    metrics.tasks_done.fetch_add(1, Ordering::Relaxed);
    let spec = &run.job.pipelines[pipeline];
    let bytes = guarded(spec.call, || Ok(spec.source.split_bytes(split))).unwrap_or(0);
    metrics.bytes_done.fetch_add(bytes, Ordering::Relaxed);
}

/// The error of a panic, with its message.
pub fn panic_error(payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Error::new(ErrorKind::Panic, format!("the closure panicked: {}", text.unwrap_or("(no message)")))
}

fn locate(error: Error, cx: &TaskCx, split: usize) -> Error {
    if error.kind() == ErrorKind::Canceled {
        return error;
    }
    let pipeline = &cx.0.run.job.pipelines[cx.0.pipeline];
    let call = pipeline.steps.get(cx.0.trace.step()).map_or(pipeline.call, |step| step.call);
    let error = error.in_call(call);
    match cx.0.trace.failed_row() {
        Some(row) if error.place().is_none() => {
            // A source of a user's own may panic here, too; the row is known all the same.
            let place = guarded(pipeline.call, || Ok(pipeline.source.place(split, row)));
            error.at(place.unwrap_or_else(|_| Place::row(row)))
        }
        _ => error,
    }
}

/// Assembles the pipeline from its ends backwards and returns what the source pushes into.
fn assemble(run: &Arc<Run>, cx: &TaskCx, split: usize, events: &Sender<Event>) -> Result<AnyPush> {
    let pipeline = &run.job.pipelines[cx.0.pipeline];
    let mut assembly = Assembly { cx, split, events, built: Vec::new(), pumps: Vec::new() };
    assembly.built.resize_with(pipeline.steps.len(), || None);
    let max_depth = if run.fuse { MAX_DEPTH } else { 1 };
    let mut height = vec![1; pipeline.steps.len()];
    for (index, step) in pipeline.steps.iter().enumerate().rev() {
        if let StepKind::Operator { to, .. } = &step.kind {
            height[index] += to.iter().map(|&child| height[child]).max().unwrap_or(0);
        }
        assembly.step(index, step)?;
        if height[index] >= max_depth {
            height[index] = 0;
            assembly.cut(index, step)?;
        }
    }
    assembly.finish(pipeline)
}

struct Assembly<'a> {
    cx: &'a TaskCx,
    split: usize,
    events: &'a Sender<Event>,
    built: Vec<Option<AnyPush>>,
    pumps: Vec<Box<dyn Pump>>,
}

impl Assembly<'_> {
    fn step(&mut self, index: usize, step: &Step) -> Result<()> {
        let push = match &step.kind {
            StepKind::Operator { operator, output, to } => {
                let next = self.join(output.as_ref(), to)?;
                operator.build(self.cx, next)?
            }
            StepKind::Terminal { terminal, lane, rank } => {
                let order = Order { rank: *rank, split: self.split };
                let port = Port { terminal: *terminal, lane: *lane, order, events: self.events.clone() };
                self.cx.0.run.job.terminals[*terminal].terminal.writer(self.cx, port)?
            }
        };
        self.built[index] = Some(step.elements.meter(self.cx, index, push)?);
        Ok(())
    }

    /// Ends a segment before the step `index`.
    fn cut(&mut self, index: usize, step: &Step) -> Result<()> {
        if let Some(push) = self.built[index].take() {
            let (receive, pump) = step.elements.relay(push)?;
            self.built[index] = Some(receive);
            self.pumps.push(pump);
        }
        Ok(())
    }

    /// One receiving side for the steps `to`.
    fn join(&mut self, elements: &dyn Elements, to: &[usize]) -> Result<AnyPush> {
        let mut consumers: Vec<AnyPush> = to.iter().filter_map(|&step| self.built[step].take()).collect();
        match consumers.pop() {
            Some(only) if consumers.is_empty() => Ok(only),
            last => {
                consumers.extend(last);
                elements.tee(consumers)
            }
        }
    }

    fn finish(mut self, pipeline: &Pipeline) -> Result<AnyPush> {
        let head = self.join(pipeline.elements.as_ref(), &pipeline.heads)?;
        if self.pumps.is_empty() {
            return Ok(head);
        }
        self.pumps.reverse();
        pipeline.elements.pumped(head, self.pumps)
    }
}

/// Runs a piece of a terminal's work; an error or a panic comes back with the call of the terminal.
pub fn guarded<R>(call: CallSite, work: impl FnOnce() -> Result<R>) -> Result<R> {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    outcome.unwrap_or_else(|payload| Err(panic_error(payload.as_ref()))).map_err(|error| error.in_call(call))
}
