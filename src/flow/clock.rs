//! Time, as the scheduler knows it: what people call now, and a clock that nobody sets.

use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;
use jiff::Timestamp;

/// Where time comes from. Tests bring their own.
pub(super) trait Clock<E>: Send + Sync {
    /// The time of day, which may be set back or forward meanwhile: for records and schedules.
    fn now(&self) -> Timestamp;

    /// Time since some moment, which only grows: for durations, and to wait for.
    fn elapsed(&self) -> Duration;

    /// Waits for an event, `until` that time at most, while so many tries are at work that may send one. None: that time has come, or no event
    /// can come any more.
    fn wait(&self, events: &Receiver<E>, until: Option<Duration>, at_work: usize) -> Option<E>;
}

/// The clocks of the system.
#[derive(Debug)]
pub(super) struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl<E> Clock<E> for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn wait(&self, events: &Receiver<E>, until: Option<Duration>, _at_work: usize) -> Option<E> {
        let Some(until) = until else { return events.recv().ok() };
        events.recv_timeout(until.saturating_sub(self.start.elapsed())).ok()
    }
}

/// A clock that stands still while tries are at work, and else jumps to what is waited for. So many tries never end, and nobody waits for them.
#[cfg(test)]
pub(super) struct FakeClock {
    base: Timestamp,
    elapsed: std::sync::Mutex<Duration>,
    /// By how much somebody has set the time of day forward, or back.
    set_by: std::sync::Mutex<jiff::SignedDuration>,
    stuck: usize,
}

#[cfg(test)]
impl FakeClock {
    pub fn new(base: &str, stuck: usize) -> FakeClock {
        let (elapsed, set_by) = Default::default();
        FakeClock { base: base.parse().unwrap(), elapsed, set_by, stuck }
    }

    /// Sets the time of day, and nothing else.
    pub fn set(&self, by: jiff::SignedDuration) {
        *self.set_by.lock().unwrap() += by;
    }

    pub fn time(&self) -> Duration {
        *self.elapsed.lock().unwrap()
    }
}

#[cfg(test)]
impl<E> Clock<E> for FakeClock {
    fn now(&self) -> Timestamp {
        self.base + jiff::SignedDuration::try_from(self.time()).unwrap() + *self.set_by.lock().unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.time()
    }

    fn wait(&self, events: &Receiver<E>, until: Option<Duration>, at_work: usize) -> Option<E> {
        match until {
            Some(until) if at_work <= self.stuck => {
                if let Ok(event) = events.try_recv() {
                    return Some(event);
                }
                let mut elapsed = self.elapsed.lock().unwrap();
                *elapsed = (*elapsed).max(until);
                None
            }
            _ => events.recv().ok(),
        }
    }
}
