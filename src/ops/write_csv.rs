//! `write_csv`: a committed directory of CSV files, or a single one.

use std::io::Write;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::columns::Columns;
use super::parts::{Destination, Encoder, Format, Written, output};
use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::memory::Budget;
use crate::exec::pages::Pages;
use crate::io::commit::PartWriter;
use crate::io::csv::{CsvEncoder, CsvOptions};
use crate::io::placement::Placement;
use crate::record::Record;

impl<T: Record> Dataset<T> {
    /// Writes all elements as CSV, quoted as RFC 4180 says, and commits them in one step.
    ///
    /// A path that ends in `.csv`, in any case, becomes a single file; any other one a directory of parts `part-00000.csv`, …,
    /// each with a header, and a `_manifest.json`. One that ends in `.parquet` is an error. An existing output is an error unless [`CsvOptions::existing`] says otherwise.
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
        csv(self, CallSite::here("write_csv"), path.as_ref(), None, options).run()
    }

    /// The lazy form of [`Dataset::write_csv`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_csv(&self, path: impl AsRef<Path>, options: CsvOptions) -> Output<Written> {
        csv(self, CallSite::here("to_csv"), path.as_ref(), None, options)
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
        csv(self.dataset(), CallSite::here("write_csv"), path.as_ref(), Some(self.names()), options).run()
    }

    /// The lazy form of [`Columns::write_csv`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_csv(&self, path: impl AsRef<Path>, options: CsvOptions) -> Output<Written> {
        csv(self.dataset(), CallSite::here("to_csv"), path.as_ref(), Some(self.names()), options)
    }
}

fn csv<T: Record>(
    dataset: &Dataset<T>,
    call: CallSite,
    path: &Path,
    names: Option<Vec<String>>,
    options: CsvOptions,
) -> Output<Written> {
    let destination = Destination { path: path.to_owned(), names };
    output(dataset, call, options, destination)
}

/// Bytes of lines that are kept together.
const PAGE_BYTES: usize = 1 << 20;

/// Encoded lines and their number.
pub struct Lines {
    pages: Pages,
    rows: u64,
    bytes: u64,
}

/// Encodes the rows of a task as lines.
pub struct LineEncoder {
    encoder: CsvEncoder,
    /// The page that is being filled.
    bytes: Vec<u8>,
    lines: Lines,
}

/// A file that lines are appended to.
pub struct CsvFile {
    writer: PartWriter,
    rows: u64,
}

impl Format for CsvOptions {
    type Piece = Lines;
    type Encoder = LineEncoder;
    type File = CsvFile;

    fn extension(&self) -> &'static str {
        "csv"
    }

    fn placement(&self) -> &Placement {
        &self.placement
    }

    fn encoder(&self, schema: &SchemaRef, budget: &Budget) -> Result<LineEncoder> {
        let lines = Lines { pages: Pages::new(budget), rows: 0, bytes: 0 };
        Ok(LineEncoder { encoder: CsvEncoder::new(schema, self)?, bytes: Vec::new(), lines })
    }

    fn begin(&self, schema: &SchemaRef, writer: PartWriter) -> Result<CsvFile> {
        let mut file = CsvFile { writer, rows: 0 };
        file.write(&CsvEncoder::new(schema, self)?.header())?;
        Ok(file)
    }

    fn piece_bytes(piece: &Lines) -> u64 {
        piece.bytes
    }

    fn append(file: &mut CsvFile, piece: Lines) -> Result<u64> {
        file.rows += piece.rows;
        let mut pages = piece.pages;
        for page in 0..pages.len() {
            file.write(&pages.take(page)?)?;
        }
        Ok(file.writer.bytes())
    }

    fn end(file: CsvFile) -> Result<(PartWriter, u64)> {
        Ok((file.writer, file.rows))
    }
}

impl CsvFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).map_err(|error| {
            // The writer's own message names the file and what to do.
            Error::new(ErrorKind::Output, error.to_string()).because(error)
        })
    }
}

impl LineEncoder {
    fn end_page(&mut self) -> Result<()> {
        self.bytes.shrink_to_fit();
        self.lines.bytes += self.bytes.len() as u64;
        self.lines.pages.put(std::mem::take(&mut self.bytes).into()).map(drop)
    }
}

impl Encoder<Lines> for LineEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.lines.rows += batch.num_rows() as u64;
        self.encoder.encode(batch, &mut self.bytes)?;
        if self.bytes.len() >= PAGE_BYTES { self.end_page() } else { Ok(()) }
    }

    fn memory_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    fn finish(mut self) -> Result<Vec<Lines>> {
        self.end_page()?;
        Ok(vec![self.lines])
    }
}
