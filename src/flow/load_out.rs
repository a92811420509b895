//! Copying rows out to PostgreSQL: by `COPY`, within one transaction that replaces what was there.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use postgres::{Client, Transaction};

use super::failure::{TaskError, transient};
use super::load::LoadOut;
use super::task_context::TaskContext;
use super::tls::Server;
use crate::error::{Error, ErrorKind, Result};
use crate::io::csv::CsvFormat;
use crate::io::infer::DEFAULT_ROWS;
use crate::ops::{Table, TableFormat};

/// Copies the rows of a load.
pub(super) fn run(load: &LoadOut, context: &TaskContext) -> std::result::Result<(), TaskError> {
    let table = table(load, context)?;
    let replaced = load.replace.iter().map(|(column, value)| Ok((column.clone(), context.expand(value)?)));
    let replaced = replaced.collect::<Result<Vec<_>>>()?;
    let mut client = connect(&context.expand(&load.postgres)?)?;
    let name = quoted_path(&context.expand(&load.table)?);
    let mut transaction = client.transaction().map_err(refused)?;
    let deleted = delete(&mut transaction, &name, &replaced)?;
    let rows = copy(&mut transaction, &name, &table, &replaced)?;
    let _passed = context.context().pass_fence()?;
    transaction.commit().map_err(refused)?;
    context.log(&format!("{rows} rows to {name} in place of {deleted}"));
    Ok(())
}

/// The rows, as a table whose columns are those of the files.
fn table(load: &LoadOut, context: &TaskContext) -> Result<Table> {
    let paths = context.scope.paths(load.from.iter().map(String::as_str))?;
    let ends_in_csv =
        |path: &PathBuf| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let is_csv = paths.iter().any(ends_in_csv);
    let format = if is_csv { TableFormat::Csv(CsvFormat::default()) } else { TableFormat::Parquet };
    let ctx = context.context();
    let schema = ctx.infer_schema(&paths, &format, DEFAULT_ROWS)?;
    ctx.read_table(&paths, format, schema)
}

/// A connection. What keeps one from being made may pass.
fn connect(url: &str) -> std::result::Result<Client, TaskError> {
    Server::of(url)?.connect().map_err(|error| transient(told(&error)))
}

/// Deletes the rows that are replaced; how many these were.
fn delete(
    transaction: &mut Transaction,
    table: &str,
    replaced: &[(String, String)],
) -> std::result::Result<u64, TaskError> {
    let mut query = format!("DELETE FROM {table}");
    for (place, (column, _)) in replaced.iter().enumerate() {
        let word = if place == 0 { "WHERE" } else { "AND" };
        // As text, so that the column may have any type that can be written so.
        let _ = write!(query, " {word} {}::text = ${}", quoted(column), place + 1);
    }
    let values: Vec<&(dyn postgres::types::ToSql + Sync)> =
        replaced.iter().map(|(_, value)| value as _).collect();
    transaction.execute(&query, &values).map_err(refused)
}

/// Copies all rows, batch by batch as they are read; how many there were. Columns by whose values rows are replaced, and which the files do not have,
/// get these values.
fn copy(
    transaction: &mut Transaction,
    name: &str,
    table: &Table,
    replaced: &[(String, String)],
) -> std::result::Result<u64, TaskError> {
    let (mut columns, mut constant): (Vec<String>, Vec<u8>) = (Vec::new(), Vec::new());
    columns.extend(table.schema().fields().iter().map(|field| quoted(field.name())));
    for (column, value) in
        replaced.iter().filter(|(column, _)| table.schema().field_with_name(column).is_err())
    {
        columns.push(quoted(column));
        constant.push(b'\t');
        escape(value, &mut constant);
    }
    let statement = format!("COPY {name} ({}) FROM STDIN", columns.join(", "));
    let mut writer = transaction.copy_in(&statement).map_err(refused)?;
    let schema = table.schema().clone();
    let (sender, batches) = crossbeam::channel::bounded::<RecordBatch>(4);
    let rows = table.batches().clone();
    let written = std::thread::scope(|threads| {
        let reading = threads.spawn(move || rows.for_each(move |batch| drop(sender.send(batch))));
        let mut text = Vec::new();
        // Taken in, so that a reader that waits for room hears of an error: it would wait for ever.
        for batch in batches {
            text.clear();
            lines(&schema, &batch, &constant, &mut text)?;
            writer.write_all(&text).map_err(|error| transient(error))?;
        }
        reading
            .join()
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the rows could not be read")))?;
        Ok::<(), TaskError>(())
    });
    written?;
    writer.finish().map_err(refused)
}

/// The rows of a batch in the text format of `COPY`, each with something constant behind it.
fn lines(schema: &SchemaRef, batch: &RecordBatch, constant: &[u8], text: &mut Vec<u8>) -> Result<()> {
    let options = FormatOptions::default().with_null("\\N");
    let unreadable = |error: arrow::error::ArrowError| {
        Error::new(ErrorKind::Output, format!("a value cannot be written for PostgreSQL: {error}"))
            .because(error)
    };
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(unreadable)?;
    for row in 0..batch.num_rows() {
        for (place, column) in columns.iter().enumerate() {
            if place > 0 {
                text.push(b'\t');
            }
            let value = column.value(row).try_to_string().map_err(unreadable)?;
            let is_text = matches!(
                schema.field(place).data_type(),
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
            );
            if is_text && !batch.column(place).is_null(row) {
                escape(&value, text);
            } else {
                text.extend_from_slice(value.as_bytes());
            }
        }
        text.extend_from_slice(constant);
        text.push(b'\n');
    }
    Ok(())
}

/// A text with what means something to `COPY` escaped.
fn escape(value: &str, text: &mut Vec<u8>) {
    for byte in value.bytes() {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            other => text.push(other),
        }
    }
}

/// A name as SQL quotes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table, with its schema if that is named.
fn quoted_path(name: &str) -> String {
    name.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

/// What the database says, and whether that may pass: it is shutting down, it has no connection left, or two transactions met.
#[allow(clippy::needless_pass_by_value)] // as `map_err` calls it
fn refused(error: postgres::Error) -> TaskError {
    let may_pass = error.is_closed()
        || error.code().is_some_and(|code| matches!(&code.code()[..2], "08" | "40" | "53" | "57"));
    let told = told(&error);
    if may_pass { transient(told) } else { Box::new(told) }
}

fn told(error: &postgres::Error) -> Error {
    let message = match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(error), _) => error.message().to_owned(),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    };
    Error::new(ErrorKind::Output, format!("PostgreSQL: {message}"))
}
