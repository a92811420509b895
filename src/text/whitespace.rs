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
            let spaces;
            (spaces, self.carry) = spaces_at(&self.text, self.next, self.carry);
            self.edges = spaces ^ (spaces << 1 | self.after_space);
            self.after_space = spaces >> 63;
            self.next += 64;
        }
        let bit = self.edges.trailing_zeros() as usize;
        self.edges &= self.edges - 1;
        Some(self.next - 64 + bit)
    }
}

/// Which of the 64 bytes from `at` on are whitespace, of which the first ones may be the `carry` of the bytes before; and what they carry on.
///
/// Two words come back in registers: from a struct in memory they were loaded before they had been stored, which took as long as
/// the marks.
#[inline(never)] // once in 64 bytes, and large: it would keep `next_edge` from being inlined
pub(super) fn spaces_at(text: &Text, at: usize, carry: u64) -> (u64, u64) {
    let marks = text.marks(at);
    if marks.leads == 0 {
        return (marks.spaces | carry, 0);
    }
    let wide = wide_spaces(&text.as_bytes()[at..], marks.leads);
    (marks.spaces | carry | wide as u64, (wide >> 64) as u64)
}

/// The bytes of whitespace beyond ASCII, of which each begins at one of `leads`.
#[inline(never)]
fn wide_spaces(bytes: &[u8], mut leads: u64) -> u128 {
    let mut spaces = 0;
    while leads != 0 {
        let bit = leads.trailing_zeros();
        leads &= leads - 1;
        let length = wide_space(&bytes[bit as usize..]);
        spaces |= ((1 << length) - 1) << bit;
    }
    spaces
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
