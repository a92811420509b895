//! What a text can be split at and stripped of.
#![deny(unsafe_code)]

use std::fmt;
use std::ops::Range;

use memchr::memmem;

use super::Text;

/// What [`Text::split`] and its relatives look for: a `char`, several of them, a string, or a closure that tells
/// whether a `char` matches.
///
/// Unlike the pattern of `str` it is turned into a [`Searcher`] that owns it, so that the iterators borrow nothing.
///
/// # Examples
///
/// ```
/// use gristmill::Text;
///
/// let text = Text::new("a-1, b-2");
/// assert_eq!(text.split(", ").count(), 2);
/// assert_eq!(text.split(['-', ',']).count(), 4);
/// assert_eq!(text.split(|char: char| char.is_ascii_digit()).count(), 3);
/// ```
pub trait Pattern {
    /// What searches for the pattern.
    type Searcher: Searcher;

    /// The pattern as something that searches for it.
    fn into_searcher(self) -> Self::Searcher;
}

/// Searches texts for a pattern that it owns.
///
/// Ranges are of bytes, lie in the text, and have their borders between characters.
pub trait Searcher {
    /// The first match that starts at `from` or later; `from` lies in the text, between two characters.
    fn find(&mut self, text: &str, from: usize) -> Option<Range<usize>>;

    /// The last match.
    fn rfind(&mut self, text: &str) -> Option<Range<usize>>;

    /// The length of the match at the very start of a text.
    fn prefix(&mut self, text: &str) -> Option<usize> {
        self.find(text, 0).filter(|found| found.start == 0).map(|found| found.end)
    }

    /// The length of the match at the very end of a text.
    fn suffix(&mut self, text: &str) -> Option<usize> {
        self.rfind(text).filter(|found| found.end == text.len()).map(|found| found.len())
    }
}

impl Pattern for char {
    type Searcher = char;

    fn into_searcher(self) -> char {
        self
    }
}

impl Searcher for char {
    #[inline]
    fn find(&mut self, text: &str, from: usize) -> Option<Range<usize>> {
        let rest = &text[from..];
        let at =
            if self.is_ascii() { memchr::memchr(*self as u8, rest.as_bytes()) } else { rest.find(*self) };
        at.map(|at| from + at..from + at + self.len_utf8())
    }

    fn rfind(&mut self, text: &str) -> Option<Range<usize>> {
        text.rfind(*self).map(|at| at..at + self.len_utf8())
    }

    fn prefix(&mut self, text: &str) -> Option<usize> {
        text.starts_with(*self).then(|| self.len_utf8())
    }

    fn suffix(&mut self, text: &str) -> Option<usize> {
        text.ends_with(*self).then(|| self.len_utf8())
    }
}

/// Searches for a string, from [`Pattern`]s that are strings. The empty string matches between any two characters,
/// at the start and at the end.
///
/// # Examples
///
/// ```
/// use gristmill::text::{Pattern, Searcher};
///
/// assert_eq!("ab".into_searcher().find("cab ab", 2), Some(4..6));
/// ```
#[derive(Debug, Clone)]
pub struct Needle {
    needle: Text,
    /// Made for the first search of a needle of several bytes; what only strips a prefix never needs it.
    finder: Option<Box<memmem::Finder<'static>>>,
}

impl Searcher for Needle {
    #[inline]
    fn find(&mut self, text: &str, from: usize) -> Option<Range<usize>> {
        let rest = &text.as_bytes()[from..];
        let at = match self.needle.as_bytes() {
            [] => Some(0),
            [byte] => memchr::memchr(*byte, rest),
            needle => {
                let finder = || Box::new(memmem::Finder::new(needle).into_owned());
                self.finder.get_or_insert_with(finder).find(rest)
            }
        };
        at.map(|at| from + at..from + at + self.needle.len())
    }

    fn rfind(&mut self, text: &str) -> Option<Range<usize>> {
        text.rfind(self.needle.as_str()).map(|at| at..at + self.needle.len())
    }

    fn prefix(&mut self, text: &str) -> Option<usize> {
        text.starts_with(self.needle.as_str()).then(|| self.needle.len())
    }

    fn suffix(&mut self, text: &str) -> Option<usize> {
        text.ends_with(self.needle.as_str()).then(|| self.needle.len())
    }
}

/// Strings as patterns.
macro_rules! needle {
    ($($string:ty),*) => {$(
        impl Pattern for $string {
            type Searcher = Needle;

            fn into_searcher(self) -> Needle {
                Needle { needle: Text::from(self), finder: None }
            }
        }
    )*};
}

needle!(&str, String, &String, Text, &Text);

/// Searches for characters of which a closure says that they match.
///
/// # Examples
///
/// ```
/// use gristmill::text::{Pattern, Searcher};
///
/// assert_eq!(char::is_numeric.into_searcher().rfind("a1b2c"), Some(3..4));
/// ```
#[derive(Clone)]
pub struct CharPredicate<F>(F);

impl<F> fmt::Debug for CharPredicate<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CharPredicate")
    }
}

impl<F: FnMut(char) -> bool> Pattern for F {
    type Searcher = CharPredicate<F>;

    fn into_searcher(self) -> CharPredicate<F> {
        CharPredicate(self)
    }
}

impl<F: FnMut(char) -> bool> Searcher for CharPredicate<F> {
    #[inline]
    fn find(&mut self, text: &str, from: usize) -> Option<Range<usize>> {
        let mut chars = text[from..].char_indices();
        let (at, char) = chars.find(|&(_, char)| (self.0)(char))?;
        Some(from + at..from + at + char.len_utf8())
    }

    fn rfind(&mut self, text: &str) -> Option<Range<usize>> {
        let (at, char) = text.char_indices().rfind(|&(_, char)| (self.0)(char))?;
        Some(at..at + char.len_utf8())
    }

    fn prefix(&mut self, text: &str) -> Option<usize> {
        text.chars().next().filter(|&char| (self.0)(char)).map(char::len_utf8)
    }

    fn suffix(&mut self, text: &str) -> Option<usize> {
        text.chars().next_back().filter(|&char| (self.0)(char)).map(char::len_utf8)
    }
}

impl<const N: usize> Pattern for [char; N] {
    type Searcher = AnyOf<N>;

    fn into_searcher(self) -> AnyOf<N> {
        AnyOf(self)
    }
}

/// Searches for any of several characters.
///
/// # Examples
///
/// ```
/// use gristmill::text::{Pattern, Searcher};
///
/// assert_eq!([';', ','].into_searcher().find("a, b; c", 0), Some(1..2));
/// ```
#[derive(Debug, Clone)]
pub struct AnyOf<const N: usize>([char; N]);

impl<const N: usize> AnyOf<N> {
    fn predicate(&self) -> CharPredicate<impl FnMut(char) -> bool> {
        CharPredicate(|char| self.0.contains(&char))
    }
}

impl<const N: usize> Searcher for AnyOf<N> {
    #[inline]
    fn find(&mut self, text: &str, from: usize) -> Option<Range<usize>> {
        self.predicate().find(text, from)
    }

    fn rfind(&mut self, text: &str) -> Option<Range<usize>> {
        self.predicate().rfind(text)
    }

    fn prefix(&mut self, text: &str) -> Option<usize> {
        self.predicate().prefix(text)
    }

    fn suffix(&mut self, text: &str) -> Option<usize> {
        self.predicate().suffix(text)
    }
}
