//! [`Key`]: what rows can be grouped, joined and partitioned by.

use super::{Record, hash};
use crate::text::Text;

/// A record with a hash and an equality that are the same everywhere and for ever.
///
/// The hash depends on the value only: not on the platform, the release of Rust, the process, or [`std::hash`]. The
/// order of rows in output files follows it, so it is part of the file format and does not change between versions.
///
/// - Integers are hashed by value, whatever their width: `1_u8`, `1_i64` and `true` have one hash.
/// - [`Text`] and `String` of equal content have one hash.
/// - Floats are equal when their values are: `-0.0` is `0.0`, and here every NaN is equal to every NaN.
/// - `Some`, `None`, lists, tuples and structs add their parts one after the other.
///
/// `a.key_eq(&b)` implies `a.key_hash() == b.key_hash()`. Whoever implements it by hand must see to that, and that
/// [`Record`] keeps what the key is made of; `#[derive(Key)]` does.
///
/// # Examples
///
/// ```
/// use gristmill::{Key, Record};
///
/// #[derive(Record, Key, Clone)]
/// struct Cell { x: i32, y: f64 }
///
/// let (a, b) = (Cell { x: 1, y: 0.0 }, Cell { x: 1, y: -0.0 });
/// assert!(a.key_eq(&b));
/// assert_eq!(a.key_hash(), b.key_hash());
/// assert_eq!("mill".to_owned().key_hash(), gristmill::Text::from("mill").key_hash());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    label = "no stable hash is known for this type",
    note = "put `#[derive(Record, Key, Clone)]` on `{Self}`"
)]
pub trait Key: Record {
    /// Whether equal keys are identical, so that it does not matter which of them is kept: `-0.0` and `0.0` are equal,
    /// and not identical.
    const EQUAL_IS_IDENTICAL: bool = false;

    /// Adds the value to the hash of what stands before it.
    ///
    /// The result is good to be added to, but not yet mixed evenly over all bits: [`Key::key_hash`] is.
    fn hash_into(&self, hash: u64) -> u64;

    /// Whether two values are the same key.
    fn key_eq(&self, other: &Self) -> bool;

    /// The hash of the value, with high bits as good as the low ones.
    #[allow(clippy::inline_always)] // once an element: a call costs as much as the hash of a word
    #[inline(always)]
    fn key_hash(&self) -> u64 {
        hash::finish(self.hash_into(hash::SEED))
    }
}

macro_rules! integer {
    ($($integer:ty),*) => {$(
        impl Key for $integer {
            const EQUAL_IS_IDENTICAL: bool = true;

            #[allow(clippy::cast_lossless, clippy::cast_sign_loss, reason = "one line for integers of every width")]
            #[inline]
            fn hash_into(&self, hash: u64) -> u64 {
                hash::word(*self as u64, hash) // sign-extended: the value counts, not the width
            }

            #[inline]
            fn key_eq(&self, other: &Self) -> bool {
                self == other
            }
        }
    )*};
}

integer!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, bool);

impl Key for i128 {
    const EQUAL_IS_IDENTICAL: bool = true;

    #[inline]
    fn hash_into(&self, hash: u64) -> u64 {
        let bits = self.cast_unsigned();
        hash::word((bits >> 64) as u64, hash::word(bits as u64, hash))
    }

    #[inline]
    fn key_eq(&self, other: &Self) -> bool {
        self == other
    }
}

macro_rules! float {
    ($($float:ty, $nan:literal);*) => {$(
        impl Key for $float {
            #[inline]
            fn hash_into(&self, hash: u64) -> u64 {
                // One representative of what is equal: positive zero, and one NaN, of which Rust fixes no bits.
                let bits = if self.is_nan() { $nan } else { (*self + 0.0).to_bits() };
                hash::word(bits.into(), hash)
            }

            #[inline]
            fn key_eq(&self, other: &Self) -> bool {
                self == other || (self.is_nan() && other.is_nan())
            }
        }
    )*};
}

float!(f32, 0x7fc0_0000_u32; f64, 0x7ff8_0000_0000_0000_u64);

impl Key for String {
    const EQUAL_IS_IDENTICAL: bool = true;

    #[inline]
    fn hash_into(&self, hash: u64) -> u64 {
        hash::bytes(self.as_bytes(), hash)
    }

    #[inline]
    fn key_eq(&self, other: &Self) -> bool {
        self == other
    }
}

impl Key for Text {
    const EQUAL_IS_IDENTICAL: bool = true;

    #[allow(clippy::inline_always)] // as `key_hash`
    #[inline(always)]
    fn hash_into(&self, hash: u64) -> u64 {
        match self.inline_words() {
            Some(words) => hash::packed(words, hash),
            None => hash::long(self.as_bytes(), hash), // what is not inline is too long for `packed`
        }
    }

    #[inline]
    fn key_eq(&self, other: &Self) -> bool {
        self == other
    }
}

impl Key for () {
    const EQUAL_IS_IDENTICAL: bool = true;

    #[inline]
    fn hash_into(&self, hash: u64) -> u64 {
        hash
    }

    #[inline]
    fn key_eq(&self, (): &Self) -> bool {
        true
    }
}

impl<T: Key> Key for Option<T> {
    const EQUAL_IS_IDENTICAL: bool = T::EQUAL_IS_IDENTICAL;

    #[inline]
    fn hash_into(&self, hash: u64) -> u64 {
        match self {
            Some(value) => value.hash_into(hash::word(1, hash)),
            None => hash::word(0, hash),
        }
    }

    #[inline]
    fn key_eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Some(value), Some(other)) => value.key_eq(other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl<T: Key> Key for Vec<T> {
    const EQUAL_IS_IDENTICAL: bool = T::EQUAL_IS_IDENTICAL;

    fn hash_into(&self, hash: u64) -> u64 {
        // The length keeps `[[a], [b]]` apart from `[[a, b], []]`.
        self.iter().fold(hash::word(self.len() as u64, hash), |hash, item| item.hash_into(hash))
    }

    fn key_eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().zip(other).all(|(item, other)| item.key_eq(other))
    }
}

impl<T: Key> Key for Box<T> {
    const EQUAL_IS_IDENTICAL: bool = T::EQUAL_IS_IDENTICAL;

    #[inline]
    fn hash_into(&self, hash: u64) -> u64 {
        T::hash_into(self, hash)
    }

    #[inline]
    fn key_eq(&self, other: &Self) -> bool {
        T::key_eq(self, other)
    }
}

macro_rules! tuple {
    ($($type:ident $index:tt),+) => {
        impl<$($type: Key),+> Key for ($($type,)+) {
            const EQUAL_IS_IDENTICAL: bool = $($type::EQUAL_IS_IDENTICAL)&&+;

            #[inline]
            fn hash_into(&self, hash: u64) -> u64 {
                $(let hash = self.$index.hash_into(hash);)+
                hash
            }

            #[inline]
            fn key_eq(&self, other: &Self) -> bool {
                $(self.$index.key_eq(&other.$index))&&+
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
