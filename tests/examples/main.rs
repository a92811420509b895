//! The examples, run as a user runs them: what they print and write is what their text says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gristmill::io::commit::manifest;

#[path = "../common/consumers.rs"]
mod consumers;
mod loops;
mod puma;
mod sorting;
mod tpch;

/// The program of an example; cargo builds it before the tests, two directories from here.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(built.exists(), "{} is not built: cargo build --examples", built.display());
    built
}

/// What makes an example run in the MapReduce mode.
const MAP_REDUCE: (&str, &str) = ("GRISTMILL_EXECUTION", "mapreduce");

fn run(name: &str, arguments: &[&Path]) -> Output {
    run_with(name, arguments, &[])
}

fn run_with(name: &str, arguments: &[&Path], variables: &[(&str, &str)]) -> Output {
    Command::new(example(name)).args(arguments).envs(variables.iter().copied()).output().unwrap()
}

fn printed(output: &Output) -> &str {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    assert_eq!(errors, "");
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn hello_prints_the_two_most_frequent_words() {
    for variables in [&[][..], &[MAP_REDUCE]] {
        assert_eq!(printed(&run_with("hello", &[], variables)), "2 to\n2 be\n");
    }
}

/// Against the plain loop over all starts.
#[test]
fn custom_source_finds_the_longest_sequences() {
    let steps = |start: u64| {
        std::iter::successors(Some(start), |&n| Some(if n % 2 == 0 { n / 2 } else { 3 * n + 1 }))
            .position(|n| n == 1)
            .unwrap()
    };
    let mut lengths: Vec<(usize, u64)> = (1..=100_000).map(|start| (steps(start), start)).collect();
    lengths.sort_by(|a, b| b.cmp(a));
    let lines = lengths[..3].iter().map(|(length, start)| format!("{start} needs {length} steps\n"));
    let expected: String = lines.collect();
    for variables in [&[][..], &[MAP_REDUCE]] {
        assert_eq!(printed(&run_with("custom_source", &[], variables)), expected);
    }
}

#[test]
fn wordcount_explains_itself_and_commits() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("counts");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let books = ["genesis.txt", "psalms.txt"].map(|name| data.join(name));
    let mut parts = Vec::new();
    for variables in [&[][..], &[], &[MAP_REDUCE]] {
        let output = run_with("wordcount", &[&books[0], &books[1], &out], variables);
        let printed = printed(&output);
        let manifest = manifest::verify(&out).unwrap();
        let expected = format!("{} words in {} part(s)\n", manifest.rows, manifest.parts.len());
        assert!(printed.starts_with("Logical graph\n") && printed.ends_with(&expected), "{printed}");
        assert!(manifest.rows > 1000, "{}", manifest.rows);
        assert_eq!(
            printed.contains("\n  cycle 1: map stage 1, shuffle for reduce_by_key"),
            !variables.is_empty()
        );
        parts.push(manifest.parts.iter().map(|part| std::fs::read(out.join(&part.name)).unwrap()).collect());
    }
    let parts: Vec<Vec<Vec<u8>>> = parts;
    assert!(parts[0] == parts[1] && parts[0] == parts[2], "every run gives the same bytes");
}

#[test]
fn wordcount_without_arguments_tells_its_usage() {
    let output = run("wordcount", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stderr, b"usage: wordcount INPUT... OUT\n");
}
