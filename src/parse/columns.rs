//! Rows of text to Arrow columns: [`ColumnsBuilder`].

use std::mem::{replace, take};
use std::sync::Arc;

use arrow::array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::array::{
    ArrayRef, BooleanArray, NullBufferBuilder, PrimitiveArray, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::{
    Fault, Invalid, LineFormat, Row, TimeFormat, boolean, date, decimal, float, float32, has_zone, int,
    offset_in,
};
use crate::error::{Error, ErrorKind, Result};

/// Makes Arrow columns of rows, and of their texts what the types of the columns say.
///
/// Types can be booleans, whole numbers, floats, strings (`Utf8`), `Date32`, timestamps and `Decimal128`. Texts are converted by the
/// functions of [this module](super), times by the [`LineFormat::time_format`] of their column.
///
/// # Examples
///
/// ```
/// use gristmill::parse::{ColumnsBuilder, CommonFormat, LineFormat, Row};
///
/// let mut columns = ColumnsBuilder::new(&CommonFormat)?;
/// let mut row = Row::new();
/// for line in [
///     r#"::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 5"#,
///     r#"::1 - - [10/Oct/2000:13:55:37 -0700] "GET / HTTP/1.0" 70000 5"#,
/// ] {
///     CommonFormat.cut(line, &mut row)?;
///     if let Err(fault) = columns.push(line, &row) {
///         assert_eq!(fault.column(), Some("status"));
///     }
/// }
/// assert_eq!(columns.finish()?.num_rows(), 1);
/// # Ok::<(), gristmill::Error>(())
/// ```
pub struct ColumnsBuilder {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    values: Box<dyn Values>,
    nulls: NullBufferBuilder,
}

impl std::fmt::Debug for ColumnsBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ColumnsBuilder")
            .field("schema", &self.schema)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl ColumnsBuilder {
    /// A builder of the columns that a format has.
    ///
    /// # Errors
    ///
    /// If a column has a type that no text is converted to.
    pub fn new(format: &dyn LineFormat) -> Result<ColumnsBuilder> {
        ColumnsBuilder::with_types(format, format.fields())
    }

    /// A builder that gives the columns of a format other names and types, in the same order.
    ///
    /// # Errors
    ///
    /// If their number is another, or a column has a type that no text is converted to.
    ///
    /// # Examples
    ///
    /// ```
    /// use arrow::datatypes::{DataType, Field};
    /// use gristmill::parse::{ColumnsBuilder, Delimited, LineFormat, Row};
    ///
    /// let format = Delimited::new(b'\t', ["id", "price"])?;
    /// let types = [Field::new("id", DataType::Int64, false), Field::new("price", DataType::Decimal128(9, 2), true)];
    /// let mut columns = ColumnsBuilder::with_types(&format, types.to_vec().into())?;
    /// let mut row = Row::new();
    /// format.cut("7\t12.5", &mut row)?;
    /// columns.push("7\t12.5", &row)?;
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    pub fn with_types(format: &dyn LineFormat, types: Fields) -> Result<ColumnsBuilder> {
        let found = format.fields().len();
        if types.len() != found {
            let message = format!("types of {} columns are given for a format that has {found}", types.len());
            return Err(Error::new(ErrorKind::Config, message));
        }
        ColumnsBuilder::of(&Arc::new(Schema::new(types)), |column| format.time_format(column))
    }

    /// A builder of the columns of a schema, of which `time_format` says how times are written.
    ///
    /// # Errors
    ///
    /// If a column has a type that no text is converted to.
    pub fn of(schema: &SchemaRef, time_format: impl Fn(usize) -> TimeFormat) -> Result<ColumnsBuilder> {
        let column = |(column, field): (usize, &Arc<Field>)| {
            let values = values_of(field, time_format(column))?;
            Ok(Column { values, nulls: NullBufferBuilder::new(0) })
        };
        let columns = schema.fields().iter().enumerate().map(column).collect::<Result<_>>()?;
        Ok(ColumnsBuilder { schema: Arc::clone(schema), columns, rows: 0 })
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many rows there are since the last batch.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows since the last batch.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row that was cut from a line. The line is for the place of a fault.
    ///
    /// # Errors
    ///
    /// If a text is no value of its column, or null where the column has none. The row is not added then.
    pub fn push(&mut self, line: &str, row: &Row) -> Result<(), Fault> {
        self.push_fields(line, |column| row.get(column))
    }

    /// Adds a row of the field that `field` gives for each column; none is a null. They are parts of `line`, or else the place of a fault is its
    /// beginning.
    ///
    /// # Errors
    ///
    /// As [`ColumnsBuilder::push`].
    #[inline]
    pub fn push_fields<'a>(
        &mut self,
        line: &str,
        field: impl Fn(usize) -> Option<&'a str>,
    ) -> Result<(), Fault> {
        for (index, column) in self.columns.iter_mut().enumerate() {
            let text = field(index);
            let nullable = self.schema.fields().get(index).is_some_and(|field| field.is_nullable());
            let pushed = if text.is_none() && !nullable { Err(NO_VALUE) } else { column.push(text) };
            if let Err(invalid) = pushed {
                let rows = self.rows;
                self.columns.iter_mut().for_each(|column| column.truncate(rows));
                return Err(self.fault(index, line, text.unwrap_or_default(), invalid));
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows since the last batch, as one. The builder is empty then.
    ///
    /// # Errors
    ///
    /// If columns and schema do not fit, which is a bug.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let columns: Result<Vec<ArrayRef>> = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(take(&mut self.rows)));
        RecordBatch::try_new_with_options(self.schema.clone(), columns?, &options).map_err(internal)
    }

    #[cold]
    fn fault(&self, column: usize, line: &str, text: &str, invalid: Invalid) -> Fault {
        let name = self.schema.fields().get(column).map_or("", |field| field.name());
        Fault::in_value(name, offset_in(line, text), text, invalid)
    }
}

const NO_VALUE: Invalid = Invalid("the column has no value here, and must have one");

impl Column {
    #[inline]
    fn push(&mut self, text: Option<&str>) -> Result<(), Invalid> {
        self.values.push(text)?;
        self.nulls.append(text.is_some());
        Ok(())
    }

    /// Takes away what is beyond so many rows.
    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let nulls = self.nulls.finish().filter(|nulls| nulls.null_count() > 0);
        self.values.finish(nulls)
    }
}

/// Takes the values, and leaves a vector that is about as large as the next batch will be: it would be copied again and again while it
/// grows.
fn take_and_reserve<T>(values: &mut Vec<T>) -> Vec<T> {
    let likely = values.len() + values.len() / 8;
    replace(values, Vec::with_capacity(likely))
}

/// The values of a column, with something in place of nulls.
trait Values: Send {
    fn push(&mut self, text: Option<&str>) -> Result<(), Invalid>;
    fn truncate(&mut self, rows: usize);
    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef>;
}

struct Texts {
    bytes: Vec<u8>,
    /// Where each text begins, and where the last one ends.
    offsets: Vec<i32>,
}

impl Values for Texts {
    fn push(&mut self, text: Option<&str>) -> Result<(), Invalid> {
        let text = text.unwrap_or_default();
        let end = i32::try_from(self.bytes.len() + text.len())
            .map_err(|_| Invalid("the texts of this column are more than 2 GiB together"))?;
        self.bytes.extend_from_slice(text.as_bytes());
        self.offsets.push(end);
        Ok(())
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes.truncate(self.offsets.last().map_or(0, |&end| end.cast_unsigned() as usize));
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let offsets = take_and_reserve(&mut self.offsets);
        self.offsets.push(0);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let bytes = take_and_reserve(&mut self.bytes);
        Ok(Arc::new(StringArray::try_new(offsets, bytes.into(), nulls).map_err(internal)?))
    }
}

struct Booleans(Vec<bool>);

impl Values for Booleans {
    fn push(&mut self, text: Option<&str>) -> Result<(), Invalid> {
        self.0.push(text.map(boolean).transpose()?.unwrap_or_default());
        Ok(())
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        Ok(Arc::new(BooleanArray::new(take_and_reserve(&mut self.0).into(), nulls)))
    }
}

struct Numbers<T: ArrowPrimitiveType, F> {
    values: Vec<T::Native>,
    convert: F,
    data_type: DataType,
}

impl<T, F> Values for Numbers<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(&str) -> Result<T::Native, Invalid> + Send,
{
    fn push(&mut self, text: Option<&str>) -> Result<(), Invalid> {
        self.values.push(text.map(&self.convert).transpose()?.unwrap_or_default());
        Ok(())
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let array = PrimitiveArray::<T>::try_new(take_and_reserve(&mut self.values).into(), nulls)
            .map_err(internal)?;
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
    }
}

/// A time as its column has it.
///
/// A field must fit its column exactly; but the columns of logs have units of their own, which a clock may be finer than.
fn instant(text: &str, times: TimeFormat, unit: TimeUnit, is_local: bool) -> Result<i64, Invalid> {
    let time = times.parse(text)?;
    if times == TimeFormat::Rfc3339 {
        if is_local && has_zone(text) {
            return Err(Invalid("the time has a zone, and its column has times without one"));
        }
        if !time.is_whole_in(unit) {
            return Err(Invalid("the time is finer than the unit of its column"));
        }
    }
    time.in_unit(unit)
}

/// What holds and converts the values of a column.
fn values_of(field: &Field, times: TimeFormat) -> Result<Box<dyn Values>> {
    fn numbers<T: ArrowPrimitiveType>(
        field: &Field,
        convert: impl Fn(&str) -> Result<T::Native, Invalid> + Send + 'static,
    ) -> Box<dyn Values> {
        Box::new(Numbers::<T, _> { values: Vec::new(), convert, data_type: field.data_type().clone() })
    }
    Ok(match *field.data_type() {
        DataType::Utf8 => Box::new(Texts { bytes: Vec::new(), offsets: vec![0] }),
        DataType::Boolean => Box::new(Booleans(Vec::new())),
        DataType::Int8 => numbers::<Int8Type>(field, int),
        DataType::Int16 => numbers::<Int16Type>(field, int),
        DataType::Int32 => numbers::<Int32Type>(field, int),
        DataType::Int64 => numbers::<Int64Type>(field, int),
        DataType::UInt8 => numbers::<UInt8Type>(field, int),
        DataType::UInt16 => numbers::<UInt16Type>(field, int),
        DataType::UInt32 => numbers::<UInt32Type>(field, int),
        DataType::UInt64 => numbers::<UInt64Type>(field, int),
        DataType::Float32 => numbers::<Float32Type>(field, float32),
        DataType::Float64 => numbers::<Float64Type>(field, float),
        DataType::Date32 => numbers::<Date32Type>(field, date),
        DataType::Decimal128(precision, scale @ 0..) => {
            numbers::<Decimal128Type>(field, move |text| decimal(text, precision, scale.cast_unsigned()))
        }
        DataType::Timestamp(unit, ref zone) => {
            let is_local = zone.is_none();
            let convert = move |text: &str| instant(text, times, unit, is_local);
            match unit {
                TimeUnit::Second => numbers::<TimestampSecondType>(field, convert),
                TimeUnit::Millisecond => numbers::<TimestampMillisecondType>(field, convert),
                TimeUnit::Microsecond => numbers::<TimestampMicrosecondType>(field, convert),
                TimeUnit::Nanosecond => numbers::<TimestampNanosecondType>(field, convert),
            }
        }
        ref other => {
            let message = format!("text cannot be converted to column `{}`, which is {other}", field.name());
            return Err(Error::new(ErrorKind::Config, message).hint("read it as a string, and map it"));
        }
    })
}

#[cold]
fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, format!("columns of lines do not fit together: {error}")).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::Delimited;
    use crate::record::{Record, from_batch, schema};
    use crate::text::Text;
    use gristmill_derive::Record;

    #[derive(Record, Clone, Debug, PartialEq, Default)]
    struct Everything {
        flag: Option<bool>,
        small: Option<i8>,
        large: Option<u64>,
        single: Option<f32>,
        double: Option<f64>,
        text: Text,
        #[record(date)]
        day: Option<i32>,
        #[record(timestamp = "us")]
        at: Option<i64>,
        #[record(decimal(5, 2))]
        price: Option<i128>,
    }

    fn everything() -> (Delimited, ColumnsBuilder) {
        let fields = schema::<Everything>().fields().clone();
        let format = Delimited::new(b',', fields.iter().map(|field| field.name().clone())).unwrap().null("-");
        let columns = ColumnsBuilder::with_types(&format, fields).unwrap();
        (format, columns)
    }

    const FULL: &str = "true,-128,18446744073709551615,0.5,1e300,né,1970-01-02,1970-01-01T00:00:01Z,-1.5";

    #[test]
    fn every_type() {
        let (format, mut columns) = everything();
        let mut row = Row::new();
        for line in [FULL, "-,-,-,-,-,,-,-,-"] {
            format.cut(line, &mut row).unwrap();
            columns.push(line, &row).unwrap();
        }
        let full = Everything {
            flag: Some(true),
            small: Some(-128),
            large: Some(u64::MAX),
            single: Some(0.5),
            double: Some(1e300),
            text: "né".into(),
            day: Some(1),
            at: Some(1_000_000),
            price: Some(-150),
        };
        let batch = columns.finish().unwrap();
        assert_eq!(from_batch::<Everything>(&batch).unwrap(), [full, Everything::default()]);
        assert!(columns.is_empty() && columns.finish().unwrap().num_rows() == 0);
    }

    #[test]
    fn a_row_that_is_wrong_leaves_nothing() {
        let (format, mut columns) = everything();
        let nulls = "-,-,-,-,-,-,-,-,-";
        let lines = [FULL.replace("-1.5", "1.555"), nulls.to_owned(), FULL.replace("-128", "-129")];
        let reasons = [
            "the number has more digits after the point than its column (column `price`, value `1.555`, byte 77)",
            "the column has no value here, and must have one (column `text`, value ``, byte 0)",
            "the number is too small for its column (column `small`, value `-129`, byte 5)",
        ];
        let mut row = Row::new();
        for (line, reason) in lines.iter().zip(reasons) {
            format.cut(FULL, &mut row).unwrap();
            columns.push(FULL, &row).unwrap();
            format.cut(line, &mut row).unwrap();
            assert_eq!(columns.push(line, &row).unwrap_err().to_string(), reason);
        }
        let rows = from_batch::<Everything>(&columns.finish().unwrap()).unwrap();
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| row == &rows[0] && row.text == "né"));
    }

    #[test]
    fn types_that_text_is_not_converted_to() {
        let format = Delimited::new(b',', ["a"]).unwrap();
        let list = Field::new("a", Vec::<u8>::data_type(), false);
        let error = ColumnsBuilder::with_types(&format, vec![list].into()).unwrap_err();
        assert!(
            error.to_string().starts_with("text cannot be converted to column `a`, which is List"),
            "{error}"
        );
        assert!(ColumnsBuilder::with_types(&format, Fields::empty()).is_err());
    }
}
