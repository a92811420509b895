//! `--metrics`: what it writes, where it does not, and what a run that fails leaves.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use common::place::{Place, assert_says, utf8};

#[test]
fn metrics_are_json_with_the_rows_of_every_stage() {
    let place = Place::new(&[("in.txt", "a b\nc a\n")]);
    place.succeed("wordcount in.txt -o out --metrics m.json --threads 2");
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.at("m.json")).unwrap()).unwrap();
    assert_eq!((report["threads"].as_u64(), report["input_bytes"].as_u64()), (Some(2), Some(8)));
    let stages = report["stages"].as_array().unwrap();
    let rows =
        |stage: usize, operator: usize, which: &str| stages[stage]["operators"][operator][which].as_u64();
    assert_eq!(stages.len(), 2);
    assert_eq!((rows(0, 0, "rows_in"), rows(0, 0, "rows_out")), (Some(4), None));
    assert_eq!(rows(1, 0, "rows_in"), Some(3));
}

#[test]
fn metrics_overwrite_neither_input_nor_output() {
    let place = Place::new(&[("in.txt", "a b\nc a\n")]);
    for path in ["in.txt", "out/m.json", "out"] {
        let message = place.fail(&format!("wordcount in.txt -o out --metrics {path}"), 2);
        assert!(message.contains("the metrics file"), "{message}");
    }
    symlink("nowhere", place.at("dangling")).unwrap();
    for path in ["missing/m.json", "dangling"] {
        let Output { status, stderr, .. } = place.run(&format!("wordcount in.txt -o out --metrics {path}"));
        assert_eq!((status.code(), place.names()), (Some(1), vec!["dangling".into(), "in.txt".into()]));
        assert_says(&utf8(stderr), &[&format!("cannot write {path}"), "give a file in a directory"]);
    }
}

#[test]
fn metrics_lie_neither_in_an_input_nor_in_the_output() {
    let place = Place::new(&[("in.txt", "a b"), ("in/b.txt", "c"), ("old.json", "old"), ("kept/x", "")]);
    symlink("in.txt", place.at("link.txt")).unwrap();
    symlink("in", place.at("alias")).unwrap();
    symlink("kept", place.at("out")).unwrap();
    std::fs::hard_link(place.at("in.txt"), place.at("hard.txt")).unwrap();
    for (input, metrics) in [
        ("in.txt", "link.txt"),
        ("link.txt", "in.txt"),
        ("in.txt", "hard.txt"),
        ("*.txt", "in.txt"),
        ("*.txt", "m.txt"),
        ("in", "alias/m.json"),
        ("alias", "in/b.txt"),
        ("in.txt", "out/m.json"),
        ("in.txt", "kept/m.json"),
    ] {
        let message = place.fail(&format!("wordcount {input} -o out --force --metrics {metrics}"), 2);
        assert_says(&message, &["the metrics file", metrics, "write it elsewhere"]);
    }
    place.succeed("wordcount in.txt -o _new --metrics in/m.json");
}

#[test]
fn metrics_of_a_run_that_fails_are_not_written() {
    let place = Place::new(&[("in.txt", "a b"), ("old.json", "old"), ("out/mine", "")]);
    std::fs::write(place.at("bad.txt"), b"\xff").unwrap();
    for metrics in ["new.json", "old.json"] {
        place.fail(&format!("wordcount in.txt -o out --metrics {metrics}"), 2);
        place.fail(&format!("wordcount bad.txt -o new --metrics {metrics}"), 1);
    }
    symlink("old.json", place.at("link.json")).unwrap();
    place.succeed("wordcount in.txt -o new --metrics link.json");
    assert!(std::fs::read_to_string(place.at("old.json")).unwrap().starts_with('{'));
    assert_eq!(place.names(), ["bad.txt", "in.txt", "link.json", "new", "old.json", "out"]);
    assert!(place.succeed("wordcount in.txt -o x.csv --metrics /dev/stdout").0.starts_with('{'));
}

#[test]
fn a_pipe_that_nobody_reads_is_refused_before_the_run() {
    // Elsewhere: `Place` looks into its files, and would wait for the pipe.
    let (place, elsewhere) = (Place::new(&[("in.txt", "a b")]), tempfile::tempdir().unwrap());
    let pipe = elsewhere.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let message = place.fail(&format!("wordcount in.txt -o out --metrics {}", pipe.display()), 1);
    assert_says(&message, &["pipe", "a pipe that is read"]);
    assert_eq!(place.names(), ["in.txt"]);
}
