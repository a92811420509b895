//! What several results share is read once. A test alone in its process, which counts the bytes that the process reads.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as the test may")]
#![cfg(target_os = "linux")]

use std::fs;

use gristmill::config::Rules;
use gristmill::prelude::*;

/// The bytes that this process has read from files so far.
fn bytes_read() -> u64 {
    let counters = fs::read_to_string("/proc/self/io").unwrap();
    counters.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[test]
fn two_sinks_on_one_input_read_each_byte_once() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("input.txt");
    let text = "some words in a line, and more of them to fill it\n".repeat(200_000);
    fs::write(&input, &text).unwrap();
    for (rules, times) in [(Rules::ALL, 1), (Rules { share: false, ..Rules::ALL }, 2)] {
        let ctx = Context::builder().threads(2).split_bytes(1 << 20).rules(rules).build().unwrap();
        let lines = ctx.read_text(&input).unwrap();
        let words = lines.flat_map(|line| line.split_whitespace()).count_by_value();
        let options = || ParquetOptions::default().existing(Existing::Overwrite);
        let before = bytes_read();
        ctx.run((
            words.columns(["word", "count"]).to_parquet(dir.path().join("words"), options()),
            lines.to_csv(dir.path().join("lines"), CsvOptions::default().existing(Existing::Overwrite)),
        ))
        .unwrap();
        let read = bytes_read() - before;
        // Each split looks a few KiB beyond its end for the end of its last line; manifests are small.
        let least = times * text.len() as u64;
        assert!((least..least + least / 50).contains(&read), "{read} bytes read of {least}");
    }
}
