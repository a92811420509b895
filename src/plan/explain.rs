//! A plan for people: the logical graph, then the stages with the rules that made them so.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use super::graph::{Node, NodeId, Shape};
use super::stages::{EndKind, PipelinePlan, Plan, Sink, StepPlan};
use crate::error::CallSite;

/// Describes a plan for these sinks.
pub fn explain(plan: &Plan, sinks: &[Sink]) -> String {
    let numbers = plan.nodes.iter().enumerate().map(|(index, node)| (node.id, index + 1)).collect();
    let explainer = Explainer { plan, sinks, numbers };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = explainer.logical(&mut text);
    let _ = explainer.stages(&mut text);
    text
}

struct Explainer<'a> {
    plan: &'a Plan,
    sinks: &'a [Sink],
    numbers: HashMap<NodeId, usize>,
}

impl Explainer<'_> {
    fn logical(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "Logical graph")?;
        for node in &self.plan.nodes {
            let inputs = node.inputs.iter().filter_map(|input| self.numbers.get(&input.id));
            let line = node_line(self.number(node), node.call.operator, &node.detail, inputs);
            write_located(text, &line, node.call)?;
        }
        for (index, sink) in self.sinks.iter().enumerate() {
            let number = self.plan.nodes.len() + index + 1;
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
                writeln!(
                    text,
                    "    partitions: {} for {name}, by the bytes of its input",
                    1u64 << planned.partition_bits
                )
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
            EndKind::Node(_) | EndKind::Sink(_) => Ok(()),
        }
    }

    fn end_label(&self, end: usize, lane: usize, rank: usize) -> String {
        let lanes = &self.plan.ends[end].lanes;
        let name = self.end_name(end);
        let side = match (lanes.len(), lane) {
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

    fn end_name(&self, end: usize) -> String {
        match &self.plan.ends[end].kind {
            EndKind::Node(node) => format!("{} #{}", node.call.operator, self.number(node)),
            EndKind::Side(node, broadcasting) => {
                let (operator, number) = (node.call.operator, self.number(node));
                format!("{operator} #{number} ({})", broadcasting.held.name())
            }
            EndKind::Held(node) => format!("{} #{} (held)", node.call.operator, self.number(node)),
            EndKind::Sink(index) => {
                format!("{} #{}", self.sinks[*index].call.operator, self.plan.nodes.len() + index + 1)
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
