//! Runs a job: starts tasks as they become ready, and lets terminals absorb what arrives.
//!
//! The driver is the thread that called the action. It alone decides, by the state below; it waits on a channel of
//! events and never computes. Workers never wait: a task or a piece of absorbing, once started, runs to its end. What
//! to start is chosen in this order: absorb what has arrived (it frees memory), then the next tasks of the pipelines in
//! the order of the job.
//!
//! Two rules keep memory bounded without blocking anyone: at most `threads` tasks and pieces run at a time (one more has been handed to the
//! pool, so that no worker is idle until the driver has woken up), and a task
//! starts only while it is less than `in_flight` splits ahead of the oldest unfinished one of its pipeline, because what
//! it leaves cannot be absorbed before theirs, and while no cell that it feeds has fallen behind. A run cannot lock up by
//! either: the oldest one is not ahead, and a cell that is behind is at work. What no rule bounds is the later input of a
//! union, if it is ready before the earlier one: it waits in memory.
//!
//! No barrier stands anywhere: a cell absorbs while later splits are still read, and a pipeline starts as soon as the
//! terminals are sealed that it reads and that its operators look at: as a rule one, or none. Only where the job says so, by phases, does
//! a pipeline wait for others that it does not need: that is the MapReduce mode.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender, unbounded};

use super::job::{Batch, Order, StepKind};
use super::metrics::nanos_since;
use super::push::Demand;
use super::task::{self, Run};
use crate::error::{Error, ErrorKind, Result};

/// What workers tell the driver.
pub enum Event {
    /// A task leaves batches for a terminal's cells.
    Delivered { terminal: usize, lane: usize, order: Order, batches: Vec<(usize, Batch)> },
    /// A task ended; what it delivered has been sent before.
    TaskEnded { pipeline: usize, split: usize, result: Result<()> },
    /// Cells have absorbed, or been sealed.
    CellsDone { terminal: usize, cells: Vec<usize>, sealed: bool, result: Result<Demand> },
}

/// How many workers there are and how far they may run ahead.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Tasks and pieces that run at a time.
    pub threads: usize,
    /// Splits that a pipeline may be ahead of its oldest unfinished one.
    pub in_flight: usize,
}

/// Runs the job to its end on `pool` and waits for it.
///
/// # Errors
///
/// The first failure of a task or a terminal, after everything that was running has ended.
pub fn run(run: Arc<Run>, pool: &rayon::ThreadPool, limits: Limits) -> Result<()> {
    let (events, inbox) = unbounded();
    Driver::new(run, pool, limits, events).drive(&inbox)
}

struct Driver<'a> {
    run: Arc<Run>,
    pool: &'a rayon::ThreadPool,
    limits: Limits,
    events: Sender<Event>,
    running: usize,
    pipelines: Vec<PipelineState>,
    /// The pipelines that have splits left to start, or may have: no more is looked at after each event.
    unstarted: Vec<usize>,
    /// Pipelines of later phases do not start yet.
    phase: usize,
    terminals: Vec<TerminalState>,
    failure: Option<Error>,
}

/// Which splits of a pipeline have been started and ended.
#[derive(Default)]
struct PipelineState {
    splits: Option<usize>,
    started: usize,
    ended_in_order: usize,
    ended_early: BTreeSet<usize>,
}

struct TerminalState {
    lanes: Vec<LaneState>,
    cells: Vec<CellState>,
    all_arrived: bool,
    unsealed: usize,
    enough: bool,
}

/// What has arrived of one lane, and what is to be absorbed next.
struct LaneState {
    next: Order,
    waiting: BTreeMap<Order, Vec<(usize, Batch)>>,
}

/// Batches, each with its lane, in the order in which they are to be absorbed.
type Queue = VecDeque<(usize, Batch)>;

#[derive(Default)]
struct CellState {
    queue: Queue,
    busy: bool,
    sealing: bool,
}

impl PipelineState {
    fn end(&mut self, split: usize) {
        self.ended_early.insert(split);
        while self.ended_early.remove(&self.ended_in_order) {
            self.ended_in_order += 1;
        }
    }

    fn all_started(&self) -> bool {
        self.splits == Some(self.started)
    }

    fn is_done(&self) -> bool {
        self.splits == Some(self.ended_in_order)
    }
}

impl TerminalState {
    fn new(lanes: usize, cells: usize) -> TerminalState {
        let lane = || LaneState { next: Order { rank: 0, split: 0 }, waiting: BTreeMap::new() };
        TerminalState {
            lanes: std::iter::repeat_with(lane).take(lanes).collect(),
            cells: std::iter::repeat_with(CellState::default).take(cells).collect(),
            all_arrived: false,
            unsealed: cells,
            enough: false,
        }
    }
}

impl TerminalState {
    /// Whether a cell has more to absorb than tasks may leave. It is busy then, and will cause an event.
    fn is_behind(&self, limit: usize) -> bool {
        self.cells.iter().any(|cell| cell.busy && cell.queue.len() >= limit)
    }
}

