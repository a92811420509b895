//! Counts the words of text files into a committed directory of Parquet files.
//!
//! `cargo run --release --example wordcount -- examples/data/*.txt counts`

use gristmill::prelude::*;

fn main() -> gristmill::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(output) = arguments.pop().filter(|_| !arguments.is_empty()) else {
        eprintln!("usage: wordcount INPUT... OUT");
        std::process::exit(2);
    };
    let ctx = Context::new()?;
    let counts = ctx
        .read_text(&arguments)?
        .flat_map(|line| line.split_whitespace())
        .map(|word| (word, 1u64))
        .reduce_by_key(|a, b| a + b);
    println!("{}", counts.explain());
    let options = ParquetOptions::default().existing(Existing::Overwrite);
    let written = counts.columns(["word", "count"]).write_parquet(&output, options)?;
    println!("{} words in {} part(s)", written.rows, written.parts);
    Ok(())
}
