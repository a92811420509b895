//! Rows that do not fit the memory, divided on disk by further bits of their keys' hashes.
//!
//! A key that most rows have would be carried along from one division to the next, until its hash had no bits left. So the rows of one
//! hash that a look at the first of them finds often get a part of their own, between those of lower and of higher hashes.

use std::cmp::Ordering;

use super::memory::Reservation;
use super::scatter::{Packing, Scatter, Spare};
use super::sequence::Sequence;
use super::table::high_bits;
use crate::error::Result;
use crate::record::{Key, Record};

/// Rows are divided by so many bits of the hash.
pub const DIVIDE_BITS: u32 = 4;

/// A hash is often found if one of so many rows has it.
const OFTEN: usize = 4;

/// Fewer rows than this tell nothing of the others.
const MIN_ROWS: usize = 8;

/// How rows are divided whose hashes agree in the first bits.
#[derive(Debug, Clone, Copy)]
pub struct Division {
    /// The bits in which they agree.
    pub used_bits: u32,
    /// The hash whose rows get a part of their own.
    pub often: Option<u64>,
}

impl Division {
    /// The number of parts, which are in the order of the hashes.
    pub fn parts(self) -> usize {
        (1 << DIVIDE_BITS) + if self.often.is_some() { 2 } else { 0 }
    }

    #[inline]
    fn part(self, hash: u64) -> usize {
        let part = high_bits(hash << self.used_bits, DIVIDE_BITS);
        let beyond = self.often.map_or(0, |often| match hash.cmp(&often) {
            Ordering::Less => 0,
            Ordering::Equal => 1,
            Ordering::Greater => 2,
        });
        part + beyond
    }
}

/// The hash that many of the first rows have, if there is one.
///
/// # Errors
///
/// If the disk cannot be read.
pub fn often<K: Key, T: Record>(rows: &Sequence<(K, T)>) -> Result<Option<u64>> {
    let Some(first) = rows.lists().next() else { return Ok(None) };
    let mut hashes: Vec<u64> = first?.iter().map(|(key, _)| key.key_hash()).collect();
    hashes.sort_unstable();
    let most = hashes.chunk_by(|a, b| a == b).max_by_key(|equal| equal.len());
    let is_often = |equal: &&[u64]| hashes.len() >= MIN_ROWS && OFTEN * equal.len() >= hashes.len();
    Ok(most.filter(is_often).map(|equal| equal[0]))
}

/// Rows of a part, and what is known of their hashes.
pub struct Divided<T> {
    pub rows: Sequence<T>,
    pub hashes: Hashes,
}

/// The hashes of some rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashes {
    /// There are no rows.
    None,
    /// All are this one.
    One(u64),
    /// There are several, or it is not known.
    Several,
}

impl Hashes {
    /// Those of these rows and of others.
    #[inline]
    pub fn and(self, other: Hashes) -> Hashes {
        match (self, other) {
            (Hashes::None, other) => other,
            (one, Hashes::None) => one,
            (Hashes::One(a), Hashes::One(b)) if a == b => Hashes::One(a),
            _ => Hashes::Several,
        }
    }
}

/// Divides rows; the parts go to disk. The reservation is for the rows, and for `kept_bytes` of others, which stay.
///
/// # Errors
///
/// If the disk cannot be read or written.
pub fn divide<K: Key, T: Record>(
    rows: Sequence<(K, T)>,
    division: Division,
    reservation: &mut Reservation,
    kept_bytes: usize,
) -> Result<Vec<Divided<(K, T)>>> {
    let budget = reservation.budget().clone();
    let share = budget.share(64).min(4 << 20);
    let mut scatter = Scatter::new(division.parts(), share, Packing::Yes, &budget);
    let emptied = Spare::default();
    let empty = || Divided { rows: Sequence::default(), hashes: Hashes::None };
    let mut divided: Vec<_> = std::iter::repeat_with(empty).take(division.parts()).collect();
    let mut lists = rows.into_lists();
    while let Some(list) = lists.next() {
        for row in list?.rows {
            let hash = row.0.key_hash();
            let part = division.part(hash);
            divided[part].hashes = divided[part].hashes.and(Hashes::One(hash));
            if scatter.is_full(part) {
                scatter.renew(part, &emptied)?;
            }
            scatter.push(part, row);
        }
        reservation.resize((kept_bytes + lists.memory_bytes()) as u64)?;
    }
    for (part, (mut rows, _)) in scatter.finish()? {
        rows.spill(budget.disk())?;
        divided[part].rows = rows;
    }
    Ok(divided)
}

#[cfg(test)]
mod tests {
    use super::super::disk::Disk;
    use super::super::memory::Budget;
    use super::super::sequence::List;
    use super::*;

    #[test]
    fn parts_are_in_the_order_of_the_hashes_and_what_is_often_found_has_its_own() {
        let budget = Budget::new(1 << 20, Disk::in_temp());
        let key = |n: u64| if n.is_multiple_of(3) { n } else { 77 };
        let mut sequence = Sequence::default();
        for start in [0, 100, 200] {
            sequence.push(List::of((start..start + 100).map(|n| (key(n), n)).collect()));
        }
        let found = often(&sequence).unwrap();
        assert_eq!(found, Some(77u64.key_hash()));
        let division = Division { used_bits: 0, often: found };
        let mut reservation = budget.reservation();
        let divided = divide(sequence, division, &mut reservation, 0).unwrap();
        assert_eq!((divided.len(), reservation.bytes()), (18, 0));
        let parts: Vec<Vec<(u64, u64)>> =
            divided.iter().map(|part| part.rows.lists().flat_map(Result::unwrap).collect()).collect();
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 300);
        let own = parts.iter().position(|part| part.iter().any(|(key, _)| *key == 77)).unwrap();
        assert_eq!((divided[own].hashes, parts[own].len()), (Hashes::One(77u64.key_hash()), 200));
        assert!(parts[own].is_sorted_by_key(|(_, n)| *n), "the order of the input is kept");
        let ends = |part: &Vec<(u64, u64)>| {
            let hashes = || part.iter().map(|(key, _)| key.key_hash());
            Some((hashes().min()?, hashes().max()?))
        };
        let ends: Vec<_> = parts.iter().filter_map(ends).collect();
        assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    #[test]
    fn nothing_is_often_found_among_different_or_few_rows() {
        let of = |keys: &[u64]| {
            let mut sequence = Sequence::default();
            sequence.push(List::of(keys.iter().map(|key| (*key, ())).collect()));
            often(&sequence).unwrap()
        };
        assert_eq!(of(&(0..100).collect::<Vec<_>>()), None);
        assert_eq!(of(&[1, 1, 1]), None);
        assert_eq!(often::<u64, ()>(&Sequence::default()).unwrap(), None);
    }
}
