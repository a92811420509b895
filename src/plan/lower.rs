//! Turns the description of a run into a job that the scheduler can run.

use std::sync::Arc;

use super::graph::{Node, Shape, readable};
use super::stages::{EndKind, EndPlan, PipelinePlan, Plan, Sink, StepPlan};
use crate::config::Execution;
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::erased::Elements;
use crate::exec::exchange::ExchangeSettings;
use crate::exec::hold::{Division, Keep, Storage};
use crate::exec::job::{Feed, Job, Pipeline, Step, StepKind, Terminal};
use crate::exec::memory::Budget;
use crate::exec::narrow::Operator;
use crate::exec::source::AnySource;

/// A sink as the planner knows it, and its terminal.
pub struct OpenSink {
    /// The sink.
    pub sink: Sink,
    /// Where its input ends.
    pub terminal: Arc<dyn Terminal>,
    /// Whether it is an output of the run, and not something that is held for later jobs of the run.
    pub is_output: bool,
}

/// An end that is open.
struct Opened {
    terminal: Arc<dyn Terminal>,
    behind: Behind,
}

/// What there is behind an end once it is complete.
enum Behind {
    /// A source to be read.
    Source(Arc<dyn AnySource>),
    /// An operator that looks at it.
    Operator(Arc<dyn Operator>),
    /// What the action knows.
    Result,
}

/// Opens every end of the plan and joins all into a job; `sinks` are those that were planned, in the same order.
///
/// # Errors
///
/// If the plan and the sinks do not belong together, or cycles of the plan wait for each other.
pub fn lower(plan: &Plan, sinks: &[OpenSink], budget: &Budget) -> Result<Job> {
    let mut readers = vec![0; plan.ends.len()];
    plan.pipelines.iter().filter_map(|pipeline| pipeline.reads).for_each(|end| readers[end] += 1);
    let open = |(end, readers): (&EndPlan, usize)| {
        let keep = if readers > 1 { Keep::Always } else { Keep::Once };
        open(end, keep, plan, sinks, budget)
    };
    let opened = plan.ends.iter().zip(readers).map(open).collect::<Result<Vec<Opened>>>()?;
    let pipeline = |pipeline| lower_pipeline(pipeline, plan, sinks, &opened);
    let mut pipelines = plan.pipelines.iter().map(pipeline).collect::<Result<Vec<_>>>()?;
    note_phases(plan, &mut pipelines)?;
    let feed = |(end, opened): (&EndPlan, &Opened)| Feed {
        terminal: Arc::clone(&opened.terminal),
        call: call_of(end, sinks),
        is_output: matches!(end.kind, EndKind::Sink(sink) if sinks[sink].is_output),
        lanes: end.lanes.clone(),
    };
    let terminals = plan.ends.iter().zip(&opened).map(feed).collect();
    Ok(Job { pipelines, terminals })
}

/// Makes each pipeline of the MapReduce mode run in the phase of its cycle.
fn note_phases(plan: &Plan, pipelines: &mut [Pipeline]) -> Result<()> {
    let cycles = || plan.cycles.iter().enumerate();
    let maps = cycles().flat_map(|(number, cycle)| cycle.maps.iter().map(move |&map| (map, 2 * number)));
    let reduces = cycles()
        .flat_map(|(number, cycle)| cycle.reduces.iter().map(move |&reduce| (reduce, 2 * number + 1)));
    let mut placed = 0;
    for (pipeline, phase) in maps.chain(reduces) {
        pipelines[pipeline].phase = phase;
        placed += 1;
    }
    if plan.execution == Execution::MapReduce && placed != pipelines.len() {
        return Err(Error::new(ErrorKind::Internal, "cycles of the plan wait for each other"));
    }
    Ok(())
}

