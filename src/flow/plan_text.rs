//! A plan as people read it.

use std::fmt::Write;

use super::duration;
use super::plan::{Node, Plan, Role};
use super::step::{Argument, Step};
use crate::cli::escape::escaped;

/// A node of a plan as people read it.
pub(crate) struct NodeText {
    /// The places of the nodes before it that it waits for.
    pub needs: Vec<usize>,
    /// Of an item, the place of its task.
    pub item_of: Option<usize>,
    pub text: String,
}

impl Plan {
    /// The plan as text: the run, then each task with what it waits for and what it does. Secrets are not in it, nor anything
    /// that a terminal acts on.
    pub fn describe(&self) -> String {
        let nodes = self.describe_nodes().into_iter().map(|node| node.text);
        std::iter::once(self.describe_run()).chain(nodes).collect()
    }

    /// What the run is about.
    pub(crate) fn describe_run(&self) -> String {
        let mut text = format!("{}\n", escaped(self.run_key()));
        if let Some(interval) = self.interval() {
            let _ = writeln!(text, "interval {} to {}", interval.start, interval.end);
        }
        text
    }

    /// What each node waits for and does, in lines.
    pub(crate) fn describe_nodes(&self) -> Vec<NodeText> {
        let describe = |(index, node): (usize, &Node)| {
            let mut text = String::new();
            self.describe_node(&mut text, index, node.role == Role::Group);
            let item_of = if let Role::Item { group, .. } = node.role { Some(group) } else { None };
            NodeText { needs: node.needs.clone(), item_of, text }
        };
        self.nodes.iter().enumerate().map(describe).collect()
    }

    fn describe_node(&self, text: &mut String, index: usize, is_group: bool) {
        let (node, task) = (&self.nodes[index], self.task(index));
        let after: Vec<&str> = node.needs.iter().map(|&need| self.nodes[need].key.as_str()).collect();
        let after = if after.is_empty() { String::new() } else { format!(" after {}", after.join(", ")) };
        if let (Some(items), true) = (&task.for_each, is_group) {
            let line = format!("{}: for each {} of {}{after}", node.key, items.item, items.of_what());
            let _ = writeln!(text, "{}", escaped(&line));
        } else {
            let line = format!("{}: {}{after}", node.key, self.what(index));
            let _ = writeln!(text, "{}", escaped(&line));
            self.describe_limits(text, index);
        }
    }

    fn describe_limits(&self, text: &mut String, index: usize) {
        let task = self.task(index);
        let mut limits = Vec::new();
        if task.retries > 0 {
            limits.push(format!("{} retries", task.retries));
        }
        if let Some(timeout) = task.timeout {
            limits.push(format!("timeout {}", duration::text(timeout)));
        }
        if let Some(pool) = &task.pool {
            limits.push(format!("{} of pool {pool}", task.slots));
        }
        if !task.idempotent {
            limits.push("not idempotent".to_owned());
        }
        if !limits.is_empty() {
            let _ = writeln!(text, "    {}", limits.join(", "));
        }
    }

    /// What a node does, with the values of its names.
    fn what(&self, index: usize) -> String {
        let scope = self.scope_of(index).without_secrets();
        let shown = |text: &str| scope.expand(text).unwrap_or_else(|_| text.to_owned());
        match &self.task(index).step {
            Step::Job(_) => "a closure".to_owned(),
            Step::Command(command) => {
                command.argv().iter().map(|text| shown(text)).collect::<Vec<_>>().join(" ")
            }
            Step::Load(load) => {
                let from = load.texts().iter().map(|text| shown(text)).collect::<Vec<_>>();
                format!("load {}", from.join(" "))
            }
            Step::Engine(engine) => {
                let mut words = vec![engine.command.name().to_owned()];
                words.extend(engine.input().iter().map(|text| shown(text)));
                for (name, value) in engine.options() {
                    words.push(match value {
                        Argument::Text(text) => format!("{name}={}", shown(text)),
                        Argument::List(texts) => {
                            format!(
                                "{name}={}",
                                texts.iter().map(|text| shown(text)).collect::<Vec<_>>().join(",")
                            )
                        }
                        Argument::Number(number) => format!("{name}={number}"),
                        Argument::Flag(flag) => format!("{name}={flag}"),
                    });
                }
                words.join(" ")
            }
        }
    }
}
