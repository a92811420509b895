//! Texts out of a text: its parts, and its letters in another case.
#![deny(unsafe_code)]

use std::ops::{Bound, RangeBounds};

use super::{Lines, Pattern, Searcher, Split, SplitN, SplitWhitespace, Text};

/// The case to which ASCII letters are changed.
#[derive(Clone, Copy)]
pub(super) enum AsciiCase {
    Lower,
    Upper,
}

/// Parts and mappings. Each is what the method of the same name on `str` gives, as texts that own what they show.
impl Text {
    /// The part of a text in a range of bytes.
    ///
    /// # Panics
    ///
    /// If the range ends beyond the text, or a border of it does not lie between two characters.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// assert_eq!(Text::new("mill-stone").slice(5..), "stone");
    /// ```
    #[inline]
    #[must_use]
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Text {
        let (start, end) = bounds(&range, self.len());
        self.part(start, end).unwrap_or_else(|| no_part(self, start, end))
    }

    /// The part of a text in a range of bytes, or `None` where [`Text::slice`] panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// let text = Text::new("né");
    /// assert_eq!(text.get(..1), Some(Text::new("n")));
    /// assert_eq!(text.get(..2), None);
    /// ```
    #[inline]
    pub fn get(&self, range: impl RangeBounds<usize>) -> Option<Text> {
        let (start, end) = bounds(&range, self.len());
        self.part(start, end)
    }

    /// The words of the text: what lies between whitespace, as Unicode defines it.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// let words: Vec<Text> = Text::new(" to be,\tor\u{A0}not ").split_whitespace().collect();
    /// assert_eq!(words, ["to", "be,", "or", "not"]);
    /// ```
    #[inline]
    pub fn split_whitespace(&self) -> SplitWhitespace {
        SplitWhitespace::new(self.clone())
    }

    /// The parts between the matches of a pattern: one more than there are matches.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// let fields: Vec<Text> = Text::new("7;;rye").split(';').collect();
    /// assert_eq!(fields, ["7", "", "rye"]);
    /// ```
    #[inline]
    pub fn split<P: Pattern>(&self, pattern: P) -> Split<P::Searcher> {
        Split::new(self.clone(), pattern.into_searcher())
    }

    /// The first `count` parts between the matches of a pattern; the last one holds all that follows.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// let fields: Vec<Text> = Text::new("key = a = b").splitn(2, " = ").collect();
    /// assert_eq!(fields, ["key", "a = b"]);
    /// ```
    #[inline]
    pub fn splitn<P: Pattern>(&self, count: usize, pattern: P) -> SplitN<P::Searcher> {
        SplitN::new(self.clone(), count, pattern.into_searcher())
    }

    /// What is before and what is after the first match of a pattern, or `None` without a match.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// let pair = Text::new("k=v=w").split_once('=');
    /// assert_eq!(pair, Some((Text::new("k"), Text::new("v=w"))));
    /// ```
    pub fn split_once<P: Pattern>(&self, pattern: P) -> Option<(Text, Text)> {
        let found = pattern.into_searcher().find(self, 0)?;
        Some((self.slice(..found.start), self.slice(found.end..)))
    }

    /// What is before and what is after the last match of a pattern, or `None` without a match.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// let pair = Text::new("a.tar.gz").rsplit_once('.');
    /// assert_eq!(pair, Some((Text::new("a.tar"), Text::new("gz"))));
    /// ```
    pub fn rsplit_once<P: Pattern>(&self, pattern: P) -> Option<(Text, Text)> {
        let found = pattern.into_searcher().rfind(self)?;
        Some((self.slice(..found.start), self.slice(found.end..)))
    }

    /// The lines of the text, without their ends, which are `\n` or `\r\n`.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// let lines: Vec<Text> = Text::new("one\r\n\ntwo\n").lines().collect();
    /// assert_eq!(lines, ["one", "", "two"]);
    /// ```
    #[inline]
    pub fn lines(&self) -> Lines {
        Lines::new(self.clone())
    }

    /// The text without whitespace at its start and end.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gristmill::Text::new(" rye \n").trim(), "rye");
    /// ```
    #[must_use]
    pub fn trim(&self) -> Text {
        self.same_part(self.as_str().trim())
    }

