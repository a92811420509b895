//! A plan for people: the logical graph, then the stages with the rules that made them so, and the same for the rounds of
//! each loop.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;

use super::cycles::Cycle;
use super::graph::{Held, Node, NodeId, Shape};
use super::loops::{Loop, is_worth_holding};
use super::stages::{EndKind, PipelinePlan, Plan, Sink, StepPlan, plan};
use crate::error::CallSite;

/// Describes a plan for these sinks.
pub fn explain(plan: &Plan, sinks: &[Sink]) -> String {
    let mut text = String::new();
    let mut numbers = Numbers::default();
    let mut loops = VecDeque::new();
    // Writing to a string cannot fail.
    let _ = describe(&mut text, plan, sinks, &mut numbers, &mut loops, false);
    while let Some((node, held)) = loops.pop_front() {
        let _ = rounds(&mut text, &node, plan, held, &mut numbers, &mut loops);
    }
    text
}

/// The loops that are still to be described, each with what is held where it stands.
type Loops = VecDeque<(Arc<Node>, Held)>;

/// The numbers of nodes: those in the rounds of a loop follow those around it.
#[derive(Default)]
struct Numbers {
    of_nodes: HashMap<NodeId, usize>,
    last: usize,
}

impl Numbers {
    /// Numbers what has no number yet, in order.
    fn extend(&mut self, nodes: &[Arc<Node>]) -> Vec<Arc<Node>> {
        let unknown = |node: &&Arc<Node>| !self.of_nodes.contains_key(&node.id);
        let new: Vec<_> = nodes.iter().filter(unknown).cloned().collect();
        for node in &new {
            self.last += 1;
            self.of_nodes.insert(node.id, self.last);
        }
        new
    }
}

/// Describes one plan: the nodes that have not been described yet, and the stages.
fn describe(
    text: &mut String,
    plan: &Plan,
    sinks: &[Sink],
    numbers: &mut Numbers,
    loops: &mut Loops,
    in_rounds: bool,
) -> std::fmt::Result {
    let new = numbers.extend(&plan.nodes);
    let is_loop = |node: &&Arc<Node>| matches!(node.shape, Shape::Loop(_));
    loops.extend(new.iter().filter(is_loop).map(|node| (Arc::clone(node), plan.held.clone())));
    let explainer =
        Explainer { plan, sinks, numbers: &numbers.of_nodes, first_sink: numbers.last + 1, in_rounds };
    explainer.logical(text, &new)?;
    explainer.stages(text)?;
    explainer.cycles(text)?;
    numbers.last += sinks.len();
    Ok(())
}

/// Describes what a loop does in each round.
fn rounds(
    text: &mut String,
    node: &Node,
    planned: &Plan,
    mut held: Held,
    numbers: &mut Numbers,
    loops: &mut Loops,
) -> std::fmt::Result {
    let Shape::Loop(each) = &node.shape else { return Ok(()) };
    let number = numbers.of_nodes.get(&node.id).copied().unwrap_or(0);
    writeln!(text, "Each round of {} #{number}, {}", node.call.operator, node.detail)?;
    hold_for_rounds(each, node, &mut held);
    let mut sinks = each.sinks(node.call);
    for (sink, name) in sinks.iter_mut().zip(["next state", "until"]) {
        sink.call.operator = name;
    }
    describe(text, &plan(&sinks, planned.rules, planned.execution, &held), &sinks, numbers, loops, true)
}

/// Notes what the rounds read. How much that is, only a run knows; what stands for the state can stand for it.
fn hold_for_rounds(each: &Loop, node: &Node, held: &mut Held) {
    if let Shape::Source(unknown) = &each.state.shape {
        let shared = node.inputs.iter().skip(1).filter(|input| is_worth_holding(input));
        held.extend(shared.map(|input| (input.id, Arc::clone(unknown))));
    }
}

struct Explainer<'a> {
    plan: &'a Plan,
    sinks: &'a [Sink],
    numbers: &'a HashMap<NodeId, usize>,
    first_sink: usize,
    /// Whether it is run in every round of a loop.
    in_rounds: bool,
}

