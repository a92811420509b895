//! [`Text`]: a 24-byte immutable string that is cheap to clone and to cut.
//!
//! Texts of up to 23 bytes lie inline; longer ones are slices of a reference-counted block, so that a line of a file
//! is a few words of memory that point into the block it was read to. What is cut out of a text is a text again:
//! inline when it is short, otherwise a slice of the same block. Nothing borrows, which is why
//! `flat_map(|line| line.split_whitespace())` compiles.
//!
//! This file holds the representation and all unsafe code of the crate; the safe rest lies in its submodules.
//!
//! # Invariants
//!
//! 1. A text of up to 23 bytes is inline, zero padded. So two texts, of which one is inline, are equal exactly when
//!    their three words are.
//! 2. The bytes of a text are UTF-8.
//! 3. After the end of any shared text its block has at least `SLACK` initialised bytes. So a short slice becomes
//!    inline with one load of fixed size, and a vector load that starts in a text needs no check of its end.
//! 4. The bytes of a block do not change while a text or a [`Utf8Block`] holds it.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m128i, _mm_add_epi8, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128,
    _mm_set1_epi8,
};
use std::mem::{ManuallyDrop, transmute};
use std::num::NonZeroU64;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;

mod block;
mod compare;
mod convert;
mod cut;
mod marks;
mod memory;
mod newlines;
mod pattern;
mod split;
mod whitespace;
mod words;

use cut::AsciiCase;
use marks::{Marks, is_continuation};

pub use block::{Block, InvalidUtf8};
pub(crate) use newlines::Newlines;
pub use pattern::{AnyOf, CharPredicate, Needle, Pattern, Searcher};
pub use split::{Lines, Split, SplitN};
pub use whitespace::SplitWhitespace;

/// The longest text that lies inline.
const INLINE: usize = 23;

/// Initialised bytes after the last text of a block: what one inline load may read, and one vector load beyond.
const SLACK: usize = 24;

/// The last byte of an inline text is this plus its length. It is no ASCII byte, so ASCII case mapping spares it.
const INLINE_TAG: u64 = 0x80;

/// The last byte of a shared text. It is not zero: that value is left to `Option<Text>`.
const SHARED_TAG: u64 = 1;

/// Bits below the last byte of the last word.
const TAG_SHIFT: u32 = 56;

/// An immutable UTF-8 string of 24 bytes, inline up to 23 bytes and a slice of a shared block beyond.
///
/// It dereferences to `str`. Methods that cut or change a text exist here once more, and return `Text`s that own
/// what they show: `split_whitespace`, `split`, `lines`, `trim`, `to_lowercase` and others. To cut costs no
/// allocation; to clone costs one atomic increment at most.
///
/// A slice keeps the whole block alive that it was cut from. What is kept for long should be
/// [detached](Text::detach); the engine does so for the keys it keeps.
///
/// A text holds at most [`Text::MAX_LEN`] bytes.
///
/// # Examples
///
/// ```
/// use gristmill::Text;
///
/// let line = Text::new("the quick brown fox jumps over the lazy dog");
/// let longest = line.split_whitespace().max_by_key(|word| word.len()).unwrap_or_default();
/// assert_eq!(longest, "jumps");
/// ```
#[repr(C)]
pub struct Text {
    /// The first byte of a shared text; the bytes 0 to 8 of an inline one.
    data: *const u8,
    /// A counted reference to the block of a shared text; the bytes 8 to 16 of an inline one.
    owner: *const Vec<u8>,
    /// The length of a shared text and `SHARED_TAG`; the bytes 16 to 23 of an inline one, and `INLINE_TAG` plus the length.
    ///
    /// One whole word: a tag in a field of its own is moved as a byte, and a load that spans two stores waits for both.
    /// That made moving a text three times as slow.
    last: NonZeroU64,
}

const _: () = assert!(size_of::<Text>() == 24 && size_of::<Option<Text>>() == 24);

