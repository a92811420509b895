//! `approx_quantile`: the median and its kin, without sorting.

use datasketches::tdigest::TDigestMut;

use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::collect::Gathering;
use crate::exec::push::Demand;
use crate::exec::trace::Cursor;
use crate::exec::wire::{damaged, take_u64};
use crate::ops::collect::{finished, gather, refused};
use crate::record::Data;

/// The compression of the digest: it holds some four hundred centroids.
const COMPRESSION: u16 = 200;

impl<T: Data + Into<f64>> Dataset<T> {
    /// Estimates the numbers below which given shares of all numbers lie: 0.5 is the median, 0.99 the 99th percentile. They come
    /// in the order of the shares; `None` if there are no numbers.
    ///
    /// Each split holds some 30 KB. The estimates are close near both ends, the smallest and the largest number exact; in the
    /// middle, on common distributions, the share of numbers below an estimate differs from the one asked for by less than
    /// 0.01. There is no guarantee for all inputs. An estimate may lie between two numbers of the input. Infinities count;
    /// NaNs are left out. The splits are joined in the order of the input, so that the result is the same in every run.
    ///
    /// It takes whatever becomes a float without loss; a `u64` or `i64` is to be mapped to one before.
    ///
    /// # Errors
    ///
    /// If a share is not a number from 0 to 1. Otherwise, see [`Dataset`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let millis = ctx.range(0..10_001).map(|n| n as f64);
    /// let Some(quantiles) = millis.approx_quantile(&[0.5, 0.99, 1.0])? else { panic!("no numbers") };
    /// assert!((quantiles[0] - 5_000.0).abs() < 50.0 && (quantiles[1] - 9_900.0).abs() < 5.0);
    /// assert_eq!(quantiles[2], 10_000.0);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Dunning and Ertl, *Computing extremely accurate quantiles using t-digests*, 2019, in the implementation of Apache
    /// DataSketches. Its sketches with guaranteed errors decide by random bits, and would differ from run to run.
    #[track_caller]
    pub fn approx_quantile(&self, shares: &[f64]) -> Result<Option<Vec<f64>>> {
        quantiles(self, CallSite::here("approx_quantile"), shares).run()
    }

    /// The lazy form of [`Dataset::approx_quantile`], for [`crate::Context::run`]. Bad shares are an error of the run.
    #[track_caller]
    pub fn to_approx_quantile(&self, shares: &[f64]) -> Output<Option<Vec<f64>>> {
        quantiles(self, CallSite::here("to_approx_quantile"), shares)
    }
}

fn quantiles<T: Data + Into<f64>>(
    dataset: &Dataset<T>,
    call: CallSite,
    shares: &[f64],
) -> Output<Option<Vec<f64>>> {
    if !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
        let error = Error::new(ErrorKind::Config, format!("the shares are {shares:?}"));
        return refused(dataset, call, error.hint("give numbers from 0 to 1"));
    }
    let finite = match TDigestMut::new(COMPRESSION) {
        Ok(finite) => finite,
        Err(error) => return refused(dataset, call, broken(&error)),
    };
    let shares = shares.to_vec();
    finished(gather(dataset, call, Digests(Digest { below: 0, finite, above: 0 })), move |mut digest| {
        if digest.count() == 0 {
            return Ok(None);
        }
        shares.iter().map(|share| digest.quantile(*share)).collect::<Result<Vec<f64>>>().map(Some)
    })
}

fn broken(error: &datasketches::error::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("the digest failed: {error}"))
}

/// The numbers of a split. A digest takes finite ones only: there is no mean of an infinity and another number.
#[derive(Clone)]
struct Digest {
    /// Negative infinities.
    below: u64,
    finite: TDigestMut,
    /// Positive infinities.
    above: u64,
}

impl Digest {
    fn count(&self) -> u64 {
        self.below + self.finite.total_weight() + self.above
    }

    fn add(&mut self, number: f64) {
        if number.is_finite() {
            self.finite.update(number);
        } else if !number.is_nan() {
            *(if number < 0.0 { &mut self.below } else { &mut self.above }) += 1;
        }
    }

    fn quantile(&mut self, share: f64) -> Result<f64> {
        let before = share * self.count() as f64;
        let (below, finite) = (self.below as f64, self.finite.total_weight() as f64);
        if self.below > 0 && before <= below {
            return Ok(f64::NEG_INFINITY);
        }
        if self.above > 0 && before >= below + finite {
            return Ok(f64::INFINITY);
        }
        let share = ((before - below) / finite).clamp(0.0, 1.0);
        let quantile = self.finite.quantile(share).map_err(|error| broken(&error))?;
        quantile.ok_or_else(|| Error::new(ErrorKind::Internal, "a quantile of no numbers was asked for"))
    }
}

/// Holds an empty digest, that each split begins with.
struct Digests(Digest);

impl<T: Data + Into<f64>> Gathering<T> for Digests {
    type State = Digest;

    fn start(&self) -> Digest {
        self.0.clone()
    }

    fn add(&self, state: &mut Digest, items: &mut Vec<T>, at: &mut Cursor<'_>) -> Result<Demand> {
        for item in items.drain(..) {
            state.add(item.into());
            at.advance();
        }
        Ok(Demand::More)
    }

    fn join(&self, state: &mut Digest, later: Digest) -> Demand {
        state.below += later.below;
        // Compressed first, as one is that comes from another process: else the estimates there would be others.
        state.finite.merge(&later.finite.freeze().unfreeze());
        state.above += later.above;
        Demand::More
    }

    fn pack(&self, mut state: Digest) -> Result<Vec<u8>> {
        let infinite = [state.below, state.above].map(u64::to_le_bytes).concat();
        Ok([infinite, state.finite.serialize()].concat())
    }

    fn unpack(&self, mut bytes: &[u8]) -> Result<Digest> {
        let (below, above) = (take_u64(&mut bytes)?, take_u64(&mut bytes)?);
        Ok(Digest { below, finite: TDigestMut::deserialize(bytes).map_err(damaged)?, above })
    }
}
