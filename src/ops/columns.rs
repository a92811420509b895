//! `columns`: names for the columns of what is written.

use crate::dataset::Dataset;
use crate::record::Record;

/// A dataset with names for its columns, to be written; see [`Dataset::columns`].
#[must_use = "it is lazy: nothing is written until `write_parquet` or `write_csv` is called"]
pub struct Columns<T> {
    dataset: Dataset<T>,
    names: Vec<String>,
}

impl<T: Record> Dataset<T> {
    /// Names the columns of a tuple for what is written; otherwise they are `_1`, `_2`, … or `value`.
    ///
    /// # Errors
    ///
    /// What is written fails, before any work is done, if there is not one name for each column or a name occurs twice.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("squares.csv");
    /// # let ctx = Context::new()?;
    /// let squares = ctx.range(0..3).map(|n| (n, n * n)).columns(["n", "square"]);
    /// squares.write_csv(&path, CsvOptions::default())?;
    /// assert_eq!(std::fs::read_to_string(&path)?, "n,square\n0,0\n1,1\n2,4\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn columns<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) -> Columns<T> {
        Columns { dataset: self.clone(), names: names.into_iter().map(Into::into).collect() }
    }
}

impl<T> Columns<T> {
    pub(super) fn dataset(&self) -> &Dataset<T> {
        &self.dataset
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}
