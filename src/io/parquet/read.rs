//! Parquet files back as batches, for people to look at and for tests.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::{Error, ErrorKind, Place, Result};

/// The rows of a batch that is read.
pub(super) const BATCH_ROWS: usize = 8192;

/// An error of the parquet crate or of Arrow about a file.
pub(super) fn damaged(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Input, format!("cannot read Parquet: {error}")).because(error).at(Place::file(path))
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(|error| Error::io(ErrorKind::Input, "open", path, error))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(path, error))
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
    let batches = builder.build().map_err(|error| damaged(path, error))?;
    Ok(ParquetBatches { batches, path: path.to_owned() })
}

/// The batches of a Parquet file, in order; see [`read_parquet`].
pub struct ParquetBatches {
    batches: ParquetRecordBatchReader,
    path: PathBuf,
}

impl Iterator for ParquetBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.batches.next()?.map_err(|error| damaged(&self.path, error)))
    }
}
