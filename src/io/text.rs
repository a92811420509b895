//! The lines of a split of text files.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::lines::{BlockPool, LineCutter, LineFault, LineFaultKind, LineOptions, LineRanges, Lines};
use super::resolve::{Identity, InputFile};
use super::split::{Piece, Split};
use crate::{Error, ErrorKind, Place, Result, Text};

/// Reads the lines of a split, in blocks.
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
    open: Option<OpenPiece>,
    pool: BlockPool,
    bytes_read: u64,
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
}

impl LineBlock {
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
        LineReader { pieces, options, open: None, pool: BlockPool::new(options.block_bytes), bytes_read: 0 }
    }

    /// The next block, or `None` after the last one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] if a file cannot be read, is not as it was when the program was planned, holds a line that
    /// is longer than the limit, or is not UTF-8; one that is compressed is called so.
    pub fn next_block(&mut self) -> Result<Option<LineBlock>> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(piece) = self.pieces.pop() else { return Ok(None) };
                self.open = Some(OpenPiece::new(piece, self.options)?);
                continue;
            };
            if let Some(lines) = open.next_lines(&mut self.pool)? {
                self.bytes_read += lines.block.as_str().len() as u64;
                return Ok(Some(LineBlock { file: Arc::clone(&open.file), lines }));
            }
            self.open = None;
        }
    }

    /// The bytes of all lines that were read, with their ends. Over all splits of an input it is the size of the
    /// input: what two readers look at counts once.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }
}

/// A piece whose file is open.
#[derive(Debug)]
struct OpenPiece {
    file: Arc<InputFile>,
    cutter: LineCutter<File>,
    max_line_bytes: usize,
}

impl OpenPiece {
    fn new(piece: Piece, options: LineOptions) -> Result<OpenPiece> {
        let start = LineCutter::<File>::first_byte(piece.start);
        let source = open_unchanged(&piece.file).and_then(|mut source| {
            source
                .seek(SeekFrom::Start(start))
                .map_err(|error| read_error(&piece.file.path, start, error))?;
            Ok(source)
        })?;
        let cutter = LineCutter::new(source, piece.start..piece.end, options);
        Ok(OpenPiece { file: piece.file, cutter, max_line_bytes: options.max_line_bytes })
    }

    fn next_lines(&mut self, pool: &mut BlockPool) -> Result<Option<Lines>> {
        match self.cutter.next_lines(pool) {
            Ok(Some(lines)) => Ok(Some(lines)),
            Ok(None) => self.check_unchanged().map(|()| None),
            Err(fault) => Err(self.error(fault)),
        }
    }

    /// Fails if the file changed since it was opened, or ended early.
    fn check_unchanged(&self) -> Result<()> {
        let now = self.cutter.source().metadata().map_err(|error| read_error(&self.file.path, 0, error))?;
        let ended = self.cutter.end().unwrap_or(self.file.bytes());
        if Identity::of(&now) != self.file.identity || ended != self.file.bytes() {
            return Err(changed(&self.file.path));
        }
        Ok(())
    }

    fn error(&self, fault: LineFault) -> Error {
        let path = &self.file.path;
        let offset = fault.offset;
        let (message, hint) = match fault.kind {
            LineFaultKind::Read(error) => return read_error(path, offset, error),
            LineFaultKind::TooLong => (
                format!("a line is longer than {} bytes", self.max_line_bytes),
                "check that the file has lines, or raise max_line_bytes",
            ),
            LineFaultKind::NotUtf8 => ("a line is not UTF-8".to_string(), "convert the file to UTF-8"),
        };
        // What is wrong in the file matters less than that someone is writing it, or that it is no text at all.
        if self.check_unchanged().is_err() {
            return changed(path);
        }
        if let Some(name) = compression(path) {
            return compressed(path, name);
        }
        let error = Error::new(ErrorKind::Input, message).hint(hint);
        let place = Place::file(path).at_offset(offset);
        error.at(match line_number(path, offset) {
            Ok(line) => place.at_line(line),
            Err(_) => place,
        })
    }
}

