//! `Table`: rows whose columns are known only when the program runs.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use super::elements::Batches;
use super::on_error::OnError;
use super::parts::{Format, Written, output};
use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::narrow::FlatMap;
use crate::io::csv::CsvOptions;
use crate::io::json::JsonOptions;
use crate::io::parquet::ParquetOptions;
use crate::record::nearest;

/// Rows whose columns are known only when the program runs: a [`Dataset`] of batches of columns, and what these are.
///
/// It is for programs that turn files into other files and look at no row, such as `gristmill convert`; made by
/// [`Context::read_table`](crate::Context::read_table). What rows mean is better said with a [`Record`](crate::Record) and a [`Dataset`].
///
/// # Ordering
///
/// As of a [`Dataset`].
///
/// # Errors
///
/// As of a [`Dataset`].
#[derive(Clone)]
#[must_use = "a table is lazy: nothing is computed until it is written"]
pub struct Table {
    batches: Dataset<RecordBatch>,
    schema: SchemaRef,
}

impl Table {
    pub(super) fn new(batches: Dataset<RecordBatch>, schema: SchemaRef) -> Table {
        Table { batches, schema }
    }

    /// A table of batches that a program makes, each with the columns of the schema.
    ///
    /// # Errors
    ///
    /// The run fails at a batch with other columns.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// use gristmill::Table;
    /// use gristmill::record::{schema, to_batch};
    ///
    /// let ctx = Context::new()?;
    /// let batches = ctx.range(0..3).map(|n| vec![(n, n * n)]).try_map(|rows| to_batch(&rows));
    /// let table = Table::from_batches(&batches, schema::<(u64, u64)>());
    /// assert_eq!(table.batches().count()?, 3);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn from_batches(batches: &Dataset<RecordBatch>, schema: SchemaRef) -> Table {
        let call = CallSite::here("from_batches");
        let wanted = Arc::clone(&schema);
        let checked = move |batch: RecordBatch| {
            if batch.schema_ref().fields() == wanted.fields() {
                return Ok(Some(batch));
            }
            let message = format!("a batch has the columns {}, not {wanted}", batch.schema_ref());
            Err(Error::new(ErrorKind::Input, message).hint("give each batch the schema of the table"))
        };
        Table::new(batches.narrow(call, FlatMap::selecting(checked)), schema)
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The batches, as elements. How many rows each has is up to the reader.
    pub fn batches(&self) -> &Dataset<RecordBatch> {
        &self.batches
    }

    /// Says what becomes of records that cannot be read: [`Dataset::on_error`], immediately after the source.
    ///
    /// # Errors
    ///
    /// See [`Dataset::on_error`].
    #[track_caller]
    pub fn on_error(&self, policy: OnError) -> Result<Table> {
        Ok(Table { batches: self.batches.on_error(policy)?, schema: Arc::clone(&self.schema) })
    }

    /// The lazy form of writing it as Parquet, see [`Dataset::write_parquet`].
    #[track_caller]
    pub fn to_parquet(&self, path: impl AsRef<Path>, options: ParquetOptions) -> Output<Written> {
        self.output(CallSite::here("to_parquet"), path.as_ref(), options)
    }

    /// The lazy form of writing it as CSV, see [`Dataset::write_csv`].
    #[track_caller]
    pub fn to_csv(&self, path: impl AsRef<Path>, options: CsvOptions) -> Output<Written> {
        self.output(CallSite::here("to_csv"), path.as_ref(), options)
    }

    /// The lazy form of writing it as JSON lines, see [`Dataset::write_json_lines`].
    #[track_caller]
    pub fn to_json_lines(&self, path: impl AsRef<Path>, options: JsonOptions) -> Output<Written> {
        self.output(CallSite::here("to_json_lines"), path.as_ref(), options)
    }

    fn output<F: Format>(&self, call: CallSite, path: &Path, options: F) -> Output<Written> {
        output::<Batches, F>(&self.batches, call, options, path, Ok(Arc::clone(&self.schema)))
    }
}

/// The columns of a schema that have these names, in their order.
///
/// # Errors
///
/// If a name is not there, or stands there twice.
///
/// # Examples
///
/// ```
/// use arrow::datatypes::{DataType, Field, Schema};
/// use gristmill::select_columns;
///
/// let schema = Schema::new(["a", "b", "c"].map(|name| Field::new(name, DataType::Utf8, true)).to_vec());
/// assert_eq!(select_columns(&schema, &["c", "a"])?.field(0).name(), "c");
/// assert!(select_columns(&schema, &["d"]).is_err());
/// # Ok::<(), gristmill::Error>(())
/// ```
pub fn select_columns(schema: &Schema, names: &[impl AsRef<str>]) -> Result<SchemaRef> {
    let mut fields = Vec::with_capacity(names.len());
    for name in names.iter().map(AsRef::as_ref) {
        let field = &schema.fields()[column_at(schema, name)?];
        if fields.contains(field) {
            let message = format!("the column `{}` is selected twice", name.escape_debug());
            return Err(Error::new(ErrorKind::Config, message));
        }
        fields.push(Arc::clone(field));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Where the column of this name stands.
///
/// # Errors
///
/// If there is none; the nearest name is given.
pub(super) fn column_at(schema: &Schema, name: &str) -> Result<usize> {
    if let Some((at, _)) = schema.column_with_name(name) {
        return Ok(at);
    }
    let error = Error::new(ErrorKind::Config, format!("there is no column `{}`", name.escape_debug()));
    let known = schema.fields().iter().map(|field| field.name().as_str());
    Err(match nearest(name, known.clone()) {
        Some(similar) => error.hint(format!("the nearest name is `{similar}`")),
        None => error.hint(format!("the columns are `{}`", known.collect::<Vec<_>>().join("`, `"))),
    })
}
