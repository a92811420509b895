//! `write_parquet`: a committed directory of Parquet files, or a single one.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::columns::Columns;
use super::parts::{Encoder, Format, Travels, Written, output_of_rows};
use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Result};
use crate::exec::memory::Budget;
use crate::exec::pages::ColumnPages;
use crate::io::parquet::{EncodedRowGroup, ParquetFileWriter, ParquetOptions, RowGroupEncoder};
use crate::io::placement::Placement;
use crate::record::Record;

impl<T: Record> Dataset<T> {
    /// Writes all elements as Parquet and commits them in one step: whoever looks sees what was there before, or all of it.
    ///
    /// A path that ends in `.parquet`, in any case, becomes a single file; any other one a directory of parts
    /// `part-00000.parquet`, … with a `_manifest.json`. One that ends in `.csv` is an error. An existing output is an error unless [`ParquetOptions::existing`] says otherwise.
    /// Where directories cannot be renamed, as in object stores that are mounted, parts have longer names and the manifest that of a generation, and
    /// what other programs see in the meantime is said in [`io::commit`](crate::io::commit#in-place).
    /// The path `-` stands for standard output: rows are printed while the run goes on, so that a run that fails may have printed some.
    ///
    /// With [`ParquetOptions::partition_by`] it becomes a table of partitions, of which
    /// [`some can be replaced`](ParquetOptions::replace_partitions); [`append_once`](ParquetOptions::append_once) adds to what is there.
    ///
    /// # Ordering
    ///
    /// Kept: parts in the order of their names, rows in the order of the dataset.
    ///
    /// # Errors
    ///
    /// See [`Dataset`]. What is wrong with the path is found before any work is done.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("squares");
    /// # let ctx = Context::new()?;
    /// let squares = ctx.range(0..1000).map(|n| (n, n * n));
    /// let written = squares.columns(["n", "square"]).write_parquet(&path, ParquetOptions::default())?;
    /// assert_eq!((written.rows, written.parts), (1000, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn write_parquet(&self, path: impl AsRef<Path>, options: ParquetOptions) -> Result<Written> {
        output_of_rows(self, CallSite::here("write_parquet"), options, path.as_ref(), None).run()
    }

    /// The lazy form of [`Dataset::write_parquet`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_parquet(&self, path: impl AsRef<Path>, options: ParquetOptions) -> Output<Written> {
        output_of_rows(self, CallSite::here("to_parquet"), options, path.as_ref(), None)
    }
}

impl<T: Record> Columns<T> {
    /// See [`Dataset::write_parquet`].
    ///
    /// # Errors
    ///
    /// See [`Dataset`].
    #[track_caller]
    pub fn write_parquet(&self, path: impl AsRef<Path>, options: ParquetOptions) -> Result<Written> {
        let call = CallSite::here("write_parquet");
        output_of_rows(self.dataset(), call, options, path.as_ref(), Some(self.names())).run()
    }

    /// The lazy form of [`Columns::write_parquet`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_parquet(&self, path: impl AsRef<Path>, options: ParquetOptions) -> Output<Written> {
        output_of_rows(
            self.dataset(),
            CallSite::here("to_parquet"),
            options,
            path.as_ref(),
            Some(self.names()),
        )
    }
}

impl Format for ParquetOptions {
    type Piece = EncodedRowGroup;
    type Encoder = RowGroups;
    type File<W: Write + Send + 'static> = ParquetFileWriter<W>;

    fn extension(&self) -> &'static str {
        "parquet"
    }

    fn placement(&self) -> &Placement {
        &self.placement
    }

    fn encoder(&self, schema: &SchemaRef, budget: &Budget) -> Result<RowGroups> {
        let pages = Arc::new(ColumnPages::new(budget));
        let open = RowGroupEncoder::keeping(schema, self, pages.clone())?;
        Ok(RowGroups { schema: schema.clone(), options: self.clone(), pages, done: Vec::new(), open })
    }

    fn begin<W: Write + Send + 'static>(&self, schema: &SchemaRef, writer: W) -> Result<Self::File<W>> {
        ParquetFileWriter::new(writer, schema, self)
    }

    fn piece_bytes(piece: &EncodedRowGroup) -> u64 {
        piece.bytes()
    }

    fn append<W: Write + Send + 'static>(file: &mut Self::File<W>, piece: EncodedRowGroup) -> Result<u64> {
        file.append(piece)?;
        Ok(file.bytes_written())
    }

    fn end<W: Write + Send + 'static>(file: Self::File<W>) -> Result<(W, u64)> {
        let rows = file.rows();
        Ok((file.finish()?, rows))
    }
}

impl Travels<ParquetOptions> for EncodedRowGroup {
    fn pack(
        self,
        format: &ParquetOptions,
        schema: &SchemaRef,
        take: &mut dyn FnMut(Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        take(self.into_file(schema, format)?)
    }

    fn unpack(bytes: Vec<u8>, _budget: &Budget) -> Result<EncodedRowGroup> {
        EncodedRowGroup::of_file(bytes)
    }
}

/// Encodes the rows of a task as one row group, or as several if there are many.
pub struct RowGroups {
    schema: SchemaRef,
    options: ParquetOptions,
    pages: Arc<ColumnPages>,
    done: Vec<EncodedRowGroup>,
    open: RowGroupEncoder,
}

impl Encoder<EncodedRowGroup> for RowGroups {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            let rows = self.open.room().clamp(1, batch.num_rows() - start);
            self.open.write(&batch.slice(start, rows))?;
            start += rows;
            if self.open.room() == 0 {
                let next = RowGroupEncoder::keeping(&self.schema, &self.options, self.pages.clone())?;
                self.done.push(std::mem::replace(&mut self.open, next).finish()?);
            }
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.open.memory_bytes()
    }

    fn finish(mut self) -> Result<Vec<EncodedRowGroup>> {
        if self.open.rows() > 0 {
            self.done.push(self.open.finish()?);
        }
        Ok(self.done)
    }
}
