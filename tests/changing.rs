//! Files that change between the plan and their last byte: an error that says so, or all the rows of the file as it was; never fewer.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as the test may")]

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use common::gzip;
use gristmill::prelude::*;
use gristmill::{Error, ErrorKind};

const ROWS: u64 = 30_000;

/// A source, as the numbers that it reads.
type Read = fn(&Context, &Path) -> Result<Dataset<u64>, Error>;

const TEXT: Read = |ctx, path| Ok(ctx.read_text(path)?.map(|line| line.parse().unwrap_or(u64::MAX)));
const ORIGIN: Read = |ctx, path| {
    let lines = ctx.read_text_with_origin(path, TextOptions::default())?;
    Ok(lines.map(|line| line.text.parse().unwrap_or(u64::MAX)))
};
const CSV: Read =
    |ctx, path| Ok(ctx.read_csv::<(u64,)>(path, CsvFormat::default().header(false))?.map(|(n,)| n));
const JSON: Read = |ctx, path| Ok(ctx.read_json_lines::<Row>(path, JsonFormat::default())?.map(|row| row.n));
const PARQUET: Read = |ctx, path| Ok(ctx.read_parquet::<Row>(path)?.map(|row| row.n));
const FILES: Read = |ctx, path| Ok(ctx.read_paths(path)?.flat_map(|file| file.content).map(u64::from));

#[derive(Record, Clone)]
struct Row {
    n: u64,
}

/// Sources with the content of a file for each.
fn sources(dir: &Path) -> Vec<(&'static str, Read, Vec<u8>)> {
    let text: String = (0..ROWS).map(|n| format!("{n}\n")).collect();
    let json: String = (0..ROWS).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let (path, ctx) = (dir.join("rows.parquet"), Context::builder().threads(1).build().unwrap());
    let options = ParquetOptions::default().row_group_rows(5000);
    ctx.range(0..ROWS).columns(["n"]).write_parquet(&path, options).unwrap();
    vec![
        ("text", TEXT, text.clone().into_bytes()),
        ("text of gzip", TEXT, gzip(text.as_bytes())),
        ("text with origin", ORIGIN, text.clone().into_bytes()),
        ("CSV", CSV, text.clone().into_bytes()),
        ("CSV of gzip", CSV, gzip(text.as_bytes())),
        ("JSON lines", JSON, json.clone().into_bytes()),
        ("JSON lines of gzip", JSON, gzip(json.as_bytes())),
        ("Parquet", PARQUET, fs::read(&path).unwrap()),
        ("whole files", FILES, text.into_bytes()),
    ]
}

type Change = fn(&Path);

/// What may happen to a file, and whether whoever has it open can still read it as it was.
const CHANGES: [(&str, bool, Change); 6] = [
    ("emptied", false, |path| OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap()),
    ("shortened", false, |path| {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() * 9 / 10).unwrap();
    }),
    ("made longer", false, |path| {
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"17\n").unwrap();
    }),
    ("overwritten in place", false, |path| {
        let mut content = fs::read(path).unwrap();
        content.iter_mut().filter(|byte| **byte == b'7').for_each(|byte| *byte = b'8');
        // Its length stays. Its time does not, which is set here because clocks of file systems are coarse.
        fs::write(path, content).unwrap();
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    }),
    ("replaced", true, |path| {
        let new = path.with_extension("new");
        fs::copy(path, &new).unwrap();
        fs::rename(new, path).unwrap();
    }),
    ("deleted", true, |path| fs::remove_file(path).unwrap()),
];

fn assert_says_so(error: &Error, path: &Path, what: &str) {
    assert_eq!(error.kind(), ErrorKind::Input, "{what}: {error}");
    assert!(error.to_string().contains("changed while read"), "{what}: {error}");
    assert_eq!(error.place().and_then(|place| place.path.as_deref()), Some(path), "{what}: {error}");
}

#[test]
fn a_file_that_changed_after_the_plan_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("input");
    let ctx = Context::builder().threads(2).split_bytes(20_000).build().unwrap();
    for (name, read, content) in sources(dir.path()) {
        for (change_name, _, change) in CHANGES {
            fs::write(&path, &content).unwrap();
            let rows = read(&ctx, &path).unwrap();
            change(&path);
            let error = rows.count().unwrap_err();
            assert_says_so(&error, &path, &format!("{name}, {change_name}"));
        }
    }
}

/// Sums what is read of a file that changes when the first element has come by.
fn sum_while(read: Read, path: &Path, split_bytes: u64, change: Change) -> Result<u64, Error> {
    let ctx = Context::builder().threads(1).split_bytes(split_bytes).chunk_rows(1).build().unwrap();
    let (changed, of_change): (AtomicBool, PathBuf) = (AtomicBool::new(false), path.to_owned());
    let rows = read(&ctx, path).unwrap().inspect(move |_| {
        if !changed.swap(true, Ordering::Relaxed) {
            change(&of_change);
        }
    });
    rows.fold(0, |sum, n| sum + n, |a, b| a + b)
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error_or_read_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("input");
    for (name, read, content) in sources(dir.path()) {
        let unchanged = |split_bytes| {
            fs::write(&path, &content).unwrap();
            sum_while(read, &path, split_bytes, |_| {}).unwrap()
        };
        let expected = unchanged(1 << 30);
        assert_eq!(unchanged(20_000), expected);
        // A whole file has been read when its element comes by.
        for (change_name, is_kept, change) in CHANGES.into_iter().filter(|_| name != "whole files") {
            for split_bytes in [20_000, 1 << 30] {
                fs::write(&path, &content).unwrap();
                let what = format!("{name}, {change_name}, splits of {split_bytes}");
                match sum_while(read, &path, split_bytes, change) {
                    Ok(sum) => assert!(is_kept && sum == expected, "{what}: {sum} of {expected}"),
                    Err(error) => assert_says_so(&error, &path, &what),
                }
            }
        }
    }
}
