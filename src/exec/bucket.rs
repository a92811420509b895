//! Rows that fit a core's cache, ordered by the hashes of their keys.

use std::collections::{BTreeMap, VecDeque};
use std::vec::IntoIter;

use super::permute::permute;
use super::sequence::Sequence;
use super::table::high_bits;
use crate::error::Result;
use crate::record::{Key, Record};

/// Bytes of rows that a bucket is meant for: half of the second-level cache of a core.
const BUCKET_BYTES: usize = 512 << 10;

/// Rows are divided into at most `2^MAX_BUCKET_BITS` buckets at once.
const MAX_BUCKET_BITS: u32 = 8;

/// The hash that orders different keys whose first hashes are equal.
const OTHER_SEED: u64 = 1;

/// Bytes of a list of a bucket: those of the lists that its rows come from, so that what these leave is used again at once. Buckets of
/// one list each took as much memory as the rows once more.
const LIST_BYTES: usize = 16 << 10;

/// The rows of a bucket, in the order in which they came.
pub struct Bucket<T>(Vec<Vec<T>>);

impl<T> Bucket<T> {
    #[inline]
    fn push(&mut self, row: T) {
        match self.0.last_mut() {
            Some(list) if list.len() < list.capacity() => list.push(row),
            _ => self.begin(row),
        }
    }

    #[cold]
    fn begin(&mut self, row: T) {
        // The first list grows as a vector does: most buckets of small inputs never fill it.
        let rows = if self.0.is_empty() { 4 } else { (LIST_BYTES / size_of::<T>().max(1)).max(4) };
        let mut list = Vec::with_capacity(rows);
        list.push(row);
        self.0.push(list);
    }

    /// The rows in one list.
    pub fn into_rows(self) -> Vec<T> {
        let mut rows = Vec::with_capacity(self.0.iter().map(Vec::len).sum());
        for mut list in self.0 {
            rows.append(&mut list);
        }
        rows
    }
}

/// Divides rows, whose keys agree in the first `used_bits` of their hashes, by further bits into buckets; the `bytes` of both sides decide
/// how finely.
///
/// # Errors
///
/// If the disk cannot be read.
pub fn into_buckets<K: Key, T: Record>(
    rows: Sequence<(K, T)>,
    used_bits: u32,
    bytes: usize,
) -> Result<Vec<Bucket<(K, T)>>> {
    let bits = (bytes / BUCKET_BYTES).next_power_of_two().trailing_zeros().min(MAX_BUCKET_BITS);
    let mut buckets: Vec<_> = std::iter::repeat_with(|| Bucket(Vec::new())).take(1 << bits).collect();
    for list in rows.into_lists() {
        for row in list?.rows {
            let place = high_bits(row.0.key_hash() << used_bits.min(63), bits);
            buckets[place].push(row);
        }
    }
    Ok(buckets)
}

/// The rows of a bucket on two sides, on their way out: key by key, in the order of the keys' hashes.
pub struct Pairing<K, V, W> {
    left: Side<K, V>,
    right: Side<K, W>,
    /// Keys of one hash, in their order.
    colliding: VecDeque<Group<K, V, W>>,
}

/// A key with its values on both sides.
struct Group<K, V, W> {
    key: K,
    values: Vec<V>,
    others: Vec<W>,
}

/// Rows ordered by hash; those of equal hashes in the order in which they came.
struct Side<K, T> {
    rows: IntoIter<(K, T)>,
    /// The hashes of the rows that are left, the next one last.
    hashes: Vec<u64>,
}

impl<K: Key, T> Side<K, T> {
    fn new(mut rows: Vec<(K, T)>) -> Side<K, T> {
        let mut order: Vec<(u64, u32)> =
            rows.iter().zip(0..).map(|((key, _), number)| (key.key_hash(), number)).collect();
        order.sort_unstable();
        permute(&mut rows, order.iter().map(|(_, number)| *number));
        let hashes = order.iter().rev().map(|(hash, _)| *hash).collect();
        Side { rows: rows.into_iter(), hashes }
    }

    #[inline]
    fn next_hash(&self) -> Option<u64> {
        self.hashes.last().copied()
    }

    #[inline]
    fn next(&mut self) -> Option<(K, T)> {
        self.hashes.pop();
        self.rows.next()
    }

    /// Makes room for all values that have this hash, so that a long list of them need not grow again.
    #[cold]
    fn make_room(&self, hash: u64, values: &mut Vec<T>) {
        let count = self.hashes.iter().rev().take_while(|next| **next == hash).count();
        values.reserve_exact(count.max(4));
    }

    /// Takes the values of the rows that come next, as long as they have this key.
    #[inline]
    fn take(&mut self, hash: u64, key: &K, values: &mut Vec<T>) {
        while self.next_hash() == Some(hash)
            && self.rows.as_slice().first().is_some_and(|(next, _)| next.key_eq(key))
        {
            if values.len() == values.capacity() {
                self.make_room(hash, values);
            }
            values.extend(self.next().map(|(_, value)| value));
        }
    }
}

