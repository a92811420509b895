//! How rows are ordered: by a comparison, or by a key or bytes of theirs, of which a word is compared first.

use std::any::{Any, TypeId};
use std::cmp::{Ordering, Reverse};
use std::marker::PhantomData;

use crate::record::Total;
use crate::text::Text;

/// A total order of rows; rows that compare equal stay in the order of the input.
pub trait Order<T>: Send + Sync + 'static {
    /// What [`Order::prefix`] tells.
    fn prefixes(&self) -> Prefixes {
        Prefixes::None
    }

    /// A word that stands for the row: if those of two rows differ, they are ordered as the rows are.
    fn prefix(&self, _row: &T) -> u64 {
        0
    }

    /// Compares two rows.
    fn compare(&self, a: &T, b: &T) -> Ordering;
}

/// What the prefixes of rows tell of their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefixes {
    /// Nothing: all are equal.
    None,
    /// Those that differ are ordered as the rows.
    Partial,
    /// Equal prefixes are equal rows, too.
    Exact,
}

/// Ordered by a comparison.
pub struct By<F>(pub F);

impl<T: 'static, F: Fn(&T, &T) -> Ordering + Send + Sync + 'static> Order<T> for By<F> {
    #[inline]
    fn compare(&self, a: &T, b: &T) -> Ordering {
        (self.0)(a, b)
    }
}

/// Ordered by a key.
pub struct ByKey<O, F> {
    key: F,
    types: PhantomData<fn() -> O>,
}

impl<O, F> ByKey<O, F> {
    /// Ordered by what `key` gives.
    pub fn new(key: F) -> ByKey<O, F> {
        ByKey { key, types: PhantomData }
    }
}

impl<T: 'static, O: Ord + 'static, F: Fn(&T) -> O + Send + Sync + 'static> Order<T> for ByKey<O, F> {
    fn prefixes(&self) -> Prefixes {
        prefixes_of::<O>()
    }

    #[inline]
    fn prefix(&self, row: &T) -> u64 {
        prefix_of(&(self.key)(row))
    }

    #[inline]
    fn compare(&self, a: &T, b: &T) -> Ordering {
        (self.key)(a).cmp(&(self.key)(b))
    }
}

/// Ordered by bytes that a row has.
pub struct ByBytes<F>(pub F);

impl<T: 'static, F: Fn(&T) -> &[u8] + Send + Sync + 'static> Order<T> for ByBytes<F> {
    fn prefixes(&self) -> Prefixes {
        Prefixes::Partial
    }

    #[inline]
    fn prefix(&self, row: &T) -> u64 {
        first_bytes((self.0)(row))
    }

    #[inline]
    fn compare(&self, a: &T, b: &T) -> Ordering {
        (self.0)(a).cmp((self.0)(b))
    }
}

/// A key that a word can stand for.
trait Word {
    /// Whether equal words are equal keys.
    const EXACT: bool;

    /// The word.
    fn word(&self) -> u64;
}

macro_rules! integer {
    ($($unsigned:ty, $signed:ty);*) => {$(
        impl Word for $unsigned {
            const EXACT: bool = true;

            #[inline]
            fn word(&self) -> u64 {
                *self as u64
            }
        }

        impl Word for $signed {
            const EXACT: bool = true;

            #[inline]
            fn word(&self) -> u64 {
                (*self as i64).cast_unsigned() ^ (1 << 63)
            }
        }
    )*};
}

#[allow(clippy::cast_lossless, reason = "one line for integers of every width")]
mod integers {
    use super::Word;

    integer!(u8, i8; u16, i16; u32, i32; u64, i64; usize, isize);
}

/// The bits of a float in the order of [`Total`]: zeros alike, NaNs alike and last.
macro_rules! float {
    ($($float:ty, $bits:ty, $signed:ty);*) => {$(
        impl Word for Total<$float> {
            const EXACT: bool = true;

            #[inline]
            fn word(&self) -> u64 {
                if self.0.is_nan() {
                    return u64::MAX;
                }
                let bits = (self.0 + 0.0).to_bits();
                let negative = (bits.cast_signed() >> (<$bits>::BITS - 1)).cast_unsigned();
                (bits ^ (negative | (1 << (<$bits>::BITS - 1)))).into()
            }
        }
    )*};
}

