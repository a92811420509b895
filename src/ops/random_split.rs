//! `random_split`: every element in one of several parts, drawn as a sample is.

use std::mem;
use std::sync::Arc;

use crate::dataset::Dataset;
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::ops::sample::Draw;
use crate::record::Data;

impl<T: Data> Dataset<T> {
    /// Deals the elements out to as many datasets as there are weights, each element to exactly one of them, with
    /// probabilities in proportion to the weights: for instance, what a model is trained with and what it is tested with.
    ///
    /// The elements are drawn as [`Dataset::sample`] draws them, so that they come to the same part in every run. Nothing is
    /// computed for a part that is not asked for, and what several parts need is computed once in a run of them all.
    ///
    /// # Ordering
    ///
    /// Kept within each part.
    ///
    /// # Errors
    ///
    /// If a weight is negative, infinite or not a number, or if there is none that is positive.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let parts = ctx.range(0..1000).random_split(&[8.0, 2.0], 7)?;
    /// let (training, test) = ctx.run((parts[0].to_count(), parts[1].to_count()))?;
    /// assert_eq!(training + test, 1000);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Name and meaning are those of `RDD.randomSplit` in Spark.
    #[track_caller]
    pub fn random_split(&self, weights: &[f64], seed: u64) -> Result<Vec<Dataset<T>>> {
        let call = CallSite::here("random_split");
        let sum: f64 = weights.iter().sum();
        if weights.iter().any(|weight| weight.is_nan() || *weight < 0.0) || !(sum > 0.0 && sum.is_finite()) {
            let error = Error::new(ErrorKind::Config, format!("the weights are {weights:?}"));
            return Err(error.in_call(call).hint("give numbers that are not negative, one of them positive"));
        }
        let draw = Arc::new(Draw::new(self.node(), seed));
        let last = weights.iter().rposition(|weight| *weight > 0.0);
        let (mut covered, mut start) = (0.0, 0.0);
        let part = |(index, weight)| {
            covered += weight;
            // Rounding must not leave a gap before the end.
            let end = if last.is_some_and(|last| index >= last) { 1.0 } else { covered / sum };
            self.drawn(call, &draw, mem::replace(&mut start, end)..end)
        };
        Ok(weights.iter().enumerate().map(part).collect())
    }
}
