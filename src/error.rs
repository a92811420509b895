//! One error type that says where and what to do.
//!
//! [`Error`] is one pointer wide, so that `Result`s stay cheap on hot paths. What the layers know of a failure is
//! added on its way up: the reader knows path and line, the task knows split and operator, the command knows the hint.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything in gristmill that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, coarsely: enough to choose an exit code, a retry or a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting, an argument or a graph that cannot work; found before any work is done.
    Config,
    /// An input is missing, unreadable, damaged, or holds what its reader cannot accept.
    Input,
    /// An output cannot be written or committed.
    Output,
    /// The output is held by another run.
    Busy,
    /// A user's closure panicked.
    Panic,
    /// A user's fallible closure returned an error.
    Closure,
    /// The memory limit is too small for what an operator must hold.
    Memory,
    /// What is beyond the memory limit, or between stages, cannot be written to disk or read back.
    Spill,
    /// The run was canceled.
    Canceled,
    /// A broken invariant of gristmill itself: a bug to report.
    Internal,
}

/// Where an operator was called: its name and the source line of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSite {
    /// The operator as users write it, such as `flat_map`.
    pub operator: &'static str,
    /// The source line of the call.
    pub location: &'static std::panic::Location<'static>,
}

impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.operator, self.location.file(), self.location.line())
    }
}

/// A position in an input or output file, or in a sequence of elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, where there is one.
    pub path: Option<PathBuf>,
    /// The 1-based line of the file.
    pub line: Option<u64>,
    /// The 0-based byte offset in the file.
    pub offset: Option<u64>,
    /// The 0-based row of an input that has no lines.
    pub row: Option<u64>,
}

impl Place {
    /// A whole file.
    pub fn file(path: impl Into<PathBuf>) -> Place {
        Place { path: Some(path.into()), line: None, offset: None, row: None }
    }

    /// The 0-based row of an input without files.
    pub fn row(row: u64) -> Place {
        Place { path: None, line: None, offset: None, row: Some(row) }
    }

    /// The same place with a 1-based line.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Place {
        self.line = Some(line);
        self
    }

    /// The same place with a 0-based byte offset.
    #[must_use]
    pub fn at_offset(mut self, offset: u64) -> Place {
        self.offset = Some(offset);
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(path) = &self.path {
            write!(f, "{}", printable(path))?;
            separator = ", ";
        }
        let numbers = [("line", self.line), ("byte offset", self.offset), ("row", self.row)];
        for (name, number) in numbers {
            if let Some(number) = number {
                write!(f, "{separator}{name} {number}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

/// A failure, with all that is known of where it happened and what helps.
///
/// Its [`Display`](fmt::Display) is one message for people: operator and source line of the call, what happened, the
/// file with line, offset or row, and a hint where there is one. The alternate form, `{error:#}`, leaves out the source line:
/// it is for the users of a program, to whom its source means nothing. [`Error::kind`] is for programs.
///
/// # Examples
///
/// ```
/// use gristmill::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Config, "the number of threads is 0").hint("give 1 or more");
/// assert_eq!(error.kind(), ErrorKind::Config);
/// assert_eq!(error.to_string(), "the number of threads is 0; give 1 or more");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    call: Option<CallSite>,
    place: Option<Place>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a kind, with a message for people.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        let message = message.into();
        Error(Box::new(Inner { kind, message, hint: None, call: None, place: None, source: None }))
    }

    /// An I/O error while doing something to a file, as in "cannot open books/a.txt: permission denied".
    pub fn io(kind: ErrorKind, doing: &str, path: &Path, source: std::io::Error) -> Error {
        Error::new(kind, format!("cannot {doing} {}: {source}", printable(path))).because(source)
    }

    /// The same error with what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error with the error that led to it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// The same error with the operator it happened in, unless one is known already.
    #[must_use]
    pub fn in_call(mut self, call: CallSite) -> Error {
        self.0.call.get_or_insert(call);
        self
    }

    /// The same error with the place it happened at, unless one is known already.
    #[must_use]
    pub fn at(mut self, place: Place) -> Error {
        self.0.place.get_or_insert(place);
        self
    }

    /// The error, at another place than it had.
    pub(crate) fn moved_to(mut self, place: Place) -> Error {
        self.0.place = Some(place);
        self
    }

    /// The error, so many rows further on if it has a row.
    pub(crate) fn rows_on(mut self, rows: u64) -> Error {
        if let Some(row) = self.0.place.as_mut().and_then(|place| place.row.as_mut()) {
            *row += rows;
        }
        self
    }

    /// What happened, without where.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do, where that is known.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What went wrong, coarsely.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operator that failed and the source line of its call, where one did.
    pub fn call(&self) -> Option<CallSite> {
        self.0.call
    }

    /// The place in the input or output, where it is known.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        match &inner.call {
            Some(call) if f.alternate() => write!(f, "{}: ", call.operator)?,
            Some(call) => write!(f, "{call}: ")?,
            None => {}
        }
        f.write_str(&inner.message)?;
        if let Some(place) = &inner.place {
            write!(f, " ({place})")?;
        }
        if let Some(hint) = &inner.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// Controls, line and paragraph separators, and the characters that change the direction of text: what can drive a terminal, or forge what stands beside it.
pub(crate) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A path as it may be printed: control characters, those that change the direction of text, and bytes that are not UTF-8 are escaped, so that a
/// file name can neither forge a message nor drive a terminal.
pub fn printable(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.chars().any(is_unsafe) { text.escape_debug().to_string() } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_operator_place_and_hint() {
        let location = std::panic::Location::caller();
        let error = Error::new(ErrorKind::Panic, "the closure panicked: boom")
            .in_call(CallSite { operator: "map", location })
            .at(Place::file("books/a.txt").at_line(7))
            .hint("see the line");
        let expected = format!(
            "map at {}:{}: the closure panicked: boom (books/a.txt, line 7); see the line",
            location.file(),
            location.line()
        );
        assert_eq!(error.to_string(), expected);
        let short = "map: the closure panicked: boom (books/a.txt, line 7); see the line";
        assert_eq!(format!("{error:#}"), short);
    }

    #[test]
    fn the_innermost_place_stays() {
        let error = Error::new(ErrorKind::Input, "bad").at(Place::row(3)).at(Place::row(9));
        assert_eq!(error.place(), Some(&Place::row(3)));
    }

    #[test]
    fn control_characters_in_paths_are_escaped() {
        assert_eq!(printable(Path::new("a\u{1b}[31m\nb")), "a\\u{1b}[31m\\nb");
        assert_eq!(printable(Path::new("naïve file")), "naïve file");
    }
}
