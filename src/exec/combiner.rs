//! The map-side combiner: a table small enough for the cache that joins the elements of frequent keys and lets rare
//! ones pass.
//!
//! It works as a cache does. The high bits of a key's hash choose a set of two places. A key that is found in the
//! second place moves to the first one, and a new key takes the second place and drives out whoever held it: frequent
//! keys stay, and nothing needs a counter. This is the transposition rule of Rivest, *On self-organizing sequential
//! search heuristics*, 1976, on lists of two. With 32,768 places 15 % of the words of English and technical text get
//! through; a table of three times as many keys that is emptied whenever it is full lets as many through, and every
//! look-up in it costs several cache misses.
//!
//! Within a split, what is driven out depends on nothing but the keys that were added, in their order. The states of one
//! key leave in the order of their elements.

use prefetch_index::prefetch_index;

use super::aggregate::Combine;
use super::memory::{Budget, Reservation};
use crate::record::{Key, Record};

/// How long a combiner holds what it combines, and so how large it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// One split: what leaves it is the same in every run.
    Split,
    /// All splits that a worker happens to read, for states that do not depend on the order of their elements.
    Worker,
}

impl Span {
    /// Bytes of places. A combiner that is emptied after each split was as fast with 0.5, 1 and 2 MiB, for what it catches more it
    /// misses in the second-level cache. One that is kept catches so much more that misses pay.
    fn max_bytes(self, budget: &Budget) -> usize {
        match self {
            Span::Split => 1 << 20,
            // Every worker has one, and other things need the memory more.
            Span::Worker => (32 << 20).min((budget.limit_bytes() / 64) as usize),
        }
    }
}

/// The sets that a combiner begins with, as a power of two: small inputs are not to pay for a large table.
const MIN_SET_BITS: u32 = 6;

/// What states that grow, such as lists, may own together, about; a state that has more than its part leaves.
const MAX_STATE_BYTES: usize = 4 << 20;

/// A state may always own so much.
const MIN_STATE_BYTES: usize = 1 << 10;

/// So many elements are added before one looks at what its state owns. To measure a list takes a look at each of its items, so
/// that more are added after a large one.
const MEASURE_EVERY: usize = 16;

/// Bytes of a state that was measured for each element that is then added without a look.
const BYTES_PER_LOOK: usize = 64;

/// The key of a place with its state.
type Place<K, A> = Option<(K, A)>;

/// Two places that a look-up finds in one cache line, if they are as small as a word and its count.
#[repr(align(64))]
struct Set<K, A>([Place<K, A>; 2]);

/// The states of the keys that were seen last and often.
pub struct Combiner<K, A> {
    sets: Vec<Set<K, A>>,
    set_bits: u32,
    /// The sets of one partition lie together: its number is the first bits of theirs.
    partition_bits: u32,
    /// Keys that came in since it last grew.
    admitted: usize,
    /// Elements that are still to be added, to a state that may own something, before one is measured.
    unmeasured: usize,
    span: Span,
    max_bytes: usize,
    /// What the keys own elsewhere.
    heap_bytes: usize,
    reservation: Reservation,
}

impl<K: Key, A: Record> Combiner<K, A> {
    /// An empty combiner of keys for `2^partition_bits` partitions.
    pub fn new(partition_bits: u32, span: Span, budget: &Budget) -> Combiner<K, A> {
        let reservation = budget.reservation();
        let mut combiner = Combiner {
            sets: Vec::new(),
            set_bits: 0,
            partition_bits,
            admitted: 0,
            unmeasured: MEASURE_EVERY,
            span,
            max_bytes: span.max_bytes(budget),
            heap_bytes: 0,
            reservation,
        };
        combiner.restart();
        combiner
    }

