//! Sorts records of 100 bytes by their first ten: `TeraSort`, of Jim Gray's sort benchmark and the `HiBench` suite.
//!
//! A line of the input is a record of text, as `gensort -a` writes it: a key of ten bytes, and a value. The output is one directory of files; one after the other they are
//! in order.
//!
//! The idea it shows: data of any size. What does not fit the memory limit goes to disk in sorted runs, and is merged from there.
//!
//! `cargo run --release --example terasort -- --generate 1000000 records.txt` writes records,
//! `GRISTMILL_MEMORY=64MiB cargo run --release --example terasort -- records.txt sorted` sorts them.

use std::fs::File;
use std::io::{BufWriter, Write};

use gristmill::prelude::*;

const KEY_BYTES: usize = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--generate", count, path] => generate(count.parse()?, path),
        [input, output] => sort(input, output),
        _ => {
            eprintln!("usage: terasort INPUT OUT | terasort --generate RECORDS FILE");
            std::process::exit(2);
        }
    }
}

fn sort(input: &str, output: &str) -> Result<(), Box<dyn std::error::Error>> {
    let ctx = Context::new()?;
    let records = ctx.read_text(input)?;
    let sorted = records.try_map(|line| record(&line)).sort_by_key(|(key, _)| key.clone());
    let options = ParquetOptions::default().existing(Existing::Overwrite);
    let written = sorted.columns(["key", "value"]).write_parquet(output, options)?;
    println!("{} records, {} bytes spilled", written.rows, ctx.spilled_bytes());
    Ok(())
}

/// The key of a record, and the rest of it.
fn record(line: &Text) -> Result<(Text, Text), String> {
    if line.len() <= KEY_BYTES || !line.is_char_boundary(KEY_BYTES) {
        return Err(format!("a record has more than {KEY_BYTES} bytes, and this line {}", line.len()));
    }
    Ok((line.slice(..KEY_BYTES), line.slice(KEY_BYTES..)))
}

/// Writes records as `gensort -a` does: a key of ten printable characters, the number of the record, and filling.
fn generate(count: u64, path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut state = 0x5EED_u64;
    for number in 0..count {
        let mut key = [0; KEY_BYTES];
        for byte in &mut key {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = b' ' + ((state >> 33) % 95) as u8;
        }
        let filling = char::from(b'A' + (number % 26) as u8).to_string().repeat(52);
        write!(out, "{}  {number:032x}  {filling}\r\n", String::from_utf8_lossy(&key))?;
    }
    Ok(out.flush()?)
}
