//! Parquet: row groups are encoded wherever there is a core to spare, and appended to their file in order.
//!
//! A file is the work of many: each [`RowGroupEncoder`] encodes and compresses one row group in the thread that calls
//! it and knows nothing of the file. A [`ParquetFileWriter`] only copies what they made, so that one thread keeps up
//! with many encoders. The bytes of a file depend on schema, rows and options only: not on time, machine or threads.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, InMemoryPageStoreFactory,
    PageStoreFactory, compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use crate::error::{Error, ErrorKind, Result};

mod bound;
mod filter;
mod literal;
mod options;
mod packed;
mod read;
mod read_options;
mod seconds;
mod stored;

pub use filter::{Col, Filter, Literal, col};
pub use options::{Compression, ParquetOptions, SortedColumn, Statistics};
use packed::PackedRowGroup;
pub use read::{ParquetBatches, read_parquet, read_parquet_schema};
pub use read_options::ParquetReadOptions;
use seconds::{stored_column, stored_schema};
pub(crate) use stored::{StoredPart, stored_parts};

/// An error of the parquet crate while it writes.
fn failed(doing: &str, error: ParquetError) -> Error {
    Error::new(ErrorKind::Output, format!("cannot {doing} as Parquet: {error}")).because(error)
}

/// A writer of a file with a schema; what both halves of the work need to agree on.
fn file_writer<W: Write + Send>(
    to: W,
    schema: &Schema,
    options: &ParquetOptions,
) -> Result<SerializedFileWriter<W>> {
    let schema = &stored_schema(schema);
    let columns =
        ArrowSchemaConverter::new().convert(schema).map_err(|error| failed("store the schema", error))?;
    let mut properties = options.properties(&columns)?;
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    SerializedFileWriter::new(to, columns.root_schema_ptr(), Arc::new(properties))
        .map_err(|error| failed("begin a file", error))
}

/// Encodes one row group, in the thread that calls it.
///
/// # Examples
///
/// ```
/// use gristmill::io::parquet::{ParquetFileWriter, ParquetOptions, RowGroupEncoder};
/// use gristmill::record::{schema, to_batch};
///
/// let options = ParquetOptions::default();
/// let mut encoder = RowGroupEncoder::new(&schema::<u64>(), &options)?;
/// encoder.write(&to_batch(&[1_u64, 2, 3])?)?;
/// let row_group = encoder.finish()?;
///
/// let mut file = ParquetFileWriter::new(Vec::new(), &schema::<u64>(), &options)?;
/// file.append(row_group)?;
/// assert_eq!(file.rows(), 3);
/// assert!(file.finish()?.starts_with(b"PAR1"));
/// # Ok::<(), gristmill::Error>(())
/// ```
pub struct RowGroupEncoder {
    schema: SchemaRef,
    stored: SchemaRef,
    /// One for each leaf: a struct has as many as it has fields.
    leaves: Vec<ArrowColumnWriter>,
    rows: usize,
    capacity: usize,
    capacity_bytes: usize,
}

impl RowGroupEncoder {
    /// An encoder of a row group without rows.
    ///
    /// # Errors
    ///
    /// If an option is out of range, or Parquet has no type for a column.
    pub fn new(schema: &SchemaRef, options: &ParquetOptions) -> Result<RowGroupEncoder> {
        RowGroupEncoder::keeping(schema, options, Arc::new(InMemoryPageStoreFactory))
    }

    /// An encoder of a row group without rows, which keeps encoded pages as `pages` says, until they are appended to a file.
    ///
    /// # Errors
    ///
    /// If an option is out of range, or Parquet has no type for a column.
    pub fn keeping(
        schema: &SchemaRef,
        options: &ParquetOptions,
        pages: Arc<dyn PageStoreFactory>,
    ) -> Result<RowGroupEncoder> {
        let file = file_writer(std::io::sink(), schema, options)?;
        let stored = stored_schema(schema);
        let leaves = ArrowRowGroupWriterFactory::new(&file, stored.clone())
            .with_page_store_factory(pages)
            .create_column_writers(0) // the number of the row group matters to encrypted files only
            .map_err(|error| failed("store the schema", error))?;
        let (capacity, capacity_bytes) = (options.row_group_rows, options.row_group_bytes);
        Ok(RowGroupEncoder { schema: schema.clone(), stored, leaves, rows: 0, capacity, capacity_bytes })
    }

