//! CSV files as users have them, against the csv crate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use gristmill::prelude::*;
use proptest::prelude::*;

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
    let utf16: Vec<u8> =
        "\u{FEFF}number,text,maybe\n1,a,b\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16 = message(dir.path(), utf16);
    assert!(utf16.contains("are not UTF-8") && utf16.contains("convert the file to UTF-8"), "{utf16}");
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

#[test]
fn files_without_rows_give_none_and_the_output_has_its_schema() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.csv");
    for content in [
        "",
        "number,text,maybe",
        "number,text,maybe\r\n",
        "\u{feff}",
        "\u{feff}number,text,maybe\n",
        "\n",
        "\n\r\n",
    ] {
        let rows = context(2, 100).read_csv::<Row>(file(dir.path(), "in.csv", content), CsvFormat::default());
        let options = CsvOptions::default().existing(Existing::Overwrite);
        let written = rows.unwrap().write_csv(&out, options).unwrap();
        assert_eq!(written.rows, 0, "{content:?}");
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "number,text,maybe\n", "{content:?}");
    }
}

#[test]
fn floats_beyond_their_type_are_no_numbers() {
    let dir = tempfile::tempdir().unwrap();
    for (field, is_number) in [
        ("1e308", true),
        ("1e999", false),
        ("-1e999", false),
        ("1e-999", true),
        ("inf", true),
        ("１.5", false),
    ] {
        let path = file(dir.path(), "floats.csv", format!("{field}\n"));
        let read = Context::new().unwrap().read_csv::<(f64,)>(&path, CsvFormat::default().header(false));
        let read = read.unwrap().collect();
        assert_eq!(read.is_ok(), is_number, "{field}: {read:?}");
    }
}

#[derive(Record, Clone, Debug, PartialEq)]
struct Reject {
    line: Option<u64>,
    offset: u64,
    reason: String,
    raw: String,
    file: String,
}

/// What is read and what is rejected of a file, or the error.
fn tolerant(path: &Path, format: CsvFormat, split: u64) -> Result<(Vec<Row>, Vec<Reject>), String> {
    let to = path.with_extension("rejects.csv");
    let ctx = context(2, split);
    let rows = ctx.read_csv::<Row>(path, format).unwrap().on_error(OnError::reject(&to)).unwrap();
    let rows = rows.collect().map_err(|error| {
        assert_eq!(error.kind(), gristmill::ErrorKind::Input, "{error}");
        error.to_string()
    })?;
    Ok((rows, ctx.read_csv::<Reject>(&to, CsvFormat::default()).unwrap().collect().unwrap()))
}

fn any_csv() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        8 => prop::sample::select(vec![&b","[..], b"\n", b"\r\n", b"\"", b"\"\"", b"1", b"-7,", b"text", b"1,a,b\n", b"2,\"x\ny\",\n", b"3,\"\",\"\"\n"])
            .prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(part, 0..80).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn any_bytes_are_rows_or_rejects_the_same_however_they_are_cut(content in any_csv(), split in 1..60u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "any.csv", &content);
        let format = CsvFormat::default().header(false);
        let whole = tolerant(&path, format.clone().whole_files(true), split);
        let (rows, rejects) = whole.expect("whatever is in it, a policy holds for it");
        // Every reject is what stands at its place.
        for reject in &rejects {
            let found = &content[reject.offset as usize..];
            prop_assert!(String::from_utf8_lossy(found).starts_with(&reject.raw), "{:?}", reject);
            let line = content[..reject.offset as usize].split(|byte| *byte == b'\n').count() as u64;
            prop_assert_eq!(reject.line, Some(line));
        }
        let strict = context(1, split).read_csv::<Row>(&path, format.clone().whole_files(true)).unwrap().collect();
        match (strict, rejects.first()) {
            (Ok(strict), None) => prop_assert_eq!(&strict, &rows),
            (Err(error), Some(first)) => prop_assert_eq!(error.place().unwrap().offset, Some(first.offset)),
            (strict, first) => prop_assert!(false, "{:?} {:?}", strict, first),
        }
        // Where quotes do not pair, a cut may be no place to begin at, and that is told.
        match tolerant(&path, format, split) {
            Ok(cut) => prop_assert_eq!(cut, (rows, rejects)),
            Err(error) => prop_assert!(error.contains("quote") && content.contains(&b'"'), "{}", error),
        }
    }
}
