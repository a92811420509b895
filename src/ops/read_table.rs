//! `read_table` and `infer_schema`: files of any format, with columns that are known only when the program runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::elements::Batches;
use super::parquet_files::ParquetFiles;
use super::read_text::{InputPaths, describe};
use super::records::read_records;
use super::table::Table;
use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::{CallSite, Error, ErrorKind, Place, Result, printable};
use crate::exec::narrow::FlatMap;
use crate::io::csv::{CsvFiles, CsvFormat, infer_csv};
use crate::io::formatted_lines::FormattedLines;
use crate::io::infer::{infer_lines, is_untyped};
use crate::io::json::{JsonFiles, JsonFormat, infer_json};
use crate::io::lines::LineOptions;
use crate::io::parquet::StoredPart;
use crate::io::resolve::{InputFile, resolve};
use crate::parse::LineFormat;

/// How the files of a [`Table`] are read.
#[non_exhaustive]
pub enum TableFormat {
    /// CSV, as [`Context::read_csv`] reads it.
    Csv(CsvFormat),
    /// JSON with one object a line, as [`Context::read_json_lines`] reads it.
    JsonLines(JsonFormat),
    /// Lines that are cut into columns, as [`Context::read_lines`] reads them.
    Lines(Box<dyn LineFormat>),
    /// Parquet, as [`Context::read_parquet`] reads it.
    Parquet,
}

impl std::fmt::Debug for TableFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TableFormat::Csv(format) => f.debug_tuple("Csv").field(format).finish(),
            TableFormat::JsonLines(format) => f.debug_tuple("JsonLines").field(format).finish(),
            TableFormat::Lines(format) => f.debug_tuple("Lines").field(&format.fields()).finish(),
            TableFormat::Parquet => f.write_str("Parquet"),
        }
    }
}

impl Context {
    /// The rows of files, with the columns of a schema, which are found by their names; others are not looked at.
    ///
    /// `inputs` are looked up as by [`Context::read_text`].
    ///
    /// # Ordering
    ///
    /// Files by the bytes of their paths, rows as they stand.
    ///
    /// # Errors
    ///
    /// As of the method that reads the format as records.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, out) = (dir.path().join("cities.csv"), dir.path().join("cities.parquet"));
    /// use gristmill::TableFormat;
    ///
    /// std::fs::write(&path, "name,people\nMarburg,78000\nHof,\n")?;
    /// let ctx = Context::new()?;
    /// let csv = TableFormat::Csv(CsvFormat::default());
    /// let schema = ctx.infer_schema(&path, &csv, 1000)?;
    /// let cities = ctx.read_table(&path, csv, schema)?;
    /// let written = cities.to_parquet(&out, ParquetOptions::default()).run()?;
    /// assert_eq!(written.rows, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn read_table(
        &self,
        inputs: impl InputPaths,
        format: TableFormat,
        schema: SchemaRef,
    ) -> Result<Table> {
        let call = CallSite::here("read_table");
        let (paths, lines) = (inputs.into_paths(), LineOptions::of(self.config()));
        let columns = schema.clone();
        let batches = match format {
            TableFormat::Csv(format) => {
                let whole_files = format.reads_whole_files();
                CsvFiles::new(format, columns, lines.max_line_bytes, lines.inflate)
                    .and_then(|files| read_records::<Batches, _>(self, call, &paths, whole_files, files))
            }
            TableFormat::JsonLines(format) => JsonFiles::new(format, columns, lines)
                .and_then(|files| read_records::<Batches, _>(self, call, &paths, false, files)),
            TableFormat::Lines(format) => FormattedLines::new(format, lines)
                .with_schema(columns)
                .and_then(|files| read_records::<Batches, _>(self, call, &paths, false, files)),
            TableFormat::Parquet => parquet(self, call, &paths, &columns),
        };
        Ok(Table::new(batches.map_err(|error| error.in_call(call))?, schema))
    }

    /// The columns that files have: those that Parquet files and the formats of lines say; and for CSV, JSON lines, and formats of lines that know
    /// no types, those that the first `rows` records fit.
    ///
    /// What is told from a sample can be wrong further on; [`Context::read_table`] then says in which record. A type is only
    /// told if it gives all values of the sample back: `007` is a text, and numbers that all have two decimals are decimals.
    ///
    /// # Errors
    ///
    /// If a path does not exist or cannot be read, if there is nothing to tell the columns from, if a Parquet file has a column that the first has not,
    /// and for standard input where a sample is needed.
    #[track_caller]
    pub fn infer_schema(
        &self,
        inputs: impl InputPaths,
        format: &TableFormat,
        rows: usize,
    ) -> Result<SchemaRef> {
        let call = CallSite::here("infer_schema");
        let lines = LineOptions::of(self.config());
        let inferred = match format {
            TableFormat::Lines(format) if is_untyped(format.as_ref()) => {
                sampled(inputs).and_then(|files| infer_lines(&files, format.as_ref(), lines, rows))
            }
            TableFormat::Lines(format) => Ok(Arc::new(Schema::new(format.fields()))),
            TableFormat::Csv(format) => {
                sampled(inputs).and_then(|files| infer_csv(&files, format, lines, rows))
            }
            TableFormat::JsonLines(_) => sampled(inputs).and_then(|files| infer_json(&files, lines, rows)),
            TableFormat::Parquet => sampled(inputs).and_then(parquet_schema),
        };
        inferred.map_err(|error| error.in_call(call))
    }
}

