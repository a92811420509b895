//! The lines of many places in files, and what stands there; the places come in order.

use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::sync::Arc;

use super::inflate::InflateLimits;
use super::input::{InputBytes, open_unchanged, read_error};
use super::lines::count_line_ends;
use super::resolve::InputFile;
use super::split::Piece;
use crate::error::Result;

/// Finds the lines of places, and reads each file once if these come in order.
#[derive(Debug, Default)]
pub struct LineFinder {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: Arc<InputFile>,
    bytes: BufReader<InputBytes>,
    /// How far it has been read, and the line there.
    at: u64,
    line: u64,
    buffer: Vec<u8>,
}

/// What is read at once.
const BUFFER_BYTES: usize = 64 << 10;

impl LineFinder {
    /// The 1-based line of a file that the byte at `offset` is in; standard input cannot be read again, and has none.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or has changed since it was planned.
    pub fn line(&mut self, file: &Arc<InputFile>, offset: u64) -> Result<Option<u64>> {
        Ok(self.open_at(file, offset)?.map(|open| open.line))
    }

    /// The record of a file that begins at `offset`, without the end of its line; an end of a line within quotes is none.
    ///
    /// # Errors
    ///
    /// As [`LineFinder::line`].
    pub fn record(
        &mut self,
        file: &Arc<InputFile>,
        offset: u64,
        quote: Option<u8>,
    ) -> Result<Option<Vec<u8>>> {
        self.open_at(file, offset)?.map(|open| open.record(quote)).transpose()
    }

    /// Begins in the middle of a file that is not compressed, where the number of the lines before is known.
    ///
    /// # Errors
    ///
    /// As [`LineFinder::line`].
    pub fn begin_at(&mut self, piece: &Piece, lines_before: u64) -> Result<()> {
        let mut file = open_unchanged(&piece.file)?;
        let failed = |error| read_error(&piece.file.path, piece.start, error);
        file.seek(SeekFrom::Start(piece.start)).map_err(failed)?;
        let bytes = BufReader::with_capacity(BUFFER_BYTES, InputBytes::plain(file));
        self.open = Some(Open {
            file: Arc::clone(&piece.file),
            bytes,
            at: piece.start,
            line: 1 + lines_before,
            buffer: vec![0; BUFFER_BYTES],
        });
        Ok(())
    }

    fn open_at(&mut self, file: &Arc<InputFile>, offset: u64) -> Result<Option<&mut Open>> {
        if file.is_standard_input() {
            return Ok(None);
        }
        let known = self.open.take().filter(|open| Arc::ptr_eq(&open.file, file) && open.at <= offset);
        let open = match known {
            Some(open) => open,
            // What it inflates to has been read before, within the limits.
            None => Open {
                file: Arc::clone(file),
                bytes: BufReader::with_capacity(
                    BUFFER_BYTES,
                    InputBytes::open(file, InflateLimits::default())?,
                ),
                at: 0,
                line: 1,
                buffer: vec![0; BUFFER_BYTES],
            },
        };
        let open = self.open.insert(open);
        open.go_to(offset)?;
        Ok(Some(open))
    }
}

impl Open {
    fn go_to(&mut self, offset: u64) -> Result<()> {
        let counted = count_line_ends(&mut self.bytes, offset - self.at, &mut self.buffer);
        let (read, ends) = counted.map_err(|error| read_error(&self.file.path, self.at, error))?;
        self.at += read;
        self.line += ends;
        Ok(())
    }

    fn record(&mut self, quote: Option<u8>) -> Result<Vec<u8>> {
        let (mut record, mut is_open) = (Vec::new(), false);
        loop {
            let before = record.len();
            let read = self.bytes.read_until(b'\n', &mut record);
            read.map_err(|error| read_error(&self.file.path, self.at + before as u64, error))?;
            let line = &record[before..];
            let quotes = quote.map_or(0, |quote| memchr::memchr_iter(quote, line).count());
            is_open ^= quotes % 2 == 1;
            self.line += u64::from(line.ends_with(b"\n"));
            if !is_open || line.is_empty() {
                break;
            }
        }
        self.at += record.len() as u64;
        if record.pop_if(|byte| *byte == b'\n').is_some() {
            record.pop_if(|byte| *byte == b'\r');
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::resolve::resolve;

    #[test]
    fn lines_are_found_forwards_and_backwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        std::fs::write(&path, "ab\nc\n\nd").unwrap();
        let file = Arc::new(resolve(&[path]).unwrap().files.remove(0));
        let mut finder = LineFinder::default();
        let lines = [0, 2, 3, 5, 6, 6, 100, 3].map(|offset| finder.line(&file, offset).unwrap());
        assert_eq!(lines, [1, 1, 2, 3, 4, 4, 4, 2].map(Some));
    }

    #[test]
    fn records_end_with_their_lines_but_not_within_quotes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records");
        std::fs::write(&path, "a,\"b\r\nc\"\r\nd\n\"e\nf").unwrap();
        let file = Arc::new(resolve(&[path]).unwrap().files.remove(0));
        let mut finder = LineFinder::default();
        let mut at = |offset, quote| {
            let line = finder.line(&file, offset).unwrap().unwrap();
            let record = finder.record(&file, offset, quote).unwrap().unwrap();
            (line, String::from_utf8(record).unwrap())
        };
        assert_eq!(at(0, None), (1, "a,\"b".into()));
        assert_eq!(at(0, Some(b'"')), (1, "a,\"b\r\nc\"".into()));
        assert_eq!(at(10, Some(b'"')), (3, "d".into()));
        assert_eq!(at(12, Some(b'"')), (4, "\"e\nf".into()), "it is not closed");
        assert_eq!(at(12, None), (4, "\"e".into()));
        assert_eq!(at(100, None), (5, String::new()));
    }
}
