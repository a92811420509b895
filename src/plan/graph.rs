//! The lazy graph that `Dataset` builds: nodes behind `Arc`, erased but for id and shape.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::loops::Loop;
use crate::config::CommitBy;
use crate::error::{CallSite, Result};
use crate::exec::beside::Beside;
use crate::exec::broadcast::{Broadcast, Side};
use crate::exec::erased::Elements;
use crate::exec::exchange::Exchange;
use crate::exec::job::Terminal;
use crate::exec::narrow::Operator;
use crate::exec::source::AnySource;
use crate::exec::task::RunId;
use crate::io::commit::{CheckedTarget, Target, Transaction};

/// The identity of a node within the process.
pub type NodeId = u64;

/// One operator of the graph.
pub struct Node {
    /// Its identity.
    pub id: NodeId,
    /// The call that made it.
    pub call: CallSite,
    /// What is worth saying of it besides its name, such as the path that is read.
    pub detail: String,
    /// For people: what a source found but does not read, and why.
    pub notes: Vec<String>,
    /// What can be done with its output.
    pub elements: Arc<dyn Elements>,
    /// What it is.
    pub shape: Shape,
    /// What it reads.
    pub inputs: Vec<Arc<Node>>,
    /// Whether it needs the state of a loop, and so is another one in each of its rounds.
    pub in_loop: bool,
    /// What it gives beside its elements.
    pub attached: Option<Arc<dyn Attached>>,
    /// The most bytes that it emits, where its sources know theirs and no operator on the way may add to them.
    pub max_bytes: Option<u64>,
}

/// The shapes of nodes, as far as the planner tells them apart.
pub enum Shape {
    /// No input.
    Source(Arc<dyn AnySource>),
    /// Each output element needs one input partition only.
    Narrow(Arc<dyn Operator>),
    /// The elements of the first input, then those of the next.
    Union,
    /// Needs an exchange.
    Wide(Arc<dyn Exchange>),
    /// Holds its second input, and lets the first one pass.
    Broadcast(Arc<dyn Broadcast>),
    /// Filled by the first run that needs it, a source for those after it.
    Cache(Arc<dyn CacheSlot>),
    /// Rounds over a state: its first input is the state of the first round, the others are what all rounds share.
    Loop(Loop),
}

/// What a node gives beside its elements, such as records that cannot be read. Every run that computes the node completes it.
pub trait Attached: Beside {
    /// Where it writes, as it was given; `None` if it writes no file.
    fn path(&self) -> Option<&Path>;

    /// Before a run: checks and opens whatever it needs.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    fn open(&self, opening: &Opening<'_>, run: RunId) -> Result<Completion>;
}

/// What those who write must know of a run before it begins.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The files that are read, and the directories and patterns that these were found by.
    pub inputs: &'a [PathBuf],
    /// Whether the run writes no more than one output.
    pub is_alone: bool,
    /// How outputs are committed.
    pub commit_by: CommitBy,
}

impl Opening<'_> {
    /// The same target in this run, checked.
    ///
    /// # Errors
    ///
    /// As [`Target::check`].
    pub(crate) fn check(&self, target: Target) -> Result<CheckedTarget> {
        target.commit_by(self.commit_by).alone(self.is_alone).check(self.inputs)
    }
}

/// What is done after a run that succeeded, before its outputs are committed: adds what is to be committed with them, and gives what is
/// to be done once they are. If it fails, nothing is committed.
pub type Completion = Box<dyn FnOnce(&mut Transaction) -> Result<Committed>>;

/// What is done once the outputs of a run are committed.
pub type Committed = Box<dyn FnOnce()>;

/// What a run holds already of nodes that it needs: what loops have computed, and what their rounds share.
pub type Held = HashMap<NodeId, Arc<dyn AnySource>>;

/// What a cached node holds across runs.
pub trait CacheSlot: Send + Sync {
    /// The elements, once a run has filled them in.
    fn filled(&self) -> Option<Arc<dyn AnySource>>;

    /// A terminal to fill, and the source behind it.
    fn open(&self) -> (Arc<dyn Terminal>, Arc<dyn AnySource>);
}

