//! The rows of the jobs: functions of their number alone.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::Outcome;

/// Mixes the bits of a number (splitmix64): one to one, so that different numbers stay different.
pub fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// A text of 24 bytes for each number.
pub fn text(n: u64) -> [u8; 24] {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let (mut text, mut word) = ([0; 24], mix(n ^ 0x5EED));
    for (place, byte) in text.iter_mut().enumerate() {
        *byte = DIGITS[(word % 32) as usize];
        word = if place == 11 { mix(n) } else { word >> 5 };
    }
    text
}

/// A text as `str`.
pub fn as_str(text: &[u8; 24]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

/// What a row adds to a checksum: the sum over all rows does not depend on their order.
pub fn sum(number: u64, text: &str) -> u64 {
    let bytes =
        text.as_bytes().iter().fold(number, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    mix(bytes)
}

/// Writes a text of `words` words of up to nine letters, ten a line, in which each of `words / 2` occurs twice, far apart.
pub fn write_words(words: u64, path: &Path) -> Outcome<()> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let partial = path.with_extension("partial");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
    let distinct = (words / 2).max(1);
    let mut line = Vec::new();
    for n in 0..words {
        // An odd factor: different numbers of 45 bits stay different.
        let mut number = (n % distinct + 1).wrapping_mul(0x9E37_79B9_7F4B) % (1 << 45);
        while number > 0 {
            line.push(LETTERS[(number % 32) as usize]);
            number /= 32;
        }
        line.push(if n % 10 == 9 { b'\n' } else { b' ' });
        if line.len() > 1 << 16 {
            out.write_all(&line)?;
            line.clear();
        }
    }
    out.write_all(&line)?;
    out.flush()?;
    Ok(std::fs::rename(partial, path)?)
}
