//! The rows of Parquet files, as a source: those of a committed directory, which a checkpoint is read from, or any others.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use crate::error::{Place, Result};
use crate::exec::hold::{ROWS_PER_SPLIT, group};
use crate::exec::out::Out;
use crate::exec::push::Flow;
use crate::exec::source::Source;
use crate::io::parquet::{Filter, StoredPart, stored_parts};
use crate::io::resolve::InputFile;
use crate::record::{Record, from_batch, schema};

/// The rows of the parts in the order of their names. A split is a row group, or several small ones of a part.
pub(super) struct ParquetFiles<T> {
    /// The files, or the directory that they are in, and where other files would be found by the next run.
    paths: Vec<PathBuf>,
    parts: Vec<StoredPart>,
    splits: Vec<Split>,
    types: PhantomData<fn() -> T>,
}

struct Split {
    part: usize,
    /// In order; those between them have no row that is wanted.
    row_groups: Vec<usize>,
}

impl<T: Record> ParquetFiles<T> {
    /// Those of a directory that gristmill has committed.
    ///
    /// # Errors
    ///
    /// If it is not what its manifest says.
    pub(super) fn committed(dir: &Path) -> Result<ParquetFiles<T>> {
        Ok(ParquetFiles::of(stored_parts(dir)?, vec![dir.to_owned()]))
    }

    /// Those of any files, with the columns that `T` has.
    ///
    /// # Errors
    ///
    /// If one of them is no Parquet file, or has not the columns of the filter.
    pub(super) fn found(
        files: Vec<InputFile>,
        scopes: Vec<PathBuf>,
        filter: Option<&Filter>,
    ) -> Result<ParquetFiles<T>> {
        let paths = scopes.into_iter().chain(files.iter().map(|file| file.path.clone())).collect();
        let schema = schema::<T>();
        let part = |file| {
            let part = StoredPart::of_file(file)?.with_columns(&schema)?;
            if let Some(filter) = filter { part.with_filter(filter) } else { Ok(part) }
        };
        Ok(ParquetFiles::of(files.into_iter().map(part).collect::<Result<_>>()?, paths))
    }

    fn of(parts: Vec<StoredPart>, paths: Vec<PathBuf>) -> ParquetFiles<T> {
        let splits = parts.iter().enumerate().flat_map(|(index, part)| splits_of(index, part)).collect();
        ParquetFiles { paths, parts, splits, types: PhantomData }
    }

    /// The number of files.
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    fn of_split<'a>(&'a self, split: usize, of: impl Fn(&'a StoredPart, usize) -> u64) -> u64 {
        let Split { part, row_groups } = &self.splits[split];
        row_groups.iter().map(|&row_group| of(&self.parts[*part], row_group)).sum()
    }

    /// The number of row groups that are read, and that of all.
    pub(super) fn row_groups(&self) -> (usize, usize) {
        let read = self.splits.iter().map(|split| split.row_groups.len()).sum();
        (read, self.parts.iter().map(StoredPart::row_groups).sum())
    }
}

fn splits_of(index: usize, part: &StoredPart) -> Vec<Split> {
    let wanted: Vec<usize> = (0..part.row_groups()).filter(|&row_group| part.is_wanted(row_group)).collect();
    let rows = wanted.iter().map(|&row_group| part.rows(row_group) as usize);
    let groups = group(rows, ROWS_PER_SPLIT).into_iter();
    groups.map(|groups| Split { part: index, row_groups: wanted[groups].to_vec() }).collect()
}

impl<T: Record> Source<T> for ParquetFiles<T> {
    fn splits(&self) -> usize {
        self.splits.len()
    }

    fn read(&self, split: usize, out: &mut Out<T>) -> Result<()> {
        let Split { part, row_groups } = &self.splits[split];
        for &row_group in row_groups {
            for batch in self.parts[*part].read(row_group)? {
                for row in from_batch::<T>(&batch?)? {
                    if out.emit(row)? == Flow::Enough {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> Option<u64> {
        Some((0..self.splits.len()).map(|split| self.of_split(split, StoredPart::bytes)).sum())
    }

    fn split_bytes(&self, split: usize) -> u64 {
        self.of_split(split, StoredPart::stored_bytes)
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.paths.clone()
    }

    fn place(&self, split: usize, row: u64) -> Place {
        let Split { part, row_groups } = &self.splits[split];
        let part = &self.parts[*part];
        Place { row: part.place_of(row_groups, row), ..Place::file(part.path()) }
    }
}
