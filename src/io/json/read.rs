//! Files of JSON, one object a line, as batches of rows.
//!
//! The decoder of the arrow project takes many lines at once, and tells nothing of where one is wrong. So where it fails, line by line is
//! tried, and those that are right are decoded together.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_json::ReaderBuilder;
use arrow_json::reader::Decoder;

use super::exact::{decoded_schema, exact, may_have_fraction};
use crate::error::{Error, ErrorKind, Result};
use crate::io::lines::{Invalid, LineOptions};
use crate::io::parsed::{BadRecord, FileRecords, Format, Parsed, Reader};
use crate::io::split::{CompressedFiles, Split};
use crate::io::text::{LineBlock, LineReader};

/// Lines that are decoded at once.
const BATCH_LINES: usize = 2048;

/// How JSON lines are read.
///
/// # Examples
///
/// ```
/// use gristmill::io::json::JsonFormat;
///
/// assert_ne!(JsonFormat::default().ignore_extra(true), JsonFormat::default());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct JsonFormat {
    ignores_extra: bool,
    scalars_as_text: bool,
}

impl JsonFormat {
    /// Whether an object may have fields that are no columns. Default: false.
    pub fn ignore_extra(mut self, ignores_extra: bool) -> JsonFormat {
        self.ignores_extra = ignores_extra;
        self
    }

    /// Whether a column of texts takes numbers and booleans, too, as they are written. Default: false, it is an error then.
    pub fn scalars_as_text(mut self, scalars_as_text: bool) -> JsonFormat {
        self.scalars_as_text = scalars_as_text;
        self
    }
}

/// Files of JSON lines with the columns of a schema.
pub struct JsonFiles {
    format: JsonFormat,
    schema: SchemaRef,
    /// As it is decoded, and as it is where numbers may have fractions.
    decoded: SchemaRef,
    decoded_fractions: SchemaRef,
    lines: LineOptions,
}

impl JsonFiles {
    /// Files that are read as `format` says. A line that is not UTF-8 is a bad record, whatever `lines` say.
    ///
    /// # Errors
    ///
    /// If JSON has nothing for a column.
    pub fn new(format: JsonFormat, schema: SchemaRef, lines: LineOptions) -> Result<JsonFiles> {
        let (decoded, decoded_fractions) = (decoded_schema(&schema, false), decoded_schema(&schema, true));
        let lines = LineOptions { invalid: Invalid::Replace, ..lines };
        let files = JsonFiles { format, schema, decoded, decoded_fractions, lines };
        drop(files.decoder(&files.decoded)?);
        Ok(files)
    }

    fn decoder(&self, decoded: &SchemaRef) -> Result<Decoder> {
        let builder = ReaderBuilder::new(Arc::clone(decoded))
            .with_batch_size(BATCH_LINES)
            .with_strict_mode(!self.format.ignores_extra)
            .with_coerce_primitive(self.format.scalars_as_text);
        builder.build_decoder().map_err(|error| {
            Error::new(ErrorKind::Config, format!("JSON cannot be read as these columns: {error}"))
                .because(error)
        })
    }
}

impl Format for JsonFiles {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn compressed_files(&self) -> CompressedFiles {
        CompressedFiles::Relayed
    }

    fn reader<'a>(&'a self, split: &'a Split) -> Box<dyn Reader + 'a> {
        let lines = LineReader::new(split.clone(), self.lines);
        Box::new(SplitReader { files: self, lines, block: None })
    }
}

struct SplitReader<'a> {
    files: &'a JsonFiles,
    lines: LineReader,
    /// Lines that have been read, and those of them that have not been decoded.
    block: Option<(LineBlock, Vec<Line>)>,
}

/// A line: which one of its block, and where it lies there.
struct Line {
    index: usize,
    range: Range<usize>,
}

