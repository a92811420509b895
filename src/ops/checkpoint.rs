//! `checkpoint`: computed once into files, and read from there.

use std::path::Path;
use std::sync::Arc;

use super::elements::Rows;
use super::parquet_files::ParquetFiles;
use super::parts::{output_of_rows, shape_of};
use crate::dataset::Dataset;
use crate::error::{CallSite, Error, ErrorKind, Result, printable};
use crate::exec::source::Erased;
use crate::io::commit::{Existing, Shape};
use crate::io::parquet::ParquetOptions;
use crate::plan::graph::Shape as NodeShape;
use crate::record::Record;

impl<T: Record> Dataset<T> {
    /// Computes the dataset now, writes it to a directory of Parquet files, and gives a dataset that reads these: whatever is derived
    /// from it begins there, and nothing before it is computed again.
    ///
    /// It is for what took long and is used in several runs, and for loops, whose plan would otherwise grow with every
    /// round. Unlike [`Dataset::cache`], it takes no memory, outlives the program, and can be looked at with any tool that reads Parquet.
    ///
    /// The directory is committed in one step, as by [`Dataset::write_parquet`], and has a `_manifest.json`. An earlier output of
    /// gristmill at `path` is replaced, anything else is an error. It is never deleted: that is up to you, when no dataset reads it any more.
    /// A later program does not take it up by itself, since nothing tells whether it would still compute the same.
    ///
    /// What comes back is what a record stores: a field with `#[record(skip)]` is its default then.
    ///
    /// A dataset cannot be written over the checkpoint that it is read from: let the rounds of a loop take turns with two paths.
    ///
    /// # Ordering
    ///
    /// Kept.
    ///
    /// # Errors
    ///
    /// Now: see [`Dataset`]; also if `path` ends in `.parquet` or `.csv`, as a single file would. From an action on what is read:
    /// if a file was changed, replaced or deleted, or is damaged; with file and row group.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let (even, odd) = (dir.path().join("even"), dir.path().join("odd"));
    /// # let ctx = Context::new()?;
    /// let mut numbers = ctx.range(0..1000);
    /// for round in 0..4 {
    ///     let path = if round % 2 == 0 { &even } else { &odd };
    ///     numbers = numbers.map(|n| n * 2).checkpoint(path)?;
    /// }
    /// assert_eq!(numbers.take(3)?, [0, 16, 32]);
    /// assert!(!numbers.explain().contains("map"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # References
    ///
    /// It is Spark's `Dataset.checkpoint`, which is eager, too, and cuts the lineage as well.
    #[track_caller]
    pub fn checkpoint(&self, path: impl AsRef<Path>) -> Result<Dataset<T>> {
        let call = CallSite::here("checkpoint");
        check_directory(path.as_ref()).map_err(|error| error.in_call(call))?;
        let options = ParquetOptions::default().existing(Existing::Overwrite);
        let written = output_of_rows(self, call, options, path.as_ref(), None).run()?;
        let files = ParquetFiles::<Rows<T>>::committed(&written.path).map_err(|error| error.in_call(call))?;
        let detail =
            format!("{} ({} file(s), {} bytes)", printable(&written.path), files.parts(), written.bytes);
        let shape = NodeShape::Source(Arc::new(Erased::<_, T>::new(files)));
        Ok(Dataset::of_records(self.context(), call, detail, shape, Vec::new()))
    }
}

fn check_directory(path: &Path) -> Result<()> {
    if shape_of(path, "parquet")? == Shape::Directory {
        return Ok(());
    }
    let message = format!("the checkpoint {} ends in .parquet, but is a directory", printable(path));
    Err(Error::new(ErrorKind::Config, message).hint("give a path without an extension"))
}
