//! What one thread counts.

use super::read::Block;
use super::scan::{self, BATCH_WORDS, Borders};
use super::table::{Entry, Table};
use crate::Outcome;

/// Slots that a table of short words starts with: they fit the second-level cache.
const FIRST_SHORT_BITS: u32 = 15;
const FIRST_LONG_BITS: u32 = 10;

/// A word of up to 16 bytes, complemented, with zeros behind it. No byte of UTF-8 is 0xFF, so none is zero here:
/// the length is known, and all zeros are no word.
#[derive(Clone, Copy)]
pub struct Key([u64; 2]);

impl PartialEq for Key {
    /// Both halves at once: which of them differs is not predictable, and a second branch would be.
    #[inline(always)]
    fn eq(&self, other: &Key) -> bool {
        (self.0[0] ^ other.0[0]) | (self.0[1] ^ other.0[1]) == 0
    }
}

impl Key {
    pub const MAX_BYTES: usize = 16;

    /// The word of `len` bytes at `start`.
    ///
    /// # Safety
    ///
    /// 16 bytes can be read from `start`, and `len` is at most 16.
    #[inline(always)]
    unsafe fn load(start: *const u8, len: usize) -> Key {
        const MASKS: [u8; 32] = {
            let mut masks = [0; 32];
            let mut i = 0;
            while i < 16 {
                masks[i] = 0xFF;
                i += 1;
            }
            masks
        };
        // SAFETY: the caller vouches for the word; of the masks, those with `len` times 0xFF in front are read.
        let (word, mask) = unsafe {
            let mask = MASKS.as_ptr().add(16 - len);
            (start.cast::<[u64; 2]>().read_unaligned(), mask.cast::<[u64; 2]>().read_unaligned())
        };
        Key([!word[0] & mask[0], !word[1] & mask[1]])
    }

    #[inline(always)]
    pub fn hash(self) -> u64 {
        fold(self.0[0], self.0[1])
    }

    /// The word, as 16 bytes of which the first so many count.
    pub fn bytes(self) -> ([u8; 16], usize) {
        let [low, high] = self.0.map(u64::to_le);
        let all = u128::from(low) | u128::from(high) << 64;
        ((!all).to_le_bytes(), 16 - all.leading_zeros() as usize / 8)
    }
}

/// Mixes two numbers so well that any bits of the result serve.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x2D35_8DCC_AA6C_78A5) * u128::from(b ^ 0x8BB8_4B93_962E_ACC9);
    (product as u64) ^ (product >> 64) as u64
}

/// A slot for a word of up to 16 bytes.
#[derive(Clone, Copy)]
pub struct Short {
    pub key: Key,
    pub count: u64,
}

// SAFETY: zeros are the key of no word, and a count of 0.
unsafe impl Entry for Short {
    #[inline(always)]
    fn hash(&self) -> u64 {
        self.key.hash()
    }

    #[inline(always)]
    fn is_free(&self) -> bool {
        self.key == Key([0; 2])
    }
}

/// A slot for a longer word.
#[derive(Clone, Copy)]
pub struct Long {
    /// `None` in a free slot.
    pub word: Option<&'static [u8]>,
    pub hash: u64,
    pub count: u64,
}

// SAFETY: the null pointer is the `None` of an optional reference, and 0 is a hash and a count.
unsafe impl Entry for Long {
    fn hash(&self) -> u64 {
        self.hash
    }

    fn is_free(&self) -> bool {
        self.word.is_none()
    }
}

/// The hash of a word of more than 16 bytes.
fn hash_long(word: &[u8]) -> u64 {
    let mix = |hash: u64, bytes: &[u8; 16]| {
        let (a, b) = (u128::from_le_bytes(*bytes) as u64, (u128::from_le_bytes(*bytes) >> 64) as u64);
        fold(hash ^ a, b)
    };
    let (whole, _) = word.as_chunks::<16>();
    let hash = whole.iter().fold(word.len() as u64, mix);
    word.last_chunk::<16>().map_or(hash, |last| mix(hash, last))
}

/// The counts of one thread.
pub struct Counter {
    pub short: Table<Short>,
    pub long: Table<Long>,
    arena: Arena,
    borders: Borders,
    batch: Box<Batch>,
}

