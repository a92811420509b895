//! `gristmill flow check`.

use std::collections::HashMap;
use std::fmt::Write;
use std::process::ExitCode;

use super::arguments::{Pair, params};
use super::rails::{Rail, rails};
use crate::cli::escape::escaped;
use crate::cli::print;
use crate::error::Result;
use crate::flow::{Flow, NodeText, Plan};

/// Items of a task that are shown; they differ in little.
const SHOWN_ITEMS: usize = 10;

/// Rails side by side, at most; a plan that needs more has none.
const MOST_RAILS: usize = 12;

/// Prints the plan of a run.
///
/// # Errors
///
/// For what is wrong with it.
pub fn check(flow: &Flow, pairs: &[Pair]) -> Result<ExitCode> {
    let plan = Plan::new(flow, params(pairs)?)?;
    let mut text = String::new();
    add(&mut text, "", "", &plan.describe_run());
    add_tasks(&mut text, &plan.describe_nodes());
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The tasks with their rails, and below each its items.
fn add_tasks(text: &mut String, nodes: &[NodeText]) {
    let tasks = || (0..nodes.len()).filter(|&node| nodes[node].item_of.is_none());
    let places: HashMap<usize, usize> = tasks().enumerate().map(|(place, node)| (node, place)).collect();
    let mut items: HashMap<usize, Vec<&NodeText>> = HashMap::new();
    for node in nodes {
        node.item_of.into_iter().for_each(|task| items.entry(task).or_default().push(node));
    }
    let needs = |node: usize| nodes[node].needs.iter().filter_map(|need| places.get(need).copied()).collect();
    let needs: Vec<Vec<usize>> = tasks().map(needs).collect();
    let rails = rails(&needs, MOST_RAILS).unwrap_or_else(|| vec![Rail::default(); needs.len()]);
    for (node, rail) in tasks().zip(rails) {
        add(text, &rail.here, &rail.below, &nodes[node].text);
        let items = items.remove(&node).unwrap_or_default();
        let below = format!("{}    ", rail.below);
        items.iter().take(SHOWN_ITEMS).for_each(|item| add(text, &below, &below, &item.text));
        if items.len() > SHOWN_ITEMS {
            let _ = writeln!(text, "{below}… and {} more", items.len() - SHOWN_ITEMS);
        }
    }
}

/// Adds lines without anything that a terminal acts on; the first one has something else before it.
fn add(text: &mut String, first: &str, rest: &str, lines: &str) {
    for (place, line) in lines.lines().enumerate() {
        let _ = writeln!(text, "{}{}", if place == 0 { first } else { rest }, escaped(line));
    }
}
