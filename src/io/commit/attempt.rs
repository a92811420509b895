//! One try at writing an output, from its lock to its commit.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::append::{link_parts, manifest_of, next_part_number};
use super::fs::Fs;
use super::journal::{self, Journal};
use super::lock::Lock;
use super::manifest::{Head, Manifest, PartEntry};
use super::mode::Mode;
use super::part::{PartWriter, Parts};
use super::staging::{Staging, check_claims, delete_orphans};
use super::table;
use super::target::{CheckedTarget, Shape};
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::hive::PartitionPath;

/// The lock that a run holds from its beginning to its end: for itself, or together with runs that own other partitions.
pub(super) const LOCK: &str = ".gristmill-lock";

/// The lock that runs which share the other one hold while they begin and while they commit, which is never for long.
pub(super) const COMMIT_LOCK: &str = ".gristmill-commit.gristmill-lock";

/// Locks a target, completes and cleans up what dead runs left, and creates the staging directory.
pub(super) fn begin(target: &CheckedTarget) -> Result<Attempt> {
    let mut target = target.clone();
    let fs = target.fs().clone();
    let path = target.parent().join(target.hidden_name(LOCK));
    let Some(declared) = target.mode().declared().map(<[PartitionPath]>::to_vec) else {
        let lock = Lock::take(&fs, &path, target.path())?;
        target.check_unchanged()?;
        if !journal::roll_forward(&target)?.is_empty() {
            target.remember()?;
        }
        delete_orphans(&target)?;
        return Attempt::new(lock, target);
    };
    let lock = Lock::take_shared(&fs, &path, target.path())?;
    let _commit_lock = enter(&mut target, &lock)?;
    delete_orphans(&target)?;
    check_claims(&target, &declared)?;
    lock.leave_word(&fs)?;
    let attempt = Attempt::new(lock, target)?;
    attempt.staging.claim(&declared)?;
    Ok(attempt)
}

/// Keeps out all runs that share the target, to begin or to commit: completes what a dead one of them has left, and looks at what
/// is there now, since others may have changed their partitions in the meantime.
fn enter(target: &mut CheckedTarget, lock: &Lock) -> Result<Lock> {
    let fs = target.fs().clone();
    let commit_lock = Lock::wait(&fs, &target.parent().join(target.hidden_name(COMMIT_LOCK)))?;
    commit_lock.check_held(&fs)?;
    lock.check_held(&fs)?;
    journal::roll_forward(target)?;
    target.look()?;
    Ok(commit_lock)
}

/// One try at writing an output; it holds the output's lock, or shares it with runs that own other partitions.
///
/// Nothing of it can be seen at the target until [`commit`](Attempt::commit). An attempt that is dropped or
/// [aborted](Attempt::abort) leaves the target as it was, and no staging directory. All writers should be finished or
/// dropped by then: what they still create may otherwise stay until the next run deletes it.
#[derive(Debug)]
pub struct Attempt {
    // Dropped in this order: the lock must outlive the staging directory.
    staging: Staging,
    lock: Lock,
    parts: Parts,
    target: CheckedTarget,
}

/// The numbers of parts that are added to the partitions of a table.
#[derive(Debug, Clone)]
pub struct PartNumbers {
    /// The table, unless there is none or its partitions are replaced.
    added_to: Option<(Fs, PathBuf)>,
}

impl PartNumbers {
    /// The number from which on no part of a partition has its name `part-NNNNN`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] if the manifest of the partition is damaged, [`ErrorKind::Output`] if it is missing.
    pub fn next(&self, partition: &PartitionPath) -> Result<usize> {
        let Some((fs, table)) = &self.added_to else { return Ok(0) };
        let place = table.join(partition.as_path());
        match fs.inspect(&place)? {
            Some(_) => manifest_of(&place).map(|manifest| next_part_number(&manifest)),
            None => Ok(0),
        }
    }
}

