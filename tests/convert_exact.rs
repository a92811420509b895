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
fn columns_of_parquet_files_are_converted_only_if_no_value_changes() {
    let place = Place::new(&[("int.json", &schema_file("n", "Int64"))]);
    parquet(&place, "a.parquet", "n", vec![1i64, 2]);
    parquet(&place, "b.parquet", "n", vec![3i32]);
    parquet(&place, "c.parquet", "n", vec![4.0f64]);
    parquet(&place, "d.parquet", "n", vec![5.0f64, 1.5]);
    parquet(&place, "e.parquet", "n", vec![Text::new("7"), Text::new("007")]);
    let (rows, _) = place.succeed("convert a.parquet b.parquet c.parquet --to jsonl -o -");
    assert_eq!(rows, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n");
    let told = place.fail("convert a.parquet d.parquet -o out", 1);
    assert_says(&told, &["d.parquet", "`n`", "Float64", "Int64", "not be the same"]);
    for wrong in ["d.parquet --schema int.json", "e.parquet --schema int.json"] {
        assert_says(&place.fail(&format!("convert {wrong} -o out"), 1), &["`n`"]);
    }
}

#[test]
fn a_parquet_file_with_other_columns_is_no_bad_record() {
    let place = Place::new(&[("int.json", &schema_file("n", "Int64"))]);
    parquet(&place, "a.parquet", "n", vec![Text::new("1"), Text::new("x"), Text::new("3")]);
    let told = place.fail("convert a.parquet --schema int.json -o out --on-error skip", 2);
    assert_says(&told, &["Parquet", "--on-error"]);
}

#[test]
fn a_column_that_only_some_parquet_files_have_is_not_left_out() {
    let place = Place::new(&[("n.json", &schema_file("n", "Int64"))]);
    parquet(&place, "a.parquet", "n", vec![1i64]);
    let two = Context::new().unwrap().from_vec(vec![(2i64, 3i64)]).columns(["n", "m"]);
    two.write_parquet(place.at("b.parquet"), ParquetOptions::default()).unwrap();
    let told = place.fail("convert a.parquet b.parquet -o out", 1);
    assert_says(&told, &["b.parquet", "`m`", "a.parquet", "--schema"]);
    let (rows, _) = place.succeed("convert a.parquet b.parquet --schema n.json --to jsonl -o -");
    assert_eq!(rows, "{\"n\":1}\n{\"n\":2}\n");
}

#[test]
fn a_column_is_null_where_one_of_the_parquet_files_may_be() {
    let place = Place::new(&[]);
    parquet(&place, "a.parquet", "n", vec![1i64]);
    parquet(&place, "b.parquet", "n", vec![None, Some(2i64)]);
    let (rows, _) = place.succeed("convert a.parquet b.parquet --to jsonl -o -");
    assert_eq!(rows, "{\"n\":1}\n{}\n{\"n\":2}\n");
}

#[test]
fn a_time_that_is_finer_than_its_column_is_an_error() {
    let text = "t\n2026-01-01T00:00:00.123Z\n2026-01-01T00:00:00.1234Z\n";
    let place = Place::new(&[("in.csv", text), ("t.json", &schema_file("t", "Timestamp(ms, \\\"UTC\\\")"))]);
    let told = place.fail("convert in.csv --schema t.json -o out", 1);
    assert_says(&told, &["in.csv, line 3", "`t`", "00.1234Z", "finer"]);
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
fn the_only_column_of_csv_may_be_one_that_could_be_null() {
    let place = Place::new(&[("in.csv", "a,b\n1,2\n3,\n")]);
    assert_eq!(place.succeed("convert in.csv --select a -o -").0, "a\n1\n3\n");
    let told = place.fail("convert in.csv --select b -o out.csv", 1);
    assert_says(&told, &["`b`", "--write-null"]);
    assert_eq!(place.succeed("convert in.csv --select b --write-null NULL -o -").0, "b\n2\nNULL\n");
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

#[test]
fn columns_of_directories_are_noted() {
    let place = Place::new(&[("in.csv", "id,day\n1,2026-01-01\n")]);
    place.succeed("convert in.csv -o days --partition-by day");
    let (_, told) = place.succeed("convert days --from parquet -o out");
    assert!(told.contains("`day`") && told.contains("day=2026-01-01"), "{told}");
}

#[test]
fn arguments_without_an_effect_are_errors() {
    let place = Place::new(&[("in.csv", "a,b\n1,2\n")]);
    for (flags, expected) in [
        ("-o out --max-errors 5", "--on-error"),
        ("-o out --append-id x", "--mode append-once"),
        ("-o out --partition-by a --partition a=1", "--mode partitions"),
        ("-o out --on-error reject=./out", "both"),
        ("-o out --pattern x", "regex"),
        ("-o out --year 2020", "syslog"),
        ("-o out --from jsonl --no-header", "csv"),
        ("-o out.tsv", ".tsv"),
        ("-o out.csv.xz", ".xz"),
        ("-o out.csv.bz2 --to csv", ".bz2"),
    ] {
        assert_says(&place.fail(&format!("convert in.csv {flags}"), 2), &[expected]);
    }
}

#[test]
fn advice_about_types_is_given_for_records_only() {
    let place =
        Place::new(&[("a.csv", "a,b\n1,2\n3\n"), ("b.csv", "a,b\n1,2\n"), ("c.csv", "a,b,c\n1,2,3\n")]);
    let told = place.fail("convert a.csv -o out", 1);
    assert_says(&told, &["a.csv, line 3", "--on-error", "--infer-rows"]);
    let told = place.fail("convert b.csv c.csv -o out", 1);
    assert!(told.contains("c.csv") && !told.contains("--infer-rows"), "{told}");
}

#[test]
fn values_of_json_fit_their_columns_exactly() {
    let place = Place::new(&[]);
    let read = |data_type: &str, value: &str| {
        std::fs::write(place.at("t.json"), schema_file("v", data_type)).unwrap();
        std::fs::write(place.at("in.jsonl"), format!("{{\"v\":{value}}}\n")).unwrap();
        let output = place.run("convert in.jsonl --schema t.json --to jsonl -o -");
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    for (data_type, value, expected) in [
        ("Int64", "1e3", "1000"),
        ("Int64", "9007199254740993.0", "9007199254740993"),
        ("Int64", "-9223372036854775808.0", "-9223372036854775808"),
        ("UInt64", "18446744073709551615.0", "18446744073709551615"),
        ("List(Int8)", "[1.0, null]", "[1,null]"),
        ("Date32", "\"2026-01-31\"", "\"2026-01-31\""),
        ("Timestamp(ms)", "\"0001-01-01T00:00:00.120000\"", "\"0001-01-01T00:00:00.120\""),
        ("Timestamp(s, \\\"UTC\\\")", "\"2026-01-01T01:00:00+01:00\"", "\"2026-01-01T00:00:00Z\""),
    ] {
        assert_eq!(read(data_type, value), Some(format!("{{\"v\":{expected}}}\n")), "{data_type} {value}");
    }
    for (data_type, value) in [
        ("Int64", "1.5"),
        ("Int8", "127.9"),
        ("Int8", "128.0"),
        ("UInt8", "-0.5"),
        ("List(Int64)", "[1.5]"),
        ("Date32", "\"2026-01-31T10:00:00\""),
        ("Timestamp(ms)", "\"2026-01-31T10:00:00.1234\""),
        ("Timestamp(ms)", "\"2026-01-31T10:00:00+02:00\""),
    ] {
        assert_eq!(read(data_type, value), None, "{data_type} {value}");
    }
}

#[test]
fn a_fraction_that_the_sample_did_not_show_is_an_error() {
    let place = Place::new(&[("in.jsonl", "{\"n\":1}\n{\"n\":2.5}\n")]);
    let told = place.fail("convert in.jsonl --infer-rows 1 -o out", 1);
    assert_says(&told, &["in.jsonl, line 2", "`n`", "--infer-rows"]);
}

#[test]
fn times_with_a_zone_do_not_become_times_without_one() {
    let place = Place::new(&[
        ("in.csv", "t\n2026-01-01 10:00:00\n2026-01-01T10:00:00+02:00\n"),
        ("zone.csv", "t\n2026-01-01T10:00:00+02:00\n"),
    ]);
    let told = place.fail("convert in.csv --infer-rows 1 -o out", 1);
    assert_says(&told, &["in.csv, line 3", "`t`", "zone"]);
    place.succeed("convert in.csv --infer-rows 1 --on-error skip -o a.parquet");
    place.succeed("convert zone.csv -o b.parquet");
    let told = place.fail("convert a.parquet b.parquet -o out", 1);
    assert_says(&told, &["b.parquet", "a.parquet", "`t`", "zone"]);
}
