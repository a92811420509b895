//! Turns the edges of a graph into the neighbours of each node: `adjacency-list` of the PUMA suite, whose output is what
//! algorithms such as `PageRank` begin with.
//!
//! A line of the input is an edge: two nodes, separated by white space. For each node, the output has the nodes that it leads
//! to and those that lead to it, both in order.
//!
//! The idea it shows: `cogroup`, which brings the values of a key on two sides together, and also has the keys that occur on
//! one side only.
//!
//! `cargo run --release --example adjacency_list -- edges.txt graph`

use gristmill::prelude::*;

fn main() -> gristmill::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(output) = arguments.pop().filter(|_| !arguments.is_empty()) else {
        eprintln!("usage: adjacency_list INPUT... OUT");
        std::process::exit(2);
    };
    let ctx = Context::new()?;
    let edges = ctx.read_text(&arguments)?.try_map(|line| edge(&line)).distinct();
    let reversed = edges.map(|(from, to)| (to, from));
    let neighbours = edges.cogroup(&reversed).map(|(node, (mut to, mut from))| {
        to.sort();
        from.sort();
        (node, to, from)
    });
    let options = ParquetOptions::default().existing(Existing::Overwrite);
    let written = neighbours.columns(["node", "leads_to", "comes_from"]).write_parquet(&output, options)?;
    println!("{} nodes", written.rows);
    Ok(())
}

fn edge(line: &Text) -> Result<(Text, Text), String> {
    let mut nodes = line.split_whitespace();
    match (nodes.next(), nodes.next(), nodes.next()) {
        (Some(from), Some(to), None) => Ok((from, to)),
        _ => Err(format!("{line:?} is no edge: two nodes are wanted")),
    }
}
