//! Prints the most frequent words of each document with their counts: `term-vector` of the PUMA suite.
//!
//! The idea it shows: the first few of each key without sorting, or even holding, all the others. PUMA drops words below a
//! count that one has to guess; here each document keeps its ten most frequent ones.
//!
//! `cargo run --release --example term_vector -- examples/data/*.txt`

use std::cmp::Reverse;

use gristmill::prelude::*;

/// The words that a document keeps.
const TERMS: usize = 10;

fn main() -> gristmill::Result<()> {
    let inputs: Vec<String> = std::env::args().skip(1).collect();
    if inputs.is_empty() {
        eprintln!("usage: term_vector INPUT...");
        std::process::exit(2);
    }
    let ctx = Context::new()?;
    let mut words = ctx.from_vec(Vec::<(Text, Text)>::new());
    for file in &inputs {
        let document = Text::from(file.as_str());
        let of_file = ctx.read_text(file)?.flat_map(|line| line.split_whitespace());
        words = words.union(&of_file.map(move |word| (document.clone(), word)));
    }
    let counts = words.count_by_value().map(|((document, word), count)| (document, (count, word)));
    // Of words that are equally frequent, the first ones of the alphabet.
    let mut terms = counts.top_k_by_key(TERMS, |(count, word)| (*count, Reverse(word.clone()))).collect()?;
    terms.sort();
    for (document, terms) in terms {
        let terms: Vec<String> = terms.iter().map(|(count, word)| format!("{word} {count}")).collect();
        println!("{document}: {}", terms.join(", "));
    }
    Ok(())
}
