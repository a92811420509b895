//! Blocks of whole lines out of a stream of bytes.
//!
//! Lines end with `\n` or `\r\n`; a lone `\r` is data. A line belongs to the range of bytes in which it starts. So a
//! range that does not start the file skips what the range before it reads, and each reads beyond its end to finish
//! its last line: ranges that cover a file give every line once, wherever their borders are.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::iter::FusedIterator;
use std::ops::Range;

use super::inflate::{InflateLimits, Paused};
use crate::config::Config;
use crate::text::{Block, InvalidUtf8, Newlines, Utf8Block};

/// How lines are read.
///
/// # Examples
///
/// ```
/// use gristmill::io::lines::LineOptions;
///
/// let options = LineOptions { max_line_bytes: 1 << 30, ..LineOptions::default() };
/// assert_eq!(options.block_bytes, 256 << 10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineOptions {
    /// The bytes to read at once; at least 1. Default: 256 KiB, which stays in the cache of a core.
    pub block_bytes: usize,
    /// The greatest length of a line, without its end. Default: 16 MiB.
    pub max_line_bytes: usize,
    /// What is done with lines that are not UTF-8. Default: they are an error.
    pub invalid: Invalid,
    /// How far a compressed file may inflate.
    pub inflate: InflateLimits,
}

impl Default for LineOptions {
    fn default() -> LineOptions {
        LineOptions {
            block_bytes: 256 << 10,
            max_line_bytes: 16 << 20,
            invalid: Invalid::Fail,
            inflate: InflateLimits::default(),
        }
    }
}

impl LineOptions {
    /// The options with the limits of a context's settings.
    pub fn of(config: &Config) -> LineOptions {
        let inflate = InflateLimits {
            max_bytes: config.max_inflated_bytes,
            max_ratio: config.max_inflate_ratio,
            max_window_bytes: config.max_inflate_window_bytes,
        };
        LineOptions { max_line_bytes: config.max_line_bytes, inflate, ..LineOptions::default() }
    }
}

/// What is done with a line that is not UTF-8.
///
/// # Examples
///
/// See [`Context::read_text_with`](crate::Context::read_text_with).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Invalid {
    /// It is an error, with file, line and byte offset.
    #[default]
    Fail,
    /// What is no character in it becomes U+FFFD, as [`String::from_utf8_lossy`] does it.
    Replace,
    /// It is left out.
    Skip,
}

/// Why a stream gives no more lines.
#[derive(Debug)]
pub struct LineFault {
    /// The offset in the stream: of the line that is too long, the byte that is not UTF-8, or the failed read.
    pub offset: u64,
    /// What happened there.
    pub kind: LineFaultKind,
}

impl LineFault {
    /// Whether it is none, but a pause of the source.
    fn is_pause(&self) -> bool {
        matches!(&self.kind, LineFaultKind::Read(error) if Paused::is(error))
    }
}

/// What can happen to a stream of lines.
#[derive(Debug)]
pub enum LineFaultKind {
    /// The stream cannot be read.
    Read(io::Error),
    /// A line is longer than the limit.
    TooLong,
    /// A line is not UTF-8.
    NotUtf8,
}

/// Blocks to be filled, most of which have been filled before.
///
/// It keeps an eye on the last few blocks that it gave, and gives one of them again when no text holds it any longer.
#[derive(Debug)]
pub struct BlockPool {
    block_bytes: usize,
    given: VecDeque<Utf8Block>,
}

impl BlockPool {
    /// Enough for the texts of one chunk to be on their way while the next block is read.
    const KEPT: usize = 4;

    /// A pool of blocks with room for so many bytes.
    pub fn new(block_bytes: usize) -> BlockPool {
        BlockPool { block_bytes, given: VecDeque::with_capacity(BlockPool::KEPT) }
    }

    fn take(&mut self) -> Block {
        // The oldest is the likeliest to be free; the others are asked too, because one text can hold it for long.
        for _ in 0..self.given.len() {
            match self.given.pop_front().map(Utf8Block::try_recycle) {
                Some(Ok(block)) => return block,
                Some(Err(held)) => self.given.push_back(held),
                None => break,
            }
        }
        Block::with_capacity(self.block_bytes)
    }

    fn watch(&mut self, block: &Utf8Block) {
        // A block that grew for one long line would keep its size for ever.
        if block.as_str().len() > 4 * self.block_bytes {
            return;
        }
        if self.given.len() == BlockPool::KEPT {
            self.given.pop_front();
        }
        self.given.push_back(block.clone());
    }
}

