//! The jobs of a run: one if it has no loops; else what a loop needs, its rounds, one after the other, and what remains.
//!
//! A loop is driven from here, on the thread that called the action: a barrier between rounds is what a loop means. Each
//! round is a job of its own, whose state is held by the one before; what all rounds share is held from before the first to after
//! the last.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use super::{Inner, Started};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::beside::Beside;
use crate::exec::cancel::CancelToken;
use crate::exec::collect::{Gather, Gathered, Gathering};
use crate::exec::counter::{Counted, Tally};
use crate::exec::erased::Elements;
use crate::exec::hold::{Division, Keep, Storage};
use crate::exec::measured::Measured;
use crate::exec::metrics::{FirstOutput, RunMetrics};
use crate::exec::push::Demand;
use crate::exec::scheduler::{self, Limits};
use crate::exec::source::AnySource;
use crate::exec::task::{Run, RunId};
use crate::exec::trace::Cursor;
use crate::ops::computations;
use crate::plan::graph::{Held, Node, Shape, in_order, readable};
use crate::plan::loops::{Holding, Loop, next_loop, preparation};
use crate::plan::lower::{OpenSink, lower};
use crate::plan::stages::{Plan, Sink, plan};

/// One run.
pub(super) struct Jobs<'a> {
    ctx: &'a Inner,
    id: RunId,
    /// The jobs that have been started.
    started: usize,
    /// When the first element reached an output.
    pub(super) first_output: Arc<FirstOutput>,
    /// Bytes of input that its jobs have read.
    pub(super) input_bytes: u64,
    /// What closures have counted in the jobs that have ended.
    pub(super) counted: Counted,
}

