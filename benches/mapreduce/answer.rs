//! What a run has found, as a set of rows: their number, and a sum of hashes that does not depend on their order.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;

use arrow::row::{RowConverter, SortField};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use xxhash_rust::xxh3::xxh3_64;

use crate::Outcome;

/// A set of rows, in brief.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answer {
    pub rows: u64,
    pub sum: u64,
}

impl Answer {
    /// The lines that a program has printed.
    pub fn of_lines(text: &str) -> Answer {
        let mut answer = Answer::default();
        text.lines().for_each(|line| answer.add(line.as_bytes()));
        answer
    }

    fn add(&mut self, row: &[u8]) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(xxh3_64(row));
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, {:016x}", self.rows, self.sum)
    }
}

/// The answer that another process has printed.
pub fn parse(text: &str) -> Outcome<Answer> {
    let (rows, sum) = text.split_once(" rows, ").ok_or_else(|| format!("{text:?} is no answer"))?;
    Ok(Answer { rows: rows.parse()?, sum: u64::from_str_radix(sum, 16)? })
}

/// The rows of the Parquet files in a directory. Columns of several values are compared with their values in order.
pub fn of_files(dir: &Path) -> Outcome<Answer> {
    let mut answer = Answer::default();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            add_file(&path, &mut answer)?;
        }
    }
    Ok(answer)
}

fn add_file(path: &Path, answer: &mut Answer) -> Outcome<()> {
    let file = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let fields = file.schema().fields().iter().map(|field| SortField::new(field.data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    for batch in file.build()? {
        converter.convert_columns(batch?.columns())?.iter().for_each(|row| answer.add(row.as_ref()));
    }
    Ok(())
}
