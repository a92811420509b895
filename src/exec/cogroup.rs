//! The rows of one or two inputs brought together by key: what groups, cogroups and joins are made of.
//!
//! Rows are shuffled by the first bits of their keys' hashes. A cell whose rows fit the memory is divided further into buckets
//! that fit a core's cache, and each bucket is ordered by hash, so that the rows of a key stand side by side on both inputs. A cell that
//! does not fit is divided by further bits of the hash on disk, as a Grace hash join does (Kitsuregawa et al., *Application of hash
//! to data base machine and its architecture*, 1983), again and again, until the parts fit. The order of the output is that of the
//! hash, so that it is the same however much was divided. What cannot be divided, because all its rows have one key, is left to
//! the operator: a join streams it.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::broadcast::{Broadcast, Side};
use super::bucket::{Pairing, into_buckets};
use super::erased::{Elements, Of};
use super::exchange::{Exchange, ExchangeSettings};
use super::grace::{DIVIDE_BITS, Division, Hashes, divide, often};
use super::hold::group;
use super::job::Terminal;
use super::mapreduce;
use super::memory::Reservation;
use super::out::Out;
use super::push::Demand;
use super::sequence::{Sequence, row_bytes};
use super::shuffle::{Cell, Route, Shuffle};
use super::source::{AnySource, Erased, Source};
use super::table::high_bits;
use crate::error::Result;
use crate::record::{Data, Key, Record};

/// Rows that one task of what follows takes from neighbouring cells, at least, if there are as many.
pub const ROWS_PER_TASK: usize = 1 << 17;

/// What an operator makes of the rows of a key.
pub trait Matching: Send + Sync + 'static {
    /// What rows are brought together by.
    type Key: Key;
    /// The values of the first input.
    type Left: Record;
    /// The values of the second input; `()` if there is none.
    type Right: Record;
    /// What comes out.
    type Out: Data;

    /// Whether what comes out is never more than what goes in, in bytes.
    const SELECTS: bool = false;

    /// Emits what a key and its values on both inputs give; both lists may be taken or drained.
    fn emit(
        &self,
        key: Self::Key,
        left: &mut Vec<Self::Left>,
        right: &mut Vec<Self::Right>,
        out: &mut Out<Self::Out>,
    ) -> Result<Demand>;

    /// Emits what rows give that do not fit the memory and whose keys have one hash: as a rule, one key. None if the operator needs
    /// all values of a key at once. The reservation is for what of the rows lies in memory, and may grow.
    fn stream(
        &self,
        _left: &Sequence<(Self::Key, Self::Left)>,
        _right: &Sequence<(Self::Key, Self::Right)>,
        _reservation: &mut Reservation,
        _out: &mut Out<Self::Out>,
    ) -> Option<Result<Demand>> {
        None
    }

    /// The same with one side broadcast, if its meaning allows that: if nothing comes out for what has no match on the other side.
    fn broadcast(&self, _side: Side) -> Option<Arc<dyn Broadcast>> {
        None
    }
}

/// What is in a list, in one without room to spare; the list is used again, unless it is large.
pub fn moved_out<T>(list: &mut Vec<T>) -> Vec<T> {
    const LARGE_BYTES: usize = 64 << 10;
    if list.len() * size_of::<T>() >= LARGE_BYTES {
        list.shrink_to(list.len() + list.len() / 8);
        return std::mem::take(list);
    }
    let mut items = Vec::with_capacity(list.len());
    items.append(list);
    items
}

/// The bytes of values, with what they own elsewhere.
pub fn bytes_of<T: Record>(values: &[T]) -> usize {
    values.iter().map(row_bytes).sum()
}

/// The wide operator of a group, a cogroup or a join.
pub struct ByKey<M>(Arc<M>);

impl<M: Matching> ByKey<M> {
    /// The operator that `matching` describes.
    pub fn new(matching: M) -> ByKey<M> {
        ByKey(Arc::new(matching))
    }
}

impl<M: Matching> Exchange for ByKey<M> {
    fn open(&self, settings: &ExchangeSettings) -> (Arc<dyn Terminal>, Arc<dyn AnySource>) {
        if settings.execution.stores_exchanges() {
            let matched = mapreduce::matching::Matched::new(Arc::clone(&self.0), settings);
            return (Arc::new(matched.clone()), Arc::new(Erased::new(matched)));
        }
        let bits = settings.partition_bits;
        let route = ByHash { bits, types: PhantomData };
        let shuffle = Shuffle::new(1 << bits, route, &settings.budget);
        let matching = Arc::clone(&self.0);
        let groups = Groups { matching, shuffle: shuffle.clone(), bits, tasks: Mutex::default() };
        (Arc::new(shuffle), Arc::new(Erased::new(groups)))
    }

