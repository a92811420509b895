//! The rows of Parquet files, as a source: those of a committed directory, which a checkpoint is read from, or any others.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use arrow::datatypes::Schema;

use super::elements::Unpack;
use crate::error::{Error, Place, Result};
use crate::exec::hold::{ROWS_PER_SPLIT, group};
use crate::exec::out::Out;
use crate::exec::push::Demand;
use crate::exec::source::Source;
use crate::io::parquet::{Filter, StoredPart, stored_parts};
use crate::io::resolve::InputFile;

/// The rows of the parts in the order of their names. A split is a row group, or several small ones of a part.
pub(super) struct ParquetFiles<U> {
    /// The files, or the directory that they are in, and where other files would be found by the next run.
    paths: Vec<PathBuf>,
    parts: Vec<StoredPart>,
    splits: Vec<Split>,
    elements: PhantomData<fn() -> U>,
}

struct Split {
    part: usize,
    /// In order; those between them have no row that is wanted.
    row_groups: Vec<usize>,
}

impl<U: Unpack> ParquetFiles<U> {
    /// Those of a directory that gristmill has committed.
    ///
    /// # Errors
    ///
    /// If it is not what its manifest says.
    pub(super) fn committed(dir: &Path) -> Result<ParquetFiles<U>> {
        Ok(ParquetFiles::of(stored_parts(dir)?, vec![dir.to_owned()]))
    }

    /// Those of any files, with the columns that a schema has.
    ///
    /// # Errors
    ///
    /// If one of them is no Parquet file, or has not the columns of the filter.
    pub(super) fn found(
        files: Vec<InputFile>,
        paths: Vec<PathBuf>,
        schema: &Schema,
        filter: Option<&Filter>,
    ) -> Result<ParquetFiles<U>> {
        let part = |file| {
            let part = StoredPart::of_file(file)?.with_columns(schema)?;
            if let Some(filter) = filter { part.with_filter(filter) } else { Ok(part) }
        };
        Ok(ParquetFiles::of(files.into_iter().map(part).collect::<Result<_>>()?, paths))
    }

    fn of(parts: Vec<StoredPart>, paths: Vec<PathBuf>) -> ParquetFiles<U> {
        let splits = parts.iter().enumerate().flat_map(|(index, part)| splits_of(index, part)).collect();
        ParquetFiles { paths, parts, splits, elements: PhantomData }
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

impl<U: Unpack> Source<U::Item> for ParquetFiles<U> {
    fn splits(&self) -> usize {
        self.splits.len()
    }

    fn read(&self, split: usize, out: &mut Out<U::Item>) -> Result<()> {
        let Split { part, row_groups } = &self.splits[split];
        let part = &self.parts[*part];
        let mut before = 0;
        for &row_group in row_groups {
            for batch in part.read(row_group)? {
                let batch = batch?;
                let rows = batch.num_rows() as u64;
                let located = |error: Error| match error.place().and_then(|place| place.row) {
                    Some(row) => error.moved_to(self.place(split, before + row)),
                    None => error.at(Place::file(part.path())),
                };
                if U::emit(batch, located, out)? == Demand::Enough {
                    return Ok(());
                }
                before += rows;
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

    fn state(&self) -> u64 {
        self.parts.iter().fold(0, |state, part| part.state() ^ state.rotate_left(1))
    }

    fn place(&self, split: usize, row: u64) -> Place {
        let Split { part, row_groups } = &self.splits[split];
        let part = &self.parts[*part];
        Place { row: part.place_of(row_groups, row), ..Place::file(part.path()) }
    }
}
