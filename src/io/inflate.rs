//! Compressed inputs, told by their first bytes and inflated while they are read.
//!
//! Names decide nothing: a `.gz` that is plain text is read as that, and gzip without `.gz` is inflated. Whatever is
//! damaged, cut off, or inflates beyond the [limits](InflateLimits) is an error that names the place in the compressed
//! bytes, never the end of the data.
//!
//! References: RFC 1952 (gzip), RFC 8878 (zstd), the file format 1.2.1 of XZ; bzip2 has no specification but its library.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

mod stream;

use stream::{Step, Stream};

/// How a file is compressed.
///
/// # Examples
///
/// ```
/// use gristmill::io::inflate::Codec;
///
/// assert_eq!(Codec::of(b"\x1f\x8b\x08\0 and so on"), Some(Codec::Gzip));
/// assert_eq!(Codec::of(b"BZhello, I am text"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// One gzip member, or several one after the other.
    Gzip,
    /// zstd frames, and skippable ones, which hold no data.
    Zstd,
    /// One bzip2 stream, or several one after the other.
    Bzip2,
    /// One xz stream, or several one after the other.
    Xz,
}

impl Codec {
    /// How many of the first bytes of a file are looked at.
    pub const MAGIC_BYTES: usize = 10;

    /// What a file that starts with these bytes is compressed with, `None` if it is not. No text starts so.
    pub fn of(start: &[u8]) -> Option<Codec> {
        // Those of bzip2 are letters: the magic of its first block, or of the end of an empty stream, has to follow.
        const BZIP2: [&[u8]; 2] = [b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90"];
        match start {
            [0x1f, 0x8b, ..] => Some(Codec::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Codec::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..]
                if BZIP2.iter().any(|magic| rest.starts_with(magic)) =>
            {
                Some(Codec::Bzip2)
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Codec::Xz),
            _ => None,
        }
    }

    /// What a file is compressed with, by its first bytes; where it stands does not change.
    ///
    /// # Errors
    ///
    /// The error of the file, if it cannot be read.
    pub fn of_file(file: &File) -> io::Result<Option<Codec>> {
        let mut start = [0; Codec::MAGIC_BYTES];
        let mut filled = 0;
        while filled < start.len() {
            match file.read_at(&mut start[filled..], filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Codec::of(&start[..filled]))
    }

    /// Whether a further member may begin with this byte.
    fn may_begin(self, first: u8) -> bool {
        match self {
            Codec::Gzip => first == 0x1f,
            Codec::Zstd => matches!(first, 0x28 | 0x50..=0x5f),
            Codec::Bzip2 => first == b'B',
            Codec::Xz => first == 0xfd,
        }
    }

    /// Its name, as in messages.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Gzip => "gzip",
            Codec::Zstd => "zstd",
            Codec::Bzip2 => "bzip2",
            Codec::Xz => "xz",
        }
    }
}

/// How far a compressed file may inflate, so that a small one that inflates without end does no harm.
///
/// # Examples
///
/// ```
/// use gristmill::io::inflate::InflateLimits;
///
/// let limits = InflateLimits { max_bytes: 1 << 30, ..InflateLimits::default() };
/// assert_eq!(limits.max_ratio, 500);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InflateLimits {
    /// The most bytes that one file may inflate to. Default: 1 TiB.
    pub max_bytes: u64,
    /// The most bytes that each compressed byte may give, looked at beyond the first 64 MiB of a file. Default: 500; text
    /// gives 3 to 20.
    pub max_ratio: u64,
    /// The most bytes that a decoder may need: the window of zstd, the memory of xz. Default: 128 MiB, which is what `zstd`
    /// and `xz` ask for at the most unless they are told to use more.
    pub max_window_bytes: u64,
}

impl Default for InflateLimits {
    fn default() -> InflateLimits {
        InflateLimits { max_bytes: 1 << 40, max_ratio: 500, max_window_bytes: 128 << 20 }
    }
}

/// Why compressed bytes cannot be inflated. It is inside the [`io::Error`] that an [`Inflater`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InflateFault {
    /// What they were said to be compressed with.
    pub codec: Codec,
    /// The offset in the compressed bytes up to which they were taken in.
    pub offset: u64,
    /// What is wrong there.
    pub kind: InflateFaultKind,
}

/// What can be wrong with compressed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InflateFaultKind {
    /// They end in the middle.
    CutOff,
    /// They are damaged, or their checksum is wrong; with what the decoder says.
    Damaged(String),
    /// After the compressed bytes something else follows.
    Garbage,
    /// They need a larger window, or more memory, than the limit.
    Window(u64),
    /// They give more bytes than the limit.
    TooMany(u64),
    /// They give more bytes for each of theirs than the limit.
    Ratio(u64),
}

