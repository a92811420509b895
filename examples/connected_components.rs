//! Finds out which nodes of a graph are connected: every node takes over the first name, in order, among its own and those of
//! its neighbours, round after round, until none changes. The nodes of a component then all have the same name.
//!
//! A line of the input is a link between two nodes, separated by white space; which one comes first does not matter.
//!
//! The idea it shows: a loop whose rounds are a join and an aggregation by key. The links are read and divided by node once,
//! before the first round; only names are exchanged in each.
//!
//! `cargo run --release --example connected_components -- links.txt components`
//!
//! It goes on until no name changes, or for as many rounds as a number after the output says.

use gristmill::prelude::*;

/// Names travel one link a round: more than enough for all graphs but very long chains.
const MAX_ROUNDS: usize = 10_000;

/// A node, and the first name that it has heard of.
type Named = (Text, Text);

/// The two nodes of a line.
fn link(line: &Text) -> Option<(Text, Text)> {
    let mut nodes = line.split_whitespace();
    Some((nodes.next()?, nodes.next()?))
}

/// Every node tells its neighbours its name.
fn step(links: &Dataset<(Text, Text)>, names: &Dataset<Named>) -> Dataset<Named> {
    let told = links.join(names).map(|(_, (neighbour, name))| (neighbour, name));
    names.union(&told).reduce_by_key(std::cmp::min)
}

fn main() -> gristmill::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (input, output, rounds) = match arguments.as_slice() {
        [input, output] => (input, output, None),
        [input, output, rounds] if rounds.parse::<usize>().is_ok() => (input, output, rounds.parse().ok()),
        _ => {
            eprintln!("usage: connected_components LINKS OUT [ROUNDS]");
            std::process::exit(2);
        }
    };
    let ctx = Context::new()?;
    let links = ctx.read_text(input)?.filter_map(|line| link(&line));
    let links = links.flat_map(|(one, other)| [(one.clone(), other.clone()), (other, one)]).distinct();
    let start = links.keys().distinct().map(|node| (node.clone(), node));
    let step = |names: &Dataset<Named>| step(&links, names);
    let names = match rounds {
        Some(rounds) => start.iterate(rounds, step),
        None => start.iterate_until(MAX_ROUNDS, step, |before, after| {
            before.join(after).map(|(_, (old, new))| old == new)
        }),
    };
    let options = ParquetOptions::default().existing(Existing::Overwrite);
    let written = names.columns(["node", "component"]).write_parquet(output, options)?;
    println!("{} nodes", written.rows);
    Ok(())
}
