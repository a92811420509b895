//! Parquet files with any bytes in them: an error or rows, never a panic, and never more memory than a file of that size may need.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what helps a test may fail as the test may")]
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use gristmill::ErrorKind;
use gristmill::prelude::*;
use proptest::prelude::*;

/// Set in the process that has little memory, where the damaged files are read.
const CHILD: &str = "GRISTMILL_TEST_OF_DAMAGED_PARQUET";

/// The address space of that process. It needs about half of it for itself; the files have some kilobytes.
const KIBIBYTES: u64 = 256 << 10;

#[derive(Record, Clone, Debug, PartialEq)]
struct Row {
    number: u64,
    text: Text,
    maybe: Option<f64>,
    list: Vec<Option<i32>>,
}

fn row(n: u64) -> Row {
    let list = (0..n % 4).map(|i| (i != 2).then_some(i as i32)).collect();
    let maybe = (!n.is_multiple_of(3)).then_some(n as f64);
    Row { number: n, text: format!("text number {}", n % 7).into(), maybe, list }
}

/// Reads a file, which may be an error of the input.
fn read(ctx: &Context, path: &Path, bytes: &[u8], what: &str) -> Option<Vec<Row>> {
    std::fs::write(path, bytes).unwrap();
    match ctx.read_parquet::<Row>(path).and_then(|rows| rows.collect()) {
        Ok(rows) => Some(rows),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Input, "{what}: {error}");
            assert!(error.to_string().contains("rows.parquet"), "{what}: {error}");
            None
        }
    }
}

/// Runs a test of this file once more, in a process of its own that has little memory.
fn with_little_memory(test: &str, work: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return work();
    }
    let limited = format!("ulimit -v {KIBIBYTES}; exec \"$0\" {test} --exact --nocapture");
    let mut command = Command::new("sh");
    command.arg("-c").arg(limited).arg(std::env::current_exe().unwrap()).env(CHILD, "1");
    let output = command.env("MALLOC_ARENA_MAX", "2").env("RUST_BACKTRACE", "0").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{}: {out}{err}", output.status);
}

#[test]
fn no_byte_that_is_changed_leads_to_a_panic_or_to_much_memory() {
    with_little_memory("no_byte_that_is_changed_leads_to_a_panic_or_to_much_memory", || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.parquet");
        let ctx = Context::builder().threads(1).build().unwrap();
        for compression in [Compression::None, Compression::Zstd(1)] {
            let options = ParquetOptions::default().compression(compression).row_group_rows(30);
            ctx.range(0..60).map(row).write_parquet(&path, options.existing(Existing::Overwrite)).unwrap();
            let good = std::fs::read(&path).unwrap();
            assert_eq!(read(&ctx, &path, &good, "undamaged").unwrap().len(), 60);
            // Of the metadata at the end every byte, of the pages some; the metadata are the same for each compression.
            let (pages, metadata) = (good.len() / 2, compression == Compression::None);
            let of_pages = (0..pages).step_by(3).map(|at| (at, 0xff));
            let of_metadata =
                (pages..good.len()).filter(|_| metadata).flat_map(|at| [(at, 0x01), (at, 0x80)]);
            for (at, flip) in of_pages.chain(of_metadata) {
                let mut bytes = good.clone();
                bytes[at] ^= flip;
                read(&ctx, &path, &bytes, &format!("{compression:?}, byte {at}, {flip:#x}"));
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_bytes_are_no_parquet(
        mut bytes in prop::collection::vec(any::<u8>(), 0..300), length in any::<u32>(), frame in any::<bool>(),
    ) {
        if frame {
            // What a footer is looked for by: the length of the metadata, and the magic at both ends.
            bytes.splice(0..0, *b"PAR1");
            let length = if length.is_multiple_of(2) { length } else { length % 300 };
            bytes.extend(length.to_le_bytes());
            bytes.extend(b"PAR1");
        }
        let dir = tempfile::tempdir().unwrap();
        let ctx = Context::builder().threads(1).build().unwrap();
        let found = read(&ctx, &dir.path().join("rows.parquet"), &bytes, "any bytes");
        prop_assert!(found.is_none_or(|rows| rows.is_empty()));
    }
}

#[test]
fn every_length_that_is_cut_off_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.parquet");
    let ctx = Context::builder().threads(1).build().unwrap();
    ctx.range(0..60).map(row).write_parquet(&path, ParquetOptions::default()).unwrap();
    let good = std::fs::read(&path).unwrap();
    for length in 0..good.len() {
        assert_eq!(read(&ctx, &path, &good[..length], &format!("{length} bytes")), None);
    }
}
