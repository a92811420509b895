//! A list that grows without moving what it holds.
//!
//! A vector that doubles leaves holes of every size behind, and with some hundred of them growing at once, the holes were half as
//! much memory again as the tables. Segments of one size fill the holes of others, and nothing is copied.

use prefetch_index::prefetch_index;

/// Elements of a segment, as a power of two.
const SEGMENT_BITS: u32 = 10;
const SEGMENT: usize = 1 << SEGMENT_BITS;

/// A list in segments of 1024 elements.
#[derive(Debug)]
pub struct Segments<T> {
    segments: Vec<Vec<T>>,
    len: usize,
}

impl<T> Segments<T> {
    /// An empty list.
    pub fn new() -> Segments<T> {
        Segments { segments: Vec::new(), len: 0 }
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the segments.
    pub fn bytes(&self) -> usize {
        // All but the last are full.
        let last = self.segments.last().map_or(0, Vec::capacity);
        (self.segments.len().saturating_sub(1) * SEGMENT + last) * size_of::<T>()
    }

    /// Adds an element at the end.
    #[inline]
    pub fn push(&mut self, item: T) {
        match self.segments.last_mut() {
            Some(segment) if segment.len() < SEGMENT => segment.push(item),
            _ => self.begin(item),
        }
        self.len += 1;
    }

    #[cold]
    fn begin(&mut self, item: T) {
        // The first segment grows as a vector does: most lists of small inputs never fill it.
        let mut segment = Vec::with_capacity(if self.segments.is_empty() { 4 } else { SEGMENT });
        segment.push(item);
        self.segments.push(segment);
    }

    /// The element at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> &T {
        &self.segments[index >> SEGMENT_BITS][index % SEGMENT]
    }

    /// The element at `index`, to be changed.
    #[inline]
    pub fn get_mut(&mut self, index: usize) -> &mut T {
        &mut self.segments[index >> SEGMENT_BITS][index % SEGMENT]
    }

    /// Asks for the cache line of an element, which need not exist.
    #[inline]
    pub fn prefetch(&self, index: usize) {
        if let Some(segment) = self.segments.get(index >> SEGMENT_BITS) {
            prefetch_index(segment, index % SEGMENT);
        }
    }

    /// Swaps two elements.
    pub fn swap(&mut self, a: usize, b: usize) {
        let (low, high) = (a.min(b), a.max(b));
        let (first, second) = (low >> SEGMENT_BITS, high >> SEGMENT_BITS);
        if first == second {
            self.segments[first].swap(low % SEGMENT, high % SEGMENT);
        } else {
            let (before, after) = self.segments.split_at_mut(second);
            std::mem::swap(&mut before[first][low % SEGMENT], &mut after[0][high % SEGMENT]);
        }
    }

    /// The elements, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().flatten()
    }

    /// The segments, in order.
    pub fn into_segments(self) -> Vec<Vec<T>> {
        self.segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_a_vector_holds() {
        for len in [0, 1, 1023, 1024, 1025, 5000] {
            let mut list = Segments::new();
            (0..len).for_each(|n| list.push(n));
            assert_eq!(list.len(), len);
            assert!(list.bytes() >= len * size_of::<usize>());
            let mut model: Vec<usize> = (0..len).collect();
            for (a, b) in (0..len / 2).map(|n| (n * 7 % len, n * 13 % len)) {
                list.swap(a, b);
                model.swap(a, b);
            }
            if len > 0 {
                *list.get_mut(len - 1) = 9;
                model[len - 1] = 9;
            }
            (0..len + 9).for_each(|index| list.prefetch(index));
            assert!(model.iter().enumerate().all(|(index, n)| list.get(index) == n));
            assert!(list.iter().eq(&model));
            assert_eq!(list.into_segments().concat(), model);
        }
    }
}
