//! Cuts the graph into pipelines: the description that `explain` prints and that [`super::lower`] makes runnable.
//!
//! An *origin* is a node that a pipeline starts from: a source, a wide node's output, a cache, what the run holds already. Every *end*
//! (a wide node, a cache to fill, a loop that has not run yet, a sink) is reached from origins over paths of narrow operators; a union
//! is where paths meet. Each path is followed backwards from its end, in the order in which its elements count, and entered into the
//! tree of its origin, where common beginnings are shared.
//!
//! The side that an operator broadcasts is an end, too. The other side passes that operator as it would a narrow one, in a
//! pipeline that starts after that end. Where this cannot be, because the same pipeline would feed that end, the origin is read in a
//! second pipeline; and what can be read once only is held for it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::broadcast::{Broadcasting, Broadcasts, choose};
use super::cycles::{Cycle, into_cycles};
use super::graph::{Held, Node, NodeId, Shape, in_order, needed_inputs, readable};
use super::loops::is_worth_holding;
use crate::config::{Execution, Rules};
use crate::error::CallSite;
use crate::exec::broadcast::Side;
use crate::exec::erased::Elements;

/// Input bytes a partition of an exchange is meant for.
const BYTES_PER_PARTITION: u64 = 16 << 20;

/// What an input of unknown size is taken for.
const UNKNOWN_BYTES: u64 = 64 << 20;

/// An exchange has at most `2^MAX_PARTITION_BITS` partitions.
const MAX_PARTITION_BITS: u32 = 8;

/// Paths that may lead to a union, or twice the number of origins if that is more, before the union is cut: every path has
/// its own copy of what follows, and a ladder of unions doubles them at each step.
const MAX_PATHS: u64 = 64;

/// A result that is asked for.
#[derive(Clone)]
pub struct Sink {
    /// What it takes.
    pub input: Arc<Node>,
    /// The action.
    pub call: CallSite,
    /// What is worth saying of it besides its name.
    pub detail: String,
}

/// The stages of a run.
pub struct Plan {
    /// All nodes, inputs first.
    pub nodes: Vec<Arc<Node>>,
    /// The pipelines, in an order in which each can run.
    pub pipelines: Vec<PipelinePlan>,
    /// Where they end: exchanges, sides that are broadcast, caches and cut unions first, then the sinks in the order given, and what is
    /// held for another pipeline when the need for it is found.
    pub ends: Vec<EndPlan>,
    /// The rules that were applied.
    pub rules: Rules,
    /// How it is run.
    pub execution: Execution,
    /// The cycles of the MapReduce mode, one after the other; none for dataflow.
    pub cycles: Vec<Cycle>,
    /// What the run holds already.
    pub held: Held,
}

/// A tree of fused operators between an origin and ends.
#[derive(Clone)]
pub struct PipelinePlan {
    /// The node whose elements are read.
    pub origin: Arc<Node>,
    /// The end whose output is read, if the origin is computed by this run.
    pub reads: Option<usize>,
    /// The ends that must be complete before: the one that is read, and those that operators look at.
    pub after: BTreeSet<usize>,
    /// The steps, parents first.
    pub steps: Vec<StepPlan>,
    /// The steps right after the origin.
    pub heads: Vec<usize>,
}

/// A step of a pipeline.
#[derive(Clone)]
pub enum StepPlan {
    /// A narrow operator and the steps after it; or one that looks at the side that it broadcasts, and the end of that side.
    Operator { node: Arc<Node>, looks_at: Option<usize>, to: Vec<usize> },
    /// The end of a path, as the end's input of this rank in this lane.
    End { end: usize, lane: usize, rank: usize },
}

/// Where paths end.
pub struct EndPlan {
    /// What it is.
    pub kind: EndKind,
    /// For each dataset that it reads, the pipeline of each path, in the order in which their elements count.
    pub lanes: Vec<Vec<usize>>,
    /// For an exchange: `2^partition_bits` partitions.
    pub partition_bits: u32,
}

/// What an end is.
pub enum EndKind {
    /// A wide node, a cache to fill, a loop that has not run yet, or a union that is cut.
    Node(Arc<Node>),
    /// The side that a node broadcasts.
    Side(Arc<Node>, Broadcasting),
    /// What a node emits, for another pipeline that must read it later.
    Held(Arc<Node>),
    /// What a node emits at the end of a cycle of the MapReduce mode, and what its elements can do: it is written to disk, and read by
    /// later cycles in the splits in which it was computed.
    Stored(Arc<Node>, Arc<dyn Elements>),
    /// The sink of this index.
    Sink(usize),
}