/// Some whole lines of a stream.
#[derive(Debug, Clone)]
pub struct Lines {
    /// The bytes of the lines, with their ends.
    pub block: Utf8Block,
    /// The offset of the block in the stream.
    pub offset: u64,
    /// The bytes of the stream that the block is made of.
    source_bytes: u64,
    /// Where the block goes on after lines that were not UTF-8; empty as long as there are none.
    mended: Vec<Mended>,
}

/// What follows a line that was not UTF-8.
#[derive(Debug, Clone, Copy)]
struct Mended {
    /// Where it is in the block.
    at: usize,
    /// Its offset in the stream.
    offset: u64,
    /// Whether the line before it was left out.
    left_out: bool,
}

impl Lines {
    /// The byte order mark, which may start a file and is no part of its first line.
    const MARK: &str = "\u{FEFF}";

    /// Where the first line starts in the block: behind a byte order mark.
    pub fn start(&self) -> usize {
        let marked = self.offset_of(0) == 0 && self.block.as_str().starts_with(Lines::MARK);
        if marked { Lines::MARK.len() } else { 0 }
    }

    /// The ranges of the lines in the block, without their ends.
    pub fn ranges(&self) -> LineRanges<'_> {
        LineRanges::new(self.block.as_str().as_bytes(), self.start())
    }

    /// The offset in the stream of the line that starts here in the block.
    pub fn offset_of(&self, start: usize) -> u64 {
        let after = self.mended.partition_point(|mended| mended.at <= start);
        match after.checked_sub(1).map(|last| self.mended[last]) {
            Some(Mended { at, offset, .. }) => offset + (start - at) as u64,
            None => self.offset + start as u64,
        }
    }

    /// The bytes of the stream that the block is made of. They are more than those of the block where lines were left out.
    pub fn source_bytes(&self) -> u64 {
        self.source_bytes
    }

    /// The lines that were left out before the line that starts here in the block; all of them for its end.
    pub fn left_out_before(&self, start: usize) -> u64 {
        let before = self.mended.iter().take_while(|mended| mended.at <= start);
        before.filter(|mended| mended.left_out).count() as u64
    }

    /// The lines of the stream that have ended within the block, those that were left out included.
    pub fn ended(&self) -> u64 {
        let text = self.block.as_str().as_bytes();
        memchr::memchr_iter(b'\n', text).count() as u64 + self.left_out_before(text.len())
    }

    /// Whether the line at this range of the block was not UTF-8, and what was no character in it has been replaced.
    pub fn is_replaced(&self, range: &Range<usize>) -> bool {
        const LONGEST_END: usize = "\r\n".len();
        let after = self.mended.partition_point(|mended| mended.at <= range.start);
        self.mended.get(after).is_some_and(|mended| mended.at <= range.end + LONGEST_END && !mended.left_out)
    }

    /// The lines that were not UTF-8, and were replaced or left out.
    pub fn invalid_lines(&self) -> u64 {
        self.mended.len() as u64
    }
}

/// The ranges of the lines in a block, from [`Lines::ranges`].
#[derive(Debug, Clone)]
pub struct LineRanges<'a> {
    bytes: &'a [u8],
    next: usize,
    ends: Newlines<'a>,
}

impl<'a> LineRanges<'a> {
    /// The lines from `first` on; no line ends before it.
    fn new(bytes: &'a [u8], first: usize) -> LineRanges<'a> {
        LineRanges { bytes, next: first, ends: Newlines::new(bytes) }
    }
}

impl Iterator for LineRanges<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.next;
        if let Some(end) = self.ends.next() {
            self.next = end + 1;
            return Some(start..start + without_return(&self.bytes[start..end]));
        }
        self.next = self.bytes.len();
        (start < self.next).then_some(start..self.next)
    }
}

impl FusedIterator for LineRanges<'_> {}

