//! Text of unknown origin, made safe for a terminal.

use std::borrow::Cow;
use std::fmt::Write;

use crate::error::is_unsafe;

/// The text with control characters escaped, and those that reverse or hide what stands beside them.
///
/// Escape sequences in names and data can thus neither drive a terminal nor forge a line of output. Everything else,
/// backslashes included, stays as it is: this is for people, not for parsers.
///
/// # Examples
///
/// ```
/// use gristmill::cli::escape::escaped;
///
/// assert_eq!(escaped("naïve \\ text"), "naïve \\ text");
/// assert_eq!(escaped("two\nlines, \u{1b}[31mred"), "two\\nlines, \\u{1b}[31mred");
/// ```
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe(character) {
            let _ = write!(safe, "{}", character.escape_default()); // writing to a string cannot fail
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Lines without anything that a terminal acts on.
pub(crate) fn escaped_lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", escaped(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_drives_a_terminal_passes() {
        let hostile = "\0\u{7}\u{8}\t\r\n\u{1b}]0;title\u{7}\u{7f}\u{9b}31m\u{202e}cod\u{2028}";
        assert!(!escaped(hostile).contains(is_unsafe));
        assert_eq!(escaped("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(escaped("日本語 👩‍🚀"), "日本語 👩‍🚀");
    }
}
