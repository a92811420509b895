//! Loops: what one round computes, what all rounds share, and what is to be held for it.
//!
//! The body of a loop is a graph of its own over a node that stands for the state. What of it cannot be reached from that node
//! is the same in every round: the last such node on each way to the rest is an input of the loop, beside the first state.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::graph::{Held, Node, NodeId, Shape, in_order, in_order_from, needed_inputs, readable};
use super::stages::Sink;
use crate::error::CallSite;
use crate::exec::broadcast::Side;
use crate::exec::erased::Elements;

/// What the rounds of a loop have in common.
pub struct Loop {
    /// What stands for the state within the body.
    pub state: Arc<Node>,
    /// The next state, and then the condition, if there is one: the loop is over after a round in which none of its elements
    /// is false.
    pub results: Vec<Arc<Node>>,
    /// The limit on the rounds.
    pub max_rounds: usize,
    /// For each input of the loop, what its elements can do.
    pub inputs: Vec<Arc<dyn Elements>>,
}

/// A node, and what its elements can do when it is held.
pub type Holding = (Arc<Node>, Arc<dyn Elements>);

impl Loop {
    /// The loop over `state`, and what it reads besides the first state.
    pub fn new(state: Arc<Node>, results: Vec<Arc<Node>>, max_rounds: usize) -> (Loop, Vec<Arc<Node>>) {
        let (shared, known): (Vec<_>, Vec<_>) = shared_by_rounds(&state, &results).into_iter().unzip();
        let inputs = std::iter::once(Arc::clone(&state.elements)).chain(known).collect();
        (Loop { state, results, max_rounds, inputs }, shared)
    }

    /// The results of a round as sinks of the loop's call.
    pub fn sinks(&self, call: CallSite) -> Vec<Sink> {
        let sink = |input: &Arc<Node>| Sink { input: Arc::clone(input), call, detail: String::new() };
        self.results.iter().map(sink).collect()
    }
}

/// What of a body is the same in every round, as far as the rest of the body reads it.
fn shared_by_rounds(state: &Arc<Node>, results: &[Arc<Node>]) -> Vec<Holding> {
    // What is older than the state does not know it.
    let nodes = in_order_from(results, |node| node.id < state.id);
    let mut differ = HashSet::from([state.id]);
    for node in &nodes {
        if node.inputs.iter().any(|input| differ.contains(&input.id)) {
            differ.insert(node.id);
        }
    }
    // What reads a union knows what its inputs are; readers stand behind what they read.
    let mut known: HashMap<NodeId, Arc<dyn Elements>> = HashMap::new();
    for node in nodes.iter().rev() {
        for (index, input) in node.inputs.iter().enumerate() {
            let of_union =
                || matches!(node.shape, Shape::Union).then(|| known.get(&node.id).cloned()).flatten();
            if let Some(elements) = known_by_reader(node, index).or_else(of_union) {
                known.insert(input.id, elements);
            }
        }
    }
    let mut shared = Holdings::default();
    for node in nodes.iter().filter(|node| differ.contains(&node.id)) {
        for (index, input) in node.inputs.iter().enumerate().filter(|(_, input)| !differ.contains(&input.id))
        {
            shared.add(input, known_by_reader(node, index).or_else(|| known.get(&input.id).cloned()));
        }
    }
    for (index, result) in results.iter().enumerate().filter(|(_, result)| !differ.contains(&result.id)) {
        shared.add(result, (index == 0).then(|| Arc::clone(&state.elements)));
    }
    shared.list
}

/// Nodes to hold, each once.
#[derive(Default)]
struct Holdings {
    list: Vec<Holding>,
    places: HashMap<NodeId, usize>,
}

impl Holdings {
    /// Adds a node, of which its reader may know more than it does itself.
    fn add(&mut self, node: &Arc<Node>, known: Option<Arc<dyn Elements>>) {
        match (self.places.get(&node.id), known) {
            (Some(place), Some(known)) => self.list[*place].1 = known,
            (Some(_), None) => {}
            (None, known) => {
                self.places.insert(node.id, self.list.len());
                self.list.push((Arc::clone(node), known.unwrap_or_else(|| Arc::clone(&node.elements))));
            }
        }
    }
}

/// What whoever reads a node as its input of this index knows of the elements.
fn known_by_reader(reader: &Node, index: usize) -> Option<Arc<dyn Elements>> {
    match &reader.shape {
        Shape::Wide(exchange) => exchange.input_elements(index),
        Shape::Loop(each) => each.inputs.get(index).cloned(),
        Shape::Cache(_) => Some(Arc::clone(&reader.elements)),
        Shape::Broadcast(broadcast) => broadcast.input_elements(Side::of_index(index)),
        Shape::Source(_) | Shape::Narrow(_) | Shape::Union => None,
    }
}

/// Whether a node has to be held to be read again and again, or lies in memory or in a cache anyway.
pub fn is_worth_holding(node: &Node) -> bool {
    match &node.shape {
        Shape::Source(source) => !source.is_in_memory(),
        // In a loop, a cache is one for the round.
        Shape::Cache(_) => node.in_loop,
        Shape::Narrow(_) | Shape::Union | Shape::Wide(_) | Shape::Broadcast(_) | Shape::Loop(_) => true,
    }
}

