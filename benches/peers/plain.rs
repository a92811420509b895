//! What one writes on a quiet afternoon: a string, chunks of it, rayon and hash maps.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rayon::prelude::*;

use crate::Outcome;

/// What a task gets.
const CHUNK_BYTES: usize = 4 << 20;

/// Counts the words of `input` into a CSV file in the directory `output`.
pub fn run(input: &Path, output: &Path, threads: usize) -> Outcome<()> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let text = fs::read_to_string(input)?;
    let counts = chunks(&text).into_par_iter().fold(HashMap::new, count).reduce(HashMap::new, merge);
    let mut csv = csv::Writer::from_path(output.join("counts.csv"))?;
    csv.write_record(["word", "count"])?;
    for (word, count) in counts {
        csv.write_record([word, &count.to_string()])?;
    }
    Ok(csv.flush()?)
}

/// Cuts a text into chunks, each before white space.
fn chunks(mut text: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    while text.len() > CHUNK_BYTES {
        let at = (CHUNK_BYTES..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
        let at = text[at..].find(char::is_whitespace).map_or(text.len(), |space| at + space);
        let (chunk, rest) = text.split_at(at);
        chunks.push(chunk);
        text = rest;
    }
    chunks.push(text);
    chunks
}

fn count<'a>(mut counts: HashMap<&'a str, u64>, chunk: &'a str) -> HashMap<&'a str, u64> {
    for word in chunk.split_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

fn merge<'a>(a: HashMap<&'a str, u64>, b: HashMap<&'a str, u64>) -> HashMap<&'a str, u64> {
    let (mut all, few) = if a.len() < b.len() { (b, a) } else { (a, b) };
    for (word, count) in few {
        *all.entry(word).or_default() += count;
    }
    all
}
