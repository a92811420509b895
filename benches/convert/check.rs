//! What is in the Parquet files that a contestant has written: rows, and a sum over all values that does not depend on
//! their order, nor on whose types they have.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, UInt64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::Outcome;

/// The contents of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    pub rows: u64,
    pub sum: u64,
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, {:016x}", self.rows, self.sum)
    }
}

impl Contents {
    /// The contents of a Parquet file, or of all below a directory.
    pub fn of(path: &Path) -> Outcome<Contents> {
        let mut contents = Contents::default();
        contents.add_files(path)?;
        Ok(contents)
    }

    fn add_files(&mut self, path: &Path) -> Outcome<()> {
        if path.is_dir() {
            return fs::read_dir(path)?.try_for_each(|entry| self.add_files(&entry?.path()));
        }
        if path.extension().is_none_or(|extension| extension != "parquet") {
            return Ok(());
        }
        let batches = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()?;
        batches.into_iter().try_for_each(|batch| self.add(&batch?))
    }

    fn add(&mut self, batch: &RecordBatch) -> Outcome<()> {
        self.rows += batch.num_rows() as u64;
        for (number, column) in (0..).zip(batch.columns()) {
            let values: Vec<u64> = hashes(column, number)?;
            self.sum = values.iter().fold(self.sum, |sum, hash| sum.wrapping_add(*hash));
        }
        Ok(())
    }
}

/// A hash of each value of a column.
fn hashes(column: &ArrayRef, number: u64) -> Outcome<Vec<u64>> {
    let hash = |bytes: Option<&[u8]>| bytes.map_or(0, |bytes| xxh3_64_with_seed(bytes, number));
    let of_number = |bits: Option<u64>| hash(bits.map(u64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice));
    Ok(match column.data_type() {
        DataType::Timestamp(_, _) => {
            let millis = cast(column, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
            let millis = cast(&millis, &DataType::Int64)?;
            millis.as_primitive::<Int64Type>().iter().map(|n| of_number(n.map(i64::cast_unsigned))).collect()
        }
        DataType::Date32 => hashes(&cast(column, &DataType::Int32)?, number)?,
        DataType::Float64 => {
            column.as_primitive::<Float64Type>().iter().map(|n| of_number(n.map(f64::to_bits))).collect()
        }
        other if other.is_integer() => {
            let numbers = cast(column, &DataType::UInt64)?;
            numbers.as_primitive::<UInt64Type>().iter().map(of_number).collect()
        }
        _ => {
            let texts = cast(column, &DataType::LargeUtf8)?;
            texts.as_string::<i64>().iter().map(|text| hash(text.map(str::as_bytes))).collect()
        }
    })
}
