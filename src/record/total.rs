//! [`Total`]: floats in one total order, the same that [`Key`] has them equal by.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

use super::{Column, Key, Record, Rows};
use crate::error::Result;

/// A float in a total order, so that it can be sorted, be a maximum, and be the key of a map.
///
/// The order is that of the numbers: `-∞ < … < -0.0 == 0.0 < … < ∞ < NaN`. All NaNs are equal, whatever their sign and
/// payload. So two are equal exactly if they are the same [`Key`], unlike in [`f64::total_cmp`], which tells zeros and NaNs
/// apart; the order is that of `DOUBLE` in Spark SQL, DuckDB and PostgreSQL.
///
/// Its column is that of the float.
///
/// # Examples
///
/// ```
/// # use gristmill::prelude::*;
/// use gristmill::Total;
///
/// # let ctx = Context::new()?;
/// let data = ctx.from_vec(vec![2.5, -1.0, 7.25]);
/// assert_eq!(data.top_k(2, |x| Total(*x)).collect()?, [7.25, 2.5]);
/// assert!(Total(f64::NAN) > Total(f64::INFINITY));
/// assert_eq!(Total(-0.0), Total(0.0));
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Clone, Copy, Default)]
pub struct Total<F>(pub F);

/// What [`Total`] orders: `f32` and `f64`, and nothing else.
pub trait Float: Key + Copy + PartialOrd + fmt::Display + fmt::Debug + sealed::Sealed {}

mod sealed {
    /// Shuts other types out: the order is made for floats.
    pub trait Sealed {}
}

macro_rules! float {
    ($($float:ty),*) => {$(
        impl sealed::Sealed for $float {}

        impl Float for $float {}

        impl From<Total<$float>> for $float {
            fn from(total: Total<$float>) -> $float {
                total.0
            }
        }
    )*};
}

float!(f32, f64);

impl From<Total<f32>> for f64 {
    fn from(total: Total<f32>) -> f64 {
        total.0.into()
    }
}

impl<F: Float> From<F> for Total<F> {
    fn from(float: F) -> Total<F> {
        Total(float)
    }
}

impl<F: Float> Ord for Total<F> {
    #[inline]
    fn cmp(&self, other: &Total<F>) -> Ordering {
        // What compares with nothing, not even with itself, is a NaN.
        let is_nan = |float: F| float.partial_cmp(&float).is_none();
        self.0.partial_cmp(&other.0).unwrap_or_else(|| is_nan(self.0).cmp(&is_nan(other.0)))
    }
}

impl<F: Float> PartialOrd for Total<F> {
    #[inline]
    fn partial_cmp(&self, other: &Total<F>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<F: Float> PartialEq for Total<F> {
    #[inline]
    fn eq(&self, other: &Total<F>) -> bool {
        self.0.key_eq(&other.0)
    }
}

impl<F: Float> Eq for Total<F> {}

impl<F: Float> Hash for Total<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.key_hash());
    }
}

impl<F: Float> Key for Total<F> {
    #[inline]
    fn hash_into(&self, hash: u64) -> u64 {
        self.0.hash_into(hash)
    }

    #[inline]
    fn key_eq(&self, other: &Total<F>) -> bool {
        self.0.key_eq(&other.0)
    }
}

impl<F: Float> Record for Total<F> {
    fn data_type() -> DataType {
        F::data_type()
    }

    fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
        F::to_array(rows.map(|row| row.map(|total| &total.0)), nulls, len)
    }

    fn from_column(column: &Column) -> Result<Vec<Self>> {
        Ok(F::from_column(column)?.into_iter().map(Total).collect())
    }
}

impl<F: fmt::Display> fmt::Display for Total<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<F: fmt::Debug> fmt::Debug for Total<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
