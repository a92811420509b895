//! Numbers that look random and are the same in every run: the data must not change with a version of a crate.

/// A small seeded generator (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `0..n`; the bias of one in 2^64/n does not matter here.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Uniform in `0..n`, as a number of a column.
    pub fn index(&mut self, n: u64) -> i64 {
        (self.below(n as usize) as u64).cast_signed()
    }

    /// True in so many of a thousand cases.
    pub fn per_mille(&mut self, cases: usize) -> bool {
        self.below(1000) < cases
    }

    /// In `0..n`, and `k` about as often as 1/(k + 1): Zipf's law, as words, pages and visitors have it.
    #[allow(clippy::cast_sign_loss)] // positive
    pub fn skewed(&mut self, n: usize) -> usize {
        (((n as f64).powf(self.unit()) - 1.0) as usize).min(n - 1)
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of a list.
    pub fn one<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}