impl<K: Key, V: Record, W: Record> Pairing<K, V, W> {
    /// Orders the rows of both sides.
    pub fn new(left: Vec<(K, V)>, right: Vec<(K, W)>) -> Pairing<K, V, W> {
        Pairing { left: Side::new(left), right: Side::new(right), colliding: VecDeque::new() }
    }

    /// The next key; its values are added to the lists.
    #[inline]
    pub fn next_key(&mut self, values: &mut Vec<V>, others: &mut Vec<W>) -> Option<K> {
        if let Some(group) = self.colliding.pop_front() {
            (*values, *others) = (group.values, group.others);
            return Some(group.key);
        }
        let hash = match (self.left.next_hash(), self.right.next_hash()) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        let key = if self.left.next_hash() == Some(hash) {
            let (key, value) = self.left.next()?;
            values.push(value);
            key
        } else {
            let (key, other) = self.right.next()?;
            others.push(other);
            key
        };
        self.left.take(hash, &key, values);
        self.right.take(hash, &key, others);
        if self.left.next_hash() == Some(hash) || self.right.next_hash() == Some(hash) {
            let first = Group { key, values: std::mem::take(values), others: std::mem::take(others) };
            self.separate(hash, first);
            return self.next_key(values, others);
        }
        Some(key)
    }

    /// Brings the rows of equal keys together where different keys have one hash: by another hash of theirs. It happens by
    /// chance once in some billion keys, and to keys that were made to collide.
    #[cold]
    fn separate(&mut self, hash: u64, first: Group<K, V, W>) {
        let mut groups: BTreeMap<u64, Vec<Group<K, V, W>>> = BTreeMap::new();
        groups.entry(first.key.hash_into(OTHER_SEED)).or_default().push(first);
        let mut group_of = |key: K, value: Option<V>, other: Option<W>| {
            let groups = groups.entry(key.hash_into(OTHER_SEED)).or_default();
            let found = groups.iter().position(|group| group.key.key_eq(&key)).unwrap_or(groups.len());
            if found == groups.len() {
                groups.push(Group { key, values: Vec::new(), others: Vec::new() });
            }
            groups[found].values.extend(value);
            groups[found].others.extend(other);
        };
        while self.left.next_hash() == Some(hash)
            && let Some((key, value)) = self.left.next()
        {
            group_of(key, Some(value), None);
        }
        while self.right.next_hash() == Some(hash)
            && let Some((key, other)) = self.right.next()
        {
            group_of(key, None, Some(other));
        }
        self.colliding = groups.into_values().flatten().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::Disk;
    use super::super::sequence::List;
    use super::*;
    use crate::Record;

    /// A key whose hash tells little, and whose other hash tells nothing of some keys.
    #[derive(Record, Clone, Debug, PartialEq)]
    struct Colliding(u64);

    impl Key for Colliding {
        fn hash_into(&self, seed: u64) -> u64 {
            if self.0.is_multiple_of(3) { 7 } else { self.0.wrapping_mul(seed) }
        }

        fn key_hash(&self) -> u64 {
            (self.0 % 4) << 60
        }

        fn key_eq(&self, other: &Self) -> bool {
            self == other
        }
    }

    #[test]
    fn the_rows_of_a_key_come_together_however_keys_collide() {
        let rows = |count: u64, factor: u64| -> Vec<(Colliding, u64)> {
            (0..count).map(|n| (Colliding(n * factor % 20), n)).collect()
        };
        let sequence = |rows: &[(Colliding, u64)]| {
            let mut sequence = Sequence::default();
            rows.chunks(50).for_each(|rows| sequence.push(List::of(rows.to_vec())));
            sequence.spill(&Disk::in_temp()).unwrap();
            sequence
        };
        let (left, right) = (rows(200, 7), rows(30, 11));
        let values = |rows: &[(Colliding, u64)], key: &Colliding| -> Vec<u64> {
            rows.iter().filter(|row| row.0 == *key).map(|row| row.1).collect()
        };
        let (mut keys, mut last) = (Vec::new(), 0);
        let buckets = |rows: &[_]| into_buckets(sequence(rows), 0, 8 * BUCKET_BYTES).unwrap();
        assert_eq!(buckets(&left).len(), 8);
        for (bucket, others) in buckets(&left).into_iter().zip(buckets(&right)) {
            let mut pairing = Pairing::new(bucket.into_rows(), others.into_rows());
            let (mut found, mut others) = (Vec::new(), Vec::new());
            while let Some(key) = pairing.next_key(&mut found, &mut others) {
                assert_eq!((&found, &others), (&values(&left, &key), &values(&right, &key)), "{key:?}");
                assert!(key.key_hash() >= last && !keys.contains(&key));
                last = key.key_hash();
                keys.push(key);
                found.clear();
                others.clear();
            }
        }
        assert_eq!(keys.len(), 20);
    }
}
