//! Which of 64 bytes are whitespace, as bits of a word.
#![deny(unsafe_code)]

/// What up to 64 bytes are: bit *n* speaks of the byte *n*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    /// ASCII whitespace, and every byte beyond the end.
    pub spaces: u64,
    /// Bytes that begin every whitespace character beyond ASCII, and other characters too.
    pub leads: u64,
}

impl Marks {
    /// Marks of `len` bytes, or of 64 if they are more, from bits that may hold anything beyond the end.
    #[inline]
    pub fn new(spaces: u64, leads: u64, len: usize) -> Marks {
        if len >= 64 {
            return Marks { spaces, leads };
        }
        let beyond = !0 << len;
        Marks { spaces: spaces | beyond, leads: leads & !beyond }
    }

    /// The marks of up to 64 bytes, without vector instructions.
    #[cfg(any(test, not(target_arch = "x86_64")))]
    pub fn of(bytes: &[u8]) -> Marks {
        let (mut spaces, mut leads) = (0, 0);
        for (at, byte) in bytes.iter().enumerate() {
            spaces |= u64::from(matches!(byte, b' ' | b'\t'..=b'\r')) << at;
            leads |= u64::from(matches!(byte, 0xC2 | 0xE1..=0xE3)) << at;
        }
        Marks::new(spaces, leads, bytes.len())
    }
}

/// Whether a byte is in a character, but not the first one of it.
#[inline]
pub(super) fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// The length in bytes of the whitespace character beyond ASCII that starts here, or 0 if none does.
#[inline]
pub(super) fn wide_space(bytes: &[u8]) -> usize {
    match bytes {
        // U+0085 next line, U+00A0 no-break space.
        [0xC2, 0x85 | 0xA0, ..] => 2,
        // U+1680 ogham space, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000.
        [0xE1, 0x9A, 0x80, ..]
        | [0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF, ..]
        | [0xE2, 0x81, 0x9F, ..]
        | [0xE3, 0x80, 0x80, ..] => 3,
        _ => 0,
    }
}

/// Up to 23 bytes as zero padded words in memory order, by loads that overlap instead of a call of `memcpy`.
#[inline]
pub(super) fn pack(bytes: &[u8]) -> [u64; 3] {
    let len = bytes.len();
    let words = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(head), Some(tail)) => {
            // Twice, because a shift by all 64 bits is none.
            let tail = u64::from_le_bytes(*tail) >> 8 >> (8 * (7 - len % 8));
            let middle = bytes.get(8..).and_then(|rest| rest.first_chunk());
            match middle {
                Some(middle) => [u64::from_le_bytes(*head), u64::from_le_bytes(*middle), tail],
                None => [u64::from_le_bytes(*head), tail, 0],
            }
        }
        _ => [pack_short(bytes), 0, 0],
    };
    words.map(u64::to_le)
}

/// Up to 7 bytes as one word.
#[inline]
fn pack_short(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    if let (Some(head), Some(tail)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return u64::from(u32::from_le_bytes(*head))
            | u64::from(u32::from_le_bytes(*tail)) << (8 * (len - 4));
    }
    match bytes {
        [] => 0,
        [first, ..] => {
            let byte = |at: usize| u64::from(bytes[at]) << (8 * at);
            u64::from(*first) | byte(len / 2) | byte(len - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Text;

    #[test]
    fn vectors_mark_what_the_portable_code_marks() {
        let all: String =
            ('\0'..='\u{FF}').chain("\u{2000}ア\u{3000}中 \u{FFF0}😀".chars()).cycle().take(700).collect();
        let borders: Vec<usize> = (0..all.len()).filter(|&at| all.is_char_boundary(at)).collect();
        for window in borders.windows(90) {
            for end in window {
                let part = &all[window[0]..*end];
                let portable = Marks::of(&part.as_bytes()[..part.len().min(64)]);
                assert_eq!(Text::new(part).marks(0), portable, "{part:?}");
            }
        }
    }

    #[test]
    fn packed_bytes_are_the_bytes() {
        let bytes: Vec<u8> = (1..=23).collect();
        for len in 0..=23 {
            let mut expected = [0; 24];
            expected[..len].copy_from_slice(&bytes[..len]);
            let packed = pack(&bytes[..len]).map(u64::to_ne_bytes).concat();
            assert_eq!(packed, expected, "{len} bytes");
        }
    }

    #[test]
    fn wide_spaces_are_those_of_unicode() {
        for char in ('\u{80}'..=char::MAX).chain(['\u{10FFFF}']) {
            let length = wide_space(char.to_string().as_bytes());
            assert_eq!(length, if char.is_whitespace() { char.len_utf8() } else { 0 }, "{char:?}");
        }
    }
}