impl Node {
    /// A new node.
    pub fn new(
        call: CallSite,
        detail: String,
        notes: Vec<String>,
        elements: Arc<dyn Elements>,
        shape: Shape,
        inputs: Vec<Arc<Node>>,
    ) -> Arc<Node> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let max_bytes = max_bytes(&shape, &inputs);
        let in_loop = inputs.iter().any(|input| input.in_loop);
        let attached = None;
        Arc::new(Node { id, call, detail, notes, elements, shape, inputs, in_loop, attached, max_bytes })
    }

    /// The node that stands for the state within the body of a loop; nothing of it is known but what its elements can do.
    pub fn of_state(call: CallSite, elements: Arc<dyn Elements>, source: Arc<dyn AnySource>) -> Arc<Node> {
        let shape = Shape::Source(source);
        let mut node = Node::new(call, String::new(), Vec::new(), elements, shape, Vec::new());
        if let Some(node) = Arc::get_mut(&mut node) {
            node.in_loop = true;
        }
        node
    }

    /// The same node with what it gives beside its elements.
    pub fn with_attached(mut self: Arc<Node>, attached: Arc<dyn Attached>) -> Arc<Node> {
        if let Some(node) = Arc::get_mut(&mut self) {
            node.attached = Some(attached);
        }
        self
    }

    /// Takes the nodes that it keeps alive.
    fn let_go(&mut self) -> Vec<Arc<Node>> {
        let mut nodes = std::mem::take(&mut self.inputs);
        if let Shape::Loop(each) = &mut self.shape {
            nodes.append(&mut each.results);
        }
        nodes
    }

    /// The node as an operator that broadcasts a side, if it can be one.
    pub fn broadcast(&self, held: Side) -> Option<Arc<dyn Broadcast>> {
        match &self.shape {
            Shape::Broadcast(broadcast) => (held == Side::Right).then(|| Arc::clone(broadcast)),
            Shape::Wide(exchange) => exchange.broadcast(held),
            Shape::Source(_) | Shape::Narrow(_) | Shape::Union | Shape::Cache(_) | Shape::Loop(_) => None,
        }
    }

    /// The inputs of a join that may pass within a pipeline, where the planner broadcasts the other one.
    pub fn passing_inputs(&self) -> Vec<&Arc<Node>> {
        let sides = [Side::Left, Side::Right].into_iter();
        let passing = sides.filter(|side| self.broadcast(side.other()).is_some());
        passing.filter_map(|side| self.inputs.get(side.index())).collect()
    }
}

/// See [`Node::max_bytes`]. Whether a cache is filled does not matter, so that plans do not depend on what has been run before.
fn max_bytes(shape: &Shape, inputs: &[Arc<Node>]) -> Option<u64> {
    let selects = match shape {
        Shape::Source(source) => return source.size_bytes(),
        Shape::Narrow(operator) => operator.selects(),
        Shape::Wide(exchange) => exchange.selects(),
        Shape::Union | Shape::Cache(_) => true,
        Shape::Broadcast(_) | Shape::Loop(_) => false,
    };
    let add = |sum: u64, input: &Arc<Node>| Some(sum.saturating_add(input.max_bytes?));
    if selects { inputs.iter().try_fold(0, add) } else { None }
}

impl Drop for Node {
    /// Dropping a chain node by node would take a stack frame each; this takes them off a list instead.
    fn drop(&mut self) {
        let mut orphans = self.let_go();
        while let Some(node) = orphans.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                orphans.append(&mut node.let_go());
            }
        }
    }
}

/// All nodes that `roots` need, each after its inputs, in an order that depends on the graph alone.
pub fn in_order(roots: &[Arc<Node>], held: &Held) -> Vec<Arc<Node>> {
    in_order_from(roots, |node| held.contains_key(&node.id))
}

/// As [`in_order`], where the inputs of nodes that `is_held` are not needed.
pub fn in_order_from(roots: &[Arc<Node>], is_held: impl Fn(&Node) -> bool) -> Vec<Arc<Node>> {
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    let mut stack: Vec<(Arc<Node>, usize)> = Vec::new();
    for root in roots {
        if seen.insert(root.id) {
            stack.push((Arc::clone(root), 0));
        }
        while let Some((node, input)) = stack.last_mut() {
            let inputs = if is_held(node) { &[] } else { computed_inputs(node) };
            if let Some(next) = inputs.get(*input).cloned() {
                *input += 1;
                if seen.insert(next.id) {
                    stack.push((next, 0));
                }
            } else if let Some((node, _)) = stack.pop() {
                order.push(node);
            }
        }
    }
    order
}

/// The inputs that a run must compute: none for what it holds, or for a cache that is filled.
pub fn needed_inputs<'n>(node: &'n Node, held: &Held) -> &'n [Arc<Node>] {
    if held.contains_key(&node.id) { &[] } else { computed_inputs(node) }
}

fn computed_inputs(node: &Node) -> &[Arc<Node>] {
    match &node.shape {
        Shape::Cache(slot) if slot.filled().is_some() => &[],
        _ => &node.inputs,
    }
}

/// What can be read of a node without computing it: what the run holds, a source, or a cache that is filled.
pub fn readable(node: &Node, held: &Held) -> Option<Arc<dyn AnySource>> {
    match (held.get(&node.id), &node.shape) {
        (Some(source), _) | (None, Shape::Source(source)) => Some(Arc::clone(source)),
        (None, Shape::Cache(slot)) => slot.filled(),
        (None, Shape::Narrow(_) | Shape::Union | Shape::Wide(_) | Shape::Broadcast(_) | Shape::Loop(_)) => {
            None
        }
    }
}
