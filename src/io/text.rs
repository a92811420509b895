//! The lines of a split of text files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::inflate::{Codec, InflateLimits, Inflater};
use super::input::InputBytes;
pub(crate) use super::input::{open_unchanged, read_error};
use super::lines::{
    BlockPool, LineCutter, LineFault, LineFaultKind, LineOptions, LineRanges, Lines, count_line_ends,
};
use super::relay::{RelayFault, RelayedLines};
use super::resolve::InputFile;
use super::split::{Piece, Split};
use crate::{Error, ErrorKind, Place, Result, Text};

/// Reads the lines of a split, in blocks.
///
/// Compressed files are inflated: their first bytes tell, whatever their names are.
///
/// Files are opened when their turn comes and closed when their last line is read, so that one is open at a time. They
/// are read, not mapped: a file that is cut short meanwhile is an error, not a signal.
///
/// # Examples
///
/// ```
/// use gristmill::io::{lines::LineOptions, resolve::resolve, split::{SplitOptions, splits}, text::LineReader};
///
/// let inputs = resolve(&["src/io/text.rs"])?;
/// let mut lines = 0;
/// for split in splits(inputs.files, &SplitOptions::default()) {
///     let mut reader = LineReader::new(split, LineOptions::default());
///     while let Some(block) = reader.next_block()? {
///         lines += block.texts().filter(|line| line.starts_with("//!")).count();
///     }
/// }
/// assert!(lines > 0);
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug)]
pub struct LineReader {
    /// The pieces that are not yet opened, the next one last.
    pieces: Vec<Piece>,
    options: LineOptions,
    open: Option<Open>,
    pool: BlockPool,
    bytes_read: u64,
    invalid_lines: u64,
}

/// A block of whole lines of a file.
///
/// # Examples
///
/// See [`LineReader`].
#[derive(Debug, Clone)]
pub struct LineBlock {
    file: Arc<InputFile>,
    lines: Lines,
    lines_before: Option<u64>,
}

impl LineBlock {
    /// The lines of the file before the block, those that were left out included, where the reader knows: in a file that is read from
    /// its beginning because it is compressed or standard input.
    pub fn lines_before(&self) -> Option<u64> {
        self.lines_before
    }

    /// The 1-based line of the file that is the one with this index of those that the block has, where the reader knows; it begins in the
    /// block at `start`.
    pub fn line_number(&self, index: usize, start: usize) -> Option<u64> {
        Some(self.lines_before? + self.lines.left_out_before(start) + index as u64 + 1)
    }

    /// The file that the lines are of.
    pub fn file(&self) -> &Arc<InputFile> {
        &self.file
    }

    /// The lines: their bytes and where these start in the file.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// The ranges of the lines in the block, without their ends.
    pub fn ranges(&self) -> LineRanges<'_> {
        self.lines.ranges()
    }

    /// All lines as one text, with their ends.
    pub fn text(&self) -> Text {
        let block = &self.lines.block;
        block.text(self.lines.start()..block.as_str().len())
    }

    /// The lines as texts. Those that do not lie inline keep the block alive.
    pub fn texts(&self) -> impl Iterator<Item = Text> {
        self.ranges().map(|range| self.lines.block.text(range))
    }
}

impl LineReader {
    /// A reader that has opened nothing yet.
    pub fn new(split: Split, options: LineOptions) -> LineReader {
        let mut pieces = split.pieces;
        pieces.reverse();
        let pool = BlockPool::new(options.block_bytes);
        LineReader { pieces, options, open: None, pool, bytes_read: 0, invalid_lines: 0 }
    }

    /// The next block, or `None` after the last one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] if a file cannot be read, is not as it was when the program was planned, holds a line that
    /// is longer than the limit, or is not UTF-8, or if it is compressed and damaged, cut off, or beyond a limit of
    /// [`LineOptions::inflate`]. Offsets are those in the text, and in the compressed bytes where inflating fails.
    pub fn next_block(&mut self) -> Result<Option<LineBlock>> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(piece) = self.pieces.pop() else { return Ok(None) };
                self.open = Some(Open::new(piece, self.options, &mut self.pool)?);
                continue;
            };
            if let Some(block) = open.next_block(self.options, &mut self.pool)? {
                self.bytes_read += block.lines.source_bytes();
                self.invalid_lines += block.lines.invalid_lines();
                return Ok(Some(block));
            }
            self.open = None;
        }
    }

    /// The bytes of all lines that were read, with their ends, inflated where files are compressed. Over all splits of an
    /// input it is the size of the input: what two readers look at counts once.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The lines that were not UTF-8 so far, and were replaced or left out; see [`LineOptions::invalid`].
    pub fn invalid_lines(&self) -> u64 {
        self.invalid_lines
    }
}

/// A piece that is being read.
#[derive(Debug)]
enum Open {
    File(Box<OpenPiece>),
    Relayed(Arc<InputFile>, Box<RelayedLines>),
}

impl Open {
    fn new(piece: Piece, options: LineOptions, pool: &mut BlockPool) -> Result<Open> {
        let Some(relayed) = piece.relayed else {
            return Ok(Open::File(Box::new(OpenPiece::new(piece, options)?)));
        };
        let lines = RelayedLines::new(relayed, options, pool);
        let lines = lines.map_err(|fault| relay_error(&piece.file, options, fault))?;
        Ok(Open::Relayed(piece.file, Box::new(lines)))
    }