float!(f32, u32, i32; f64, u64, i64);

impl Word for char {
    const EXACT: bool = true;

    #[inline]
    fn word(&self) -> u64 {
        u64::from(u32::from(*self))
    }
}

impl Word for bool {
    const EXACT: bool = true;

    #[inline]
    fn word(&self) -> u64 {
        u64::from(*self)
    }
}

impl Word for Text {
    const EXACT: bool = false;

    #[inline]
    fn word(&self) -> u64 {
        first_bytes(self.as_bytes())
    }
}

impl Word for String {
    const EXACT: bool = false;

    #[inline]
    fn word(&self) -> u64 {
        first_bytes(self.as_bytes())
    }
}

impl<W: Word> Word for Reverse<W> {
    const EXACT: bool = W::EXACT;

    #[inline]
    fn word(&self) -> u64 {
        !self.0.word()
    }
}

/// The first eight bytes, as a number that is ordered as they are; what is missing counts as zeros.
#[inline]
fn first_bytes(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)) << (8 * (8 - bytes.len()) % 64)
}

/// Asks, for each type that a word can stand for, whether the key is of that type. A key may be of any type; which it is, is known
/// when the sort is compiled, so that nothing is left of the questions.
macro_rules! words {
    ($($word:ty),*) => {
        /// What the prefixes of keys of type `O` tell.
        fn prefixes_of<O: 'static>() -> Prefixes {
            let key = TypeId::of::<O>();
            $(
                if key == TypeId::of::<$word>() || key == TypeId::of::<Reverse<$word>>() {
                    return if <$word>::EXACT { Prefixes::Exact } else { Prefixes::Partial };
                }
            )*
            Prefixes::None
        }

        /// The prefix of a key.
        #[inline]
        fn prefix_of<O: 'static>(key: &O) -> u64 {
            let key: &dyn Any = key;
            $(
                if let Some(key) = key.downcast_ref::<$word>() {
                    return key.word();
                }
                if let Some(key) = key.downcast_ref::<Reverse<$word>>() {
                    return key.word();
                }
            )*
            0
        }
    };
}

words!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, bool, char, Total<f32>, Total<f64>, Text, String);

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees<O: Ord + Word + std::fmt::Debug>(keys: &[O], exact: bool) {
        for a in keys {
            for b in keys {
                match a.word().cmp(&b.word()) {
                    Ordering::Equal if !exact => {}
                    found => assert_eq!(found, a.cmp(b), "{a:?} {b:?}"),
                }
            }
        }
    }

    #[test]
    fn words_are_ordered_as_the_keys() {
        agrees(&[i64::MIN, -1, 0, 1, i64::MAX], true);
        agrees(&[i8::MIN, -1, 0, 1, i8::MAX].map(Reverse), true);
        agrees(&[0, 1, u64::MAX], true);
        let floats = [f64::NEG_INFINITY, -2.5, -0.0, 0.0, 1e-300, 7.0, f64::INFINITY, f64::NAN, -f64::NAN];
        agrees(&floats.map(Total), true);
        agrees(&floats.map(|float| Reverse(Total(float as f32))), true);
        let texts = ["", "\0", "a", "a\0", "ab", "abcdefgh", "abcdefghi", "b", "é"].map(Text::from);
        agrees(&texts, false);
        agrees(&texts.map(Reverse), false);
    }

    #[test]
    fn what_prefixes_tell_follows_from_the_type() {
        assert_eq!(prefixes_of::<i32>(), Prefixes::Exact);
        assert_eq!(prefixes_of::<Reverse<Text>>(), Prefixes::Partial);
        assert_eq!(prefixes_of::<(i32, i32)>(), Prefixes::None);
        assert_eq!((prefix_of(&7u8), prefix_of(&Reverse(7u8)), prefix_of(&(7, 7))), (7, !7, 0));
    }
}
