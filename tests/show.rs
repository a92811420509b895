//! `gristmill show` on committed outputs.
#![allow(clippy::unwrap_used, reason = "clippy knows tests, but not the functions that they share")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use gristmill::Result;
use gristmill::cli::show::{ShowOptions, run};
use gristmill::io::commit::{Existing, PartWriter, Shape, Target};
use parquet::arrow::ArrowWriter;
use serde_json::json;

fn show(output: impl Into<PathBuf>, rows: usize) -> Result<String> {
    let mut printed = Vec::new();
    run(&ShowOptions { output: output.into(), rows }, &mut printed)?;
    Ok(String::from_utf8(printed).unwrap())
}

/// Commits a directory of one part for each number of rows.
fn commit(path: &Path, extension: &str, parts: &[u64], write: impl Fn(&mut PartWriter, u64)) {
    let attempt = Target::new(path, Shape::Directory, Existing::Refuse).check(&[]).unwrap().begin().unwrap();
    let entries = parts.iter().enumerate().map(|(part, rows)| {
        let mut writer = attempt.create_part(&format!("part-{part:05}.{extension}")).unwrap();
        write(&mut writer, *rows);
        writer.finish(*rows).unwrap()
    });
    let entries = entries.collect();
    attempt.commit(json!(null), json!(null), entries).unwrap();
}

fn batch(rows: u64) -> RecordBatch {
    let words = (0..rows).map(|row| (row != 1).then(|| format!("word {row}")));
    let counts = (0..rows).map(|row| 10i64.pow(row as u32));
    let columns: [(&str, ArrayRef); 3] = [
        ("word", Arc::new(words.collect::<StringArray>())),
        ("count", Arc::new(counts.collect::<Int64Array>())),
        ("share", Arc::new((0..rows).map(|row| Some(row as f64 / 4.0)).collect::<Float64Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn write_parquet(out: &mut (impl Write + Send), rows: u64) {
    let batch = batch(rows);
    let mut writer = ArrowWriter::try_new(out, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_parquet_output_is_shown_over_its_parts_up_to_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    commit(&path, "parquet", &[2, 0, 3, 4], write_parquet);
    let expected = "\
| word   | count | share |
|--------|-------|-------|
| word 0 |     1 |   0.0 |
| NULL   |    10 |  0.25 |
| word 0 |     1 |   0.0 |
3 of 9 rows
";
    assert_eq!(show(&path, 3).unwrap(), expected);
    assert!(show(&path, 20).unwrap().ends_with("9 of 9 rows\n"));
    assert!(show(&path, 0).unwrap().starts_with("| word | count | share |\n"));
    let part = show(path.join("part-00003.parquet"), 1).unwrap();
    assert!(part.ends_with("1 of 4 rows\n"), "{part}");
}

#[test]
fn a_csv_output_is_shown_with_the_rows_of_its_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    commit(&path, "csv", &[1, 2], |part, rows| {
        writeln!(part, "name,n").unwrap();
        (0..rows).for_each(|row| writeln!(part, "\"a \"\"b\"\"\nc\",{row}").unwrap());
    });
    let expected = "\
| name     | n |
|----------|---|
| a \"b\"\\nc | 0 |
| a \"b\"\\nc | 0 |
2 of 3 rows
";
    assert_eq!(show(&path, 2).unwrap(), expected);
}

#[test]
fn an_output_without_rows_or_parts_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    commit(&dir.path().join("rows"), "parquet", &[0], write_parquet);
    commit(&dir.path().join("parts"), "parquet", &[], write_parquet);
    assert!(show(dir.path().join("rows"), 20).unwrap().ends_with("0 of 0 rows\n"));
    assert_eq!(show(dir.path().join("parts"), 20).unwrap().lines().last(), Some("0 of 0 rows"));
}

#[test]
fn what_is_no_output_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("foreign")).unwrap();
    std::fs::write(at("noise.bin"), "noise").unwrap();
    let mut parquet = Vec::new();
    write_parquet(&mut parquet, 3);
    std::fs::write(at("cut.parquet"), &parquet[..parquet.len() - 9]).unwrap();
    for name in ["foreign", "noise.bin", "cut.parquet", "missing"] {
        let error = show(at(name), 20).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}
