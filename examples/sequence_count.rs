//! Counts every sequence of three consecutive words of each document: `sequence-count` of the PUMA suite.
//!
//! The idea it shows: neighbours, where they may stand in different lines, and even in different splits. Every word gets its
//! number in the document, and is sent to the three sequences that it stands in; what meets there is the sequence.
//!
//! `cargo run --release --example sequence_count -- examples/data/*.txt sequences`

use gristmill::prelude::*;

fn main() -> gristmill::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(output) = arguments.pop().filter(|_| !arguments.is_empty()) else {
        eprintln!("usage: sequence_count INPUT... OUT");
        std::process::exit(2);
    };
    let ctx = Context::new()?;
    let mut counts = ctx.from_vec(Vec::<(Text, Text, u64)>::new());
    for file in &arguments {
        let document = Text::from(file.as_str());
        let words = ctx.read_text(file)?.flat_map(|line| line.split_whitespace());
        let of_file = sequences(&words).count_by_value();
        counts = counts.union(&of_file.map(move |(sequence, count)| (document.clone(), sequence, count)));
    }
    let options = ParquetOptions::default().existing(Existing::Overwrite);
    let written = counts.columns(["document", "sequence", "count"]).write_parquet(&output, options)?;
    println!("{} sequences", written.rows);
    Ok(())
}

/// Each three words that follow one another.
fn sequences(words: &Dataset<Text>) -> Dataset<Text> {
    // The word of number n is the third one of the sequence n, the second one of n + 1, the first one of n + 2.
    let places = words
        .enumerate()
        .flat_map(|(n, word)| [(n, (2, word.clone())), (n + 1, (1, word.clone())), (n + 2, (0_u8, word))]);
    places.group_by_key().filter_map(|(_, mut words)| {
        words.sort();
        match words.as_slice() {
            [(_, first), (_, second), (_, third)] => Some(Text::from(format!("{first} {second} {third}"))),
            _ => None, // before the third word of the document, and after its last one
        }
    })
}