impl Reader for SplitReader<'_> {
    fn next(&mut self) -> Result<Option<Parsed>> {
        loop {
            match &mut self.block {
                Some((block, left)) if !left.is_empty() => {
                    let rest = left.split_off(left.len().min(BATCH_LINES));
                    let lines = std::mem::replace(left, rest);
                    return Batch { files: self.files, block, lines }.decode().map(Some);
                }
                _ => {
                    let Some(block) = self.lines.next_block()? else { return Ok(None) };
                    let text = block.lines().block.as_str();
                    let lines = block.ranges().enumerate().map(|(index, range)| Line { index, range });
                    let lines = lines.filter(|line| !text[line.range.clone()].trim_ascii().is_empty());
                    let lines = lines.collect();
                    self.block = Some((block, lines));
                }
            }
        }
    }
}

/// Some lines of a block.
struct Batch<'a> {
    files: &'a JsonFiles,
    block: &'a LineBlock,
    lines: Vec<Line>,
}

impl Batch<'_> {
    fn decode(mut self) -> Result<Parsed> {
        let mut bad = Vec::new();
        let rows = if let Ok(rows) = self.rows(&self.lines)? {
            rows
        } else {
            bad = self.take_bad()?;
            self.rows(&self.lines)?.map_err(|reason| Error::new(ErrorKind::Internal, reason))?
        };
        let offsets = self.lines.iter().map(|line| self.offset(line)).collect();
        Ok(Parsed { rows, files: vec![FileRecords { file: Arc::clone(self.block.file()), offsets, bad }] })
    }

    fn text(&self, line: &Line) -> &str {
        &self.block.lines().block.as_str()[line.range.clone()]
    }

    fn offset(&self, line: &Line) -> u64 {
        self.block.lines().offset_of(line.range.start)
    }

    /// The rows of lines, or what is wrong with some of them.
    fn rows(&self, lines: &[Line]) -> Result<Result<RecordBatch, String>> {
        if lines.iter().any(|line| self.block.lines().is_replaced(&line.range)) {
            return Ok(Err("it is not UTF-8".to_string()));
        }
        let fractions = lines.iter().any(|line| may_have_fraction(self.text(line)));
        let files = self.files;
        let mut decoder = files.decoder(if fractions { &files.decoded_fractions } else { &files.decoded })?;
        Ok(self.decode_with(&mut decoder, lines).map_err(|error| reason_of(&error)))
    }

    fn decode_with(
        &self,
        decoder: &mut Decoder,
        lines: &[Line],
    ) -> Result<RecordBatch, arrow::error::ArrowError> {
        let broken = |reason: &str| arrow::error::ArrowError::JsonError(reason.to_string());
        for line in lines {
            let text = self.text(line).as_bytes();
            if decoder.decode(text)? < text.len() {
                return Err(broken("it has more than one value"));
            }
            if decoder.has_partial_record() {
                return Err(broken("it is not complete"));
            }
        }
        let Some(rows) = decoder.flush()?.filter(|rows| rows.num_rows() == lines.len()) else {
            return match lines {
                [] => Ok(RecordBatch::new_empty(Arc::clone(&self.files.schema))),
                _ => Err(broken("it has more than one value")),
            };
        };
        exact(&rows, &self.files.schema)
            .map_err(|column| broken(&format!("column `{column}` cannot hold a value of it exactly")))
    }

    /// Takes out the lines that are no rows.
    fn take_bad(&mut self) -> Result<Vec<BadRecord>> {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for line in std::mem::take(&mut self.lines) {
            match self.rows(std::slice::from_ref(&line))? {
                Ok(_) => good.push(line),
                Err(reason) => {
                    let (offset, raw) = (self.offset(&line), self.text(&line).as_bytes().to_vec());
                    let number = self.block.line_number(line.index, line.range.start);
                    bad.push(BadRecord { offset, line: number, raw, reason });
                }
            }
        }
        self.lines = good;
        Ok(bad)
    }
}

fn reason_of(error: &arrow::error::ArrowError) -> String {
    let text = error.to_string();
    text.strip_prefix("Json error: ").map_or(text.clone(), str::to_string)
}