/// Opens an end; what is stored at the end of a cycle is kept as long as it is read.
fn open(end: &EndPlan, keep: Keep, plan: &Plan, sinks: &[OpenSink], budget: &Budget) -> Result<Opened> {
    let storage = Storage::of(plan.execution);
    let node = match &end.kind {
        EndKind::Sink(sink) => {
            return Ok(Opened { terminal: Arc::clone(&sinks[*sink].terminal), behind: Behind::Result });
        }
        EndKind::Side(_, broadcasting) => {
            let (terminal, operator) = broadcasting.broadcast.open(budget, plan.execution);
            return Ok(Opened { terminal, behind: Behind::Operator(operator) });
        }
        EndKind::Held(node) => {
            let (terminal, source) = node.elements.hold(Keep::Always, Division::Grouped, storage, budget);
            return Ok(Opened { terminal, behind: Behind::Source(source) });
        }
        EndKind::Stored(_, elements) => {
            let (terminal, source) = elements.hold(keep, Division::AsLeft, storage, budget);
            return Ok(Opened { terminal, behind: Behind::Source(source) });
        }
        EndKind::Node(node) => node,
    };
    let (terminal, source) = match &node.shape {
        Shape::Wide(exchange) => exchange.open(&ExchangeSettings {
            partition_bits: end.partition_bits,
            combine: plan.rules.combine,
            budget: budget.clone(),
            execution: plan.execution,
        }),
        Shape::Cache(slot) => slot.open(),
        Shape::Union => node.elements.hold(Keep::Once, Division::Grouped, storage, budget),
        Shape::Loop(_) => return Err(broken("a loop was planned that has not run")),
        Shape::Source(_) | Shape::Narrow(_) | Shape::Broadcast(_) => {
            return Err(broken("a node that holds nothing was planned as an end"));
        }
    };
    Ok(Opened { terminal, behind: Behind::Source(source) })
}

fn call_of(end: &EndPlan, sinks: &[OpenSink]) -> CallSite {
    match &end.kind {
        EndKind::Sink(sink) => sinks[*sink].sink.call,
        EndKind::Node(node) | EndKind::Side(node, _) | EndKind::Held(node) | EndKind::Stored(node, _) => {
            node.call
        }
    }
}

fn lower_pipeline(
    planned: &PipelinePlan,
    plan: &Plan,
    sinks: &[OpenSink],
    opened: &[Opened],
) -> Result<Pipeline> {
    let origin = &planned.origin;
    let source = match planned.reads.map(|end| &opened[end].behind) {
        Some(Behind::Source(source)) => Some(Arc::clone(source)),
        Some(Behind::Operator(_) | Behind::Result) => None,
        None => readable(origin, &plan.held),
    };
    let mut steps: Vec<Step> = Vec::with_capacity(planned.steps.len());
    let mut received: Vec<Option<Arc<dyn Elements>>> = vec![None; planned.steps.len()];
    for &head in &planned.heads {
        received[head] = Some(Arc::clone(&origin.elements));
    }
    for (index, step) in planned.steps.iter().enumerate() {
        // Parents stand before their children, so that what this step receives is known by now.
        let elements = received[index].take().ok_or_else(|| broken("a step without a parent"))?;
        if let StepPlan::Operator { node, to, .. } = step {
            for &child in to {
                received[child] = Some(Arc::clone(&node.elements));
            }
        }
        steps.push(lower_step(step, plan, sinks, opened, elements)?);
    }
    Ok(Pipeline {
        source: source.ok_or_else(|| broken("a pipeline without a source"))?,
        call: origin.call,
        elements: Arc::clone(&origin.elements),
        reads: planned.reads,
        after: planned.after.iter().copied().collect(),
        phase: 0,
        steps,
        heads: planned.heads.clone(),
    })
}

fn lower_step(
    step: &StepPlan,
    plan: &Plan,
    sinks: &[OpenSink],
    opened: &[Opened],
    elements: Arc<dyn Elements>,
) -> Result<Step> {
    match step {
        StepPlan::Operator { node, looks_at, to } => {
            let operator = operator(node, looks_at.map(|end| &opened[end].behind))?;
            let output = Arc::clone(&node.elements);
            let kind = StepKind::Operator { operator, output, to: to.clone() };
            Ok(Step { call: node.call, elements, kind })
        }
        StepPlan::End { end, lane, rank } => {
            let call = call_of(&plan.ends[*end], sinks);
            Ok(Step { call, elements, kind: StepKind::Terminal { terminal: *end, lane: *lane, rank: *rank } })
        }
    }
}

fn operator(node: &Node, looks_at: Option<&Behind>) -> Result<Arc<dyn Operator>> {
    match (&node.shape, looks_at) {
        (Shape::Narrow(operator), None) | (_, Some(Behind::Operator(operator))) => Ok(Arc::clone(operator)),
        _ => Err(broken("a node that is not narrow was fused")),
    }
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the plan is broken: {what}"))
}
