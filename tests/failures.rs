//! Panics, errors and cancels: reported once, with operator, source line and place; the context lives on.

#![allow(clippy::unwrap_used)] // in a test, a panic is the report

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gristmill::config::Rules;
use gristmill::prelude::*;
use gristmill::{Error, ErrorKind};

fn context(threads: usize, chunk_rows: usize) -> Context {
    Context::builder().threads(threads).chunk_rows(chunk_rows).split_bytes(8 * 100).build().unwrap()
}

/// Runs a job whose panics are expected, without their backtraces in the test's output.
fn quietly<R>(job: impl FnOnce() -> R) -> R {
    static HOOK: Mutex<()> = Mutex::new(());
    let _one_at_a_time = HOOK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = job();
    std::panic::set_hook(hook);
    result
}

#[test]
fn a_panic_in_the_third_operator_names_operator_line_and_row() {
    for (threads, chunk_rows) in [(1, 1), (2, 7), (8, 1024)] {
        let ctx = context(threads, chunk_rows);
        let lines = ctx.range(0..1000).filter(|n| n % 3 == 0).flat_map(|n| [n, n]);
        let line = line!() + 1;
        let mapped = lines.map(|n| if n == 741 { panic!("boom at {n}") } else { n });
        let error = quietly(|| mapped.map(|n| n + 1).collect().unwrap_err());
        let expected =
            format!("map at tests/failures.rs:{line}: the closure panicked: boom at 741 (row 741)");
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Panic, expected));
        assert_eq!(ctx.range(0..1000).count().unwrap(), 1000);
    }
}

#[test]
fn a_panic_in_a_line_of_a_file_names_the_file_and_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lines.txt");
    let text: String = (1..=5000).map(|n| format!("line {n}\r\n")).collect();
    std::fs::write(&path, text).unwrap();
    let ctx = Context::builder().threads(2).split_bytes(1000).build().unwrap();
    let words = ctx
        .read_text(&path)
        .unwrap()
        .filter(|line| line != "line 17")
        .flat_map(|line| line.split_whitespace());
    let error = quietly(|| words.inspect(|word| assert!(word != "4321", "bad word")).count().unwrap_err());
    assert_eq!(error.call().unwrap().operator, "inspect");
    assert!(error.to_string().contains("bad word"), "{error}");
    let place = error.place().unwrap();
    assert_eq!((place.path.as_deref(), place.line), (Some(path.as_path()), Some(4321)));
}

#[test]
fn an_error_of_a_closure_names_the_row() {
    let ctx = context(2, 512);
    let error = ctx
        .range(0..1000)
        .filter(|n| n % 2 == 1)
        .try_map(|n| if n == 555 { Err("no such number") } else { Ok(n) });
    let error = error.count().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closure);
    assert!(error.to_string().starts_with("try_map at tests/failures.rs:"), "{error}");
    assert!(error.to_string().ends_with(": no such number (row 555)"), "{error}");
}

#[test]
fn an_error_behind_whole_partitions_names_no_row() {
    let ctx = context(2, 512);
    let failing = ctx
        .range(0..1000)
        .map_partitions(|all| all)
        .try_map(|n| if n == 555 { Err("no such number") } else { Ok(n) });
    let error = failing.count().unwrap_err();
    assert!(error.to_string().ends_with(": no such number"), "it stems from no certain row: {error}");
}

#[test]
fn a_panic_in_a_reduce_names_it() {
    let ctx = context(2, 16);
    // On the map side, and, with one value a key and split, where the partitions absorb.
    for keys in [1, 100] {
        let pairs = ctx.range(0..1000).map(move |n| (n % keys, n));
        let sums = pairs.reduce_by_key(|a, b| if b == 901 { panic!("boom") } else { a + b });
        let error = quietly(|| sums.collect().unwrap_err());
        assert_eq!(error.call().unwrap().operator, "reduce_by_key");
        assert!(error.to_string().contains("boom"), "{error}");
    }
}

