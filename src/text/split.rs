//! The iterators over parts of a text. They own the text, and so borrow nothing.
#![deny(unsafe_code)]

use std::iter::FusedIterator;

use super::{Searcher, Text};

/// The parts of a text between the matches of a pattern, from [`Text::split`].
#[derive(Debug, Clone)]
pub struct Split<S> {
    text: Text,
    searcher: S,
    /// Where the next part starts, or `None` when the last one has been given.
    start: Option<usize>,
    /// Where the search goes on: behind `start` after an empty match, which would be found for ever otherwise.
    from: usize,
}

impl<S: Searcher> Split<S> {
    pub(super) fn new(text: Text, searcher: S) -> Split<S> {
        Split { text, searcher, start: Some(0), from: 0 }
    }

    /// All that is left, as one part.
    fn rest(&mut self) -> Option<Text> {
        self.start.take().map(|start| self.text.slice(start..))
    }
}

impl<S: Searcher> Iterator for Split<S> {
    type Item = Text;

    #[inline]
    fn next(&mut self) -> Option<Text> {
        let start = self.start?;
        if self.from > self.text.len() {
            return self.rest();
        }
        let Some(found) = self.searcher.find(&self.text, self.from) else {
            return self.rest();
        };
        self.start = Some(found.end);
        self.from = if found.is_empty() { after_char(&self.text, found.end) } else { found.end };
        Some(self.text.slice(start..found.start))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The empty pattern gives the most: a part before every character, and one at each end.
        self.start.map_or((0, Some(0)), |start| (1, Some(self.text.len() - start + 2)))
    }
}

impl<S: Searcher> FusedIterator for Split<S> {}

/// The start of the character after the one at `at`; beyond the text if there is none at `at`.
fn after_char(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(1, char::len_utf8)
}

/// At most so many parts of a text, the last of them unsplit, from [`Text::splitn`].
#[derive(Debug, Clone)]
pub struct SplitN<S> {
    split: Split<S>,
    left: usize,
}

impl<S: Searcher> SplitN<S> {
    pub(super) fn new(text: Text, left: usize, searcher: S) -> SplitN<S> {
        SplitN { split: Split::new(text, searcher), left }
    }
}

impl<S: Searcher> Iterator for SplitN<S> {
    type Item = Text;

    #[inline]
    fn next(&mut self) -> Option<Text> {
        self.left = self.left.checked_sub(1)?;
        if self.left == 0 { self.split.rest() } else { self.split.next() }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.split.size_hint();
        (least.min(self.left), most.map(|most| most.min(self.left)))
    }
}

impl<S: Searcher> FusedIterator for SplitN<S> {}

/// The lines of a text, from [`Text::lines`].
#[derive(Debug, Clone)]
pub struct Lines {
    text: Text,
    start: usize,
}

impl Lines {
    pub(super) fn new(text: Text) -> Lines {
        Lines { text, start: 0 }
    }
}

impl Iterator for Lines {
    type Item = Text;

    #[inline]
    fn next(&mut self) -> Option<Text> {
        let start = self.start;
        let rest = &self.text.as_bytes()[start..];
        if rest.is_empty() {
            return None;
        }
        let Some(length) = memchr::memchr(b'\n', rest) else {
            self.start = self.text.len();
            return Some(self.text.slice(start..));
        };
        self.start = start + length + 1;
        let line = rest[..length].strip_suffix(b"\r").unwrap_or(&rest[..length]);
        Some(self.text.slice(start..start + line.len()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = self.text.len() - self.start;
        (rest.min(1), Some(rest))
    }
}

impl FusedIterator for Lines {}
