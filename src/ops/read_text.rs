//! `read_text`: the lines of text files.

use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::{CallSite, Place, Result, printable};
use crate::exec::counter::Counter;
use crate::exec::out::Out;
use crate::exec::push::Demand;
use crate::exec::source::Source;
use crate::io::lines::{Invalid, LineOptions};
use crate::io::origin::{LineOrigins, Origin, Origins};
use crate::io::resolve::{InputFile, resolve};
use crate::io::split::{CompressedFiles, Split, SplitOptions, splits, state_of, text_bytes};
use crate::io::text::{LineBlock, LineReader, line_number, read_error};
use crate::text::Text;

impl Context {
    /// The lines of text files, one element a line, without line ends.
    ///
    /// `inputs` is a path or several: files, directories (all files in them, at any depth, but for hidden ones), or globs with `*`,
    /// `?`, `[a-z]` and `**`. Files are UTF-8, a byte order mark is no part of the first line; LF and CRLF end a line. Large files are
    /// cut into splits, a line belonging to the split in which it starts, and small ones are grouped. What is no file, such as a FIFO,
    /// is left out, and [`Dataset::notes`] tells. Files are looked up now and opened when they are read.
    ///
    /// Files that are compressed with gzip, zstd, bzip2 or xz are inflated: their first bytes tell, not their names.
    ///
    /// The path `-` is standard input, compressed or not, which can be read once; a file of that name is `./-`.
    ///
    /// # Ordering
    ///
    /// Files by the bytes of their paths, lines as they stand.
    ///
    /// # Errors
    ///
    /// Now: if a path does not exist or cannot be read, or a glob matches nothing. From the action: if a file has changed since
    /// now, is not UTF-8, or holds a line longer than the limit of
    /// [`Config::max_line_bytes`](crate::config::Config::max_line_bytes); with file, line and byte offset. If a compressed file is cut off,
    /// damaged, or inflates beyond [`Config::max_inflated_bytes`](crate::config::Config::max_inflated_bytes) and the limits beside it; with
    /// the offset in the compressed bytes. If standard input has been read before.
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
        texts(self, CallSite::here("read_text"), inputs, TextOptions::default(), Unit::Line)
    }

    /// The lines of text files, as [`Context::read_text`], with a say in what lines that are not UTF-8 become.
    ///
    /// Lines that are replaced or left out are counted: see [`TextOptions::INVALID_LINES`].
    ///
    /// # Ordering
    ///
    /// As [`Context::read_text`].
    ///
    /// # Errors
    ///
    /// As [`Context::read_text`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("latin-1.txt");
    /// std::fs::write(&path, b"caf\xe9\ntea\n")?;
    /// let ctx = Context::new()?;
    /// let options = TextOptions::default().invalid(Invalid::Replace);
    /// assert_eq!(ctx.read_text_with(&path, options)?.collect()?, ["caf\u{FFFD}", "tea"]);
    /// assert_eq!(ctx.counter(TextOptions::INVALID_LINES).value(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn read_text_with(&self, inputs: impl InputPaths, options: TextOptions) -> Result<Dataset<Text>> {
        texts(self, CallSite::here("read_text_with"), inputs, options, Unit::Line)
    }
}

/// What is an element of text files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Line,
    Word,
}

impl Unit {
    /// How many elements a line gives.
    fn in_line(self) -> fn(&str) -> u64 {
        match self {
            Unit::Line => |_| 1,
            Unit::Word => |line| line.split_whitespace().count() as u64,
        }
    }
}

/// The lines or words of text files.
pub(super) fn texts(
    ctx: &Context,
    call: CallSite,
    inputs: impl InputPaths,
    options: TextOptions,
    unit: Unit,
) -> Result<Dataset<Text>> {
    let (files, detail, notes) = TextFiles::find(ctx, call, inputs, options, unit)?;
    Ok(Dataset::from_noted_source(ctx, call, detail, notes, Texts(files)))
}

/// How text is read.
///
/// # Examples
///
/// See [`Context::read_text_with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextOptions {
    invalid: Invalid,
}

impl TextOptions {
    /// The name of the [counter](Context::counter) of the lines that were not UTF-8 and were replaced or left out. As every
    /// counter it tells of succeeded runs, and of all sources of the context together.
    pub const INVALID_LINES: &str = "invalid lines";

