//! How the rows of a key on two sides are joined, in memory and, where a key has too many, from the disk.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;

use super::broadcast::{Broadcast, Side};
use super::cogroup::Matching;
use super::lookup::{ByLookup, Lookup, Room};
use super::memory::Reservation;
use super::out::Out;
use super::push::Demand;
use super::sequence::Sequence;
use crate::error::{Error, Result};
use crate::record::{Data, Key, Record};

/// What a join makes of a pair of values, and of one that has no match.
pub trait Join<V, W>: Send + Sync + 'static {
    /// What comes out for a key.
    type Out: Data;

    /// Whether a value of the left side comes out that has no match.
    const KEEPS_LEFT: bool = false;

    /// Whether a value of the right side comes out that has no match.
    const KEEPS_RIGHT: bool = false;

    /// A pair.
    fn both(left: V, right: W) -> Self::Out;

    /// A value of the left side without a match, if it is to come out.
    fn left(_left: V) -> Option<Self::Out> {
        None
    }

    /// A value of the right side without a match, if it is to come out.
    fn right(_right: W) -> Option<Self::Out> {
        None
    }
}

/// The pairs that match.
pub struct Inner;

/// The pairs that match, and what is on the left without a match.
pub struct LeftOuter;

/// The pairs that match, and what is on the right without a match.
pub struct RightOuter;

/// The pairs that match, and what is on either side without a match.
pub struct FullOuter;

impl<V: Data, W: Data> Join<V, W> for Inner {
    type Out = (V, W);

    fn both(left: V, right: W) -> (V, W) {
        (left, right)
    }
}

impl<V: Data, W: Data> Join<V, W> for LeftOuter {
    type Out = (V, Option<W>);

    const KEEPS_LEFT: bool = true;

    fn both(left: V, right: W) -> Self::Out {
        (left, Some(right))
    }

    fn left(left: V) -> Option<Self::Out> {
        Some((left, None))
    }
}

impl<V: Data, W: Data> Join<V, W> for RightOuter {
    type Out = (Option<V>, W);

    const KEEPS_RIGHT: bool = true;

    fn both(left: V, right: W) -> Self::Out {
        (Some(left), right)
    }

    fn right(right: W) -> Option<Self::Out> {
        Some((None, right))
    }
}

impl<V: Data, W: Data> Join<V, W> for FullOuter {
    type Out = (Option<V>, Option<W>);

    const KEEPS_LEFT: bool = true;
    const KEEPS_RIGHT: bool = true;

    fn both(left: V, right: W) -> Self::Out {
        (Some(left), Some(right))
    }

    fn left(left: V) -> Option<Self::Out> {
        Some((Some(left), None))
    }

    fn right(right: W) -> Option<Self::Out> {
        Some((None, Some(right)))
    }
}

/// The rows of a key as a join pairs them: left by left, each with the right ones in their order.
pub struct Joining<K, V, W, J>(PhantomData<fn(K, V, W) -> J>);

impl<K, V, W, J> Joining<K, V, W, J> {
    /// The join `J`.
    pub fn new() -> Joining<K, V, W, J> {
        Joining(PhantomData)
    }
}

impl<K: Key, V: Record, W: Record, J: Join<V, W>> Matching for Joining<K, V, W, J> {
    type Key = K;
    type Left = V;
    type Right = W;
    type Out = (K, J::Out);

    fn emit(
        &self,
        key: K,
        left: &mut Vec<V>,
        right: &mut Vec<W>,
        out: &mut Out<Self::Out>,
    ) -> Result<Demand> {
        if right.is_empty() {
            return emit_all(&key, left.drain(..).filter_map(J::left), out);
        }
        if left.is_empty() {
            return emit_all(&key, right.drain(..).filter_map(J::right), out);
        }
        // All but the last use of a value are clones.
        let (Some(last_left), Some(last_right)) = (left.pop(), right.pop()) else { return Ok(Demand::More) };
        for value in left.drain(..) {
            for other in right.iter() {
                if out.emit((key.clone(), J::both(value.clone(), other.clone())))? == Demand::Enough {
                    return Ok(Demand::Enough);
                }
            }
            if out.emit((key.clone(), J::both(value, last_right.clone())))? == Demand::Enough {
                return Ok(Demand::Enough);
            }
        }
        for other in right.drain(..) {
            if out.emit((key.clone(), J::both(last_left.clone(), other)))? == Demand::Enough {
                return Ok(Demand::Enough);
            }
        }
        out.emit((key, J::both(last_left, last_right)))
    }

