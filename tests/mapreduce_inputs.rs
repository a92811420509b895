//! The MapReduce mode within its memory limit, and input that several cycles read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use gristmill::ErrorKind;
use gristmill::config::Execution;
use gristmill::prelude::*;

const BOTH: [Execution; 2] = [Execution::Dataflow, Execution::MapReduce];

/// States of one key that are joined are held against the limit where map outputs are merged, and in the reduce tasks.
#[test]
fn a_state_beyond_the_memory_limit_is_an_error_in_both_modes() {
    for execution in BOTH {
        for split_bytes in [8 * 1000, u64::MAX] {
            let builder = Context::builder().threads(2).memory_bytes(256 << 10).split_bytes(split_bytes);
            let ctx = builder.execution(execution).build().unwrap();
            let rows = |keys| ctx.range(0..60_000).map(move |n| (n % keys, n));
            let error = rows(1).group_by_key().count().unwrap_err();
            assert_eq!((error.kind(), error.call().unwrap().operator), (ErrorKind::Memory, "group_by_key"));
            assert!(error.to_string().contains("all values of one key"), "{error}");
            assert_eq!(ctx.budget().used_bytes(), 0);
            // Many states, and large ones, are no error.
            assert_eq!(rows(20_000).group_by_key().count().unwrap(), 20_000);
            let largest = rows(5).group_by_key().map(|(_, values)| values.len()).collect().unwrap();
            assert_eq!(largest, [12_000; 5], "{execution:?}");
            assert_eq!(ctx.budget().used_bytes(), 0);
        }
    }
}

/// What is reserved while two tasks look at a side of so many rows that is held in memory.
fn reserved_by_tables(execution: Execution, memory_bytes: u64, held: u64) -> u64 {
    let builder = Context::builder().threads(2).memory_bytes(memory_bytes).split_bytes(8 * 100);
    let ctx = builder.execution(execution).build().unwrap();
    let (budget, reserved) = (ctx.budget().clone(), Arc::new(AtomicU64::new(0)));
    let (most, both_run) = (Arc::clone(&reserved), Barrier::new(2));
    let passing = ctx.range(0..200).map(move |n| {
        // The first row of each of two splits: both tasks have their tables by now.
        if n % 100 == 0 {
            both_run.wait();
            most.fetch_max(budget.used_bytes(), Ordering::Relaxed);
            both_run.wait();
        }
        (n, n)
    });
    let joined = passing.broadcast_join(&ctx.range(0..held).map(|n| (n, n + 1)));
    let total = joined.fold(0, |sum, (_, (n, next))| sum + n + next, |a, b| a + b).unwrap();
    assert_eq!(total, (0..200u64).map(|n| 2 * n + 1).sum::<u64>());
    assert_eq!(ctx.budget().used_bytes(), 0);
    reserved.load(Ordering::Relaxed)
}

#[test]
fn tasks_have_a_table_each_or_share_one_within_the_memory_limit() {
    const HELD: u64 = 20_000;
    let one = reserved_by_tables(Execution::Dataflow, 64 << 20, HELD);
    assert!(one > 16 * HELD, "{one} bytes for a table");
    assert_eq!(reserved_by_tables(Execution::MapReduce, 64 << 20, HELD), 2 * one);
    // A row takes 56 bytes while the table is made.
    assert_eq!(reserved_by_tables(Execution::MapReduce, 2 * 56 * HELD, HELD), 2 * one);
    assert_eq!(reserved_by_tables(Execution::MapReduce, 2 * 56 * HELD - 1, HELD), one);
    assert_eq!(reserved_by_tables(Execution::MapReduce, 56 * HELD, HELD), one);
}

/// Sums and counts by the same key: two cycles that read the same lines.
fn two_cycles(numbers: &Dataset<u64>) -> gristmill::Result<(u64, u64)> {
    let keyed = numbers.map(|n| (n % 10, n));
    let sums = keyed.reduce_by_key(|a, b| a + b).map(|(_, sum)| sum);
    let counts = keyed.map_values(|_| 1).reduce_by_key(|a, b| a + b).map(|(_, count)| count);
    let add = |a: u64, b: u64| a + b;
    numbers.context().run((sums.to_fold(0, add, add), counts.to_fold(0, add, add)))
}