/// A committed output.
#[derive(Debug)]
#[non_exhaustive]
pub struct Commit {
    /// Where the output is, absolute and without symbolic links.
    pub path: PathBuf,
    /// What was written; in a directory it is there as `_manifest.json` too.
    pub manifest: Manifest,
    /// Whether something that was there before was replaced.
    pub replaced: bool,
    /// Why the replaced output could not be deleted from its hidden directory, if it could not. The output is
    /// committed all the same, and the next run tries to delete it again.
    pub left_over: Option<Error>,
}

impl Attempt {
    fn new(lock: Lock, target: CheckedTarget) -> Result<Attempt> {
        let staging = Staging::create(&target)?;
        let parts = Parts::new(target.fs().clone(), staging.new_dir());
        Ok(Attempt { staging, lock, parts, target })
    }

    /// Where the output will be, absolute and without symbolic links.
    pub fn path(&self) -> &Path {
        self.target.path()
    }

    /// Creates a part; the same as [`Parts::create`].
    pub fn create_part(&self, name: &str) -> Result<PartWriter> {
        self.parts.create(name)
    }

    /// A handle for the threads that create the parts.
    pub fn parts(&self) -> Parts {
        self.parts.clone()
    }

    /// The manifest of the output, if what is to be [appended](Mode::AppendOnce) is there already: there is nothing to write then,
    /// and the attempt is best [aborted](Attempt::abort).
    pub fn appended_before(&self) -> Option<&Manifest> {
        let id = self.target.mode().append_id()?;
        self.target.table().filter(|manifest| manifest.append_ids.iter().any(|there| there == id))
    }

    /// The number from which on no part of the output, or of a partition of it, has its name `part-NNNNN`: 0 unless parts are
    /// added to others.
    ///
    /// # Errors
    ///
    /// As [`PartNumbers::next`].
    pub fn next_part_number(&self, partition: Option<&PartitionPath>) -> Result<usize> {
        match (self.appends_to(), partition) {
            (None, _) => Ok(0),
            (Some(there), None) => Ok(next_part_number(there)),
            (Some(_), Some(partition)) => self.part_numbers().next(partition),
        }
    }

    /// The same for the partitions that will be found while the output is written.
    pub fn part_numbers(&self) -> PartNumbers {
        PartNumbers {
            added_to: self.appends_to().map(|_| (self.target.fs().clone(), self.path().to_owned())),
        }
    }

    /// Fails unless the columns are those of the table that partitions or parts are added to, if there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with both.
    pub fn check_schema(&self, schema: &Value) -> Result<()> {
        match self.target.table() {
            Some(there) if there.schema != *schema => {
                let path = printable(self.path());
                let message = format!("the output {path} has the columns {}, not {schema}", there.schema);
                Err(Error::new(ErrorKind::Config, message)
                    .hint("write the same columns, in the same order, or replace the whole output"))
            }
            _ => Ok(()),
        }
    }

    /// Puts the parts in place of what is at the target, or adds them to it, in one step.
    ///
    /// Before it returns, and whenever the process or the machine dies, the target is whole: it is what was there before,
    /// or all of the parts with their manifest. The parts may come in any order. An output that is a single file has
    /// exactly one part, whose name does not matter.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] if parts are missing or were never finished, for a single file that has not one, and for a table with
    /// partitions. [`ErrorKind::Output`] if somebody else has changed the target since it was checked or has taken the lock file
    /// away, and for every failure of the file system. The target is then what it was, except when the very last fsync
    /// failed: the new output is in place then, and the message says that a power failure may undo it.
    pub fn commit(self, schema: Value, parameters: Value, mut parts: Vec<PartEntry>) -> Result<Commit> {
        if !self.target.partition_by().is_empty() {
            return Err(Error::new(ErrorKind::Internal, "the parts of a table belong to partitions"));
        }
        if let Some(there) = self.appended_before().cloned() {
            return Ok(self.leave_as_it_is(there));
        }
        self.check_schema(&schema)?;
        self.sign(&mut parts);
        let head = self.head(schema, parameters);
        if let Some(there) = self.appends_to() {
            link_parts(self.target.fs(), self.path(), &self.staging.new_dir(), there)?;
            parts.extend(there.parts.iter().cloned());
        }
        let manifest = Manifest::new(head, parts)?;
        self.staging.seal(self.target.shape(), &manifest)?;
        self.replace_whole(manifest)
    }

