//! Committing in place, where directories cannot be renamed: parts are written to where they stay, and a new manifest makes them count.
//!
//! ```text
//! parent/
//!   out/
//!     _manifest-00000006.json                        what counts, until there is the next one
//!     _manifest-00000007.json                        the commit: one file, created exclusively
//!     part-00000-gristmill-<id>.csv                  parts, with the id of their attempt in their names
//!     dt=2026-01-01/part-00000-gristmill-<id>.csv    those of a table, which the one manifest names, too
//!   .out.gristmill-staging-<id>/                     of the same attempt: that it lives, and where tasks of other processes write
//! ```
//!
//! Such file systems may have no locks that others see, so nothing here relies on them. Two runs that have begun with the same generation create
//! the same file, and one of them fails. What is deleted was there before the commit: it belongs to older outputs, to the dead, or to runs that
//! began before and so cannot commit any more; never to one that began afterwards.
//!
//! An output that is a single file has no manifest. A new one is written to the staging directory, and copied from there where files cannot be
//! renamed either: so its time in the making is short, and a run that fails before has shown nothing.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::attempt::LOCK;
use super::fs::Fs;
use super::generations::{self, State, file_name, generation_of, newest, without_id};
use super::manifest::{self, FILE_NAME, Manifest};
use super::target::{CheckedTarget, Existing};
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::hive::PartitionPath;

/// What an attempt that commits in place knows of its output.
#[derive(Debug, Clone)]
pub(super) struct InPlace {
    dir: PathBuf,
    /// The id of the attempt, which names its parts.
    id: String,
    /// Whether the attempt has created the directory, or one that died before its commit.
    made: bool,
    /// What counted when it began.
    before: State,
    /// What is not gristmill's and was there when it began, if that may be deleted.
    foreign: Vec<PathBuf>,
}

/// What tasks of other processes are told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Tasks {
    /// The directory of the output.
    pub(super) dir: PathBuf,
    /// The id of the attempt.
    pub(super) attempt: String,
}