#[test]
fn standard_input_that_two_cycles_need_is_an_error_unless_it_is_cached() {
    // It is one for a process: the test runs itself again, in processes of its own.
    const NAME: &str = "standard_input_that_two_cycles_need_is_an_error_unless_it_is_cached";
    const CHILD: &str = "GRISTMILL_TEST_OF_SHARED_INPUT";
    let Ok(case) = std::env::var(CHILD) else {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("input");
        std::fs::write(&input, "1\n2\n3\n14\n").unwrap();
        for case in ["dataflow", "mapreduce", "cached"] {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args([NAME, "--exact"]).env(CHILD, case).stdin(File::open(&input).unwrap());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{case}: {}", String::from_utf8_lossy(&output.stdout));
        }
        return;
    };
    let execution = Execution::named(&case).unwrap_or(Execution::MapReduce);
    let ctx = Context::builder().threads(2).execution(execution).build().unwrap();
    let numbers = ctx.read_text("-").unwrap().map(|line| line.parse::<u64>().unwrap());
    if case == "mapreduce" {
        let error = two_cycles(&numbers).unwrap_err();
        assert_eq!((error.kind(), error.call().unwrap().operator), (ErrorKind::Input, "read_text"));
        let message = error.to_string();
        assert!(message.contains("standard input has been read before, and is gone"), "{message}");
        assert!(message.contains("cache what is needed twice"), "{message}");
    } else {
        let numbers = if case == "cached" { numbers.cache() } else { numbers };
        assert_eq!(two_cycles(&numbers).unwrap(), (20, 4));
    }
}

/// Each cycle reads the input for itself, but what is found there is counted and rejected once.
#[test]
fn what_two_cycles_count_and_reject_counts_once() {
    const ROWS: u64 = 3000;
    let is_bad = |n: &u64| n.is_multiple_of(7);
    let dir = tempfile::tempdir().unwrap();
    let (path, to) = (dir.path().join("rows.txt"), dir.path().join("rejects.csv"));
    let line = |n: u64| if is_bad(&n) { format!("x{n}\n") } else { format!("{n}\n") };
    std::fs::write(&path, (0..ROWS).map(line).collect::<String>()).unwrap();
    let bad = (0..ROWS).filter(is_bad).count() as u64;
    let good: Vec<u64> = (0..ROWS).filter(|n| !is_bad(n)).collect();
    let mut rejects = Vec::new();
    for execution in BOTH {
        let builder = Context::builder().threads(2).split_bytes(1000).execution(execution);
        let ctx = builder.build().unwrap();
        let numbers = ctx.read_text(&path).unwrap().try_map(|line| line.parse::<u64>());
        let (seen, calls) = (ctx.counter("seen"), Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&calls);
        let numbers = numbers.on_error(OnError::reject(&to)).unwrap().inspect(move |_| {
            seen.increment();
            count.fetch_add(1, Ordering::Relaxed);
        });
        let found = two_cycles(&numbers).unwrap();
        assert_eq!(found, (good.iter().sum(), good.len() as u64), "{execution:?}");
        let times = if execution == Execution::MapReduce { 2 } else { 1 };
        assert_eq!(calls.load(Ordering::Relaxed), times * good.len() as u64, "each cycle reads");
        assert_eq!(ctx.counter("seen").value(), good.len() as u64, "{execution:?}");
        assert_eq!(ctx.counter(OnError::BAD_RECORDS).value(), bad, "{execution:?}");
        rejects.push(std::fs::read_to_string(&to).unwrap());
        assert_eq!(rejects[0].lines().count() as u64, 1 + bad);
    }
    assert_eq!(rejects[0], rejects[1]);
}
