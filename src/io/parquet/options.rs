//! How Parquet files are written: every knob, with its unit and its default.

use std::collections::BTreeMap;

use parquet::basic::{self, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnDescPtr, ColumnPath, SchemaDescriptor};

use crate::error::{Error, ErrorKind, Result};
use crate::io::commit::Existing;
use crate::io::placement::{Placement, placement_methods};

/// The most that a data page may be asked to hold, in bytes; the format has 31 bits for its size.
const MAX_PAGE_BYTES: usize = 1 << 30;

/// What the pages of a Parquet file are compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Nothing.
    None,
    /// Snappy: fast, and read by everything.
    Snappy,
    /// Zstandard, of a level from 1 (fast) to 22 (small).
    Zstd(u8),
}

/// What a Parquet file says of its own contents, so that readers can skip parts of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Statistics {
    /// Nothing.
    None,
    /// Least and greatest value, and number of nulls, of each column of each row group.
    RowGroup,
    /// The same, also of each page.
    Page,
}

/// A column that rows are sorted by, as a Parquet file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortedColumn {
    /// The name of the column.
    pub name: String,
    /// Whether the greatest value comes first.
    pub descending: bool,
    /// Whether nulls come before all values.
    pub nulls_first: bool,
}

/// How Parquet files are written.
///
/// # Examples
///
/// ```
/// use gristmill::io::parquet::{Compression, ParquetOptions};
///
/// let options = ParquetOptions::default().compression(Compression::Zstd(6)).row_group_rows(100_000);
/// assert_ne!(options, ParquetOptions::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ParquetOptions {
    pub(super) compression: Compression,
    pub(super) row_group_rows: usize,
    pub(super) data_page_bytes: usize,
    pub(super) dictionary_bytes: usize,
    pub(super) statistics: Statistics,
    pub(super) row_group_bytes: usize,
    offset_index: bool,
    bloom_filters: Vec<String>,
    sorted_by: Vec<SortedColumn>,
    metadata: BTreeMap<String, String>,
    pub(crate) placement: Placement,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        ParquetOptions {
            compression: Compression::Zstd(1),
            row_group_rows: 1 << 20,
            data_page_bytes: 1 << 20,
            dictionary_bytes: 1 << 18,
            statistics: Statistics::Page,
            row_group_bytes: usize::MAX,
            offset_index: true,
            bloom_filters: Vec::new(),
            sorted_by: Vec::new(),
            metadata: BTreeMap::new(),
            placement: Placement::default(),
        }
    }
}

impl ParquetOptions {
    placement_methods!();

    /// What pages are compressed with. Default: `Zstd(1)`.
    ///
    /// Measured on the counts of 825,000 distinct words (20.8 MB without compression), the time being that of one
    /// thread to encode and compress a row:
    ///
    /// | | size | time a row |
    /// |---|---|---|
    /// | `None` | 20.8 MB | 65 ns |
    /// | `Snappy` | 15.7 MB | 150 ns |
    /// | `Zstd(1)` | 12.5 MB | 170 ns |
    /// | `Zstd(3)` | 10.3 MB | 295 ns |
    /// | `Zstd(6)` | 9.7 MB | 635 ns |
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// The rows of a row group, the unit in which files are encoded and read in parallel. Default: 1,048,576.
    ///
    /// An encoder holds one row group in memory, encoded.
    pub fn row_group_rows(mut self, rows: usize) -> Self {
        self.row_group_rows = rows;
        self
    }

    /// The size of a data page before compression, in bytes, about. Default: 1 MiB; at most 1 GiB.
    ///
    /// A page is the least that a reader decompresses. It has at most 20,000 rows, however small they are.
    pub fn data_page_bytes(mut self, bytes: usize) -> Self {
        self.data_page_bytes = bytes;
        self
    }

    /// How large the dictionary of a column may grow, in bytes, for each row group. Default: 256 KiB; 0 for none.
    ///
    /// A column is written as numbers of dictionary entries until its distinct values exceed this; from there on it
    /// is written as it is. So a column whose values are all distinct costs little: 7 % of the time with the default
    /// for the counts of words, 11 % with 1 MiB. Where values repeat, it saves: a log with 5000 distinct paths is 4.9
    /// MB with it and 6.3 MB without.
    pub fn dictionary_bytes(mut self, bytes: usize) -> Self {
        self.dictionary_bytes = bytes;
        self
    }

    /// What the file says of its contents. Default: [`Statistics::Page`].
    pub fn statistics(mut self, statistics: Statistics) -> Self {
        self.statistics = statistics;
        self
    }

