//! Which operators broadcast one of their sides: those that say so, and joins with a small side.
//!
//! A side is small if a bound of its bytes is known and low, and the other side may be larger. The decision depends on the graph and
//! on the sizes of the sources alone, so that it is the same in every run: in particular it does not matter whether a cache is filled.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::graph::{Held, Node, NodeId, Shape};
use crate::config::Rules;
use crate::exec::broadcast::{Broadcast, Side};

/// A side of at most so many bytes is small.
const SMALL_BYTES: u64 = 8 << 20;

/// What is computed from more nodes, or read from more origins, is not looked at: it may be of any size, and the planner must end.
const MAX_NODES: usize = 256;

/// How an operator broadcasts one of its sides.
#[derive(Clone)]
pub struct Broadcasting {
    /// The side that is held.
    pub held: Side,
    /// The operator.
    pub broadcast: Arc<dyn Broadcast>,
    /// The most bytes that the side has, where they are known.
    pub max_bytes: Option<u64>,
}

/// The operators that broadcast a side.
pub type Broadcasts = HashMap<NodeId, Broadcasting>;

/// Where pipelines begin that lead to a node: none if there are too many.
type Origins = Option<Rc<[NodeId]>>;

/// Chooses the operators that broadcast a side; `nodes` stand after their inputs, and what is held already is read as it is.
pub fn choose(nodes: &[Arc<Node>], rules: Rules, held: &Held) -> Broadcasts {
    let mut chosen = Broadcasts::new();
    let mut origins: HashMap<NodeId, Origins> = HashMap::new();
    for node in nodes {
        let is_held = held.contains_key(&node.id);
        let of_node = match &node.shape {
            _ if is_held => None,
            Shape::Broadcast(_) => broadcasting(node, Side::Right),
            Shape::Wide(_) if rules.broadcast => small_side(node, &origins),
            _ => None,
        };
        let begins = match &of_node {
            Some(of_node) => origins_of(&node.inputs[of_node.held.other().index()], &origins),
            None => match &node.shape {
                Shape::Narrow(_) | Shape::Union if !is_held => joined(&node.inputs, &origins),
                _ => Some(Rc::from([node.id])),
            },
        };
        origins.insert(node.id, begins);
        chosen.extend(of_node.map(|of_node| (node.id, of_node)));
    }
    chosen
}

fn broadcasting(node: &Node, held: Side) -> Option<Broadcasting> {
    let max_bytes = node.inputs.get(held.index())?.max_bytes;
    Some(Broadcasting { held, broadcast: node.broadcast(held)?, max_bytes })
}

/// The smaller side, if it is small and may be held.
fn small_side(node: &Node, origins: &HashMap<NodeId, Origins>) -> Option<Broadcasting> {
    let is_small = |held: &Side| {
        let (Some(small), Some(other)) =
            (node.inputs.get(held.index()), node.inputs.get(held.other().index()))
        else {
            return false;
        };
        let bytes = small.max_bytes.filter(|bytes| *bytes <= SMALL_BYTES);
        let is_smaller = bytes.is_some_and(|bytes| other.max_bytes.is_none_or(|other| bytes < other));
        // What both sides are made of would be read twice; an exchange reads it once.
        is_smaller && origins_of(other, origins).is_some_and(|origins| !needs_any(small, &origins))
    };
    let held = [Side::Right, Side::Left].into_iter().find(is_small)?;
    broadcasting(node, held)
}

fn origins_of(node: &Node, origins: &HashMap<NodeId, Origins>) -> Origins {
    origins.get(&node.id).cloned().flatten()
}

fn joined(inputs: &[Arc<Node>], origins: &HashMap<NodeId, Origins>) -> Origins {
    if let [only] = inputs {
        return origins_of(only, origins);
    }
    let mut all = Vec::new();
    for input in inputs {
        all.extend_from_slice(&origins_of(input, origins)?);
    }
    all.sort_unstable();
    all.dedup();
    (all.len() <= MAX_NODES).then(|| all.into())
}

/// Whether a node is computed from one of `origins`, or from too much to tell.
fn needs_any(node: &Arc<Node>, origins: &[NodeId]) -> bool {
    let (mut seen, mut stack) = (HashSet::new(), vec![node]);
    while let Some(node) = stack.pop() {
        if seen.insert(node.id) {
            if origins.contains(&node.id) || seen.len() > MAX_NODES {
                return true;
            }
            stack.extend(&node.inputs);
        }
    }
    false
}
