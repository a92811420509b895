//! Cleaning up behind dead runs without starting a new one.

use std::path::{Path, PathBuf};

use super::attempt::{COMMIT_LOCK, LOCK};
use super::journal;
use super::lock::Lock;
use super::staging::{delete_orphans, staging_dirs};
use super::target::{Existing, Shape, Target};
use crate::error::Result;

/// What [`recover`] has done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// The partitions of a commit that a dead run had decided and that is complete now.
    pub rolled_forward: Vec<String>,
    /// The staging directories of dead runs that are deleted now.
    pub deleted: Vec<PathBuf>,
}

/// Does what the next run on an output would do before it begins: completes the commit that a dead run had decided, and deletes
/// the staging directories of dead runs.
///
/// Runs that are alive are left alone.
///
/// # Errors
///
/// [`Busy`](crate::ErrorKind::Busy) if a run is at work that has the whole output for itself. [`Output`](crate::ErrorKind::Output)
/// if a journal is invalid, which changes nothing, and for every failure of the file system.
///
/// # Examples
///
/// ```
/// use gristmill::io::commit::{Recovered, recover};
///
/// # let dir = tempfile::tempdir()?;
/// assert_eq!(recover(&dir.path().join("out"))?, Recovered::default()); // nothing to do
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recover(path: &Path) -> Result<Recovered> {
    let target = Target::new(path, Shape::Directory, Existing::Refuse).located()?;
    let fs = target.fs();
    if staging_dirs(&target)?.is_empty() && fs.inspect(&journal::path_of(&target))?.is_none() {
        return Ok(Recovered::default());
    }
    let at = |name| target.parent().join(target.hidden_name(name));
    let _lock = Lock::take_shared(fs, &at(LOCK), target.path())?;
    let _commit_lock = Lock::wait(fs, &at(COMMIT_LOCK))?;
    let rolled_forward = journal::roll_forward(&target)?;
    Ok(Recovered { rolled_forward, deleted: delete_orphans(&target)? })
}
