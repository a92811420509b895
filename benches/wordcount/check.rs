//! Whether two outputs say the same, whatever their format and order.

use std::fmt;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::Outcome;

/// What an output says, in brief.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// The number of distinct words.
    pub rows: u64,
    /// The number of words.
    pub total: u64,
    /// The sum of a hash of each row.
    pub checksum: u64,
}

impl Sum {
    fn add(&mut self, word: &str, count: u64) {
        let mut hasher = DefaultHasher::new();
        (word, count).hash(&mut hasher);
        self.rows += 1;
        self.total += count;
        self.checksum = self.checksum.wrapping_add(hasher.finish());
    }

    fn add_batch(&mut self, batch: &RecordBatch) -> Outcome<()> {
        let column = |name: &str| batch.column_by_name(name).ok_or(format!("no column {name}"));
        let words = cast(column("word")?, &DataType::Utf8)?;
        let counts = cast(column("count")?, &DataType::UInt64)?;
        for (word, count) in words.as_string::<i32>().iter().zip(counts.as_primitive::<UInt64Type>()) {
            self.add(word.ok_or("a word is null")?, count.ok_or("a count is null")?);
        }
        Ok(())
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.rows, self.total, self.checksum)
    }
}

impl FromStr for Sum {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Outcome<Sum> {
        let numbers: Vec<u64> = text.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [rows, total, checksum] = numbers[..] else { return Err("a sum has three numbers".into()) };
        Ok(Sum { rows, total, checksum })
    }
}

/// Sums up all Parquet and CSV files in a directory.
pub fn read(output: &Path) -> Outcome<Sum> {
    let mut sum = Sum::default();
    for entry in fs::read_dir(output)? {
        let path: PathBuf = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => read_parquet(&path, &mut sum)?,
            Some("csv") => read_csv(&path, &mut sum)?,
            _ => {}
        }
    }
    Ok(sum)
}

fn read_parquet(path: &Path, sum: &mut Sum) -> Outcome<()> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()?;
    reader.into_iter().try_for_each(|batch| sum.add_batch(&batch?))
}

fn read_csv(path: &Path, sum: &mut Sum) -> Outcome<()> {
    let mut reader = csv::Reader::from_path(path)?;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        sum.add(&record[0], record[1].parse()?);
    }
    Ok(())
}