    /// The encoded bytes after which a row group ends, even if it has not its rows yet. Default: no limit.
    ///
    /// It is looked at once in 8192 rows, so that a row group is somewhat larger.
    pub fn row_group_bytes(mut self, bytes: usize) -> Self {
        self.row_group_bytes = bytes;
        self
    }

    /// Whether a file says where each of its pages lies, so that readers can skip some. Default: yes. With
    /// [`Statistics::Page`] it always does, since that is what readers decide by.
    pub fn offset_index(mut self, written: bool) -> Self {
        self.offset_index = written;
        self
    }

    /// Columns for whose values each row group gets a Bloom filter, so that readers which look for one value can skip it. Default: none.
    ///
    /// One in a hundred values that are not there is taken to be. It pays where values are many and in no order, such as ids.
    pub fn bloom_filters<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.bloom_filters = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Says in the files that their rows are sorted by these columns, the first one before the others. Default: nothing is said.
    ///
    /// It sorts nothing, and nothing is checked: readers may give wrong results if it is not true.
    pub fn sorted_by(mut self, columns: impl IntoIterator<Item = SortedColumn>) -> Self {
        self.sorted_by = columns.into_iter().collect();
        self
    }

    /// Adds a key with a value to the metadata of each file. Default: none besides the Arrow schema. A key given again replaces its value.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// The same in terms of the parquet crate, for files of some columns.
    ///
    /// # Errors
    ///
    /// If a value is out of its range, or a column is not there or is nested.
    pub(super) fn properties(&self, columns: &SchemaDescriptor) -> Result<WriterProperties> {
        in_range("row_group_rows", self.row_group_rows, usize::MAX)?;
        in_range("row_group_bytes", self.row_group_bytes, usize::MAX)?;
        in_range("data_page_bytes", self.data_page_bytes, MAX_PAGE_BYTES)?;
        let mut builder = WriterProperties::builder();
        for name in &self.bloom_filters {
            leaf(columns, name)?;
            builder = builder.set_column_bloom_filter_enabled(ColumnPath::new(vec![name.clone()]), true);
        }
        let sorted = self.sorted_by.iter().map(|by| {
            let column_idx = i32::try_from(leaf(columns, &by.name)?).unwrap_or(i32::MAX);
            Ok(SortingColumn { column_idx, descending: by.descending, nulls_first: by.nulls_first })
        });
        let sorted = sorted.collect::<Result<Vec<_>>>()?;
        let metadata = self.metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let metadata = Some(metadata.collect::<Vec<_>>()).filter(|metadata| !metadata.is_empty());
        Ok(builder
            .set_sorting_columns(Some(sorted).filter(|sorted| !sorted.is_empty()))
            .set_key_value_metadata(metadata)
            .set_offset_index_disabled(!self.offset_index)
            // Not the version of the parquet crate, as by default: what matters is who to ask.
            .set_created_by(concat!("gristmill version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(self.codec()?)
            .set_data_page_size_limit(self.data_page_bytes)
            .set_dictionary_enabled(self.dictionary_bytes > 0)
            .set_dictionary_page_size_limit(self.dictionary_bytes)
            .set_statistics_enabled(match self.statistics {
                Statistics::None => EnabledStatistics::None,
                Statistics::RowGroup => EnabledStatistics::Chunk,
                Statistics::Page => EnabledStatistics::Page,
            })
            .build())
    }

    fn codec(&self) -> Result<basic::Compression> {
        match self.compression {
            Compression::None => Ok(basic::Compression::UNCOMPRESSED),
            Compression::Snappy => Ok(basic::Compression::SNAPPY),
            Compression::Zstd(level) => {
                ZstdLevel::try_new(level.into()).map(basic::Compression::ZSTD).map_err(|_| {
                    Error::new(ErrorKind::Config, format!("the Zstandard level is {level}"))
                        .hint("give 1 to 22")
                })
            }
        }
    }
}

/// The number of a column that is not nested, among all that Parquet stores.
fn leaf(columns: &SchemaDescriptor, name: &str) -> Result<usize> {
    let is_it = |column: &ColumnDescPtr| column.path().parts() == [name];
    columns.columns().iter().position(is_it).ok_or_else(|| {
        let names: Vec<String> = columns.columns().iter().map(|column| column.path().string()).collect();
        Error::new(ErrorKind::Config, format!("the files have no column `{name}` that is not nested"))
            .hint(format!("their columns are `{}`", names.join("`, `")))
    })
}

/// Checks that a knob is at least 1 and at most `max`.
fn in_range(knob: &str, value: usize, max: usize) -> Result<()> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, format!("`{knob}` is {value}")).hint(format!("give 1 to {max}")))
}
