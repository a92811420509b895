//! Checkpoints: what is read back, what is cut, what is replaced, and what happens when the files are no longer those written.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gristmill::io::commit::manifest;
use gristmill::prelude::*;
use gristmill::{Error, ErrorKind};

use crate::harness::{check, sorted, sums};

fn context() -> Context {
    Context::builder().threads(2).split_bytes(80_000).build().unwrap()
}

/// The numbers below 100,000 as a checkpoint: one file of ten row groups, of which two make a split.
fn numbers(ctx: &Context, path: &Path) -> Dataset<u64> {
    ctx.from_vec((0..100_000).collect()).checkpoint(path).unwrap()
}

fn part(path: &Path) -> PathBuf {
    path.join("part-00000.parquet")
}

/// An error of a run that names the checkpoint's call and the file.
fn check_error(error: &Error, path: &Path, message: &str) {
    assert_eq!((error.kind(), error.call().unwrap().operator), (ErrorKind::Input, "checkpoint"), "{error}");
    assert_eq!(error.place().unwrap().path.as_deref(), Some(part(path).as_path()), "{error}");
    assert!(error.to_string().contains(message), "no {message:?} in: {error}");
}

#[test]
fn what_is_read_is_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["rows", "sums"].map(|name| dir.path().join(name));
    check(
        |data| {
            let rows = data.checkpoint(&paths[0]).unwrap();
            let sums = rows.reduce_by_key(|a, b| a + b);
            let stored = sums.checkpoint(&paths[1]).unwrap();
            let (rows, sums) = data.context().run((rows.to_vec(), sums.to_vec())).unwrap();
            assert_eq!(stored.collect().unwrap(), sums, "in the same order");
            (rows, sums)
        },
        |input, (rows, result)| {
            assert_eq!(rows, input);
            assert_eq!(sorted(result), sums(input));
        },
    );
}

#[derive(Record, Clone, Debug, PartialEq)]
struct Row {
    name: Text,
    share: f64,
    parent: Option<u32>,
    children: Vec<(i64, Option<Text>)>,
}

#[test]
fn records_of_all_kinds_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let row = |n: u32| Row {
        name: "x".repeat(n as usize % 40).into(),
        share: f64::from(n) / 3.0,
        parent: (!n.is_multiple_of(3)).then_some(n),
        children: (0..n % 4)
            .map(|child| (-i64::from(child), child.is_multiple_of(2).then(|| "y".into())))
            .collect(),
    };
    let rows: Vec<Row> = (0..5000).map(row).collect();
    let stored = context().from_vec(rows.clone()).checkpoint(dir.path().join("rows")).unwrap();
    assert!(stored.collect().unwrap() == rows);
    let numbers = context().from_vec(vec![Some(1), None, Some(3)]).checkpoint(dir.path().join("numbers"));
    assert_eq!(numbers.unwrap().collect().unwrap(), [Some(1), None, Some(3)]);
}

#[test]
fn row_groups_are_splits_and_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let (ctx, path) = (context(), dir.path().join("numbers"));
    let stored = numbers(&ctx, &path);
    let parts = stored.map_partitions(|part| [part]).collect().unwrap();
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [20_000; 5]);
    assert_eq!(parts.concat(), (0..100_000).collect::<Vec<_>>());
    let error = stored.try_map(|n| if n == 70_123 { Err("bad") } else { Ok(n) }).count().unwrap_err();
    assert!(error.to_string().ends_with("part-00000.parquet, row 70123)"), "{error}");
    assert_eq!(stored.take(3).unwrap(), [0, 1, 2]);
    assert_eq!(manifest::verify(&path).unwrap().rows, 100_000);
    assert!(stored.explain().contains("#1 checkpoint"), "{}", stored.explain());
}