    /// The text without whitespace at its start.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gristmill::Text::new(" rye ").trim_start(), "rye ");
    /// ```
    #[must_use]
    pub fn trim_start(&self) -> Text {
        self.same_part(self.as_str().trim_start())
    }

    /// The text without whitespace at its end.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gristmill::Text::new(" rye ").trim_end(), " rye");
    /// ```
    #[must_use]
    pub fn trim_end(&self) -> Text {
        self.same_part(self.as_str().trim_end())
    }

    /// The text without the matches of a pattern at its start and end, however many there are.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// assert_eq!(Text::new("(\"mill\"),").trim_matches(|char: char| !char.is_alphanumeric()), "mill");
    /// ```
    #[must_use]
    pub fn trim_matches<P: Pattern>(&self, pattern: P) -> Text {
        let mut searcher = pattern.into_searcher();
        let mut rest = self.as_str();
        // A match of nothing, as of the empty string, ends the loops: it would never end them otherwise.
        while let Some(length @ 1..) = searcher.prefix(rest) {
            rest = &rest[length..];
        }
        while let Some(length @ 1..) = searcher.suffix(rest) {
            rest = &rest[..rest.len() - length];
        }
        self.same_part(rest)
    }

    /// The text without the pattern at its start, or `None` if it does not start with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// assert_eq!(Text::new("id=7").strip_prefix("id="), Some(Text::new("7")));
    /// ```
    pub fn strip_prefix<P: Pattern>(&self, pattern: P) -> Option<Text> {
        let length = pattern.into_searcher().prefix(self)?;
        Some(self.slice(length..))
    }

    /// The text without the pattern at its end, or `None` if it does not end with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// assert_eq!(Text::new("7 kg").strip_suffix(" kg"), Some(Text::new("7")));
    /// ```
    pub fn strip_suffix<P: Pattern>(&self, pattern: P) -> Option<Text> {
        let length = pattern.into_searcher().suffix(self)?;
        Some(self.slice(..self.len() - length))
    }

    /// The text in lower case, as Unicode defines it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gristmill::Text::new("ΜΎΛΟΣ Mill").to_lowercase(), "μύλος mill");
    /// ```
    #[must_use]
    pub fn to_lowercase(&self) -> Text {
        if self.is_ascii() { self.to_ascii_lowercase() } else { Text::from(self.as_str().to_lowercase()) }
    }

    /// The text in upper case, as Unicode defines it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gristmill::Text::new("straße").to_uppercase(), "STRASSE");
    /// ```
    #[must_use]
    pub fn to_uppercase(&self) -> Text {
        if self.is_ascii() { self.to_ascii_uppercase() } else { Text::from(self.as_str().to_uppercase()) }
    }

    /// The text with its ASCII letters in lower case; other characters stay.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gristmill::Text::new("Grist MÜLL").to_ascii_lowercase(), "grist mÜll");
    /// ```
    #[inline]
    #[must_use]
    pub fn to_ascii_lowercase(&self) -> Text {
        self.with_ascii(AsciiCase::Lower)
    }

    /// The text with its ASCII letters in upper case; other characters stay.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gristmill::Text::new("grist müll").to_ascii_uppercase(), "GRIST MüLL");
    /// ```
    #[inline]
    #[must_use]
    pub fn to_ascii_uppercase(&self) -> Text {
        self.with_ascii(AsciiCase::Upper)
    }

    /// Whether all characters are ASCII.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!gristmill::Text::new("naïve").is_ascii());
    /// ```
    #[inline]
    pub fn is_ascii(&self) -> bool {
        // The shift takes the length byte out of the last word.
        self.inline_words().map_or_else(
            || self.as_str().is_ascii(),
            |[first, second, third]| (first | second | third << 8) & 0x8080_8080_8080_8080 == 0,
        )
    }

    /// The text of a `str` that is part of this text.
    #[inline]
    fn same_part(&self, part: &str) -> Text {
        let start = part.as_ptr().addr() - self.as_str().as_ptr().addr();
        self.slice(start..start + part.len())
    }
}

/// The start and end of a range in a sequence of `len`.
#[inline]
fn bounds(range: &impl RangeBounds<usize>, len: usize) -> (usize, usize) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => len,
    };
    (start, end)
}

#[cold]
#[inline(never)]
fn no_part(text: &Text, start: usize, end: usize) -> ! {
    panic!("bytes {start}..{end} are no whole characters of a text of {} bytes", text.len())
}
