//! Blocks: the buffers that readers fill and that texts then share.
#![deny(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use super::{SLACK, Utf8Block};

/// A growable buffer of bytes that becomes a [`Utf8Block`] once it is full, and a buffer again once
/// no text holds it.
///
/// # Examples
///
/// ```
/// use gristmill::text::Block;
///
/// let mut block = Block::with_capacity(1 << 10);
/// block.buffer().extend_from_slice(b"data");
/// assert!(block.buffer().capacity() >= 1 << 10);
/// ```
#[derive(Debug, Default)]
pub struct Block {
    /// Held by this block alone. It stays in its `Arc`, so that a block that is used again allocates nothing.
    bytes: Arc<Vec<u8>>,
}

impl Block {
    /// An empty block with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Block {
        Block { bytes: Arc::new(Vec::with_capacity(bytes + SLACK)) }
    }

    /// The bytes, to be filled or changed in any way.
    #[inline]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        // Never copies: no one else holds the bytes of a `Block`.
        Arc::make_mut(&mut self.bytes)
    }

    /// Gives the bytes away, to be shared.
    pub(super) fn into_shared(self) -> Arc<Vec<u8>> {
        self.bytes
    }
}

impl Utf8Block {
    /// The block to be filled again, empty and with its capacity, if nothing else holds its bytes.
    ///
    /// # Errors
    ///
    /// This block as it is, if texts or clones hold its bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::text::{Block, Utf8Block};
    ///
    /// let block = Utf8Block::new(Block::with_capacity(100)).map_err(|invalid| invalid.valid_up_to)?;
    /// assert!(block.try_recycle().is_ok());
    /// # Ok::<(), usize>(())
    /// ```
    pub fn try_recycle(mut self) -> Result<Block, Utf8Block> {
        match Arc::get_mut(&mut self.bytes) {
            Some(unshared) => {
                unshared.clear();
                Ok(Block { bytes: self.bytes })
            }
            None => Err(self),
        }
    }

    /// An empty block of the same capacity: this one if nothing else holds its bytes, otherwise a new one.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::text::{Block, Utf8Block};
    ///
    /// let block = Utf8Block::new(Block::with_capacity(100)).map_err(|invalid| invalid.valid_up_to)?;
    /// assert!(block.recycle().buffer().capacity() >= 100);
    /// # Ok::<(), usize>(())
    /// ```
    pub fn recycle(self) -> Block {
        self.try_recycle().unwrap_or_else(|held| Block::with_capacity(held.bytes.capacity() - SLACK))
    }
}

/// A block whose bytes are not UTF-8.
#[derive(Debug)]
pub struct InvalidUtf8 {
    /// The block as it was given.
    pub block: Block,
    /// The index of the first byte that is not part of a character.
    pub valid_up_to: usize,
}

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid UTF-8 at byte {}", self.valid_up_to)
    }
}

impl std::error::Error for InvalidUtf8 {}
