//! The hidden directory beside a target in which an output comes to be.
//!
//! ```text
//! parent/
//!   out                               the target: always absent, old or new
//!   .out.gristmill-lock               lock.rs
//!   .out.gristmill-staging-<id>/
//!     .live                           locked as long as the attempt lives
//!     tasks/<id>/                     what a task of another process writes, until the attempt takes it
//!     claims                          the partitions that the attempt owns, if it does not own the whole output
//!     new/                            the parts and, last, the manifest; after the exchange, the old output
//!     old/                            the old output on file systems that cannot exchange directories
//!     final                           in tasks/: where tasks write instead, if the output is committed in place
//!     journal                         a commit of several changes, from its decision until it is carried out: journal.rs
//!     commit                          where that journal is, if it lies in the staging directory of another output
//! ```
//!
//! What takes the target's place is `new`, not the staging directory, so that `.live` never gets into an output and
//! one deletion removes both what was never committed and what was replaced. Of an output that is committed in place the parts are not here:
//! `in_place.rs`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::fs::{Fs, lacks_locks, lacks_renames};
use super::in_place::{InPlace, Tasks};
use super::lock::{Lock, busy_at, is_free};
use super::manifest::{self, Manifest};
use super::target::{CheckedTarget, Shape};
use crate::config::CommitBy;
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::hive::PartitionPath;

const PREFIX: &str = ".gristmill-staging-";
/// The file that is locked as long as the run of a staging directory lives.
pub(super) const LIVE: &str = ".live";

/// The directory of the parts within a staging directory.
pub(super) const NEW: &str = "new";

/// Where an output or its partitions go when others take their places, if they cannot be exchanged.
pub(super) const OLD: &str = "old";

/// The directory of what tasks of other processes write.
const TASKS: &str = "tasks";

/// Its name once the directory is to be deleted.
const TASKS_ENDED: &str = "tasks-ended";

/// What renames are tried on, and its name afterwards.
const PROBE: &str = "probe";
const PROBED: &str = "probed";

/// Where tasks find out that they write elsewhere.
const FINAL: &str = "final";

const CLAIMS: &str = "claims";

/// What a run owns is not read beyond this; declared partitions are far fewer.
const MAX_CLAIM_BYTES: u64 = 64 << 20;

/// A staging directory of this process; dropping it deletes it.
#[derive(Debug)]
pub(super) struct Staging {
    root: PathBuf,
    fs: Fs,
    on_drop: OnDrop,
    /// Held, not used: it tells other runs that this directory is no orphan. Nothing if nobody can be told, and nothing depends on it.
    live: Option<Lock>,
    way: Way,
}

/// How an attempt commits, which depends on the file system.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// What is new takes its place by one rename, or, where a directory is to be replaced and two cannot be exchanged, by two.
    Renames { exchanges: bool },
    /// A new file is copied to its place.
    Copy,
    /// The parts are in their place, and a new manifest makes them count.
    InPlace(InPlace),
}

#[derive(Debug, Clone, Copy)]
enum OnDrop {
    Delete,
    Keep,
}

impl Staging {
    /// Creates the staging directory of a new attempt, and tries on it the renames which the commit will need: better to hear now
    /// than after hours of work that one of them fails.
    pub(super) fn create(target: &CheckedTarget) -> Result<Staging> {
        let fs = target.fs().clone();
        let id = new_id();
        let root = target.parent().join(target.hidden_name(&format!("{PREFIX}{id}")));
        fs.create_dir(&root)?;
        let (live, no_lock) = match Lock::take(&fs, &root.join(LIVE), &root) {
            Ok(live) => (Some(live), None),
            Err(error) if lacks_locks(&error) => (None, Some(error)),
            Err(error) => {
                let _ = fs.remove_tree(&root); // the first error is the one to tell
                return Err(error);
            }
        };
        let way = Way::Renames { exchanges: true };
        let mut staging = Staging { root, fs, on_drop: OnDrop::Delete, live, way };
        staging.way = staging.find_way(target, &id)?;
        match (no_lock, &staging.way) {
            (Some(error), Way::Renames { .. }) => Err(error),
            _ => Ok(staging),
        }
    }

    fn find_way(&self, target: &CheckedTarget, id: &str) -> Result<Way> {
        let tried = match (target.commit_by(), target.shape()) {
            (CommitBy::Manifest, _) => None,
            (CommitBy::Auto, Shape::Directory) => Some(self.try_directories(target.is_replacement())),
            (CommitBy::Auto, Shape::File) => Some(self.try_files()),
        };
        match tried {
            Some(Err(error)) if !lacks_renames(&error) => return Err(error),
            Some(Ok(way)) => return Ok(way),
            Some(Err(_)) | None => target.check_without_renames()?,
        }
        if target.shape() == Shape::Directory {
            return InPlace::begin(target, id).map(Way::InPlace);
        }
        if self.fs.inspect(&self.new_dir())?.is_none() {
            self.fs.create_dir(&self.new_dir())?;
        }
        Ok(Way::Copy)
    }

