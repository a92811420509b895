//! Makes candidates of k + 1 items out of associations of k: `self-join` of the PUMA suite, a step of the a-priori algorithm.
//!
//! A line of the input is an association: its items in ascending order, separated by commas. Two of them that agree in all but
//! the last item make a candidate: `a,b,c` and `a,b,d` make `a,b,c,d`.
//!
//! The idea it shows: a dataset joined with itself. The input is read once, for both sides, and the candidates of a prefix, whose
//! number grows with the square of its associations, are never held together.
//!
//! `cargo run --release --example self_join -- associations.txt candidates`

use gristmill::prelude::*;

fn main() -> gristmill::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(output) = arguments.pop().filter(|_| !arguments.is_empty()) else {
        eprintln!("usage: self_join INPUT... OUT");
        std::process::exit(2);
    };
    let ctx = Context::new()?;
    let associations = ctx.read_text(&arguments)?.distinct();
    let by_prefix = associations.filter_map(|items| items.rsplit_once(','));
    let candidates = by_prefix
        .join(&by_prefix)
        .filter(|(_, (last, other))| last < other) // each pair once, and no item with itself
        .map(|(prefix, (last, other))| Text::from(format!("{prefix},{last},{other}")));
    let options = ParquetOptions::default().existing(Existing::Overwrite);
    let written = candidates.columns(["items"]).write_parquet(&output, options)?;
    println!("{} candidates", written.rows);
    Ok(())
}
