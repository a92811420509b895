//! JSON lines: every type, read back by `serde_json`, and text files with compression.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::Read;

use common::names;
use gristmill::ErrorKind;
use gristmill::io::commit::manifest;
use gristmill::io::json::JsonEncoder;
use gristmill::prelude::*;
use gristmill::record::{schema, to_batch};
use proptest::prelude::*;
use serde_json::{Value, json};

fn encoded<T: Record>(rows: &[T], options: &JsonOptions) -> String {
    let encoder = JsonEncoder::new(&schema::<T>(), options).unwrap();
    let mut bytes = Vec::new();
    for part in rows.chunks(3) {
        encoder.encode(&to_batch(part).unwrap(), &mut bytes).unwrap();
    }
    String::from_utf8(bytes).unwrap()
}

#[derive(Record, Clone)]
struct Client {
    ip: Text,
    #[record(timestamp = "us")]
    since: Option<i64>,
}

#[derive(Record, Clone)]
struct Row {
    name: Text,
    flag: bool,
    least: i64,
    most: u64,
    #[record(timestamp = "ms")]
    at: Option<i64>,
    #[record(date)]
    day: i32,
    #[record(decimal(38, 2))]
    price: i128,
    ratio: f64,
    client: Option<Client>,
    tags: Vec<Option<u8>>,
    visits: Vec<Client>,
}

fn row(some: bool) -> Row {
    let client = |since| Client { ip: "::1".into(), since };
    Row {
        name: "a \"b\"\n\u{1f980}".into(),
        flag: true,
        least: i64::MIN,
        most: u64::MAX,
        at: some.then_some(1_700_000_000_123),
        day: 20_000,
        price: 12_345_678_901_234_567_890_123_456_789,
        ratio: if some { 0.1 } else { f64::NAN },
        client: some.then(|| client(Some(1))),
        tags: vec![Some(1), None],
        visits: vec![client(None), client(Some(0))],
    }
}

#[test]
fn every_type() {
    let first = "{\"name\":\"a \\\"b\\\"\\n\u{1f980}\",\"flag\":true,\"least\":-9223372036854775808,\
        \"most\":18446744073709551615,";
    let common = "\"day\":\"2024-10-04\",\"price\":123456789012345678901234567.89,";
    let visits = "\"tags\":[1,null],\"visits\":[{\"ip\":\"::1\"},{\"ip\":\"::1\",\"since\":\"1970-01-01T00:00:00Z\"}]}\n";
    let at = "\"at\":\"2023-11-14T22:13:20.123Z\",";
    let client = "\"client\":{\"ip\":\"::1\",\"since\":\"1970-01-01T00:00:00.000001Z\"},";
    let expected = format!("{first}{at}{common}\"ratio\":0.1,{client}{visits}{first}{common}{visits}");
    let written = encoded(&[row(true), row(false)], &JsonOptions::default());
    // What is not a number is null even where nulls are left out.
    assert_eq!(written.replace("\"ratio\":null,", ""), expected);
    for line in written.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

#[test]
fn nulls_are_written_if_asked_for() {
    let written = encoded(&[row(false)], &JsonOptions::default().nulls(true));
    let value: Value = serde_json::from_str(&written).unwrap();
    assert_eq!((&value["at"], &value["client"]), (&Value::Null, &Value::Null));
    assert!(written.contains("\"at\":null,") && written.contains("\"since\":null}"), "{written}");
}

#[test]
fn what_cannot_be_written_is_an_error() {
    #[derive(Record, Clone)]
    struct Instant {
        #[record(timestamp = "s")]
        at: i64,
    }
    type Nested = (Vec<Instant>, u8);
    let encoder = JsonEncoder::new(&schema::<Nested>(), &JsonOptions::default()).unwrap();
    let write =
        |at: i64| encoder.encode(&to_batch(&[(vec![Instant { at }], 1_u8)]).unwrap(), &mut Vec::new());
    for at in [-62_167_219_200, 253_402_300_799] {
        write(at).unwrap();
    }
    for at in [i64::MIN, -62_167_219_201, 253_402_300_800, i64::MAX] {
        let error = write(at).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Output);
        assert!(error.to_string().contains("column `_1.at`"), "{error}");
    }
    let options = JsonOptions::default().compression(TextCompression::Gzip(10));
    let error = JsonEncoder::new(&schema::<u8>(), &options).unwrap_err();
    assert_eq!(error.to_string(), "the gzip level is 10; give 1 to 9");
}

