//! What each contestant has cost in each round.

use super::measure::Usage;

/// The turns of so many contestants: each takes part once a round, in an order that moves on by one each round, so that a disturbance
/// meets all of them. Items are the numbers of contestants.
pub fn turns(contestants: usize, rounds: usize) -> impl Iterator<Item = usize> {
    (0..rounds).flat_map(move |round| (0..contestants).map(move |turn| (round + turn) % contestants))
}

/// The costs of all contestants, by contestant and by round.
pub struct Figures(Vec<Vec<Usage>>);

impl Figures {
    /// Nothing yet.
    pub fn new(contestants: usize) -> Figures {
        Figures(vec![Vec::new(); contestants])
    }

    /// Adds the next round of a contestant.
    pub fn add(&mut self, contestant: usize, usage: Usage) {
        self.0[contestant].push(usage);
    }

    /// The median of a figure of a contestant.
    pub fn median(&self, contestant: usize, of: impl Fn(&Usage) -> f64) -> f64 {
        spread(self.0[contestant].iter().map(of).collect())[1]
    }

    /// The median of the wall times of a contestant, in seconds.
    pub fn wall(&self, contestant: usize) -> f64 {
        self.median(contestant, |usage| usage.wall.as_secs_f64())
    }

    /// The median of its CPU times, in seconds.
    pub fn cpu(&self, contestant: usize) -> f64 {
        self.median(contestant, |usage| usage.cpu.as_secs_f64())
    }

    /// The median of its peaks of memory, in megabytes.
    pub fn peak(&self, contestant: usize) -> f64 {
        self.median(contestant, |usage| usage.peak_bytes as f64 / 1e6)
    }

    /// How many times as long as `base` a contestant took, within each round: the least, the median and the most.
    pub fn ratios(&self, contestant: usize, base: usize) -> [f64; 3] {
        let pairs = self.0[contestant].iter().zip(&self.0[base]);
        spread(pairs.map(|(one, other)| one.wall.as_secs_f64() / other.wall.as_secs_f64()).collect())
    }
}

/// The least, the middle and the greatest of values; the mean of two in the middle.
pub fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let last = values.len().saturating_sub(1);
    [at(0), at(last / 2).midpoint(at(values.len() / 2)), at(last)]
}