// SAFETY: a text is an immutable slice and a reference to an `Arc<Vec<u8>>`, which is `Send` and `Sync`; its bytes
// do not change while it lives (invariant 4).
unsafe impl Send for Text {}
// SAFETY: as above; a shared reference gives read access only.
unsafe impl Sync for Text {}

impl Text {
    /// The greatest length of a text in bytes: 4 GiB less 25 bytes.
    pub const MAX_LEN: usize = u32::MAX as usize - SLACK;

    /// The empty text.
    ///
    /// # Examples
    ///
    /// ```
    /// const NOTHING: gristmill::Text = gristmill::Text::EMPTY;
    /// assert!(NOTHING.is_empty());
    /// ```
    pub const EMPTY: Text = Text { data: ptr::null(), owner: ptr::null(), last: last_word(INLINE_TAG, 0) };

    /// A text with a copy of `text`.
    ///
    /// # Panics
    ///
    /// If `text` is longer than [`Text::MAX_LEN`].
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// assert_eq!(Text::new("naïve").len(), 6);
    /// ```
    #[inline]
    pub fn new(text: &str) -> Text {
        if text.len() > INLINE {
            return Text::copied(text);
        }
        // SAFETY: `pack` zero pads, and its bytes are those of a `str`.
        unsafe { Text::inline(marks::pack(text.as_bytes()), text.len()) }
    }

    /// A text in a block of its own, exactly large enough.
    fn copied(text: &str) -> Text {
        let mut bytes = Vec::with_capacity(text.len() + SLACK);
        bytes.extend_from_slice(text.as_bytes());
        // SAFETY: the bytes are those of a `str` that is too long to be inline.
        unsafe { Text::adopted(bytes) }
    }

    /// A text of all of `bytes`, without a copy where the capacity has room for the slack.
    ///
    /// # Safety
    ///
    /// The bytes are UTF-8 and more than `INLINE`.
    unsafe fn adopted(mut bytes: Vec<u8>) -> Text {
        let len = bytes.len();
        bytes.resize(len + SLACK, 0);
        let data = bytes.as_ptr();
        // SAFETY: the caller vouches for the bytes; the slack has just been added, and the bytes stay where they are when
        // their vector moves.
        unsafe { Text::shared(data, len, Arc::new(bytes)) }
    }

    /// An inline text of its words.
    ///
    /// # Safety
    ///
    /// The first `len` bytes of the words are UTF-8, the others are zero, and `len` is at most `INLINE`.
    #[inline]
    unsafe fn inline(words: [u64; 3], len: usize) -> Text {
        let tagged = [words[0], words[1], words[2] | (INLINE_TAG | len as u64) << TAG_SHIFT];
        // SAFETY: sizes are equal and there is no padding; integers are valid as pointers, which nothing follows
        // in an inline text; the last byte is not zero.
        unsafe { transmute::<[u64; 3], Text>(tagged) }
    }

    /// An inline text of the `len` bytes at `data`, in one load of fixed size.
    ///
    /// # Safety
    ///
    /// `SLACK` bytes at `data` are readable, the first `len` of them are UTF-8, and `len` is at most `INLINE`.
    #[inline]
    unsafe fn loaded(data: *const u8, len: usize) -> Text {
        // Ones, then zeros: the 24 bytes that start `len` bytes before the zeros keep `len` bytes.
        static WINDOW: [[u8; SLACK]; 2] = [[0xFF; SLACK], [0; SLACK]];
        // SAFETY: the caller vouches for 24 bytes at `data`; the window has 24 bytes from any index up to 24, and
        // `len` lies in 0..=23. The kept bytes are UTF-8 and the others are masked to zero.
        unsafe {
            let words = data.cast::<[u64; 3]>().read_unaligned();
            let keep = WINDOW.as_ptr().cast::<u8>().add(SLACK - len).cast::<[u64; 3]>().read_unaligned();
            Text::inline([words[0] & keep[0], words[1] & keep[1], words[2] & keep[2]], len)
        }
    }