impl InPlace {
    /// Begins with what is there, and creates the directory if nothing is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] if the output is no longer what it was when it was checked, or cannot be created.
    pub(super) fn begin(target: &CheckedTarget, id: &str) -> Result<InPlace> {
        let (fs, dir) = (target.fs(), target.path().to_owned());
        let before = State::of(&dir)?;
        let is_there = fs.inspect(&dir)?.is_some();
        if before != *target.state() || is_there != target.is_replacement() {
            return Err(changed(&dir));
        }
        let force = target.existing() == Existing::Force && is_there;
        let foreign = if force { Found::in_output(fs, &dir)?.foreign } else { Vec::new() };
        if !is_there {
            fs.create_dir(&dir)?;
        }
        let made = !is_there || target.has_only_remains()?;
        Ok(InPlace { dir, id: id.to_owned(), made, before, foreign })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether an output was there before.
    pub(super) fn is_replacement(&self) -> bool {
        self.before.counts.is_some()
    }

    pub(super) fn tasks(&self) -> Tasks {
        Tasks { dir: self.dir.clone(), attempt: self.id.clone() }
    }

    /// Checks that the parts are there, and makes their names durable. Their contents are durable already.
    pub(super) fn seal(&self, fs: &Fs, manifest: &Manifest) -> Result<()> {
        let mut dirs = BTreeSet::from([self.dir.clone()]);
        for part in &manifest.parts {
            let path = self.dir.join(&part.name);
            if fs.inspect(&path)?.map(|found| found.len()) != Some(part.bytes) {
                let message = format!("{} was changed while the output was written", printable(&path));
                return Err(
                    Error::new(ErrorKind::Output, message).hint("see who writes there, and run again")
                );
            }
            let above = path.ancestors().skip(1).take_while(|dir| *dir != self.dir);
            dirs.extend(above.map(Path::to_owned));
        }
        dirs.extend(self.dir.parent().map(Path::to_owned));
        dirs.iter().rev().try_for_each(|dir| fs.sync_dir_if_can(dir))
    }

    /// The commit: creates the manifest. Returns what can be deleted now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] if somebody else has committed since the attempt began, and for every failure of the file system. Then `self` says
    /// whether [the new output counts](InPlace::counts).
    pub(super) fn commit(&self, fs: &Fs, manifest: &Manifest) -> Result<Vec<PathBuf>> {
        let listed: BTreeSet<PathBuf> = manifest.parts.iter().map(|part| self.dir.join(&part.name)).collect();
        let found = Found::in_output(fs, &self.dir)?;
        let mut old: Vec<PathBuf> = found.own.into_iter().filter(|path| !listed.contains(path)).collect();
        old.extend(self.foreign.iter().cloned());
        if State::of(&self.dir)? != self.before {
            return Err(changed(&self.dir));
        }
        let path = self.dir.join(file_name(self.before.last.saturating_add(1)));
        let file = fs.create_new(&path).map_err(|error| {
            error.hint(
                "if it is there, another run has committed: nothing was replaced by this one; run again",
            )
        })?;
        let written = fs.write(&file, &path, &manifest.to_json()?).and_then(|()| fs.sync(&file, &path));
        drop(file);
        if let Err(error) = written {
            if !self.counts(manifest) {
                let _ = fs.remove_file(&path); // torn, it counts as little as none; the first error is the one to tell
            }
            return Err(error);
        }
        if !self.counts(manifest) {
            return Err(changed(&self.dir)); // where creating a file is not exclusive, another run may have won
        }
        fs.sync_dir_if_can(&self.dir)?;
        Ok(old)
    }

    /// Whether this is the output that counts.
    pub(super) fn counts(&self, manifest: &Manifest) -> bool {
        newest(&self.dir).ok().flatten().is_some_and(|(_, found)| found == *manifest)
    }

    /// Deletes what the attempt has written, and its directory if it has created that.
    ///
    /// # Errors
    ///
    /// The first failure of the file system; what stays does not count.
    pub(super) fn undo(&self, fs: &Fs) -> Result<()> {
        if fs.inspect(&self.dir)?.is_none() {
            return Ok(());
        }
        let is_own = |path: &PathBuf| id_of(path).is_some_and(|id| id == self.id);
        let Found { own, dirs, .. } = Found::in_output(fs, &self.dir)?;
        remove_all(fs, &own.into_iter().filter(is_own).collect::<Vec<_>>())?;
        remove_empty(fs, &dirs);
        if self.made {
            let _ = fs.remove_dir(&self.dir); // others may write there by now
        }
        Ok(())
    }

    /// Deletes what was replaced, and what tries of tasks have written that do not count and have ended since.
    ///
    /// # Errors
    ///
    /// The first failure of the file system; what stays does not count, and the next run deletes it.
    pub(super) fn delete(&self, fs: &Fs, manifest: &Manifest, old: &[PathBuf]) -> Result<()> {
        remove_all(fs, old)?;
        let Found { mut own, dirs, .. } = Found::in_output(fs, &self.dir)?;
        let listed: BTreeSet<PathBuf> = manifest.parts.iter().map(|part| self.dir.join(&part.name)).collect();
        own.retain(|path| id_of(path).is_some_and(|id| id == self.id) && !listed.contains(path));
        remove_all(fs, &own)?;
        remove_empty(fs, &dirs);
        Ok(())
    }
}

/// Copies a file to a place where nothing may be, durably.
///
/// # Errors
///
/// [`ErrorKind::Output`] for every failure of the file system; then nothing is there, if it can be deleted.
pub(super) fn copy_file(fs: &Fs, from: &Path, to: &Path) -> Result<()> {
    const PIECE_BYTES: u64 = 1 << 20;
    let source = fs.open(from)?.ok_or_else(|| changed(from))?;
    let file = fs.create_new(to)?;
    let copy = || loop {
        let piece = fs.read(&source, from, PIECE_BYTES)?;
        if piece.is_empty() {
            return fs.sync(&file, to);
        }
        fs.write(&file, to, &piece)?;
    };
    let copied = copy();
    drop(file);
    if copied.is_err() {
        let _ = fs.remove_file(to); // the first error is the one to tell
        return copied;
    }
    to.parent().map_or(Ok(()), |parent| fs.sync_dir_if_can(parent))
}

/// Deletes the parts that no manifest of an output names: called with its lock, for an output that no live run writes. Returns them. If a run
/// had begun that died, empty directories may be its, too.
///
/// # Errors
///
/// The first failure of the file system.
pub(super) fn sweep(fs: &Fs, dir: &Path, has_begun: bool) -> Result<Vec<PathBuf>> {
    if fs.inspect(dir)?.is_none_or(|found| !found.is_dir()) {
        return Ok(Vec::new());
    }
    let Found { mut own, dirs, .. } = Found::in_output(fs, dir)?;
    let newest = newest(dir)?;
    let parts = newest.iter().flat_map(|(_, manifest)| &manifest.parts);
    let mut listed: BTreeSet<PathBuf> = parts.map(|part| dir.join(&part.name)).collect();
    listed.extend(newest.as_ref().map(|(generation, _)| dir.join(file_name(*generation))));
    let is_old = newest.is_some();
    own.retain(|path| {
        let is_of_attempt =
            id_of(path).is_some() || path.file_name().is_some_and(|name| generation_of(name).is_some());
        !listed.contains(path) && (is_old || is_of_attempt)
    });
    if own.is_empty() && !has_begun {
        return Ok(own);
    }
    remove_all(fs, &own)?;
    remove_empty(fs, &dirs);
    if newest.is_none() && !dir.join(FILE_NAME).exists() {
        let _ = fs.remove_dir(dir); // what was never committed leaves nothing
    }
    Ok(own)
}

/// Whether there is anything in an output that was written in place.
pub(super) fn has_own(fs: &Fs, dir: &Path) -> bool {
    let is_in_place = |path: &PathBuf| {
        path.file_name().is_some_and(|name| generations::is_in_place(name) || generation_of(name).is_some())
    };
    dir.is_dir() && Found::in_output(fs, dir).is_ok_and(|found| found.own.iter().any(is_in_place))
}

/// Whether a directory holds nothing but what attempts have left that never came to a commit.
pub(super) fn is_only_remains(fs: &Fs, dir: &Path) -> Result<bool> {
    let Found { own, foreign, .. } = Found::in_output(fs, dir)?;
    let is_plain = own.iter().any(|path| path.file_name() == Some(OsStr::new(FILE_NAME)));
    Ok(foreign.is_empty() && !is_plain && State::of(dir)?.counts.is_none())
}

/// What is in an output.
#[derive(Debug, Default)]
struct Found {
    /// Files that are gristmill's: parts that attempts write in place, manifests, and what a `_manifest.json` names. A manifest comes after the
    /// parts beside it, so that one which is only half deleted is known for what it is.
    own: Vec<PathBuf>,
    /// The directories of partitions and their levels; each comes after the one that it is in.
    dirs: Vec<PathBuf>,
    /// All else.
    foreign: Vec<PathBuf>,
}

impl Found {
    fn in_output(fs: &Fs, dir: &Path) -> Result<Found> {
        let mut found = Found::default();
        let mut open = vec![dir.to_owned()];
        // What has manifests of its own in there are partitions, or outputs that are no business of this one.
        let plain = manifest::read_plain(dir).ok().flatten();
        let has_partitions = plain.is_some_and(|manifest| !manifest.partition_by.is_empty());
        while let Some(dir) = open.pop() {
            found.directory(fs, &dir, has_partitions, &mut open)?;
        }
        // Those of partitions before that of their table.
        found.own.sort_by_key(|path| {
            (
                path.file_name().is_some_and(generations::is_manifest),
                std::cmp::Reverse(path.components().count()),
            )
        });
        Ok(found)
    }

