//! Records with their file, line and byte offset, for any splits, threads and compressions.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::gzip;
use gristmill::RecordOrigin;
use gristmill::parse::Logfmt;
use gristmill::prelude::*;

#[derive(Record, Clone, Debug, PartialEq)]
struct Row {
    n: u64,
    text: Text,
}

type Found = Vec<(RecordOrigin, Row)>;

/// A text, and for each of its good records the line, the offset and the number.
type Case = (String, Vec<(u64, u64, u64)>);

/// A text of records, each of which comes with whether it is a good one.
fn case(header: &str, records: u64, record: impl Fn(u64) -> (String, bool)) -> Case {
    let (mut text, mut good) = (header.to_owned(), Vec::new());
    for n in 0..records {
        let (line, offset) = (1 + text.matches('\n').count() as u64, text.len() as u64);
        let (record, is_good) = record(n);
        text += &record;
        if is_good {
            good.push((line, offset, n));
        }
    }
    (text, good)
}

fn csv() -> Case {
    case("n,text\n", 2000, |n| match n % 5 {
        0 => (format!("{n},\"two\nlines\"\r\n"), true),
        1 => ("bad\n".to_owned(), false),
        _ => (format!("{n},plain\n"), true),
    })
}

fn json() -> Case {
    case("", 2000, |n| match n % 7 {
        3 => ("{\n".to_owned(), false),
        _ => (format!("{{\"n\": {n}, \"text\": \"é\"}}\n"), true),
    })
}

fn logfmt() -> Case {
    case("", 2000, |n| match n % 7 {
        3 => ("n=\"\n".to_owned(), false),
        _ => (format!("n={n} text=\"a b\"\n"), true),
    })
}

fn check(name: &str, (text, good): &Case, read: impl Fn(&Context, &Path) -> Found) {
    let dir = tempfile::tempdir().unwrap();
    let files = [("plain", text.clone().into_bytes()), ("gzip", gzip(text))];
    for (kind, bytes) in files {
        let path = dir.path().join(kind);
        std::fs::write(&path, bytes).unwrap();
        for (threads, split_bytes) in [(1, 1 << 30), (2, 4096), (8, 100)] {
            let ctx = Context::builder().threads(threads).split_bytes(split_bytes).build().unwrap();
            let found = read(&ctx, &path);
            let places: Vec<_> =
                found.iter().map(|(origin, row)| (origin.line.unwrap(), origin.offset, row.n)).collect();
            assert_eq!(places, *good, "{name} {kind} {threads} {split_bytes}");
            assert!(found.iter().all(|(origin, _)| *origin.path == *path.to_string_lossy()));
        }
    }
}

#[test]
fn each_record_has_its_place() {
    check("csv", &csv(), |ctx, path| {
        let rows = ctx.read_csv_with_origin::<Row>(path, CsvFormat::default()).unwrap();
        rows.on_error(OnError::skip()).unwrap().collect().unwrap()
    });
    check("json", &json(), |ctx, path| {
        let rows = ctx.read_json_lines_with_origin::<Row>(path, JsonFormat::default()).unwrap();
        rows.on_error(OnError::skip()).unwrap().collect().unwrap()
    });
    check("logfmt", &logfmt(), |ctx, path| {
        let rows = ctx.read_lines_with_origin::<Row>(path, Logfmt::new(["n", "text"]).unwrap()).unwrap();
        rows.on_error(OnError::skip()).unwrap().collect().unwrap()
    });
}
