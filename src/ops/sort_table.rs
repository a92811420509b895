//! `Table::sort_by`: all rows of a table in the order of some of its columns.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;

use super::batching::Batching;
use super::row_format::RowFormat;
use super::table::{Table, column_at};
use crate::dataset::Dataset;
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::narrow::FlatMap;
use crate::exec::sort::Sort;
use crate::exec::sort::order::ByBytes;
use crate::plan::graph::Shape;
use crate::record::Bytes;

/// A column that a table is sorted by, and in which direction; see [`Table::sort_by`].
///
/// Nulls come last, in either direction, unless it says otherwise.
///
/// As text it is the name of the column, with a `-` before it where it descends; a `+` may stand before a name that begins
/// with one of the two.
///
/// # Examples
///
/// ```
/// use gristmill::SortColumn;
///
/// assert_eq!("day".parse::<SortColumn>()?, SortColumn::ascending("day"));
/// assert_eq!("-bytes".parse::<SortColumn>()?, SortColumn::descending("bytes"));
/// assert_eq!("+-1".parse::<SortColumn>()?, SortColumn::ascending("-1"));
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortColumn {
    name: String,
    options: SortOptions,
}

impl SortColumn {
    /// From the smallest value to the largest.
    pub fn ascending(column: impl Into<String>) -> SortColumn {
        let options = SortOptions { descending: false, nulls_first: false };
        SortColumn { name: column.into(), options }
    }

    /// From the largest value to the smallest.
    pub fn descending(column: impl Into<String>) -> SortColumn {
        let options = SortOptions { descending: true, nulls_first: false };
        SortColumn { name: column.into(), options }
    }

    /// Nulls come before all values.
    #[must_use]
    pub fn nulls_first(mut self) -> SortColumn {
        self.options.nulls_first = true;
        self
    }
}

impl FromStr for SortColumn {
    type Err = Error;

    fn from_str(text: &str) -> Result<SortColumn> {
        let column = match (text.strip_prefix('-'), text.strip_prefix('+')) {
            (Some(name), _) => SortColumn::descending(name),
            (_, Some(name)) => SortColumn::ascending(name),
            (None, None) => SortColumn::ascending(text),
        };
        if column.name.is_empty() {
            return Err(Error::new(ErrorKind::Config, "a column to sort by has no name")
                .hint("give names, such as day,-bytes"));
        }
        Ok(column)
    }
}

impl fmt::Display for SortColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nulls = if self.options.nulls_first { " nulls first" } else { "" };
        let direction = if self.options.descending { " descending" } else { "" };
        write!(f, "{}{direction}{nulls}", self.name.escape_debug())
    }
}

impl Table {
    /// All rows in the order of the first of these columns, among equals in that of the second, and so on.
    ///
    /// It is [`Dataset::sort_by_key`] for rows whose columns are known only when the program runs, and as it sorts what may be many
    /// times the memory. Numbers, decimals, dates and times are ordered by value, booleans as false before true, texts by their
    /// bytes, and floats as [`Total`](crate::Total): NaN is larger than all others, and `-0.0` equals `0.0`.
    ///
    /// # Ordering
    ///
    /// Stable: rows that are equal in all of these columns stay in the order of the input.
    ///
    /// # Errors
    ///
    /// If no column is given, one is not there or comes twice, or it is a list, a struct or a map, which have no order here.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, out) = (dir.path().join("hits.csv"), dir.path().join("sorted.csv"));
    /// use gristmill::{SortColumn, TableFormat};
    ///
    /// std::fs::write(&path, "day,bytes\n2,10\n1,\n1,20\n1,30\n")?;
    /// let ctx = Context::new()?;
    /// let csv = TableFormat::Csv(CsvFormat::default());
    /// let schema = ctx.infer_schema(&path, &csv, 1000)?;
    /// let hits = ctx.read_table(&path, csv, schema)?;
    /// let sorted = hits.sort_by(&[SortColumn::ascending("day"), SortColumn::descending("bytes")])?;
    /// sorted.to_csv(&out, CsvOptions::default()).run()?;
    /// assert_eq!(std::fs::read_to_string(&out)?, "day,bytes\n1,30\n1,20\n1,\n2,10\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn sort_by(&self, columns: &[SortColumn]) -> Result<Table> {
        let call = CallSite::here("sort_by");
        let layout = Layout::new(self.schema(), columns).map_err(|error| error.in_call(call))?;
        let (layout, detail) = (Arc::new(layout), describe(columns));
        let encoding = Arc::clone(&layout);
        let encode = move |batch: RecordBatch| encoding.encode(&batch);
        let rows: Dataset<Row> = self.batches().narrow(call, FlatMap::new(encode));
        let sort = Shape::Wide(Arc::new(Sort::new(ByBytes(key_of))));
        let inputs = vec![Arc::clone(rows.node())];
        let sorted: Dataset<Row> = Dataset::of_records(self.batches().context(), call, detail, sort, inputs);
        let batches = sorted.narrow(call, Batching::new(bytes_of, move |rows: &[Row]| layout.decode(rows)));
        Ok(Table::new(batches, Arc::clone(self.schema())))
    }
}