    fn stream(
        &self,
        left: &Sequence<(K, V)>,
        right: &Sequence<(K, W)>,
        reservation: &mut Reservation,
        out: &mut Out<Self::Out>,
    ) -> Option<Result<Demand>> {
        Some(Self::nested_loops(left, right, reservation, out))
    }

    fn broadcast(&self, side: Side) -> Option<Arc<dyn Broadcast>> {
        match side {
            Side::Right if !J::KEEPS_RIGHT => Some(Arc::new(hold_right::<K, V, W, J>(Room::Known))),
            Side::Left if !J::KEEPS_LEFT => {
                Some(Arc::new(ByLookup::new(PastLeft::<K, V, W, J>(PhantomData), Room::Known)))
            }
            Side::Right | Side::Left => None,
        }
    }
}

/// The join `J`, which must keep nothing of the right side that has no match, with that side held.
pub fn hold_right<K: Key, V: Data, W: Record, J: Join<V, W>>(
    room: Room,
) -> ByLookup<impl Lookup<Key = K, Passing = V, Held = W, Out = (K, J::Out)>> {
    ByLookup::new(PastRight::<K, V, W, J>(PhantomData), room)
}

/// A join whose left side streams past the right one.
struct PastRight<K, V, W, J>(PhantomData<fn(K, V, W) -> J>);

impl<K: Key, V: Data, W: Record, J: Join<V, W>> Lookup for PastRight<K, V, W, J> {
    type Key = K;
    type Passing = V;
    type Held = W;
    type Out = (K, J::Out);

    fn emit(&self, key: K, value: V, held: &[W], out: &mut Out<Self::Out>) -> Result<Demand> {
        if held.is_empty() {
            emit_all(&key, J::left(value), out)
        } else {
            pair(key, value, held, J::both, out)
        }
    }
}

/// A join whose right side streams past the left one.
struct PastLeft<K, V, W, J>(PhantomData<fn(K, V, W) -> J>);

impl<K: Key, V: Record, W: Data, J: Join<V, W>> Lookup for PastLeft<K, V, W, J> {
    type Key = K;
    type Passing = W;
    type Held = V;
    type Out = (K, J::Out);

    fn emit(&self, key: K, value: W, held: &[V], out: &mut Out<Self::Out>) -> Result<Demand> {
        if held.is_empty() {
            return emit_all(&key, J::right(value), out);
        }
        pair(key, value, held, |right, left| J::both(left, right), out)
    }
}

/// Emits a value with each of those that are held; its last use is no clone.
fn pair<K: Clone, P: Clone, H: Clone, O>(
    key: K,
    value: P,
    held: &[H],
    both: impl Fn(P, H) -> O,
    out: &mut Out<(K, O)>,
) -> Result<Demand> {
    let Some((last, others)) = held.split_last() else { return Ok(Demand::More) };
    for other in others {
        if out.emit((key.clone(), both(value.clone(), other.clone())))? == Demand::Enough {
            return Ok(Demand::Enough);
        }
    }
    out.emit((key, both(value, last.clone())))
}

fn emit_all<K: Clone, T>(
    key: &K,
    values: impl IntoIterator<Item = T>,
    out: &mut Out<(K, T)>,
) -> Result<Demand> {
    for value in values {
        if out.emit((key.clone(), value))? == Demand::Enough {
            return Ok(Demand::Enough);
        }
    }
    Ok(Demand::More)
}

impl<K: Key, V: Record, W: Record, J: Join<V, W>> Joining<K, V, W, J> {
    /// Pairs each row of the left side with those of the right one. These are read once if they fit the memory, and otherwise for every
    /// row again: each reading gives as many pairs as it reads rows, so that it costs no more than what comes out.
    fn nested_loops(
        left: &Sequence<(K, V)>,
        right: &Sequence<(K, W)>,
        reservation: &mut Reservation,
        out: &mut Out<(K, J::Out)>,
    ) -> Result<Demand> {
        let fits = reservation.try_resize(reservation.bytes() + right.bytes() as u64)?;
        let held: Option<Vec<Vec<(K, W)>>> =
            if fits { Some(right.lists().collect::<Result<_>>()?) } else { None };
        for list in left.lists() {
            for row in list? {
                let flow = match &held {
                    Some(lists) => Self::pair(row, lists.iter().map(Ok::<_, Error>), out)?,
                    None => Self::pair(row, right.lists(), out)?,
                };
                if flow == Demand::Enough {
                    return Ok(Demand::Enough);
                }
            }
        }
        Self::unmatched(left, right, out)
    }

