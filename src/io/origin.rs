//! What the elements of a split were read from, for those that are refused later.

use std::ops::Range;
use std::sync::Arc;

use super::lines::LineOptions;
use super::parsed::{Format, Parsed, Reader};
use super::resolve::InputFile;
use super::split::Split;
use super::text::{LineBlock, LineReader};
use crate::error::{Error, ErrorKind, Result};

/// Where an element was read, and what stands there.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The file.
    pub file: Arc<InputFile>,
    /// Where its line or record begins in the file, inflated if that is compressed.
    pub offset: u64,
    /// Its 1-based line, where the reader has counted lines.
    pub line: Option<u64>,
    /// The line or record.
    pub raw: Raw,
}

/// What an element was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// These bytes.
    Known(Vec<u8>),
    /// What stands in the file from the offset on, up to the end of its line; one within quotes, if there are any, is none.
    InFile {
        /// The quote, which is one byte.
        quote: Option<u8>,
    },
}

/// Finds the origins of the elements of a split.
///
/// It reads the split once more, and once for all elements that are asked for: they must be asked for in ascending order.
///
/// # Examples
///
/// See [`LineOrigins`].
pub trait Origins {
    /// The origin of the `row`-th element that the split gave, counted from 0; the same row may be asked for again.
    ///
    /// # Errors
    ///
    /// If the files cannot be read, or have changed since they were planned.
    fn origin(&mut self, row: u64) -> Result<Origin>;
}

/// The origins of lines, or of what lines are made into.
///
/// # Examples
///
/// ```
/// use gristmill::io::{lines::LineOptions, resolve::resolve, split::{SplitOptions, splits}};
/// use gristmill::io::origin::{LineOrigins, Origins, Raw};
///
/// let splits = splits(resolve(&["src/io/mod.rs"])?.files, &SplitOptions::default());
/// let mut origins = LineOrigins::new(splits[0].clone(), LineOptions::default(), |_line| 1);
/// assert_eq!(origins.origin(1)?.raw, Raw::Known(b"//!".to_vec()));
/// # Ok::<(), gristmill::Error>(())
/// ```
pub struct LineOrigins {
    reader: LineReader,
    elements: fn(&str) -> u64,
    /// The elements of the split before those of the block.
    before: u64,
    block: Option<LineBlock>,
    /// The lines of the block, each with the number of elements of the split up to its end.
    lines: Vec<(Range<usize>, u64)>,
}

impl LineOrigins {
    /// Those of a split that was read with these options, where a line gives so many elements; nothing is read yet.
    pub fn new(split: Split, options: LineOptions, elements: fn(&str) -> u64) -> LineOrigins {
        let reader = LineReader::new(split, options);
        LineOrigins { reader, elements, before: 0, block: None, lines: Vec::new() }
    }

    /// Reads the next block.
    fn advance(&mut self) -> Result<bool> {
        let mut end = self.lines.last().map_or(self.before, |(_, end)| *end);
        self.before = end;
        self.block = self.reader.next_block()?;
        self.lines.clear();
        let Some(block) = &self.block else { return Ok(false) };
        let text = block.lines().block.as_str();
        self.lines.extend(block.ranges().map(|range| {
            end += (self.elements)(&text[range.clone()]);
            (range, end)
        }));
        Ok(true)
    }
}

impl Origins for LineOrigins {
    fn origin(&mut self, row: u64) -> Result<Origin> {
        if row < self.before {
            return Err(gone(row));
        }
        loop {
            let index = self.lines.partition_point(|(_, end)| *end <= row);
            if let (Some(block), Some((range, _))) = (&self.block, self.lines.get(index)) {
                return Ok(line_origin(block, range, index));
            }
            if !self.advance()? {
                return Err(gone(row));
            }
        }
    }
}

/// The origin of the line at `range`, which is the one with this index of those that the block has.
fn line_origin(block: &LineBlock, range: &Range<usize>, index: usize) -> Origin {
    let lines = block.lines();
    let line = block.line_number(index, range.start);
    let raw = Raw::Known(lines.block.as_str().as_bytes()[range.clone()].to_vec());
    Origin { file: Arc::clone(block.file()), offset: lines.offset_of(range.start), line, raw }
}

/// The origins of records.
pub struct RecordOrigins<'a> {
    reader: Box<dyn Reader + 'a>,
    quote: Option<u8>,
    /// The records of the split before these.
    before: u64,
    parsed: Option<Parsed>,
}

impl<'a> RecordOrigins<'a> {
    /// Those of a split in a format; nothing is read yet.
    pub fn new<F: Format>(format: &'a F, split: &'a Split) -> RecordOrigins<'a> {
        RecordOrigins { reader: format.reader(split), quote: format.quote(), before: 0, parsed: None }
    }
}

impl Origins for RecordOrigins<'_> {
    fn origin(&mut self, row: u64) -> Result<Origin> {
        loop {
            let index = row.checked_sub(self.before).ok_or_else(|| gone(row))?;
            if let Some((file, offset)) = self.parsed.as_ref().and_then(|parsed| parsed.origin(index)) {
                let raw = Raw::InFile { quote: self.quote };
                return Ok(Origin { file: Arc::clone(file), offset, line: None, raw });
            }
            self.before += self.parsed.as_ref().map_or(0, |parsed| parsed.rows.num_rows() as u64);
            self.parsed = Some(self.reader.next()?.ok_or_else(|| gone(row))?);
        }
    }
}

fn gone(row: u64) -> Error {
    Error::new(ErrorKind::Internal, format!("row {row} of a split is not where it was read"))
}
