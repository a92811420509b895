//! `write_csv`: a committed directory of CSV files, or a single one.

use std::io::Write;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::columns::Columns;
use super::line_parts::{EncodeLines, LineEncoder, LineFile, Lines};
use super::parts::{Format, Written, output_of_rows};
use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Result};
use crate::exec::memory::Budget;
use crate::io::csv::{CsvEncoder, CsvOptions};
use crate::io::placement::Placement;
use crate::io::text_compression::TextCompression;
use crate::record::Record;

impl<T: Record> Dataset<T> {
    /// Writes all elements as CSV, quoted as RFC 4180 says, and commits them in one step.
    ///
    /// A path that ends in `.csv`, in any case, becomes a single file; any other one a directory of parts `part-00000.csv`, …,
    /// each with a header, and a `_manifest.json`. One that ends in `.parquet` is an error. An existing output is an error unless [`CsvOptions::existing`] says otherwise.
    /// With [`CsvOptions::compression`] all names end in `.csv.gz` or `.csv.zst`.
    /// Where directories cannot be renamed, as in object stores that are mounted, parts have longer names and the manifest that of a generation, and
    /// what other programs see in the meantime is said in [`io::commit`](crate::io::commit#in-place).
    /// The path `-` stands for standard output: rows are printed while the run goes on, so that a run that fails may have printed some.
    ///
    /// With [`CsvOptions::partition_by`] it becomes a table of partitions, of which
    /// [`some can be replaced`](CsvOptions::replace_partitions); [`append_once`](CsvOptions::append_once) adds to what is there.
    ///
    /// # Ordering
    ///
    /// Kept: parts in the order of their names, rows in the order of the dataset.
    ///
    /// # Errors
    ///
    /// See [`Dataset`]. A nested column, which CSV cannot hold, and what is wrong with the path are found before any work is done.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("pairs.csv");
    /// # let ctx = Context::new()?;
    /// let pairs = ctx.from_vec(vec![(1i64, "a \"b\"".to_string()), (2, "c".to_string())]);
    /// pairs.columns(["id", "text"]).write_csv(&path, CsvOptions::default())?;
    /// assert_eq!(std::fs::read_to_string(&path)?, "id,text\n1,\"a \"\"b\"\"\"\n2,c\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn write_csv(&self, path: impl AsRef<Path>, options: CsvOptions) -> Result<Written> {
        output_of_rows(self, CallSite::here("write_csv"), options, path.as_ref(), None).run()
    }

    /// The lazy form of [`Dataset::write_csv`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_csv(&self, path: impl AsRef<Path>, options: CsvOptions) -> Output<Written> {
        output_of_rows(self, CallSite::here("to_csv"), options, path.as_ref(), None)
    }
}

impl<T: Record> Columns<T> {
    /// See [`Dataset::write_csv`].
    ///
    /// # Errors
    ///
    /// See [`Dataset`].
    #[track_caller]
    pub fn write_csv(&self, path: impl AsRef<Path>, options: CsvOptions) -> Result<Written> {
        output_of_rows(
            self.dataset(),
            CallSite::here("write_csv"),
            options,
            path.as_ref(),
            Some(self.names()),
        )
        .run()
    }

    /// The lazy form of [`Columns::write_csv`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_csv(&self, path: impl AsRef<Path>, options: CsvOptions) -> Output<Written> {
        output_of_rows(self.dataset(), CallSite::here("to_csv"), options, path.as_ref(), Some(self.names()))
    }
}

impl Format for CsvOptions {
    type Piece = Lines;
    type Encoder = LineEncoder<CsvEncoder>;
    type File<W: Write + Send + 'static> = LineFile<W>;

    fn extension(&self) -> &'static str {
        match self.compressed_with() {
            TextCompression::None => "csv",
            TextCompression::Gzip(_) => "csv.gz",
            TextCompression::Zstd(_) => "csv.zst",
        }
    }

    fn placement(&self) -> &Placement {
        &self.placement
    }

    fn encoder(&self, schema: &SchemaRef, budget: &Budget) -> Result<Self::Encoder> {
        Ok(LineEncoder::new(CsvEncoder::new(schema, self)?, self.compressed_with(), budget))
    }

    fn begin<W: Write + Send + 'static>(&self, schema: &SchemaRef, writer: W) -> Result<LineFile<W>> {
        LineFile::begin(writer, CsvEncoder::new(schema, self)?.header(), self.compressed_with())
    }

    fn piece_bytes(piece: &Lines) -> u64 {
        piece.bytes()
    }

    fn append<W: Write + Send + 'static>(file: &mut LineFile<W>, piece: Lines) -> Result<u64> {
        file.append(piece)
    }

    fn end<W: Write + Send + 'static>(file: LineFile<W>) -> Result<(W, u64)> {
        file.end()
    }
}

impl EncodeLines for CsvEncoder {
    fn encode(&self, batch: &RecordBatch, lines: &mut Vec<u8>) -> Result<()> {
        CsvEncoder::encode(self, batch, lines)
    }
}
