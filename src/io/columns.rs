//! Fields of text turned into columns, row by row: what readers of delimited text and of logs fill.
//!
//! A field becomes what the type of its column says, exactly, or the row is refused: a number that does not fit is never wrapped,
//! digits that a column cannot hold are never dropped.

use std::sync::Arc;

use arrow::array::RecordBatchOptions;
use arrow::array::timezone::Tz;
use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, NullArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::kernels::cast_utils::{Parser, string_to_datetime};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use crate::error::{Error, ErrorKind, Result};

/// Columns that rows of fields are added to.
///
/// # Examples
///
/// ```
/// use gristmill::io::columns::Columns;
/// use gristmill::record::{from_batch, schema};
///
/// let mut columns = Columns::new(&schema::<(u8, Option<String>)>())?;
/// assert!(columns.push(|column| [Some("7"), None][column]).is_ok());
/// let refused = columns.push(|column| [Some("700"), Some("x")][column]).unwrap_err();
/// assert_eq!((refused.column, columns.rows()), (0, 1));
/// assert_eq!(from_batch::<(u8, Option<String>)>(&columns.take()?)?, [(7, None)]);
/// # Ok::<(), gristmill::Error>(())
/// ```
pub struct Columns {
    schema: SchemaRef,
    all: Vec<Box<dyn Column>>,
    rows: usize,
}

/// Why a row was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The column whose field cannot be its value.
    pub column: usize,
    /// What is wrong, for people.
    pub reason: String,
}

impl Columns {
    /// Columns of a schema, without rows.
    ///
    /// # Errors
    ///
    /// If a column has a type that no single field of text can be, such as a list.
    pub fn new(schema: &SchemaRef) -> Result<Columns> {
        let columns = schema.fields().iter().map(|field| column_of(field)).collect::<Result<_>>()?;
        Ok(Columns { schema: Arc::clone(schema), all: columns, rows: 0 })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row, with the field that `of` gives for each column; none is a null. A row that is refused leaves no trace.
    ///
    /// # Errors
    ///
    /// If a field is not what its column holds.
    #[inline]
    pub fn push<'a>(&mut self, of: impl Fn(usize) -> Option<&'a str>) -> Result<(), Refused> {
        for index in 0..self.all.len() {
            let field = of(index);
            if !self.all[index].push(field) {
                return Err(self.refuse(index, field));
            }
        }
        self.rows += 1;
        Ok(())
    }

    #[cold]
    fn refuse(&mut self, column: usize, text: Option<&str>) -> Refused {
        self.all.iter_mut().for_each(|column| column.truncate(self.rows));
        let field = self.schema.field(column);
        let name = field.name();
        let reason = match text {
            Some(text) => {
                format!("{} of column `{name}` is no {}", shown(text), type_name(field.data_type()))
            }
            None => format!("column `{name}` has no value, and cannot be null"),
        };
        Refused { column, reason }
    }

    /// Takes all rows; none are left.
    ///
    /// # Errors
    ///
    /// If they are no valid batch, which is a bug.
    pub fn take(&mut self) -> Result<RecordBatch> {
        let arrays = self.all.iter_mut().map(|column| column.take()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))
    }

    /// The bytes that the rows take.
    pub fn bytes(&self) -> usize {
        self.all.iter().map(|column| column.bytes()).sum()
    }
}

/// A field as a message shows it: not all of a long one.
fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let end = (0..=MOST.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let more = if end < text.len() { "…" } else { "" };
    format!("`{}{more}`", text[..end].escape_debug())
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "text".to_string(),
        DataType::Timestamp(TimeUnit::Second, _) => "time in whole seconds".to_string(),
        DataType::Timestamp(TimeUnit::Millisecond, _) => "time with milliseconds".to_string(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => "time with microseconds".to_string(),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => "time with nanoseconds".to_string(),
        DataType::Date32 => "date such as 2026-01-31".to_string(),
        other => other.to_string(),
    }
}

/// A column that is being filled.
trait Column: Send {
    /// Adds a field; false if it is not a value of the column, which is then as it was.
    fn push(&mut self, field: Option<&str>) -> bool;

    /// Keeps the first `rows` values.
    fn truncate(&mut self, rows: usize);

