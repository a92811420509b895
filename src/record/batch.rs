//! Whole tables: rows to a record batch and back, and other names for its columns.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::primitive::internal;
use super::{Column, Record};
use crate::error::{Error, ErrorKind, Result};

/// The name of the only column of a type that is no struct.
const VALUE: &str = "value";

/// Whether the fields of a type become the columns of a table.
fn is_table<T: Record>(data_type: &DataType) -> bool {
    !T::NULLABLE && matches!(data_type, DataType::Struct(_))
}

/// The schema of a table of `T`.
///
/// # Examples
///
/// ```
/// use gristmill::record::schema;
///
/// assert_eq!(schema::<(String, u64)>().field(1).name(), "_2");
/// assert_eq!(schema::<u64>().field(0).name(), "value");
/// ```
pub fn schema<T: Record>() -> SchemaRef {
    match T::data_type() {
        DataType::Struct(fields) if !T::NULLABLE => Arc::new(Schema::new(fields)),
        other => Arc::new(Schema::new(vec![Field::new(VALUE, other, T::NULLABLE)])),
    }
}

/// The table of some rows.
///
/// It is fastest for batches of some thousand rows. Each column is a pass over all of them, so they should stay in the
/// cache of the core: 8192 rows of 120 bytes do; of 65,536 each takes a third longer, of 200,000 five times as long.
///
/// # Errors
///
/// As [`Record::to_array`].
pub fn to_batch<T: Record>(rows: &[T]) -> Result<RecordBatch> {
    batch_of(rows.iter(), rows.len())
}

/// The table of `len` rows that lie anywhere, such as those of one partition.
///
/// # Errors
///
/// As [`Record::to_array`]; also if there are not `len` rows.
///
/// # Examples
///
/// ```
/// use gristmill::record::batch_of;
///
/// let rows = ["a", "b", "c"].map(String::from);
/// let batch = batch_of([2, 0].iter().map(|&row: &usize| &rows[row]), 2)?;
/// assert_eq!(batch.num_rows(), 2);
/// # Ok::<(), gristmill::Error>(())
/// ```
#[inline]
pub fn batch_of<'a, T: Record>(rows: impl Iterator<Item = &'a T> + Clone, len: usize) -> Result<RecordBatch> {
    let array = T::to_array(rows.map(Some), None, len)?;
    let columns =
        if is_table::<T>(array.data_type()) { array.as_struct().columns().to_vec() } else { vec![array] };
    assemble(schema::<T>(), columns, len)
}

fn assemble(schema: SchemaRef, columns: Vec<ArrayRef>, len: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(len));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(internal)
}

/// The rows of a table.
///
/// The columns of a struct are found by their names, in any order and among others; those of a tuple by their
/// positions. Any other type is read from the only column, or from the one named `value`.
///
/// # Errors
///
/// If a column is missing, which names the nearest one; otherwise as [`Record::from_column`].
pub fn from_batch<T: Record>(batch: &RecordBatch) -> Result<Vec<T>> {
    if is_table::<T>(&T::data_type()) {
        return T::from_column(&Column::new("", Arc::new(StructArray::from(batch.clone()))));
    }
    let name = match batch.schema_ref().fields().as_ref() {
        [only] => only.name().clone(),
        _ => VALUE.to_owned(),
    };
    T::from_column(&Column::new("", Arc::new(StructArray::from(batch.clone()))).child(&name)?)
}

/// The schema with other names for its columns, in order.
///
/// # Errors
///
/// If there are not as many names as columns, or if a name is empty or comes twice.
pub fn rename_schema(schema: &Schema, names: &[impl AsRef<str>]) -> Result<SchemaRef> {
    let fields = schema.fields();
    if fields.len() != names.len() {
        let current = fields.iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join("`, `");
        let message = format!("{} names are given for {} columns", names.len(), fields.len());
        return Err(Error::new(ErrorKind::Config, message).hint(format!("the columns are `{current}`")));
    }
    check_names(names)?;
    let renamed =
        fields.iter().zip(names).map(|(field, name)| field.as_ref().clone().with_name(name.as_ref()));
    Ok(Arc::new(Schema::new(renamed.collect::<Vec<_>>())))
}

fn check_names(names: &[impl AsRef<str>]) -> Result<()> {
    let mut seen = HashSet::new();
    for name in names.iter().map(AsRef::as_ref) {
        if name.is_empty() {
            return Err(Error::new(ErrorKind::Config, "the name of a column is empty"));
        }
        if !seen.insert(name) {
            return Err(Error::new(ErrorKind::Config, format!("two columns are named `{name}`")));
        }
    }
    Ok(())
}

/// The table with other names for its columns, in order.
///
/// # Errors
///
/// If there are not as many names as columns, or if a name is empty or comes twice.
///
/// # Examples
///
/// ```
/// use gristmill::record::{to_batch, with_names};
///
/// let batch = with_names(&to_batch(&[("mill".to_owned(), 3_u64)])?, &["word", "count"])?;
/// assert_eq!(batch.schema().field(0).name(), "word");
/// assert!(with_names(&batch, &["word"]).is_err());
/// # Ok::<(), gristmill::Error>(())
/// ```
pub fn with_names(batch: &RecordBatch, names: &[impl AsRef<str>]) -> Result<RecordBatch> {
    let schema = rename_schema(batch.schema_ref(), names)?;
    assemble(schema, batch.columns().to_vec(), batch.num_rows())
}
