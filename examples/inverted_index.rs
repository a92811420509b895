//! Writes the documents of each word, in order: `inverted-index` of the PUMA suite.
//!
//! The idea it shows: a document is a file, and a line does not know its file. So each file is a dataset of its own, whose words
//! are paired with its name, and one dataset after the other is united with those before it. They still run as one job.
//!
//! `cargo run --release --example inverted_index -- examples/data/*.txt index`

use gristmill::prelude::*;

fn main() -> gristmill::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(output) = arguments.pop().filter(|_| !arguments.is_empty()) else {
        eprintln!("usage: inverted_index INPUT... OUT");
        std::process::exit(2);
    };
    let ctx = Context::new()?;
    let mut words = ctx.from_vec(Vec::<(Text, Text)>::new());
    for file in &arguments {
        let document = Text::from(file.as_str());
        let of_file = ctx.read_text(file)?.flat_map(|line| line.split_whitespace());
        words = words.union(&of_file.map(move |word| (word, document.clone())));
    }
    // A pair that comes often is exchanged once a split: `distinct` drops the others before they are sent.
    let index = words.distinct().group_by_key().map_values(|mut documents| {
        documents.sort();
        documents
    });
    let options = ParquetOptions::default().existing(Existing::Overwrite);
    let written = index.columns(["word", "documents"]).write_parquet(&output, options)?;
    println!("{} words", written.rows);
    Ok(())
}