    /// Asks for the set of a hash, which will be needed soon, without waiting for it.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        prefetch_index(&self.sets, self.set_of(hash));
    }

    /// Adds an element, and gives the key that is driven out by it, with its state.
    #[allow(clippy::inline_always)] // once an element: left to itself, the compiler calls it, or not, as other code changes
    #[inline(always)]
    pub fn add<T, C>(&mut self, hash: u64, item: T, combine: &C) -> Place<K, A>
    where
        C: Combine<T, Key = K, State = A>,
    {
        let index = self.set_of(hash);
        let Set(set) = &mut self.sets[index];
        let key = combine.key(&item);
        let is_key = |place: &Place<K, A>| matches!(place, Some((found, _)) if found.key_eq(key));
        if !is_key(&set[0]) {
            if !is_key(&set[1]) {
                return self.admit(index, combine.start(item));
            }
            set.swap(0, 1);
        }
        if let Some((_, state)) = &mut set[0] {
            combine.add(state, item);
        }
        if std::mem::needs_drop::<A>() { self.measure(index) } else { None }
    }

    /// Drives out a state that has grown beyond its part.
    fn measure(&mut self, index: usize) -> Place<K, A> {
        if self.unmeasured > 0 {
            self.unmeasured -= 1;
            return None;
        }
        let places = (2 * self.sets.len()).min(self.admitted.max(1));
        let most = (MAX_STATE_BYTES / places).max(MIN_STATE_BYTES);
        let Set(set) = &mut self.sets[index];
        let bytes = set[0].as_ref().map_or(0, |(_, state)| state.heap_bytes());
        self.unmeasured = MEASURE_EVERY.max(bytes / BYTES_PER_LOOK);
        let grown = set[0].take_if(|_| bytes > most);
        if let Some((key, _)) = &grown {
            self.heap_bytes -= key.heap_bytes();
            set.swap(0, 1);
        }
        grown
    }

    /// Takes out the keys of a partition, with their states.
    pub fn take(&mut self, partition: usize) -> impl Iterator<Item = (K, A)> {
        let shift = self.set_bits - self.partition_bits;
        let sets = &mut self.sets[partition << shift..(partition + 1) << shift];
        sets.iter_mut().flat_map(|set| set.0.iter_mut().filter_map(Option::take))
    }

    /// Makes an emptied combiner drive out what a new one would.
    pub fn restart(&mut self) {
        self.set_bits = MIN_SET_BITS.max(self.partition_bits);
        self.sets.truncate(1 << self.set_bits);
        self.sets.resize_with(1 << self.set_bits, || Set([None, None]));
        self.admitted = 0;
        self.unmeasured = MEASURE_EVERY;
        self.heap_bytes = 0;
    }

    #[inline]
    fn set_of(&self, hash: u64) -> usize {
        (hash >> (64 - self.set_bits)) as usize // there are `MIN_SET_BITS` at least
    }

    /// Lets a key in that was not found.
    fn admit(&mut self, index: usize, (mut key, state): (K, A)) -> Place<K, A> {
        key.detach(); // it would keep its block of the input alive
        self.admitted += 1;
        let key_bytes = key.heap_bytes();
        if key_bytes > 0 && !self.has_room(key_bytes) {
            return Some((key, state));
        }
        let Set(set) = &mut self.sets[index];
        if set[0].is_none() {
            set[0] = Some((key, state));
            return None;
        }
        let driven_out = set[1].replace((key, state));
        if let Some((key, _)) = &driven_out {
            self.heap_bytes -= key.heap_bytes();
        }
        if self.admitted > 2 * self.sets.len() {
            self.try_to_grow();
        }
        driven_out
    }

    #[cold]
    fn try_to_grow(&mut self) {
        self.admitted = 0;
        let bytes = 2 * size_of_val(self.sets.as_slice());
        if bytes <= self.max_bytes && self.may_hold(bytes + self.heap_bytes) {
            self.grow();
        }
    }

    /// Whether the bytes of a key may be held in addition, and if so, counts them.
    #[cold]
    fn has_room(&mut self, key_bytes: usize) -> bool {
        let heap_bytes = self.heap_bytes + key_bytes;
        let has_room = self.span == Span::Split || heap_bytes <= self.max_bytes;
        let has_room = has_room && self.may_hold(size_of_val(self.sets.as_slice()) + heap_bytes);
        if has_room {
            self.heap_bytes = heap_bytes;
        }
        has_room
    }

    /// Reserves so many bytes, if it has fewer. What a split leaves must not depend on the memory that is free: if there is
    /// none, its lists will say so.
    fn may_hold(&mut self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        bytes <= self.reservation.bytes()
            || self.reservation.try_resize_free(bytes.next_multiple_of(1 << 16))
            || self.span == Span::Split
    }

    /// Makes two sets of each, from the last one on, so that none is written over before its turn.
    fn grow(&mut self) {
        let sets = self.sets.len();
        self.set_bits += 1;
        // All that it may ever need, once: memory that is not used yet costs nothing, and a copy touches it twice.
        let most = self.max_bytes / size_of::<Set<K, A>>();
        self.sets.reserve_exact(most.max(2 * sets) - sets);
        self.sets.resize_with(2 * sets, || Set([None, None]));
        for old in (0..sets).rev() {
            for entry in std::mem::take(&mut self.sets[old].0).into_iter().flatten() {
                let index = self.set_of(entry.0.key_hash());
                let Set(set) = &mut self.sets[index];
                let free = usize::from(set[0].is_some());
                set[free] = Some(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::Disk;
    use super::super::table::high_bits;
    use super::*;

    /// Keeps all values of a key in their order.
    struct Listing;

    impl Combine<(u64, u64)> for Listing {
        type Key = u64;
        type State = Vec<u64>;

        fn key<'a>(&self, item: &'a (u64, u64)) -> &'a u64 {
            &item.0
        }

        fn start(&self, (key, value): (u64, u64)) -> (u64, Vec<u64>) {
            (key, vec![value])
        }

        fn add(&self, state: &mut Vec<u64>, (_, value): (u64, u64)) {
            state.push(value);
        }

        fn merge(&self, state: &mut Vec<u64>, later: Vec<u64>) {
            state.extend(later);
        }
    }

    const PARTITION_BITS: u32 = 3;

    /// What leaves the combiner, in this order, and how much of it was driven out: each with its partition.
    fn run(combiner: &mut Combiner<u64, Vec<u64>>, items: &[(u64, u64)]) -> (Vec<(u64, Vec<u64>)>, usize) {
        let mut left: Vec<_> =
            items.iter().filter_map(|item| combiner.add(item.0.key_hash(), *item, &Listing)).collect();
        let driven_out = left.len();
        for partition in 0..1 << PARTITION_BITS {
            for entry in combiner.take(partition) {
                assert_eq!(high_bits(entry.0.key_hash(), PARTITION_BITS), partition);
                left.push(entry);
            }
        }
        combiner.restart();
        (left, driven_out)
    }

    /// Half of the items have one of a few keys, the other half one of many.
    fn items(count: u64, keys: u64) -> Vec<(u64, u64)> {
        let key =
            |n: u64| if n.is_multiple_of(2) { n % 14 } else { n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys };
        (0..count).map(|n| (key(n), n)).collect()
    }

    #[test]
    fn nothing_is_lost_and_the_values_of_a_key_stay_in_order() {
        for (count, keys) in [(0, 1), (1, 1), (1000, 10), (1000, 100_000), (300_000, 100_000)] {
            let items = items(count, keys);
            let mut combiner =
                Combiner::new(PARTITION_BITS, Span::Split, &Budget::new(u64::MAX, Disk::in_temp()));
            let (left, driven_out) = run(&mut combiner, &items);
            let mut values: Vec<(u64, u64)> = left
                .into_iter()
                .flat_map(|(key, values)| values.into_iter().map(move |value| (key, value)))
                .collect();
            values.sort_by_key(|(key, _)| *key);
            let mut expected = items;
            expected.sort_by_key(|(key, _)| *key);
            assert_eq!(values, expected, "{count} items with {keys} keys");
            assert_eq!(driven_out > 0, keys == 100_000, "{count} items with {keys} keys");
        }
    }

    #[test]
    fn a_combiner_that_is_used_again_leaves_what_a_new_one_does() {
        let (first, second) = (items(200_000, 50_000), items(100_000, 5_000));
        let mut used = Combiner::new(PARTITION_BITS, Span::Split, &Budget::new(u64::MAX, Disk::in_temp()));
        run(&mut used, &first);
        let mut fresh = Combiner::new(PARTITION_BITS, Span::Split, &Budget::new(u64::MAX, Disk::in_temp()));
        assert_eq!(run(&mut used, &second), run(&mut fresh, &second));
    }

    #[test]
    fn without_memory_only_what_a_worker_keeps_stays_small() {
        let items = items(400_000, 200_000);
        let sets = |span, limit| {
            let mut combiner = Combiner::new(PARTITION_BITS, span, &Budget::new(limit, Disk::in_temp()));
            for item in &items {
                combiner.add(item.0.key_hash(), *item, &Listing);
            }
            combiner.sets.len()
        };
        assert_eq!(sets(Span::Split, 0), sets(Span::Split, u64::MAX));
        assert_eq!(sets(Span::Worker, 0), 1 << MIN_SET_BITS);
        assert!(sets(Span::Worker, u64::MAX) > sets(Span::Split, u64::MAX));
    }
}
