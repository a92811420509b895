//! `gristmill convert` changes no value and leaves out no column without saying so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::place::{Place, assert_says};
use gristmill::prelude::*;

/// A Parquet file of one column.
fn parquet<T: Record + Clone>(place: &Place, name: &str, column: &str, values: Vec<T>) {
    let rows = Context::new().unwrap().from_vec(values.into_iter().map(|value| (value,)).collect());
    rows.columns([column]).write_parquet(place.at(name), ParquetOptions::default()).unwrap();
}

fn schema_file(column: &str, data_type: &str) -> String {
    format!(r#"{{"columns": [{{"name": "{column}", "type": "{data_type}"}}]}}"#)
}

#[test]
fn types_are_told_by_the_names_of_each_header() {
    let place = Place::new(&[("1.csv", "id,day\n1,2026-01-01\n"), ("2.csv", "day,id\n2026-01-02,2\n")]);
    let (schema, _) = place.succeed("schema 1.csv 2.csv");
    assert!(schema.contains("Int64") && schema.contains("Date32"), "{schema}");
}

#[test]
fn a_quoted_null_is_a_text() {
    let place = Place::new(&[("in.csv", "a,b\n1,x\n\"\",y\n")]);
    let (rows, _) = place.succeed("convert in.csv -o -");
    assert_eq!(rows, "a,b\n1,x\n\"\",y\n");
}

#[test]
fn fields_that_are_no_columns_are_errors_unless_they_are_to_be_left_out() {
    let place = Place::new(&[
        ("1.csv", "id\n1\n"),
        ("2.csv", "id,more\n2,3\n"),
        ("log", "a=1\na=2 b=3\n"),
        ("a.json", &schema_file("a", "Int64")),
        ("id.json", &schema_file("id", "Int64")),
    ]);
    for line in ["convert 1.csv 2.csv -o out", "convert 2.csv --schema id.json -o out"] {
        assert_says(&place.fail(line, 1), &["2.csv, line 1", "`more`", "--ignore-extra", "--select"]);
    }
    for line in [
        "convert log --from logfmt --infer-rows 1 -o out",
        "convert log --from logfmt --schema a.json -o out",
    ] {
        assert_says(&place.fail(line, 1), &["log, line 2", "`b`"]);
    }
    for flags in ["--ignore-extra", "--select id"] {
        let (rows, _) = place.succeed(&format!("convert 1.csv 2.csv {flags} -o -"));
        assert_eq!(rows, "id\n1\n2\n");
    }
    let (rows, _) = place.succeed("convert log --from logfmt --schema a.json --ignore-extra -o -");
    assert_eq!(rows, "a\n1\n2\n");
}

#[test]
fn numbers_of_json_keep_their_digits() {
    for (lines, expected) in [
        ("{\"n\":1}\n{\"n\":\"x\"}\n{\"n\":true}\n", "{\"n\":\"1\"}\n{\"n\":\"x\"}\n{\"n\":\"true\"}\n"),
        ("{\"n\":18446744073709551615}\n{\"n\":-1}\n", "{\"n\":18446744073709551615}\n{\"n\":-1}\n"),
        ("{\"n\":9007199254740993}\n{\"n\":1.5}\n", "{\"n\":\"9007199254740993\"}\n{\"n\":\"1.5\"}\n"),
    ] {
        let place = Place::new(&[("in.jsonl", lines)]);
        assert_eq!(place.succeed("convert in.jsonl --to jsonl -o -").0, expected);
    }
}
