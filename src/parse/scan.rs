//! What most formats do to a line: take fields off its front.

use super::{Fault, Row, shared};
use crate::text::Text;

/// What is left of a line.
pub(super) struct Scan<'a> {
    rest: &'a str,
    line_len: usize,
}

impl<'a> Scan<'a> {
    #[inline]
    pub fn new(line: &'a str) -> Scan<'a> {
        Scan { rest: line, line_len: line.len() }
    }

    /// What is left.
    #[inline]
    pub fn rest(&self) -> &'a str {
        self.rest
    }

    /// The byte of the line where what is left begins.
    #[inline]
    pub fn at(&self) -> usize {
        self.line_len - self.rest.len()
    }

    /// Takes so many bytes, which end between two characters.
    #[inline]
    pub fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Takes a character if it comes next.
    #[inline]
    pub fn skip(&mut self, char: char) -> bool {
        match self.rest.strip_prefix(char) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes a character that must come next, before a column or at its start.
    #[inline]
    pub fn expect(&mut self, char: char, column: &str, reason: &'static str) -> Result<(), Fault> {
        if self.skip(char) { Ok(()) } else { Err(self.missing(column, reason)) }
    }

    /// Takes a word of one character or more that ends before a space, or with the line.
    #[inline]
    pub fn word(&mut self, column: &str) -> Result<&'a str, Fault> {
        let end = find_near(b' ', self.rest.as_bytes()).unwrap_or(self.rest.len());
        if end == 0 { Err(self.missing(column, "the column is empty")) } else { Ok(self.take(end)) }
    }

    /// Takes the space before a column.
    #[inline]
    pub fn space(&mut self, column: &str) -> Result<(), Fault> {
        self.expect(' ', column, "a space should stand before the column")
    }

    /// Takes what stands between two quotes, in which a backslash goes before a quote that is meant.
    #[inline]
    pub fn quoted(&mut self, column: &str) -> Result<Piece<'a>, Fault> {
        let begin = self.at();
        self.expect('"', column, "the column should begin with a quote")?;
        let bytes = self.rest.as_bytes();
        let mut from = 0;
        while let Some(found) = bytes.get(from..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
            let end = from + found;
            if bytes.get(end) == Some(&b'"') {
                let raw = self.take(end);
                self.skip('"');
                return Ok(Piece { raw, escaped: from > 0 });
            }
            from = end + 2;
        }
        Err(Fault::new(begin, "the quote that begins here is not closed").in_column(column))
    }

    /// Checks that nothing is left.
    #[inline]
    pub fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Fault::new(self.at(), "the line goes on after its last column"))
    }

    /// A fault where the scan has come to; a line that ends too early says so.
    #[cold]
    pub fn missing(&self, column: &str, reason: &'static str) -> Fault {
        let reason = if self.rest.is_empty() { "the line ends before the column" } else { reason };
        Fault::new(self.at(), reason).in_column(column)
    }
}

/// As `memchr`, but without a call where the byte is one of the first eight, as after most words.
#[inline]
pub(super) fn find_near(byte: u8, bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    if let Some(chunk) = bytes.first_chunk() {
        let differing = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(byte));
        let equal = differing.wrapping_sub(ONES) & !differing & (ONES << 7); // the lowest bit that is set is right
        if equal != 0 {
            return Some(equal.trailing_zeros() as usize / 8);
        }
    }
    memchr::memchr(byte, bytes)
}

/// A part of a line as it stands there, perhaps with escapes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece<'a> {
    pub raw: &'a str,
    pub escaped: bool,
}

impl<'a> Piece<'a> {
    /// A part without escapes.
    pub fn plain(raw: &'a str) -> Piece<'a> {
        Piece { raw, escaped: false }
    }

    /// The piece, unless it is the hyphen that stands for nothing.
    #[inline]
    pub fn or_hyphen(self) -> Option<Piece<'a>> {
        (self.raw != "-").then_some(self)
    }

    /// Adds the piece to a row, unescaped.
    #[inline]
    pub fn push_to(self, row: &mut Row<'a>, unescape: fn(&str, &mut String)) {
        if self.escaped {
            row.push_with(|text| unescape(self.raw, text));
        } else {
            row.push(Some(self.raw));
        }
    }

    /// The piece of a line as a text, unescaped; it is copied only if there is something to unescape.
    #[inline]
    pub fn to_text(self, line: &Text, unescape: fn(&str, &mut String)) -> Text {
        if !self.escaped {
            return shared(line, self.raw);
        }
        let mut text = String::new();
        unescape(self.raw, &mut text);
        Text::from(text)
    }
}

/// Adds a piece to a row, or null.
#[inline]
pub(super) fn push<'a>(row: &mut Row<'a>, piece: Option<Piece<'a>>, unescape: fn(&str, &mut String)) {
    match piece {
        Some(piece) => piece.push_to(row, unescape),
        None => row.push(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes() {
        let quoted = |line: &'static str| {
            let mut scan = Scan::new(line);
            scan.quoted("q").map(|piece| (piece.raw, piece.escaped, scan.rest()))
        };
        assert_eq!(quoted(r#""" x"#), Ok(("", false, " x")));
        assert_eq!(quoted(r#""a b""#), Ok(("a b", false, "")));
        assert_eq!(quoted(r#""a \" \\" "b""#), Ok((r#"a \" \\"#, true, r#" "b""#)));
        assert_eq!(quoted("\"\\é\"z"), Ok(("\\é", true, "z")));
        for open in ["\"", "\"a", "\"a\\\"", "\"\\", "\"\\é"] {
            assert_eq!(quoted(open).unwrap_err().reason(), "the quote that begins here is not closed");
        }
        assert_eq!(quoted("a\"").unwrap_err().reason(), "the column should begin with a quote");
        assert_eq!(quoted("").unwrap_err().reason(), "the line ends before the column");
    }

    #[test]
    fn near_bytes() {
        for text in
            ["", " ", "- x", "a\u{21} b c d e", "1234567 ", "12345678 ", "!!!!!!!! ", "\u{a0} é\u{a0}\u{a0} "]
        {
            assert_eq!(find_near(b' ', text.as_bytes()), text.find(' '), "{text:?}");
        }
    }

    #[test]
    fn words() {
        let mut scan = Scan::new("a é");
        assert_eq!(scan.word("x"), Ok("a"));
        assert_eq!(scan.word("x").unwrap_err().to_string(), "the column is empty (column `x`, byte 1)");
        assert_eq!(scan.space("y"), Ok(()));
        assert_eq!(scan.end().unwrap_err().at(), 2);
        assert_eq!(scan.word("y"), Ok("é"));
        assert_eq!(scan.end(), Ok(()));
        assert_eq!(scan.space("z").unwrap_err().at(), 4);
    }
}
