//! `approx_distinct`: about how many distinct elements there are, in a few kilobytes.

use datasketches::hll::{HllSketch, HllType, HllUnion};

use crate::dataset::{Dataset, Output};
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::collect::Gathering;
use crate::exec::push::Demand;
use crate::exec::trace::Cursor;
use crate::exec::wire::damaged;
use crate::ops::collect::{finished, gather, refused};
use crate::record::Key;

/// The sketch has `2^LOG_REGISTERS` registers of a byte each.
const LOG_REGISTERS: u8 = 14;

impl<T: Key> Dataset<T> {
    /// Estimates the number of distinct elements, without holding any: each split holds 16 KiB at the most.
    ///
    /// The standard error is 0.8 %: two of three estimates are closer than that, 99 of 100 closer than 2.1 %. Numbers up to
    /// a thousand come out exactly, but for one case in a hundred. Elements are equal when they are the same [`Key`]. The estimate depends on
    /// the set of elements alone: not on their order, on how often they occur, nor on the splits.
    ///
    /// [`Dataset::distinct`] and [`Dataset::count`] give the exact number, and hold every distinct element for it.
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
    /// let visitors = ctx.range(0..100_000).map(|n| n % 20_000);
    /// assert!((19_500..20_500).contains(&visitors.approx_distinct()?));
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Flajolet, Fusy, Gandouet and Meunier, *HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm*,
    /// 2007. The sketch is that of Apache DataSketches, which counts small numbers by a sparse list and corrects the bias of
    /// those in between, as Heule, Nunkesser and Hall, *HyperLogLog in Practice*, 2013, do.
    #[track_caller]
    pub fn approx_distinct(&self) -> Result<u64> {
        estimate(self, CallSite::here("approx_distinct")).run()
    }

    /// The lazy form of [`Dataset::approx_distinct`], for [`crate::Context::run`].
    #[track_caller]
    pub fn to_approx_distinct(&self) -> Output<u64> {
        estimate(self, CallSite::here("to_approx_distinct"))
    }
}

fn estimate<T: Key>(dataset: &Dataset<T>, call: CallSite) -> Output<u64> {
    let empty = match HllUnion::new(LOG_REGISTERS) {
        Ok(empty) => empty,
        Err(error) => {
            let message = format!("the sketch cannot be made: {error}");
            return refused(dataset, call, Error::new(ErrorKind::Internal, message));
        }
    };
    finished(gather(dataset, call, Sketch(empty)), |sketch| {
        // The other estimator of the sketch is closer, but depends on the order of the elements.
        #[allow(clippy::cast_sign_loss, reason = "an estimate is never negative")]
        Ok(sketch.composite_estimate().round() as u64)
    })
}

/// Holds an empty sketch, that each split begins with.
struct Sketch(HllUnion);

impl<T: Key> Gathering<T> for Sketch {
    type State = HllUnion;

    fn start(&self) -> HllUnion {
        self.0.clone()
    }

    fn add(&self, state: &mut HllUnion, items: &mut Vec<T>, at: &mut Cursor<'_>) -> Result<Demand> {
        for item in items.drain(..) {
            state.update_value(item.key_hash());
            at.advance();
        }
        Ok(Demand::More)
    }

    fn join(&self, state: &mut HllUnion, later: HllUnion) -> Demand {
        state.update(&later.to_sketch(HllType::Hll8));
        Demand::More
    }

    fn pack(&self, state: HllUnion) -> Result<Vec<u8>> {
        Ok(state.to_sketch(HllType::Hll8).serialize())
    }

    fn unpack(&self, bytes: &[u8]) -> Result<HllUnion> {
        let mut state = self.0.clone();
        state.update(&HllSketch::deserialize(bytes).map_err(damaged)?);
        Ok(state)
    }
}
