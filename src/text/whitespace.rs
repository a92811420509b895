//! The words of a text: what lies between its whitespace.
#![deny(unsafe_code)]

use std::iter::FusedIterator;

use super::Text;
use super::marks::wide_space;

/// The words of a text, from [`Text::split_whitespace`].
///
/// It marks 64 bytes at once and then walks the marks, so that a word costs no search of its own.
#[derive(Debug, Clone)]
pub struct SplitWhitespace {
    text: Text,
    /// The borders of words, not yet given, in the 64 bytes before `next`: starts and ends in turn.
    edges: u64,
    /// The first byte that is not yet marked. Beyond the length of the text when all are.
    next: usize,
    /// Whether the byte before `next` is whitespace, as the lowest bit.
    after_space: u64,
    /// The bytes from `next` on that belong to a whitespace character before it.
    carry: u64,
}

impl SplitWhitespace {
    pub(super) fn new(text: Text) -> SplitWhitespace {
        // What is before the text counts as whitespace: a word may start with the first byte. Many lines are empty, and
        // have nothing to mark.
        let next = usize::from(text.is_empty());
        SplitWhitespace { text, edges: 0, next, after_space: 1, carry: 0 }
    }

    /// The next border of a word.
    #[allow(clippy::inline_always)] // twice a word: a call costs as much as the rest of it
    #[inline(always)]
    fn next_edge(&mut self) -> Option<usize> {
        while self.edges == 0 {
            if self.next > self.text.len() {
                return None;
            }
            self.mark();
        }
        let bit = self.edges.trailing_zeros() as usize;
        self.edges &= self.edges - 1;
        Some(self.next - 64 + bit)
    }

    /// Marks the borders of words in the next 64 bytes.
    #[inline(never)] // once in 64 bytes, and large: it would keep `next_edge` from being inlined
    fn mark(&mut self) {
        let marks = self.text.marks(self.next);
        let mut spaces = marks.spaces | self.carry;
        self.carry = 0;
        if marks.leads != 0 {
            spaces |= self.wide_spaces(marks.leads);
        }
        self.edges = spaces ^ (spaces << 1 | self.after_space);
        self.after_space = spaces >> 63;
        self.next += 64;
    }

    /// The bytes of whitespace beyond ASCII, of which each begins at one of `leads`.
    #[inline(never)]
    fn wide_spaces(&mut self, mut leads: u64) -> u64 {
        let mut spaces = 0u128;
        while leads != 0 {
            let bit = leads.trailing_zeros();
            leads &= leads - 1;
            let length = wide_space(&self.text.as_bytes()[self.next + bit as usize..]);
            spaces |= ((1 << length) - 1) << bit;
        }
        self.carry = (spaces >> 64) as u64;
        spaces as u64
    }
}

impl Iterator for SplitWhitespace {
    type Item = Text;

    #[inline]
    fn next(&mut self) -> Option<Text> {
        let start = self.next_edge()?;
        let end = self.next_edge()?;
        self.text.part(start, end)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A word and the space after it are two bytes at least; of the marked ones the edges are known.
        let unmarked = (self.text.len() + 1).saturating_sub(self.next);
        let marked = self.edges.count_ones() as usize;
        (marked.div_ceil(2), Some((marked + unmarked).div_ceil(2)))
    }
}

impl FusedIterator for SplitWhitespace {}