    /// Puts the partitions of a table in place: in one step if the whole table is new; else each in one step of its own, and all of
    /// them or none, once the next run or [`recover`](super::recover) has looked at what a dead run left.
    ///
    /// Each partition comes once, with its parts in any order.
    ///
    /// # Errors
    ///
    /// As [`Attempt::commit`]. An error may also come when the commit is decided, but not carried out: its message says so, and the
    /// next run, or [`recover`](super::recover), completes it.
    pub fn commit_partitions(
        mut self,
        schema: Value,
        parameters: Value,
        partitions: Vec<(PartitionPath, Vec<PartEntry>)>,
    ) -> Result<Commit> {
        if let Some(there) = self.appended_before().cloned() {
            return Ok(self.leave_as_it_is(there));
        }
        let shared = self.target.mode().declared().is_some();
        let _commit_lock = shared.then(|| enter(&mut self.target, &self.lock)).transpose()?;
        self.check_schema(&schema)?;
        let mut partitions: table::Partitions = partitions.into_iter().collect();
        for parts in partitions.values_mut() {
            self.sign(parts);
        }
        table::check_owned(&self.target, &partitions)?;
        table::add_empty(&self.target, &mut partitions)?;
        let head = self.head(schema, parameters);
        let (manifest, attempts) = table::seal(&self.target, &self.staging, &self.parts, head, &partitions)?;
        if self.target.table().is_none() || self.appends_to().is_some() {
            return self.replace_whole(manifest);
        }
        table::check_places(&self.target, &partitions)?;
        self.replace_partitions(manifest, attempts)
    }

    /// Ends the attempt without a commit. Dropping it does the same, but cannot say what failed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] if the staging directory cannot be deleted; the next run tries again.
    pub fn abort(self) -> Result<()> {
        self.staging.delete()
    }

    /// The output that parts are added to.
    fn appends_to(&self) -> Option<&Manifest> {
        self.target.table().filter(|_| matches!(self.target.mode(), Mode::AppendOnce(_)))
    }

    /// Notes the id in parts that are appended.
    fn sign(&self, parts: &mut [PartEntry]) {
        let id = self.target.mode().append_id();
        for part in parts {
            part.append_id = id.map(str::to_owned);
        }
    }

    fn head(&self, schema: Value, parameters: Value) -> Head {
        let mut append_ids = self.appends_to().map_or_else(Vec::new, |there| there.append_ids.clone());
        append_ids.extend(self.target.mode().append_id().map(str::to_owned));
        Head { schema, parameters, partition_by: self.target.partition_by().to_vec(), append_ids }
    }

    /// The success of what was appended before.
    fn leave_as_it_is(self, manifest: Manifest) -> Commit {
        let path = self.target.path().to_owned();
        let left_over = self.abort().err();
        Commit { path, manifest, replaced: false, left_over }
    }

    fn replace_whole(self, manifest: Manifest) -> Result<Commit> {
        self.lock.check_held(self.target.fs())?;
        self.target.check_unchanged()?;
        self.put_in_place(&manifest)?;
        self.settle(manifest)
    }

    fn replace_partitions(
        mut self,
        manifest: Manifest,
        attempts: Vec<(PartitionPath, String)>,
    ) -> Result<Commit> {
        self.lock.check_held(self.target.fs())?;
        self.target.check_unchanged()?;
        let journal = Journal::new(&self.staging, attempts)?;
        journal.publish(&self.target, &self.staging)?;
        self.staging.keep_on_drop();
        journal.carry_out(&self.target)?;
        let left_over = self.staging.delete().err();
        Ok(Commit { path: self.target.path().to_owned(), manifest, replaced: true, left_over })
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