    /// Takes all values.
    fn take(&mut self) -> ArrayRef;

    /// The bytes that the values take.
    fn bytes(&self) -> usize;
}

fn column_of(field: &Field) -> Result<Box<dyn Column>> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    Ok(match field.data_type() {
        DataType::Int8 => primitive::<Int8Type>(field, parsed::<Int8Type>),
        DataType::Int16 => primitive::<Int16Type>(field, parsed::<Int16Type>),
        DataType::Int32 => primitive::<Int32Type>(field, parsed::<Int32Type>),
        DataType::Int64 => primitive::<Int64Type>(field, parsed::<Int64Type>),
        DataType::UInt8 => primitive::<UInt8Type>(field, parsed::<UInt8Type>),
        DataType::UInt16 => primitive::<UInt16Type>(field, parsed::<UInt16Type>),
        DataType::UInt32 => primitive::<UInt32Type>(field, parsed::<UInt32Type>),
        DataType::UInt64 => primitive::<UInt64Type>(field, parsed::<UInt64Type>),
        DataType::Float32 => primitive::<Float32Type>(field, |text| {
            parsed::<Float32Type>(text).filter(|n| n.is_finite() || is_infinity(text))
        }),
        DataType::Float64 => primitive::<Float64Type>(field, |text| {
            parsed::<Float64Type>(text).filter(|n| n.is_finite() || is_infinity(text))
        }),
        DataType::Date32 => primitive::<Date32Type>(field, date),
        DataType::Timestamp(Second, _) => primitive::<TimestampSecondType>(field, |text| time(text, 1)),
        DataType::Timestamp(Millisecond, _) => {
            primitive::<TimestampMillisecondType>(field, |text| time(text, 1000))
        }
        DataType::Timestamp(Microsecond, _) => {
            primitive::<TimestampMicrosecondType>(field, |text| time(text, 1_000_000))
        }
        DataType::Timestamp(Nanosecond, _) => {
            primitive::<TimestampNanosecondType>(field, |text| time(text, 1_000_000_000))
        }
        DataType::Decimal128(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            primitive::<Decimal128Type>(field, move |text| decimal(text, precision, scale))
        }
        DataType::Boolean => Box::new(Booleans { values: Vec::new(), nulls: Nulls::of(field) }),
        DataType::Utf8 => Box::new(Strings { ends: vec![0], bytes: Vec::new(), nulls: Nulls::of(field) }),
        DataType::Null => Box::new(Nothing(0)),
        other => {
            let message = format!("column `{}` is {other}, which no field of text can be", field.name());
            return Err(
                Error::new(ErrorKind::Config, message).hint("read it as text, or from JSON or Parquet")
            );
        }
    })
}

/// Which rows are null.
struct Nulls {
    /// None where there can be no null.
    valid: Option<Vec<bool>>,
}

impl Nulls {
    fn of(field: &Field) -> Nulls {
        Nulls { valid: field.is_nullable().then(Vec::new) }
    }

    /// Notes whether there is a value; false if there must be one.
    #[inline]
    fn push(&mut self, is_valid: bool) -> bool {
        match &mut self.valid {
            Some(valid) => {
                valid.push(is_valid);
                true
            }
            None => is_valid,
        }
    }

    fn truncate(&mut self, rows: usize) {
        if let Some(valid) = &mut self.valid {
            valid.truncate(rows);
        }
    }

    fn take(&mut self) -> Option<NullBuffer> {
        let valid = std::mem::take(self.valid.as_mut()?);
        valid.contains(&false).then(|| NullBuffer::from(valid))
    }
}

struct Primitive<P: ArrowPrimitiveType, F> {
    values: Vec<P::Native>,
    nulls: Nulls,
    data_type: DataType,
    parse: F,
}

fn primitive<P: ArrowPrimitiveType>(
    field: &Field,
    parse: impl Fn(&str) -> Option<P::Native> + Send + 'static,
) -> Box<dyn Column> {
    let data_type = field.data_type().clone();
    Box::new(Primitive::<P, _> { values: Vec::new(), nulls: Nulls::of(field), data_type, parse })
}

