//! `read_text_with_origin`: the lines of text files, each with where it is.

use std::path::PathBuf;
use std::sync::Arc;

use gristmill_derive::Record;

use super::read_text::{InputPaths, TextFiles, TextOptions, Unit};
use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::{CallSite, Place, Result};
use crate::exec::out::Out;
use crate::exec::push::Demand;
use crate::exec::source::Source;
use crate::io::line_counts::SplitLineCounts;
use crate::io::origin::Origins;
use crate::io::resolve::InputFile;
use crate::io::split::state_of;

use crate::io::text::LineBlock;
use crate::text::Text;

/// A line and where it is, from [`Context::read_text_with_origin`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Record)]
pub struct OriginLine {
    /// The line, without its end.
    pub text: Text,
    /// The path of the file, as it was given or found; bytes that are not UTF-8 are replaced.
    pub path: Text,
    /// The 1-based number of the line in its file.
    pub line: u64,
    /// The 0-based offset of the first byte of the line in the text: in the file, or in what a compressed file inflates to.
    pub offset: u64,
}

impl Context {
    /// The lines of text files as [`Context::read_text_with`], each with its file, its line number and its byte offset.
    ///
    /// To number the lines of a file that is cut into splits, the line ends before each split are counted: once a split, at the speed of
    /// memory, and kept as long as the dataset is. So large files are read twice, the second time as a rule from the cache of the system;
    /// small and compressed files are not.
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
    /// let ctx = Context::new()?;
    /// let lines = ctx.read_text_with_origin("examples/data/genesis.txt", TextOptions::default())?;
    /// let second = lines.filter(|line| line.line == 2).collect()?.remove(0);
    /// assert_eq!(second.path, "examples/data/genesis.txt");
    /// assert!(second.offset > 0);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn read_text_with_origin(
        &self,
        inputs: impl InputPaths,
        options: TextOptions,
    ) -> Result<Dataset<OriginLine>> {
        let call = CallSite::here("read_text_with_origin");
        let (files, detail, notes) = TextFiles::find(self, call, inputs, options, Unit::Line)?;
        let counts = SplitLineCounts::new(&files.splits);
        Ok(Dataset::from_noted_source(self, call, detail, notes, OriginLines { files, counts }))
    }
}

/// The lines, and how many lie before each split that begins in the middle of a file.
struct OriginLines {
    files: TextFiles,
    counts: SplitLineCounts,
}

/// The numbers of lines, file by file.
struct Numbering {
    file: Arc<InputFile>,
    path: Text,
    /// The lines before the next one.
    before: u64,
}

impl Numbering {
    fn new(file: &Arc<InputFile>, before: u64) -> Numbering {
        Numbering { file: Arc::clone(file), path: Text::new(&file.path.to_string_lossy()), before }
    }

    /// Emits the lines of a block.
    fn emit(&mut self, block: &LineBlock, out: &mut Out<OriginLine>) -> Result<Demand> {
        let (lines, mut kept) = (block.lines(), 0);
        for range in block.ranges() {
            kept += 1;
            let line = self.before + lines.left_out_before(range.start) + kept;
            let (path, offset) = (self.path.clone(), lines.offset_of(range.start));
            let text = lines.block.text(range);
            if out.emit(OriginLine { text, path, line, offset })? == Demand::Enough {
                return Ok(Demand::Enough);
            }
        }
        self.before += kept + lines.left_out_before(lines.block.as_str().len());
        Ok(Demand::More)
    }
}

impl OriginLines {
    /// The lines before a block, which is the first one that was read of its file in this split.
    fn before(&self, split: usize, block: &LineBlock) -> Result<u64> {
        if let Some(before) = block.lines_before() {
            return Ok(before);
        }
        let Some(before) = self.counts.before(split)? else { return Ok(0) };
        let start = self.files.splits[split].pieces.first().map_or(0, |piece| piece.start);
        // The line that begins in the split before this one ends here: with an end that was not counted there.
        Ok(before + u64::from(block.lines().offset > start))
    }
}

impl Source<OriginLine> for OriginLines {
    fn splits(&self) -> usize {
        self.files.splits.len()
    }

    fn read(&self, split: usize, out: &mut Out<OriginLine>) -> Result<()> {
        let mut numbering: Option<Numbering> = None;
        self.files.read(split, |block| {
            let same = numbering.take().filter(|numbering| Arc::ptr_eq(&numbering.file, block.file()));
            let numbering = match same {
                Some(same) => numbering.insert(same),
                None => numbering.insert(Numbering::new(block.file(), self.before(split, &block)?)),
            };
            numbering.emit(&block, out)
        })
    }

    fn size_bytes(&self) -> Option<u64> {
        self.files.size_bytes()
    }

    fn split_bytes(&self, split: usize) -> u64 {
        self.files.splits[split].bytes()
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.files.paths()
    }

    fn state(&self) -> u64 {
        state_of(&self.files.splits)
    }

    fn place(&self, split: usize, row: u64) -> Place {
        self.files.place(split, row)
    }

    fn origins(&self, split: usize) -> Option<Box<dyn Origins + '_>> {
        self.files.origins(split)
    }
}
