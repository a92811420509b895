//! The bytes of an input file: opened late, inflated where they are compressed, and checked to be those of the plan.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;

use super::inflate::{Codec, InflateFault, InflateLimits, Inflater};
use super::resolve::{Identity, InputFile};
use crate::{Error, ErrorKind, Place, Result};

/// The bytes of a file from the first one on, inflated if it is compressed.
///
/// # Examples
///
/// ```
/// use std::io::Read;
///
/// use gristmill::io::{inflate::InflateLimits, input::InputBytes, resolve::resolve};
///
/// let inputs = resolve(&["src/io/input.rs"])?;
/// let mut text = String::new();
/// let mut bytes = InputBytes::open(&inputs.files[0], InflateLimits::default())?;
/// bytes.read_to_string(&mut text)?;
/// assert!(text.starts_with("//! The bytes"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct InputBytes(Source);

#[derive(Debug)]
enum Source {
    Plain(File),
    Inflated(Inflater<File>),
    StandardInput(Stream),
}

/// Standard input, as it is or inflated.
struct Stream(Box<dyn Read + Send>);

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

/// Whether this process is one of several, none of which has the standard input of the user.
static STANDARD_INPUT_ABSENT: AtomicBool = AtomicBool::new(false);

/// From now on standard input is an error: read here it would be empty.
pub(crate) fn refuse_standard_input() {
    STANDARD_INPUT_ABSENT.store(true, Ordering::Release);
}

/// Whether standard input has been opened. It is one for the whole process.
static STANDARD_INPUT_TAKEN: AtomicBool = AtomicBool::new(false);

impl InputBytes {
    /// Opens a file, and looks whether it is compressed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] if it cannot be opened or has changed since it was planned, and for standard input if it has
    /// been opened before.
    pub fn open(file: &InputFile, limits: InflateLimits) -> Result<InputBytes> {
        if file.is_standard_input() {
            return InputBytes::standard_input(limits);
        }
        let opened = open_unchanged(file)?;
        let codec = Codec::of_file(&opened).map_err(|error| read_error(&file.path, 0, error))?;
        Ok(InputBytes(match codec {
            Some(codec) => Source::Inflated(Inflater::new(opened, codec, limits)),
            None => Source::Plain(opened),
        }))
    }

    /// A file that is not compressed, from where it stands on.
    pub(super) fn plain(file: File) -> InputBytes {
        InputBytes(Source::Plain(file))
    }

    fn standard_input(limits: InflateLimits) -> Result<InputBytes> {
        let path = Path::new(InputFile::STANDARD_INPUT);
        if STANDARD_INPUT_ABSENT.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Input, "standard input cannot be read on a cluster of Spark")
                .hint("name a file that all its hosts see, or run it without --master"));
        }
        if STANDARD_INPUT_TAKEN.swap(true, Ordering::AcqRel) {
            return Err(Error::new(ErrorKind::Input, "standard input has been read before, and is gone")
                .hint("read it once: cache what is needed twice, or write it to a file first")
                .at(Place::file(path)));
        }
        let mut start = Vec::new();
        let magic = Codec::MAGIC_BYTES as u64;
        io::stdin().take(magic).read_to_end(&mut start).map_err(|error| read_error(path, 0, error))?;
        let codec = Codec::of(&start);
        let whole = io::Cursor::new(start).chain(io::stdin());
        Ok(InputBytes(Source::StandardInput(Stream(match codec {
            Some(codec) => Box::new(Inflater::new(whole, codec, limits)),
            None => Box::new(whole),
        }))))
    }

    /// Takes in the compressed bytes before this offset only, see [`Inflater::pause_at`]; other bytes go on.
    pub(super) fn pause_at(&mut self, offset: u64) {
        if let Source::Inflated(inflater) = &mut self.0 {
            inflater.pause_at(offset);
        }
    }

    /// Whether these are the bytes of the file itself, whose number is known.
    pub fn is_plain(&self) -> bool {
        matches!(self.0, Source::Plain(_))
    }

    /// Fails if the file changed since it was opened, or ended elsewhere than it should have: `ended` is where that was.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] that says so.
    pub fn check_unchanged(&self, file: &InputFile, ended: Option<u64>) -> Result<()> {
        let opened = match &self.0 {
            Source::Plain(opened) => opened,
            Source::Inflated(inflater) => inflater.source(),
            Source::StandardInput(_) => return Ok(()),
        };
        let now = opened.metadata().map_err(|error| read_error(&file.path, 0, error))?;
        let ended_early = self.is_plain() && ended.is_some_and(|ended| ended != file.bytes());
        if Identity::of(&now) != file.identity || ended_early {
            return Err(changed(&file.path));
        }
        Ok(())
    }
}

impl Read for InputBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Source::Plain(file) => file.read(buffer),
            Source::Inflated(inflater) => inflater.read(buffer),
            Source::StandardInput(Stream(stream)) => stream.read(buffer),
        }
    }
}

/// Opens a file if it is still what it was when the program was planned.
///
/// # Errors
///
/// [`ErrorKind::Input`] if it cannot be opened, or has changed.
pub(crate) fn open_unchanged(file: &InputFile) -> Result<File> {
    let open = || -> io::Result<Option<File>> {
        // What replaced the file may be a FIFO: to open that would wait for ever, if it were not said otherwise.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let opened = File::options().read(true).custom_flags(flags).open(&file.path)?;
        Ok((Identity::of(&opened.metadata()?) == file.identity).then_some(opened))
    };
    match open() {
        Ok(Some(opened)) => Ok(opened),
        Ok(None) => Err(changed(&file.path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(changed(&file.path).because(error)),
        Err(error) => Err(Error::io(ErrorKind::Input, "open", &file.path, error)),
    }
}

/// The error of a file that is not what it was when the program was planned.
pub(crate) fn changed(path: &Path) -> Error {
    Error::new(ErrorKind::Input, "an input changed while read")
        .hint("run again when nothing writes, replaces or removes it")
        .at(Place::file(path))
}

/// The error of a file that cannot be read at an offset, or cannot be inflated: the offset is one in the compressed bytes then.
pub(crate) fn read_error(path: &Path, offset: u64, error: io::Error) -> Error {
    if let Some(fault) = InflateFault::of(&error) {
        let place = Place::file(path).at_offset(fault.offset);
        let error = Error::new(ErrorKind::Input, fault.to_string()).hint(fault.hint());
        return error.because(fault.clone()).at(place);
    }
    Error::new(ErrorKind::Input, format!("cannot read an input: {error}"))
        .hint("check the disk and the file system")
        .because(error)
        .at(Place::file(path).at_offset(offset))
}
