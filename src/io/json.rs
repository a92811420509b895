//! JSON lines: batches to bytes, in the calling thread; whoever writes the file puts the bytes in order.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow_json::WriterBuilder;
use arrow_json::writer::LineDelimited;

use crate::error::{Error, ErrorKind, Result};
use crate::io::commit::Existing;
use crate::io::placement::{Placement, placement_methods};
use crate::io::text_compression::TextCompression;

mod exact;
mod infer;
mod read;

pub use infer::infer_json;
pub use read::{JsonFiles, JsonFormat};

/// How JSON lines are written.
///
/// # Examples
///
/// ```
/// use gristmill::io::json::JsonOptions;
///
/// let options = JsonOptions::default().nulls(true).partition_by(["day"]);
/// assert_ne!(options, JsonOptions::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct JsonOptions {
    nulls: bool,
    compression: TextCompression,
    pub(crate) placement: Placement,
}

impl JsonOptions {
    placement_methods!();

    /// Whether a field that is null is written, as `"name":null`, or left out. Default: left out. A null in an array is always
    /// written.
    pub fn nulls(mut self, written: bool) -> Self {
        self.nulls = written;
        self
    }

    /// What the files are compressed with. Default: nothing.
    pub fn compression(mut self, compression: TextCompression) -> Self {
        self.compression = compression;
        self
    }

    pub(crate) fn compressed_with(&self) -> TextCompression {
        self.compression
    }
}

/// Encodes batches of one schema as JSON lines: one object a row, without spaces, ended by a line feed.
///
/// Structs are objects and lists arrays. Integers and decimals are numbers with all of their digits, even where readers that
/// know only doubles lose some; floats have the fewest digits that read back as the same, and NaN and the infinities, which JSON
/// does not have, are null. Instants are RFC 3339 in UTC, such as `"2026-01-31T23:59:59Z"`, with as many digits of the second
/// as they need; dates are `"2026-01-31"`.
///
/// # Examples
///
/// ```
/// use gristmill::io::json::{JsonEncoder, JsonOptions};
/// use gristmill::record::{schema, to_batch};
///
/// let rows = [("a \"b\"".to_owned(), Some(1), vec![0.5]), (String::new(), None, vec![])];
/// let encoder = JsonEncoder::new(&schema::<(String, Option<i32>, Vec<f64>)>(), &JsonOptions::default())?;
/// let mut bytes = Vec::new();
/// encoder.encode(&to_batch(&rows)?, &mut bytes)?;
/// let text = String::from_utf8_lossy(&bytes);
/// assert_eq!(text, "{\"_1\":\"a \\\"b\\\"\",\"_2\":1,\"_3\":[0.5]}\n{\"_1\":\"\",\"_3\":[]}\n");
/// # Ok::<(), gristmill::Error>(())
/// ```
///
/// # References
///
/// <https://jsonlines.org>, RFC 8259, RFC 3339.
#[derive(Debug, Clone)]
pub struct JsonEncoder {
    schema: SchemaRef,
    /// The same with time zones as offsets: names of zones need a table that we do without.
    written: SchemaRef,
    nulls: bool,
}

impl JsonEncoder {
    /// An encoder of batches with a schema.
    ///
    /// # Errors
    ///
    /// If an option cannot work, or a column is of a type that JSON has nothing for.
    pub fn new(schema: &SchemaRef, options: &JsonOptions) -> Result<JsonEncoder> {
        options.compression.check()?;
        let fields: Vec<FieldRef> = schema.fields().iter().map(with_offsets).collect();
        let written = Arc::new(Schema::new(fields));
        let encoder = JsonEncoder { schema: schema.clone(), written, nulls: options.nulls };
        encoder.encode(&RecordBatch::new_empty(schema.clone()), &mut Vec::new())?;
        Ok(encoder)
    }

    /// Appends the lines of a batch.
    ///
    /// # Errors
    ///
    /// If the batch does not have the schema, or an instant or date lies outside of the years 0 to 9999.
    pub fn encode(&self, batch: &RecordBatch, lines: &mut Vec<u8>) -> Result<()> {
        if self.schema.fields() != batch.schema_ref().fields() {
            return Err(Error::new(ErrorKind::Internal, "a batch has another schema than its JSON file"));
        }
        for (column, field) in batch.columns().iter().zip(self.schema.fields()) {
            check_calendar(column, field.name())?;
        }
        let columns = batch.columns().iter().zip(self.written.fields());
        let columns = columns.map(|(column, field)| in_type(column, field.data_type()));
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(
            self.written.clone(),
            columns.collect::<Result<_>>()?,
            &options,
        )
        .map_err(unprintable)?;
        let mut writer =
            WriterBuilder::new().with_explicit_nulls(self.nulls).build::<_, LineDelimited>(lines);
        writer.write(&batch).and_then(|()| writer.finish()).map_err(unprintable)
    }
}

fn in_type(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if column.data_type() == data_type {
        return Ok(column.clone());
    }
    cast(column, data_type).map_err(unprintable)
}

/// The field with all time zones in it as offsets, however deep.
fn with_offsets(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(with_offsets).collect()),
        DataType::List(item) => DataType::List(with_offsets(item)),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

/// Days since 1970-01-01 of 0000-01-01 and of 9999-12-31.
const FIRST_DAY: i64 = -719_528;
const LAST_DAY: i64 = 2_932_896;

const DAY_SECONDS: i64 = 86_400;

/// Fails for an instant or a date that RFC 3339, which has four digits for the year, cannot tell. The encoder would write its own
/// message in place of the value.
fn check_calendar(column: &ArrayRef, name: &str) -> Result<()> {
    let per_day = match column.data_type() {
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns().iter().zip(fields);
            return columns
                .into_iter()
                .try_for_each(|(child, field)| check_calendar(child, &format!("{name}.{}", field.name())));
        }
        DataType::List(_) => return check_calendar(column.as_list::<i32>().values(), name),
        DataType::Date32 => 1,
        DataType::Timestamp(TimeUnit::Second, _) => DAY_SECONDS,
        DataType::Timestamp(TimeUnit::Millisecond, _) => DAY_SECONDS * 1000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => DAY_SECONDS * 1_000_000,
        _ => return Ok(()), // of nanoseconds, 64 bits hold less than 600 years
    };
    let values = cast(column, &DataType::Int64).map_err(unprintable)?;
    let is_outside = |value: i64| !(FIRST_DAY..=LAST_DAY).contains(&value.div_euclid(per_day));
    if !values.as_primitive::<Int64Type>().iter().flatten().any(is_outside) {
        return Ok(());
    }
    let message = format!("JSON cannot hold a value of column `{name}`: its year is not one from 0 to 9999");
    Err(Error::new(ErrorKind::Output, message)
        .hint("see that the unit of the instants is the right one, or leave the row out"))
}

fn unprintable(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Output, format!("JSON cannot hold a column: {error}")).because(error)
}
