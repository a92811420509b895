//! One try at writing an output, from its lock to its commit.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::lock::Lock;
use super::manifest::{Manifest, PartEntry};
use super::part::{PartWriter, Parts};
use super::staging::{Staging, delete_orphans};
use super::target::{CheckedTarget, Shape};
use crate::error::{Error, ErrorKind, Result};

const LOCK: &str = ".gristmill-lock";

/// Locks a target, cleans up behind dead runs and creates the staging directory.
pub(super) fn begin(target: &CheckedTarget) -> Result<Attempt> {
    let path = target.parent().join(target.hidden_name(LOCK));
    let lock = Lock::take(target.fs(), &path, target.path())?;
    target.check_unchanged()?;
    delete_orphans(target)?;
    Ok(Attempt { staging: Staging::create(target)?, lock, target: target.clone() })
}

/// One try at writing an output; it holds the output's lock.
///
/// Nothing of it can be seen at the target until [`commit`](Attempt::commit). An attempt that is dropped or
/// [aborted](Attempt::abort) leaves the target as it was, and no staging directory. All writers should be finished or
/// dropped by then: what they still create may otherwise stay until the next run deletes it.
#[derive(Debug)]
pub struct Attempt {
    // Dropped in this order: the lock must outlive the staging directory.
    staging: Staging,
    lock: Lock,
    target: CheckedTarget,
}

/// A committed output.
#[derive(Debug)]
#[non_exhaustive]
pub struct Commit {
    /// Where the output is, absolute and without symbolic links.
    pub path: PathBuf,
    /// What was written; in a directory it is there as `_manifest.json` too.
    pub manifest: Manifest,
    /// Whether something was there before.
    pub replaced: bool,
    /// Why the replaced output could not be deleted from its hidden directory, if it could not. The output is
    /// committed all the same, and the next run tries to delete it again.
    pub left_over: Option<Error>,
}

impl Attempt {
    /// Where the output will be, absolute and without symbolic links.
    pub fn path(&self) -> &Path {
        self.target.path()
    }

    /// Creates a part; the same as [`Parts::create`].
    pub fn create_part(&self, name: &str) -> Result<PartWriter> {
        self.parts().create(name)
    }

    /// A handle for the threads that create the parts.
    pub fn parts(&self) -> Parts {
        Parts::new(self.target.fs().clone(), self.staging.new_dir())
    }

    /// Puts the parts in place of what is at the target, in one step.
    ///
    /// Before it returns, and whenever the process or the machine dies, the target is whole: it is what was there before,
    /// or all of the parts with their manifest. The parts may come in any order. An output that is a single file has
    /// exactly one part, whose name does not matter.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] if parts are missing or were never finished, and for a single file that has not one.
    /// [`ErrorKind::Output`] if somebody else has changed the target since it was checked or has taken the lock file
    /// away, and for every failure of the file system. The target is then what it was, except when the very last fsync
    /// failed: the new output is in place then, and the message says that a power failure may undo it.
    pub fn commit(self, schema: Value, parameters: Value, parts: Vec<PartEntry>) -> Result<Commit> {
        let manifest = Manifest::new(schema, parameters, parts)?;
        self.staging.seal(self.target.shape(), &manifest)?;
        self.lock.check_held(self.target.fs())?;
        self.target.check_unchanged()?;
        self.put_in_place(&manifest)?;
        self.settle(manifest)
    }

    /// Ends the attempt without a commit. Dropping it does the same, but cannot say what failed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] if the staging directory cannot be deleted; the next run tries again.
    pub fn abort(self) -> Result<()> {
        self.staging.delete()
    }

    /// The one step that makes the new output visible.
    fn put_in_place(&self, manifest: &Manifest) -> Result<()> {
        let (fs, path, new) = (self.target.fs(), self.target.path(), self.staging.new_dir());
        match (self.target.shape(), self.target.is_replacement()) {
            (Shape::Directory, false) => fs.rename_new(&new, path),
            (Shape::Directory, true) => fs.exchange(&new, path),
            (Shape::File, false) => fs.rename_new(&new.join(only_part(manifest)?), path),
            (Shape::File, true) => fs.replace(&new.join(only_part(manifest)?), path),
        }
    }

    /// Makes the new output's name durable and deletes the old output.
    fn settle(self, manifest: Manifest) -> Result<Commit> {
        if let Err(error) = self.target.fs().sync_dir(self.target.parent()) {
            self.staging.keep(); // it holds the old output, the only one that is known to be durable
            return Err(error.hint("the new output is in place, but a power failure may undo it: run again"));
        }
        let replaced = self.target.is_replacement();
        let left_over = self.staging.delete().err();
        Ok(Commit { path: self.target.path().to_owned(), manifest, replaced, left_over })
    }
}

fn only_part(manifest: &Manifest) -> Result<&str> {
    match manifest.parts.as_slice() {
        [only] => Ok(&only.name),
        parts => {
            Err(Error::new(ErrorKind::Internal, format!("a single file cannot have {} parts", parts.len())))
        }
    }
}
