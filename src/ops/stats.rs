//! `stats`: count, mean, variance, extremes and sum of numbers, in one pass.

use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Result};
use crate::exec::collect::Gathering;
use crate::exec::push::Demand;
use crate::exec::trace::Cursor;
use crate::exec::wire::take_u64;
use crate::ops::collect::gather;
use crate::record::Data;

impl<T: Data + Into<f64>> Dataset<T> {
    /// Computes count, mean, variance, smallest, largest and sum of numbers in one pass.
    ///
    /// It takes whatever becomes a float without loss; a `u64` or `i64` is to be mapped to one before, since large ones lose
    /// digits. The splits are joined in the order of the input, so that every figure is the same to the bit in every run.
    ///
    /// # Errors
    ///
    /// See [`Dataset`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let stats = ctx.from_vec(vec![2.0, 4.0, 9.0]).stats()?;
    /// assert_eq!((stats.count(), stats.mean(), stats.sample_variance()), (3, Some(5.0), Some(13.0)));
    /// assert_eq!((stats.min(), stats.max(), stats.sum()), (Some(2.0), Some(9.0), 15.0));
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Within a split: Welford, *Note on a method for calculating corrected sums of squares and products*, 1962. Between splits:
    /// Chan, Golub and LeVeque, *Updating formulae and a pairwise algorithm for computing sample variances*, 1979. Neither
    /// subtracts two large sums, as the textbook's formula does, which loses all digits where the mean is large.
    #[track_caller]
    pub fn stats(&self) -> Result<Stats> {
        gather(self, CallSite::here("stats"), Moments).run()
    }

    /// The lazy form of [`Dataset::stats`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_stats(&self) -> Output<Stats> {
        gather(self, CallSite::here("to_stats"), Moments)
    }
}

/// What [`Dataset::stats`] computes.
///
/// With a NaN among the numbers, everything but the count is NaN; with an infinity, the variance is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    count: u64,
    sum: f64,
    mean: f64,
    /// The sum of the squares of what the numbers differ from the mean by.
    squares: f64,
    min: f64,
    max: f64,
}

impl Stats {
    const NONE: Stats =
        Stats { count: 0, sum: 0.0, mean: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, 0 if there are none.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Their mean, if there are any.
    pub fn mean(&self) -> Option<f64> {
        self.of(1, self.mean)
    }

    /// The smallest one, if there are any.
    pub fn min(&self) -> Option<f64> {
        self.of(1, self.min)
    }

    /// The largest one, if there are any.
    pub fn max(&self) -> Option<f64> {
        self.of(1, self.max)
    }

    /// The variance of a population that these numbers are the whole of: the squares divided by the count.
    pub fn variance(&self) -> Option<f64> {
        self.of(1, self.squares / self.count as f64)
    }

    /// The variance of a population that these numbers are a sample of: the squares divided by one less than the count. There
    /// must be two at least.
    pub fn sample_variance(&self) -> Option<f64> {
        self.of(2, self.squares / (self.count as f64 - 1.0))
    }

    /// The standard deviation of a population that these numbers are the whole of.
    pub fn std_dev(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }

    /// The standard deviation of a population that these numbers are a sample of.
    pub fn sample_std_dev(&self) -> Option<f64> {
        self.sample_variance().map(f64::sqrt)
    }

    fn of(&self, least: u64, value: f64) -> Option<f64> {
        (self.count >= least).then_some(value)
    }

    /// Widens the extremes; a NaN stays, whatever comes after it.
    fn widen(&mut self, min: f64, max: f64) {
        if min < self.min || min.is_nan() {
            self.min = min;
        }
        if max > self.max || max.is_nan() {
            self.max = max;
        }
    }

    fn add(&mut self, number: f64) {
        self.count += 1;
        self.sum += number;
        let before = number - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (number - self.mean);
        self.widen(number, number);
    }

    fn join(&mut self, later: &Stats) {
        if self.count == 0 || later.count == 0 {
            if self.count == 0 {
                *self = *later;
            }
            return;
        }
        let (left, right) = (self.count as f64, later.count as f64);
        let between = later.mean - self.mean;
        self.count += later.count;
        self.sum += later.sum;
        self.mean += between * right / (left + right);
        self.squares += later.squares + between * between * left * right / (left + right);
        self.widen(later.min, later.max);
    }
}

struct Moments;

impl<T: Data + Into<f64>> Gathering<T> for Moments {
    type State = Stats;

    fn start(&self) -> Stats {
        Stats::NONE
    }

    fn add(&self, state: &mut Stats, items: &mut Vec<T>, at: &mut Cursor<'_>) -> Result<Demand> {
        for item in items.drain(..) {
            state.add(item.into());
            at.advance();
        }
        Ok(Demand::More)
    }

    fn join(&self, state: &mut Stats, later: Stats) -> Demand {
        state.join(&later);
        Demand::More
    }

    fn pack(&self, state: Stats) -> Result<Vec<u8>> {
        let Stats { count, sum, mean, squares, min, max } = state;
        let floats = [sum, mean, squares, min, max].map(f64::to_bits);
        Ok(std::iter::once(count).chain(floats).flat_map(u64::to_le_bytes).collect())
    }

    fn unpack(&self, mut bytes: &[u8]) -> Result<Stats> {
        let count = take_u64(&mut bytes)?;
        let mut float = || take_u64(&mut bytes).map(f64::from_bits);
        Ok(Stats { count, sum: float()?, mean: float()?, squares: float()?, min: float()?, max: float()? })
    }
}
