//! Cuts the graph into pipelines: the description that `explain` prints and that [`super::lower`] makes runnable.
//!
//! An *origin* is a node that a pipeline starts from: a source, a wide node's output, a cache, what the run holds already. Every *end*
//! (a wide node, a cache to fill, a loop that has not run yet, a sink) is reached from origins over paths of narrow operators; a union is where paths meet. Each path is
//! followed backwards from its end, in the order in which its elements count, and entered into the tree of its
//! origin, where common beginnings are shared.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::graph::{Held, Node, NodeId, Shape, in_order, needed_inputs, readable};
use super::loops::is_worth_holding;
use crate::config::Rules;
use crate::error::CallSite;

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
    /// Where they end: exchanges, caches and cut unions first, then the sinks in the order given.
    pub ends: Vec<EndPlan>,
    /// The rules that were applied.
    pub rules: Rules,
    /// What the run holds already.
    pub held: Held,
}

/// A tree of fused operators between an origin and ends.
pub struct PipelinePlan {
    /// The node whose elements are read.
    pub origin: Arc<Node>,
    /// The end that must be complete before, if the origin is computed by this run.
    pub after: Option<usize>,
    /// The steps, parents first.
    pub steps: Vec<StepPlan>,
    /// The steps right after the origin.
    pub heads: Vec<usize>,
}

/// A step of a pipeline.
pub enum StepPlan {
    /// A narrow operator and the steps after it.
    Operator { node: Arc<Node>, to: Vec<usize> },
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
    /// The sink of this index.
    Sink(usize),
}

/// Plans a run that holds something already.
pub fn plan(sinks: &[Sink], rules: Rules, held: &Held) -> Plan {
    let roots: Vec<Arc<Node>> = sinks.iter().map(|sink| Arc::clone(&sink.input)).collect();
    let nodes = in_order(&roots, held);
    let mut planner = Planner::new(&nodes, rules, held);
    for node in &nodes {
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
    Plan { nodes, pipelines: planner.pipelines, ends: planner.ends, rules, held: held.clone() }
}

struct Planner<'a> {
    rules: Rules,
    /// What the run holds already.
    ready: &'a Held,
    pipelines: Vec<PipelinePlan>,
    ends: Vec<EndPlan>,
    /// The end of each node that is one.
    ends_of_nodes: HashMap<NodeId, usize>,
    /// The pipeline of each origin.
    pipelines_of_origins: HashMap<NodeId, usize>,
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
            pipelines_of_origins: HashMap::new(),
            steps: HashMap::new(),
        };
        let sizes = estimate_bytes(nodes, held);
        let visited: HashSet<NodeId> = nodes.iter().map(|node| node.id).collect();
        for (node, bytes) in nodes.iter().zip(sizes) {
            let is_end = match &node.shape {
                Shape::Wide(_) | Shape::Loop(_) => true,
                // Another run may be filling it at this moment: what counts is what it was when the nodes were collected.
                Shape::Cache(_) => node.inputs.iter().all(|input| visited.contains(&input.id)),
                Shape::Source(_) | Shape::Narrow(_) | Shape::Union => false,
            };
            if is_end && !held.contains_key(&node.id) {
                planner.add_node_end(node, partition_bits(bytes));
            }
        }
        for union in crowded_unions(nodes, held) {
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
                Shape::Narrow(_) => {
                    passed.push((Arc::clone(&way.at), way.passed));
                    let passed = Some(passed.len() - 1);
                    ways.extend(way.at.inputs.iter().map(|input| Way { at: Arc::clone(input), passed }));
                }
                Shape::Union if !self.ends_of_nodes.contains_key(&way.at.id) => {
                    // The first input is to be followed first: the stack gives back the last one pushed.
                    let inputs = way.at.inputs.iter().rev();
                    ways.extend(inputs.map(|input| Way { at: Arc::clone(input), passed: way.passed }));
                }
                _ => self.enter(end, lane, &way, &passed),
            }
        }
    }

    /// Enters a path into the tree of its origin.
    fn enter(&mut self, end: usize, lane: usize, way: &Way, passed: &[(Arc<Node>, Option<usize>)]) {
        let pipeline = self.pipeline_from(&way.at);
        let mut parent = None;
        let mut next = way.passed;
        while let Some((node, after)) = next.map(|index| &passed[index]) {
            let key = (pipeline, parent, node.id);
            let step = match self.steps.get(&key) {
                Some(step) => *step,
                None => self.add_step(
                    pipeline,
                    parent,
                    StepPlan::Operator { node: Arc::clone(node), to: Vec::new() },
                ),
            };
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

    /// The pipeline that starts from `origin`. Without sharing, each path from a source reads it anew; what an exchange
    /// holds can be read once only.
    fn pipeline_from(&mut self, origin: &Arc<Node>) -> usize {
        let after = self.ends_of_nodes.get(&origin.id).copied();
        if (self.rules.share || after.is_some())
            && let Some(pipeline) = self.pipelines_of_origins.get(&origin.id)
        {
            return *pipeline;
        }
        let pipeline = self.pipelines.len();
        self.pipelines_of_origins.insert(origin.id, pipeline);
        self.pipelines.push(PipelinePlan {
            origin: Arc::clone(origin),
            after,
            steps: Vec::new(),
            heads: Vec::new(),
        });
        pipeline
    }
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
fn crowded_unions(nodes: &[Arc<Node>], held: &Held) -> Vec<Arc<Node>> {
    let is_origin =
        |node: &Node| held.contains_key(&node.id) || !matches!(node.shape, Shape::Narrow(_) | Shape::Union);
    let origins = nodes.iter().filter(|node| is_origin(node)).count() as u64;
    let limit = MAX_PATHS.max(2 * origins);
    let mut paths: HashMap<NodeId, u64> = HashMap::new();
    let mut crowded = Vec::new();
    for node in nodes {
        let inputs = needed_inputs(node, held).iter();
        let sum = inputs.fold(0u64, |sum, input| sum.saturating_add(paths[&input.id]));
        let cut = matches!(node.shape, Shape::Union) && sum > limit;
        if cut {
            crowded.push(Arc::clone(node));
        }
        paths.insert(node.id, if cut || is_origin(node) { 1 } else { sum });
    }
    crowded
}
