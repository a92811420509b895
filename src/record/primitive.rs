//! Columns of numbers, of booleans, and of nothing.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, NullArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::{Column, Record, Rows};
use crate::error::{Error, ErrorKind, Result};

/// An error of Arrow about what this module made itself.
pub(super) fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, format!("a column came out inconsistent: {error}")).because(error)
}

/// The array of `len` values.
#[inline]
fn filled<P: ArrowPrimitiveType>(
    values: impl Iterator<Item = P::Native>,
    nulls: Option<NullBuffer>,
    len: usize,
) -> Result<PrimitiveArray<P>> {
    let mut native = Vec::with_capacity(len);
    native.extend(values);
    PrimitiveArray::try_new(native.into(), nulls).map_err(internal)
}

/// A number that is its own Arrow value.
macro_rules! number {
    ($($number:ty => $arrow:ty),* $(,)?) => {$(
        impl Record for $number {
            fn data_type() -> DataType {
                <$arrow>::DATA_TYPE
            }

            #[inline]
            fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
                let values = rows.map(|row| row.copied().unwrap_or_default());
                Ok(Arc::new(filled::<$arrow>(values, nulls, len)?))
            }

            #[inline]
            fn from_column(column: &Column) -> Result<Vec<Self>> {
                Ok(column.primitive::<$arrow>()?.values().to_vec())
            }
        }
    )*};
}

number! {
    i8 => Int8Type, i16 => Int16Type, i32 => Int32Type, i64 => Int64Type,
    u8 => UInt8Type, u16 => UInt16Type, u32 => UInt32Type, u64 => UInt64Type,
    f32 => Float32Type, f64 => Float64Type,
}

/// A number that is stored as another of the same width; lib.rs refuses platforms where it is not.
macro_rules! pointer_sized {
    ($($number:ty => $stored:ty, $arrow:ty),* $(,)?) => {$(
        impl Record for $number {
            fn data_type() -> DataType {
                <$arrow>::DATA_TYPE
            }

            #[inline]
            fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
                let values = rows.map(|row| row.map_or(0, |&number| number as $stored));
                Ok(Arc::new(filled::<$arrow>(values, nulls, len)?))
            }

            #[inline]
            fn from_column(column: &Column) -> Result<Vec<Self>> {
                Ok(column.primitive::<$arrow>()?.values().iter().map(|&number| number as $number).collect())
            }
        }
    )*};
}

pointer_sized!(isize => i64, Int64Type, usize => u64, UInt64Type);

/// All of `i128` comes back as it was. Other programs may refuse what has 39 digits.
impl Record for i128 {
    fn data_type() -> DataType {
        DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)
    }

    #[inline]
    fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
        let values = rows.map(|row| row.copied().unwrap_or_default());
        Ok(Arc::new(filled::<Decimal128Type>(values, nulls, len)?.with_data_type(Self::data_type())))
    }

    #[inline]
    fn from_column(column: &Column) -> Result<Vec<Self>> {
        if *column.array().data_type() != Self::data_type() {
            return Err(column.mismatch(&Self::data_type()));
        }
        Ok(column.primitive::<Decimal128Type>()?.values().to_vec())
    }
}

impl Record for bool {
    fn data_type() -> DataType {
        DataType::Boolean
    }

    #[inline]
    fn to_array<'a>(
        mut rows: impl Rows<'a, Self>,
        nulls: Option<NullBuffer>,
        len: usize,
    ) -> Result<ArrayRef> {
        let values = BooleanBuffer::collect_bool(len, |_| rows.next().flatten().copied().unwrap_or_default());
        Ok(Arc::new(BooleanArray::new(values, nulls)))
    }

    fn from_column(column: &Column) -> Result<Vec<Self>> {
        let array = column.array().as_boolean_opt().ok_or_else(|| column.mismatch(&DataType::Boolean))?;
        column.without_nulls()?;
        Ok(array.values().iter().collect())
    }
}

/// Arrow and Parquet hold no empty struct, but a column in which every row is null.
impl Record for () {
    const NULLABLE: bool = true;

    fn data_type() -> DataType {
        DataType::Null
    }

    fn to_array<'a>(_: impl Rows<'a, Self>, _: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
        Ok(Arc::new(NullArray::new(len)))
    }

    fn from_column(column: &Column) -> Result<Vec<Self>> {
        match column.array().data_type() {
            DataType::Null => Ok(vec![(); column.len()]),
            _ => Err(column.mismatch(&DataType::Null)),
        }
    }
}