impl<P: ArrowPrimitiveType, F: Fn(&str) -> Option<P::Native> + Send> Column for Primitive<P, F> {
    fn push(&mut self, field: Option<&str>) -> bool {
        let value = match field {
            Some(text) => {
                let Some(value) = (self.parse)(text) else { return false };
                value
            }
            None => P::default_value(),
        };
        if !self.nulls.push(field.is_some()) {
            return false;
        }
        self.values.push(value);
        true
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }

    fn take(&mut self) -> ArrayRef {
        let values = ScalarBuffer::from(std::mem::take(&mut self.values));
        Arc::new(PrimitiveArray::<P>::new(values, self.nulls.take()).with_data_type(self.data_type.clone()))
    }

    fn bytes(&self) -> usize {
        self.values.len() * size_of::<P::Native>()
    }
}

struct Booleans {
    values: Vec<bool>,
    nulls: Nulls,
}

impl Column for Booleans {
    fn push(&mut self, field: Option<&str>) -> bool {
        let value = match field {
            Some("true" | "True" | "TRUE" | "t" | "1") => true,
            Some("false" | "False" | "FALSE" | "f" | "0") | None => false,
            Some(_) => return false,
        };
        if !self.nulls.push(field.is_some()) {
            return false;
        }
        self.values.push(value);
        true
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }

    fn take(&mut self) -> ArrayRef {
        Arc::new(BooleanArray::new(std::mem::take(&mut self.values).into(), self.nulls.take()))
    }

    fn bytes(&self) -> usize {
        self.values.len()
    }
}

struct Strings {
    /// Where each string ends, and before them a 0.
    ends: Vec<i32>,
    bytes: Vec<u8>,
    nulls: Nulls,
}

impl Column for Strings {
    fn push(&mut self, field: Option<&str>) -> bool {
        let text = field.unwrap_or_default();
        let Ok(end) = i32::try_from(self.bytes.len() + text.len()) else { return false };
        if !self.nulls.push(field.is_some()) {
            return false;
        }
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(end);
        true
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        self.bytes.truncate(self.ends.last().map_or(0, |end| end.cast_unsigned() as usize));
        self.nulls.truncate(rows);
    }

    fn take(&mut self) -> ArrayRef {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        Arc::new(StringArray::new(offsets, std::mem::take(&mut self.bytes).into(), self.nulls.take()))
    }

    fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<i32>()
    }
}

/// Fields that have no type: whatever they are is forgotten.
struct Nothing(usize);

impl Column for Nothing {
    fn push(&mut self, _field: Option<&str>) -> bool {
        self.0 += 1;
        true
    }

    fn truncate(&mut self, rows: usize) {
        self.0 = self.0.min(rows);
    }

