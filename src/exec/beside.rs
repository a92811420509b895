//! What tasks leave beside what they deliver to terminals, such as counts, as it travels between processes.

use super::task::Run;
use crate::error::Result;

/// Something that tasks leave for a run as a whole, each under its own name: what two tasks have left under one name is one thing. So it does no harm
/// where a task of another process is done twice.
pub trait Beside: Send + Sync {
    /// What the tasks of this process have left in a job: several things, each as frames.
    ///
    /// # Errors
    ///
    /// If it cannot be read from disk, or means nothing to other processes.
    fn pack(&self, run: &Run) -> Result<Vec<Vec<Vec<u8>>>>;

    /// Takes one thing that a task of another process has left.
    ///
    /// # Errors
    ///
    /// If it is no such thing, or with it there are more than there may be.
    fn unpack(&self, run: &Run, frames: &[&[u8]]) -> Result<()>;

    /// What processes that repeat what the job has resulted in must know of it; none if there is nothing.
    ///
    /// # Errors
    ///
    /// If it cannot be told: a bug.
    fn told(&self, _run: &Run) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Takes what was [told](Beside::told).
    ///
    /// # Errors
    ///
    /// If it is nothing that was told.
    fn tell(&self, _run: &Run, _told: &[u8]) -> Result<()> {
        Ok(())
    }
}
