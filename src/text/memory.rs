//! Where the bytes of a text lie.
#![deny(unsafe_code)]

use super::{SLACK, Text};

impl Text {
    /// The three little-endian words of an inline text: its bytes, zero padded, and a last byte that says its length.
    ///
    /// Two texts with equal words are equal, and the words of a text are the same in every process. A text of more
    /// than 23 bytes has none.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// let words = Text::new("ab").inline_words();
    /// assert_eq!(words, Some([0x6261, 0, 0x82 << 56]));
    /// assert_eq!(Text::new("more than twenty-three bytes").inline_words(), None);
    /// ```
    #[inline]
    pub fn inline_words(&self) -> Option<[u64; 3]> {
        self.is_inline().then(|| self.words().map(u64::from_le))
    }

    /// The bytes of the heap that this text keeps alive: 0 when it is inline, otherwise its whole block, even if
    /// other texts share it.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// assert_eq!(Text::new("short").heap_bytes(), 0);
    /// assert!(Text::new("more than twenty-three bytes").heap_bytes() >= 28);
    /// ```
    pub fn heap_bytes(&self) -> usize {
        self.block().map_or(0, |block| size_of::<Vec<u8>>() + 2 * size_of::<usize>() + block.capacity())
    }

    /// The bytes of the heap that are this text's share: as [`Text::heap_bytes`] if it has its block for itself, its own length if
    /// the block is larger.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// let long = Text::new(&"0123456789".repeat(1000));
    /// assert_eq!(long.slice(0..30).share_bytes(), 30);
    /// assert!(long.share_bytes() >= 10_000);
    /// ```
    pub fn share_bytes(&self) -> usize {
        match self.block() {
            None => 0,
            Some(block) if block.capacity() > self.len() + SLACK => self.len(),
            Some(_) => self.heap_bytes(),
        }
    }

    /// Makes the text keep no more memory alive than it needs: one that is part of a larger block gets its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::Text;
    ///
    /// let long = Text::new(&"0123456789".repeat(1000));
    /// let mut part = long.slice(0..30);
    /// part.detach();
    /// assert!(part.heap_bytes() < 200);
    /// ```
    pub fn detach(&mut self) {
        if self.block().is_some_and(|block| block.capacity() > self.len() + SLACK) {
            *self = Text::copied(self.as_str());
        }
    }
}