    /// A shared text.
    ///
    /// # Safety
    ///
    /// The `len` bytes at `data` lie in `owner`, are UTF-8 and are followed by `SLACK` bytes of `owner`; `len` is more
    /// than `INLINE`.
    #[inline]
    unsafe fn shared(data: *const u8, len: usize, owner: Arc<Vec<u8>>) -> Text {
        assert!(len <= Text::MAX_LEN, "a text of {len} bytes is longer than {} bytes", Text::MAX_LEN);
        Text { data, owner: Arc::into_raw(owner), last: last_word(SHARED_TAG, len) }
    }

    /// Whether the bytes lie in the text itself.
    #[inline]
    fn is_inline(&self) -> bool {
        self.last.get() >= INLINE_TAG << TAG_SHIFT
    }

    /// The 24 bytes of the text itself, as words in memory order.
    #[inline]
    fn words(&self) -> [u64; 3] {
        // SAFETY: a text is 24 initialised bytes, aligned to 8. The addresses in the words are only compared.
        unsafe { ptr::from_ref(self).cast::<[u64; 3]>().read() }
    }

    /// The block of a shared text, without a change of its count.
    #[inline]
    fn block(&self) -> Option<ManuallyDrop<Arc<Vec<u8>>>> {
        // SAFETY: `owner` came from `Arc::into_raw` and its count is ours; `ManuallyDrop` leaves it so.
        (!self.is_inline()).then(|| ManuallyDrop::new(unsafe { Arc::from_raw(self.owner) }))
    }

    /// The length in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gristmill::Text::new("né").len(), 3);
    /// ```
    #[inline]
    pub fn len(&self) -> usize {
        let last = self.last.get();
        if self.is_inline() { ((last >> TAG_SHIFT) & !INLINE_TAG) as usize } else { last as u32 as usize }
    }

    /// The first byte, wherever it lies; valid as long as the text is neither moved nor dropped.
    #[inline]
    fn as_ptr(&self) -> *const u8 {
        if self.is_inline() { ptr::from_ref(self).cast() } else { self.data }
    }

    /// The text as a `str` that borrows it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gristmill::Text::new("plain").as_str(), "plain");
    /// ```
    #[inline]
    pub fn as_str(&self) -> &str {
        // SAFETY: `len` bytes at `as_ptr` are initialised, unchanged while `self` is borrowed, and UTF-8.
        unsafe { str::from_utf8_unchecked(std::slice::from_raw_parts(self.as_ptr(), self.len())) }
    }

    /// The part from `start` to `end`, if both are borders of characters.
    #[allow(clippy::inline_always)] // once a word: a call costs as much as the rest of it
    #[inline(always)]
    fn part(&self, start: usize, end: usize) -> Option<Text> {
        if self.is_inline() {
            return self.part_of_inline(start, end);
        }
        // SAFETY: the text is shared, and the range is checked.
        self.shared_has(start, end).then(|| unsafe { self.part_of_shared(start, end) })
    }

    /// Appends the parts that begin and end there.
    ///
    /// # Panics
    ///
    /// If the ends of one are not borders of characters, in this order.
    fn append_parts(&self, starts: &[u32], ends: &[u32], parts: &mut Vec<Text>) {
        let ranges = starts.iter().zip(ends).map(|(&start, &end)| (start as usize, end as usize));
        if self.is_inline() {
            return parts.extend(ranges.map(|(start, end)| self.slice(start..end)));
        }
        parts.extend(ranges.map(|(start, end)| {
            assert!(self.shared_has(start, end), "no part from {start} to {end}");
            // SAFETY: the text is shared, and the range is checked.
            unsafe { self.part_of_shared(start, end) }
        }));
    }

    /// Whether this shared text has such a part, between two borders of characters.
    #[inline]
    fn shared_has(&self, start: usize, end: usize) -> bool {
        debug_assert!(!self.is_inline());
        // SAFETY: the range lies in the text where its bytes are looked at. The one at its end may lie in the slack, where zero,
        // or the first byte of a character, tells that the text ends between two characters.
        start <= end
            && end <= self.last.get() as u32 as usize
            && unsafe { !is_continuation(*self.data.add(start)) && !is_continuation(*self.data.add(end)) }
    }