    /// Tries to rename directories, and to exchange them if one is to be replaced.
    fn try_directories(&self, is_replacement: bool) -> Result<Way> {
        let (probe, new) = (self.root.join(PROBE), self.new_dir());
        self.fs.create_dir(&probe)?;
        self.fs.rename_new(&probe, &new)?;
        if !is_replacement {
            return Ok(Way::Renames { exchanges: true });
        }
        self.fs.create_dir(&probe)?;
        let exchanges = self.fs.exchange(&probe, &new)?;
        self.fs.remove_tree(&probe)?;
        Ok(Way::Renames { exchanges })
    }

    /// Tries to rename files, which some can that cannot rename directories.
    fn try_files(&self) -> Result<Way> {
        let (probe, new) = (self.root.join(PROBE), self.new_dir());
        self.fs.create_dir(&new)?;
        drop(self.fs.create_new(&probe)?);
        let renamed = self.root.join(PROBED);
        self.fs.rename_new(&probe, &renamed)?;
        self.fs.remove_file(&renamed)?;
        Ok(Way::Renames { exchanges: true })
    }

    /// Where the parts go.
    pub(super) fn new_dir(&self) -> PathBuf {
        self.root.join(NEW)
    }

    /// Where tasks of other processes write, each in a directory of its own.
    pub(super) fn tasks_dir(&self) -> Result<PathBuf> {
        let dir = self.root.join(TASKS);
        if self.fs.inspect(&dir)?.is_some() {
            return Ok(dir);
        }
        self.fs.create_dir(&dir)?;
        if let Way::InPlace(place) = &self.way {
            let text = serde_json::to_vec(&place.tasks()).map_err(|error| {
                Error::new(ErrorKind::Internal, "cannot describe where tasks write").because(error)
            })?;
            self.fs.create_durable(&dir.join(FINAL), &text)?;
        }
        Ok(dir)
    }

    /// The directory itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Says which partitions the attempt owns, for other runs to see.
    pub(super) fn claim(&self, declared: &[PartitionPath]) -> Result<()> {
        let path = self.root.join(CLAIMS);
        let declared: Vec<&str> = declared.iter().map(PartitionPath::as_str).collect();
        let text = serde_json::to_vec(&declared).map_err(|error| {
            Error::new(ErrorKind::Internal, "cannot describe what a run owns").because(error)
        })?;
        self.fs.write(&self.fs.create_new(&path)?, &path, &text)
    }

    /// Checks that the parts are those of the manifest, writes it where the output is a directory, and makes the names
    /// durable. The contents of the parts are durable already.
    pub(super) fn seal(&self, shape: Shape, manifest: &Manifest) -> Result<()> {
        let new = self.new_dir();
        self.check_parts(&new, manifest)?;
        if shape == Shape::Directory { self.seal_dir(&new, manifest) } else { self.fs.sync_dir(&new) }
    }

    /// The same for the directory of a partition.
    pub(super) fn seal_partition(&self, partition: &PartitionPath, manifest: &Manifest) -> Result<()> {
        let dir = self.new_dir().join(partition.as_path());
        self.check_parts(&dir, manifest)?;
        self.seal_dir(&dir, manifest)
    }

    /// Writes the manifest of a directory whose contents are known to be right, and makes the names in it durable.
    pub(super) fn seal_dir(&self, dir: &Path, manifest: &Manifest) -> Result<()> {
        self.fs.create_durable(&dir.join(manifest::FILE_NAME), &manifest.to_json()?)?;
        self.fs.sync_dir(dir)
    }

    /// How the attempt commits.
    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    /// Deletes the directory, and what the attempt has written elsewhere.
    pub(super) fn abandon(self) -> Result<()> {
        if let Way::InPlace(place) = &self.way {
            place.undo(&self.fs)?;
        }
        self.delete()
    }

    /// Deletes the directory, and with it a replaced output.
    pub(super) fn delete(mut self) -> Result<()> {
        self.on_drop = OnDrop::Keep;
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.live = None; // NFS keeps a file that is deleted while it is open, and so its directory
        remove(&self.fs, &self.root)
    }

    /// From now on only [`Staging::delete`] deletes the directory: a journal refers to it, or it holds the only output that is known
    /// to be durable. The next run or recovery knows what to do with it.
    pub(super) fn keep_on_drop(&mut self) {
        self.on_drop = OnDrop::Keep;
    }

    /// Undoes [`Staging::keep_on_drop`].
    pub(super) fn delete_on_drop(&mut self) {
        self.on_drop = OnDrop::Delete;
    }

    fn check_parts(&self, dir: &Path, manifest: &Manifest) -> Result<()> {
        let found = self.fs.list(dir)?;
        if !found.iter().eq(manifest.parts.iter().map(|part| part.name.as_str())) {
            let message = format!("the parts in {} are not those to be committed", printable(dir));
            return Err(Error::new(ErrorKind::Internal, message).hint("finish and hand over every part"));
        }
        manifest.parts.iter().try_for_each(|part| self.check_length(&dir.join(&part.name), part.bytes))
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
            if let Way::InPlace(place) = &self.way {
                let _ = place.undo(&self.fs); // so is what stays of that
            }
            let _ = self.end(); // what stays is deleted by the next run
        }
    }
}

