//! `histogram`: how many numbers lie between given boundaries.

use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::collect::Gathering;
use crate::exec::push::Demand;
use crate::exec::trace::Cursor;
use crate::exec::wire::take_u64;
use crate::ops::collect::{gather, refused};
use crate::record::Data;

impl<T: Data + Into<f64>> Dataset<T> {
    /// Counts the numbers between each boundary and the next one.
    ///
    /// A bucket includes its lower boundary and excludes its upper one, but for the last, which includes both. What lies outside
    /// of all of them, and NaNs, are counted apart. It takes whatever becomes a float without loss; a `u64` or `i64` is to be
    /// mapped to one before.
    ///
    /// # Errors
    ///
    /// If there are less than two boundaries, or if they do not ascend, each being larger than the one before. Otherwise, see
    /// [`Dataset`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let ages = ctx.from_vec(vec![3, 17, 18, 64, 65, 120, 130]);
    /// let histogram = ages.histogram(&[0.0, 18.0, 65.0, 120.0])?;
    /// assert_eq!(histogram.counts(), [2, 2, 2]);
    /// assert_eq!((histogram.below(), histogram.above()), (0, 1));
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// The buckets are those of `DoubleRDDFunctions.histogram` in Spark.
    #[track_caller]
    pub fn histogram(&self, boundaries: &[f64]) -> Result<Histogram> {
        buckets(self, CallSite::here("histogram"), boundaries).run()
    }

    /// The lazy form of [`Dataset::histogram`], for [`crate::Context::run`]. Bad boundaries are an error of the run.
    #[track_caller]
    pub fn to_histogram(&self, boundaries: &[f64]) -> Output<Histogram> {
        buckets(self, CallSite::here("to_histogram"), boundaries)
    }
}

/// What [`Dataset::histogram`] counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    boundaries: Vec<f64>,
    counts: Vec<u64>,
    below: u64,
    above: u64,
    nan: u64,
}

impl Histogram {
    /// The boundaries that were given.
    pub fn boundaries(&self) -> &[f64] {
        &self.boundaries
    }

    /// How many numbers lie in each bucket: one less than there are boundaries.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many are smaller than the first boundary.
    pub fn below(&self) -> u64 {
        self.below
    }

    /// How many are larger than the last boundary.
    pub fn above(&self) -> u64 {
        self.above
    }

    /// How many are not a number.
    pub fn nan(&self) -> u64 {
        self.nan
    }

    fn add(&mut self, number: f64) {
        let passed = self.boundaries.partition_point(|boundary| *boundary <= number);
        let count = if number.is_nan() {
            &mut self.nan
        } else if passed == 0 {
            &mut self.below
        } else if passed < self.boundaries.len() {
            &mut self.counts[passed - 1]
        } else {
            match self.counts.last_mut() {
                Some(last) if self.boundaries.last() == Some(&number) => last,
                _ => &mut self.above,
            }
        };
        *count += 1;
    }
}

fn buckets<T: Data + Into<f64>>(
    dataset: &Dataset<T>,
    call: CallSite,
    boundaries: &[f64],
) -> Output<Histogram> {
    // A comparison with a NaN is false.
    if boundaries.len() < 2 || !boundaries.windows(2).all(|pair| pair[0] < pair[1]) {
        let error = Error::new(ErrorKind::Config, format!("the boundaries are {boundaries:?}"));
        return refused(dataset, call, error.hint("give two or more numbers that ascend"));
    }
    gather(dataset, call, Buckets(boundaries.to_vec()))
}

struct Buckets(Vec<f64>);

impl<T: Data + Into<f64>> Gathering<T> for Buckets {
    type State = Histogram;

    fn start(&self) -> Histogram {
        let counts = vec![0; self.0.len() - 1];
        Histogram { boundaries: self.0.clone(), counts, below: 0, above: 0, nan: 0 }
    }

    fn add(&self, state: &mut Histogram, items: &mut Vec<T>, at: &mut Cursor<'_>) -> Result<Demand> {
        for item in items.drain(..) {
            state.add(item.into());
            at.advance();
        }
        Ok(Demand::More)
    }

    fn join(&self, state: &mut Histogram, later: Histogram) -> Demand {
        for (count, more) in state.counts.iter_mut().zip(later.counts) {
            *count += more;
        }
        state.below += later.below;
        state.above += later.above;
        state.nan += later.nan;
        Demand::More
    }

    fn pack(&self, state: Histogram) -> Result<Vec<u8>> {
        let Histogram { counts, below, above, nan, .. } = state;
        Ok(counts.into_iter().chain([below, above, nan]).flat_map(u64::to_le_bytes).collect())
    }

    fn unpack(&self, mut bytes: &[u8]) -> Result<Histogram> {
        let mut number = || take_u64(&mut bytes);
        let counts = self.0[1..].iter().map(|_| number()).collect::<Result<_>>()?;
        let boundaries = self.0.clone();
        Ok(Histogram { boundaries, counts, below: number()?, above: number()?, nan: number()? })
    }
}