    /// A part of an inline text, which has no slack after it: it is copied to where there is some.
    #[inline(never)]
    fn part_of_inline(&self, start: usize, end: usize) -> Option<Text> {
        let len = self.as_str().get(start..end)?.len();
        let words = self.words();
        let padded = [words[0], words[1], words[2], 0, 0, 0];
        // SAFETY: `str::get` has checked the range, and 24 of the 48 bytes follow any index up to 23.
        Some(unsafe { Text::loaded(padded.as_ptr().cast::<u8>().add(start), len) })
    }

    /// A part of a shared text.
    ///
    /// # Safety
    ///
    /// The text is shared, and the range lies in it, between two borders of characters.
    #[inline]
    unsafe fn part_of_shared(&self, start: usize, end: usize) -> Text {
        let len = end - start;
        // SAFETY: a part has the slack of its text. `owner` came from `Arc::into_raw`, and this text holds a count of it; the
        // new text gets another.
        unsafe {
            let first = self.data.add(start);
            if len <= INLINE {
                return Text::loaded(first, len);
            }
            Arc::increment_strong_count(self.owner);
            Text { data: first, owner: self.owner, last: last_word(SHARED_TAG, len) }
        }
    }

    /// The marks of up to 64 bytes from `base`; bytes beyond the end count as whitespace.
    #[inline]
    fn marks(&self, base: usize) -> Marks {
        let len = self.len();
        assert!(base <= len);
        if self.is_inline() {
            assert!(base == 0, "one call marks all of an inline text");
            let words = self.words();
            let padded = [words[0], words[1], words[2], 0];
            // SAFETY: 32 bytes are readable, and `len` is at most 23.
            return unsafe { marks_at(padded.as_ptr().cast::<u8>(), len) };
        }
        // SAFETY: `len - base` bytes of the text are followed by its slack.
        unsafe { marks_at(self.data.add(base), len - base) }
    }

    /// The text with its ASCII letters in another case.
    #[inline]
    fn with_ascii(&self, case: AsciiCase) -> Text {
        if !self.is_inline() {
            return self.long_with_ascii(case);
        }
        // SAFETY: sizes are equal. One pass of fixed length maps padding and tag too, which are no ASCII letters; it
        // keeps UTF-8, lengths and zeros, and so the invariants.
        unsafe {
            let bytes = transmute::<[u64; 3], [u8; 24]>(self.words());
            transmute::<[u8; 24], Text>(match case {
                AsciiCase::Lower => bytes.map(|byte| byte.to_ascii_lowercase()),
                AsciiCase::Upper => bytes.map(|byte| byte.to_ascii_uppercase()),
            })
        }
    }

    /// A long text with its ASCII letters in another case: a clone when all are in that case already.
    fn long_with_ascii(&self, case: AsciiCase) -> Text {
        let affected = match case {
            AsciiCase::Lower => u8::is_ascii_uppercase,
            AsciiCase::Upper => u8::is_ascii_lowercase,
        };
        if !self.as_bytes().iter().any(affected) {
            return self.clone();
        }
        let mut bytes = Vec::with_capacity(self.len() + SLACK);
        bytes.extend_from_slice(self.as_bytes());
        match case {
            AsciiCase::Lower => bytes.make_ascii_lowercase(),
            AsciiCase::Upper => bytes.make_ascii_uppercase(),
        }
        // SAFETY: the mapping keeps UTF-8, and a text of this length is not inline.
        unsafe { Text::adopted(bytes) }
    }
}

impl Clone for Text {
    /// A copy of three words; for a shared text one atomic increment.
    #[inline]
    fn clone(&self) -> Text {
        if !self.is_inline() {
            // SAFETY: `owner` came from `Arc::into_raw`, and this text holds a count of it.
            unsafe { Arc::increment_strong_count(self.owner) };
        }
        Text { data: self.data, owner: self.owner, last: self.last }
    }
}

