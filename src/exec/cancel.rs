//! Cancelling a run from another thread, from a signal handler, or because one of its tasks failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind, Result};

/// A flag that stops a run: tasks look at it once a chunk.
///
/// Clones share the flag. A run looks at its context's token and at one of its own.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Stops every run that looks at this token, at its next chunk.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it has been cancelled.
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// An error of kind [`ErrorKind::Canceled`] once cancelled.
    ///
    /// # Errors
    ///
    /// If it has been cancelled.
    pub fn check(&self) -> Result<()> {
        if self.is_canceled() { Err(Error::new(ErrorKind::Canceled, "the run was canceled")) } else { Ok(()) }
    }
}

/// Decides between whoever commits and whoever stops that: a commit that has begun is ended, and none begins once the fence is closed.
///
/// Clones share the fence.
#[derive(Debug, Clone, Default)]
pub struct Fence(Arc<Mutex<bool>>);

impl Fence {
    /// Lets a commit begin; the fence cannot be closed before the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Canceled`] if it is closed.
    pub fn pass(&self) -> Result<MutexGuard<'_, bool>> {
        let is_closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_closed {
            return Err(Error::new(ErrorKind::Canceled, "the try was stopped before it could commit"));
        }
        Ok(is_closed)
    }

    /// Lets no commit begin any more. It waits for one that has begun.
    pub fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}