/// Opens a file if it is still what it was when the program was planned.
///
/// # Errors
///
/// [`ErrorKind::Input`] if it cannot be opened, or has changed.
pub(crate) fn open_unchanged(file: &InputFile) -> Result<File> {
    let open = || -> io::Result<Option<File>> {
        // Asked before it is opened too: what replaced the file may be a FIFO, and opening that would wait for ever.
        if Identity::of(&fs::metadata(&file.path)?) != file.identity {
            return Ok(None);
        }
        let opened = File::open(&file.path)?;
        Ok((Identity::of(&opened.metadata()?) == file.identity).then_some(opened))
    };
    match open() {
        Ok(Some(opened)) => Ok(opened),
        Ok(None) => Err(changed(&file.path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(changed(&file.path).because(error)),
        Err(error) => Err(Error::io(ErrorKind::Input, "open", &file.path, error)),
    }
}

/// The first bytes of compressed files. But for those of bzip2, no text in UTF-8 starts with them.
const COMPRESSED: [(&str, &[u8]); 4] =
    [("gzip", b"\x1f\x8b"), ("zstd", b"\x28\xb5\x2f\xfd"), ("bzip2", b"BZh"), ("xz", b"\xfd7zXZ\0")];

/// How a file is compressed, as far as it can be read and is. Only asked of files that are no text.
fn compression(path: &Path) -> Option<&'static str> {
    let mut start = Vec::new();
    File::open(path).ok()?.take(6).read_to_end(&mut start).ok()?;
    COMPRESSED.iter().find(|(_, magic)| start.starts_with(magic)).map(|(name, _)| *name)
}

fn compressed(path: &Path, name: &str) -> Error {
    Error::new(ErrorKind::Input, format!("the file is {name}-compressed"))
        .hint("decompress it first: only plain text is read")
        .at(Place::file(path))
}

pub(crate) fn changed(path: &Path) -> Error {
    Error::new(ErrorKind::Input, "an input changed while read")
        .hint("run again when nothing writes, replaces or removes it")
        .at(Place::file(path))
}

pub(crate) fn read_error(path: &Path, offset: u64, error: io::Error) -> Error {
    Error::new(ErrorKind::Input, format!("cannot read an input: {error}"))
        .hint("check the disk and the file system")
        .because(error)
        .at(Place::file(path).at_offset(offset))
}

/// The 1-based line of a file that the byte at `offset` is in.
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
    let mut prefix = File::open(path)?.take(offset);
    let mut buffer = vec![0; 64 << 10];
    let mut line = 1;
    loop {
        match prefix.read(&mut buffer) {
            Ok(0) => return Ok(line),
            Ok(count) => line += memchr::memchr_iter(b'\n', &buffer[..count]).count() as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Where the line of a split is that has this index, counted from 0 over all its files.
///
/// It reads the split again: for messages, not for work.
///
/// # Errors
///
/// As [`LineReader::next_block`]; and [`ErrorKind::Internal`] if the split has fewer lines.
///
/// # Examples
///
/// ```
/// use gristmill::io::{lines::LineOptions, resolve::resolve, split::{SplitOptions, splits}, text::locate};
///
/// let splits = splits(resolve(&["src/io/text.rs"])?.files, &SplitOptions::default());
/// let place = locate(splits[0].clone(), 1, LineOptions::default())?;
/// assert_eq!(place.line, Some(2));
/// # Ok::<(), gristmill::Error>(())
/// ```
pub fn locate(split: Split, index: u64, options: LineOptions) -> Result<Place> {
    let mut reader = LineReader::new(split, options);
    let mut before = 0;
    while let Some(block) = reader.next_block()? {
        let mut ranges = block.ranges();
        let found = ranges.find(|_| {
            before += 1;
            before > index
        });
        if let Some(range) = found {
            let offset = block.lines().offset + range.start as u64;
            let path = &block.file().path;
            let line = line_number(path, offset).map_err(|error| read_error(path, offset, error))?;
            return Ok(Place::file(path).at_line(line).at_offset(offset));
        }
    }
    Err(Error::new(ErrorKind::Internal, format!("a split of {before} lines has no line {index}")))
}