    /// What is done with lines that are not UTF-8. Default: they are an error.
    #[must_use]
    pub fn invalid(mut self, invalid: Invalid) -> TextOptions {
        self.invalid = invalid;
        self
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

/// Text files, cut into splits: what all sources of lines share.
pub(super) struct TextFiles {
    pub(super) splits: Vec<Split>,
    /// Of the files, and where other files would be found by the next run.
    paths: Vec<PathBuf>,
    bytes: Option<u64>,
    lines: LineOptions,
    unit: Unit,
    invalid: Counter,
}

impl TextFiles {
    /// Finds the files; with what `explain` says of them, and notes on what is left out.
    pub(super) fn find(
        ctx: &Context,
        call: CallSite,
        inputs: impl InputPaths,
        options: TextOptions,
        unit: Unit,
    ) -> Result<(TextFiles, String, Vec<String>)> {
        let patterns = inputs.into_paths();
        let found = resolve(&patterns).map_err(|error| error.in_call(call))?;
        let detail = describe(&patterns, &found.files, found.notes.len());
        let paths = found.claimed;
        let bytes = text_bytes(&found.files);
        let (target_bytes, compressed) = (ctx.config().split_bytes, CompressedFiles::Relayed);
        let sizes = SplitOptions { target_bytes, compressed, ..SplitOptions::default() };
        let lines = LineOptions { invalid: options.invalid, ..LineOptions::of(ctx.config()) };
        let (splits, invalid) = (splits(found.files, &sizes), ctx.counter(TextOptions::INVALID_LINES));
        Ok((TextFiles { splits, paths, bytes, lines, unit, invalid }, detail, found.notes))
    }

    /// Reads a split block by block, until `take` has enough.
    pub(super) fn read(&self, split: usize, mut take: impl FnMut(LineBlock) -> Result<Demand>) -> Result<()> {
        let mut reader = LineReader::new(self.splits[split].clone(), self.lines);
        while let Some(block) = reader.next_block()? {
            if take(block)? == Demand::Enough {
                break;
            }
        }
        if reader.invalid_lines() > 0 {
            self.invalid.add(reader.invalid_lines());
        }
        Ok(())
    }

    pub(super) fn size_bytes(&self) -> Option<u64> {
        self.bytes
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.paths.clone()
    }

    /// What elements were read from; standard input cannot be read again.
    pub(super) fn origins(&self, split: usize) -> Option<Box<dyn Origins + '_>> {
        let can_be_read = self.splits[split].pieces.iter().all(|piece| !piece.file.is_standard_input());
        can_be_read.then(|| -> Box<dyn Origins> { Box::new(self.lines_of(split)) })
    }

    fn lines_of(&self, split: usize) -> LineOrigins {
        LineOrigins::new(self.splits[split].alone(), self.lines, self.unit.in_line())
    }

    pub(super) fn place(&self, split: usize, row: u64) -> Place {
        let first = self.splits[split].pieces.first();
        if first.is_some_and(|piece| piece.file.is_standard_input()) {
            let place = Place::file(InputFile::STANDARD_INPUT);
            // It cannot be read again. Where lines were left out, or are cut into words, the row is no line.
            return if self.unit == Unit::Line && self.lines.invalid != Invalid::Skip {
                place.at_line(row + 1)
            } else {
                Place { row: Some(row), ..place }
            };
        }
        // The row is known, and if its line cannot be found again, because the file is gone by now, it has to do.
        self.locate(split, row).unwrap_or_else(|_| Place::row(row))
    }

    /// Reads the split again: for messages, not for work.
    fn locate(&self, split: usize, row: u64) -> Result<Place> {
        let Origin { file, offset, line, .. } = self.lines_of(split).origin(row)?;
        let line = match line {
            Some(line) => line,
            None => line_number(&file.path, offset).map_err(|error| read_error(&file.path, offset, error))?,
        };
        Ok(Place::file(&file.path).at_line(line).at_offset(offset))
    }
}

struct Texts(TextFiles);

fn emit_lines(block: &LineBlock, out: &mut Out<Text>) -> Result<Demand> {
    for line in block.texts() {
        if out.emit(line)? == Demand::Enough {
            return Ok(Demand::Enough);
        }
    }
    Ok(Demand::More)
}

impl Source<Text> for Texts {
    fn splits(&self) -> usize {
        self.0.splits.len()
    }

    fn read(&self, split: usize, out: &mut Out<Text>) -> Result<()> {
        self.0.read(split, |block| match self.0.unit {
            Unit::Line => emit_lines(&block, out),
            // No word spans blocks, for they end with lines; and that there are lines in them does not matter.
            Unit::Word => {
                let mut text = block.text();
                out.emit_from(|items, limit| text.take_words(items, limit))
            }
        })
    }

    fn size_bytes(&self) -> Option<u64> {
        self.0.size_bytes()
    }

    fn split_bytes(&self, split: usize) -> u64 {
        self.0.splits[split].bytes()
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.0.paths()
    }

    fn state(&self) -> u64 {
        state_of(&self.0.splits)
    }

    fn place(&self, split: usize, row: u64) -> Place {
        self.0.place(split, row)
    }

    fn origins(&self, split: usize) -> Option<Box<dyn Origins + '_>> {
        self.0.origins(split)
    }
}
