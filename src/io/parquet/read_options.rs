//! How Parquet files are read.

use super::filter::Filter;

/// How Parquet files are read.
///
/// # Examples
///
/// ```
/// use gristmill::io::parquet::{ParquetReadOptions, col};
///
/// let options = ParquetReadOptions::default().filter(col("status").gt_eq(500));
/// assert_ne!(options, ParquetReadOptions::default());
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct ParquetReadOptions {
    filter: Option<Filter>,
}

impl ParquetReadOptions {
    /// Reads only rows that fulfil a condition, see [`col`](super::col). Default: all rows. Of several filters, rows must fulfil each.
    ///
    /// The rows are exactly those that a `filter` of the dataset would leave, but less is read: row groups in which no row can
    /// fulfil it, by the statistics of the file, are not read at all. Of the others, the columns of the condition are
    /// read first, and then of the rest what wanted rows lie in. Where data is sorted or clustered by a column, a condition on it saves most.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(match self.filter {
            Some(earlier) => earlier.and(filter),
            None => filter,
        });
        self
    }

    pub(crate) fn into_filter(self) -> Option<Filter> {
        self.filter
    }
}