    fn next_block(&mut self, options: LineOptions, pool: &mut BlockPool) -> Result<Option<LineBlock>> {
        match self {
            Open::File(open) => {
                let (file, lines_before) = (Arc::clone(&open.file), open.lines_before);
                Ok(open.next_lines(pool)?.map(|lines| LineBlock { file, lines, lines_before }))
            }
            Open::Relayed(file, open) => {
                let next = open.next(pool).map_err(|fault| relay_error(file, options, fault))?;
                let file = Arc::clone(file);
                Ok(next.map(|(lines, before)| LineBlock { file, lines, lines_before: Some(before) }))
            }
        }
    }
}

/// A piece whose file is open.
#[derive(Debug)]
struct OpenPiece {
    file: Arc<InputFile>,
    cutter: LineCutter<InputBytes>,
    /// See [`LineBlock::lines_before`].
    lines_before: Option<u64>,
    max_line_bytes: usize,
}

impl OpenPiece {
    fn new(piece: Piece, mut options: LineOptions) -> Result<OpenPiece> {
        let source = OpenPiece::open(&piece, options.inflate)?;
        let range = if source.is_plain() { piece.start..piece.end } else { 0..u64::MAX };
        if !source.is_plain() && !piece.file.is_standard_input() {
            // A small file needs no large block: there may be very many.
            let enough = piece.file.bytes().saturating_mul(8).max(4 << 10);
            options.block_bytes = options.block_bytes.min(usize::try_from(enough).unwrap_or(usize::MAX));
        }
        // What is cheap beside inflating: their number cannot be found later without doing that again.
        let lines_before = (!source.is_plain()).then_some(0);
        let (cutter, max_line_bytes) = (LineCutter::new(source, range, options), options.max_line_bytes);
        Ok(OpenPiece { file: piece.file, cutter, lines_before, max_line_bytes })
    }

    /// A part of a file that is not relayed is not compressed.
    fn open(piece: &Piece, limits: InflateLimits) -> Result<InputBytes> {
        if piece.is_whole() {
            return InputBytes::open(&piece.file, limits);
        }
        let start = LineCutter::<File>::first_byte(piece.start);
        let mut source = open_unchanged(&piece.file)?;
        source.seek(SeekFrom::Start(start)).map_err(|error| read_error(&piece.file.path, start, error))?;
        Ok(InputBytes::plain(source))
    }

    fn next_lines(&mut self, pool: &mut BlockPool) -> Result<Option<Lines>> {
        match self.cutter.next_lines(pool) {
            Ok(Some(lines)) => {
                self.lines_before = self.lines_before.map(|before| before + lines.ended());
                Ok(Some(lines))
            }
            Ok(None) => self.check_unchanged().map(|()| None),
            Err(fault) => Err(self.error(fault)),
        }
    }

    /// Fails if the file changed since it was opened, or ended early.
    fn check_unchanged(&self) -> Result<()> {
        self.cutter.source().check_unchanged(&self.file, self.cutter.end())
    }

    fn error(&self, fault: LineFault) -> Error {
        line_error(&self.file, self.max_line_bytes, fault, || self.check_unchanged())
    }
}

fn relay_error(file: &InputFile, options: LineOptions, fault: RelayFault) -> Error {
    match fault {
        RelayFault::Other(error) => error,
        RelayFault::Lines(fault) => {
            line_error(file, options.max_line_bytes, fault, || open_unchanged(file).map(drop))
        }
    }
}

fn line_error(
    file: &InputFile,
    max_line_bytes: usize,
    fault: LineFault,
    check_unchanged: impl Fn() -> Result<()>,
) -> Error {
    // What is wrong in the file matters less than that someone is writing it: it may be cut off for that.
    if let Err(error) = check_unchanged() {
        return error;
    }
    let (path, offset) = (&file.path, fault.offset);
    let (message, hint) = match fault.kind {
        LineFaultKind::Read(error) => return read_error(path, offset, error),
        LineFaultKind::TooLong => (
            format!("a line is longer than {max_line_bytes} bytes"),
            "check that the file has lines, or raise max_line_bytes",
        ),
        LineFaultKind::NotUtf8 => ("a line is not UTF-8".to_string(), "convert the file to UTF-8"),
    };
    let error = Error::new(ErrorKind::Input, message).hint(hint);
    let place = Place::file(path).at_offset(offset);
    if file.is_standard_input() {
        return error.at(place);
    }
    error.at(match line_number(path, offset) {
        Ok(line) => place.at_line(line),
        Err(_) => place,
    })
}

/// The 1-based line of a file that the byte at `offset` is in; of a compressed one it is an offset in the text.
///
/// It reads all of the file before the offset: for messages, not for work.
///
/// # Errors
///
/// The error of the file, if it cannot be read.
///
/// # Examples
///
/// ```
/// let line = gristmill::io::text::line_number("src/io/text.rs".as_ref(), 40)?;
/// assert_eq!(line, 2);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn line_number(path: &Path, offset: u64) -> io::Result<u64> {
    let file = File::open(path)?;
    let mut text: Box<dyn Read> = match Codec::of_file(&file)? {
        Some(codec) => Box::new(Inflater::new(file, codec, InflateLimits::default())),
        None => Box::new(file),
    };
    let (_, ends) = count_line_ends(&mut text, offset, &mut vec![0; 64 << 10])?;
    Ok(1 + ends)
}