impl Explainer<'_> {
    fn logical(&self, text: &mut String, nodes: &[Arc<Node>]) -> std::fmt::Result {
        writeln!(text, "Logical graph")?;
        for node in nodes {
            let inputs = node.inputs.iter().filter_map(|input| self.numbers.get(&input.id));
            let line = node_line(self.number(node), node.call.operator, &node.detail, inputs);
            write_located(text, &line, node.call)?;
        }
        for (index, sink) in self.sinks.iter().enumerate() {
            let number = self.first_sink + index;
            let inputs = self.numbers.get(&sink.input.id).into_iter();
            let line = node_line(number, sink.call.operator, &sink.detail, inputs);
            write_located(text, &line, sink.call)?;
        }
        Ok(())
    }

    fn stages(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "Stages")?;
        for (index, pipeline) in self.plan.pipelines.iter().enumerate() {
            let origin = format!("{} #{}", pipeline.origin.call.operator, self.number(&pipeline.origin));
            let after: Vec<String> = pipeline.after.iter().map(|end| self.end_name(*end)).collect();
            let after =
                if after.is_empty() { String::new() } else { format!(", after {}", after.join(" and ")) };
            writeln!(text, "  stage {}: reads {origin}{after}", index + 1)?;
            self.paths(text, pipeline)?;
            self.notes(text, pipeline)?;
        }
        Ok(())
    }

    /// What is run one after the other in the MapReduce mode.
    fn cycles(&self, text: &mut String) -> std::fmt::Result {
        if self.plan.cycles.is_empty() {
            return Ok(());
        }
        writeln!(text, "Cycles")?;
        for (index, Cycle { maps, shuffle, reduces }) in self.plan.cycles.iter().enumerate() {
            write!(text, "  cycle {}: map {}", index + 1, stage_numbers(maps))?;
            if let Some(end) = shuffle {
                write!(text, ", shuffle for {}", self.end_name(*end))?;
            }
            if !reduces.is_empty() {
                write!(text, ", reduce {}", stage_numbers(reduces))?;
            }
            writeln!(text)?;
        }
        Ok(())
    }

    /// One line for each way from the origin to an end.
    fn paths(&self, text: &mut String, pipeline: &PipelinePlan) -> std::fmt::Result {
        let mut parents: Vec<Option<usize>> = vec![None; pipeline.steps.len()];
        for (index, step) in pipeline.steps.iter().enumerate() {
            match step {
                StepPlan::Operator { to, .. } => to.iter().for_each(|&child| parents[child] = Some(index)),
                StepPlan::End { end, lane, rank } => {
                    let mut names = vec![self.end_label(*end, *lane, *rank)];
                    let mut at = parents[index];
                    while let Some(StepPlan::Operator { node, .. }) = at.map(|step| &pipeline.steps[step]) {
                        names.push(format!("{} #{}", node.call.operator, self.number(node)));
                        at = at.and_then(|step| parents[step]);
                    }
                    names.reverse();
                    writeln!(text, "    {}", names.join(" -> "))?;
                }
            }
        }
        Ok(())
    }

    fn notes(&self, text: &mut String, pipeline: &PipelinePlan) -> std::fmt::Result {
        let rules = self.plan.rules;
        let operators =
            pipeline.steps.iter().filter(|step| matches!(step, StepPlan::Operator { .. })).count();
        if rules.fuse && operators > 1 {
            writeln!(text, "    fuse: {operators} operators run as one pipeline")?;
        }
        let branches = pipeline
            .steps
            .iter()
            .filter(|step| matches!(step, StepPlan::Operator { to, .. } if to.len() > 1));
        if rules.share && branches.count() + usize::from(pipeline.heads.len() > 1) > 0 {
            writeln!(text, "    share: read and computed once for several consumers")?;
        }
        for step in &pipeline.steps {
            if let StepPlan::End { end, lane: 0, rank: 0 } = step {
                self.end_note(text, *end)?;
            }
        }
        Ok(())
    }

    fn end_note(&self, text: &mut String, end: usize) -> std::fmt::Result {
        let planned = &self.plan.ends[end];
        match &planned.kind {
            EndKind::Node(node) if note_of(node).is_some() => {
                writeln!(text, "    {} for {}", note_of(node).unwrap_or_default(), self.end_name(end))
            }
            EndKind::Node(node) if matches!(node.shape, Shape::Wide(_)) => {
                let name = self.end_name(end);
                if self.plan.rules.combine {
                    writeln!(text, "    combine: on the map side of {name}")?;
                }
                if self.in_rounds {
                    return writeln!(
                        text,
                        "    partitions: for {name}, by the bytes of its input in the round"
                    );
                }
                writeln!(
                    text,
                    "    partitions: {} for {name}, by the bytes of its input",
                    1u64 << planned.partition_bits
                )
            }
            EndKind::Node(node) if matches!(node.shape, Shape::Loop(_)) => {
                let name = self.end_name(end);
                writeln!(text, "    hold: the state of {name} from round to round, and what all rounds read")
            }
            EndKind::Node(node) if matches!(node.shape, Shape::Union) => {
                writeln!(
                    text,
                    "    cut: {} is held in memory, because too many paths lead to it",
                    self.end_name(end)
                )
            }
            EndKind::Side(node, broadcasting) => {
                let at_most = broadcasting.max_bytes.map(|bytes| format!(", at most {}", size(bytes)));
                writeln!(
                    text,
                    "    broadcast: the {} side of {} #{}{}",
                    broadcasting.held.name(),
                    node.call.operator,
                    self.number(node),
                    at_most.unwrap_or_default()
                )
            }
            EndKind::Held(node) => {
                let (operator, number) = (node.call.operator, self.number(node));
                writeln!(text, "    hold: what {operator} #{number} gives, to be read once more")
            }
            EndKind::Stored(node, elements) => {
                let (operator, number) = (node.call.operator, self.number(node));
                let place = if elements.are_records() {
                    "written to disk"
                } else {
                    "held in memory, since it is no record,"
                };
                writeln!(text, "    store: what {operator} #{number} gives is {place} for the next cycle")
            }
            EndKind::Node(_) | EndKind::Sink(_) => Ok(()),
        }
    }

    fn end_label(&self, end: usize, lane: usize, rank: usize) -> String {
        let lanes = &self.plan.ends[end].lanes;
        let name = self.end_name(end);
        let side = match (lanes.len(), lane) {
            (_, 0) if self.is_loop(end) => "first state",
            _ if self.is_loop(end) => "for all rounds",
            (2, 0) => "left",
            (2, 1) => "right",
            _ => "",
        };
        let inputs = lanes[lane].len();
        let input = if inputs > 1 { format!("input {} of {inputs}", rank + 1) } else { String::new() };
        match (side, input.as_str()) {
            ("", "") => name,
            ("", which) | (which, "") => format!("{name} ({which})"),
            (side, input) => format!("{name} ({side}, {input})"),
        }
    }

    fn is_loop(&self, end: usize) -> bool {
        matches!(&self.plan.ends[end].kind, EndKind::Node(node) if matches!(node.shape, Shape::Loop(_)))
    }

    fn end_name(&self, end: usize) -> String {
        match &self.plan.ends[end].kind {
            EndKind::Node(node) => format!("{} #{}", node.call.operator, self.number(node)),
            EndKind::Side(node, broadcasting) => {
                let (operator, number) = (node.call.operator, self.number(node));
                format!("{operator} #{number} ({})", broadcasting.held.name())
            }
            EndKind::Held(node) => format!("{} #{} (held)", node.call.operator, self.number(node)),
            EndKind::Stored(node, _) => format!("{} #{} (stored)", node.call.operator, self.number(node)),
            EndKind::Sink(index) => {
                format!("{} #{}", self.sinks[*index].call.operator, self.first_sink + index)
            }
        }
    }

    fn number(&self, node: &Arc<Node>) -> usize {
        self.numbers.get(&node.id).copied().unwrap_or(0)
    }
}

/// What an exchange that partitions by no key says of itself.
fn note_of(node: &Node) -> Option<&'static str> {
    if let Shape::Wide(exchange) = &node.shape { exchange.note() } else { None }
}

/// Stages by their numbers.
fn stage_numbers(pipelines: &[usize]) -> String {
    let numbers: Vec<String> = pipelines.iter().map(|pipeline| format!("stage {}", pipeline + 1)).collect();
    numbers.join(" and ")
}

/// Bytes, for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn node_line<'n>(
    number: usize,
    operator: &str,
    detail: &str,
    inputs: impl Iterator<Item = &'n usize>,
) -> String {
    let inputs: Vec<String> = inputs.map(|input| format!("#{input}")).collect();
    let from = if inputs.is_empty() { String::new() } else { format!(" of {}", inputs.join(", ")) };
    let space = if detail.is_empty() { "" } else { " " };
    format!("#{number} {operator}{from}{space}{detail}")
}

fn write_located(text: &mut String, line: &str, call: CallSite) -> std::fmt::Result {
    writeln!(text, "  {line:<48} {}:{}", call.location.file(), call.location.line())
}
