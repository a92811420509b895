//! What readers of records make of a split: batches of rows, and the records that cannot be rows.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::input::open_unchanged;
use super::resolve::InputFile;
use super::split::{CompressedFiles, Split};
use super::text::line_number;
use crate::error::{Error, ErrorKind, Place, Result};

/// A record that cannot be a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Where it begins in its file.
    pub offset: u64,
    /// Its 1-based line, where the reader has counted lines; else it is looked up.
    pub line: Option<u64>,
    /// Its bytes, without the end of its line.
    pub raw: Vec<u8>,
    /// What is wrong with it, for people.
    pub reason: String,
}

impl BadRecord {
    /// Where it is.
    pub fn place(&self, file: &InputFile) -> Place {
        match self.line {
            Some(line) => Place::file(&file.path).at_line(line).at_offset(self.offset),
            None => place(file, self.offset),
        }
    }

    /// The error that it is; or that of a file which someone is writing, and which may be cut off for that.
    pub fn error(&self, file: &InputFile) -> Error {
        if !file.is_standard_input()
            && let Err(error) = open_unchanged(file)
        {
            return error;
        }
        Error::new(ErrorKind::Input, self.reason.as_str())
            .hint("mend the input, or say with on_error (--on-error) what such a record does")
            .at(self.place(file))
    }
}

/// Where the record is that begins at an offset.
pub fn place(file: &InputFile, offset: u64) -> Place {
    let place = Place::file(&file.path).at_offset(offset);
    match line_number(&file.path, offset) {
        Ok(line) => place.at_line(line),
        Err(_) => place,
    }
}

/// Neighbouring records of a split.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// Those that are rows.
    pub rows: RecordBatch,
    /// What of them, and of those that are no rows, each file has, in order.
    pub files: Vec<FileRecords>,
}

/// Neighbouring records of a file.
#[derive(Debug, Clone)]
pub struct FileRecords {
    /// The file.
    pub file: Arc<InputFile>,
    /// Where each of those that are rows begins in the file.
    pub offsets: Vec<u64>,
    /// Those that are none, in order.
    pub bad: Vec<BadRecord>,
}

impl Parsed {
    /// The file that a row is in, and where it begins there.
    pub fn origin(&self, row: u64) -> Option<(&Arc<InputFile>, u64)> {
        let mut before = 0;
        self.files.iter().find_map(|records| {
            let offset = records.offsets.get(usize::try_from(row - before).ok()?);
            before += if offset.is_none() { records.offsets.len() as u64 } else { 0 };
            offset.map(|&offset| (&records.file, offset))
        })
    }
}

/// Reads the records of a split.
pub trait Reader {
    /// The next ones; none after the last.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or nothing in it can be.
    fn next(&mut self) -> Result<Option<Parsed>>;
}

/// How files of records are read.
pub trait Format: Send + Sync + 'static {
    /// The columns of the rows.
    fn schema(&self) -> &SchemaRef;

    /// The quote within which an end of a line is none; without one, a record is a line.
    fn quote(&self) -> Option<u8> {
        None
    }

    /// How large compressed files are read: in pieces only if it is lines that are read.
    fn compressed_files(&self) -> CompressedFiles {
        CompressedFiles::Whole
    }

    /// A reader of a split; it has opened nothing yet.
    fn reader<'a>(&'a self, split: &'a Split) -> Box<dyn Reader + 'a>;
}
