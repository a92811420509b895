//! `read_parquet`, `read_parquet_with`: the rows of Parquet files.

use std::sync::Arc;

use super::elements::Rows;
use super::parquet_files::ParquetFiles;
use super::read_text::{InputPaths, describe};
use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::{CallSite, Result};
use crate::exec::source::Erased;
use crate::io::parquet::{Filter, ParquetReadOptions};
use crate::io::resolve::resolve;
use crate::plan::graph::Shape;
use crate::record::{Record, schema};

impl Context {
    /// The rows of Parquet files, as records.
    ///
    /// `inputs` are looked up as by [`Context::read_text`], and may be what any program has written. The columns that `T` has are found by their names, in
    /// any order, and no others are read; a tuple takes all columns by their positions. A split is a row group, or several small ones of a file.
    ///
    /// Columns have the types of [`Record`](trait@Record): texts may be stored with a dictionary or with large offsets, times must
    /// have a zone, or be of the old type INT96, which is taken for UTC.
    ///
    /// # Ordering
    ///
    /// Files by the bytes of their paths, rows as they stand.
    ///
    /// # Errors
    ///
    /// Now: if a path does not exist or cannot be read, or is no Parquet file; the footers are read now. From the action: if a
    /// column is missing or has another type, has a null that `T` has no place for, or a file has changed since now or is damaged; with file and row group.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("squares");
    /// #[derive(Record, Clone)]
    /// struct Square {
    ///     square: u64,
    /// }
    ///
    /// let ctx = Context::new()?;
    /// let squares = ctx.range(0..1000).map(|n| (n, n * n)).columns(["n", "square"]);
    /// squares.write_parquet(&path, ParquetOptions::default())?;
    /// let largest = ctx.read_parquet::<Square>(&path)?.fold(0, |a, row| a.max(row.square), u64::max)?;
    /// assert_eq!(largest, 999 * 999);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn read_parquet<T: Record>(&self, inputs: impl InputPaths) -> Result<Dataset<T>> {
        self.parquet(CallSite::here("read_parquet"), inputs, None)
    }

    /// As [`Context::read_parquet`], with options: those rows only that fulfil a condition on their columns.
    ///
    /// A [filter](ParquetReadOptions::filter) is exact, and need not be repeated on the dataset. Row groups that have no such row are
    /// not read; [`explain`](Dataset::explain) says how many are.
    ///
    /// # Ordering
    ///
    /// As [`Context::read_parquet`].
    ///
    /// # Errors
    ///
    /// As [`Context::read_parquet`]. Now, besides: if a file has no column that the filter is about, or one of a type that it cannot
    /// be compared with; with file, column, type and value.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("squares");
    /// let ctx = Context::new()?;
    /// let squares = ctx.range(0..1000).map(|n| (n, n * n)).columns(["n", "square"]);
    /// squares.write_parquet(&path, ParquetOptions::default().row_group_rows(100))?;
    /// let options = ParquetReadOptions::default().filter(col("n").between(250, 252));
    /// let few = ctx.read_parquet_with::<(u64, u64)>(&path, options)?;
    /// assert!(few.explain().contains("1 of 10 row groups"));
    /// assert_eq!(few.collect()?, [(250, 62_500), (251, 63_001), (252, 63_504)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn read_parquet_with<T: Record>(
        &self,
        inputs: impl InputPaths,
        options: ParquetReadOptions,
    ) -> Result<Dataset<T>> {
        self.parquet(CallSite::here("read_parquet_with"), inputs, options.into_filter().as_ref())
    }

    fn parquet<T: Record>(
        &self,
        call: CallSite,
        inputs: impl InputPaths,
        filter: Option<&Filter>,
    ) -> Result<Dataset<T>> {
        let patterns = inputs.into_paths();
        let found = resolve(&patterns).map_err(|error| error.in_call(call))?;
        let mut detail = describe(&patterns, &found.files, found.notes.len());
        let files = ParquetFiles::<Rows<T>>::found(found.files, found.claimed, &schema::<T>(), filter);
        let files = files.map_err(|error| error.in_call(call))?;
        if let Some(filter) = filter {
            let (read, all) = files.row_groups();
            detail = format!("{detail}, {read} of {all} row groups, where {filter}");
        }
        let shape = Shape::Source(Arc::new(Erased::<_, T>::new(files)));
        Ok(Dataset::of_records(self, call, detail, shape, Vec::new()))
    }
}