#[test]
fn nothing_before_it_is_computed_again() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = context();
    let calls = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&calls);
    let slow = ctx.range(0..1000).inspect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let stored = slow.checkpoint(dir.path().join("slow")).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1000, "it is computed at once");
    drop(slow);
    assert_eq!((stored.count().unwrap(), stored.filter(|n| n % 2 == 0).count().unwrap()), (1000, 500));
    assert_eq!(calls.load(Ordering::Relaxed), 1000);
    assert!(!stored.explain().contains("inspect"));
}

#[test]
fn an_earlier_checkpoint_is_replaced_but_not_under_its_reader() {
    let dir = tempfile::tempdir().unwrap();
    let (ctx, path) = (context(), dir.path().join("numbers"));
    let first = numbers(&ctx, &path);
    let error = first.map(|n| n + 1).checkpoint(&path).err().unwrap();
    assert_eq!((error.kind(), error.call().unwrap().operator), (ErrorKind::Config, "checkpoint"));
    assert!(error.to_string().contains("is also an input"), "{error}");
    assert_eq!(first.count().unwrap(), 100_000);
    let second = ctx.range(0..10).checkpoint(&path).unwrap();
    assert_eq!(second.count().unwrap(), 10);
    check_error(&first.count().unwrap_err(), &path, "changed");
}

#[test]
fn what_is_not_gristmills_stays_and_no_work_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = context();
    std::fs::create_dir(dir.path().join("photos")).unwrap();
    std::fs::write(dir.path().join("photos/cat"), "meow").unwrap();
    let untouched = ctx.range(0..10).map(|_| -> u64 { unreachable!("the path is refused before") });
    for (name, message) in [
        ("photos", "was not written by gristmill"),
        ("one.parquet", "ends in .parquet, but is a directory"),
        ("one.csv", "ends in .csv"),
    ] {
        let error = untouched.checkpoint(dir.path().join(name)).err().unwrap();
        assert_eq!((error.kind(), error.call().unwrap().operator), (ErrorKind::Config, "checkpoint"));
        assert!(error.to_string().contains(message), "{error}");
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    assert_eq!(std::fs::read(dir.path().join("photos/cat")).unwrap(), b"meow");
}

#[test]
fn a_failed_checkpoint_leaves_the_earlier_one() {
    let dir = tempfile::tempdir().unwrap();
    let (ctx, path) = (context(), dir.path().join("numbers"));
    let first = numbers(&ctx, &path);
    let failing = ctx.range(0..1000).try_map(|n| if n == 900 { Err("stop") } else { Ok(n) });
    assert!(failing.checkpoint(&path).err().unwrap().to_string().contains("stop (row 900)"));
    assert_eq!(first.count().unwrap(), 100_000);
    manifest::verify(&path).unwrap();
}

#[test]
fn truncated_and_deleted_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let (ctx, path) = (context(), dir.path().join("numbers"));
    let stored = numbers(&ctx, &path);
    let file = std::fs::File::options().write(true).open(part(&path)).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    check_error(&stored.count().unwrap_err(), &path, "changed");
    std::fs::remove_dir_all(&path).unwrap();
    check_error(&stored.count().unwrap_err(), &path, "changed");
}

/// As a disk does it: neither the length nor the time of the file tells.
#[test]
fn damaged_bytes_are_an_error_with_file_and_row_group() {
    let dir = tempfile::tempdir().unwrap();
    let (ctx, path) = (context(), dir.path().join("numbers"));
    let stored = numbers(&ctx, &path);
    let file = std::fs::File::options().write(true).open(part(&path)).unwrap();
    let found = file.metadata().unwrap();
    // The row groups are of equal size, and the fourth begins after 30 % of the bytes or a little before.
    file.write_all_at(&vec![0xff; found.len() as usize / 50], found.len() * 33 / 100).unwrap();
    file.set_modified(found.modified().unwrap()).unwrap();
    let error = stored.fold(0, |sum, n| sum + n, |a, b| a + b).unwrap_err();
    check_error(&error, &path, "cannot read row group 3 of a Parquet file");
    assert_eq!(stored.take(100).unwrap().len(), 100, "what is whole is still read");
}