/// Plans a run that holds something already.
pub fn plan(sinks: &[Sink], rules: Rules, execution: Execution, held: &Held) -> Plan {
    let roots: Vec<Arc<Node>> = sinks.iter().map(|sink| Arc::clone(&sink.input)).collect();
    let nodes = in_order(&roots, held);
    let mut planner = Planner::new(&nodes, rules, held);
    for node in &nodes {
        if let Some((end, held)) = planner.sides.get(&node.id).copied() {
            planner.trace_back(end, 0, &node.inputs[held.index()]);
        }
        if let Some(end) = planner.ends_of_nodes.get(&node.id).copied() {
            for (index, input) in node.inputs.iter().enumerate() {
                // The datasets that a wide node reads may be of different types; those of a union follow each other.
                let lane = if matches!(node.shape, Shape::Wide(_) | Shape::Loop(_)) { index } else { 0 };
                let is_held = !matches!(node.shape, Shape::Loop(_)) || index == 0 || is_worth_holding(input);
                if is_held {
                    planner.trace_back(end, lane, input);
                }
            }
        }
    }
    for (index, sink) in sinks.iter().enumerate() {
        let end = planner.add_end(EndKind::Sink(index), 0);
        planner.trace_back(end, 0, &sink.input);
    }
    let (pipelines, ends) = in_run_order(planner.pipelines, planner.ends);
    let plan = Plan { nodes, pipelines, ends, rules, execution, cycles: Vec::new(), held: held.clone() };
    match execution {
        Execution::Dataflow | Execution::Spark => plan,
        Execution::MapReduce => into_cycles(plan),
    }
}

struct Planner<'a> {
    rules: Rules,
    /// What the run holds already.
    ready: &'a Held,
    pipelines: Vec<PipelinePlan>,
    ends: Vec<EndPlan>,
    /// The end of each node that is one.
    ends_of_nodes: HashMap<NodeId, usize>,
    /// The end of the side that each node broadcasts.
    sides: HashMap<NodeId, (usize, Side)>,
    /// The pipelines of each origin.
    pipelines_of_origins: HashMap<NodeId, Vec<usize>>,
    /// The end that holds what can be read once only, where it is read again.
    held: HashMap<NodeId, usize>,
    /// The step of an operator after a step, or after the origin, of a pipeline.
    steps: HashMap<(usize, Option<usize>, NodeId), usize>,
}

/// A way back from an end: the operators passed so far, the last one first.
struct Way {
    at: Arc<Node>,
    passed: Option<usize>,
}

