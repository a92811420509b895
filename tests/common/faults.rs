//! File-system calls of a commit that fail.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gristmill::io::commit::{Call, Hook};

/// Fails the calls that its test picks by their number, which begins at 1.
pub struct FailCalls<F> {
    calls: AtomicUsize,
    fails: F,
}

impl<F: Fn(usize) -> bool + Send + Sync + 'static> FailCalls<F> {
    pub fn new(fails: F) -> Arc<FailCalls<F>> {
        Arc::new(FailCalls { calls: AtomicUsize::new(0), fails })
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl<F: Fn(usize) -> bool + Send + Sync> Hook for FailCalls<F> {
    fn before(&self, _: Call, _: &Path) -> io::Result<()> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if (self.fails)(call) { Err(io::Error::other(format!("injected at call {call}"))) } else { Ok(()) }
    }
}

/// Remembers every call.
#[derive(Default)]
pub struct Trace(pub Mutex<Vec<(Call, PathBuf)>>);

impl Hook for Trace {
    fn before(&self, call: Call, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().push((call, path.to_owned()));
        Ok(())
    }
}