impl Drop for Text {
    #[inline]
    fn drop(&mut self) {
        if !self.is_inline() {
            // SAFETY: `owner` came from `Arc::into_raw`, and this text gives back the count it holds, once.
            unsafe { Arc::decrement_strong_count(self.owner) };
        }
    }
}

impl From<String> for Text {
    /// A text of the same bytes: copied when they fit inline, otherwise without a copy where the capacity of the
    /// string has room for 24 more.
    fn from(text: String) -> Text {
        if text.len() <= INLINE {
            return Text::new(&text);
        }
        // SAFETY: a `String` is UTF-8, and this one is too long to be inline.
        unsafe { Text::adopted(text.into_bytes()) }
    }
}

/// A block of valid UTF-8, of which [`Text`]s can be cut. A clone is the same block.
///
/// # Examples
///
/// ```
/// use gristmill::text::{Block, Utf8Block};
///
/// let mut block = Block::with_capacity(64);
/// block.buffer().extend_from_slice(b"one line\nand another one, which is longer\n");
/// let block = Utf8Block::new(block).map_err(|invalid| invalid.valid_up_to)?;
/// let line = block.text(9..42);
/// assert_eq!(line, "and another one, which is longer\n");
/// # Ok::<(), usize>(())
/// ```
#[derive(Debug, Clone)]
pub struct Utf8Block {
    /// `len` bytes of UTF-8 and `SLACK` zeros.
    bytes: Arc<Vec<u8>>,
    len: usize,
}

impl Utf8Block {
    /// Validates the bytes of a block.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`], with the block as it was, if the bytes are not UTF-8.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::text::{Block, Utf8Block};
    ///
    /// let mut block = Block::with_capacity(8);
    /// block.buffer().extend_from_slice(b"ab\xFF");
    /// assert_eq!(Utf8Block::new(block).map_err(|invalid| invalid.valid_up_to).err(), Some(2));
    /// ```
    pub fn new(mut block: Block) -> Result<Utf8Block, InvalidUtf8> {
        // The basic flavour is the faster one on valid input; only an error pays for the second look.
        if simdutf8::basic::from_utf8(block.buffer()).is_err() {
            let valid_up_to =
                str::from_utf8(block.buffer()).map_or_else(|error| error.valid_up_to(), str::len);
            return Err(InvalidUtf8 { block, valid_up_to });
        }
        let len = block.buffer().len();
        block.buffer().resize(len + SLACK, 0);
        Ok(Utf8Block { bytes: block.into_shared(), len })
    }

    /// The whole block.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::text::{Block, Utf8Block};
    ///
    /// let block = Utf8Block::new(Block::with_capacity(0)).map_err(|invalid| invalid.valid_up_to)?;
    /// assert_eq!(block.as_str(), "");
    /// # Ok::<(), usize>(())
    /// ```
    #[inline]
    pub fn as_str(&self) -> &str {
        // SAFETY: `new` has validated these bytes, and no one changes them before `recycle`.
        unsafe { str::from_utf8_unchecked(&self.bytes[..self.len]) }
    }

    /// The text in a range of bytes: a copy of up to 23 bytes, or a slice that keeps the block alive.
    ///
    /// # Panics
    ///
    /// If the range ends beyond the block, a border of it does not lie between two characters, or it is longer
    /// than [`Text::MAX_LEN`].
    ///
    /// # Examples
    ///
    /// See [`Utf8Block`].
    #[inline]
    pub fn text(&self, range: Range<usize>) -> Text {
        let part = &self.as_str()[range];
        // SAFETY: `part` is UTF-8 and the slack of the block follows it. Its address is taken from the block again,
        // because the slack lies outside of `part`.
        unsafe {
            let data = self.bytes.as_ptr().add(part.as_ptr().addr() - self.bytes.as_ptr().addr());
            if part.len() <= INLINE {
                Text::loaded(data, part.len())
            } else {
                Text::shared(data, part.len(), Arc::clone(&self.bytes))
            }
        }
    }
}

