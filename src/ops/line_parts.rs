//! Files of lines, whatever these hold: encoded and compressed by tasks, a page after the other, and appended in order.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::{Buf, Bytes};

use super::parts::{Encoder, Travels};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::memory::Budget;
use crate::exec::pages::Pages;
use crate::exec::wire::take_u64;
use crate::io::text_compression::TextCompression;

/// Bytes of lines that are kept, and compressed, together.
const PAGE_BYTES: usize = 1 << 20;

/// Turns rows into lines.
pub trait EncodeLines {
    /// Appends the lines of a batch.
    fn encode(&self, batch: &RecordBatch, lines: &mut Vec<u8>) -> Result<()>;
}

/// Encoded lines and their number.
pub struct Lines {
    pages: Pages,
    rows: u64,
    bytes: u64,
}

impl Lines {
    /// The bytes that they take in a file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl<F> Travels<F> for Lines {
    /// Hands on the pages, each with its number of rows before it; all rows are said to be on the first one.
    fn pack(
        mut self,
        _format: &F,
        _schema: &SchemaRef,
        take: &mut dyn FnMut(Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        for page in 0..self.pages.len() {
            let rows = std::mem::take(&mut self.rows).to_le_bytes();
            take([rows.as_slice(), &self.pages.take(page)?].concat())?;
        }
        Ok(())
    }

    fn unpack(bytes: Vec<u8>, budget: &Budget) -> Result<Lines> {
        let mut page = Bytes::from(bytes);
        let mut head: &[u8] = &page;
        let rows = take_u64(&mut head)?;
        page.advance(page.len() - head.len());
        let (bytes, mut pages) = (page.len() as u64, Pages::new(budget));
        pages.put(page)?;
        Ok(Lines { pages, rows, bytes })
    }
}

/// Encodes the rows of a task as lines.
pub struct LineEncoder<E> {
    encoder: E,
    compression: TextCompression,
    /// The page that is being filled.
    page: Vec<u8>,
    lines: Lines,
}

impl<E: EncodeLines> LineEncoder<E> {
    /// An encoder without rows, whose pages take memory from `budget`.
    pub fn new(encoder: E, compression: TextCompression, budget: &Budget) -> LineEncoder<E> {
        let lines = Lines { pages: Pages::new(budget), rows: 0, bytes: 0 };
        LineEncoder { encoder, compression, page: Vec::new(), lines }
    }

    fn end_page(&mut self) -> Result<()> {
        if self.page.is_empty() {
            return Ok(());
        }
        let mut page = self.compression.member(std::mem::take(&mut self.page))?;
        page.shrink_to_fit();
        self.lines.bytes += page.len() as u64;
        self.lines.pages.put(page.into()).map(drop)
    }
}

impl<E: EncodeLines> Encoder<Lines> for LineEncoder<E> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.lines.rows += batch.num_rows() as u64;
        self.encoder.encode(batch, &mut self.page)?;
        if self.page.len() >= PAGE_BYTES { self.end_page() } else { Ok(()) }
    }

    fn memory_bytes(&self) -> usize {
        self.page.capacity()
    }

    fn finish(mut self) -> Result<Vec<Lines>> {
        self.end_page()?;
        Ok(vec![self.lines])
    }
}

/// A file that lines are appended to.
pub struct LineFile<W> {
    writer: W,
    bytes: u64,
    compression: TextCompression,
    rows: u64,
}

impl<W: Write> LineFile<W> {
    /// Begins a file with what stands before all lines.
    pub fn begin(writer: W, header: Vec<u8>, compression: TextCompression) -> Result<LineFile<W>> {
        let mut file = LineFile { writer, bytes: 0, compression, rows: 0 };
        if !header.is_empty() {
            file.write(&compression.member(header)?)?;
        }
        Ok(file)
    }

    /// Appends lines and returns the bytes of the file so far.
    pub fn append(&mut self, lines: Lines) -> Result<u64> {
        self.rows += lines.rows;
        let mut pages = lines.pages;
        for page in 0..pages.len() {
            self.write(&pages.take(page)?)?;
        }
        Ok(self.bytes)
    }

    /// Ends the file; returns what it was written to and its rows.
    pub fn end(mut self) -> Result<(W, u64)> {
        if self.bytes == 0 {
            self.write(&self.compression.member(Vec::new())?)?; // a compressed file has a member, even if it holds nothing
        }
        Ok((self.writer, self.rows))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.writer.write_all(bytes).map_err(|error| {
            // The writer's own message names the file and what to do.
            Error::new(ErrorKind::Output, error.to_string()).because(error)
        })
    }
}