fn describe(columns: &[SortColumn]) -> String {
    let columns: Vec<_> = columns.iter().map(|column| format!("by {column}")).collect();
    columns.join(", ")
}

/// A row as bytes, of which the first ones are what it is sorted by, and how many of them are.
type Row = (usize, Bytes);

fn key_of((key, bytes): &Row) -> &[u8] {
    &bytes.as_slice()[..*key]
}

fn bytes_of((_, bytes): &Row) -> usize {
    bytes.as_slice().len()
}

fn others_of((key, bytes): &Row) -> &[u8] {
    &bytes.as_slice()[*key..]
}

/// Which columns make which bytes of a row. No value is there twice but floats, which are not what they were as keys.
struct Layout {
    schema: SchemaRef,
    keys: RowFormat,
    others: RowFormat,
}

impl Layout {
    fn new(schema: &SchemaRef, columns: &[SortColumn]) -> Result<Layout> {
        let mut keys = Vec::with_capacity(columns.len());
        for column in columns {
            let at = column_at(schema, &column.name)?;
            if keys.iter().any(|&(there, _)| there == at) {
                let message = format!("the table is sorted by `{}` twice", column.name.escape_debug());
                return Err(Error::new(ErrorKind::Config, message).hint("name each column once"));
            }
            keys.push((at, column.options));
        }
        if keys.is_empty() {
            return Err(Error::new(ErrorKind::Config, "there is no column to sort by").hint("name one"));
        }
        let keys = RowFormat::of_keys(schema, &keys)?;
        let others = (0..schema.fields().len()).filter(|at| keys.exact().all(|exact| exact != *at));
        let others = RowFormat::of_values(schema, others)?;
        Ok(Layout { schema: Arc::clone(schema), keys, others })
    }

    /// The rows of a batch.
    fn encode(&self, batch: &RecordBatch) -> Result<impl Iterator<Item = Row> + use<>> {
        let (keys, others) = (self.keys.encode(batch)?, self.others.encode(batch)?);
        Ok((0..batch.num_rows()).map(move |row| {
            let key = keys.row(row);
            (key.len(), Bytes::from([key, others.row(row)].concat()))
        }))
    }

    /// The batch of some rows.
    fn decode(&self, rows: &[Row]) -> Result<RecordBatch> {
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        let keys = self.keys.decode(rows.iter().map(key_of))?;
        let others = self.others.decode(rows.iter().map(others_of))?;
        // What is there twice is taken from the others, which come last.
        for (at, column) in self.keys.columns().zip(keys).chain(self.others.columns().zip(others)) {
            columns[at] = Some(column);
        }
        batch_of(&self.schema, columns.into_iter().flatten().collect(), rows.len())
    }
}

/// The batch of some columns that have been made of rows.
pub(super) fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("rows do not make a batch: {error}")).because(error)
    })
}
