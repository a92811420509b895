//! Reading: ranges for the threads, and blocks of whole words within a range.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::scan::PADDING;
use crate::Outcome;

/// What a thread pulls at a time: large enough to make the pull free, small enough to keep the threads even.
const RANGE_BYTES: u64 = 8 << 20;
/// What one call reads: it and the hot part of a table fit the second-level cache together.
const BLOCK_BYTES: usize = 256 << 10;

/// The input file, shared by the threads.
pub struct Source {
    file: File,
    bytes: u64,
    next: AtomicU64,
}

impl Source {
    pub fn open(path: &Path) -> Outcome<Source> {
        let file = File::open(path)?;
        Ok(Source { bytes: file.metadata()?.len(), file, next: AtomicU64::new(0) })
    }

    /// The next range that nobody has, cut at ASCII white space on both sides.
    pub fn next_range(&self) -> Outcome<Option<Range<u64>>> {
        let start = self.next.fetch_add(1, Ordering::Relaxed) * RANGE_BYTES;
        if start >= self.bytes {
            return Ok(None);
        }
        Ok(Some(self.cut(start)?..self.cut(start + RANGE_BYTES)?))
    }

    /// The first place at or after `position` where no word is cut, whoever asks.
    fn cut(&self, position: u64) -> Outcome<u64> {
        if position == 0 {
            return Ok(0);
        }
        let mut bytes = [0; 4096];
        let mut position = position.min(self.bytes);
        loop {
            let read = self.file.read_at(&mut bytes, position)?;
            if let Some(offset) = bytes[..read].iter().position(u8::is_ascii_whitespace) {
                return Ok(position + offset as u64);
            }
            position += read as u64;
            if read == 0 {
                return Ok(position);
            }
        }
    }
}

/// A block of whole words.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    /// The text, and at least [`PADDING`] bytes behind it.
    padded: &'a [u8],
    text: &'a str,
}

impl<'a> Block<'a> {
    pub fn text(self) -> &'a str {
        self.text
    }

    /// The start of the text; it may be read for [`PADDING`] bytes beyond the end of the text.
    pub fn as_padded_ptr(self) -> *const u8 {
        debug_assert!(self.padded.len() >= self.text.len() + PADDING);
        self.padded.as_ptr()
    }
}

/// The buffer of one thread.
pub struct Blocks {
    buffer: Vec<u8>,
}

impl Blocks {
    pub fn new() -> Blocks {
        Blocks { buffer: vec![0; BLOCK_BYTES + PADDING] }
    }

    /// Reads a range and hands it on as blocks of whole words.
    pub fn read(
        &mut self,
        source: &Source,
        range: Range<u64>,
        mut each: impl FnMut(Block<'_>) -> Outcome<()>,
    ) -> Outcome<()> {
        let Range { start: mut position, end } = range;
        let mut kept = 0; // the start of a word whose end is not read yet
        while position < end {
            if kept == self.buffer.len() - PADDING {
                self.buffer.resize(2 * kept + PADDING, 0); // one word fills the buffer
            }
            let room = self.buffer.len() - PADDING - kept;
            let wanted = room.min(usize::try_from(end - position)?);
            source.file.read_exact_at(&mut self.buffer[kept..kept + wanted], position)?;
            position += wanted as u64;
            let filled = kept + wanted;
            let whole = if position == end { filled } else { after_last_space(&self.buffer[..filled]) };
            let text = simdutf8::basic::from_utf8(&self.buffer[..whole])?;
            each(Block { padded: &self.buffer, text })?;
            self.buffer.copy_within(whole..filled, 0);
            kept = filled - whole;
        }
        Ok(())
    }
}

/// The length of the text without the word that may go on after it.
fn after_last_space(bytes: &[u8]) -> usize {
    bytes.iter().rposition(u8::is_ascii_whitespace).map_or(0, |last| last + 1)
}