impl<'a> Driver<'a> {
    fn new(run: Arc<Run>, pool: &'a rayon::ThreadPool, limits: Limits, events: Sender<Event>) -> Driver<'a> {
        let pipelines: Vec<_> = run.job.pipelines.iter().map(|_| PipelineState::default()).collect();
        let unstarted = (0..pipelines.len()).collect();
        let terminals = run
            .job
            .terminals
            .iter()
            .map(|feed| TerminalState::new(feed.lanes.len(), feed.terminal.cells()))
            .collect();
        Driver {
            run,
            pool,
            limits,
            events,
            running: 0,
            pipelines,
            unstarted,
            phase: 0,
            terminals,
            failure: None,
        }
    }

    fn drive(mut self, inbox: &Receiver<Event>) -> Result<()> {
        loop {
            if self.failure.is_none() && self.run.cancel.is_canceled() {
                self.failure = self.run.cancel.check().err();
            }
            if self.failure.is_none() {
                self.schedule();
            }
            if self.running == 0 && inbox.is_empty() {
                break;
            }
            match inbox.recv() {
                Ok(event) => self.handle(event),
                Err(_) => break,
            }
        }
        match self.failure {
            Some(error) => Err(error),
            None if self.terminals.iter().all(|terminal| terminal.unsealed == 0) => Ok(()),
            None => Err(Error::new(ErrorKind::Internal, "the run came to a halt before its end")),
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Delivered { terminal, lane, order, batches } => {
                self.terminals[terminal].lanes[lane].waiting.insert(order, batches);
            }
            Event::TaskEnded { pipeline, split, result } => {
                self.running -= 1;
                self.pipelines[pipeline].end(split);
                self.note_failure(result.err());
            }
            Event::CellsDone { terminal, cells, sealed, result } => {
                self.running -= 1;
                self.cells_done(terminal, &cells, sealed, result);
            }
        }
    }

    fn note_failure(&mut self, error: Option<Error>) {
        if let Some(error) = error {
            self.run.failed.cancel();
            self.failure.get_or_insert(error);
        }
    }

    fn cells_done(&mut self, terminal: usize, cells: &[usize], sealed: bool, result: Result<Demand>) {
        let state = &mut self.terminals[terminal];
        for &cell in cells {
            state.cells[cell].busy = false;
        }
        if sealed {
            state.unsealed -= cells.len();
        }
        match result {
            Ok(flow) => state.enough |= flow == Demand::Enough,
            Err(error) => self.note_failure(Some(error)),
        }
    }

    fn schedule(&mut self) {
        let mut again = true;
        while std::mem::take(&mut again) {
            for terminal in 0..self.terminals.len() {
                if self.terminals[terminal].unsealed > 0 {
                    self.take_in_order(terminal);
                    self.start_cells(terminal);
                }
            }
            let unstarted = std::mem::take(&mut self.unstarted);
            for &pipeline in &unstarted {
                if self.running > self.limits.threads {
                    break;
                }
                // A pipeline without a task to end causes no event, but may complete what it feeds.
                again |= self.open(pipeline) | self.skip_unwanted(pipeline);
                while self.may_start(pipeline) {
                    self.start_task(pipeline);
                }
            }
            self.unstarted = unstarted;
            self.unstarted.retain(|&pipeline| !self.pipelines[pipeline].all_started());
            again |= self.enter_next_phase();
        }
    }

    /// Enters the next phase once nothing of the present one runs or can start; false if there is none, or not yet.
    fn enter_next_phase(&mut self) -> bool {
        let phase_of = |pipeline: &usize| self.run.job.pipelines[*pipeline].phase;
        let Some(next) = self.unstarted.iter().map(phase_of).filter(|phase| *phase > self.phase).min() else {
            return false;
        };
        let has_ended =
            |(pipeline, state): (usize, &PipelineState)| phase_of(&pipeline) >= next || state.is_done();
        if self.running > 0 || !self.pipelines.iter().enumerate().all(has_ended) {
            return false;
        }
        self.phase = next;
        true
    }

    /// Moves what has arrived in order to the queues of its cells.
    fn take_in_order(&mut self, terminal: usize) {
        let feed = &self.run.job.terminals[terminal];
        let state = &mut self.terminals[terminal];
        let mut all_arrived = true;
        for (lane, (inputs, arrived)) in feed.lanes.iter().zip(&mut state.lanes).enumerate() {
            while arrived.next.rank < inputs.len() {
                if let Some(batches) = arrived.waiting.remove(&arrived.next) {
                    for (cell, batch) in batches {
                        state.cells[cell].queue.push_back((lane, batch));
                    }
                    arrived.next.split += 1;
                } else if self.pipelines[inputs[arrived.next.rank]].splits == Some(arrived.next.split) {
                    arrived.next = Order { rank: arrived.next.rank + 1, split: 0 };
                } else {
                    break;
                }
            }
            all_arrived &= arrived.next.rank == inputs.len();
        }
        let is_done = |&pipeline: &usize| self.pipelines[pipeline].is_done();
        let has_enough = state.enough && feed.lanes.iter().flatten().all(is_done);
        state.all_arrived = all_arrived || has_enough;
    }

    /// Starts absorbing, or sealing, the cells that are ready, a few in one piece.
    fn start_cells(&mut self, terminal: usize) {
        let state = &mut self.terminals[terminal];
        let piece = state.cells.len().div_ceil(4 * self.limits.threads);
        let (mut absorb, mut seal) = (Vec::new(), Vec::new());
        for (index, cell) in state.cells.iter_mut().enumerate().filter(|(_, cell)| !cell.busy) {
            if !cell.queue.is_empty() {
                cell.busy = true;
                absorb.push((index, std::mem::take(&mut cell.queue)));
            } else if state.all_arrived && !cell.sealing {
                (cell.busy, cell.sealing) = (true, true);
                seal.push((index, VecDeque::new()));
            }
        }
        for (mut cells, sealed) in [(absorb, false), (seal, true)] {
            while !cells.is_empty() {
                let rest = cells.split_off(piece.min(cells.len()));
                self.start_piece(terminal, std::mem::replace(&mut cells, rest), sealed);
            }
        }
    }

    fn start_piece(&mut self, terminal: usize, cells: Vec<(usize, Queue)>, sealed: bool) {
        self.running += 1;
        let (run, events) = (Arc::clone(&self.run), self.events.clone());
        self.pool.spawn(move || {
            let started = Instant::now();
            let indices = cells.iter().map(|(cell, _)| *cell).collect();
            let feed = &run.job.terminals[terminal];
            let result = task::guarded(feed.call, || {
                let mut flow = Demand::More;
                for (cell, queue) in cells {
                    for (lane, batch) in queue {
                        run.failed.check()?;
                        run.cancel.check()?;
                        flow = feed.terminal.absorb(cell, lane, batch)?;
                    }
                    if sealed {
                        feed.terminal.seal(cell)?;
                    }
                }
                Ok(flow)
            });
            run.metrics.terminals[terminal].nanos.fetch_add(nanos_since(started), Ordering::Relaxed);
            drop(run);
            let _open = events.send(Event::CellsDone { terminal, cells: indices, sealed, result });
        });
    }

    /// Asks for the number of splits once the pipeline may start; true if there are none.
    fn open(&mut self, pipeline: usize) -> bool {
        let spec = &self.run.job.pipelines[pipeline];
        let ready = spec.phase <= self.phase
            && spec.after.iter().all(|&terminal| self.terminals[terminal].unsealed == 0);
        if !ready || self.pipelines[pipeline].splits.is_some() {
            return false;
        }
        let asked = task::guarded(spec.call, || {
            let splits = spec.source.splits();
            Ok((splits, (0..splits).map(|split| spec.source.split_bytes(split)).sum()))
        });
        match asked {
            Ok((splits, bytes)) => {
                let metrics = &self.run.metrics.pipelines[pipeline];
                metrics.tasks.store(splits, Ordering::Relaxed);
                metrics.bytes_total.store(bytes, Ordering::Relaxed);
                self.pipelines[pipeline].splits = Some(splits);
                splits == 0
            }
            Err(error) => {
                self.note_failure(Some(error));
                false
            }
        }
    }

    /// Forgets the splits that nobody wants any more; true if there were some.
    fn skip_unwanted(&mut self, pipeline: usize) -> bool {
        let left =
            self.pipelines[pipeline].splits.is_some_and(|splits| self.pipelines[pipeline].started < splits);
        if !left || !self.nobody_wants(pipeline) {
            return false;
        }
        let state = &mut self.pipelines[pipeline];
        state.splits = Some(state.started);
        true
    }

    fn may_start(&self, pipeline: usize) -> bool {
        let state = &self.pipelines[pipeline];
        state.splits.is_some_and(|splits| state.started < splits)
            && self.running <= self.limits.threads
            && state.started < state.ended_in_order + self.limits.in_flight
            && !self.ends(pipeline).any(|terminal| self.terminals[terminal].is_behind(self.limits.in_flight))
    }

    /// Whether every terminal that the pipeline feeds has enough.
    fn nobody_wants(&self, pipeline: usize) -> bool {
        self.ends(pipeline).all(|terminal| self.terminals[terminal].enough)
    }

    /// The terminals that a pipeline feeds.
    fn ends(&self, pipeline: usize) -> impl Iterator<Item = usize> {
        self.run.job.pipelines[pipeline].steps.iter().filter_map(|step| match step.kind {
            StepKind::Terminal { terminal, .. } => Some(terminal),
            StepKind::Operator { .. } => None,
        })
    }

    fn start_task(&mut self, pipeline: usize) {
        let split = self.pipelines[pipeline].started;
        self.pipelines[pipeline].started += 1;
        self.running += 1;
        let (run, events) = (Arc::clone(&self.run), self.events.clone());
        self.pool.spawn(move || {
            let result = task::run(&run, pipeline, split, &events);
            task::note_done(&run, pipeline, split);
            drop(run);
            let _open = events.send(Event::TaskEnded { pipeline, split, result });
        });
    }
}
