//! Parquet files back as batches, for people to look at and for tests.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::{Error, ErrorKind, Place, Result};

/// The rows of a batch that is read.
pub(super) const BATCH_ROWS: usize = 8192;

/// What is wrong with a file, as the parquet crate or Arrow says it.
pub(super) type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The error of a file that cannot be read as Parquet.
pub(super) fn damaged(path: &Path, error: Fault) -> Error {
    Error::new(ErrorKind::Input, format!("cannot read Parquet: {error}")).because(error).at(Place::file(path))
}

/// Calls the parquet crate, which tells of some damage by a panic. Whatever it was called on must not be used again then.
pub(super) fn caught<R, E: Into<Fault>>(call: impl FnOnce() -> Result<R, E>) -> Result<R, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Into::into),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            Err(text.unwrap_or("the data makes no sense").into())
        }
    }
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(|error| Error::io(ErrorKind::Input, "open", path, error))?;
    caught(|| ParquetRecordBatchReaderBuilder::try_new(file)).map_err(|error| damaged(path, error))
}

/// The schema of a Parquet file.
///
/// # Errors
///
/// If the file cannot be read or is damaged.
pub fn read_parquet_schema(path: &Path) -> Result<SchemaRef> {
    Ok(open(path)?.schema().clone())
}

/// The first rows of a Parquet file, at most `limit`; all of them without one.
///
/// # Errors
///
/// If the file cannot be read or is damaged. What is wrong further on in the file comes as an item.
pub fn read_parquet(path: &Path, limit: Option<usize>) -> Result<ParquetBatches> {
    let builder = open(path)?.with_batch_size(BATCH_ROWS);
    let builder = if let Some(limit) = limit { builder.with_limit(limit) } else { builder };
    let batches = caught(|| builder.build()).map_err(|error| damaged(path, error))?;
    Ok(ParquetBatches { batches: Some(batches), path: path.to_owned() })
}

/// The batches of a Parquet file, in order; see [`read_parquet`].
pub struct ParquetBatches {
    /// None after an error.
    batches: Option<ParquetRecordBatchReader>,
    path: PathBuf,
}

impl Iterator for ParquetBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut batches = self.batches.take()?;
        let next = caught(|| batches.next().transpose()).map_err(|error| damaged(&self.path, error));
        if next.is_ok() {
            self.batches = Some(batches);
        }
        next.transpose()
    }
}
