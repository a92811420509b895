//! CSV files as users have them, against the csv crate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use gristmill::prelude::*;

#[derive(Record, Clone, Debug, PartialEq)]
struct Row {
    number: i64,
    text: Text,
    maybe: Option<String>,
}

fn context(threads: usize, split_bytes: u64) -> Context {
    Context::builder().threads(threads).split_bytes(split_bytes).build().unwrap()
}

fn file(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn read(path: &Path) -> gristmill::Result<Vec<Row>> {
    Context::new()?.read_csv::<Row>(path, CsvFormat::default())?.collect()
}

fn message(dir: &Path, content: impl AsRef<[u8]>) -> String {
    read(&file(dir, "wrong.csv", content)).unwrap_err().to_string()
}

/// Rows with everything that may stand in fields; about one line end and one quote in three rows.
fn rows(count: i64) -> Vec<Row> {
    let text = |n: i64| match n % 6 {
        0 => format!("line one of {n}\nline two, with a comma"),
        1 => format!("he said \"{n}\""),
        2 => String::new(),
        3 => "naïve — Ünïcode".to_string(),
        4 => ",\",\"\n\",\n".to_string(),
        _ => format!("plain text number {n}, or nearly so"),
    };
    (0..count)
        .map(|n| Row {
            number: n * 7 - 3,
            text: text(n).into(),
            maybe: (n % 4 != 1).then(|| if n % 4 == 2 { String::new() } else { text(n + 3) }),
        })
        .collect()
}

/// By the csv crate, but for nulls, which it does not know: these are nothing, and an empty text has quotes.
fn written(rows: &[Row]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    let mut lines = b"text,other,maybe,number\r\n".to_vec();
    for row in rows {
        let maybe = row.maybe.as_deref().unwrap_or("<null>");
        writer.write_record([&*row.text, "x", maybe, &row.number.to_string()]).unwrap();
    }
    let body = String::from_utf8(writer.into_inner().unwrap()).unwrap();
    lines.extend_from_slice(body.replace("\"<null>\"", "").as_bytes());
    lines
}

#[test]
fn rows_are_the_same_however_the_file_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(3000);
    let path = file(dir.path(), "rows.csv", written(&rows));
    for (threads, split_bytes) in [(1, 50), (2, 333), (8, 4096), (2, 1 << 30)] {
        let ctx = context(threads, split_bytes);
        let read = ctx.read_csv::<Row>(&path, CsvFormat::default()).unwrap().collect().unwrap();
        assert!(read == rows, "{threads} threads, splits of {split_bytes}");
        let whole = ctx.read_csv::<Row>(&path, CsvFormat::default().whole_files(true)).unwrap();
        assert!(whole.collect().unwrap() == rows);
    }
}

#[test]
fn several_files_may_have_their_columns_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "a.csv", "\u{feff}number,text,maybe\n1,a,\n");
    file(dir.path(), "b.csv", "maybe,junk,text,number\r\n\"\",,b,2\r\n\r\nx,y,z,3");
    file(dir.path(), "c.csv", "");
    file(dir.path(), "d.csv", "text,number,maybe\n");
    let row = |number, text: &str, maybe: Option<&str>| Row {
        number,
        text: text.into(),
        maybe: maybe.map(Into::into),
    };
    let expected = [row(1, "a", None), row(2, "b", Some("")), row(3, "z", Some("x"))];
    assert_eq!(read(dir.path()).unwrap(), expected);
}

#[test]
fn without_a_header_the_fields_are_the_columns() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "table.tbl", "1|a|\\N\n2|b||\n".replace("||\n", "|\n"));
    let format = CsvFormat::default().delimiter(b'|').header(false).null("\\N");
    let rows: Vec<(u8, String, Option<String>)> =
        Context::new().unwrap().read_csv(&path, format).unwrap().collect().unwrap();
    assert_eq!(rows, [(1, "a".into(), None), (2, "b".into(), Some(String::new()))]);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let header = "number,text,maybe\n1,a,b\n";
    let wrong = [
        ("x,a,b\n", "this is no whole number (column `number`, value `x`)"),
        ("99999999999999999999,a,b\n", "the number is too large for its column"),
        ("１,a,b\n", "this is no whole number"),
        (",a,b\n", "the field is empty and should be a whole number (column `number`, value ``)"),
        ("2,a\n", "it has 2 fields, not 3"),
        ("2,a,b,c\n", "it has 4 fields, not 3"),
        ("2,a\"b,c\n", "a quote stands in a field that does not begin with one"),
        ("2,\"a\"b,c\n", "a quote ends a field, and something else follows it"),
        ("2,\"a,c\n", "a quote is not closed"),
    ];
    for (line, expected) in wrong {
        let message = message(dir.path(), format!("{header}{line}3,c,d\n"));
        assert!(message.contains(expected), "{line:?}: {message}");
        assert!(message.contains("wrong.csv, line 3, byte offset 24"), "{line:?}: {message}");
        assert!(message.starts_with("read_csv at tests/read_csv.rs:"), "{message}");
    }
    let not_utf8 = [header.as_bytes(), b"2,\xff,b\n"].concat();
    assert!(message(dir.path(), not_utf8).contains("it is not UTF-8"));
}

#[test]
fn a_header_must_have_the_columns() {
    let dir = tempfile::tempdir().unwrap();
    let missing = message(dir.path(), "numbers,text,maybe\n1,a,b\n");
    assert!(
        missing.contains("there is no column `number`") && missing.contains("the nearest name is `numbers`"),
        "{missing}"
    );
    assert!(missing.contains("wrong.csv, line 1"), "{missing}");
    assert!(message(dir.path(), "number,text,text,maybe\n").contains("two columns are named `text`"));
    assert!(message(dir.path(), "number,\"text,maybe\n1,a,b\n").contains("a quote is not closed"));
}

#[test]
fn quotes_that_do_not_pair_are_never_read_differently() {
    // A quote in the middle of plain text: what follows it looks quoted where the file is cut, until the quotes end.
    let dir = tempfile::tempdir().unwrap();
    let line = "5,plain text without any quotes,\n";
    let content = format!("number,text,maybe\n{}6,\"not closed,\n{}", line.repeat(40), line.repeat(40));
    let path = file(dir.path(), "unpaired.csv", content);
    let errors: Vec<String> = [(1, 100), (2, 100), (2, 1 << 20)]
        .map(|(threads, split_bytes)| {
            let rows = context(threads, split_bytes).read_csv::<Row>(&path, CsvFormat::default()).unwrap();
            rows.collect().unwrap_err().to_string()
        })
        .to_vec();
    assert!(
        errors.iter().all(|error| error.contains("a quote is not closed") && error.contains("line 42")),
        "{errors:?}"
    );
}

#[test]
fn lists_are_no_fields() {
    let error =
        Context::new().unwrap().read_csv::<(u8, Vec<u8>)>("Cargo.toml", CsvFormat::default()).err().unwrap();
    assert!(error.to_string().contains("text cannot be converted to column `_2`, which is List"), "{error}");
}

#[test]
fn compressed_files_are_inflated() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows(500);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, &written(&rows)).unwrap();
    let path = file(dir.path(), "rows.csv", encoder.finish().unwrap());
    let ctx = context(2, 100);
    assert!(ctx.read_csv::<Row>(&path, CsvFormat::default()).unwrap().collect().unwrap() == rows);
    let wrong = ctx.read_csv::<(u8, u8, u8, u8)>(&path, CsvFormat::default().header(false)).unwrap();
    let error = wrong.collect().unwrap_err().to_string();
    assert!(error.contains("column `_1`, value `text`") && error.contains("line 1"), "{error}");
}
