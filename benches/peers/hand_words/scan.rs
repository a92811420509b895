//! Where words begin and end: 64 bytes at a time, as bits.

use super::read::Block;
use crate::Outcome;

/// So many bytes behind a text may be read.
pub const PADDING: usize = 64;
/// The bytes of text whose words make one batch. Their words, and the slots that these words prefetch, should fit
/// the first-level cache.
pub const BATCH_BYTES: usize = 2048;
/// A batch has at most so many words: one for each two bytes, and one from the batch before.
pub const BATCH_WORDS: usize = BATCH_BYTES / 2 + 1;
/// Bits are written out in groups of so many, the last one filled up with rubbish.
const GROUP: usize = 8;

/// The places in a text where a word begins or ends, in turn.
pub struct Borders {
    places: Box<[u32; BATCH_BYTES + 128]>,
    len: usize,
}

impl Borders {
    pub fn new() -> Borders {
        Borders { places: Box::new([0; BATCH_BYTES + 128]), len: 0 }
    }

    /// The words that are complete, as start and end.
    #[inline(always)]
    pub fn words(&self) -> &[[u32; 2]] {
        self.places[..self.len].as_chunks().0
    }

    /// Forgets the complete words; a start without an end stays.
    #[inline(always)]
    fn keep_open(&mut self) {
        if self.len % 2 == 1 {
            self.places[0] = self.places[self.len - 1];
        }
        self.len %= 2;
    }

    /// Adds a border for each bit that is set.
    #[inline(always)]
    fn push(&mut self, base: u32, mut bits: u64) {
        let count = bits.count_ones() as usize;
        assert!(self.len + 64 + GROUP <= self.places.len());
        let mut written = 0;
        // Whole groups, because a branch an element would be mispredicted at the end of every 64 bytes.
        while written < count {
            for i in 0..GROUP {
                let place = base + bits.trailing_zeros();
                // Volatile, because the compiler would else gather a group in a vector, element by element, which is slower.
                // SAFETY: `written` is a multiple of GROUP below 64, and there is room for 64 + GROUP more.
                unsafe {
                    self.places.as_mut_ptr().cast::<u32>().add(self.len + written + i).write_volatile(place);
                };
                bits &= bits.wrapping_sub(1);
            }
            written += GROUP;
        }
        self.len += count;
    }
}

/// Calls `batch` with the words of `block`, some hundred at a time.
///
/// `spaces` maps 64 bytes to the bits of their ASCII white space and those that may begin other white space.
#[inline(always)]
pub fn for_each_batch(
    block: Block<'_>,
    borders: &mut Borders,
    spaces: impl Fn(&[u8; 64]) -> (u64, u64),
    mut batch: impl FnMut(&[[u32; 2]]) -> Outcome<()>,
) -> Outcome<()> {
    let (text, len) = (block.as_padded_ptr(), block.text().len());
    assert!(u32::try_from(len).is_ok(), "a word of 4 GiB");
    let mut before = 1; // whether white space precedes: it does, before the text
    let mut overhang = 0; // white space of several bytes that began in the 64 bytes before
    borders.len = 0;
    for first in (0..len).step_by(BATCH_BYTES) {
        let last = (first + BATCH_BYTES).min(len);
        for base in (first..last).step_by(64) {
            // SAFETY: `base` lies in the text, and PADDING readable bytes follow the text.
            let bytes = unsafe { &*text.add(base).cast::<[u8; 64]>() };
            let (mut space, leads) = spaces(bytes);
            space |= overhang;
            overhang = 0;
            if leads != 0 {
                (space, overhang) = with_unicode(space, leads, &block.text().as_bytes()[base..]);
            }
            if len - base < 64 {
                space |= u64::MAX << (len - base);
            }
            borders.push(base as u32, space ^ (space << 1 | before));
            before = space >> 63;
        }
        if last == len && before == 0 {
            borders.push(len as u32, 1);
        }
        batch(borders.words())?; // called at one place only, so that it becomes part of this loop
        borders.keep_open();
    }
    Ok(())
}

/// Adds the white space that is not ASCII: the bits of these 64 bytes, and those that run into the next 64.
#[cold]
fn with_unicode(space: u64, mut leads: u64, rest: &[u8]) -> (u64, u64) {
    let mut bits = u128::from(space);
    while leads != 0 {
        let at = leads.trailing_zeros();
        leads &= leads - 1;
        #[allow(clippy::match_same_arms)] // one arm a row of Unicode's list
        let length = match rest.get(at as usize..).unwrap_or_default() {
            [0xC2, 0x85 | 0xA0, ..] => 2,
            [0xE1, 0x9A, 0x80, ..] | [0xE2, 0x81, 0x9F, ..] | [0xE3, 0x80, 0x80, ..] => 3,
            [0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF, ..] => 3,
            _ => 0,
        };
        bits |= ((1 << length) - 1) << at;
    }
    (bits as u64, (bits >> 64) as u64)
}

/// White space and possible first bytes of Unicode's, with 256-bit registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
pub fn spaces_avx2(bytes: &[u8; 64]) -> (u64, u64) {
    #[allow(clippy::wildcard_imports)] // intrinsics
    use std::arch::x86_64::*;
    // A byte is ASCII white space if it is the one that its lower four bits select.
    let table = _mm_setr_epi8(0x20, -1, -1, -1, -1, -1, -1, -1, -1, 9, 10, 11, 12, 13, -1, -1);
    let table = _mm256_broadcastsi128_si256(table);
    // SAFETY: both loads stay within the 64 bytes.
    let (low, high) = unsafe {
        (_mm256_loadu_si256(bytes.as_ptr().cast()), _mm256_loadu_si256(bytes.as_ptr().add(32).cast()))
    };
    let bits = |half: __m256i| u64::from(_mm256_movemask_epi8(half).cast_unsigned());
    let space = |half| bits(_mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, half), half));
    let spaces = space(low) | space(high) << 32;
    if bits(_mm256_or_si256(low, high)) == 0 {
        return (spaces, 0);
    }
    let is = |half, byte: i8| bits(_mm256_cmpeq_epi8(half, _mm256_set1_epi8(byte)));
    let lead = |half| is(half, -62) | is(half, -31) | is(half, -30) | is(half, -29); // C2, E1, E2, E3
    (spaces, lead(low) | lead(high) << 32)
}

/// The same a byte at a time.
#[inline(always)]
pub fn spaces_portable(bytes: &[u8; 64]) -> (u64, u64) {
    let bits = |is: fn(u8) -> bool| (0..64).fold(0, |bits, i| bits | u64::from(is(bytes[i])) << i);
    (bits(|b| matches!(b, 9..=13 | 32)), bits(|b| matches!(b, 0xC2 | 0xE1..=0xE3)))
}