    fn input_elements(&self, lane: usize) -> Option<Arc<dyn Elements>> {
        Some(if lane == 0 { Of::<Left<M>>::records() } else { Of::<Right<M>>::records() })
    }

    fn broadcast(&self, side: Side) -> Option<Arc<dyn Broadcast>> {
        self.0.broadcast(side)
    }

    fn selects(&self) -> bool {
        M::SELECTS
    }
}

/// Cells by the first bits of the keys' hashes.
struct ByHash<K, V, W> {
    bits: u32,
    types: PhantomData<fn(K, V, W)>,
}

impl<K: Key, V: Record, W: Record> Route<(K, V), (K, W)> for ByHash<K, V, W> {
    #[inline]
    fn left(&self, row: &(K, V)) -> usize {
        high_bits(row.0.key_hash(), self.bits)
    }

    #[inline]
    fn right(&self, row: &(K, W)) -> usize {
        high_bits(row.0.key_hash(), self.bits)
    }
}

/// A row of the first input.
pub type Left<M> = (<M as Matching>::Key, <M as Matching>::Left);
/// A row of the second input.
pub type Right<M> = (<M as Matching>::Key, <M as Matching>::Right);
type HashShuffle<M> =
    Shuffle<Left<M>, Right<M>, ByHash<<M as Matching>::Key, <M as Matching>::Left, <M as Matching>::Right>>;

/// The source of what comes out.
struct Groups<M: Matching> {
    matching: Arc<M>,
    shuffle: HashShuffle<M>,
    bits: u32,
    tasks: Mutex<Vec<Range<usize>>>,
}

/// Rows whose keys agree in the first `used_bits` of their hashes.
pub struct Part<L, R> {
    /// Those of the first input.
    pub left: Sequence<L>,
    /// Those of the second input.
    pub right: Sequence<R>,
    /// The bits.
    pub used_bits: u32,
    /// Those of all their keys.
    pub hashes: Hashes,
}

impl<M: Matching> Source<M::Out> for Groups<M> {
    fn splits(&self) -> usize {
        let rows = (0..self.shuffle.len()).map(|cell| self.shuffle.cell(cell).rows());
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        *tasks = group(rows, ROWS_PER_TASK);
        tasks.len()
    }

    fn read(&self, split: usize, out: &mut Out<M::Out>) -> Result<()> {
        let cells = self.tasks.lock().unwrap_or_else(PoisonError::into_inner)[split].clone();
        for cell in cells {
            if self.read_cell(self.shuffle.take(cell), out)? == Demand::Enough {
                break;
            }
        }
        Ok(())
    }
}

/// All rows of a part, if they have one key.
struct OneKey<K, V, W> {
    key: K,
    values: Vec<V>,
    others: Vec<W>,
}

impl<K: Key, V: Record, W: Record> OneKey<K, V, W> {
    /// None if there are several keys, or none. A list at a time is held beside the values.
    fn of(part: &Part<(K, V), (K, W)>) -> Result<Option<OneKey<K, V, W>>> {
        let mut key = None;
        let Some(values) = values_of(&part.left, &mut key)? else { return Ok(None) };
        let Some(others) = values_of(&part.right, &mut key)? else { return Ok(None) };
        Ok(key.map(|key| OneKey { key, values, others }))
    }
}

/// The values of rows that all have the key, which the first one sets; none if one has another.
fn values_of<K: Key, T: Record>(rows: &Sequence<(K, T)>, key: &mut Option<K>) -> Result<Option<Vec<T>>> {
    let mut values = Vec::with_capacity(rows.rows());
    for list in rows.lists() {
        for (found, value) in list? {
            if !key.get_or_insert_with(|| found.clone()).key_eq(&found) {
                return Ok(None);
            }
            values.push(value);
        }
    }
    Ok(Some(values))
}

/// Cells of fewer bytes are never looked at for a key that most rows have.
const MIN_SKEWED_BYTES: usize = 4 << 20;

/// Bytes beside a row that it takes to order it: a hash twice, and two numbers. Rows of most keys are ordered in small buckets, those of
/// a key that most rows have are all in one.
const ORDERING_BYTES: usize = 28;