impl<'a> Planner<'a> {
    fn new(nodes: &[Arc<Node>], rules: Rules, held: &'a Held) -> Planner<'a> {
        let mut planner = Planner {
            rules,
            ready: held,
            pipelines: Vec::new(),
            ends: Vec::new(),
            ends_of_nodes: HashMap::new(),
            sides: HashMap::new(),
            pipelines_of_origins: HashMap::new(),
            held: HashMap::new(),
            steps: HashMap::new(),
        };
        let broadcasts = choose(nodes, rules, held);
        let sizes = estimate_bytes(nodes, held);
        let visited: HashSet<NodeId> = nodes.iter().map(|node| node.id).collect();
        for (node, bytes) in nodes.iter().zip(sizes) {
            if let Some(broadcasting) = broadcasts.get(&node.id) {
                let end = planner.add_end(EndKind::Side(Arc::clone(node), broadcasting.clone()), 0);
                planner.sides.insert(node.id, (end, broadcasting.held));
                continue;
            }
            let is_end = match &node.shape {
                Shape::Wide(_) | Shape::Loop(_) => true,
                // Another run may be filling it at this moment: what counts is what it was when the nodes were collected.
                Shape::Cache(_) => node.inputs.iter().all(|input| visited.contains(&input.id)),
                Shape::Source(_) | Shape::Narrow(_) | Shape::Union | Shape::Broadcast(_) => false,
            };
            if is_end && !held.contains_key(&node.id) {
                planner.add_node_end(node, partition_bits(bytes));
            }
        }
        for union in crowded_unions(nodes, &broadcasts, held) {
            planner.add_node_end(&union, 0);
        }
        planner
    }

    fn add_node_end(&mut self, node: &Arc<Node>, partition_bits: u32) {
        let end = self.add_end(EndKind::Node(Arc::clone(node)), partition_bits);
        self.ends_of_nodes.insert(node.id, end);
    }

    fn add_end(&mut self, kind: EndKind, partition_bits: u32) -> usize {
        self.ends.push(EndPlan { kind, lanes: Vec::new(), partition_bits });
        self.ends.len() - 1
    }

    /// Follows every path from `start` back to its origin, in the order of the elements, and enters it.
    fn trace_back(&mut self, end: usize, lane: usize, start: &Arc<Node>) {
        let lanes = &mut self.ends[end].lanes;
        lanes.resize(lanes.len().max(lane + 1), Vec::new());
        let mut passed: Vec<(Arc<Node>, Option<usize>)> = Vec::new();
        let mut ways = vec![Way { at: Arc::clone(start), passed: None }];
        while let Some(way) = ways.pop() {
            match &way.at.shape {
                _ if self.ready.contains_key(&way.at.id) => self.enter(end, lane, &way, &passed),
                Shape::Union if !self.ends_of_nodes.contains_key(&way.at.id) => {
                    // The first input is to be followed first: the stack gives back the last one pushed.
                    let inputs = way.at.inputs.iter().rev();
                    ways.extend(inputs.map(|input| Way { at: Arc::clone(input), passed: way.passed }));
                }
                _ => match self.passing_input(&way.at) {
                    Some(input) => {
                        passed.push((Arc::clone(&way.at), way.passed));
                        ways.push(Way { at: Arc::clone(input), passed: Some(passed.len() - 1) });
                    }
                    None => self.enter(end, lane, &way, &passed),
                },
            }
        }
    }

    /// The input whose elements pass a node within a pipeline; none if one starts there.
    fn passing_input<'n>(&self, node: &'n Node) -> Option<&'n Arc<Node>> {
        match &node.shape {
            Shape::Narrow(_) => node.inputs.first(),
            _ => self.sides.get(&node.id).map(|(_, held)| &node.inputs[held.other().index()]),
        }
    }

    /// Enters a path into the tree of its origin.
    fn enter(&mut self, end: usize, lane: usize, way: &Way, passed: &[(Arc<Node>, Option<usize>)]) {
        let pipeline = self.pipeline_from(&way.at, &self.looked_at(way, passed));
        let mut parent = None;
        let mut next = way.passed;
        while let Some((node, after)) = next.map(|index| &passed[index]) {
            let key = (pipeline, parent, node.id);
            let known = self.steps.get(&key).copied();
            let step = known.unwrap_or_else(|| {
                let looks_at = self.sides.get(&node.id).map(|(end, _)| *end);
                let node = Arc::clone(node);
                self.add_step(pipeline, parent, StepPlan::Operator { node, looks_at, to: Vec::new() })
            });
            self.steps.insert(key, step);
            parent = Some(step);
            next = *after;
        }
        let inputs = &mut self.ends[end].lanes[lane];
        let rank = inputs.len();
        inputs.push(pipeline);
        self.add_step(pipeline, parent, StepPlan::End { end, lane, rank });
    }

    fn add_step(&mut self, pipeline: usize, parent: Option<usize>, step: StepPlan) -> usize {
        let pipeline = &mut self.pipelines[pipeline];
        let index = pipeline.steps.len();
        pipeline.steps.push(step);
        match parent.map(|parent| &mut pipeline.steps[parent]) {
            Some(StepPlan::Operator { to, .. }) => to.push(index),
            _ => pipeline.heads.push(index),
        }
        index
    }

    /// The ends of the sides that operators on a way look at.
    fn looked_at(&self, way: &Way, passed: &[(Arc<Node>, Option<usize>)]) -> BTreeSet<usize> {
        let mut ends = BTreeSet::new();
        let mut next = way.passed;
        while let Some((node, after)) = next.map(|index| &passed[index]) {
            ends.extend(self.sides.get(&node.id).map(|(end, _)| *end));
            next = *after;
        }
        ends
    }

    /// The pipeline that starts from `origin` after the ends `looked_at`. Without sharing, each path from a source reads it anew;
    /// what an exchange holds can be read once only.
    fn pipeline_from(&mut self, origin: &Arc<Node>, looked_at: &BTreeSet<usize>) -> usize {
        let computed = self.ends_of_nodes.get(&origin.id).copied();
        let known = self.pipelines_of_origins.get(&origin.id).cloned().unwrap_or_default();
        if self.rules.share || computed.is_some() {
            let fitting = known.iter().find(|pipeline| self.may_wait(**pipeline, looked_at));
            if let Some(&pipeline) = fitting {
                self.pipelines[pipeline].after.extend(looked_at);
                return pipeline;
            }
        }
        let reads = match (computed, known.first()) {
            (Some(_), Some(&first)) if !matches!(origin.shape, Shape::Cache(_)) => {
                Some(self.hold(origin, first))
            }
            _ => computed,
        };
        let pipeline = self.pipelines.len();
        self.pipelines_of_origins.entry(origin.id).or_default().push(pipeline);
        let after = looked_at.iter().copied().chain(reads).collect();
        let (origin, steps, heads) = (Arc::clone(origin), Vec::new(), Vec::new());
        self.pipelines.push(PipelinePlan { origin, reads, after, steps, heads });
        pipeline
    }

    /// Whether a pipeline may start after further ends: whether none of them waits for the pipeline itself.
    fn may_wait(&self, pipeline: usize, further: &BTreeSet<usize>) -> bool {
        let mut ends: Vec<usize> = further.difference(&self.pipelines[pipeline].after).copied().collect();
        let mut seen = HashSet::new();
        while let Some(end) = ends.pop() {
            for &feeding in self.ends[end].lanes.iter().flatten() {
                if feeding == pipeline {
                    return false;
                }
                if seen.insert(feeding) {
                    ends.extend(&self.pipelines[feeding].after);
                }
            }
        }
        true
    }

    /// The end that holds what `origin` emits, filled by the pipeline that reads it.
    fn hold(&mut self, origin: &Arc<Node>, pipeline: usize) -> usize {
        if let Some(end) = self.held.get(&origin.id) {
            return *end;
        }
        let end = self.add_end(EndKind::Held(Arc::clone(origin)), 0);
        self.ends[end].lanes.push(vec![pipeline]);
        self.add_step(pipeline, None, StepPlan::End { end, lane: 0, rank: 0 });
        self.held.insert(origin.id, end);
        end
    }
}

