//! [`Column`]: an Arrow array that knows its name, so that what does not fit can be said exactly.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StructArray};
use arrow::datatypes::DataType;

use super::similar::nearest;
use crate::error::{Error, ErrorKind, Place, Result};

/// An Arrow array together with its name, as it is read by [`Record::from_column`](super::Record::from_column).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::Int64Array;
/// use gristmill::record::{Column, Record};
///
/// let column = Column::new("bytes", Arc::new(Int64Array::from(vec![1, 2])));
/// assert_eq!(i64::from_column(&column)?, [1, 2]);
/// assert_eq!(u16::from_column(&column).unwrap_err().to_string(), "column `bytes` is Int64, not UInt16");
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Column {
    name: String,
    array: ArrayRef,
    numbering: Numbering,
}

/// What the positions in an array mean.
#[derive(Debug, Clone, Copy)]
enum Numbering {
    /// Position n is row n of the table.
    Rows,
    /// Positions count list items, or rows that are not null: they mean nothing to a reader.
    Other,
}

impl Column {
    /// A column of a table.
    pub fn new(name: impl Into<String>, array: ArrayRef) -> Column {
        Column { name: name.into(), array, numbering: Numbering::Rows }
    }

    /// The name; that of a field of a struct is preceded by that of the struct, as in `client.ip`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The values.
    pub fn array(&self) -> &ArrayRef {
        &self.array
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.array.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.array.is_empty()
    }

    /// The same rows in another representation.
    pub(super) fn with_array(&self, array: ArrayRef) -> Column {
        Column { name: self.name.clone(), array, numbering: self.numbering }
    }

    /// Other rows, or parts of rows, of the same column.
    pub(super) fn renumbered(&self, array: ArrayRef) -> Column {
        Column { name: self.name.clone(), array, numbering: Numbering::Other }
    }

    /// The values as those of a primitive Arrow type.
    ///
    /// # Errors
    ///
    /// If the column has another type, or a null.
    pub fn primitive<P: ArrowPrimitiveType>(&self) -> Result<&PrimitiveArray<P>> {
        let array = self.array.as_primitive_opt::<P>().ok_or_else(|| self.mismatch(&P::DATA_TYPE))?;
        self.without_nulls()?;
        Ok(array)
    }

    /// The field of a struct column that has a name.
    ///
    /// # Errors
    ///
    /// If this is no struct, has no such field, or has a null.
    pub fn child(&self, name: &str) -> Result<Column> {
        let array = self.structure()?;
        let child = array.column_by_name(name).ok_or_else(|| self.missing(name, array))?;
        Ok(self.child_named(name, child))
    }

    /// The fields of a struct column, of which there must be a certain number.
    ///
    /// # Errors
    ///
    /// If this is no struct, has another number of fields, or has a null.
    pub fn children(&self, count: usize) -> Result<Vec<Column>> {
        let array = self.structure()?;
        if array.num_columns() == count {
            let children = array.column_names().into_iter().zip(array.columns());
            return Ok(children.map(|(name, child)| self.child_named(name, child)).collect());
        }
        let message = format!(
            "{} has {} columns, where a tuple of {count} is to be read",
            self.subject(),
            array.num_columns()
        );
        let names = array.column_names().join("`, `");
        Err(Error::new(ErrorKind::Input, message).hint(format!("the columns are `{names}`")))
    }

    fn child_named(&self, name: &str, array: &ArrayRef) -> Column {
        let name = if self.name.is_empty() { name.to_owned() } else { format!("{}.{name}", self.name) };
        Column { name, array: array.clone(), numbering: self.numbering }
    }

    fn structure(&self) -> Result<&StructArray> {
        let array = self.array.as_struct_opt().ok_or_else(|| self.mismatch_with("a struct"))?;
        self.without_nulls()?;
        Ok(array)
    }

    /// Checks that no row is null.
    ///
    /// # Errors
    ///
    /// If one is; the first is named.
    pub fn without_nulls(&self) -> Result<()> {
        if self.array.null_count() == 0 {
            return Ok(());
        }
        let message = format!("{} has a null where a value is needed", self.subject());
        let error = Error::new(ErrorKind::Input, message).hint("read it as an `Option`");
        let row = (0..self.len()).find(|&row| self.array.is_null(row));
        Err(match (self.numbering, row) {
            (Numbering::Rows, Some(row)) => error.at(Place::row(row as u64)),
            _ => error,
        })
    }

    /// The error that this column does not have the type which is wanted.
    pub fn mismatch(&self, wanted: &DataType) -> Error {
        self.mismatch_with(&wanted.to_string())
    }

    fn mismatch_with(&self, wanted: &str) -> Error {
        Error::new(
            ErrorKind::Input,
            format!("{} is {}, not {wanted}", self.subject(), self.array.data_type()),
        )
    }

    fn missing(&self, name: &str, array: &StructArray) -> Error {
        let error = Error::new(ErrorKind::Input, format!("{} has no column `{name}`", self.subject()));
        match nearest(name, array.column_names()) {
            Some(similar) => error.hint(format!("the nearest name is `{similar}`")),
            None => error,
        }
    }

    /// How an error names the column.
    fn subject(&self) -> String {
        if self.name.is_empty() { "the table".to_owned() } else { format!("column `{}`", self.name) }
    }
}
