//! What is in the files that a contestant has written: rows, and a sum over all of them that does not depend on their order, nor on
//! whose types they have.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::job::Job;
use crate::Outcome;

/// The contents of files.
pub struct Contents {
    job: Job,
    rows: u64,
    /// The sum of a hash of each row.
    sum: u128,
    /// The last number of a row, where rows have an order.
    last: Option<i64>,
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, {:x}", self.rows, self.sum)
    }
}

impl Contents {
    /// The contents of all files below a directory, in the order of their names.
    pub fn of(job: Job, path: &Path) -> Outcome<Contents> {
        let mut contents = Contents { job, rows: 0, sum: 0, last: None };
        contents.add_files(path)?;
        Ok(contents)
    }

    fn add_files(&mut self, path: &Path) -> Outcome<()> {
        if path.is_dir() {
            let mut paths: Vec<PathBuf> =
                fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Outcome<_>>()?;
            paths.sort();
            return paths.iter().try_for_each(|path| self.add_files(path));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".parquet") {
            let batches = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()?;
            batches.into_iter().try_for_each(|batch| self.add(&batch?))
        } else if name.ends_with(".csv") {
            self.add_words(csv::Reader::from_path(path)?)
        } else if name.starts_with("part-r-") {
            // Hadoop's: no header, and a quote is a quote.
            let mut format = csv::ReaderBuilder::new();
            self.add_words(format.delimiter(b'\t').has_headers(false).quoting(false).from_path(path)?)
        } else {
            Ok(())
        }
    }

    /// Words and counts, of those who write text.
    fn add_words(&mut self, mut reader: csv::Reader<File>) -> Outcome<()> {
        for record in reader.deserialize() {
            let (word, count): (String, i64) = record?;
            let hash = xxh3_64_with_seed(word.as_bytes(), 0);
            self.rows += 1;
            self.sum += u128::from(xxh3_64_with_seed(&count.to_le_bytes(), hash));
        }
        Ok(())
    }

    fn add(&mut self, batch: &RecordBatch) -> Outcome<()> {
        self.rows += batch.num_rows() as u64;
        // The hash of each row: that of a value is the seed of the next one's.
        let mut hashes = vec![0; batch.num_rows()];
        for column in batch.columns() {
            self.hash(column, &mut hashes)?;
        }
        self.sum += hashes.into_iter().map(u128::from).sum::<u128>();
        if self.job.sorts() {
            for number in batch.column(0).as_primitive::<Int64Type>().values() {
                if self.last.is_some_and(|last| last > *number) {
                    return Err(format!("row {number} stands behind {:?}", self.last).into());
                }
                self.last = Some(*number);
            }
        }
        Ok(())
    }

    fn hash(&self, column: &ArrayRef, hashes: &mut [u64]) -> Outcome<()> {
        let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
        match column.data_type() {
            DataType::Timestamp(_, _) => add_numbers(&cast(column, &millis)?, hashes)?,
            DataType::Date32 => add_numbers(&cast(column, &DataType::Int32)?, hashes)?,
            other if other.is_numeric() && self.job.in_cents() => {
                let values = cast(column, &DataType::Float64)?;
                let cents = |value: f64| ((value * 100.0).round() as i64).to_le_bytes();
                let values = values.as_primitive::<Float64Type>().iter();
                add(values.map(|value| value.map(cents)), hashes);
            }
            DataType::Float64 => {
                let values = column.as_primitive::<Float64Type>().iter();
                add(values.map(|value| value.map(f64::to_le_bytes)), hashes);
            }
            other if other.is_integer() => add_numbers(column, hashes)?,
            _ => {
                let texts = cast(column, &DataType::LargeUtf8)?;
                add(texts.as_string::<i64>().iter(), hashes);
            }
        }
        Ok(())
    }
}

fn add_numbers(column: &dyn Array, hashes: &mut [u64]) -> Outcome<()> {
    let numbers = cast(column, &DataType::Int64)?;
    if numbers.null_count() > column.null_count() {
        return Err("a number does not fit 64 bits".into());
    }
    add(numbers.as_primitive::<Int64Type>().iter().map(|n| n.map(i64::to_le_bytes)), hashes);
    Ok(())
}

/// Adds the values of a column to the hashes of their rows.
fn add<V: AsRef<[u8]>>(values: impl Iterator<Item = Option<V>>, hashes: &mut [u64]) {
    for (hash, value) in hashes.iter_mut().zip(values) {
        *hash = value.map_or(hash.wrapping_add(1), |value| xxh3_64_with_seed(value.as_ref(), *hash));
    }
}
