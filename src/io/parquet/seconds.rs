//! Instants in whole seconds, which Parquet has no type for: they are stored in milliseconds, as pyarrow and others do.
//!
//! Without this, the column would be a plain integer to every reader that does not look at the Arrow schema in the metadata.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

/// The schema under which a table is stored.
pub(super) fn stored_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(stored_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn stored_field(field: &FieldRef) -> FieldRef {
    let stored = match field.data_type() {
        DataType::Timestamp(TimeUnit::Second, zone) => {
            DataType::Timestamp(TimeUnit::Millisecond, zone.clone())
        }
        DataType::List(item) => DataType::List(stored_field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(stored_field).collect()),
        _ => return field.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(stored))
}

/// A column as it is stored in this field.
///
/// # Errors
///
/// If an instant is so far away that its milliseconds do not fit into 64 bits.
pub(super) fn stored_column(column: &ArrayRef, field: &Field) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == field.data_type() {
        return Ok(column.clone());
    }
    let exactly = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, field.data_type(), &exactly)
}