/// The bytes that it takes to emit what rows give. Rows on their way from lists to buckets take their memory twice, for a while: what was
/// allocated on another thread is not at once free for this one.
fn memory_needed<K: Key, V: Record, W: Record>(
    left: &Sequence<(K, V)>,
    right: &Sequence<(K, W)>,
) -> Result<u64> {
    let bytes = left.bytes() + right.bytes();
    let is_skewed = bytes >= MIN_SKEWED_BYTES && (often(left)?.is_some() || often(right)?.is_some());
    let ordering = if is_skewed { (left.rows() + right.rows()) * ORDERING_BYTES } else { 0 };
    Ok((2 * bytes + ordering) as u64)
}

impl<M: Matching> Groups<M> {
    fn read_cell(&self, cell: Cell<Left<M>, Right<M>>, out: &mut Out<M::Out>) -> Result<Demand> {
        let Cell { left, right, mut reservation } = cell;
        let mut parts = vec![Part { left, right, used_bits: self.bits, hashes: Hashes::Several }];
        while let Some(part) = parts.pop() {
            let bytes = part.left.bytes() + part.right.bytes();
            let fits = reservation.try_resize(memory_needed(&part.left, &part.right)?)?;
            let divides = part.hashes == Hashes::Several && part.used_bits + DIVIDE_BITS <= u64::BITS;
            let flow = if fits {
                emit(self.matching.as_ref(), part, out)?
            } else if divides {
                let memory_bytes = part.left.memory_bytes() + part.right.memory_bytes();
                reservation.resize(memory_bytes as u64)?;
                parts.extend(Self::divide(part, &mut reservation)?.into_iter().rev());
                Demand::More
            } else {
                emit_whole(self.matching.as_ref(), part, bytes, &mut reservation, out)?
            };
            if flow == Demand::Enough {
                return Ok(Demand::Enough);
            }
        }
        Ok(Demand::More)
    }

    /// Divides rows by further bits of the hash.
    fn divide(
        part: Part<Left<M>, Right<M>>,
        reservation: &mut Reservation,
    ) -> Result<Vec<Part<Left<M>, Right<M>>>> {
        let Part { left, right, used_bits, .. } = part;
        let often = if left.rows() > right.rows() { often(&left)? } else { often(&right)? };
        let division = Division { used_bits, often };
        let left = divide(left, division, reservation, right.memory_bytes())?;
        let right = divide(right, division, reservation, 0)?;
        let used_bits = used_bits + DIVIDE_BITS;
        let parts = left.into_iter().zip(right).map(|(left, right)| {
            let hashes = left.hashes.and(right.hashes);
            Part { left: left.rows, right: right.rows, used_bits, hashes }
        });
        Ok(parts.filter(|part| !part.left.is_empty() || !part.right.is_empty()).collect())
    }
}

/// Emits what rows of one hash give that do not fit. If two keys share all 64 bits of it, the rows of both come in the order of the left
/// side here, and not key by key.
///
/// # Errors
///
/// If the rows of a key exceed the memory limit and must be there at once, or the disk cannot be read.
pub fn emit_whole<M: Matching>(
    matching: &M,
    part: Part<Left<M>, Right<M>>,
    bytes: usize,
    reservation: &mut Reservation,
    out: &mut Out<M::Out>,
) -> Result<Demand> {
    reservation.resize((part.left.memory_bytes() + part.right.memory_bytes()) as u64)?;
    if let Some(streamed) = matching.stream(&part.left, &part.right, reservation, out) {
        return streamed;
    }
    reservation.budget().check_row(bytes)?;
    reservation.resize(bytes as u64)?;
    match OneKey::of(&part)? {
        Some(OneKey { key, mut values, mut others }) => {
            drop(part);
            matching.emit(key, &mut values, &mut others, out)
        }
        None => emit(matching, part, out),
    }
}

/// Emits what rows give that fit the memory.
fn emit<M: Matching>(matching: &M, part: Part<Left<M>, Right<M>>, out: &mut Out<M::Out>) -> Result<Demand> {
    let bytes = part.left.bytes() + part.right.bytes();
    let left = into_buckets(part.left, part.used_bits, bytes)?;
    let right = into_buckets(part.right, part.used_bits, bytes)?;
    let (mut values, mut others) = (Vec::new(), Vec::new());
    for (left, right) in left.into_iter().zip(right) {
        let mut pairing = Pairing::new(left.into_rows(), right.into_rows());
        while let Some(key) = pairing.next_key(&mut values, &mut others) {
            if matching.emit(key, &mut values, &mut others, out)? == Demand::Enough {
                return Ok(Demand::Enough);
            }
            values.clear();
            others.clear();
        }
    }
    Ok(Demand::More)
}
