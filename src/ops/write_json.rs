//! `write_json_lines`: a committed directory of files of JSON lines, or a single one.

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
use crate::io::json::{JsonEncoder, JsonOptions};
use crate::io::placement::Placement;
use crate::io::text_compression::TextCompression;
use crate::record::Record;

impl<T: Record> Dataset<T> {
    /// Writes all elements as JSON lines, an object each, and commits them in one step. See [`JsonEncoder`] for how values look.
    ///
    /// A path that ends in `.jsonl`, `.ndjson` or `.json`, in any case, becomes a single file; any other one a directory of parts
    /// `part-00000.jsonl`, … and a `_manifest.json`. An existing output is an error unless [`JsonOptions::existing`] says otherwise. With
    /// [`JsonOptions::compression`] all names end in `.gz` or `.zst` besides.
    /// Where directories cannot be renamed, as in object stores that are mounted, parts have longer names and the manifest that of a generation, and
    /// what other programs see in the meantime is said in [`io::commit`](crate::io::commit#in-place).
    /// The path `-` stands for standard output: rows are printed while the run goes on, so that a run that fails may have printed some.
    ///
    /// With [`JsonOptions::partition_by`] it becomes a table of partitions, of which
    /// [`some can be replaced`](JsonOptions::replace_partitions); [`append_once`](JsonOptions::append_once) adds to what is there.
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
    /// # let path = dir.path().join("pairs.jsonl");
    /// # let ctx = Context::new()?;
    /// let pairs = ctx.from_vec(vec![(1i64, vec!["a".to_string()]), (2, vec![])]);
    /// pairs.columns(["id", "tags"]).write_json_lines(&path, JsonOptions::default())?;
    /// assert_eq!(std::fs::read_to_string(&path)?, "{\"id\":1,\"tags\":[\"a\"]}\n{\"id\":2,\"tags\":[]}\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn write_json_lines(&self, path: impl AsRef<Path>, options: JsonOptions) -> Result<Written> {
        output_of_rows(self, CallSite::here("write_json_lines"), options, path.as_ref(), None).run()
    }

    /// The lazy form of [`Dataset::write_json_lines`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_json_lines(&self, path: impl AsRef<Path>, options: JsonOptions) -> Output<Written> {
        output_of_rows(self, CallSite::here("to_json_lines"), options, path.as_ref(), None)
    }
}

impl<T: Record> Columns<T> {
    /// See [`Dataset::write_json_lines`].
    ///
    /// # Errors
    ///
    /// See [`Dataset`].
    #[track_caller]
    pub fn write_json_lines(&self, path: impl AsRef<Path>, options: JsonOptions) -> Result<Written> {
        let call = CallSite::here("write_json_lines");
        output_of_rows(self.dataset(), call, options, path.as_ref(), Some(self.names())).run()
    }

    /// The lazy form of [`Columns::write_json_lines`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_json_lines(&self, path: impl AsRef<Path>, options: JsonOptions) -> Output<Written> {
        output_of_rows(
            self.dataset(),
            CallSite::here("to_json_lines"),
            options,
            path.as_ref(),
            Some(self.names()),
        )
    }
}

impl Format for JsonOptions {
    type Piece = Lines;
    type Encoder = LineEncoder<JsonEncoder>;
    type File<W: Write + Send + 'static> = LineFile<W>;

    fn extension(&self) -> &'static str {
        match self.compressed_with() {
            TextCompression::None => "jsonl",
            TextCompression::Gzip(_) => "jsonl.gz",
            TextCompression::Zstd(_) => "jsonl.zst",
        }
    }

    fn placement(&self) -> &Placement {
        &self.placement
    }

    fn encoder(&self, schema: &SchemaRef, budget: &Budget) -> Result<Self::Encoder> {
        Ok(LineEncoder::new(JsonEncoder::new(schema, self)?, self.compressed_with(), budget))
    }

    fn begin<W: Write + Send + 'static>(&self, _schema: &SchemaRef, writer: W) -> Result<LineFile<W>> {
        LineFile::begin(writer, Vec::new(), self.compressed_with())
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

impl EncodeLines for JsonEncoder {
    fn encode(&self, batch: &RecordBatch, lines: &mut Vec<u8>) -> Result<()> {
        JsonEncoder::encode(self, batch, lines)
    }
}
