//! Equality, order and hashes of texts: those of `str`; and whether one is empty.
#![deny(unsafe_code)]

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::Text;

impl Text {
    /// Whether the text has no bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(gristmill::Text::default().is_empty());
    /// ```
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl PartialEq for Text {
    #[inline]
    fn eq(&self, other: &Text) -> bool {
        let (ours, theirs) = (self.words(), other.words());
        if !self.is_inline() && !other.is_inline() {
            return self.as_bytes() == other.as_bytes();
        }
        // Where one is inline, equal texts are equal words. Word by word, since a comparison of the arrays becomes vector
        // loads, which wait for words that were just stored.
        (ours[0] ^ theirs[0]) | (ours[1] ^ theirs[1]) | (ours[2] ^ theirs[2]) == 0
    }
}

impl Eq for Text {}

impl Ord for Text {
    #[inline]
    fn cmp(&self, other: &Text) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Text {
    #[inline]
    fn partial_cmp(&self, other: &Text) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Text {
    /// The hash of the `str`, so that maps with `Text` keys are searched with a `&str`.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

/// Equality of texts with another kind of string, both ways.
macro_rules! equal {
    ($($other:ty),*) => {$(
        impl PartialEq<$other> for Text {
            #[inline]
            fn eq(&self, other: &$other) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl PartialEq<Text> for $other {
            #[inline]
            fn eq(&self, other: &Text) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }
    )*};
}

equal!(str, &str, String, Cow<'_, str>);
