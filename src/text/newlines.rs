//! Where the lines of a block end, found 64 bytes at a time.
//!
//! A search from each line to the next one costs a call and its preparation every time: 20 ns for a line of 30 bytes, of
//! which this takes 4.
#![deny(unsafe_code)]

use super::newline_bits;

/// The bytes whose line ends are marked at once.
const WIDTH: usize = 64;

/// The positions of all `\n` in some bytes.
#[derive(Debug, Clone)]
pub(crate) struct Newlines<'a> {
    bytes: &'a [u8],
    /// What is marked lies before this position.
    marked: usize,
    /// Line ends that were not given yet, of the `WIDTH` bytes before `marked`.
    bits: u64,
}

impl<'a> Newlines<'a> {
    /// The line ends in `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Newlines<'a> {
        Newlines { bytes, marked: 0, bits: 0 }
    }

    /// Marks the next bytes, which there must be.
    #[inline]
    fn mark(&mut self) {
        let rest = &self.bytes[self.marked..];
        self.bits = rest.first_chunk().map_or_else(
            || {
                let mut padded = [0; WIDTH];
                padded[..rest.len()].copy_from_slice(rest);
                newline_bits(&padded)
            },
            newline_bits,
        );
        self.marked += WIDTH;
    }
}

impl Iterator for Newlines<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            if self.marked >= self.bytes.len() {
                return None;
            }
            self.mark();
        }
        let bit = self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(self.marked - WIDTH + bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_found_wherever_they_are() {
        for length in [0, 1, 63, 64, 65, 127, 128, 200] {
            for step in [1, 2, 7, 63, 64, 65] {
                let mut bytes = vec![b'\r'; length];
                let expected: Vec<usize> = (step - 1..length).step_by(step).collect();
                for &at in &expected {
                    bytes[at] = b'\n';
                }
                assert_eq!(Newlines::new(&bytes).collect::<Vec<_>>(), expected, "{length} {step}");
            }
        }
    }
}
