//! Numbers of JSON, exactly: the decoder would drop digits of a decimal, and take a float that is too large for infinity.
//!
//! So decimals are decoded with more digits than they may have, and what comes out is looked at.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, ListArray, RecordBatch, StructArray};
use arrow::datatypes::{
    DataType, Decimal256Type, Field, FieldRef, Float32Type, Float64Type, Schema, SchemaRef, i256,
};

/// Digits behind the point of a decimal as it is decoded, and all its digits.
const SCALE: i8 = 38;
const PRECISION: u8 = 76;

/// The schema with decimals that lose no digit.
pub fn decoded_schema(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(decoded_field).collect::<Vec<_>>()))
}

fn decoded_field(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Decimal128(..) => DataType::Decimal256(PRECISION, SCALE),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(decoded_field).collect()),
        DataType::List(item) => DataType::List(decoded_field(item)),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
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