    fn directory(
        &mut self,
        fs: &Fs,
        dir: &Path,
        has_partitions: bool,
        open: &mut Vec<PathBuf>,
    ) -> Result<()> {
        let plain = manifest::read_plain(dir).ok().flatten();
        let listed: BTreeSet<&str> =
            plain.iter().flat_map(|manifest| &manifest.parts).map(|part| part.name.as_str()).collect();
        let names = fs.list(dir)?;
        for name in &names {
            let path = dir.join(name);
            let is_plain = plain.is_some() && *name == *FILE_NAME;
            let is_listed = name.to_str().is_some_and(|name| listed.contains(name));
            let is_level = name.to_str().is_some_and(|name| PartitionPath::parse(name).is_ok());
            if is_plain || is_listed || generations::is_in_place(name) || generation_of(name).is_some() {
                self.own.push(path);
            } else if is_level
                && fs.inspect(&path)?.is_some_and(|found| found.is_dir())
                && !is_output(&path, &names, has_partitions)
            {
                self.dirs.push(path.clone());
                open.push(path);
            } else {
                self.foreign.push(path);
            }
        }
        Ok(())
    }
}

/// Whether a directory in an output is an output of its own: it has a manifest that is not that of a partition, or a lock beside it.
fn is_output(path: &Path, beside: &[OsString], has_partitions: bool) -> bool {
    let mut lock = OsString::from(".");
    lock.push(path.file_name().unwrap_or_default());
    lock.push(LOCK);
    let has_generations = path
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| generation_of(&entry.file_name()).is_some());
    has_generations || beside.contains(&lock) || (!has_partitions && path.join(FILE_NAME).exists())
}

/// The id of the attempt that has written a part.
fn id_of(path: &Path) -> Option<String> {
    without_id(path.file_name()?.to_str()?).map(|(_, id)| id)
}

/// Deletes all of them, in order, up to the first that cannot be deleted; what is gone already is a success.
fn remove_all(fs: &Fs, paths: &[PathBuf]) -> Result<()> {
    paths.iter().try_for_each(|path| match fs.inspect(path)? {
        None => Ok(()),
        Some(found) if found.is_dir() => fs.remove_tree(path),
        Some(_) => fs.remove_file(path),
    })
}

/// Deletes those directories that nothing is in; each comes after the one that it is in. In object stores they may be gone with their last file.
fn remove_empty(fs: &Fs, dirs: &[PathBuf]) {
    for dir in dirs.iter().rev() {
        if fs.list(dir).is_ok_and(|names| names.is_empty()) {
            let _ = fs.remove_dir(dir); // at worst it stays, empty
        }
    }
}

fn changed(dir: &Path) -> Error {
    let message =
        format!("the output {} was changed by somebody else since the run was planned", printable(dir));
    Error::new(ErrorKind::Output, message).hint("nothing was replaced: look at it, and run again")
}
