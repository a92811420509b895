//! Values of JSON, exactly: the decoder would drop digits of a decimal, the fraction of a whole number and of a second, and the time behind a date,
//! and take a float that is too large for infinity.
//!
//! So decimals are decoded with more digits than they may have, times as texts, whole numbers as decimals where a fraction may stand in the lines, and
//! what comes out is looked at.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::types::{
    ArrowPrimitiveType, Date32Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, ListArray, PrimitiveArray, RecordBatch, StructArray,
};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit, i256};

use crate::parse::{UnixTime, date, has_zone};

/// Digits behind the point of a decimal as it is decoded, and all its digits.
const SCALE: i8 = 38;
const PRECISION: u8 = 76;

/// The schema as it is decoded, with decimals and times that lose nothing; and whole numbers, if they may have `fractions`.
pub fn decoded_schema(schema: &Schema, fractions: bool) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| decoded_field(field, fractions));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn decoded_field(field: &FieldRef, fractions: bool) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Decimal128(..) => DataType::Decimal256(PRECISION, SCALE),
        whole if whole.is_integer() && fractions => DataType::Decimal256(PRECISION, SCALE),
        DataType::Timestamp(..) | DataType::Date32 => DataType::Utf8,
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| decoded_field(field, fractions)).collect())
        }
        DataType::List(item) => DataType::List(decoded_field(item, fractions)),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

/// Whether a number with a fraction or an exponent may stand in a text; in its strings it does not matter.
pub fn may_have_fraction(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr3_iter(b'.', b'e', b'E', bytes).any(|at| at > 0 && bytes[at - 1].is_ascii_digit())
}

/// The rows as the schema has them, or the column that cannot hold one of its values.
pub fn exact<'a>(rows: &RecordBatch, schema: &'a SchemaRef) -> Result<RecordBatch, &'a str> {
    let columns = schema.fields().iter().zip(rows.columns());
    let exact = |(field, array): (&'a FieldRef, &ArrayRef)| {
        exact_array(array, field.data_type()).ok_or(field.name().as_str())
    };
    let columns = columns.map(exact).collect::<Result<Vec<_>, _>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|_| "")
}

/// The values as a type has them; none if it cannot have one of them.
fn exact_array(array: &ArrayRef, wanted: &DataType) -> Option<ArrayRef> {
    match wanted {
        DataType::Float32 => array
            .as_primitive::<Float32Type>()
            .iter()
            .flatten()
            .all(f32::is_finite)
            .then(|| Arc::clone(array)),
        DataType::Float64 => array
            .as_primitive::<Float64Type>()
            .iter()
            .flatten()
            .all(f64::is_finite)
            .then(|| Arc::clone(array)),
        DataType::Decimal128(precision, scale) => exact_decimals(array, *precision, *scale),
        whole if whole.is_integer() && array.data_type() != whole => match whole {
            DataType::Int8 => exact_wholes::<Int8Type>(array),
            DataType::Int16 => exact_wholes::<Int16Type>(array),
            DataType::Int32 => exact_wholes::<Int32Type>(array),
            DataType::Int64 => exact_wholes::<Int64Type>(array),
            DataType::UInt8 => exact_wholes::<UInt8Type>(array),
            DataType::UInt16 => exact_wholes::<UInt16Type>(array),
            DataType::UInt32 => exact_wholes::<UInt32Type>(array),
            _ => exact_wholes::<UInt64Type>(array),
        },
        DataType::Date32 => mapped::<Date32Type>(array, |text| date(text).ok()),
        DataType::Timestamp(unit, zone) => {
            let is_local = zone.is_none();
            let zone: Tz = zone.as_deref().unwrap_or("UTC").parse().ok()?;
            let instant =
                |text: &str| exact_instant(text, *unit, zone).filter(|_| !is_local || !has_zone(text));
            let instants = match unit {
                TimeUnit::Second => mapped::<TimestampSecondType>(array, instant),
                TimeUnit::Millisecond => mapped::<TimestampMillisecondType>(array, instant),
                TimeUnit::Microsecond => mapped::<TimestampMicrosecondType>(array, instant),
                TimeUnit::Nanosecond => mapped::<TimestampNanosecondType>(array, instant),
            };
            Some(cast(&instants?, wanted).ok()?)
        }
        DataType::Struct(fields) => {
            let structs = array.as_struct();
            let columns = fields.iter().zip(structs.columns());
            let columns = columns.map(|(field, column)| exact_array(column, field.data_type()));
            let columns = columns.collect::<Option<Vec<_>>>()?;
            let (nulls, len) = (structs.nulls().cloned(), structs.len());
            Some(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, len).ok()?))
        }
        DataType::List(item) => {
            let lists = array.as_list::<i32>();
            let values = exact_array(lists.values(), item.data_type())?;
            let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
            Some(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, nulls).ok()?))
        }
        _ => Some(Arc::clone(array)),
    }
}

/// Whole numbers that were decoded as decimals.
fn exact_wholes<T: ArrowPrimitiveType>(array: &ArrayRef) -> Option<ArrayRef>
where
    T::Native: TryFrom<i128>,
{
    let unit = i256::from_i128(10).checked_pow(u32::from(SCALE.unsigned_abs()))?;
    let whole = |value: i256| {
        let is_whole = value.checked_rem(unit)? == i256::ZERO;
        T::Native::try_from(value.checked_div(unit)?.to_i128()?).ok().filter(|_| is_whole)
    };
    let values = array.as_primitive::<Decimal256Type>().iter();
    let values = values.map(|value| value.map_or(Some(None), |value| whole(value).map(Some)));
    Some(Arc::new(PrimitiveArray::<T>::from_iter(values.collect::<Option<Vec<_>>>()?)))
}

/// What a function makes of texts; none if it makes nothing of one of them.
fn mapped<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    of: impl Fn(&str) -> Option<T::Native>,
) -> Option<ArrayRef> {
    let values = array.as_string::<i32>().iter();
    let values = values.map(|text| text.map_or(Some(None), |text| of(text).map(Some)));
    Some(Arc::new(PrimitiveArray::<T>::from_iter(values.collect::<Option<Vec<_>>>()?)))
}

/// The time of a text, which has the zone of its column if it says none.
fn exact_instant(text: &str, unit: TimeUnit, zone: Tz) -> Option<i64> {
    let time = string_to_datetime(&zone, text).ok()?;
    let time = UnixTime { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos() };
    time.is_whole_in(unit).then(|| time.in_unit(unit).ok()).flatten()
}

fn exact_decimals(array: &ArrayRef, precision: u8, scale: i8) -> Option<ArrayRef> {
    let decimals = array.as_primitive::<Decimal256Type>();
    let unit = i256::from_i128(10).checked_pow(u32::try_from(SCALE - scale).ok()?)?;
    let limit = i256::from_i128(10).checked_pow(u32::from(precision))?;
    let value = |value: i256| {
        let exact = value.checked_rem(unit)? == i256::ZERO;
        let value = value.checked_div(unit)?;
        (exact && value < limit && value > -limit).then(|| value.to_i128()).flatten()
    };
    let values = decimals.iter().map(|decimal| match decimal {
        Some(decimal) => value(decimal).map(Some),
        None => Some(None),
    });
    let values = values.collect::<Option<Vec<Option<i128>>>>()?;
    Some(Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).ok()?))
}
