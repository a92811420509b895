//! Where the rows of an output go and what they replace: the options that all formats share.

use crate::error::Result;
use crate::io::commit::{Existing, Mode, Owned};
use crate::io::hive::PartitionPath;

/// Encoded bytes after which a directory gets a new part, by default.
const DEFAULT_FILE_BYTES: u64 = 128 << 20;

/// The most partitions of one run, by default.
const DEFAULT_MAX_PARTITIONS: usize = 10_000;

/// The part of the options of a format that is not about its bytes. See the methods of
/// [`ParquetOptions`](crate::io::parquet::ParquetOptions).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) existing: Existing,
    pub(crate) partition_by: Vec<String>,
    pub(crate) writes: Writes,
    pub(crate) max_partitions: usize,
    pub(crate) target_file_bytes: u64,
}

/// What a run writes of its output, as users say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Writes {
    Whole,
    Partitions(Vec<String>),
    OccurringPartitions,
    AppendOnce(String),
}

impl Default for Placement {
    fn default() -> Self {
        Placement {
            existing: Existing::Refuse,
            partition_by: Vec::new(),
            writes: Writes::Whole,
            max_partitions: DEFAULT_MAX_PARTITIONS,
            target_file_bytes: DEFAULT_FILE_BYTES,
        }
    }
}

impl Placement {
    /// The same for the commit.
    ///
    /// # Errors
    ///
    /// If a declared partition is none.
    pub(crate) fn mode(&self) -> Result<Mode> {
        Ok(match &self.writes {
            Writes::Whole => Mode::Whole,
            Writes::OccurringPartitions => Mode::Partitions(Owned::Occurring),
            Writes::AppendOnce(id) => Mode::AppendOnce(id.clone()),
            Writes::Partitions(declared) => {
                let declared = declared.iter().map(|text| PartitionPath::parse(text));
                Mode::Partitions(Owned::Declared(declared.collect::<Result<_>>()?))
            }
        })
    }
}

/// The methods of the options of a format that say where rows go, for a struct with a field `placement`.
macro_rules! placement_methods {
    () => {
        /// What to do if the output exists. Default: [`Existing::Refuse`].
        ///
        /// It is for outputs that are replaced as a whole, and says nothing where partitions are replaced or parts appended.
        pub fn existing(mut self, existing: Existing) -> Self {
            self.placement.existing = existing;
            self
        }

        /// What [`existing`](Self::existing) has set.
        pub fn when_existing(&self) -> Existing {
            self.placement.existing
        }

        /// Partitions the output: rows lie in a directory for each of their values in these columns, as in
        /// `out/dt=2026-01-01/country=DE/part-00000.…`. Default: no columns.
        ///
        /// This is the layout of Hive, which Spark, DuckDB, Polars and pyarrow read as one table; the columns are in the names of the directories
        /// and not in the files. A column must be a text, an integer, a boolean, a date, an instant or a decimal. Values are
        /// percent-encoded, see [`hive`](crate::io::hive); a null is `__HIVE_DEFAULT_PARTITION__`. Each partition has a `_manifest.json`, and
        /// so has the table. Rows keep their order within a partition.
        pub fn partition_by<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
            self.placement.partition_by = columns.into_iter().map(Into::into).collect();
            self
        }

        /// Replaces these partitions, such as `dt=2026-01-01`, and leaves all others alone: none of their files is touched. Default: the whole
        /// output is replaced.
        ///
        /// A path with fewer levels than there are partition columns stands for all partitions in it. A row of another
        /// partition is an error; a partition that gets no rows becomes empty. Each partition changes in one step; a run that dies
        /// between two of them is completed by the next one, or by `gristmill recover`. A table that is not there yet is
        /// created. Runs that replace different partitions may write one table at the same time.
        pub fn replace_partitions<S: Into<String>>(
            mut self,
            partitions: impl IntoIterator<Item = S>,
        ) -> Self {
            let partitions = partitions.into_iter().map(Into::into).collect();
            self.placement.writes = crate::io::placement::Writes::Partitions(partitions);
            self
        }

        /// As [`replace_partitions`](Self::replace_partitions), for the partitions that rows occur in, whichever these are.
        pub fn replace_occurring_partitions(mut self) -> Self {
            self.placement.writes = crate::io::placement::Writes::OccurringPartitions;
            self
        }

        /// Adds parts to the output under an id, and replaces nothing. If something was added under this id before, the run succeeds
        /// and writes nothing: so it can be repeated.
        ///
        /// Files of older parts stay as they are. An output that is not there yet is created.
        pub fn append_once(mut self, id: impl Into<String>) -> Self {
            self.placement.writes = crate::io::placement::Writes::AppendOnce(id.into());
            self
        }

        /// How many partitions one run may write; more are an error, since they are mostly a mistake. Default: 10,000.
        pub fn max_partitions(mut self, partitions: usize) -> Self {
            self.placement.max_partitions = partitions;
            self
        }

        /// The bytes after which a directory gets a new part. Default: 128 MiB.
        ///
        /// A part ends with what one task has left for it, and so is somewhat larger.
        pub fn target_file_bytes(mut self, bytes: u64) -> Self {
            self.placement.target_file_bytes = bytes;
            self
        }
    };
}
pub(crate) use placement_methods;
