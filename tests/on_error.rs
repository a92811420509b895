//! Records that cannot be read: skipped, counted, rejected to files, and limited.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use gristmill::prelude::*;

const ROWS: u64 = 5000;

/// Every seventh row is no number, every hundredth has a quote that is not closed.
fn line(n: u64) -> String {
    match n {
        n if n % 100 == 50 => format!("{n},\"open\n"),
        n if n % 7 == 3 => format!("x{n},text\n"),
        n if n % 5 == 1 => format!("{n},\"two\nlines\"\n"),
        n => format!("{n},text\n"),
    }
}

fn is_bad(n: u64) -> bool {
    n % 100 == 50 || n % 7 == 3
}

fn csv_file(dir: &Path) -> PathBuf {
    let path = dir.join("rows.csv");
    let text: String = (0..ROWS).map(line).collect();
    std::fs::write(&path, format!("n,text\n{text}")).unwrap();
    path
}

#[derive(Record, Clone, Debug)]
struct Row {
    n: u64,
    text: Text,
}

#[derive(Record, Clone, Debug, PartialEq)]
struct Reject {
    file: String,
    line: u64,
    offset: u64,
    reason: String,
    raw: String,
}

/// What must be rejected of the file.
fn rejects(path: &Path) -> Vec<Reject> {
    let (mut offset, mut at, mut rejects) = (7, 2, Vec::new());
    for n in 0..ROWS {
        let text = line(n);
        if is_bad(n) {
            let reason = if n % 100 == 50 {
                "a quote is not closed".to_string()
            } else {
                format!("this is no whole number (column `n`, value `x{n}`)")
            };
            let raw = text.trim_end().to_string();
            rejects.push(Reject { file: path.display().to_string(), line: at, offset, reason, raw });
        }
        offset += text.len() as u64;
        at += text.matches('\n').count() as u64;
    }
    rejects
}

#[test]
fn what_cannot_be_read_is_rejected_with_its_place_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = csv_file(dir.path());
    let expected = rejects(&path);
    let to = dir.path().join("rejects");
    let mut first: Option<Vec<u8>> = None;
    for (threads, split_bytes, memory_bytes) in
        [(1, 1 << 20, u64::MAX), (2, 3000, u64::MAX), (8, 10_000, 32 << 10)]
    {
        let builder = Context::builder().threads(threads).split_bytes(split_bytes);
        let ctx = builder.memory_bytes(memory_bytes).build().unwrap();
        let rows = ctx.read_csv::<Row>(&path, CsvFormat::default()).unwrap();
        let rows = rows.on_error(OnError::reject(&to)).unwrap();
        let (read, count) = ctx
            .run((rows.map(|row| row.n).to_vec(), rows.filter(|row| !row.text.is_empty()).to_count()))
            .unwrap();
        assert_eq!(read, (0..ROWS).filter(|n| !is_bad(*n)).collect::<Vec<_>>());
        assert_eq!(count, read.len() as u64);
        assert_eq!(ctx.counter(OnError::BAD_RECORDS).value(), expected.len() as u64);
        let bytes = std::fs::read(to.join("part-00000.csv")).unwrap();
        assert!(
            *first.get_or_insert_with(|| bytes.clone()) == bytes,
            "the rejects are the same, to the byte"
        );
        let rejected = ctx.read_csv::<Reject>(to.join("part-00000.csv"), CsvFormat::default()).unwrap();
        assert_eq!(rejected.collect().unwrap(), expected);
        drop(rows);
        assert_eq!(ctx.budget().used_bytes(), 0);
    }
}

#[test]
fn limits_fail_the_run_and_leave_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = csv_file(dir.path());
    let bad = rejects(&path).len() as u64;
    let (to, out) = (dir.path().join("rejects.csv"), dir.path().join("out"));
    std::fs::write(&to, "as it was").unwrap();
    let run = |policy: OnError| {
        let ctx = Context::builder().threads(2).split_bytes(3000).build().unwrap();
        let rows = ctx.read_csv::<Row>(&path, CsvFormat::default()).unwrap().on_error(policy).unwrap();
        rows.write_parquet(&out, ParquetOptions::default().existing(Existing::Overwrite))
    };
    for policy in [OnError::skip(), OnError::reject(&to)] {
        let error = run(policy.clone().max_records(bad - 1)).unwrap_err().to_string();
        assert!(
            error.contains("cannot be used") && error.contains("on_error at")
                || error.contains("read_csv at"),
            "{error}"
        );
        let error = run(policy.max_share(0.1)).unwrap_err().to_string();
        assert!(error.contains("% of the records cannot be used, and 10 % may be"), "{error}");
        assert!(!out.exists());
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "as it was");
    }
    let written = run(OnError::reject(&to).max_records(bad).max_share(0.2)).unwrap();
    assert_eq!(written.rows, ROWS - bad);
    assert_eq!(std::fs::read_to_string(&to).unwrap().lines().count(), 1 + bad as usize);
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("staging")), "{left:?}");
}

#[test]
fn json_lines_are_rejected_line_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.jsonl");
    std::fs::write(&path, "{\"n\":1,\"text\":\"a\"}\n{\"n\":\"x\"}\nnothing\n{\"n\":2,\"text\":\"b\"}\n")
        .unwrap();
    let ctx = Context::new().unwrap();
    let to = dir.path().join("rejects.csv");
    let rows = ctx.read_json_lines::<Row>(&path, JsonFormat::default()).unwrap();
    let rows = rows.on_error(OnError::reject(&to)).unwrap();
    assert_eq!(rows.count().unwrap(), 2);
    let rejected = ctx.read_csv::<Reject>(&to, CsvFormat::default()).unwrap().collect().unwrap();
    let seen: Vec<_> =
        rejected.iter().map(|reject| (reject.line, reject.offset, reject.raw.as_str())).collect();
    assert_eq!(seen, [(2, 19, "{\"n\":\"x\"}"), (3, 29, "nothing")]);
}

#[test]
fn policies_that_cannot_work_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = csv_file(dir.path());
    let ctx = Context::new().unwrap();
    let rows = || ctx.read_csv::<Row>(&path, CsvFormat::default()).unwrap();
    let error = rows().filter(|_| true).on_error(OnError::skip()).err().unwrap();
    assert!(error.to_string().contains("it follows no source of records and no closure"), "{error}");
    assert!(rows().on_error(OnError::skip().max_share(1.5)).is_err());
    let over_its_input = rows().on_error(OnError::reject(&path)).unwrap().count().unwrap_err();
    assert!(over_its_input.to_string().contains("is also an input"), "{over_its_input}");
    let error = rows().on_error(OnError::skip()).unwrap().on_error(OnError::fail()).err();
    assert!(error.is_some(), "one policy is enough");
}