/// Words that are hashed but not counted yet: meanwhile their slots come from memory.
struct Batch {
    short: [(Key, u64); BATCH_WORDS],
    long: Vec<([u32; 2], u64)>,
}

impl Counter {
    pub fn new() -> Outcome<Counter> {
        Ok(Counter {
            short: Table::new(FIRST_SHORT_BITS, 0)?,
            long: Table::new(FIRST_LONG_BITS, 0)?,
            arena: Arena::default(),
            borders: Borders::new(),
            #[allow(clippy::large_stack_arrays)] // once a thread, and moved to the heap at once
            batch: Box::new(Batch { short: [(Key([0; 2]), 0); BATCH_WORDS], long: Vec::new() }),
        })
    }

    /// Counts the words of a block.
    pub fn add(&mut self, block: Block<'_>) -> Outcome<()> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
        {
            // SAFETY: the processor has what the function needs; AVX2 implies `popcnt`.
            return unsafe { self.add_avx2(block) };
        }
        self.add_with(block, scan::spaces_portable)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    fn add_avx2(&mut self, block: Block<'_>) -> Outcome<()> {
        self.add_with(block, |bytes| scan::spaces_avx2(bytes))
    }

    #[inline(always)]
    fn add_with(&mut self, block: Block<'_>, spaces: impl Fn(&[u8; 64]) -> (u64, u64)) -> Outcome<()> {
        let Counter { short, long, arena, borders, batch } = self;
        let text = block.text().as_bytes();
        scan::for_each_batch(block, borders, spaces, |words| {
            short.reserve(words.len())?;
            let hashed = batch.hash(block, words, short);
            for &(key, hash) in &batch.short[..hashed] {
                short.entry(hash, |entry| entry.key == key, || Short { key, count: 0 }).count += 1;
            }
            if !batch.long.is_empty() {
                batch.count_long(text, long, arena)?;
            }
            Ok(())
        })
    }
}

impl Batch {
    /// Hashes words, and asks for the slots of the short ones; returns how many these are.
    #[inline(always)]
    fn hash(&mut self, block: Block<'_>, words: &[[u32; 2]], table: &Table<Short>) -> usize {
        let mut hashed = 0;
        for &[start, end] in words {
            let len = (end - start) as usize;
            if len > Key::MAX_BYTES {
                self.long.push(([start, end], 0));
                continue;
            }
            // SAFETY: the word begins in the block, behind which more than 16 bytes can be read; `len` is checked.
            let key = unsafe { Key::load(block.as_padded_ptr().add(start as usize), len) };
            let hash = key.hash();
            table.prefetch(hash);
            self.short[hashed] = (key, hash);
            hashed += 1;
        }
        hashed
    }

    #[inline(never)]
    fn count_long(&mut self, text: &[u8], table: &mut Table<Long>, arena: &mut Arena) -> Outcome<()> {
        table.reserve(self.long.len())?;
        for ([start, end], hash) in &mut self.long {
            *hash = hash_long(&text[*start as usize..*end as usize]);
            table.prefetch(*hash);
        }
        for ([start, end], hash) in self.long.drain(..) {
            let word = &text[start as usize..end as usize];
            let new = || Long { word: Some(arena.keep(word)), hash, count: 0 };
            let is_it = |entry: &Long| entry.hash == hash && entry.word == Some(word);
            table.entry(hash, is_it, new).count += 1;
        }
        Ok(())
    }
}

/// Where long words stay: to the end of the process, which is near, so that no lifetime ties them to a thread.
#[derive(Default)]
struct Arena {
    free: &'static mut [u8],
}

impl Arena {
    fn keep(&mut self, word: &[u8]) -> &'static [u8] {
        const CHUNK_BYTES: usize = 1 << 20;
        if self.free.len() < word.len() {
            self.free = Box::leak(vec![0; CHUNK_BYTES.max(word.len())].into_boxed_slice());
        }
        let (kept, free) = std::mem::take(&mut self.free).split_at_mut(word.len());
        self.free = free;
        kept.copy_from_slice(word);
        kept
    }
}
