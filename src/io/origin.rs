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

/// The origins of lines.
///
/// # Examples
///
/// ```
/// use gristmill::io::{lines::LineOptions, resolve::resolve, split::{SplitOptions, splits}};
/// use gristmill::io::origin::{LineOrigins, Origins, Raw};
///
/// let splits = splits(resolve(&["src/io/mod.rs"])?.files, &SplitOptions::default());
/// let mut origins = LineOrigins::new(splits[0].clone(), LineOptions::default());
/// assert_eq!(origins.origin(1)?.raw, Raw::Known(b"//!".to_vec()));
/// # Ok::<(), gristmill::Error>(())
/// ```
pub struct LineOrigins {
    reader: LineReader,
    /// The lines of the split before the block.
    before: u64,
    block: Option<(LineBlock, Vec<Range<usize>>)>,
}

impl LineOrigins {
    /// Those of a split that was read with these options; nothing is read yet.
    pub fn new(split: Split, options: LineOptions) -> LineOrigins {
        LineOrigins { reader: LineReader::new(split, options), before: 0, block: None }
    }
}

impl Origins for LineOrigins {
    fn origin(&mut self, row: u64) -> Result<Origin> {
        loop {
            let rows = self.block.as_ref().map_or(0, |(_, ranges)| ranges.len() as u64);
            let index = row.checked_sub(self.before).ok_or_else(|| gone(row))?;
            match &self.block {
                Some((block, ranges)) if index < rows => {
                    return Ok(line_origin(block, &ranges[index as usize], index as usize));
                }
                _ => {
                    self.before += rows;
                    let block = self.reader.next_block()?.ok_or_else(|| gone(row))?;
                    let ranges = block.ranges().collect();
                    self.block = Some((block, ranges));
                }
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