    fn take(&mut self) -> ArrayRef {
        Arc::new(NullArray::new(std::mem::take(&mut self.0)))
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// A number, without white space around it.
#[inline]
fn parsed<P: Parser>(text: &str) -> Option<P::Native> {
    if text.as_bytes().first()?.is_ascii_whitespace() || text.as_bytes().last()?.is_ascii_whitespace() {
        return None;
    }
    P::parse(text)
}

/// Whether infinity is what a text says, and not what is left of a number that is too large.
fn is_infinity(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Days since 1970 of a date in the form of ISO 8601.
fn date(text: &str) -> Option<i32> {
    // Longer texts would be times, whose hours nobody asked for.
    let is_date = text.len() <= 10 || text.starts_with(['+', '-']);
    if is_date { parsed::<Date32Type>(text) } else { None }
}

/// A time in the form of RFC 3339 or ISO 8601, in parts of a second since 1970; without a zone it is UTC.
fn time(text: &str, per_second: i64) -> Option<i64> {
    let utc: Tz = "+00:00".parse().ok()?;
    let time = string_to_datetime(&utc, text).ok()?;
    let nanos = i64::from(time.timestamp_subsec_nanos());
    let per_part = 1_000_000_000 / per_second;
    if nanos % per_part != 0 {
        return None;
    }
    time.timestamp().checked_mul(per_second)?.checked_add(nanos / per_part)
}

/// A decimal number such as `-12.50`, in units of its last digit.
fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (whole, fraction) = match memchr::memchr(b'.', digits) {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &[][..]),
    };
    // Zeros beyond the scale say nothing; other digits would be lost.
    let fraction_digits = fraction.len().min(scale);
    let (fraction, rest) = fraction.split_at(fraction_digits);
    if whole.len() + fraction.len() + rest.len() == 0 || rest.iter().any(|digit| *digit != b'0') {
        return None;
    }
    let mut value: i128 = 0;
    let padding = std::iter::repeat_n(&b'0', scale - fraction_digits);
    for digit in whole.iter().chain(fraction).chain(padding) {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let fits = precision >= 38 || value < 10_i128.pow(u32::from(precision));
    fits.then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;
    use crate::record::{from_batch, schema};

    #[derive(Record, Clone, Debug, PartialEq)]
    struct Row {
        small: u8,
        float: Option<f64>,
        #[record(date)]
        day: i32,
        #[record(timestamp = "ms")]
        at: Option<i64>,
        #[record(decimal(10, 2))]
        price: i128,
        yes: bool,
        name: Option<String>,
    }

    const GOOD: [&str; 7] =
        ["255", "-1.5e3", "1970-01-02", "1970-01-01T00:00:01.5Z", "-12.5", "true", "naïve"];

    fn push(columns: &mut Columns, fields: [&str; 7]) -> Result<(), Refused> {
        columns.push(|column| Some(fields[column]).filter(|field| *field != "NULL"))
    }

    #[test]
    fn fields_become_what_their_columns_hold() {
        let mut columns = Columns::new(&schema::<Row>()).unwrap();
        push(&mut columns, GOOD).unwrap();
        push(&mut columns, ["0", "NULL", "-0001-12-31", "NULL", ".050", "0", "NULL"]).unwrap();
        assert!(columns.bytes() > 0);
        let rows: Vec<Row> = from_batch(&columns.take().unwrap()).unwrap();
        let name = Some("naïve".to_string());
        let first =
            Row { small: 255, float: Some(-1500.0), day: 1, at: Some(1500), price: -1250, yes: true, name };
        assert_eq!(rows[0], first);
        assert_eq!((rows[1].price, rows[1].at, &rows[1].name, rows[1].yes), (5, None, &None, false));
        assert_eq!(columns.take().unwrap().num_rows(), 0);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_leaves_no_trace() {
        let wrong: [(usize, &[&str]); 6] = [
            (0, &["256", "-1", "", " 1", "1 ", "0x1", "１", "1.0", "NULL", "99999999999999999999"]),
            (1, &["1e999", "-1e999", "x", "", "1,5", "1 "]),
            (2, &["1970-02-30", "1970-01-01T00:00:00Z", "yesterday", ""]),
            (3, &["1970-01-01T00:00:01.0005Z", "25:00", "", "1970-01-01T00:00:60.5X"]),
            (4, &["1.005", "123456789.00", "-", ".", "", "1e2", "--1", "１"]),
            (5, &["yes", "", "2"]),
        ];
        let mut columns = Columns::new(&schema::<Row>()).unwrap();
        for (column, texts) in wrong {
            for text in texts {
                push(&mut columns, GOOD).unwrap();
                let mut fields = GOOD;
                fields[column] = text;
                let refused = push(&mut columns, fields).unwrap_err();
                assert_eq!(refused.column, column, "{text:?}: {}", refused.reason);
                let rows: Vec<Row> = from_batch(&columns.take().unwrap()).unwrap();
                assert_eq!(rows.len(), 1, "{text:?}");
            }
        }
        let mut fields = GOOD;
        fields[0] = "256";
        let reason = push(&mut columns, fields).unwrap_err().reason;
        assert_eq!(reason, "`256` of column `small` is no UInt8");
    }

    #[test]
    fn floats_may_be_infinite_where_the_text_says_so() {
        let mut columns = Columns::new(&schema::<f64>()).unwrap();
        for text in ["inf", "-inf", "NaN"] {
            columns.push(|_| Some(text)).unwrap();
        }
        let rows: Vec<f64> = from_batch(&columns.take().unwrap()).unwrap();
        assert!(rows[0] == f64::INFINITY && rows[1] == f64::NEG_INFINITY && rows[2].is_nan());
    }

    #[test]
    fn lists_are_refused_at_once() {
        assert!(Columns::new(&schema::<Vec<Vec<u8>>>()).is_err());
    }
}