/// The last word of a text that has nothing else in it.
const fn last_word(tag: u64, len: usize) -> NonZeroU64 {
    let tag = if tag == SHARED_TAG {
        SHARED_TAG << TAG_SHIFT | len as u64
    } else {
        (tag | len as u64) << TAG_SHIFT
    };
    NonZeroU64::MIN.saturating_add(tag - 1) // it is not zero, and this way needs no unwrap
}

/// What `test` says, by the highest bit of each byte, of the first 64 of `len` bytes at `data`, as bits of a word.
///
/// Always four vectors: how many a line has cannot be predicted, and a wrong guess costs more than a vector. Those
/// beyond the end are the first one again, and their bits mean nothing.
///
/// # Safety
///
/// `len` bytes at `data` are readable, and so are 16 more, or 32 bytes in all, or 64 bytes.
#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn bits_at(data: *const u8, len: usize, test: impl Fn(__m128i) -> __m128i) -> u64 {
    [0, 16, 32, 48].into_iter().fold(0, |bits, at| {
        let start = if at < len { at } else { 0 };
        // SAFETY: SSE2 is part of x86_64. The vector starts before `len`, or at 0, and so ends within the 15 bytes
        // after it, or 16 where `len` is 0.
        let tested = unsafe { _mm_movemask_epi8(test(_mm_loadu_si128(data.add(start).cast()))) };
        bits | u64::from(tested.cast_unsigned()) << at
    })
}

/// The marks of the first 64 of `len` bytes at `data`; bytes beyond `len` count as whitespace.
///
/// # Safety
///
/// As for [`bits_at`].
#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn marks_at(data: *const u8, len: usize) -> Marks {
    // SAFETY: SSE2 is part of x86_64; the caller vouches for the bytes.
    unsafe {
        let spaces = bits_at(data, len, |bytes| {
            let blank = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b' '.cast_signed()));
            // Moves 9..=13, tab to carriage return, to the least signed values: one comparison for five characters.
            let moved = _mm_add_epi8(bytes, _mm_set1_epi8(i8::MIN.wrapping_sub(9)));
            _mm_or_si128(blank, _mm_cmplt_epi8(moved, _mm_set1_epi8(i8::MIN + 5)))
        });
        let beyond_ascii = bits_at(data, len, |bytes| bytes);
        let leads = if beyond_ascii == 0 { 0 } else { bits_at(data, len, leads_of) };
        Marks::new(spaces, leads, len)
    }
}

/// Which bytes begin whitespace characters beyond ASCII.
#[cfg(target_arch = "x86_64")]
#[inline]
fn leads_of(bytes: __m128i) -> __m128i {
    // SAFETY: SSE2 is part of x86_64.
    unsafe {
        let narrow = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0xC2u8.cast_signed()));
        let moved = _mm_add_epi8(bytes, _mm_set1_epi8(i8::MIN.wrapping_sub(0xE1u8.cast_signed())));
        _mm_or_si128(narrow, _mm_cmplt_epi8(moved, _mm_set1_epi8(i8::MIN + 3)))
    }
}

/// The marks of the first 64 of `len` bytes at `data`; bytes beyond `len` count as whitespace.
///
/// # Safety
///
/// `len` bytes at `data` are readable.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
unsafe fn marks_at(data: *const u8, len: usize) -> Marks {
    // SAFETY: the caller vouches for `len` bytes.
    Marks::of(unsafe { std::slice::from_raw_parts(data, len.min(64)) })
}

/// Which of 64 bytes are `\n`: bit *n* speaks of the byte *n*.
#[inline]
fn newline_bits(bytes: &[u8; 64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86_64, and there are 64 bytes.
    return unsafe {
        bits_at(bytes.as_ptr(), 64, |bytes| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\n'.cast_signed())))
    };
    #[cfg(not(target_arch = "x86_64"))]
    bytes.iter().rev().fold(0, |bits, byte| bits << 1 | u64::from(*byte == b'\n'))
}