    /// Pairs a row of the left side with all of the right one that have its key.
    fn pair<L: Borrow<Vec<(K, W)>>>(
        (key, value): (K, V),
        right: impl Iterator<Item = Result<L>>,
        out: &mut Out<(K, J::Out)>,
    ) -> Result<Demand> {
        let mut matched = false;
        for others in right {
            for (_, other) in others?.borrow().iter().filter(|(other, _)| other.key_eq(&key)) {
                matched = true;
                if out.emit((key.clone(), J::both(value.clone(), other.clone())))? == Demand::Enough {
                    return Ok(Demand::Enough);
                }
            }
        }
        let unmatched = if matched { None } else { J::left(value) };
        emit_all(&key, unmatched, out)
    }

    /// Emits the rows of the right side that have no match, if they are to come out.
    fn unmatched(
        left: &Sequence<(K, V)>,
        right: &Sequence<(K, W)>,
        out: &mut Out<(K, J::Out)>,
    ) -> Result<Demand> {
        for list in right.lists() {
            for (key, other) in list? {
                // The left side is looked through only if there may be something to emit.
                let Some(unmatched) = J::right(other) else { return Ok(Demand::More) };
                if !contains(left, &key)? && out.emit((key, unmatched))? == Demand::Enough {
                    return Ok(Demand::Enough);
                }
            }
        }
        Ok(Demand::More)
    }
}

/// Whether a key occurs; as a rule all rows have one, so that the first one tells.
fn contains<K: Key, T: Record>(rows: &Sequence<(K, T)>, key: &K) -> Result<bool> {
    for list in rows.lists() {
        if list?.iter().any(|(found, _)| found.key_eq(key)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The rows of the left side that have a match, or those that have none.
pub struct Existence<K, V> {
    /// Whether rows with a match come out.
    pub with_match: bool,
    /// The rows.
    pub types: PhantomData<fn(K, V)>,
}

impl<K: Key, V: Record> Matching for Existence<K, V> {
    type Key = K;
    type Left = V;
    type Right = ();
    type Out = (K, V);

    const SELECTS: bool = true;

    fn emit(&self, key: K, left: &mut Vec<V>, right: &mut Vec<()>, out: &mut Out<(K, V)>) -> Result<Demand> {
        let wanted = right.is_empty() != self.with_match;
        if wanted { emit_all(&key, left.drain(..), out) } else { Ok(Demand::More) }
    }

    fn stream(
        &self,
        left: &Sequence<(K, V)>,
        right: &Sequence<(K, ())>,
        _reservation: &mut Reservation,
        out: &mut Out<(K, V)>,
    ) -> Option<Result<Demand>> {
        Some(self.filter(left, right, out))
    }

    fn broadcast(&self, side: Side) -> Option<Arc<dyn Broadcast>> {
        let past = Existence { with_match: self.with_match, types: self.types };
        (side == Side::Right).then(|| Arc::new(ByLookup::new(past, Room::Known)) as Arc<dyn Broadcast>)
    }
}

impl<K: Key, V: Record> Lookup for Existence<K, V> {
    type Key = K;
    type Passing = V;
    type Held = ();
    type Out = (K, V);

    fn emit(&self, key: K, value: V, held: &[()], out: &mut Out<(K, V)>) -> Result<Demand> {
        if held.is_empty() == self.with_match { Ok(Demand::More) } else { out.emit((key, value)) }
    }
}

impl<K: Key, V: Record> Existence<K, V> {
    fn filter(
        &self,
        left: &Sequence<(K, V)>,
        right: &Sequence<(K, ())>,
        out: &mut Out<(K, V)>,
    ) -> Result<Demand> {
        let mut last: Option<(K, bool)> = None;
        for list in left.lists() {
            for (key, value) in list? {
                let known = last.as_ref().filter(|(last, _)| last.key_eq(&key)).map(|(_, found)| *found);
                let found = match known {
                    Some(found) => found,
                    None => contains(right, &key)?,
                };
                last = Some((key.clone(), found));
                if found == self.with_match && out.emit((key, value))? == Demand::Enough {
                    return Ok(Demand::Enough);
                }
            }
        }
        Ok(Demand::More)
    }
}
