//! TPC-H at a small scale factor: CSV to Parquet and back, and the answers beside those of `DuckDB`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::consumers::{program, script};
use crate::{MAP_REDUCE, printed, run, run_with};

const TABLES: [&str; 3] = ["lineitem", "orders", "customer"];

/// The tables as CSV, and as Parquet.
fn tables(dir: &Path) -> (PathBuf, PathBuf) {
    let (csv, parquet) = (dir.join("csv"), dir.join("parquet"));
    let mut generate = Command::new(program("tpchgen-cli"));
    generate.args(["csv", "--scale-factor", "0.01", "--quiet", "--tables", &TABLES.join(",")]);
    let status = generate.arg("--output-dir").arg(&csv).status().unwrap();
    assert!(status.success(), "{status}");
    let stored = run("tpch", &[Path::new("parquet"), &csv, &parquet]);
    assert_eq!(printed(&stored), "lineitem: 60175 rows\norders: 15000 rows\ncustomer: 1500 rows\n");
    (csv, parquet)
}

/// The generator quotes some texts that need no quotes, so that the lines may differ. The values are equal to the byte.
#[test]
fn tpch_tables_come_back_from_parquet_as_they_were() {
    let temp = tempfile::tempdir().unwrap();
    let (csv, parquet) = tables(temp.path());
    let back = temp.path().join("back");
    printed(&run("tpch", &[Path::new("csv"), &parquet, &back]));
    for table in TABLES {
        let rows = |dir: &Path| -> Vec<csv::ByteRecord> {
            let path = dir.join(table).with_extension("csv");
            let reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
            reader.into_byte_records().map(Result::unwrap).collect()
        };
        let (before, after) = (rows(&csv), rows(&back));
        assert!(before.len() > 1000 && before == after, "{table}");
    }
}

#[test]
fn tpch_queries_give_the_answers_of_sql() {
    let temp = tempfile::tempdir().unwrap();
    let (csv, parquet) = tables(temp.path());
    for query in ["q1", "q3", "q6"] {
        let answer = temp.path().join(query).with_extension("csv");
        printed(&run("tpch", &[Path::new(query), &parquet, &answer]));
        let other = temp.path().join(query).with_extension("mapreduce.csv");
        printed(&run_with("tpch", &[Path::new(query), &parquet, &other], &[MAP_REDUCE]));
        let [answer, other] = [answer, other].map(|path| std::fs::read_to_string(path).unwrap());
        assert_eq!(answer, other, "{query} depends on the execution");
    }
    let check =
        Command::new(program("python")).arg(script("tpch.py")).arg(&csv).arg(temp.path()).output().unwrap();
    let rows = "q1: 4 rows as expected\nq3: 10 rows as expected\nq6: 1 rows as expected\n";
    assert_eq!(printed(&check), rows);
    let answer = temp.path().join("q3.parquet");
    printed(&run("tpch", &[Path::new("q3"), &parquet, &answer]));
    let batches =
        ParquetRecordBatchReaderBuilder::try_new(File::open(answer).unwrap()).unwrap().build().unwrap();
    assert_eq!(batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 10);
}

#[test]
fn tpch_without_arguments_tells_its_usage() {
    let output = run("tpch", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.starts_with(b"usage: tpch "));
}
