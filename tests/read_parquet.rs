//! Parquet files as typed rows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use gristmill::prelude::*;
use gristmill::record::to_batch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

#[derive(Record, Clone, Debug, PartialEq)]
struct Full {
    number: u64,
    text: Text,
    list: Vec<Option<i32>>,
    #[record(timestamp = "us")]
    at: Option<i64>,
    #[record(decimal(9, 2))]
    price: i128,
}

/// Some of the columns, in another order.
#[derive(Record, Clone, Debug, PartialEq)]
struct Some2 {
    price: Decimal,
    number: u64,
}

#[derive(Record, Clone, Debug, PartialEq)]
struct Missing {
    numbers: u64,
}

type Decimal = i128;

fn row(n: u64) -> Full {
    let list = (0..n % 4).map(|i| (i != 2).then_some(i as i32)).collect();
    let at = (!n.is_multiple_of(5)).then_some(n.cast_signed() * 1_000_003);
    Full { number: n, text: format!("text number {n}").into(), list, at, price: i128::from(n) * 7 }
}

fn written(dir: &Path, rows: u64) {
    let ctx = Context::builder().threads(2).split_bytes(20_000).build().unwrap();
    let options = ParquetOptions::default().row_group_rows(1000);
    ctx.range(0..rows).map(row).write_parquet(dir, options).unwrap();
}

#[test]
fn all_columns_or_some_in_any_order() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("rows");
    written(&dir, 5000);
    for threads in [1, 2, 8] {
        let ctx = Context::builder().threads(threads).build().unwrap();
        let all = ctx.read_parquet::<Full>(&dir).unwrap().collect().unwrap();
        assert!(all == (0..5000).map(row).collect::<Vec<_>>());
    }
    let ctx = Context::new().unwrap();
    let error = ctx.read_parquet::<Some2>(&dir).unwrap().collect().unwrap_err().to_string();
    assert!(error.contains("column `price` is Decimal128(9, 2), not Decimal128(38, 0)"), "{error}");
    let numbers = ctx.read_parquet::<(u64, Text, Vec<Option<i32>>, Option<i64>, i128)>(&dir).unwrap();
    assert!(numbers.count().is_err(), "a time and a decimal have types that a tuple cannot say");
    let error = ctx.read_parquet::<Missing>(&dir).unwrap().count().unwrap_err().to_string();
    assert!(
        error.contains("no column `numbers`") && error.contains("the nearest name is `number`"),
        "{error}"
    );
}

#[derive(Record, Clone)]
struct Dotted {
    #[record(rename = "a.b")]
    number: u64,
}

#[test]
fn columns_that_are_not_asked_for_are_not_read() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("rows.parquet");
    let ctx = Context::new().unwrap();
    ctx.range(0..3)
        .map(|n| (n, Text::from("x".repeat(100))))
        .columns(["a.b", "c"])
        .write_parquet(&path, ParquetOptions::default())
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // The pages of the other column are damaged, and nobody notices.
    let at = bytes.windows(9).rposition(|window| window == [b'x'; 9]);
    if let Some(at) = at {
        bytes[at] ^= 0xff;
        std::fs::write(&path, &bytes).unwrap();
    }
    let rows = ctx.read_parquet::<Dotted>(&path).unwrap().map(|row| row.number).collect().unwrap();
    assert_eq!(rows, [0, 1, 2]);
}

#[test]
fn damaged_files_are_errors_and_never_panics() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("rows.parquet");
    let ctx = Context::builder().threads(1).build().unwrap();
    ctx.range(0..50).map(row).write_parquet(&path, ParquetOptions::default()).unwrap();
    let good = std::fs::read(&path).unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        ctx.read_parquet::<Full>(&path).and_then(|rows| rows.collect())
    };
    assert_eq!(read(&good).unwrap().len(), 50);
    for length in (0..good.len()).step_by(53) {
        let error = read(&good[..length]).unwrap_err();
        assert!(error.to_string().contains("rows.parquet"), "{error}");
    }
    for at in (0..good.len()).step_by(17) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        // A flipped bit may hit a value, which nothing guards in a file without page checksums; it may not hit the process.
        if let Err(error) = read(&bytes) {
            assert_ne!(error.kind(), gristmill::ErrorKind::Internal, "{error}");
        }
    }
}

/// Parquet has no unit of a second: the column is one of milliseconds there, at any depth.
#[test]
fn instants_in_seconds_are_stored_in_milliseconds() {
    #[derive(Record, Clone, Debug, PartialEq)]
    struct Seconds {
        #[record(timestamp = "s")]
        at: Option<i64>,
        nested: Vec<Nested>,
    }
    #[derive(Record, Clone, Debug, PartialEq)]
    struct Nested {
        #[record(timestamp = "s")]
        at: i64,
    }
    #[derive(Record, Clone, Debug)]
    struct Only {
        #[record(timestamp = "s")]
        at: Option<i64>,
    }
    #[derive(Record, Clone)]
    struct Millis {
        #[record(timestamp = "ms")]
        at: Option<i64>,
    }
    let temp = tempfile::tempdir().unwrap();
    let ctx = Context::new().unwrap();
    let path = temp.path().join("seconds.parquet");
    let rows: Vec<Seconds> = (-3..40)
        .map(|n| Seconds {
            at: (n % 4 != 0).then_some(n),
            nested: vec![Nested { at: -n }; usize::from(n > 7)],
        })
        .collect();
    let options = || ParquetOptions::default().existing(Existing::Overwrite);
    ctx.from_vec(rows.clone()).write_parquet(&path, options()).unwrap();
    assert_eq!(ctx.read_parquet::<Seconds>(&path).unwrap().collect().unwrap(), rows);
    let millis = ctx.read_parquet::<Millis>(&path).unwrap().map(|row| row.at).collect().unwrap();
    assert_eq!(millis, rows.iter().map(|row| row.at.map(|at| at * 1000)).collect::<Vec<_>>());

    let far = ctx.from_vec(vec![Seconds { at: Some(i64::MAX / 999), nested: vec![] }]);
    let error = far.write_parquet(&path, options()).unwrap_err().to_string();
    assert!(error.contains("cannot store column `at`"), "{error}");
    let odd = ctx.from_vec(vec![1_500_i64]).map(|at| Millis { at: Some(at) });
    odd.write_parquet(&path, options()).unwrap();
    let error = ctx.read_parquet::<Only>(&path).unwrap().collect().unwrap_err().to_string();
    assert!(error.contains("column `at` has 1500 ms, which is no whole second"), "{error}");
}

/// Those that we write, and those that other programs do.
#[test]
fn every_codec_is_read() {
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    let rows: Vec<Full> = (0..2000).map(row).collect();
    let batch = to_batch(&rows).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let ctx = Context::new().unwrap();
    for codec in codecs {
        let path = temp.path().join(format!("{codec}.parquet"));
        let properties = WriterProperties::builder().set_compression(codec).build();
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        assert!(ctx.read_parquet::<Full>(&path).unwrap().collect().unwrap() == rows, "{codec}");
    }
}
