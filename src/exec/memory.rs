//! One memory budget a context; whatever holds state for long reserves from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// The memory that the stateful parts of all runs of a context may hold together.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit_bytes: u64,
    used_bytes: AtomicU64,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(limit_bytes: u64) -> Budget {
        Budget(Arc::new(Inner { limit_bytes, used_bytes: AtomicU64::new(0) }))
    }

    /// The limit in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.0.limit_bytes
    }

    /// What is reserved at the moment, in bytes.
    pub fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// A reservation of nothing, to grow later.
    pub fn reservation(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }

    fn add(&self, bytes: u64) -> bool {
        let used = self.0.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        if used.saturating_add(bytes) <= self.0.limit_bytes {
            return true;
        }
        self.0.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        false
    }
}

/// A part of a [`Budget`], given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    bytes: u64,
}

impl Reservation {
    /// Sets the reservation to `bytes`.
    ///
    /// # Errors
    ///
    /// If the budget does not hold that much more; the reservation stays as it was.
    pub fn resize(&mut self, bytes: u64) -> Result<()> {
        if bytes > self.bytes && !self.budget.add(bytes - self.bytes) {
            return Err(self.exhausted(bytes));
        }
        if bytes < self.bytes {
            self.budget.0.used_bytes.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Another reservation of nothing on the same budget.
    pub fn split_off(&self) -> Reservation {
        self.budget.reservation()
    }

    /// The bytes reserved.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn exhausted(&self, wanted: u64) -> Error {
        let (used, limit) = (self.budget.used_bytes(), self.budget.limit_bytes());
        let message = format!(
            "the memory limit of {limit} bytes is exhausted: {wanted} bytes wanted here in place of {}, {used} bytes in use",
            self.bytes
        );
        Error::new(ErrorKind::Memory, message).hint("raise the limit with --memory or GRISTMILL_MEMORY")
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_bounded_and_given_back() {
        let budget = Budget::new(100);
        let mut first = budget.reservation();
        first.resize(80).unwrap();
        let mut second = budget.reservation();
        assert_eq!(second.resize(21).unwrap_err().kind(), ErrorKind::Memory);
        second.resize(20).unwrap();
        first.resize(10).unwrap();
        assert_eq!(budget.used_bytes(), 30);
        drop((first, second));
        assert_eq!(budget.used_bytes(), 0);
    }
}
