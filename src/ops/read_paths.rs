//! `read_paths`: whole files as elements.

use std::io::Read;
use std::path::PathBuf;

use gristmill_derive::Record;

use super::read_text::{InputPaths, describe};
use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::{CallSite, Error, ErrorKind, Place, Result};
use crate::exec::out::Out;
use crate::exec::push::Demand;
use crate::exec::source::Source;
use crate::io::inflate::InflateLimits;
use crate::io::input::{InputBytes, read_error};
use crate::io::lines::LineOptions;
use crate::io::resolve::{InputFile, resolve};
use crate::io::split::{Split, SplitOptions, splits, state_of};
use crate::text::Text;

/// A file and all that is in it, from [`Context::read_paths`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Record)]
pub struct WholeFile {
    /// The path, as it was given or found; bytes that are not UTF-8 are replaced.
    pub path: Text,
    /// All bytes of the file, inflated if it is compressed.
    pub content: Vec<u8>,
}

impl Context {
    /// Whole files, one element a file: for files that are small and no text, or no lines.
    ///
    /// `inputs` is as in [`Context::read_text`], standard input included. Compressed files are inflated, small ones are grouped into
    /// splits. A file that is larger than [`Config::max_file_bytes`](crate::config::Config::max_file_bytes) is an error; each task holds
    /// one in memory at a time, or some small ones, of 4 MiB together.
    ///
    /// # Ordering
    ///
    /// By the bytes of the paths.
    ///
    /// # Errors
    ///
    /// Now: if a path does not exist or cannot be read, or a glob matches nothing. From the action: if a file is too large, has
    /// changed since now, or is compressed and damaged.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// let ctx = Context::new()?;
    /// let sizes = ctx.read_paths("examples/data/*.txt")?.map(|file| (file.path, file.content.len()));
    /// assert_eq!(sizes.collect()?.len(), 2);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// `binaryFiles` and `wholeTextFiles` of Spark.
    #[track_caller]
    pub fn read_paths(&self, inputs: impl InputPaths) -> Result<Dataset<WholeFile>> {
        let call = CallSite::here("read_paths");
        let patterns = inputs.into_paths();
        let mut found = resolve(&patterns).map_err(|error| error.in_call(call))?;
        let detail = describe(&patterns, &found.files, found.notes.len());
        for file in &mut found.files {
            file.splittable = false;
        }
        let paths = found.claimed;
        let sizes = SplitOptions { target_bytes: self.config().split_bytes, ..SplitOptions::default() };
        let source = WholeFiles {
            splits: splits(found.files, &sizes),
            paths,
            max_file_bytes: self.config().max_file_bytes,
            limits: LineOptions::of(self.config()).inflate,
        };
        Ok(Dataset::from_noted_source(self, call, detail, found.notes, source))
    }
}

/// The bytes of files that move on together at the most, but for one.
const CHUNK_BYTES: usize = 4 << 20;

struct WholeFiles {
    splits: Vec<Split>,
    /// Of the files, and where other files would be found by the next run.
    paths: Vec<PathBuf>,
    max_file_bytes: u64,
    limits: InflateLimits,
}

impl WholeFiles {
    fn content(&self, file: &InputFile) -> Result<Vec<u8>> {
        let max = self.max_file_bytes;
        if file.bytes() > max {
            // Compressed or not: what inflates to less is not worth the question.
            return Err(self.too_large(file));
        }
        let mut bytes = InputBytes::open(file, self.limits)?;
        let mut content = Vec::with_capacity(usize::try_from(file.bytes()).unwrap_or(0));
        // One byte beyond the limit tells that there are more.
        let read = bytes.by_ref().take(max.saturating_add(1)).read_to_end(&mut content);
        read.map_err(|error| {
            let now = bytes.check_unchanged(file, None);
            now.err().unwrap_or_else(|| read_error(&file.path, content.len() as u64, error))
        })?;
        if content.len() as u64 > max {
            return Err(self.too_large(file));
        }
        bytes.check_unchanged(file, Some(content.len() as u64))?;
        Ok(content)
    }

    fn too_large(&self, file: &InputFile) -> Error {
        Error::new(ErrorKind::Input, format!("a file is larger than {} bytes", self.max_file_bytes))
            .hint("raise max_file_bytes, or read it with read_text, which holds no file as a whole")
            .at(Place::file(&file.path))
    }
}

impl Source<WholeFile> for WholeFiles {
    fn splits(&self) -> usize {
        self.splits.len()
    }

    fn read(&self, split: usize, out: &mut Out<WholeFile>) -> Result<()> {
        let mut gathered = 0;
        for piece in &self.splits[split].pieces {
            let path = Text::new(&piece.file.path.to_string_lossy());
            let content = self.content(&piece.file)?;
            gathered += content.len();
            if out.emit(WholeFile { path, content })? == Demand::Enough {
                break;
            }
            if gathered > CHUNK_BYTES {
                gathered = 0;
                if out.flush()? == Demand::Enough {
                    break;
                }
            }
        }
        Ok(())
    }

    fn split_bytes(&self, split: usize) -> u64 {
        self.splits[split].bytes()
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.paths.clone()
    }

    fn state(&self) -> u64 {
        state_of(&self.splits)
    }

    fn place(&self, split: usize, row: u64) -> Place {
        let piece = usize::try_from(row).ok().and_then(|row| self.splits[split].pieces.get(row));
        piece.map_or_else(|| Place::row(row), |piece| Place::file(&piece.file.path))
    }
}
