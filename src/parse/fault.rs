//! What is wrong with a line: [`Fault`], and [`Invalid`] for the text of one field.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::text::Text;

/// Why a text is no value of a type.
///
/// It is a constant sentence, so that to try a type costs nothing where it does not fit.
///
/// # Examples
///
/// ```
/// let wrong = gristmill::parse::int::<u8>("256").unwrap_err();
/// assert_eq!(wrong.to_string(), "the number is too large for its column");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid(pub(super) &'static str);

impl Invalid {
    /// A reason of your own.
    pub const fn new(reason: &'static str) -> Invalid {
        Invalid(reason)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Invalid {}

/// What is wrong with a line, where in the line, and in which column.
///
/// It knows nothing of files and lines: whoever reads these adds them. The fallible operators, such as
/// [`try_map`](crate::Dataset::try_map), do so by themselves.
///
/// # Examples
///
/// ```
/// use gristmill::parse::{CombinedFormat, LineFormat, Row};
///
/// let line = r#"::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 2326 "-" "curl"#;
/// let fault = CombinedFormat.cut(line, &mut Row::new()).unwrap_err();
/// assert_eq!(fault.at(), 67);
/// assert_eq!(fault.to_string(), "the quote that begins here is not closed (column `agent`, byte 67)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Fault(Box<Inner>); // one word, so that results stay small where lines are right

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    column: Option<Text>,
    value: Option<Text>,
    at: usize,
    reason: &'static str,
}

/// As much of a value is shown.
const SHOWN_CHARS: usize = 40;

impl Fault {
    /// A fault at a byte of the line, counted from 0, with a reason for people.
    #[cold]
    pub fn new(at: usize, reason: &'static str) -> Fault {
        Fault(Box::new(Inner { column: None, value: None, at, reason }))
    }

    /// A fault in the value of a column that begins at a byte of the line.
    #[cold]
    pub fn in_value(column: &str, at: usize, value: &str, invalid: Invalid) -> Fault {
        let end = value.char_indices().nth(SHOWN_CHARS).map_or(value.len(), |(end, _)| end);
        let mut fault = Fault::new(at, invalid.0).in_column(column);
        fault.0.value = value.get(..end).map(Text::new);
        fault
    }

    /// The same fault with the column that it lies in.
    #[must_use]
    pub fn in_column(mut self, name: &str) -> Fault {
        self.0.column = Some(Text::new(name));
        self
    }

    /// The name of the column, where it is known.
    pub fn column(&self) -> Option<&str> {
        self.0.column.as_deref()
    }

    /// The beginning of the value that is wrong, where the fault lies in a value.
    pub fn value(&self) -> Option<&str> {
        self.0.value.as_deref()
    }

    /// The byte of the line, counted from 0: where what is wrong begins, or where something is missing.
    pub fn at(&self) -> usize {
        self.0.at
    }

    /// What is wrong, for people.
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.reason())?;
        if let Some(column) = self.column() {
            write!(f, "column `{}`, ", column.escape_debug())?;
        }
        if let Some(value) = self.value() {
            write!(f, "value `{}`, ", value.escape_debug())?;
        }
        write!(f, "byte {})", self.at())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault: {self}")
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        Error::new(ErrorKind::Input, fault.to_string()).because(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_and_where() {
        assert_eq!(Fault::new(3, "bad").to_string(), "bad (byte 3)");
        let fault = Fault::in_value("a\u{1b}", 9, &"é\n".repeat(99), Invalid("bad"));
        let shown = "é\\n".repeat(SHOWN_CHARS / 2);
        assert_eq!(fault.to_string(), format!("bad (column `a\\u{{1b}}`, value `{shown}`, byte 9)"));
        assert_eq!(Error::from(fault).kind(), ErrorKind::Input);
    }

    #[test]
    fn results_are_small() {
        assert_eq!(size_of::<Result<(), Fault>>(), 8);
        assert_eq!(size_of::<Result<i64, Invalid>>(), 16);
    }
}
