//! Files of lines that a format cuts, such as logs, as batches of rows.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use super::lines::{Invalid, LineOptions};
use super::parsed::{BadRecord, FileRecords, Format, Parsed, Reader};
use super::split::{CompressedFiles, Split};
use super::text::{LineBlock, LineReader};
use crate::error::{Error, ErrorKind, Result};
use crate::parse::{ColumnsBuilder, LineFormat, Row};
use crate::record::nearest;

/// Rows below which the lines of the next file, or block, come into the same batch: each column of each batch has its price.
const SMALL_ROWS: usize = 1024;

/// Files whose lines a format cuts, with the columns of a schema.
pub struct FormattedLines {
    format: Box<dyn LineFormat>,
    schema: SchemaRef,
    /// For each column of the schema, that of the format.
    columns: Vec<usize>,
    lines: LineOptions,
}

impl FormattedLines {
    /// Files of a format, with all its columns. A line that is not UTF-8 is a bad record, whatever `lines` say.
    pub fn new(format: Box<dyn LineFormat>, lines: LineOptions) -> FormattedLines {
        let fields = format.fields();
        let (schema, columns) = (Arc::new(Schema::new(fields.clone())), (0..fields.len()).collect());
        let lines = LineOptions { invalid: Invalid::Replace, ..lines };
        FormattedLines { format, schema, columns, lines }
    }

    /// The same files with other columns, which are found by their names; their types may be others than those of the format.
    ///
    /// # Errors
    ///
    /// If the format has no such column, or a column has a type that no text is converted to.
    pub fn with_schema(self, schema: SchemaRef) -> Result<FormattedLines> {
        let known = self.format.fields();
        let find = |name: &str| {
            known.iter().position(|field| field.name() == name).ok_or_else(|| {
                let names = known.iter().map(|field| field.name().as_str());
                let error = Error::new(ErrorKind::Config, format!("the lines have no column `{name}`"));
                match nearest(name, names.clone()) {
                    Some(similar) => error.hint(format!("the nearest name is `{similar}`")),
                    None => {
                        error.hint(format!("the columns are `{}`", names.collect::<Vec<_>>().join("`, `")))
                    }
                }
            })
        };
        let columns = schema.fields().iter().map(|field| find(field.name())).collect::<Result<_>>()?;
        let files = FormattedLines { schema, columns, ..self };
        drop(files.builder()?);
        Ok(files)
    }

    fn builder(&self) -> Result<ColumnsBuilder> {
        ColumnsBuilder::of(&self.schema, |column| self.format.time_format(self.columns[column]))
    }
}

impl Format for FormattedLines {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn compressed_files(&self) -> CompressedFiles {
        CompressedFiles::Relayed
    }

    fn reader<'a>(&'a self, split: &'a Split) -> Box<dyn Reader + 'a> {
        Box::new(SplitReader {
            files: self,
            lines: LineReader::new(split.clone(), self.lines),
            builder: None,
        })
    }
}

struct SplitReader<'a> {
    files: &'a FormattedLines,
    lines: LineReader,
    builder: Option<ColumnsBuilder>,
}

impl Reader for SplitReader<'_> {
    fn next(&mut self) -> Result<Option<Parsed>> {
        let builder = match &mut self.builder {
            Some(builder) => builder,
            none => none.insert(self.files.builder()?),
        };
        let mut files = Vec::new();
        while builder.len() < SMALL_ROWS
            && let Some(block) = self.lines.next_block()?
        {
            files.push(self.files.parse(&block, builder));
        }
        if files.is_empty() {
            return Ok(None);
        }
        Ok(Some(Parsed { rows: builder.finish()?, files }))
    }
}

impl FormattedLines {
    /// Adds the rows of a block.
    fn parse(&self, block: &LineBlock, builder: &mut ColumnsBuilder) -> FileRecords {
        let (text, mut row) = (block.lines().block.as_str(), Row::new());
        let (mut offsets, mut bad) = (Vec::new(), Vec::new());
        for (index, range) in block.ranges().enumerate() {
            let line = &text[range.clone()];
            let offset = block.lines().offset_of(range.start);
            let added = if block.lines().is_replaced(&range) {
                Err("it is not UTF-8".to_string())
            } else {
                let cut = self.format.cut(line, &mut row);
                let push = |()| builder.push_fields(line, |column| row.get(self.columns[column]));
                cut.and_then(push).map_err(|fault| fault.to_string())
            };
            match added {
                Ok(()) => offsets.push(offset),
                Err(reason) => {
                    let (number, raw) = (block.line_number(index, range.start), line.as_bytes().to_vec());
                    bad.push(BadRecord { offset, line: number, raw, reason });
                }
            }
        }
        FileRecords { file: Arc::clone(block.file()), offsets, bad }
    }
}