#[test]
fn panics_in_every_kind_of_closure_are_errors() {
    let ctx = context(2, 16);
    let data = ctx.range(0..300);
    let pairs = data.map(|n| (n % 10, n));
    quietly(|| {
        let results: Vec<(&str, Option<Error>)> = vec![
            ("filter", data.filter(|n| *n != 99 || panic!("boom")).count().err()),
            ("filter_map", data.filter_map(|n| if n == 99 { panic!("boom") } else { Some(n) }).count().err()),
            ("map_partitions", data.map_partitions(|_| -> Vec<u64> { panic!("boom") }).count().err()),
            ("map_values", pairs.map_values(|_| -> u64 { panic!("boom") }).count().err()),
            ("key_by", data.key_by(|_| -> u64 { panic!("boom") }).count().err()),
            ("fold_by_key", pairs.fold_by_key(0u64, |_, _| panic!("boom"), |a, _| a).count().err()),
            ("fold_by_key", pairs.fold_by_key(0u64, |a, _| a, |_, _| panic!("boom")).count().err()),
            ("fold", data.fold(0, |_, _| panic!("boom"), |a, _| a).err()),
            ("fold", data.fold(0, |a, _| a, |_, _| panic!("boom")).err()),
            ("for_each", data.for_each(|_| panic!("boom")).err()),
            ("top_k", data.top_k(3, |_| -> u64 { panic!("boom") }).count().err()),
        ];
        for (operator, error) in results {
            let error = error.unwrap_or_else(|| panic!("{operator} did not fail"));
            assert_eq!(
                (error.kind(), error.call().unwrap().operator),
                (ErrorKind::Panic, operator),
                "{error}"
            );
        }
    });
    assert_eq!(data.count().unwrap(), 300);
}

#[test]
fn other_tasks_end_early_after_a_failure() {
    let ctx = Context::builder().threads(2).chunk_rows(10).build().unwrap();
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    let data = ctx.range(0..10_000_000).map(move |n| {
        counter.fetch_add(1, Ordering::Relaxed);
        assert!(n != 5, "boom");
    });
    quietly(|| data.count().unwrap_err());
    assert!(seen.load(Ordering::Relaxed) < 5_000_000, "{seen:?}");
}

#[test]
fn a_cancel_stops_a_run() {
    let ctx = Context::builder().threads(2).chunk_rows(10).build().unwrap();
    let cancel = ctx.cancel_token();
    let error = ctx
        .range(0..u64::MAX)
        .inspect(move |n| {
            if *n == 1000 {
                cancel.cancel();
            }
        })
        .count()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Canceled);
}

#[test]
fn a_failed_write_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = context(2, 16);
    let path = dir.path().join("out");
    let data = ctx.range(0..1000).try_map(|n| if n == 900 { Err("stop") } else { Ok(n) });
    let error = data.write_csv(&path, CsvOptions::default()).unwrap_err();
    assert!(error.to_string().contains("stop (row 900)"), "{error}");
    assert!(!path.exists());
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().ends_with("-lock")), "{left:?}");
}

#[test]
fn an_output_that_ends_in_the_name_of_another_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = context(1, 16).range(0..3);
    let csv = data.write_csv(dir.path().join("x.Parquet"), CsvOptions::default()).unwrap_err();
    let parquet = data.write_parquet(dir.path().join("x.csv"), ParquetOptions::default()).unwrap_err();
    assert!(csv.to_string().contains("x.Parquet ends in .parquet, but its format is csv"), "{csv}");
    assert!(parquet.to_string().contains("x.csv ends in .csv, but its format is parquet"), "{parquet}");
    assert_eq!((csv.kind(), parquet.kind()), (ErrorKind::Config, ErrorKind::Config));
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}

