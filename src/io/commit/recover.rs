//! Cleaning up behind dead runs, for the next run on an output or without one.

use std::path::{Path, PathBuf};

use super::attempt::{LOCK, wait_to_commit};
use super::fs::lacks_renames;
use super::in_place;
use super::journal;
use super::lock::Lock;
use super::staging::{is_abandoned, remove, staging_dirs};
use super::target::{CheckedTarget, Existing, Shape, Target};
use crate::error::Result;

/// What [`recover`] has done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// The outputs, and the partitions of outputs, of a commit that a dead run had decided and that is complete now. A run that wrote
    /// several outputs has committed them together, so that others than the given one can be among them.
    pub rolled_forward: Vec<PathBuf>,
    /// What dead runs had left and is deleted now: staging directories, and parts that were written in place and do not count.
    pub deleted: Vec<PathBuf>,
}

/// Does what the next run on an output would do before it begins: completes the commit that a dead run had decided, with all of its
/// outputs, and deletes the staging directories of dead runs. In an output that is committed in place it deletes the parts that do not count, as the
/// next run would when it commits.
///
/// Runs that are alive are left alone, as far as their locks are seen: where other hosts do not see them, see first that no run is at work.
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
    if staging_dirs(&target)?.is_empty() && !in_place::has_own(target.fs(), target.path()) {
        return Ok(Recovered::default());
    }
    let lock = target.parent().join(target.hidden_name(LOCK));
    let _lock = Lock::take_shared(target.fs(), &lock, target.path())?;
    let _commit_lock = wait_to_commit(&target)?;
    let mut recovered = clean_up(&target)?.unwrap_or_default();
    let has_begun = !recovered.deleted.is_empty();
    recovered.deleted.extend(in_place::sweep(target.fs(), target.path(), has_begun)?);
    Ok(recovered)
}

/// Completes the commits that dead runs have decided and that the target is part of, and deletes the staging directories of dead runs
/// beside it; `None` if there was nothing. If there was something, the target may have changed.
///
/// Called with the lock of the target held, or shared together with that of its commits, so that nobody can be just about to create
/// a staging directory there or to commit. A directory whose `.live` is locked is left alone even so: somebody may have
/// deleted the lock file of a run that still writes.
///
/// # Errors
///
/// [`ErrorKind::Output`](crate::ErrorKind::Output) if a journal is invalid, or a directory cannot be deleted.
pub(super) fn clean_up(target: &CheckedTarget) -> Result<Option<Recovered>> {
    let fs = target.fs();
    let (mut recovered, mut synced) = (None, false);
    for root in staging_dirs(target)? {
        // Asked before the journal is looked for: the dead decide nothing any more.
        let abandoned = is_abandoned(fs, &root)?;
        if let Some(decided) = journal::led_to_by(fs, &root)? {
            journal::complete(fs, &decided, recovered.get_or_insert_default())?;
        } else if abandoned {
            if !synced {
                // A dead run's exchange may not be durable yet, and what is deleted here may be the old output.
                fs.sync_dir(target.parent())?;
                synced = true;
            }
            match remove(fs, &root) {
                // Nor does it delete: what stays is in nobody's way.
                Err(error) if lacks_renames(&error) => continue,
                removed => removed?,
            }
            recovered.get_or_insert_default().deleted.push(root);
        }
    }
    Ok(recovered)
}
