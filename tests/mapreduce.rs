//! The MapReduce mode beside the dataflow mode: the same bytes, other cycles, files between stages. Programs are compared in
//! `tests/examples`, operators in `tests/every_op`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::place::{Place, assert_says};
use common::{files, gzip, text};
use gristmill::config::{Execution, Rules};
use gristmill::prelude::*;

fn context(execution: Execution) -> Context {
    Context::builder().threads(2).execution(execution).build().unwrap()
}

/// The plan without the columns that depend on this file's lines.
fn plan<T>(data: &Dataset<T>) -> String {
    let text = data.explain();
    let lines = text.lines().map(|line| match line.find("tests/mapreduce.rs:") {
        Some(at) => line[..at].trim_end(),
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_plan_of_two_cycles() {
    let ctx = context(Execution::MapReduce);
    let words = ctx.from_vec(vec![Text::from("a b"); 10]).flat_map(|line| line.split_whitespace());
    let counts = words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);
    let by_count = counts.map(|(word, count)| (count, word)).group_by_key();
    let expected = "\
Logical graph
  #1 from_vec 10 elements
  #2 flat_map of #1
  #3 map of #2
  #4 reduce_by_key of #3
  #5 map of #4
  #6 group_by_key of #5
  #7 result of #6
Stages
  stage 1: reads from_vec #1
    flat_map #2 -> map #3 -> reduce_by_key #4
    fuse: 2 operators run as one pipeline
    combine: on the map side of reduce_by_key #4
    partitions: 1 for reduce_by_key #4, by the bytes of its input
  stage 2: reads reduce_by_key #4, after reduce_by_key #4
    map #5 -> map #5 (stored)
    store: what map #5 gives is written to disk for the next cycle
  stage 3: reads map #5, after map #5 (stored)
    group_by_key #6
    combine: on the map side of group_by_key #6
    partitions: 1 for group_by_key #6, by the bytes of its input
  stage 4: reads group_by_key #6, after group_by_key #6
    result #7
Cycles
  cycle 1: map stage 1, shuffle for reduce_by_key #4, reduce stage 2
  cycle 2: map stage 3, shuffle for group_by_key #6, reduce stage 4";
    assert_eq!(plan(&by_count), expected);
}

#[test]
fn a_join_has_the_maps_of_both_sides_and_shared_input_is_read_in_each_cycle() {
    let rules = Rules { broadcast: false, ..Rules::ALL };
    let ctx = Context::builder().execution(Execution::MapReduce).rules(rules).build().unwrap();
    let pairs = ctx.from_vec((0..100u64).map(|n| (n % 7, n)).collect::<Vec<_>>());
    let sums = pairs.reduce_by_key(|a, b| a + b);
    let joined = sums.map_values(|sum| sum + 1).join(&pairs);
    let text = plan(&joined);
    let cycles = &text[text.find("Cycles").unwrap()..];
    let expected = "Cycles
  cycle 1: map stage 1, shuffle for reduce_by_key #2, reduce stage 2
  cycle 2: map stage 3 and stage 4, shuffle for join #4, reduce stage 5";
    assert_eq!(cycles, expected, "{text}");
    let mut rows = joined.collect().unwrap();
    rows.sort_unstable();
    assert_eq!((rows.len(), rows[0]), (100, (0, (736, 0))));
}

/// The cycles of a plan without those of its loops; its rows are those of the dataflow mode.
fn cycles<T: Record + PartialEq + std::fmt::Debug>(build: impl Fn(&Context) -> Dataset<T>) -> String {
    let rows = |execution| build(&context(execution)).collect().unwrap();
    assert_eq!(rows(Execution::Dataflow), rows(Execution::MapReduce));
    let text = plan(&build(&context(Execution::MapReduce)));
    let cycles = &text[text.find("Cycles").unwrap()..];
    cycles.split("\nEach round").next().unwrap().to_string()
}

/// What is looked at must be there before the cycle that looks at it begins, whatever it is.
#[test]
fn sides_that_are_broadcast_come_out_of_earlier_cycles() {
    let pairs = |ctx: &Context| ctx.range(0..100).map(|n| (n % 7, n));
    let sums = move |ctx: &Context| pairs(ctx).reduce_by_key(|a, b| a + b);
    let joined = |ctx: &Context, side: &Dataset<(u64, u64)>| {
        pairs(ctx).broadcast_join(side).map(|(key, (n, sum))| (key, n + sum)).reduce_by_key(|a, b| a + b)
    };
    let expected = "Cycles
  cycle 1: map stage 1, shuffle for reduce_by_key #5, reduce stage 2
  cycle 2: map stage 3, shuffle for reduce_by_key #8, reduce stage 4";
    assert_eq!(cycles(|ctx| joined(ctx, &sums(ctx))), expected, "the reduce tasks fill the side");
    let with_a_cycle_of_maps = |last: usize| {
        format!(
            "Cycles
  cycle 1: map stage 1, shuffle for reduce_by_key #5, reduce stage 2
  cycle 2: map stage 3
  cycle 3: map stage 4, shuffle for reduce_by_key #{last}, reduce stage 5"
        )
    };
    assert_eq!(cycles(|ctx| joined(ctx, &sums(ctx).cache())), with_a_cycle_of_maps(9));
    assert_eq!(cycles(|ctx| joined(ctx, &sums(ctx).union(&pairs(ctx)))), with_a_cycle_of_maps(11));
    let body = |state: &Dataset<(u64, u64)>| state.map_values(|n| n + 1).reduce_by_key(|a, b| a + b);
    assert_eq!(cycles(|ctx| joined(ctx, &sums(ctx).iterate(3, body))), with_a_cycle_of_maps(9));
}

#[test]
fn dataflow_plans_have_no_cycles() {
    let counts = context(Execution::Dataflow).range(0..10).map(|n| (n % 2, 1u64)).reduce_by_key(|a, b| a + b);
    assert!(!counts.explain().contains("Cycles"));
}

/// What `wordcount` and `convert` write: words, with counts, of two files, one of which is compressed.
#[test]
fn both_modes_of_the_command_write_the_same_bytes() {
    let place = Place::new(&[("one.txt", &text(300_000, 1)), ("data.csv", "day,n\n1,7\n2,8\n1,9\n")]);
    std::fs::write(place.at("two.txt.gz"), gzip(text(2_000_000, 2))).unwrap();
    for (job, out) in [
        ("wordcount one.txt two.txt.gz", "counts"),
        ("wordcount one.txt two.txt.gz --top 40", "top.csv"),
        ("wordcount one.txt two.txt.gz --memory 4MiB --threads 2", "little"),
        ("convert data.csv --partition-by day", "days"),
        ("convert data.csv", "n.jsonl"),
    ] {
        let written = ["dataflow", "mapreduce"].map(|execution| {
            place.succeed(&format!("{job} -o {out} --force --execution {execution}"));
            let mut written = files(&place.at(out));
            // It has the time of the run in it.
            written.retain(|path, _| !path.ends_with("_manifest.json"));
            written
        });
        assert!(written[0] == written[1] && !written[0].is_empty(), "{job}");
    }
}

#[test]
fn a_mode_that_is_none_is_refused() {
    let place = Place::new(&[("in.txt", "a b")]);
    let output = place.run("wordcount in.txt -o out --execution magic");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("give dataflow or mapreduce"));
    let output =
        place.command("wordcount in.txt -o out").env("GRISTMILL_EXECUTION", "magic").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert_says(&message, &["GRISTMILL_EXECUTION is \"magic\"", "set it to dataflow or mapreduce"]);
}

#[test]
fn a_limit_on_the_disk_ends_the_run_and_leaves_nothing() {
    let place = Place::new(&[("in.txt", &text(100_000, 3))]);
    let message = place.fail("wordcount in.txt -o out --execution mapreduce --spill-limit 1000", 1);
    assert_says(&message, &["exceeds the 1000 bytes", "--spill-limit"]);
    assert_eq!(place.names(), ["in.txt"]);
}

#[test]
fn metrics_tell_the_mode_and_the_bytes_between_stages() {
    let place = Place::new(&[("in.txt", &text(100_000, 4))]);
    for execution in ["dataflow", "mapreduce"] {
        let line = "wordcount in.txt -o out --force --metrics report.json --execution";
        let mut command = place.command(&format!("{line} {execution}"));
        assert!(command.env("GRISTMILL_METRICS", place.at("totals.json")).status().unwrap().success());
        for file in ["report.json", "totals.json"] {
            let report: serde_json::Value =
                serde_json::from_slice(&std::fs::read(place.at(file)).unwrap()).unwrap();
            assert_eq!(report["execution"], execution);
            let number = |field: &str| report[field].as_f64().unwrap();
            let is_between =
                number("first_output_seconds") > 0.0 && number("first_output_seconds") <= number("seconds");
            assert!(is_between, "{report}");
            let (written, read) = (number("stage_bytes_written"), number("stage_bytes_read"));
            assert_eq!((written > 0.0, read > 0.0), (execution == "mapreduce", execution == "mapreduce"));
            assert!(number("input_bytes") >= 100_000.0);
        }
    }
}

#[test]
fn totals_are_those_of_all_runs_and_of_all_rounds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("totals.json");
    let builder = Context::builder().threads(2).execution(Execution::MapReduce).metrics_file(&path);
    let ctx = builder.build().unwrap();
    let state = ctx.from_vec((0..100u64).map(|n| (n % 10, n)).collect::<Vec<_>>());
    let sums = state.iterate(3, |state| state.reduce_by_key(|a, b| a + b));
    let mut written = Vec::new();
    for runs in 1..=2 {
        let found = sums.collect().unwrap();
        assert_eq!(found.iter().map(|(_, sum)| sum).sum::<u64>(), 4950);
        let totals: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(totals["runs"], runs);
        written.push(totals["stage_bytes_written"].as_u64().unwrap());
    }
    assert!(written[0] > 0 && written[1] == 2 * written[0], "{written:?}");
    assert_eq!(ctx.budget().disk().used_bytes(), 0, "what was between stages is given back");
}

/// What is no record cannot be written to files: it stays in memory, and the results are the same.
#[test]
fn elements_that_are_no_records_stay_in_memory() {
    #[derive(Clone)]
    struct Opaque(u64);
    let results = [Execution::Dataflow, Execution::MapReduce].map(|execution| {
        let ctx = context(execution);
        let sums = ctx.range(0..1000).map(|n| (n % 50, n)).reduce_by_key(|a, b| a + b);
        let opaque = sums.map(|(key, sum)| (key % 5, Opaque(sum)));
        let counts = opaque.aggregate_by_key(0, |sum, Opaque(n)| sum + n, |a, b| a + b);
        counts.collect().unwrap()
    });
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0].iter().map(|(_, sum)| sum).sum::<u64>(), 499_500);
}
