//! The file of totals that `GRISTMILL_METRICS` or `metrics_file` names: what it must not overwrite, how it is written, and what it counts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::place::{Place, assert_says, utf8};
use common::{files, names};
use gristmill::prelude::*;
use serde_json::Value;

fn place() -> Place {
    Place::new(&[
        ("t2.csv", "a,b\n1,2\n"),
        ("in/x.txt", "a b"),
        ("dir/x", ""),
        ("sub/bad.csv", "a,b\n1,2\nx,2\n"),
    ])
}

fn totals(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn run(place: &Place, line: &str, file: impl AsRef<Path>) -> Output {
    place.command(line).env("GRISTMILL_METRICS", file.as_ref()).output().unwrap()
}

/// Runs a command that must fail and change nothing.
fn refused(place: &Place, line: &str, file: &str, code: i32, says: &[&str]) {
    let before = (files(&place.at("")), place.names());
    let Output { status, stderr, .. } = run(place, line, file);
    let message = utf8(stderr);
    assert_says(&message, says);
    assert_says(&message, &["set GRISTMILL_METRICS or metrics_file to a file elsewhere"]);
    assert_eq!(status.code(), Some(code), "{file}: {message}");
    assert!((files(&place.at("")), place.names()) == before, "{file}");
}

#[test]
fn an_input_and_an_output_are_not_overwritten() {
    let place = place();
    place.succeed("convert t2.csv -o kept");
    symlink("t2.csv", place.at("link")).unwrap();
    fs::hard_link(place.at("t2.csv"), place.at("hard")).unwrap();
    for (file, fault) in [
        ("t2.csv", "is also an input t2.csv"),
        ("link", "is also an input t2.csv"),
        ("hard", "is also an input t2.csv"),
        ("out", "lies in out"),
        ("out/t.json", "lies in out"),
        ("kept/t.json", "lies in the committed output"),
        ("kept/part-00000.parquet", "lies in the committed output"),
    ] {
        refused(&place, "convert t2.csv -o out", file, 2, &["the metrics file", file, fault]);
    }
    refused(&place, "wordcount in -o out", "in/t.json", 2, &["lies in the input in"]);
    refused(&place, "wordcount in/*.txt -o out", "in/t.txt", 2, &["would be found by the input"]);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_before_any_work() {
    let place = place();
    place.succeed("convert t2.csv -o out");
    for file in ["missing/t.json", "dir", "sub/bad.csv/t.json"] {
        let says = format!("cannot write {file}: ");
        refused(&place, "convert t2.csv -o out --force", file, 1, &[&says]);
    }
    symlink("nowhere", place.at("dangling")).unwrap();
    for file in ["missing/t.json", "dangling"] {
        let ctx = Context::builder().metrics_file(place.at(file)).build().unwrap();
        let computed = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&computed);
        let counted = ctx.range(0..10).map(move |_| counting.fetch_add(1, Ordering::Relaxed));
        assert_eq!(counted.count().unwrap_err().kind(), gristmill::ErrorKind::Output);
        assert_eq!(computed.load(Ordering::Relaxed), 0, "{file}");
    }
}

#[test]
fn what_is_rejected_is_an_output_too() {
    let place = place();
    let line = "convert sub/bad.csv -o out --schema sub/schema.json --on-error reject=bad";
    let (schema, _) = place.succeed("schema t2.csv");
    fs::write(place.at("sub/schema.json"), schema).unwrap();
    refused(&place, line, "bad/t.json", 2, &["bad/t.json lies in bad"]);
    let message = place.fail(&format!("{line} --metrics bad/m.json"), 2);
    assert_says(&message, &["bad/m.json lies in bad"]);
    let Output { status, stderr, .. } = run(&place, line, "t.json");
    assert!(status.success(), "{}", utf8(stderr));
    assert!(place.at("bad").exists() && totals(place.at("t.json"))["runs"] == 1);
}

#[test]
fn a_disk_that_is_full_in_the_end_fails_no_run_that_is_committed() {
    let place = place();
    let Output { status, stderr, .. } = run(&place, "convert t2.csv -o out", "/dev/full");
    let message = utf8(stderr);
    assert!(status.success() && place.at("out/part-00000.parquet").exists(), "{message}");
    let said = |message: &str, what: &str| {
        let line = message.lines().find(|line| line.contains(what)).map(str::to_owned);
        assert_says(&line.unwrap_or_default(), &[what, "cannot write /dev/full: No space left"]);
    };
    said(&message, "the run has succeeded, but its totals are not written");
    let (_, message) = place.succeed("convert t2.csv -o out2 --metrics /dev/full");
    said(&message, "the output is committed, but its metrics are not written");
    assert!(place.at("out2/part-00000.parquet").exists());
}

#[test]
fn a_link_stays_and_a_file_is_replaced() {
    let place = place();
    fs::create_dir(place.at("real")).unwrap();
    fs::write(place.at("real/t.json"), "old").unwrap();
    symlink("real/t.json", place.at("link")).unwrap();
    let before = place.at("real/t.json").metadata().unwrap().ino();
    let old = File::open(place.at("real/t.json")).unwrap();
    let Output { status, stderr, .. } = run(&place, "convert t2.csv -o out", "link");
    assert!(status.success(), "{}", utf8(stderr));
    assert!(place.at("link").is_symlink());
    assert_eq!(totals(place.at("real/t.json"))["runs"], 1);
    assert_eq!(names(&place.at("real")), ["t.json"]);
    fs::write(place.at("fresh"), "").unwrap();
    let mode = |name: &str| place.at(name).metadata().unwrap().mode();
    assert_eq!(mode("real/t.json"), mode("fresh"), "who may read it is as of any new file");
    assert_ne!(place.at("real/t.json").metadata().unwrap().ino(), before);
    assert_eq!(std::io::read_to_string(old).unwrap(), "old", "a reader of the old file keeps it");
}

#[test]
fn streams_of_the_process_are_written_to_and_not_replaced() {
    let place = place();
    for (index, stream) in ["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2", "alias"].into_iter().enumerate() {
        let place = Place::new(&[("t2.csv", "a,b\n1,2\n")]);
        symlink("/dev/stderr", place.at("alias")).unwrap();
        let log = place.at(format!("log{index}"));
        let file = File::create(&log).unwrap();
        let mut command = place.command("convert t2.csv -o out");
        command.env("GRISTMILL_METRICS", stream).stderr(file.try_clone().unwrap());
        assert!(command.status().unwrap().success(), "{stream}");
        let text = fs::read_to_string(&log).unwrap();
        let (report, rest) = text.split_at(text.find("}\n").unwrap() + 2);
        assert_eq!(serde_json::from_str::<Value>(report).unwrap()["runs"], 1, "{stream}");
        assert!(rest.contains("wrote 1 "), "{stream}: {text}");
        assert_eq!(file.metadata().unwrap().ino(), log.metadata().unwrap().ino(), "{stream}");
    }
    let Output { status, stdout, .. } = run(&place, "convert t2.csv -o out", "/dev/stdout");
    assert!(status.success());
    assert_eq!(serde_json::from_slice::<Value>(&stdout).unwrap()["runs"], 1, "a pipe");
    // Where the shell has sent the stream counts as what it is.
    let mut command = place.command("wordcount in -o out2");
    command.env("GRISTMILL_METRICS", "/dev/stdout").stdout(File::create(place.at("in/log")).unwrap());
    let Output { status, stderr, .. } = command.output().unwrap();
    assert_eq!(status.code(), Some(2));
    assert_says(&utf8(stderr), &["the metrics file /dev/stdout lies in the input in"]);
}

/// Runs of several threads on each of these contexts, which have one file of totals.
fn run_at_once(contexts: &[Context], file: &Path) {
    std::thread::scope(|scope| {
        for ctx in contexts.iter().cycle().take(4) {
            scope.spawn(move || {
                for _ in 0..20 {
                    assert_eq!(ctx.range(0..100).count().unwrap(), 100);
                    assert!(totals(file)["runs"].as_u64().unwrap() > 0, "it is there as a whole");
                }
            });
        }
    });
}

#[test]
fn runs_that_end_together_leave_the_totals_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("t.json");
    let context = || Context::builder().threads(2).metrics_file(&file).build().unwrap();
    let ctx = context();
    run_at_once(std::slice::from_ref(&ctx), &file);
    assert_eq!((totals(&file)["runs"].as_u64(), ctx.totals().runs), (Some(80), 80));
    assert_eq!(names(dir.path()), ["t.json"]);
    let both = [context(), context()];
    run_at_once(&both, &file);
    assert_eq!((totals(&file)["runs"].as_u64(), both[0].totals().runs), (Some(40), 40));
    assert_eq!(names(dir.path()), ["t.json"]);
}