/// Puts every pipeline after those that feed what it waits for.
fn in_run_order(pipelines: Vec<PipelinePlan>, mut ends: Vec<EndPlan>) -> (Vec<PipelinePlan>, Vec<EndPlan>) {
    let mut positions: Vec<Option<usize>> = vec![None; pipelines.len()];
    let mut next = 0;
    for first in 0..pipelines.len() {
        let mut stack = vec![(first, false)];
        while let Some((pipeline, ready)) = stack.pop() {
            if positions[pipeline].is_some() {
                continue;
            }
            if ready {
                positions[pipeline] = Some(next);
                next += 1;
                continue;
            }
            stack.push((pipeline, true));
            let before = pipelines[pipeline].after.iter().flat_map(|end| ends[*end].lanes.iter().flatten());
            stack
                .extend(before.filter(|before| positions[**before].is_none()).map(|before| (*before, false)));
        }
    }
    for pipeline in ends.iter_mut().flat_map(|end| end.lanes.iter_mut().flatten()) {
        *pipeline = positions[*pipeline].unwrap_or(*pipeline);
    }
    let mut ordered: Vec<_> = pipelines.into_iter().zip(positions).collect();
    ordered.sort_by_key(|(_, position)| *position);
    (ordered.into_iter().map(|(pipeline, _)| pipeline).collect(), ends)
}

/// The bytes that each node may emit, as far as its sources know: what narrow operators drop or add is not known.
fn estimate_bytes(nodes: &[Arc<Node>], held: &Held) -> Vec<u64> {
    let mut of_node: HashMap<NodeId, u64> = HashMap::new();
    let mut sizes = Vec::with_capacity(nodes.len());
    for node in nodes {
        let bytes = match readable(node, held) {
            Some(source) => source.size_bytes().unwrap_or(UNKNOWN_BYTES),
            None => node.inputs.iter().fold(0u64, |sum, input| sum.saturating_add(of_node[&input.id])),
        };
        of_node.insert(node.id, bytes);
        sizes.push(bytes);
    }
    sizes
}

/// The number of partitions follows the bytes of the input, never the number of files or threads.
fn partition_bits(bytes: u64) -> u32 {
    let partitions = bytes.div_ceil(BYTES_PER_PARTITION).max(1);
    partitions.next_power_of_two().trailing_zeros().min(MAX_PARTITION_BITS)
}

/// The unions that too many paths lead to.
fn crowded_unions(nodes: &[Arc<Node>], broadcasts: &Broadcasts, held: &Held) -> Vec<Arc<Node>> {
    let passes = |node: &Node| {
        matches!(node.shape, Shape::Narrow(_) | Shape::Union) || broadcasts.contains_key(&node.id)
    };
    let is_origin = |node: &Node| held.contains_key(&node.id) || !passes(node);
    let origins = nodes.iter().filter(|node| is_origin(node)).count() as u64;
    let limit = MAX_PATHS.max(2 * origins);
    let mut paths: HashMap<NodeId, u64> = HashMap::new();
    let mut crowded = Vec::new();
    for node in nodes {
        let all = || {
            let inputs = needed_inputs(node, held).iter();
            inputs.fold(0u64, |sum, input| sum.saturating_add(paths[&input.id]))
        };
        let passing = broadcasts.get(&node.id).map(|side| &node.inputs[side.held.other().index()]);
        let sum = passing.map_or_else(all, |input| paths[&input.id]);
        let cut = matches!(node.shape, Shape::Union) && sum > limit;
        if cut {
            crowded.push(Arc::clone(node));
        }
        paths.insert(node.id, if cut || is_origin(node) { 1 } else { sum });
    }
    crowded
}
