//! How long to wait before the next try.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;

/// Waits that grow: `delay`, then `factor` times as long after each try, `max` at most.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use gristmill::flow::Backoff;
///
/// let backoff = Backoff::exponential(Duration::from_secs(1)).max(Duration::from_secs(10));
/// let waits: Vec<u64> = (1..=5).map(|failed| backoff.wait(failed, 0).as_secs()).collect();
/// assert_eq!(waits, [1, 2, 4, 8, 10]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { delay = \"1s\", factor = 2, max = \"1m\" }")]
pub struct Backoff {
    #[serde(with = "duration")]
    delay: Duration,
    #[serde(default = "two")]
    factor: f64,
    #[serde(with = "duration", default = "hour")]
    max: Duration,
    #[serde(default)]
    jitter: f64,
}

fn two() -> f64 {
    2.0
}

fn hour() -> Duration {
    Duration::from_secs(3600)
}

impl Default for Backoff {
    /// 1, 2, 4 seconds, and so on, an hour at most, without jitter.
    fn default() -> Backoff {
        Backoff::exponential(Duration::from_secs(1))
    }
}

impl Backoff {
    /// Waits that double, from `delay` on, an hour at most.
    pub fn exponential(delay: Duration) -> Backoff {
        Backoff { delay, factor: two(), max: hour(), jitter: 0.0 }
    }

    /// By how much a wait is longer than the one before; 1 at least. Default 2.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Backoff {
        self.factor = factor;
        self
    }

    /// The longest wait, before jitter. Default an hour.
    #[must_use]
    pub fn max(mut self, max: Duration) -> Backoff {
        self.max = max;
        self
    }

    /// The share, up to 1, by which a wait is shortened at most, so that what failed together is not tried again together. Default 0.
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Backoff {
        self.jitter = jitter;
        self
    }

    /// The wait after so many failed tries. What seems to be chance in it comes from `seed` alone.
    pub fn wait(&self, failed: u32, seed: u64) -> Duration {
        let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.delay.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let wait = grown.min(self.max.as_secs_f64());
        let shortened = wait * (1.0 - self.jitter.clamp(0.0, 1.0) * fastrand::Rng::with_seed(seed).f64());
        Duration::try_from_secs_f64(shortened).unwrap_or(self.max)
    }

    /// What is wrong with it.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if !(self.factor >= 1.0 && self.factor.is_finite()) {
            return Some("the factor of a backoff is 1 or more");
        }
        (!(0.0..=1.0).contains(&self.jitter)).then_some("the jitter of a backoff lies between 0 and 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_capped_however_many_tries_there_are() {
        let backoff = Backoff::exponential(Duration::from_secs(1)).max(Duration::from_secs(60));
        let total: Duration = (1..=20).map(|failed| backoff.wait(failed, 0)).sum();
        assert_eq!(total.as_secs(), 1 + 2 + 4 + 8 + 16 + 32 + 14 * 60);
        assert_eq!(backoff.wait(u32::MAX, 0).as_secs(), 60);
        assert_eq!(Backoff::exponential(Duration::MAX).max(Duration::MAX).wait(9, 0), Duration::MAX);
    }

    #[test]
    fn jitter_shortens_by_its_share_at_most_and_is_the_same_for_one_seed() {
        let backoff = Backoff::exponential(Duration::from_secs(10)).jitter(0.5);
        let waits: Vec<Duration> = (0..100).map(|seed| backoff.wait(1, seed)).collect();
        assert!(waits.iter().all(|wait| (5.0..=10.0).contains(&wait.as_secs_f64())));
        assert!(waits.iter().any(|wait| *wait != waits[0]));
        assert_eq!(backoff.wait(1, 7), waits[7]);
    }
}