#[test]
fn a_run_that_fails_counts_only_with_what_it_wrote_between_stages() {
    let place = place();
    let file = place.at("t.json");
    let builder = Context::builder().threads(2).execution(gristmill::config::Execution::MapReduce);
    let ctx = builder.metrics_file(&file).build().unwrap();
    let sums = ctx.range(0..1000).map(|n| (n % 10, n)).reduce_by_key(|a, b| a + b);
    let failing = sums.map(|pair| if pair.0 == 5 { panic!("of the test") } else { pair });
    failing.collect().unwrap_err();
    let after: gristmill::RunTotals = ctx.totals();
    assert_eq!((after.runs, after.input_bytes, after.first_output_seconds), (0, 0, None));
    assert!(after.stage_bytes_written > 0 && after.seconds == 0.0 && !file.exists());
    // A commit that fails makes a run fail, whatever its jobs did.
    fs::create_dir(place.at("taken")).unwrap();
    fs::write(place.at("taken/mine"), "").unwrap();
    sums.write_parquet(place.at("taken"), ParquetOptions::default()).unwrap_err();
    assert_eq!((ctx.totals().runs, file.exists()), (0, false));
    sums.collect().unwrap();
    let (seconds, first) = (ctx.totals().seconds, ctx.totals().first_output_seconds.unwrap());
    assert!(totals(&file)["runs"] == 1 && first <= seconds, "{first} {seconds}");
}