/// Deletes a staging directory.
///
/// Tasks of other processes may be at work there still: copies of tasks that are done, and what a dead run has left. What they create while it is deleted
/// keeps it; then they lose their directory, in one step, and it is deleted again.
///
/// # Errors
///
/// [`ErrorKind::Output`] if it cannot be deleted.
pub(super) fn remove(fs: &Fs, root: &Path) -> Result<()> {
    let Err(error) = fs.remove_tree(root) else { return Ok(()) };
    let tasks = root.join(TASKS);
    if fs.inspect(&tasks).ok().flatten().is_none() || fs.rename_new(&tasks, &root.join(TASKS_ENDED)).is_err()
    {
        return Err(error);
    }
    fs.remove_tree(root)
}

/// The staging directories beside a target, of whatever run.
pub(super) fn staging_dirs(target: &CheckedTarget) -> Result<Vec<PathBuf>> {
    let names = target.fs().list(target.parent())?;
    let names = names.iter().filter(|name| is_staging_name(target.name(), name));
    Ok(names.map(|name| target.parent().join(name)).collect())
}

/// Whether a name is that of a staging directory of an output.
pub(super) fn is_staging_name(output: &OsStr, name: &OsStr) -> bool {
    let rest = name.as_bytes().strip_prefix(b".").and_then(|rest| rest.strip_prefix(output.as_bytes()));
    rest.and_then(|rest| rest.strip_prefix(PREFIX.as_bytes())).is_some_and(is_id)
}

/// Fails if a live run owns one of these partitions, or one that has to do with them.
///
/// Called after [`clean_up`](super::recover::clean_up): what is left is alive, or died this instant and is taken for alive.
///
/// # Errors
///
/// [`ErrorKind::Busy`], naming the run.
pub(super) fn check_claims(target: &CheckedTarget, declared: &[PartitionPath]) -> Result<()> {
    let fs = target.fs();
    for root in staging_dirs(target)? {
        let claims = fs.read_file(&root.join(CLAIMS), MAX_CLAIM_BYTES)?.unwrap_or_default();
        let claims: Vec<String> = serde_json::from_slice(&claims).unwrap_or_default();
        let claims: Vec<_> = claims.iter().filter_map(|claim| PartitionPath::parse(claim).ok()).collect();
        let taken = declared
            .iter()
            .find(|owned| claims.iter().any(|claim| owned.is_within(claim) || claim.is_within(owned)));
        if let Some(taken) = taken {
            return Err(busy_at(fs, &root.join(LIVE), &target.path().join(taken.as_path())));
        }
    }
    Ok(())
}

/// Whether this is a directory whose run is gone. Where there are no locks, nobody knows.
pub(super) fn is_abandoned(fs: &Fs, root: &Path) -> Result<bool> {
    if fs.inspect(root)?.is_none_or(|found| !found.is_dir()) {
        return Ok(false);
    }
    match is_free(fs, &root.join(LIVE)) {
        Err(error) if lacks_locks(&error) => Ok(false),
        is_free => is_free,
    }
}

/// Where a task writes that is given the directory of all tasks, if it is not in there.
pub(super) fn final_place(fs: &Fs, tasks: &Path) -> Result<Option<Tasks>> {
    let path = tasks.join(FINAL);
    let Some(text) = fs.read_file(&path, MAX_CLAIM_BYTES)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        let message = format!("{} does not say where to write: {error}", printable(&path));
        Error::new(ErrorKind::Internal, message).because(error)
    })
}

/// An id that no other attempt has, on this machine or after a restart. It is only part of a hidden name, never of an
/// output, whose bytes must not differ between runs.
pub(super) fn new_id() -> String {
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
    use super::super::fs::{Call, Hook};
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// A task that creates a file whenever something is to be deleted, and keeps it so if it can; what came of it.
    struct LateTask(PathBuf, Mutex<Vec<bool>>);

    impl Hook for LateTask {
        fn before(&self, call: Call, _path: &Path) -> io::Result<()> {
            if call != Call::Remove {
                return Ok(());
            }
            let created = std::fs::write(self.0.join("part"), "late");
            self.1.lock().unwrap().push(created.is_ok());
            if created.is_ok() { Err(io::ErrorKind::DirectoryNotEmpty.into()) } else { Ok(()) }
        }
    }

    #[test]
    fn tasks_that_are_late_create_nothing_in_what_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("staging");
        let task = root.join(TASKS).join("1-1-0");
        std::fs::create_dir_all(&task).unwrap();
        let late = Arc::new(LateTask(task, Mutex::default()));
        remove(&Fs::hooked(late.clone()), &root).unwrap();
        assert_eq!(*late.1.lock().unwrap(), [true, false]);
        assert!(!root.exists());
    }

    #[test]
    fn ids_differ_and_are_told_from_names() {
        let (one, other) = (new_id(), new_id());
        assert_ne!(one, other);
        assert!(is_id(one.as_bytes()));
        assert!(!is_id(b""));
        assert!(!is_id(b"backup.gristmill-staging-1f"));
    }
}
