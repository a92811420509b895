//! Rows of a table as bytes, in arrow's row format: the bytes of two rows compare as the rows do, and give the columns back.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, RecordBatch, new_null_array};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type, Schema};
use arrow::row::{RowConverter, RowParser, Rows, SortField};

use crate::error::{Error, ErrorKind, Result};
use crate::record::Bytes;

/// Some columns of a table, and how their values become bytes.
pub(super) struct RowFormat {
    /// Where each of them stands in the table, and its type there.
    columns: Vec<(usize, DataType)>,
    purpose: Purpose,
    /// None of no columns: it would take them for no rows.
    converter: Option<(RowConverter, RowParser)>,
}

/// What the bytes are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To be compared: values that are equal have the same bytes.
    Keys,
    /// To give every value back as it was, to the bit.
    Values,
}

/// The rows of a batch as bytes.
pub(super) struct Encoded(Option<Rows>);

impl Encoded {
    /// Those of a row.
    #[inline]
    pub(super) fn row(&self, row: usize) -> &[u8] {
        self.0.as_ref().map_or(&[], |rows| rows.row(row).data())
    }
}

impl RowFormat {
    /// The bytes by which rows are ordered: by the first of these columns, among equals by the second, ….
    ///
    /// Floats are ordered as [`Total`](crate::Total): zeros are equal and come back as `0.0`, and all NaNs come back as one.
    ///
    /// # Errors
    ///
    /// If the values of a column have no order: those of lists, structs and maps.
    pub(super) fn of_keys(schema: &Schema, columns: &[(usize, SortOptions)]) -> Result<RowFormat> {
        for &(at, _) in columns {
            check_order(schema, at)?;
        }
        RowFormat::new(schema, columns, Purpose::Keys)
    }

    /// The bytes that hold all values of some columns.
    ///
    /// # Errors
    ///
    /// If a column is of a type that cannot be held so.
    pub(super) fn of_values(schema: &Schema, columns: impl Iterator<Item = usize>) -> Result<RowFormat> {
        let columns: Vec<_> = columns.map(|at| (at, SortOptions::default())).collect();
        RowFormat::new(schema, &columns, Purpose::Values)
    }

    fn new(schema: &Schema, columns: &[(usize, SortOptions)], purpose: Purpose) -> Result<RowFormat> {
        let data_type = |at: usize| schema.field(at).data_type();
        let field = |&(at, options): &(usize, SortOptions)| {
            SortField::new_with_options(plain(data_type(at)).clone(), options)
        };
        let converter = if columns.is_empty() {
            None
        } else {
            let converter = RowConverter::new(columns.iter().map(field).collect()).map_err(|error| {
                Error::new(ErrorKind::Config, format!("a column cannot be held as rows: {error}"))
                    .hint("leave it out (--select)")
            })?;
            let parser = converter.parser();
            Some((converter, parser))
        };
        let columns = columns.iter().map(|&(at, _)| (at, data_type(at).clone())).collect();
        Ok(RowFormat { columns, purpose, converter })
    }

    /// Where those of its columns stand whose values come back as they were, to the bit.
    pub(super) fn exact(&self) -> impl Iterator<Item = usize> {
        let is_exact = |data_type| self.purpose == Purpose::Values || !plain(data_type).is_floating();
        self.columns.iter().filter(move |(_, data_type)| is_exact(data_type)).map(|(at, _)| *at)
    }

    /// Where its columns stand.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().map(|(at, _)| *at)
    }

    /// The rows of a batch.
    ///
    /// # Errors
    ///
    /// If the batch has other columns.
    pub(super) fn encode(&self, batch: &RecordBatch) -> Result<Encoded> {
        self.encode_columns(self.columns().map(|at| batch.column(at)))
    }

    /// A row of nulls.
    ///
    /// # Errors
    ///
    /// None that an input can cause.
    pub(super) fn null(&self) -> Result<Bytes> {
        let columns: Vec<_> =
            self.columns.iter().map(|(_, data_type)| new_null_array(data_type, 1)).collect();
        Ok(Bytes::from(self.encode_columns(columns.iter())?.row(0)))
    }

    fn encode_columns<'a>(&self, columns: impl Iterator<Item = &'a ArrayRef>) -> Result<Encoded> {
        let Some((converter, _)) = &self.converter else { return Ok(Encoded(None)) };
        let column = |column: &ArrayRef| {
            let column = unpacked(column)?;
            Ok(if self.purpose == Purpose::Keys { one_of_equals(column) } else { column })
        };
        let columns = columns.map(column).collect::<Result<Vec<_>>>()?;
        converter.convert_columns(&columns).map(|rows| Encoded(Some(rows))).map_err(internal)
    }

    /// The columns of some rows, in its own order, each of the type that it has in the table.
    ///
    /// # Errors
    ///
    /// None that an input can cause: the bytes are those of [`RowFormat::encode`].
    pub(super) fn decode<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let Some((converter, parser)) = &self.converter else { return Ok(Vec::new()) };
        let plain = converter.convert_rows(rows.map(|row| parser.parse(row))).map_err(internal)?;
        let typed = plain.iter().zip(&self.columns).map(|(column, (_, data_type))| cast(column, data_type));
        typed.collect::<std::result::Result<_, _>>().map_err(internal)
    }
}

