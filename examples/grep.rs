//! Prints the lines that match a pattern: `grep` of the PUMA suite, and the second example of the paper on MapReduce.
//!
//! The idea it shows: a closure moves what it needs, here a compiled regular expression, into the dataset. Every worker uses
//! that one, each on its own splits, and the lines still come out in the order of the files.
//!
//! `cargo run --release --example grep -- '\bday\b' examples/data/*.txt`
//!
//! It ends with 1 if no line matches, as grep does.

use gristmill::prelude::*;
use regex::Regex;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((pattern, inputs)) = arguments.split_first().filter(|(_, inputs)| !inputs.is_empty()) else {
        eprintln!("usage: grep PATTERN INPUT...");
        std::process::exit(2);
    };
    let pattern = Regex::new(pattern)?;
    let ctx = Context::new()?;
    let matching = ctx.read_text(inputs)?.filter(move |line| pattern.is_match(line.as_str())).collect()?;
    for line in &matching {
        println!("{line}");
    }
    std::process::exit(i32::from(matching.is_empty()));
}
