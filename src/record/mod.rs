//! Rows and Arrow columns: [`Record`] maps a type to one column and back, [`Key`] gives it a hash that never changes.
//!
//! Spill files, output files and the exchange with other programs all use this one mapping. It works column by column:
//! to write a struct is to write each of its fields in one loop over all rows, so that the loops are as tight as
//! those over plain vectors, and nothing is decided once a row. See [`Record`] for the types.

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

use crate::error::Result;
use crate::text::Text;

mod batch;
mod bytes;
mod column;
#[doc(hidden)]
pub mod derived;
mod hash;
mod key;
mod nested;
mod pack;
mod primitive;
mod similar;
mod string;
mod total;
mod tuple;

pub use batch::{batch_of, from_batch, rename_schema, schema, to_batch, with_names};
pub(crate) use bytes::Bytes;
pub use column::Column;
pub use key::Key;
pub use pack::pack;
pub(crate) use similar::nearest;
pub use total::{Float, Total};

/// Anything a dataset may hold: a type that can be cloned, sent to another thread, and that borrows nothing.
///
/// It is implemented for every such type; there is nothing to derive. Only what leaves memory must be a [`Record`].
pub trait Data: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> Data for T {}

/// The rows that a column is made of, in order, and as often as asked for: an iterator that can be cloned.
///
/// `None` stands for a row whose value nobody will look at, since the row, or what contains it, is null. It is
/// implemented for every such iterator.
pub trait Rows<'a, T: 'a>: Iterator<Item = Option<&'a T>> + Clone {}

impl<'a, T: 'a, I: Iterator<Item = Option<&'a T>> + Clone> Rows<'a, T> for I {}

/// A type that maps to one Arrow column, and back.
///
/// | Rust | Arrow |
/// |---|---|
/// | `i8` to `i64`, `u8` to `u64`, `f32`, `f64`, `bool` | the same |
/// | `isize`, `usize` | `Int64`, `UInt64` |
/// | `i128` | `Decimal128(38, 0)` |
/// | [`Text`], `String` | `Utf8` |
/// | `Option<T>` | the column of `T`, nullable |
/// | `Vec<T>` | `List` |
/// | `Box<T>` | the column of `T` |
/// | a struct with `#[derive(Record)]` | `Struct` with a field for each of its fields |
/// | a tuple of 1 to 12 | `Struct` with the fields `_1`, `_2`, … |
/// | `()` | `Null` |
///
/// As the type of a dataset, a struct or tuple is a table: its fields are the columns. Any other type is a table of one
/// column, named `value`. A struct is read by the names of its columns, in any order; a tuple by their positions.
///
/// A type that contains itself, such as a tree, has no finite column and cannot be a record. Neither can an `Option` of
/// what is nullable already: an inner and an outer `None` would look the same.
///
/// # Examples
///
/// ```
/// use gristmill::record::{from_batch, to_batch};
/// use gristmill::{Record, Text};
///
/// #[derive(Record, Clone, Debug, PartialEq)]
/// struct Hit {
///     path: Text,
///     #[record(timestamp = "ms")]
///     at: i64,
///     bytes: Option<u64>,
/// }
///
/// let hits = vec![Hit { path: "/".into(), at: 1_700_000_000_000, bytes: None }];
/// let batch = to_batch(&hits)?;
/// assert_eq!(batch.schema().field(1).name(), "at");
/// assert_eq!(from_batch::<Hit>(&batch)?, hits);
/// # Ok::<(), gristmill::Error>(())
/// ```
///
/// # Implementing it by hand
///
/// Derive it where that is possible. By hand, write the type through one that is a record already:
///
/// ```
/// use arrow::array::ArrayRef;
/// use arrow::buffer::NullBuffer;
/// use arrow::datatypes::DataType;
/// use gristmill::record::{Column, Record, Rows};
/// # use gristmill::Result;
///
/// #[derive(Clone)]
/// struct Port(u16);
///
/// impl Record for Port {
///     fn data_type() -> DataType {
///         u16::data_type()
///     }
///     fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
///         u16::to_array(rows.map(|row| row.map(|port| &port.0)), nulls, len)
///     }
///     fn from_column(column: &Column) -> Result<Vec<Self>> {
///         Ok(u16::from_column(column)?.into_iter().map(Port).collect())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored: it is not a `Record`",
    label = "no Arrow column is known for this type",
    note = "put `#[derive(Record, Clone)]` on `{Self}`, or `#[record(skip)]` on the field"
)]
pub trait Record: Data {
    /// Whether rows of the column can be null.
    const NULLABLE: bool = false;

    /// The Arrow type of the column.
    fn data_type() -> DataType;

    /// The column of `len` rows, with the given nulls.
    ///
    /// A row of `None` gets a placeholder, whether or not `nulls` has it as null: it may lie in a struct that is null
    /// itself.
    ///
    /// # Errors
    ///
    /// If the strings or the list items of the rows need more than 31-bit offsets, or a decimal has too many digits.
    ///
    /// # Panics
    ///
    /// If a clone of `rows` yields other rows.
    fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef>;

    /// The rows of a column.
    ///
    /// # Errors
    ///
    /// If the column has another type, or a null where the type has none. The error names column, types and row.
    fn from_column(column: &Column) -> Result<Vec<Self>>;

    /// Visits every [`Text`] that the value contains, so that it can be given another block to live in.
    #[inline]
    fn each_text(&mut self, _visit: &mut impl FnMut(&mut Text)) {}

    /// Makes the value own all that it refers to, and no more: called when it enters state that lives for long.
    ///
    /// A [`Text`] that was cut out of a large block would otherwise keep that whole block in memory.
    #[inline]
    fn detach(&mut self) {
        self.each_text(&mut Text::detach);
    }

    /// The bytes that the value keeps on the heap, outside of itself; for the accounting of memory. Of a block that it shares
    /// with others, it counts the part that it refers to.
    #[inline]
    fn heap_bytes(&self) -> usize {
        0
    }
}