/// The type of the values of a dictionary; any other type itself.
fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn unpacked(column: &ArrayRef) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::Dictionary(_, values) => cast(column, values).map_err(internal),
        _ => Ok(ArrayRef::clone(column)),
    }
}

/// The column with one representative of all floats that are equal.
fn one_of_equals(column: ArrayRef) -> ArrayRef {
    macro_rules! floats {
        ($arrow:ty) => {{
            type Float = <$arrow as ArrowPrimitiveType>::Native;
            let one = |float: Float| if float.is_nan() { Float::NAN } else { float + Float::default() };
            std::sync::Arc::new(column.as_primitive::<$arrow>().unary::<_, $arrow>(one))
        }};
    }
    match column.data_type() {
        DataType::Float16 => floats!(Float16Type),
        DataType::Float32 => floats!(Float32Type),
        DataType::Float64 => floats!(Float64Type),
        _ => column,
    }
}

fn check_order(schema: &Schema, at: usize) -> Result<()> {
    let field = schema.field(at);
    if !plain(field.data_type()).is_nested() {
        return Ok(());
    }
    let (name, data_type) = (field.name().escape_debug(), field.data_type());
    Err(Error::new(ErrorKind::Config, format!("the column `{name}` has no order: it is {data_type}"))
        .hint("choose a column of numbers, texts, dates, times or booleans"))
}

/// An error of arrow about what this module made itself.
fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, format!("rows of a table are inconsistent: {error}")).because(error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, Float64Array, Int64Array, StringArray};
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    fn batch() -> RecordBatch {
        let floats = [Some(-0.0), None, Some(0.0), Some(f64::NAN), Some(-f64::NAN), Some(f64::INFINITY)];
        let words: DictionaryArray<Int32Type> =
            [Some("b"), None, Some("a"), Some(""), Some("b"), Some("b\0")].into_iter().collect();
        let numbers = Int64Array::from(vec![Some(1), None, Some(-1), Some(i64::MIN), Some(0), Some(2)]);
        let columns: [(&str, ArrayRef); 3] = [
            ("float", Arc::new(Float64Array::from(floats.to_vec()))),
            ("word", Arc::new(words)),
            ("number", Arc::new(numbers)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    #[test]
    fn values_come_back_to_the_bit_and_with_their_types() {
        let batch = batch();
        let format = RowFormat::of_values(&batch.schema(), [2, 0, 1].into_iter()).unwrap();
        let encoded = format.encode(&batch).unwrap();
        let columns = format.decode((0..6).map(|row| encoded.row(row))).unwrap();
        assert_eq!([&columns[0], &columns[2]], [batch.column(2), batch.column(1)]);
        let bits = |column: &ArrayRef| -> Vec<Option<u64>> {
            column.as_primitive::<Float64Type>().iter().map(|float| float.map(f64::to_bits)).collect()
        };
        assert_eq!(bits(&columns[1]), bits(batch.column(0)));
        assert_eq!(format.exact().collect::<Vec<_>>(), [2, 0, 1]);
    }

    #[test]
    fn keys_are_ordered_as_totals() {
        let batch = batch();
        let options = SortOptions { descending: false, nulls_first: false };
        let format = RowFormat::of_keys(&batch.schema(), &[(0, options)]).unwrap();
        let encoded = format.encode(&batch).unwrap();
        let mut order: Vec<usize> = (0..6).collect();
        order.sort_by_key(|&row| encoded.row(row));
        assert_eq!(order, [0, 2, 5, 3, 4, 1]);
        assert_eq!(encoded.row(0), encoded.row(2));
        assert_eq!(encoded.row(3), encoded.row(4));
        assert_eq!(encoded.row(1), format.null().unwrap().as_slice());
        assert_eq!(format.exact().count(), 0);
        assert!(
            format.decode([encoded.row(0)].into_iter()).unwrap()[0]
                .as_primitive::<Float64Type>()
                .value(0)
                .is_sign_positive()
        );
    }

    #[test]
    fn no_columns_are_empty_rows_and_lists_have_no_order() {
        let batch = batch();
        let format = RowFormat::of_values(&batch.schema(), [].into_iter()).unwrap();
        assert_eq!(format.encode(&batch).unwrap().row(5), [0; 0]);
        assert!(format.decode([&[][..]].into_iter()).unwrap().is_empty());
        let list = Schema::new(vec![Field::new("tags", DataType::new_list(DataType::Utf8, true), true)]);
        let error = RowFormat::of_keys(&list, &[(0, SortOptions::default())]).err().unwrap();
        assert!(error.to_string().contains("`tags` has no order: it is List(Utf8)"), "{error}");
        let tags = StringArray::from(vec!["a"]);
        let wrong = RecordBatch::try_from_iter([("tags", Arc::new(tags) as ArrayRef)]).unwrap();
        let format = RowFormat::of_values(&list, [0].into_iter()).unwrap();
        assert_eq!(format.encode(&wrong).err().unwrap().kind(), ErrorKind::Internal);
    }
}
