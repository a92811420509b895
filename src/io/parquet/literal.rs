//! What a filter compares with, as a value of the type that a column has.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, Scalar, StringArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::filter::Literal;
use crate::error::{Error, ErrorKind, Result};
use crate::parse::{self, UnixTime};

/// Integers that every float of 64 bits stands for exactly.
const MAX_EXACT: i128 = 1 << 53;

/// The literal as a value of a column; a float of 64 bits for one of 32.
///
/// # Errors
///
/// If it is none, or a filter cannot be about columns of this type.
pub(super) fn scalar(literal: &Literal, field: &Field) -> Result<Scalar<ArrayRef>> {
    let data_type = field.data_type();
    let array: Option<ArrayRef> = match data_type {
        DataType::Boolean => match literal {
            Literal::Bool(value) => Some(Arc::new(BooleanArray::from(vec![*value]))),
            _ => None,
        },
        DataType::Utf8 => match literal {
            Literal::Text(text) => Some(Arc::new(StringArray::from(vec![text.as_str()]))),
            _ => None,
        },
        DataType::Int8 => int::<Int8Type>(literal),
        DataType::Int16 => int::<Int16Type>(literal),
        DataType::Int32 => int::<Int32Type>(literal),
        DataType::Int64 => int::<Int64Type>(literal),
        DataType::UInt8 => int::<UInt8Type>(literal),
        DataType::UInt16 => int::<UInt16Type>(literal),
        DataType::UInt32 => int::<UInt32Type>(literal),
        DataType::UInt64 => int::<UInt64Type>(literal),
        DataType::Float32 | DataType::Float64 => float(literal).map(one::<Float64Type>),
        DataType::Date32 => match literal {
            Literal::Text(text) => parse::date(text).ok().map(one::<Date32Type>),
            other => int::<Date32Type>(other),
        },
        DataType::Decimal128(precision, scale @ 0..) => {
            let text = match literal {
                Literal::Text(text) => text.clone(),
                Literal::Int(value) => value.to_string(),
                _ => String::new(),
            };
            let value = parse::decimal(&text, *precision, scale.cast_unsigned()).ok();
            value.map(|value| retyped::<Decimal128Type>(value, data_type))
        }
        DataType::Timestamp(unit, _) => instant(literal, *unit).map(|value| match unit {
            TimeUnit::Second => retyped::<TimestampSecondType>(value, data_type),
            TimeUnit::Millisecond => retyped::<TimestampMillisecondType>(value, data_type),
            TimeUnit::Microsecond => retyped::<TimestampMicrosecondType>(value, data_type),
            TimeUnit::Nanosecond => retyped::<TimestampNanosecondType>(value, data_type),
        }),
        _ => return Err(not_comparable(field)),
    };
    array.map(Scalar::new).ok_or_else(|| no_value(literal, field))
}

fn one<T: ArrowPrimitiveType>(value: T::Native) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_iter_values([value]))
}

/// A value of a type that says more than how values are stored, such as their zone.
fn retyped<T: ArrowPrimitiveType>(value: T::Native, data_type: &DataType) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_iter_values([value]).with_data_type(data_type.clone()))
}

fn int<T: ArrowPrimitiveType>(literal: &Literal) -> Option<ArrayRef>
where
    T::Native: TryFrom<i128>,
{
    match literal {
        Literal::Int(value) => T::Native::try_from(*value).ok().map(one::<T>),
        _ => None,
    }
}

fn float(literal: &Literal) -> Option<f64> {
    match literal {
        Literal::Float(value) => Some(*value),
        Literal::Int(value) if value.abs() <= MAX_EXACT => Some(*value as f64),
        _ => None,
    }
}

fn instant(literal: &Literal, unit: TimeUnit) -> Option<i64> {
    let time = match literal {
        Literal::Text(text) => parse::rfc3339(text).ok()?,
        Literal::Time(time) => *time,
        _ => return None,
    };
    let value = time.in_unit(unit).ok()?;
    // In a coarser unit it would be another instant.
    let back = UnixTime { seconds: time.seconds, nanos: 0 }.in_unit(unit).ok()?;
    let nanos = i128::from(value - back) * i128::from(nanos_of(unit));
    (nanos == i128::from(time.nanos)).then_some(value)
}

fn nanos_of(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1000,
        TimeUnit::Nanosecond => 1,
    }
}

fn no_value(literal: &Literal, field: &Field) -> Error {
    let (name, data_type) = (field.name(), field.data_type());
    let message = format!(
        "column `{name}` is {data_type}, and the filter compares it with {literal}, which is no value of it"
    );
    let hint = match data_type {
        DataType::Date32 => "give a text such as \"2026-01-31\", or the days since 1970",
        DataType::Timestamp(..) => {
            "give a text of RFC 3339 such as \"2026-01-31T23:59:59Z\", or a `UnixTime`"
        }
        DataType::Decimal128(..) => "give a text such as \"0.05\", with no more digits than the column has",
        DataType::Utf8 => "give a text",
        DataType::Boolean => "give `true` or `false`",
        _ => "give a number that the column can hold",
    };
    Error::new(ErrorKind::Config, message).hint(hint)
}

fn not_comparable(field: &Field) -> Error {
    let message =
        format!("column `{}` is {}, which a filter cannot compare", field.name(), field.data_type());
    Error::new(ErrorKind::Config, message).hint("filter the rows that are read instead")
}
