//! The hidden directory beside a target in which an output comes to be.
//!
//! ```text
//! parent/
//!   out                               the target: always absent, old or new
//!   .out.gristmill-lock               lock.rs
//!   .out.gristmill-staging-<id>/
//!     .live                           locked as long as the attempt lives
//!     new/                            the parts and, last, the manifest; after the exchange, the old output
//! ```
//!
//! What takes the target's place is `new`, not the staging directory, so that `.live` never gets into an output and
//! one deletion removes both what was never committed and what was replaced.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::fs::Fs;
use super::lock::{Lock, is_free};
use super::manifest::{self, Manifest};
use super::target::{CheckedTarget, Shape};
use crate::error::{Error, ErrorKind, Result, printable};

const PREFIX: &str = ".gristmill-staging-";
const LIVE: &str = ".live";
const NEW: &str = "new";

/// A staging directory of this process; dropping it deletes it.
#[derive(Debug)]
pub(super) struct Staging {
    root: PathBuf,
    fs: Fs,
    on_drop: OnDrop,
    /// Held, not used: it tells other runs that this directory is no orphan.
    _live: Lock,
}

#[derive(Debug, Clone, Copy)]
enum OnDrop {
    Delete,
    Keep,
}

impl Staging {
    /// Creates the staging directory of a new attempt, and proves on it that the file system has the atomic renames
    /// which the commit will need: better to hear that now than after hours of work.
    pub(super) fn create(target: &CheckedTarget) -> Result<Staging> {
        let fs = target.fs().clone();
        let root = target.parent().join(target.hidden_name(&format!("{PREFIX}{}", new_id())));
        fs.create_dir(&root)?;
        let live = take_live(&fs, &root).inspect_err(|_| {
            let _ = fs.remove_tree(&root); // the first error is the one to tell
        })?;
        let staging = Staging { root, fs, on_drop: OnDrop::Delete, _live: live };
        staging.create_new(target.is_replacement() && target.shape() == Shape::Directory)?;
        Ok(staging)
    }

    /// Where the parts go.
    pub(super) fn new_dir(&self) -> PathBuf {
        self.root.join(NEW)
    }

    /// Checks that the parts are those of the manifest, writes it where the output is a directory, and makes the names
    /// durable. The contents of the parts are durable already.
    pub(super) fn seal(&self, shape: Shape, manifest: &Manifest) -> Result<()> {
        self.check_parts(manifest)?;
        let new = self.new_dir();
        if shape == Shape::Directory {
            let path = new.join(manifest::FILE_NAME);
            let file = self.fs.create_new(&path)?;
            self.fs.write(&file, &path, &manifest.to_json()?)?;
            self.fs.sync(&file, &path)?;
        }
        self.fs.sync_dir(&new)
    }

    /// Deletes the directory, and with it a replaced output.
    pub(super) fn delete(mut self) -> Result<()> {
        self.on_drop = OnDrop::Keep;
        self.fs.remove_tree(&self.root)
    }

    /// Leaves the directory to the next run's [`delete_orphans`].
    pub(super) fn keep(mut self) {
        self.on_drop = OnDrop::Keep;
    }

    fn create_new(&self, exchanges: bool) -> Result<()> {
        let (probe, new) = (self.root.join("probe"), self.new_dir());
        self.fs.create_dir(&probe)?;
        self.fs.rename_new(&probe, &new)?;
        if exchanges {
            self.fs.create_dir(&probe)?;
            self.fs.exchange(&probe, &new)?;
            self.fs.remove_tree(&probe)?;
        }
        Ok(())
    }

    fn check_parts(&self, manifest: &Manifest) -> Result<()> {
        let new = self.new_dir();
        let found = self.fs.list(&new)?;
        if !found.iter().eq(manifest.parts.iter().map(|part| part.name.as_str())) {
            let message = format!("the parts in {} are not those to be committed", printable(&new));
            return Err(Error::new(ErrorKind::Internal, message).hint("finish and hand over every part"));
        }
        manifest.parts.iter().try_for_each(|part| self.check_length(&new.join(&part.name), part.bytes))
    }

    fn check_length(&self, path: &Path, bytes: u64) -> Result<()> {
        let length = self.fs.inspect(path)?.map(|found| found.len());
        if length == Some(bytes) {
            return Ok(());
        }
        let message = format!("{} was changed while the output was written", printable(path));
        Err(Error::new(ErrorKind::Output, message).hint("see who writes there, and run again"))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let OnDrop::Delete = self.on_drop {
            let _ = self.fs.remove_tree(&self.root); // what stays is deleted by the next run
        }
    }
}

/// Deletes the staging directories that dead runs left beside a target, with whatever old outputs are in them.
///
/// Called with the target's lock held, so that nobody can be just about to create one. A directory whose `.live` is
/// locked is left alone even so: somebody may have deleted the lock file of a run that still writes.
///
/// # Errors
///
/// [`ErrorKind::Output`] if one cannot be deleted.
pub(super) fn delete_orphans(target: &CheckedTarget) -> Result<()> {
    let fs = target.fs();
    let mut synced = false;
    for name in fs.list(target.parent())? {
        let root = target.parent().join(&name);
        if !target.hidden_rest(&name, PREFIX).is_some_and(is_id) || !is_orphan(fs, &root)? {
            continue;
        }
        if !synced {
            // A dead run's exchange may not be durable yet, and what is deleted here may be the old output.
            fs.sync_dir(target.parent())?;
            synced = true;
        }
        fs.remove_tree(&root)?;
    }
    Ok(())
}

fn is_orphan(fs: &Fs, root: &Path) -> Result<bool> {
    let is_dir = fs.inspect(root)?.is_some_and(|found| found.is_dir());
    Ok(is_dir && is_free(fs, &root.join(LIVE))?)
}

fn take_live(fs: &Fs, root: &Path) -> Result<Lock> {
    Lock::take(fs, &root.join(LIVE), root)
}

/// An id that no other attempt has, on this machine or after a restart. It is only part of a hidden name, never of an
/// output, whose bytes must not differ between runs.
fn new_id() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    format!("{:x}-{time:x}-{:x}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Whether the end of a hidden name can be an id, as opposed to the rest of a longer target's name.
fn is_id(rest: &[u8]) -> bool {
    !rest.is_empty() && rest.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_told_from_names() {
        let (one, other) = (new_id(), new_id());
        assert_ne!(one, other);
        assert!(is_id(one.as_bytes()));
        assert!(!is_id(b""));
        assert!(!is_id(b"backup.gristmill-staging-1f"));
    }
}
