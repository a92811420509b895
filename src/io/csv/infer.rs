//! The columns of CSV files, told from their first records.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use super::read::CsvFormat;
use super::records::{Record, Records};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::io::infer::TextColumn;
use crate::io::input::{InputBytes, read_error};
use crate::io::lines::LineOptions;
use crate::io::resolve::InputFile;

/// The columns that the first `rows` records of the files have. All of them can be null: a sample cannot tell.
///
/// Their names are those of the header of the first file, by which fields of the others are found; without headers they are `column_1`, `column_2`, ….
/// A record that cannot be one, or has another number of fields than the header, is left out.
///
/// # Errors
///
/// If a file cannot be read, there is no header, or two of its names are equal.
pub fn infer_csv(
    files: &[InputFile],
    format: &CsvFormat,
    lines: LineOptions,
    rows: usize,
) -> Result<SchemaRef> {
    let mut sample = Sample { names: Vec::new(), columns: Vec::new(), left: rows };
    for file in files {
        sample.add_file(file, format, lines)?;
        if sample.left == 0 {
            break;
        }
    }
    if sample.names.is_empty() {
        let error = Error::new(ErrorKind::Input, "there is no record to tell the columns of a CSV file from");
        return Err(error.hint("look at whether the files are empty, or give a schema (--schema)"));
    }
    let columns = sample.names.into_iter().zip(&sample.columns);
    let fields: Vec<_> = columns.map(|(name, column)| Field::new(name, column.data_type(), true)).collect();
    Ok(Arc::new(Schema::new(fields)))
}

struct Sample {
    names: Vec<String>,
    columns: Vec<TextColumn>,
    /// Records that are still to be looked at.
    left: usize,
}

impl Sample {
    fn add_file(&mut self, file: &InputFile, format: &CsvFormat, lines: LineOptions) -> Result<()> {
        let failed = |error| read_error(&file.path, 0, error);
        let source = InputBytes::open(file, lines.inflate)?;
        let mut records = Records::new(source, 0, format.delimiter, lines.max_line_bytes);
        let mut layout: Option<Vec<Option<usize>>> = None;
        while self.left > 0 {
            let Some(record) = records.next().map_err(failed)? else { break };
            if self.names.is_empty() {
                let at_header = |error: Error| error.at(Place::file(&file.path).at_offset(record.offset));
                self.begin(&record, format.header).map_err(at_header)?;
            }
            if let Some(layout) = &layout {
                self.add(&record, layout, format);
            } else if format.header {
                layout = Some(self.layout(&record));
            } else {
                let in_order: Vec<_> = (0..self.names.len()).map(Some).collect();
                self.add(&record, &in_order, format);
                layout = Some(in_order);
            }
        }
        Ok(())
    }

    /// For each field, the column that a header says it is of.
    fn layout(&self, header: &Record) -> Vec<Option<usize>> {
        let Some(names) = header.fields() else { return Vec::new() };
        names.iter().map(|name| self.names.iter().position(|known| known == name)).collect()
    }

    fn begin(&mut self, record: &Record, is_header: bool) -> Result<()> {
        if let Some(fault) = record.fault {
            return Err(Error::new(ErrorKind::Input, format!("the first record cannot be read: {fault}")));
        }
        let names = record.fields().ok_or_else(|| {
            Error::new(ErrorKind::Input, "the first record is not UTF-8").hint("convert the file to UTF-8")
        })?;
        self.names = if is_header {
            names.iter().map(str::to_owned).collect()
        } else {
            (1..=record.len()).map(|number| format!("column_{number}")).collect()
        };
        if let Some(twice) = self.names.iter().enumerate().find(|(at, name)| self.names[..*at].contains(name))
        {
            let message = format!("two columns are named `{}`", twice.1.escape_debug());
            return Err(
                Error::new(ErrorKind::Input, message).hint("rename one of them, or read without the header")
            );
        }
        self.columns = vec![TextColumn::default(); self.names.len()];
        Ok(())
    }

    fn add(&mut self, record: &Record, layout: &[Option<usize>], format: &CsvFormat) {
        self.left -= 1;
        if record.fault.is_some() || record.len() != layout.len() {
            return;
        }
        let Some(fields) = record.fields() else { return };
        for (index, (field, column)) in fields.iter().zip(layout).enumerate() {
            let is_null = field == format.null && !record.is_quoted(index);
            if let Some(column) = column.and_then(|column| self.columns.get_mut(column))
                && !is_null
            {
                column.add(field);
            }
        }
    }
}