impl InflateFault {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self.kind {
            InflateFaultKind::CutOff => "fetch or compress the file again: its end is missing",
            InflateFaultKind::Damaged(_) => "fetch or compress the file again",
            InflateFaultKind::Garbage => "remove what follows the compressed data",
            InflateFaultKind::Window(_) => "if the file can be trusted, raise max_inflate_window_bytes",
            InflateFaultKind::TooMany(_) => "if the file can be trusted, raise max_inflated_bytes",
            InflateFaultKind::Ratio(_) => "if the file can be trusted, raise max_inflate_ratio",
        }
    }

    /// The fault in an error, if it is one.
    pub fn of(error: &io::Error) -> Option<&InflateFault> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }
}

impl fmt::Display for InflateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.codec.name();
        match &self.kind {
            InflateFaultKind::CutOff => write!(f, "the {name} data is cut off"),
            InflateFaultKind::Damaged(message) => write!(f, "the {name} data is damaged: {message}"),
            InflateFaultKind::Garbage => write!(f, "something that is not {name} follows the {name} data"),
            InflateFaultKind::Window(limit) => {
                write!(f, "the {name} data needs more than {limit} bytes of memory")
            }
            InflateFaultKind::TooMany(limit) => {
                write!(f, "the {name} data inflates to more than {limit} bytes")
            }
            InflateFaultKind::Ratio(limit) => {
                write!(f, "the {name} data inflates to more than {limit} times its size")
            }
        }
    }
}

impl std::error::Error for InflateFault {}

/// What an [`io::Error`] holds that is none: an [`Inflater`] has come to where it was told to pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paused;

impl Paused {
    /// Whether this is all that an error says.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().and_then(|inner| inner.downcast_ref()) == Some(&Paused)
    }
}

impl fmt::Display for Paused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("paused")
    }
}

impl std::error::Error for Paused {}

/// Inflates a stream of compressed bytes: all members, frames or streams in it, one after the other.
///
/// What it has given depends on the bytes that it has taken in alone, not on how many were asked for at a time. So
/// [`Inflater::pause_at`] divides what it gives at places that are the same in every run.
///
/// # Examples
///
/// ```
/// use std::io::Read;
///
/// use gristmill::io::inflate::{Codec, InflateLimits, Inflater};
///
/// let compressed = zstd::encode_all(&b"one\ntwo\n"[..], 3)?;
/// let mut text = String::new();
/// Inflater::new(&compressed[..], Codec::Zstd, InflateLimits::default()).read_to_string(&mut text)?;
/// assert_eq!(text, "one\ntwo\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Inflater<R> {
    source: R,
    codec: Codec,
    limits: InflateLimits,
    state: State,
    /// Compressed bytes that were read, of which those before `next` were taken in.
    input: Vec<u8>,
    next: usize,
    /// The offset of the end of `input` in the compressed bytes.
    at: u64,
    /// No compressed byte from here on is taken in for now.
    stop: u64,
    given: u64,
}

enum State {
    /// Within a member. Whether more may come out of it without a further byte.
    Within(Box<Stream>, Pending),
    /// Before the first member.
    Before,
    /// After a member: the end, another one, or this many zeros so far.
    After(u64),
    Ended,
    /// After a fault that nothing mends.
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    Nothing,
    Output,
}

impl<R> fmt::Debug for Inflater<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inflater { codec, at, given, .. } = self;
        f.debug_struct("Inflater")
            .field("codec", codec)
            .field("at", at)
            .field("given", given)
            .finish_non_exhaustive()
    }
}

impl<R: Read> Inflater<R> {
    /// The compressed bytes that are read at once.
    const INPUT_BYTES: usize = 64 << 10;

    /// Ratios of less output say nothing: one line that comes again and again is short, too.
    const RATIO_FROM: u64 = 64 << 20;

    /// An inflater of what `source` gives from its first byte on.
    pub fn new(source: R, codec: Codec, limits: InflateLimits) -> Inflater<R> {
        let input = Vec::new();
        Inflater {
            source,
            codec,
            limits,
            state: State::Before,
            input,
            next: 0,
            at: 0,
            stop: u64::MAX,
            given: 0,
        }
    }

    /// The source.
    pub fn source(&self) -> &R {
        &self.source
    }

    /// From now on only the compressed bytes before `offset` are taken in. When all that they give has been given, reading
    /// fails with [`Paused`] until this is called again.
    pub fn pause_at(&mut self, offset: u64) {
        self.stop = offset;
    }

    /// The compressed bytes that were taken in.
    fn taken(&self) -> u64 {
        self.at - (self.input.len() - self.next) as u64
    }