/// The first loop that is to run before `roots` can be computed: no other one has to run before it.
pub fn next_loop(roots: &[Arc<Node>], held: &Held) -> Option<Arc<Node>> {
    let is_next = |node: &Arc<Node>| matches!(node.shape, Shape::Loop(_)) && !held.contains_key(&node.id);
    in_order(roots, held).into_iter().find(is_next)
}

/// What is to be held before the first round.
pub struct Preparation {
    /// The first state, if it cannot be read as it is.
    pub state: Option<Holding>,
    /// What the rounds share, and what whoever reads the result would otherwise compute again.
    pub others: Vec<Holding>,
}

/// What the loop `node` needs that is not held, where `roots` are to be computed when it is over.
pub fn preparation(node: &Arc<Node>, each: &Loop, roots: &[Arc<Node>], held: &Held) -> Preparation {
    let mut inputs = node.inputs.iter().zip(&each.inputs);
    let holding = |(input, known): (&Arc<Node>, &Arc<dyn Elements>)| (Arc::clone(input), Arc::clone(known));
    let first = inputs.next().filter(|(input, _)| readable(input, held).is_none() || is_worth_holding(input));
    let state = first.filter(|(input, _)| !held.contains_key(&input.id)).map(holding);
    let mut others = Holdings::default();
    if each.max_rounds > 0 {
        let wanted = |(input, _): &(&Arc<Node>, _)| is_worth_holding(input) && !held.contains_key(&input.id);
        for (input, known) in inputs.filter(wanted) {
            others.add(input, Some(Arc::clone(known)));
        }
    }
    let computed = state.iter().chain(&others.list).map(|(node, _)| Arc::clone(node)).collect::<Vec<_>>();
    add_needed_again(&mut others, node.id, &computed, roots, held);
    add_positional(&mut others, state.as_ref().map(|state| state.0.id), node.id, roots, held);
    Preparation { state, others: others.list }
}

/// Adds what is computed on the way to `computed` and is read by what comes after the loop.
fn add_needed_again(
    others: &mut Holdings,
    done: NodeId,
    computed: &[Arc<Node>],
    roots: &[Arc<Node>],
    held: &Held,
) {
    let computed: HashSet<NodeId> = in_order(computed, held).iter().map(|node| node.id).collect();
    let later = in_order_from(roots, |node| {
        let is_filled = matches!(node.shape, Shape::Cache(_)) && !is_worth_holding(node);
        node.id == done
            || held.contains_key(&node.id)
            || others.places.contains_key(&node.id)
            || is_filled && computed.contains(&node.id)
    });
    // A source is read again instead: it may be much larger than what is made of it.
    let again = |node: &Arc<Node>| {
        let is_source = matches!(node.shape, Shape::Source(_));
        computed.contains(&node.id) && !held.contains_key(&node.id) && !is_source && is_worth_holding(node)
    };
    let is_later = |node: &Arc<Node>| node.id != done && !computed.contains(&node.id);
    for reader in later.iter().filter(|node| is_later(node)) {
        let inputs = needed_inputs(reader, held).iter().enumerate();
        for (index, input) in inputs.filter(|(_, input)| again(input)) {
            others.add(input, known_by_reader(reader, index));
        }
    }
    roots.iter().filter(|root| again(root)).for_each(|root| others.add(root, None));
}

/// Adds the operators after the loop that would see what is held in other splits than it came in, and for which that matters: the parts
/// of a random split, of which one is read by the loop and another one after it, must be drawn from the same splits.
fn add_positional(
    others: &mut Holdings,
    state: Option<NodeId>,
    done: NodeId,
    roots: &[Arc<Node>],
    held: &Held,
) {
    let will_be_held = |node: &Node| others.places.contains_key(&node.id) || state == Some(node.id);
    let is_positional =
        |node: &Node| matches!(&node.shape, Shape::Narrow(operator) if operator.is_positional());
    let later =
        in_order_from(roots, |node| node.id == done || held.contains_key(&node.id) || will_be_held(node));
    let mut found = Vec::new();
    for node in later.iter().filter(|node| is_positional(node) && !will_be_held(node)) {
        let root = std::slice::from_ref(node);
        let is_known = |before: &Node| before.id == done || held.contains_key(&before.id);
        let needed = in_order_from(root, is_known);
        // What comes out of an exchange is in splits of its own.
        let is_exchange =
            |before: &Node| matches!(before.shape, Shape::Wide(_)) && before.passing_inputs().is_empty();
        let read = in_order_from(root, |before| is_known(before) || is_exchange(before));
        let needs_loop = needed.iter().any(|before| before.id == done || before.in_loop);
        if !needs_loop && read.iter().any(|before| will_be_held(before)) {
            found.push(Arc::clone(node));
        }
    }
    for node in &found {
        others.add(node, None);
    }
}
