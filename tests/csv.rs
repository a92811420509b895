//! CSV: every type, quoted where it must be, and read back by the `csv` crate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gristmill::io::csv::{CsvEncoder, CsvOptions, LineEnd, Quotes};
use gristmill::record::{schema, to_batch};
use gristmill::{Record, Text};
use proptest::prelude::*;

fn encoded<T: Record>(rows: &[T], options: &CsvOptions) -> String {
    let encoder = CsvEncoder::new(&schema::<T>(), options).unwrap();
    let mut bytes = encoder.header();
    for part in rows.chunks(3) {
        encoder.encode(&to_batch(part).unwrap(), &mut bytes).unwrap();
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_type() {
    #[derive(Record, Clone)]
    struct Row {
        name: Text,
        flag: bool,
        least: i64,
        #[record(timestamp = "ms")]
        at: Option<i64>,
        #[record(date)]
        day: i32,
        #[record(decimal(9, 2))]
        price: i128,
        ratio: f64,
        nothing: (),
    }
    let row = |at| Row {
        name: "a, b".into(),
        flag: true,
        least: i64::MIN,
        at,
        day: 20_000,
        price: -1234,
        ratio: 0.1,
        nothing: (),
    };
    let expected = "name,flag,least,at,day,price,ratio,nothing\n\
        \"a, b\",true,-9223372036854775808,2023-11-14T22:13:20.123Z,2024-10-04,-12.34,0.1,\n\
        \"a, b\",true,-9223372036854775808,,2024-10-04,-12.34,0.1,\n";
    assert_eq!(encoded(&[row(Some(1_700_000_000_123)), row(None)], &CsvOptions::default()), expected);
}

#[test]
fn nulls_differ_from_strings() {
    let rows = [
        (1_u8, None),
        (2, Some(String::new())),
        (3, Some("NULL".to_owned())),
        (4, Some("a\tb\"\n".to_owned())),
    ];
    assert_eq!(
        encoded(&rows, &CsvOptions::default().header(false)),
        "1,\n2,\"\"\n3,NULL\n4,\"a\tb\"\"\n\"\n"
    );
    let options = CsvOptions::default().delimiter(b'\t').null("NULL");
    assert_eq!(encoded(&rows, &options), "_1\t_2\n1\tNULL\n2\t\n3\t\"NULL\"\n4\t\"a\tb\"\"\n\"\n");
}

#[test]
fn errors() {
    let refused =
        |options: CsvOptions| CsvEncoder::new(&schema::<(u8, u8)>(), &options).unwrap_err().to_string();
    assert!(
        refused(CsvOptions::default().delimiter(b'"')).starts_with("`\\\"` cannot stand between CSV fields")
    );
    assert!(refused(CsvOptions::default().null("a,b")).starts_with("`a,b` cannot stand for null in CSV"));
    let error = CsvEncoder::new(&schema::<(u8, Vec<u8>)>(), &CsvOptions::default()).unwrap_err();
    assert!(error.to_string().starts_with("CSV cannot hold column `_2`, which is List("), "{error}");
}

#[test]
fn a_null_of_the_only_column_needs_a_text() {
    let encoded = |rows: &[Option<u8>], options: &CsvOptions| {
        let mut lines = Vec::new();
        let encoder = CsvEncoder::new(&schema::<Option<u8>>(), options).unwrap();
        encoder.encode(&to_batch(rows).unwrap(), &mut lines).map(|()| String::from_utf8(lines).unwrap())
    };
    assert_eq!(encoded(&[Some(1)], &CsvOptions::default()).unwrap(), "1\n");
    let error = encoded(&[Some(1), None], &CsvOptions::default()).unwrap_err().to_string();
    assert!(error.contains("would be an empty line of CSV") && error.contains("CsvOptions::null"), "{error}");
    assert_eq!(encoded(&[Some(1), None], &CsvOptions::default().null("-")).unwrap(), "1\n-\n");
}

#[test]
fn an_instant_beyond_the_calendar_is_an_error() {
    #[derive(Record, Clone)]
    struct Row {
        #[record(timestamp = "s")]
        at: i64,
    }
    let encoder = CsvEncoder::new(&schema::<Row>(), &CsvOptions::default()).unwrap();
    let error = encoder.encode(&to_batch(&[Row { at: i64::MAX }]).unwrap(), &mut Vec::new()).unwrap_err();
    assert!(error.to_string().starts_with("CSV cannot hold a value of column `at`"), "{error}");
}

#[test]
fn quotes_and_line_ends_as_the_options_say() {
    let rows = [(1, Some("a".to_owned())), (-2, None)];
    let options = CsvOptions::default().quotes(Quotes::Always).line_end(LineEnd::CrLf);
    assert_eq!(encoded(&rows, &options), "\"_1\",\"_2\"\r\n\"1\",\"a\"\r\n\"-2\",\r\n");
}

#[test]
fn a_formula_is_text_behind_its_guard() {
    #[derive(Record, Clone)]
    struct Row {
        text: Option<Text>,
        number: i32,
    }
    let texts = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "x=1", "", "'"];
    let mut rows: Vec<_> = texts.map(|text| Row { text: Some(text.into()), number: -1 }).into();
    rows.push(Row { text: None, number: -2 });
    let guarded = encoded(&rows, &CsvOptions::default().formula_guard(true).header(false));
    let expected = "'=1+1,-1\n'+1,-1\n'-1,-1\n'@x,-1\n'\tx,-1\n\"'\rx\",-1\nx=1,-1\n\"\",-1\n',-1\n,-2\n";
    assert_eq!(guarded, expected);
    assert!(encoded(&rows, &CsvOptions::default()).contains("\n=1+1,-1\n"));
}

#[test]
fn an_empty_text_alone_is_no_empty_line() {
    let rows = [Some(String::new()), None];
    assert_eq!(encoded(&rows, &CsvOptions::default().null("NULL")), "value\n\"\"\nNULL\n");
}

proptest! {
    #[test]
    fn the_csv_crate_reads_it(
        rows in proptest::collection::vec(any::<(String, i32, String)>(), 0..20),
        quotes in prop_oneof![Just(Quotes::Necessary), Just(Quotes::Always)],
        line_end in prop_oneof![Just(LineEnd::Lf), Just(LineEnd::CrLf)],
    ) {
        let written = encoded(&rows, &CsvOptions::default().quotes(quotes).line_end(line_end));
        let mut reader = csv::Reader::from_reader(written.as_bytes());
        let read: Vec<(String, i32, String)> = reader.deserialize().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read, rows);
    }
}
