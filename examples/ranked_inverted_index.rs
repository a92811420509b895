//! Writes the documents of each word, those that have it most often first: `ranked-inverted-index` of the PUMA suite, which begins
//! with the counts that another job has left; this one counts by itself.
//!
//! The idea it shows: two exchanges after one another, by different keys. Words are counted by word and document; the counts are
//! then brought together by word alone.
//!
//! `cargo run --release --example ranked_inverted_index -- examples/data/*.txt index`

use std::cmp::Reverse;

use gristmill::prelude::*;

fn main() -> gristmill::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(output) = arguments.pop().filter(|_| !arguments.is_empty()) else {
        eprintln!("usage: ranked_inverted_index INPUT... OUT");
        std::process::exit(2);
    };
    let ctx = Context::new()?;
    let mut words = ctx.from_vec(Vec::<(Text, Text)>::new());
    for file in &arguments {
        let document = Text::from(file.as_str());
        let of_file = ctx.read_text(file)?.flat_map(|line| line.split_whitespace());
        words = words.union(&of_file.map(move |word| (word, document.clone())));
    }
    let counts = words.count_by_value().map(|((word, document), count)| (word, (count, document)));
    let ranked = counts.group_by_key().map_values(|mut documents| {
        documents.sort_by_key(|(count, document)| (Reverse(*count), document.clone()));
        documents
    });
    let options = ParquetOptions::default().existing(Existing::Overwrite);
    let written = ranked.columns(["word", "documents"]).write_parquet(&output, options)?;
    println!("{} words", written.rows);
    Ok(())
}