    /// Reads compressed bytes where all have been taken in; false at their end.
    fn refill(&mut self) -> io::Result<bool> {
        let left = usize::try_from(self.stop - self.at.min(self.stop)).unwrap_or(usize::MAX);
        if left == 0 {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, Paused));
        }
        self.next = 0;
        self.input.clear();
        let wanted = left.min(Self::INPUT_BYTES) as u64;
        // In one read, not until the buffer is full: of a pipe, what has come is what there is.
        self.input.resize(wanted as usize, 0);
        let read = loop {
            match self.source.read(&mut self.input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.input.truncate(*read.as_ref().unwrap_or(&0));
        let count = read?;
        self.at += count as u64;
        Ok(count > 0)
    }

    /// Goes on to the next member, or to the end; `zeros` of padding have been passed.
    fn after(&mut self, mut zeros: u64) -> io::Result<State> {
        let padded = matches!(self.codec, Codec::Gzip | Codec::Xz);
        loop {
            if self.next == self.input.len() && !self.refill_after(zeros)? {
                // The specification of xz wants padding in fours.
                let whole = self.codec != Codec::Xz || zeros.is_multiple_of(4);
                return if whole { Ok(State::Ended) } else { Err(self.fault(InflateFaultKind::Garbage)) };
            }
            if !padded || self.input[self.next] != 0 {
                break;
            }
            self.next += 1;
            zeros += 1;
        }
        match (self.codec, zeros) {
            (Codec::Gzip, 1..) => Err(self.fault(InflateFaultKind::Garbage)),
            (Codec::Xz, zeros) if !zeros.is_multiple_of(4) => Err(self.fault(InflateFaultKind::Garbage)),
            _ if !self.codec.may_begin(self.input[self.next]) => Err(self.fault(InflateFaultKind::Garbage)),
            _ => self.begin(),
        }
    }

    /// As `refill`, with a pause within padding remembered.
    fn refill_after(&mut self, zeros: u64) -> io::Result<bool> {
        self.refill().inspect_err(|_| self.state = State::After(zeros))
    }

    fn begin(&self) -> io::Result<State> {
        let stream = Stream::new(self.codec, self.limits.max_window_bytes);
        let stream = stream.map_err(|kind| self.fault(kind))?;
        Ok(State::Within(Box::new(stream), Pending::Nothing))
    }

    fn within(&mut self, mut stream: Box<Stream>, pending: Pending, output: &mut [u8]) -> io::Result<usize> {
        if self.next == self.input.len() && pending == Pending::Nothing {
            match self.refill() {
                Ok(true) => {}
                Ok(false) => return Err(self.fault(InflateFaultKind::CutOff)),
                Err(error) => {
                    self.state = State::Within(stream, pending);
                    return Err(error);
                }
            }
        }
        let Step { taken, given, ended } =
            stream.run(&self.input[self.next..], output).map_err(|kind| self.fault(kind))?;
        if taken == 0 && given == 0 && !ended && pending == Pending::Nothing {
            return Err(self.fault(InflateFaultKind::Damaged("it makes no progress".to_string())));
        }
        self.next += taken;
        self.given += given as u64;
        let pending = if given == output.len() { Pending::Output } else { Pending::Nothing };
        self.state = if ended { State::After(0) } else { State::Within(stream, pending) };
        self.check_limits()?;
        Ok(given)
    }

    fn check_limits(&self) -> io::Result<()> {
        let InflateLimits { max_bytes, max_ratio, .. } = self.limits;
        if self.given > max_bytes {
            return Err(self.fault(InflateFaultKind::TooMany(max_bytes)));
        }
        if self.given > Self::RATIO_FROM && self.given > self.taken().saturating_mul(max_ratio) {
            return Err(self.fault(InflateFaultKind::Ratio(max_ratio)));
        }
        Ok(())
    }

    #[cold]
    fn fault(&self, kind: InflateFaultKind) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            InflateFault { codec: self.codec, offset: self.taken(), kind },
        )
    }
}

impl<R: Read> Read for Inflater<R> {
    /// Gives what is next.
    ///
    /// # Errors
    ///
    /// An [`InflateFault`], the errors of the source, or [`Paused`].
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        while !output.is_empty() {
            match std::mem::replace(&mut self.state, State::Failed) {
                State::Before => self.state = self.begin()?,
                State::After(zeros) => self.state = self.after(zeros)?,
                State::Ended => {
                    self.state = State::Ended;
                    return Ok(0);
                }
                State::Failed => return Err(io::Error::other("the data could not be inflated before")),
                State::Within(stream, pending) => {
                    let given = self.within(stream, pending, output)?;
                    if given > 0 {
                        return Ok(given);
                    }
                }
            }
        }
        Ok(0)
    }
}
