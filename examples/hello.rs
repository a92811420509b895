//! The smallest program: a few lines in memory, counted.
//!
//! `cargo run --release --example hello`

use gristmill::prelude::*;

fn main() -> gristmill::Result<()> {
    let ctx = Context::new()?;
    let lines = ctx.from_vec(vec![Text::from("to be or not to be"), Text::from("that is the question")]);
    let counts = lines.flat_map(|line| line.split_whitespace()).count_by_value();
    for (word, count) in counts.top_k(2, |(word, count)| (*count, word.clone())).collect()? {
        println!("{count} {word}");
    }
    Ok(())
}