/// The batches of Parquet files, each with the columns of the schema.
fn parquet(
    ctx: &Context,
    call: CallSite,
    patterns: &[PathBuf],
    schema: &SchemaRef,
) -> Result<Dataset<RecordBatch>> {
    let found = resolve(patterns)?;
    let detail = describe(patterns, &found.files, found.notes.len());
    let mut notes = found.notes;
    notes.extend(notes_of_directories(&found.files, schema));
    let files = ParquetFiles::<Batches>::found(found.files, found.claimed, schema, None)?;
    let batches = Dataset::from_noted_source(ctx, call, detail, notes, files);
    let schema = Arc::clone(schema);
    // No `try_map`: a file with other columns is no bad record, which a policy could leave out together with thousands of rows.
    Ok(batches.narrow(call, FlatMap::new(move |batch| conform(&batch, &schema).map(Some))))
}

/// Says of columns that only directories have, as in `day=2026-01-31`, that they are not read.
fn notes_of_directories(files: &[InputFile], schema: &Schema) -> Vec<String> {
    let mut found = BTreeMap::new();
    for directory in files.iter().filter_map(|file| file.path.parent()).flat_map(Path::components) {
        let directory = directory.as_os_str().to_string_lossy();
        if let Some((column, _)) = directory.split_once('=')
            && !found.contains_key(column)
            && schema.fields().find(column).is_none()
        {
            let (name, example) = (column.escape_debug(), directory.escape_debug());
            let note = format!(
                "the column `{name}` is not read: it stands only in the names of directories such as {example}"
            );
            found.insert(column.to_owned(), note);
        }
    }
    found.into_values().collect()
}

/// The columns of a schema, found by their names; those of another type are converted if no value is lost.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let column = |field: &FieldRef| {
        let found = batch.column_by_name(field.name()).ok_or_else(|| {
            let message = format!("a Parquet file has no column `{}`", field.name().escape_debug());
            Error::new(ErrorKind::Input, message).hint("leave it out, or read the file by itself")
        })?;
        converted(found, field.data_type()).map_err(|reason| {
            let (name, stored, wanted) = (field.name().escape_debug(), found.data_type(), field.data_type());
            let message =
                format!("column `{name}` of a Parquet file is {stored} and cannot be {wanted}: {reason}");
            Error::new(ErrorKind::Input, message)
                .hint("read the file by itself, or give its column a type that holds all values (--schema)")
        })
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| Error::new(ErrorKind::Input, error.to_string()).hint("let the column be nullable"))
}

/// The values as a type has them, or why they would not be the same.
fn converted(values: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, String> {
    if values.data_type() == wanted {
        return Ok(Arc::clone(values));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |values: &ArrayRef, to: &DataType| {
        cast_with_options(values, to, &options).map_err(|error| error.to_string())
    };
    let converted = cast(values, wanted)?;
    // A cast rounds fractions, cuts off digits of seconds, and takes `007` for 7: only what comes back has lost nothing.
    let is_same = cast(&converted, values.data_type()).is_ok_and(|back| *back == **values);
    if is_same { Ok(converted) } else { Err("a value would not be the same".to_owned()) }
}

/// The files, of which each can be read more than once.
fn sampled(inputs: impl InputPaths) -> Result<Vec<InputFile>> {
    let files = resolve(&inputs.into_paths())?.files;
    if files.iter().any(InputFile::is_standard_input) {
        let message = "the columns of standard input cannot be told from a sample, since it is read once";
        return Err(Error::new(ErrorKind::Config, message).hint("give a schema (--schema FILE)"));
    }
    Ok(files)
}

/// The columns of the first file, each of which can be null if it can be in one of the others. Their types are compared when they are read;
/// a column that the first has not would be left out without a word, and is an error.
fn parquet_schema(files: Vec<InputFile>) -> Result<SchemaRef> {
    let mut files = files.into_iter();
    let Some(first) = files.next() else {
        return Err(Error::new(ErrorKind::Input, "there is no Parquet file"));
    };
    let (path, schema) = (first.path.clone(), StoredPart::of_file(first)?.schema());
    let mut fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
    for file in files {
        let part = StoredPart::of_file(file)?;
        for field in part.schema().fields() {
            let Some(known) = fields.iter_mut().find(|known| known.name() == field.name()) else {
                let (name, first) = (field.name().escape_debug(), printable(&path));
                let message = format!("there is a column `{name}`, which {first} does not have");
                let hint =
                    "read the files by themselves, or give the columns that all of them have (--schema)";
                return Err(Error::new(ErrorKind::Input, message).hint(hint).at(Place::file(part.path())));
            };
            if is_local(field) != is_local(known) {
                let (name, first) = (field.name().escape_debug(), printable(&path));
                let message =
                    format!("column `{name}` is {}, and in {first} {}", field.data_type(), known.data_type());
                let hint = "times with and without a zone are not the same: read the files by themselves";
                return Err(Error::new(ErrorKind::Input, message).hint(hint).at(Place::file(part.path())));
            }
            if field.is_nullable() && !known.is_nullable() {
                *known = Arc::new(known.as_ref().clone().with_nullable(true));
            }
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Whether a column has times without a zone.
fn is_local(field: &Field) -> bool {
    matches!(field.data_type(), DataType::Timestamp(_, None))
}
