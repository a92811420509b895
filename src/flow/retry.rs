//! Trying something again, within a task.

use super::backoff::Backoff;
use super::failure::{Failure, TaskError};

/// Tries something up to so many times more while it fails by [transient](super::transient) errors, and waits in between. `attempt` is given the number
/// of the try, from 1 on.
///
/// It is for what is inside of a task, such as one request of many. A task as a whole is retried by [`Task::retries`](super::Task::retries).
///
/// # Errors
///
/// The first error that is not transient, or the last one.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use gristmill::flow::{Backoff, retry, transient};
///
/// let backoff = Backoff::exponential(Duration::from_millis(1));
/// let answer = retry(&backoff, 3, |attempt| if attempt < 3 { Err(transient("not yet")) } else { Ok(attempt) });
/// assert_eq!(answer.unwrap(), 3);
/// ```
pub fn retry<T>(
    backoff: &Backoff,
    retries: u32,
    mut attempt: impl FnMut(u32) -> Result<T, TaskError>,
) -> Result<T, TaskError> {
    use backon::BlockingRetryable;
    let mut number = 0;
    let waits = (1..=retries).map(|failed| backoff.wait(failed, u64::from(failed)));
    let once = || {
        number += 1;
        attempt(number)
    };
    once.retry(Waits(waits)).when(|error: &TaskError| Failure::of(error.as_ref()).is_transient).call()
}

/// The waits of a backoff, as the crate wants them.
struct Waits<I>(I);

impl<I> backon::BackoffBuilder for Waits<I>
where
    I: Iterator<Item = std::time::Duration> + Send + Sync + Unpin,
{
    type Backoff = I;

    fn build(self) -> I {
        self.0
    }
}
