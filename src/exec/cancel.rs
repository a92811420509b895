//! Cancelling a run from another thread, from a signal handler, or because one of its tasks failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