#[test]
fn an_action_within_a_closure_is_refused_instead_of_a_deadlock() {
    let ctx = context(1, 16);
    let inner = ctx.range(0..10);
    let error = ctx.range(0..10).try_map(move |_| inner.count()).count().unwrap_err();
    assert!(error.to_string().contains("within a closure of the same context"), "{error}");
}

#[test]
fn an_output_of_another_context_is_refused() {
    let (one, other) = (context(1, 1), context(1, 1));
    let error = one.run((one.range(0..1).to_count(), other.range(0..1).to_count())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn a_row_beyond_the_memory_limit_is_an_error_with_bytes_and_hint() {
    let ctx = Context::builder().threads(2).memory_bytes(100_000).build().unwrap();
    let rows = ctx.range(0..3).map(|n| Text::from("long ".repeat(if n == 1 { 60_000 } else { 10 })));
    let error = rows.distinct().count().unwrap_err();
    assert_eq!((error.kind(), error.call().unwrap().operator), (ErrorKind::Memory, "distinct"));
    assert!(error.to_string().contains("take 3000"), "{error}");
    assert!(error.to_string().contains("--memory"), "{error}");
    assert_eq!(ctx.budget().used_bytes(), 0);
    assert_eq!(
        ctx.range(0..100_000).distinct().count().unwrap(),
        100_000,
        "more than the limit takes to the disk"
    );
    assert!(ctx.spilled_bytes() > 0);
}

#[test]
fn two_sinks_read_the_input_once() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..5 {
        std::fs::write(dir.path().join(format!("{n}.txt")), "some words in a line\n".repeat(1000)).unwrap();
    }
    for (rules, times) in [(Rules::ALL, 1), (Rules { share: false, ..Rules::ALL }, 2)] {
        let ctx = Context::builder().threads(2).rules(rules).build().unwrap();
        let read = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&read);
        let lines = ctx.read_text(dir.path()).unwrap().inspect(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let words = lines.flat_map(|line| line.split_whitespace());
        assert_eq!(ctx.run((words.to_count(), lines.to_count())).unwrap(), (25_000, 5000));
        assert_eq!(read.load(Ordering::Relaxed), times * 5000);
    }
}

/// A source that panics in one of its methods.
struct Faulty(&'static str);

impl Faulty {
    fn reach(&self, method: &str) {
        assert!(self.0 != method, "{method} is faulty");
    }
}

impl Source<u64> for Faulty {
    fn splits(&self) -> usize {
        self.reach("splits");
        3
    }

    fn read(&self, split: usize, out: &mut Out<u64>) -> gristmill::Result<()> {
        self.reach("read");
        let _flow = out.emit(split as u64)?;
        Ok(())
    }

    fn split_bytes(&self, _split: usize) -> u64 {
        self.reach("split_bytes");
        1
    }

    fn place(&self, _split: usize, row: u64) -> gristmill::Place {
        self.reach("place");
        gristmill::Place::row(row)
    }
}

#[test]
fn a_source_that_panics_in_any_method_ends_its_run_only() {
    let ctx = context(2, 16);
    quietly(|| {
        for method in ["splits", "read", "split_bytes"] {
            let error = ctx.read(Faulty(method)).count().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Panic, "{error}");
            assert!(error.to_string().contains(&format!("{method} is faulty")), "{error}");
        }
        let bad = ctx.read(Faulty("place")).try_map(|n| if n == 2 { Err("bad") } else { Ok(n) });
        assert!(bad.count().unwrap_err().to_string().ends_with("bad (row 0)"));
    });
    assert_eq!(ctx.read(Faulty("nothing")).count().unwrap(), 3);
}

#[test]
fn runs_that_fill_one_cache_at_the_same_time_all_see_it_whole() {
    let ctx = context(2, 16);
    for _ in 0..100 {
        let cached = ctx.range(0..300).cache();
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| cached.count().unwrap())).collect();
            assert!(runs.into_iter().all(|run| run.join().unwrap() == 300));
        });
        assert_eq!(cached.count().unwrap(), 300);
    }
}