/// Reads so many bytes, or all there are, and counts the line ends in them: how many bytes there were, and how many ends. `buffer` must not
/// be empty.
///
/// # Errors
///
/// That of the source.
pub(crate) fn count_line_ends(
    source: &mut impl Read,
    bytes: u64,
    buffer: &mut [u8],
) -> io::Result<(u64, u64)> {
    let (mut read, mut ends) = (0, 0);
    while read < bytes {
        let wanted = usize::try_from(bytes - read).unwrap_or(usize::MAX).min(buffer.len());
        match source.read(&mut buffer[..wanted]) {
            Ok(0) => break,
            Ok(count) => {
                read += count as u64;
                ends += memchr::memchr_iter(b'\n', &buffer[..count]).count() as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((read, ends))
}

/// The length of a line, that a `\n` ends, without the `\r` before it.
#[inline]
fn without_return(line: &[u8]) -> usize {
    line.len() - usize::from(line.last() == Some(&b'\r'))
}

/// Cuts a range of a stream into blocks of whole lines.
///
/// # Examples
///
/// ```
/// use gristmill::io::lines::{BlockPool, LineCutter, LineOptions};
///
/// let mut pool = BlockPool::new(1024);
/// let mut cutter = LineCutter::new(&b"one\ntwo\r\nthree"[..], 0..14, LineOptions::default());
/// let lines = cutter.next_lines(&mut pool).map_err(|fault| fault.offset)?;
/// assert_eq!(lines.map(|lines| lines.ranges().collect()), Some(vec![0..3, 4..7]));
/// let lines = cutter.next_lines(&mut pool).map_err(|fault| fault.offset)?;
/// assert_eq!(lines.map(|lines| lines.offset), Some(9));
/// # Ok::<(), u64>(())
/// ```
#[derive(Debug)]
pub struct LineCutter<R> {
    source: R,
    options: LineOptions,
    state: State,
    /// A line that starts here or later is not ours.
    stop: u64,
    /// The offset of the next byte of the source.
    at: u64,
    /// The last bytes of the source, of which no line has been given.
    ahead: Vec<u8>,
    /// Whether the source has ended.
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The rest of a line that started before the range comes first.
    Skipping,
    Cutting,
    Done,
}

impl<R: Read> LineCutter<R> {
    /// How much is read at once to find the end of the last line, which lies beyond the range.
    const TAIL: usize = 4 << 10;

    /// Cuts the lines that start in `range`.
    ///
    /// The source gives the bytes from [`LineCutter::first_byte`] on. Of a stream that has no known length the range
    /// is `0..u64::MAX`.
    pub fn new(source: R, range: Range<u64>, options: LineOptions) -> LineCutter<R> {
        let state = match range {
            Range { start, end } if start >= end => State::Done,
            Range { start: 0, .. } => State::Cutting,
            Range { .. } => State::Skipping,
        };
        let at = LineCutter::<R>::first_byte(range.start);
        LineCutter { source, options, state, stop: range.end, at, ahead: Vec::new(), ended: false }
    }

    /// Where the source of a range that starts at `start` has to start: a byte earlier, to see whether a line ends
    /// there.
    pub fn first_byte(start: u64) -> u64 {
        start.saturating_sub(1)
    }

    /// The offset at which the source ended, if it did.
    pub fn end(&self) -> Option<u64> {
        self.ended.then_some(self.at)
    }

    /// The source.
    pub fn source(&self) -> &R {
        &self.source
    }

    /// The source, to be told when to pause.
    pub(super) fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// The next block of whole lines, or `None` after the last one. Where a source pauses, with the error
    /// [`Paused`], there is `None` as well; the line that has begun is kept, and the next call goes on with it.
    ///
    /// # Errors
    ///
    /// A [`LineFault`] if the source fails, a line is too long, or a line is not UTF-8. Nothing follows it.
    pub fn next_lines(&mut self, pool: &mut BlockPool) -> Result<Option<Lines>, LineFault> {
        let lines = self.try_next(pool);
        if lines.is_err() {
            self.state = State::Done;
        }
        lines
    }

    fn try_next(&mut self, pool: &mut BlockPool) -> Result<Option<Lines>, LineFault> {
        if self.state == State::Skipping {
            self.skip()?;
        }
        if self.state == State::Done {
            return Ok(None);
        }
        let mut block = pool.take();
        let Some(offset) = self.fill(block.buffer())? else { return Ok(None) };
        let source_bytes = block.buffer().len() as u64;
        if source_bytes == 0 {
            return Ok(None);
        }
        let not_utf8 =
            |invalid: &InvalidUtf8| fault(offset + invalid.valid_up_to as u64, LineFaultKind::NotUtf8);
        let mut mended = Vec::new();
        let block = match Utf8Block::new(block) {
            Err(mut invalid) if self.options.invalid != Invalid::Fail => {
                mended = mend(invalid.block.buffer(), offset, self.options.invalid);
                Utf8Block::new(invalid.block).map_err(|invalid| not_utf8(&invalid))?
            }
            block => block.map_err(|invalid| not_utf8(&invalid))?,
        };
        pool.watch(&block);
        Ok(Some(Lines { block, offset, source_bytes, mended }))
    }

    /// Fills a buffer with whole lines, and gives the offset of its first byte; `None` if the source pauses before one has ended.
    fn fill(&mut self, buffer: &mut Vec<u8>) -> Result<Option<u64>, LineFault> {
        let offset = self.at - self.ahead.len() as u64;
        buffer.append(&mut self.ahead);
        let mut searched = 0;
        let end = loop {
            if let Some(end) = self.cut(buffer, offset, searched) {
                break end;
            }
            searched = buffer.len();
            // One byte more than the limit may still be the `\r` of an end; two cannot.
            if searched > self.options.max_line_bytes.saturating_add(1) {
                return Err(fault(offset, LineFaultKind::TooLong));
            }
            match self.read(buffer) {
                Ok(0) => {
                    self.state = State::Done;
                    break buffer.len();
                }
                Ok(_) => {}
                Err(fault) if fault.is_pause() => {
                    self.ahead.append(buffer);
                    return Ok(None);
                }
                Err(fault) => return Err(fault),
            }
        };
        self.ahead.extend_from_slice(&buffer[end..]);
        buffer.truncate(end);
        self.check_lengths(buffer, offset)?;
        Ok(Some(offset))
    }

    /// Where the last whole line of a buffer ends, if one ends there behind what was searched before.
    fn cut(&mut self, buffer: &[u8], offset: u64, searched: usize) -> Option<usize> {
        // The line that ends at this index or later is our last one: the next one starts beyond the range.
        let last = usize::try_from(self.stop - 1 - offset).unwrap_or(usize::MAX);
        let from = searched.max(last).min(buffer.len());
        if let Some(length) = memchr::memchr(b'\n', &buffer[from..]) {
            self.state = State::Done;
            return Some(from + length + 1);
        }
        memchr::memrchr(b'\n', &buffer[searched..from]).map(|at| searched + at + 1)
    }

    /// Skips the line that starts before the range.
    fn skip(&mut self) -> Result<(), LineFault> {
        loop {
            let offset = self.at;
            let mut bytes = Vec::new();
            if self.read(&mut bytes)? == 0 {
                self.state = State::Done;
                return Ok(());
            }
            let found = memchr::memchr(b'\n', &bytes);
            let end = found.unwrap_or(bytes.len()) as u64 + offset;
            if end + 1 >= self.stop {
                self.state = State::Done;
                return Ok(());
            }
            if let Some(found) = found {
                self.ahead = bytes.split_off(found + 1);
                self.state = State::Cutting;
                return Ok(());
            }
        }
    }

    /// Reads some bytes to the end of a buffer, and gives their number: 0 when the source has ended.
    fn read(&mut self, buffer: &mut Vec<u8>) -> Result<usize, LineFault> {
        let left = usize::try_from(self.stop.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = left.saturating_add(Self::TAIL).min(self.options.block_bytes.max(1));
        let filled = buffer.len();
        buffer.resize(filled + wanted, 0);
        let count = loop {
            match self.source.read(&mut buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    buffer.truncate(filled);
                    return Err(fault(self.at, LineFaultKind::Read(error)));
                }
                Ok(count) => break count,
            }
        };
        buffer.truncate(filled + count);
        self.at += count as u64;
        self.ended |= count == 0;
        Ok(count)
    }

    /// Makes sure that no line of a buffer is too long. Nearly always the buffer itself is shorter than the limit.
    fn check_lengths(&self, buffer: &[u8], offset: u64) -> Result<(), LineFault> {
        if buffer.len() <= self.options.max_line_bytes {
            return Ok(());
        }
        let mut ranges = LineRanges::new(buffer, 0);
        match ranges.find(|range| range.len() > self.options.max_line_bytes) {
            Some(range) => Err(fault(offset + range.start as u64, LineFaultKind::TooLong)),
            None => Ok(()),
        }
    }
}

/// Replaces or takes out the lines of a buffer that are not UTF-8, and says what follows each.
fn mend(buffer: &mut Vec<u8>, offset: u64, invalid: Invalid) -> Vec<Mended> {
    let bytes = std::mem::take(buffer);
    buffer.reserve(bytes.len());
    let (mut mended, mut end) = (Vec::new(), offset);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        end += line.len() as u64;
        if simdutf8::basic::from_utf8(line).is_ok() {
            buffer.extend_from_slice(line);
            continue;
        }
        if invalid == Invalid::Replace {
            buffer.extend_from_slice(String::from_utf8_lossy(line).as_bytes());
        }
        mended.push(Mended { at: buffer.len(), offset: end, left_out: invalid == Invalid::Skip });
    }
    mended
}

#[cold]
fn fault(offset: u64, kind: LineFaultKind) -> LineFault {
    LineFault { offset, kind }
}
