//! Ranks the nodes of a graph by the links to them: `PageRank`, all rounds in one run.
//!
//! The input is a list of links, one a line: the node it goes from, and the node it goes to. Words that follow each other in a
//! book are such a graph, too:
//!
//! ```sh
//! tr -cs A-Za-z '\n' < examples/data/genesis.txt | awk 'last { print last, $1 } { last = $1 }' > links.txt
//! cargo run --release --example pagerank -- links.txt
//! ```
//!
//! It goes on until the ranks change no more, or for as many rounds as a number after the file says.

use std::cmp::Reverse;

use gristmill::Total;
use gristmill::prelude::*;

const MAX_ROUNDS: usize = 100;

/// The share of its rank that a node passes on to those that it links to.
const DAMPING: f64 = 0.85;

/// The loop is over when all ranks together have changed by less.
const EPSILON: f64 = 1e-6;

/// What a node links to, and how many nodes that are.
type Link = (Text, u64);

/// The two nodes of a line.
fn link(line: &Text) -> Option<(Text, Text)> {
    let mut nodes = line.split_whitespace();
    Some((nodes.next()?, nodes.next()?))
}

/// Every node divides its rank among those that it links to.
fn step(
    nodes: &Dataset<Text>,
    links: &Dataset<(Text, Link)>,
    ranks: &Dataset<(Text, f64)>,
) -> Dataset<(Text, f64)> {
    let passed_on = links.join(ranks).map(|(_, ((to, links), rank))| (to, rank / links as f64));
    // A node without a link to it is to keep its place.
    let nothing = nodes.map(|node| (node, 0.0));
    nothing.union(&passed_on).reduce_by_key(|a, b| a + b).map_values(|sum| 1.0 - DAMPING + DAMPING * sum)
}

fn is_small_change(before: &Dataset<(Text, f64)>, after: &Dataset<(Text, f64)>) -> Dataset<bool> {
    let changes = before.join(after).map(|(_, (old, new))| ((), (new - old).abs()));
    changes.reduce_by_key(|a, b| a + b).map(|((), change)| change < EPSILON)
}

fn main() -> gristmill::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, rounds) = match arguments.as_slice() {
        [path] => (path, None),
        [path, rounds] if rounds.parse::<usize>().is_ok() => (path, rounds.parse().ok()),
        _ => {
            eprintln!("usage: pagerank LINKS [ROUNDS]");
            std::process::exit(2);
        }
    };
    let ctx = Context::new()?;
    let pairs = ctx.read_text(path)?.filter_map(|line| link(&line)).distinct();
    let nodes = pairs.flat_map(|(from, to)| [from, to]).distinct();
    let links = pairs.join(&pairs.count_by_key());
    let start = nodes.map(|node| (node, 1.0));
    let step = |ranks: &Dataset<(Text, f64)>| step(&nodes, &links, ranks);
    let ranks = match rounds {
        Some(rounds) => start.iterate(rounds, step),
        None => start.iterate_until(MAX_ROUNDS, step, is_small_change),
    };
    for (node, rank) in ranks.top_k(10, |(node, rank)| (Total(*rank), Reverse(node.clone()))).collect()? {
        println!("{rank:.4} {node}");
    }
    Ok(())
}
