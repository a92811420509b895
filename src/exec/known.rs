//! Types that are known to be records wherever they occur, also where nothing but `Data` is asked of a type: what closures give, states of a fold.

use std::any::{Any, TypeId};

use super::wire::{rows_from_bytes, rows_to_bytes};
use crate::error::Result;
use crate::record::Record;
use crate::text::Text;

/// Rows to bytes, and back.
pub type Codec<T> = (fn(&[T]) -> Result<Vec<u8>>, fn(&[u8]) -> Result<Vec<T>>);

/// How a record travels.
pub fn codec<T: Record>() -> Codec<T> {
    (rows_to_bytes::<T>, rows_from_bytes::<T>)
}

/// How a type travels, if it is one of the plain ones: numbers, texts, `bool`, `()`; an `Option` or a `Vec` of one; a pair of common ones.
pub fn known_codec<T: 'static>() -> Option<Codec<T>> {
    // Looked up by a function that is not generic, so that the table is compiled once, and not for each type of a program.
    look_up(TypeId::of::<T>())?.downcast::<Codec<T>>().ok().map(|codec| *codec)
}

fn look_up(wanted: TypeId) -> Option<Box<dyn Any>> {
    let found = PLAIN.iter().chain(PAIRS).find(|(id, _)| id() == wanted);
    found.map(|(_, codec)| codec())
}

/// A type, and its [`Codec`].
type Known = (fn() -> TypeId, fn() -> Box<dyn Any>);

fn boxed<T: Record>() -> Box<dyn Any> {
    Box::new(codec::<T>())
}

macro_rules! plain {
    ($($type:ty),+) => {
        &[(TypeId::of::<()>, boxed::<()>), $(
            (TypeId::of::<$type>, boxed::<$type>),
            (TypeId::of::<Option<$type>>, boxed::<Option<$type>>),
            (TypeId::of::<Vec<$type>>, boxed::<Vec<$type>>),
        )+]
    };
}

macro_rules! pairs {
    ($($left:ty),+; $rights:tt) => { &[$(pairs!(@ $left, $rights)),+] };
    (@ $left:ty, ($($right:ty),+)) => { [$((TypeId::of::<($left, $right)>, boxed::<($left, $right)>)),+] };
}

const PLAIN: &[Known] =
    plain!(bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64, Text, String);

const PAIRS: &[Known] = PAIRS_BY_LEFT.as_flattened();

const PAIRS_BY_LEFT: &[[Known; 6]] =
    pairs!(u64, i64, usize, f64, Text, String; (u64, i64, usize, f64, Text, String));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_types_travel_and_others_are_not_known() {
        let (to_bytes, from_bytes) = known_codec::<(Text, f64)>().unwrap();
        let rows = [(Text::from("a"), 1.5), (Text::from("b"), f64::INFINITY)];
        assert_eq!(from_bytes(&to_bytes(&rows).unwrap()).unwrap(), rows);
        assert!(known_codec::<Option<u8>>().is_some() && known_codec::<Vec<String>>().is_some());
        assert!(known_codec::<std::time::Instant>().is_none() && known_codec::<&'static str>().is_none());
    }
}