    /// Adds the rows of a batch.
    ///
    /// Nothing stops it at the number of rows that the options ask for: look at [`RowGroupEncoder::room`] before.
    ///
    /// # Errors
    ///
    /// If the batch does not have the schema, or a value cannot be encoded.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if !same_columns(&self.schema, batch.schema_ref()) {
            return Err(Error::new(ErrorKind::Internal, "a batch has another schema than its Parquet file"));
        }
        let mut leaves = self.leaves.iter_mut();
        for (field, column) in self.stored.fields().iter().zip(batch.columns()) {
            stored_column(column, field)
                .map_err(ParquetError::from)
                .and_then(|column| write_column(field, &column, &mut leaves))
                .map_err(|error| failed(&format!("store column `{}`", field.name()), error))?;
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    /// The number of rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many rows are wanting to the size of a row group that the options ask for; none if it has its bytes already.
    pub fn room(&self) -> usize {
        if self.capacity_bytes < usize::MAX && self.encoded_bytes() >= self.capacity_bytes {
            return 0;
        }
        self.capacity.saturating_sub(self.rows)
    }

    /// The bytes that the row group will have in its file, about.
    fn encoded_bytes(&self) -> usize {
        self.leaves.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum()
    }

    /// The bytes that the encoder holds, about.
    pub fn memory_bytes(&self) -> usize {
        self.leaves.iter().map(ArrowColumnWriter::memory_size).sum()
    }

    /// The encoded row group.
    ///
    /// # Errors
    ///
    /// If the last pages cannot be encoded.
    pub fn finish(self) -> Result<EncodedRowGroup> {
        let chunks = self.leaves.into_iter().map(ArrowColumnWriter::close).collect::<Result<_, _>>();
        let chunks = chunks.map_err(|error| failed("store a row group", error))?;
        Ok(EncodedRowGroup { row_group: RowGroup::Encoded(chunks), rows: self.rows })
    }
}

/// Encodes a column with the next of the leaves, as many as it has.
fn write_column<'a>(
    field: &Field,
    column: &ArrayRef,
    leaves: &mut impl Iterator<Item = &'a mut ArrowColumnWriter>,
) -> Result<(), ParquetError> {
    // Levels first: of two zipped iterators, the first gives away an item even if the second has come to its end.
    compute_leaves(field, column)?.iter().zip(leaves).try_for_each(|(levels, leaf)| leaf.write(levels))
}

/// Whether two schemas have the same columns, whatever their metadata say.
fn same_columns(a: &SchemaRef, b: &SchemaRef) -> bool {
    Arc::ptr_eq(a, b) || a.fields() == b.fields()
}

/// A row group that is ready to be appended to a file of its schema.
#[derive(Debug)]
pub struct EncodedRowGroup {
    row_group: RowGroup,
    rows: usize,
}

/// Where its pages are.
#[derive(Debug)]
enum RowGroup {
    /// As they were encoded.
    Encoded(Vec<ArrowColumnChunk>),
    /// In bytes that another process has made.
    Packed(PackedRowGroup),
}

impl EncodedRowGroup {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of bytes it adds to the data of a file.
    pub fn bytes(&self) -> u64 {
        match &self.row_group {
            RowGroup::Encoded(chunks) => chunks.iter().map(|chunk| chunk.close().bytes_written).sum(),
            RowGroup::Packed(packed) => packed.bytes(),
        }
    }
}

/// Writes one file out of encoded row groups.
///
/// A file that is dropped before [`ParquetFileWriter::finish`] is no Parquet file. See [`RowGroupEncoder`] for an
/// example.
pub struct ParquetFileWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    rows: u64,
}

impl<W: Write + Send> ParquetFileWriter<W> {
    /// Begins a file. It knows its schema even if no row group follows.
    ///
    /// # Errors
    ///
    /// If an option is out of range, Parquet has no type for a column, or `to` cannot be written.
    pub fn new(to: W, schema: &SchemaRef, options: &ParquetOptions) -> Result<ParquetFileWriter<W>> {
        Ok(ParquetFileWriter { file: file_writer(to, schema, options)?, rows: 0 })
    }

    /// Appends a row group. One without rows leaves no trace.
    ///
    /// # Errors
    ///
    /// If the row group has another schema, or the file cannot be written.
    pub fn append(&mut self, row_group: EncodedRowGroup) -> Result<()> {
        if row_group.rows == 0 {
            return Ok(());
        }
        let rows = row_group.rows as u64;
        self.append_chunks(row_group).map_err(|error| failed("write a row group", error))?;
        self.rows += rows;
        Ok(())
    }

    fn append_chunks(&mut self, row_group: EncodedRowGroup) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        match row_group.row_group {
            RowGroup::Encoded(chunks) => {
                chunks.into_iter().try_for_each(|chunk| chunk.append_to_row_group(&mut group))?;
            }
            RowGroup::Packed(packed) => packed.append_to(&mut group)?,
        }
        group.close().map(drop)
    }

    /// The number of rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The number of bytes so far.
    pub fn bytes_written(&self) -> u64 {
        self.file.bytes_written() as u64
    }

    /// Ends the file, and gives back what it was written to, flushed.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn finish(self) -> Result<W> {
        let mut to = self.file.into_inner().map_err(|error| failed("end a file", error))?;
        to.flush().map_err(|error| failed("end a file", error.into()))?;
        Ok(to)
    }
}
