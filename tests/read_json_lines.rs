//! JSON lines as users have them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use gristmill::prelude::*;
use proptest::prelude::*;

#[derive(Record, Clone, Debug, PartialEq, Default)]
struct Inner {
    name: Option<Text>,
    numbers: Vec<i32>,
}

#[derive(Record, Clone, Debug, PartialEq, Default)]
struct Row {
    number: u8,
    float: Option<f64>,
    yes: bool,
    #[record(timestamp = "ms")]
    at: Option<i64>,
    #[record(date)]
    day: Option<i32>,
    #[record(decimal(8, 2))]
    price: Option<i128>,
    inner: Option<Inner>,
}

fn file(dir: &Path, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join("rows.jsonl");
    std::fs::write(&path, content).unwrap();
    path
}

fn read(path: &Path, format: JsonFormat) -> gristmill::Result<Vec<Row>> {
    Context::new()?.read_json_lines::<Row>(path, format)?.collect()
}

#[test]
fn objects_become_rows_whatever_order_their_fields_have() {
    let dir = tempfile::tempdir().unwrap();
    let full = r#"{"inner": {"numbers": [1, -2], "name": "\u00fc \"q\"\n"}, "yes": true, "number": 255, "float": -1.5e3,
        "at": "1970-01-01T00:00:01.500Z", "day": "1970-01-02", "price": -12.5}"#
        .replace('\n', "");
    let text = format!("{full}\r\n\n  \n{{\"yes\":false,\"number\":0,\"float\":null,\"inner\":null}}");
    let name = Some("ü \"q\"\n".into());
    let row = Row {
        number: 255,
        float: Some(-1500.0),
        yes: true,
        at: Some(1500),
        day: Some(1),
        price: Some(-1250),
        inner: Some(Inner { name, numbers: vec![1, -2] }),
    };
    assert_eq!(read(&file(dir.path(), text), JsonFormat::default()).unwrap(), [row, Row::default()]);
}

#[test]
fn fields_that_are_no_columns_are_ignored_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "{\"yes\": true, \"number\": 1, \"extra\": {\"a\": [1, {}]}}\n");
    let error = read(&path, JsonFormat::default()).unwrap_err().to_string();
    assert!(error.contains("extra") && error.contains("line 1"), "{error}");
    assert_eq!(read(&path, JsonFormat::default().ignore_extra(true)).unwrap().len(), 1);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let good = "{\"yes\": true, \"number\": 1}\n";
    let deep = format!("{{\"inner\": {}", "[".repeat(10_000));
    let wrong = [
        "{\"yes\": true, \"number\": 1",
        "{\"yes\": true, \"number\": 256}",
        "{\"yes\": true, \"number\": -1}",
        "{\"yes\": true, \"number\": \"x\"}",
        "{\"yes\": true, \"number\": [1]}",
        "{\"yes\": true, \"number\": 1, \"float\": 1e999}",
        "{\"yes\": true, \"number\": 1, \"price\": 1.005}",
        "{\"yes\": true, \"number\": 1, \"at\": \"soon\"}",
        "{\"yes\": true}",
        "{\"yes\": true, \"number\": null}",
        "{\"yes\": true, \"number\": 1} {\"yes\": true, \"number\": 1}",
        "[1]",
        "7",
        "{'yes': true}",
        &deep,
    ];
    for line in wrong {
        let path = file(dir.path(), format!("{good}{good}{line}\n{good}"));
        let result = read(&path, JsonFormat::default());
        let Err(error) = result else { panic!("{line} is {result:?}") };
        let error = error.to_string();
        assert!(error.contains("rows.jsonl, line 3, byte offset 54"), "{line}: {error}");
        assert!(error.len() < 1000, "{error}");
    }
}

#[test]
fn rows_are_the_same_however_the_file_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let line =
        |n: u64| format!("{{\"number\": {}, \"yes\": {}, \"float\": {n}}}\n", n % 256, n.is_multiple_of(2));
    let path = file(dir.path(), (0..5000).map(line).collect::<String>());
    for (threads, split_bytes) in [(1, 100), (2, 5000), (8, 1 << 30)] {
        let ctx = Context::builder().threads(threads).split_bytes(split_bytes).build().unwrap();
        let rows = ctx.read_json_lines::<Row>(&path, JsonFormat::default()).unwrap().collect().unwrap();
        assert_eq!(rows.len(), 5000);
        assert!(rows.iter().enumerate().all(|(n, row)| row.float == Some(n as f64)));
    }
}

#[test]
fn files_without_rows_give_none() {
    let dir = tempfile::tempdir().unwrap();
    for content in ["", "\n", "\u{feff}", "\u{feff}\r\n", " \n\t\n"] {
        assert_eq!(read(&file(dir.path(), content), JsonFormat::default()).unwrap(), [], "{content:?}");
    }
}

#[derive(Record, Clone, Debug, PartialEq)]
struct Small {
    a: u8,
    b: Option<Text>,
}

/// What `serde_json` makes of a line: a row, or none if it is bad.
fn model(line: &[u8]) -> Option<Small> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    let object = value.as_object()?;
    let is_known = object.keys().all(|key| key == "a" || key == "b");
    let a = object.get("a")?.as_u64().and_then(|a| u8::try_from(a).ok())?;
    let b = match object.get("b") {
        None | Some(serde_json::Value::Null) => None,
        Some(b) => Some(Text::from(b.as_str()?)),
    };
    is_known.then_some(Small { a, b })
}

fn any_json_lines() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        6 => prop::sample::select(vec![
            &b"{\"a\":1}\n"[..], b"{\"a\":255,\"b\":\"x\"}\r\n", b"{\"b\":null,\"a\":0}\n", b"{\"a\":256}\n", b"{\"a\":-1}\n",
            b"{\"a\":1,\"c\":2}\n", b"{\"a\":1,\"b\":[[]]}\n", b"{\"a\":null}\n", b"{\"b\":\"\\u00fc\\n\"",  b"{\"a\":", b"3}",
            b"\n", b"[", b"]", b"{", b"}", b"\"", b" ", b"null\n", b"\\", b"{\"a\":1}{\"a\":1}\n",
        ]).prop_map(<[u8]>::to_vec),
        // Commas too many are not noticed: see `read_json_lines`.
        1 => prop::collection::vec(any::<u8>().prop_filter("no comma", |byte| *byte != b','), 1..4),
    ];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_bytes_are_the_rows_that_serde_json_reads_or_bad(content in any_json_lines(), split in 1..100u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), &content);
        let ctx = Context::builder().threads(2).split_bytes(split).build().unwrap();
        let small = ctx.read_json_lines::<Small>(&path, JsonFormat::default()).unwrap();
        let found = small.on_error(OnError::skip()).unwrap().collect().unwrap();
        let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        let expected: Vec<Option<Small>> = lines.map(model).collect();
        prop_assert_eq!(&found, &expected.iter().flatten().cloned().collect::<Vec<_>>());
        let bad = expected.iter().filter(|row| row.is_none()).count() as u64;
        prop_assert_eq!(ctx.counter(OnError::BAD_RECORDS).value(), bad);
        prop_assert_eq!(small.collect().is_ok(), bad == 0);
    }
}
