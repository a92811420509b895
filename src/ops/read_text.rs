//! `read_text`: the lines of text files.

use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::{CallSite, Place, Result, printable};
use crate::exec::out::Out;
use crate::exec::push::Flow;
use crate::exec::source::Source;
use crate::io::lines::LineOptions;
use crate::io::resolve::{InputFile, resolve};
use crate::io::split::{Split, SplitOptions, splits};
use crate::io::text::{LineReader, locate};
use crate::text::Text;

impl Context {
    /// The lines of text files, one element a line, without line ends.
    ///
    /// `inputs` is a path or several: files, directories (all files in them, at any depth, but for hidden ones), or globs with `*`,
    /// `?`, `[a-z]` and `**`. Files are UTF-8; LF and CRLF end a line. Large files are cut into splits, a line belonging to
    /// the split in which it starts, and small ones are grouped. What is no file, such as a FIFO, is left
    /// out, and [`Dataset::notes`] tells. Files are looked up now and opened when they are read.
    ///
    /// # Ordering
    ///
    /// Files by the bytes of their paths, lines as they stand.
    ///
    /// # Errors
    ///
    /// Now: if a path does not exist or cannot be read, or a glob matches nothing. From the action: if a file has changed since
    /// now, is compressed, is not UTF-8, or holds a line longer than the limit of
    /// [`Config::max_line_bytes`](crate::config::Config::max_line_bytes); with file, line and byte offset.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// let ctx = Context::new()?;
    /// let lines = ctx.read_text("examples/data/*.txt")?;
    /// let both = ctx.read_text(["examples/data/genesis.txt", "examples/data/psalms.txt"])?;
    /// assert_eq!(lines.count()?, both.count()?);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn read_text(&self, inputs: impl InputPaths) -> Result<Dataset<Text>> {
        let call = CallSite::here("read_text");
        let patterns = inputs.into_paths();
        let found = resolve(&patterns).map_err(|error| error.in_call(call))?;
        let detail = describe(&patterns, &found.files, found.notes.len());
        let files = found.files.iter().map(|file| file.path.clone());
        let paths = found.scopes.into_iter().chain(files).collect();
        let bytes = found.files.iter().map(InputFile::bytes).sum();
        let options = SplitOptions { target_bytes: self.config().split_bytes, ..SplitOptions::default() };
        let lines = LineOptions { max_line_bytes: self.config().max_line_bytes, ..LineOptions::default() };
        let source = TextFiles { splits: splits(found.files, &options), paths, bytes, lines };
        Ok(Dataset::from_noted_source(self, call, detail, found.notes, source))
    }
}

/// One path or several, in the types in which programs have them.
pub trait InputPaths {
    /// The paths.
    fn into_paths(self) -> Vec<PathBuf>;
}

macro_rules! one_path {
    ($($path:ty),+) => {$(
        impl InputPaths for $path {
            fn into_paths(self) -> Vec<PathBuf> {
                vec![PathBuf::from(self)]
            }
        }
    )+};
}

one_path!(&str, String, &String, &Path, PathBuf, &PathBuf);

macro_rules! many_paths {
    ($($paths:ty [$($parameters:tt)*]),+) => {$(
        impl<P: AsRef<Path>, $($parameters)*> InputPaths for $paths {
            fn into_paths(self) -> Vec<PathBuf> {
                self.iter().map(|path| path.as_ref().to_owned()).collect()
            }
        }
    )+};
}

many_paths!(&[P] [], Vec<P> [], &Vec<P> [], [P; N] [const N: usize], &[P; N] [const N: usize]);

pub(super) fn describe(patterns: &[PathBuf], files: &[InputFile], skipped: usize) -> String {
    let names: Vec<String> = patterns.iter().take(3).map(|path| printable(path)).collect();
    let more = if patterns.len() > names.len() { ", …" } else { "" };
    let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    let bytes: u64 = files.iter().map(InputFile::bytes).sum();
    format!("{}{more} ({} file(s), {bytes} bytes{skipped})", names.join(", "), files.len())
}

struct TextFiles {
    splits: Vec<Split>,
    /// Of the files, and where other files would be found by the next run.
    paths: Vec<PathBuf>,
    bytes: u64,
    lines: LineOptions,
}

impl Source<Text> for TextFiles {
    fn splits(&self) -> usize {
        self.splits.len()
    }

    fn read(&self, split: usize, out: &mut Out<Text>) -> Result<()> {
        let mut reader = LineReader::new(self.splits[split].clone(), self.lines);
        while let Some(block) = reader.next_block()? {
            for line in block.texts() {
                if out.emit(line)? == Flow::Enough {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> Option<u64> {
        Some(self.bytes)
    }

    fn split_bytes(&self, split: usize) -> u64 {
        self.splits[split].bytes()
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.paths.clone()
    }

    fn place(&self, split: usize, row: u64) -> Place {
        // The row is known, and if its line cannot be found again, because the file is gone by now, it has to do.
        locate(self.splits[split].clone(), row, self.lines).unwrap_or_else(|_| Place::row(row))
    }
}