impl<'a> Jobs<'a> {
    /// A run that nothing has been done of.
    pub(super) fn new(ctx: &'a Inner, id: RunId) -> Jobs<'a> {
        let first_output = Arc::new(FirstOutput::from_now());
        Jobs { ctx, id, started: 0, first_output, input_bytes: 0, counted: Counted::default() }
    }

    /// Runs the loops that `sinks` need, each after those that it needs, and then what remains. Only loops within loops
    /// recur here.
    pub(super) fn run(&mut self, sinks: &[OpenSink], mut held: Held) -> Result<()> {
        let roots: Vec<_> = sinks.iter().map(|open| Arc::clone(&open.sink.input)).collect();
        // Asked for anew each time: another run may have filled a cache meanwhile, and made loops before it needless.
        while let Some(node) = next_loop(&roots, &held) {
            if let Shape::Loop(each) = &node.shape {
                self.iterate(&node, each, &roots, &mut held)?;
            }
            // What the loop's rounds shared is given back, unless something else needs it.
            let needed: HashSet<_> = in_order(&roots, &held).iter().map(|node| node.id).collect();
            held.retain(|id, _| needed.contains(id));
        }
        self.job(sinks, &held)
    }

    /// Runs a loop whose inputs need no other one, and holds what it results in.
    fn iterate(&mut self, node: &Arc<Node>, each: &Loop, roots: &[Arc<Node>], held: &mut Held) -> Result<()> {
        let mut state = self.prepare(node, each, roots, held)?;
        for _ in 0..each.max_rounds {
            let mut known = held.clone();
            known.insert(each.state.id, state);
            let (next, is_over) = self.round(node, each, known)?;
            state = next;
            if is_over {
                break;
            }
        }
        held.insert(node.id, state);
        Ok(())
    }

    /// Computes what is to be held before the first round, in one job, and gives the first state.
    fn prepare(
        &mut self,
        node: &Arc<Node>,
        each: &Loop,
        roots: &[Arc<Node>],
        held: &mut Held,
    ) -> Result<Arc<dyn AnySource>> {
        let preparation = preparation(node, each, roots, held);
        let mut sinks = Vec::new();
        let mut keep = |(input, elements): &Holding| {
            let sink = Sink { input: Arc::clone(input), call: node.call, detail: String::new() };
            let (open, source) = self.hold(sink, elements);
            sinks.push(open);
            source
        };
        let state = preparation.state.as_ref().map(&mut keep);
        let others: Vec<_> = preparation.others.iter().map(|other| (other.0.id, keep(other))).collect();
        if !sinks.is_empty() {
            self.job(&sinks, held)?;
        }
        held.extend(others);
        let first = state.or_else(|| node.inputs.first().and_then(|input| readable(input, held)));
        first.ok_or_else(|| broken("a loop has no first state"))
    }

    /// Runs one round; true if it is the last one.
    fn round(&mut self, node: &Node, each: &Loop, known: Held) -> Result<(Arc<dyn AnySource>, bool)> {
        let mut results = each.sinks(node.call).into_iter();
        let next = results.next().ok_or_else(|| broken("a loop has no body"))?;
        let (next, source) = self.hold(next, &node.elements);
        let mut sinks = vec![next];
        let mut condition: Option<Gathered<bool>> = None;
        for sink in results {
            let (terminal, gathered) = Gather::new(Every);
            sinks.push(OpenSink { sink, terminal: Arc::new(terminal), is_output: false });
            condition = Some(gathered);
        }
        self.run(&sinks, known)?;
        let is_over = condition.map_or(Ok(false), Gathered::take)?;
        Ok((source, is_over))
    }

    /// A sink that is held, as often as it is read, and the source that gives it again.
    fn hold(&self, sink: Sink, elements: &Arc<dyn Elements>) -> (OpenSink, Arc<dyn AnySource>) {
        let (terminal, source) = elements.hold(
            Keep::Always,
            Division::Grouped,
            Storage::of(self.ctx.config.execution),
            &self.ctx.budget,
        );
        (OpenSink { sink, terminal, is_output: false }, source)
    }

    /// Runs what needs no loop any more.
    fn job(&mut self, sinks: &[OpenSink], held: &Held) -> Result<()> {
        let ctx = self.ctx;
        let described: Vec<_> = sinks.iter().map(|open| open.sink.clone()).collect();
        let plan = plan(&described, ctx.config.rules, ctx.config.execution, held);
        let identity = ctx.role.identity(&plan, &described);
        let mut job = lower(&plan, sinks, &ctx.budget)?;
        let tally = Arc::new(Tally::new(computations(&plan), ctx.counters.clone()));
        for (number, feed) in job.terminals.iter_mut().enumerate() {
            feed.terminal = tally.watch(number, Arc::clone(&feed.terminal));
        }
        let steps = job.pipelines.iter().map(|pipeline| pipeline.steps.len());
        let metrics = RunMetrics::new(steps, job.terminals.len(), Arc::clone(&self.first_output));
        self.started += 1;
        let run = Arc::new(Run {
            id: self.id,
            number: self.started,
            job,
            chunk_rows: ctx.config.chunk_rows,
            fuse: ctx.config.rules.fuse,
            budget: ctx.budget.clone(),
            threads: ctx.config.threads,
            in_flight: ctx.config.in_flight_splits,
            cancel: ctx.cancel.clone(),
            failed: CancelToken::new(),
            metrics,
            beside: beside(&plan, &tally),
            tally: Arc::clone(&tally),
        });
        let observer = ctx.observer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(observer) = observer {
            observer(&Arc::new(Started { plan, sinks: described, run: Arc::clone(&run) }));
        }
        let limits = Limits { threads: ctx.config.threads, in_flight: ctx.config.in_flight_splits };
        if !ctx.role.run(&run, identity)? {
            scheduler::run(Arc::clone(&run), &ctx.pool, limits)?;
        }
        self.input_bytes += run.metrics.bytes().0;
        self.counted.take_in(&tally);
        Ok(())
    }
}

/// What the tasks of a job leave beside what they deliver: what is measured, what closures count, and what nodes have attached to them.
fn beside(plan: &Plan, tally: &Arc<Tally>) -> Vec<Arc<dyn Beside>> {
    let mut all: Vec<Arc<dyn Beside>> = vec![Arc::new(Measured), Arc::clone(tally) as Arc<dyn Beside>];
    for node in &plan.nodes {
        if let Some(attached) = &node.attached {
            all.push(Arc::clone(attached) as Arc<dyn Beside>);
        }
    }
    all
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the graph is broken: {what}"))
}

/// Whether no element is false.
struct Every;

impl Gathering<bool> for Every {
    type State = bool;

    fn start(&self) -> bool {
        true
    }

    fn add(&self, state: &mut bool, items: &mut Vec<bool>, _at: &mut Cursor<'_>) -> Result<Demand> {
        *state &= items.drain(..).all(|item| item);
        Ok(Demand::More)
    }

    fn join(&self, state: &mut bool, later: bool) -> Demand {
        *state &= later;
        Demand::More
    }

    fn pack(&self, state: bool) -> Result<Vec<u8>> {
        Ok(vec![u8::from(state)])
    }

    fn unpack(&self, bytes: &[u8]) -> Result<bool> {
        Ok(bytes == [1])
    }
}