fn any_row() -> impl Strategy<Value = (String, Option<i64>, Vec<String>, u64)> {
    (any::<String>(), any::<Option<i64>>(), proptest::collection::vec(any::<String>(), 0..4), any::<u64>())
}

proptest! {
    #[test]
    fn serde_json_reads_it(rows in proptest::collection::vec(any_row(), 0..10)) {
        let written = encoded(&rows, &JsonOptions::default().nulls(true));
        let read: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected = rows.iter().map(|(a, b, c, d)| json!({ "_1": a, "_2": b, "_3": c, "_4": d }));
        prop_assert_eq!(read, expected.collect::<Vec<_>>());
    }
}

fn unpacked(file: &std::path::Path) -> String {
    let bytes = std::fs::read(file).unwrap();
    let mut text = String::new();
    match file.extension().unwrap().to_str().unwrap() {
        "gz" => flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap(),
        "zst" => zstd::Decoder::new(bytes.as_slice()).unwrap().read_to_string(&mut text).unwrap(),
        _ => bytes.as_slice().read_to_string(&mut text).unwrap(),
    };
    text
}

#[test]
fn text_files_are_compressed_by_tasks_and_read_as_one() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    let ctx = Context::builder().threads(2).build().unwrap();
    let rows = ctx.range(0..60_000).map(|n| (n, n * n)).repartition(5);
    let columns = rows.columns(["n", "square"]);
    let (gzip, zstd) = (TextCompression::Gzip(1), TextCompression::Zstd(1));
    let json = |n: u64| format!("{{\"n\":{n},\"square\":{}}}\n", n * n);
    let order: Vec<(u64, u64)> = rows.collect().unwrap();
    let outputs = (
        columns.to_csv(at("csv"), CsvOptions::default().compression(gzip)),
        columns.to_csv(at("one.csv.zst"), CsvOptions::default().compression(zstd)),
        columns.to_json_lines(at("json"), JsonOptions::default().compression(zstd)),
        columns.to_json_lines(at("one.jsonl.gz"), JsonOptions::default().compression(gzip)),
        columns.to_json_lines(at("plain.json"), JsonOptions::default()),
    );
    ctx.run(outputs).unwrap();
    let csv: String = order.iter().map(|(n, square)| format!("{n},{square}\n")).collect();
    let csv = format!("n,square\n{csv}");
    let json: String = order.iter().map(|(n, _)| json(*n)).collect();
    assert_eq!(names(&at("csv")), ["_manifest.json", "part-00000.csv.gz"]);
    assert_eq!(names(&at("json")), ["_manifest.json", "part-00000.jsonl.zst"]);
    assert!(unpacked(&at("csv/part-00000.csv.gz")) == csv);
    assert!(unpacked(&at("one.csv.zst")) == csv);
    assert!(unpacked(&at("json/part-00000.jsonl.zst")) == json);
    assert!(unpacked(&at("one.jsonl.gz")) == json);
    assert!(unpacked(&at("plain.json")) == json);
    manifest::verify(&at("csv")).unwrap();
    manifest::verify(&at("json")).unwrap();
}

#[test]
fn a_compressed_output_without_rows_is_a_valid_file() {
    let temp = tempfile::tempdir().unwrap();
    let ctx = Context::new().unwrap();
    for (ending, compression) in [("gz", TextCompression::Gzip(6)), ("zst", TextCompression::Zstd(1))] {
        let file = temp.path().join(format!("none.jsonl.{ending}"));
        ctx.range(0..0).write_json_lines(&file, JsonOptions::default().compression(compression)).unwrap();
        assert!(file.metadata().unwrap().len() > 0);
        assert_eq!(unpacked(&file), "");
    }
}

#[test]
fn partitions_of_json_lines_have_the_other_columns() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("out");
    let ctx = Context::new().unwrap();
    let rows = ctx.range(0..10).map(|n| (n.is_multiple_of(2), n, vec![n]));
    let options = JsonOptions::default().partition_by(["even"]).target_file_bytes(1);
    rows.columns(["even", "n", "list"]).write_json_lines(&dir, options).unwrap();
    assert_eq!(names(&dir), ["_manifest.json", "even=false", "even=true"]);
    let text: String = names(&dir.join("even=true"))
        .iter()
        .filter(|name| name.starts_with("part-"))
        .map(|name| unpacked(&dir.join("even=true").join(name)))
        .collect();
    assert!(text.starts_with("{\"n\":0,\"list\":[0]}\n{\"n\":2,\"list\":[2]}\n"), "{text}");
    assert_eq!(text.lines().count(), 5);
}
