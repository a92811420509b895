//! One try at writing an output, from its lock to its commit.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::append::{link_parts, manifest_of, next_part_number};
use super::fs::{Fs, lacks_locks};
use super::lock::Lock;
use super::manifest::{Head, Manifest, PartEntry};
use super::mode::Mode;
use super::part::{PartWriter, Parts};
use super::recover::clean_up;
use super::staging::{Staging, Way, check_claims};
use super::table::{self, Partitions};
use super::target::CheckedTarget;
use super::transaction::{Commit, Finished, Shared, Step};
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
        let (lock, no_lock) = match Lock::take(&fs, &path, target.path()) {
            Err(error) if lacks_locks(&error) => (None, Some(error)),
            lock => (Some(lock?), None),
        };
        let is_other = clean_up(&target)?.is_some();
        if is_other {
            target.look()?;
        }
        let attempt = Attempt::new(lock, target)?;
        return match (&attempt.staging.way(), no_lock) {
            // Where the manifest decides, nothing depends on the lock, and what a directory is called is no matter.
            (Way::InPlace(_) | Way::Copy, _) => Ok(attempt),
            (Way::Renames { .. }, Some(error)) => Err(error),
            (Way::Renames { .. }, None) if is_other => Ok(attempt),
            (Way::Renames { .. }, None) => attempt.target.check_unchanged().map(|()| attempt),
        };
    };
    let lock = Lock::take_shared(&fs, &path, target.path())?;
    let commit_lock = wait_to_commit(&target)?;
    enter(&mut target, &lock, &commit_lock)?;
    check_claims(&target, &declared)?;
    lock.leave_word(&fs)?;
    let attempt = Attempt::new(Some(lock), target)?;
    attempt.staging.claim(&declared)?;
    Ok(attempt)
}

/// Keeps out all runs that share the target, to begin or to commit.
pub(super) fn wait_to_commit(target: &CheckedTarget) -> Result<Lock> {
    Lock::wait(target.fs(), &target.parent().join(target.hidden_name(COMMIT_LOCK)))
}

/// Completes what a dead run that shares the target has left, and looks at what is there now, since others may have changed their
/// partitions in the meantime.
fn enter(target: &mut CheckedTarget, lock: &Lock, commit_lock: &Lock) -> Result<()> {
    commit_lock.check_held(target.fs())?;
    lock.check_held(target.fs())?;
    clean_up(target)?;
    target.look()
}

/// One try at writing an output; it holds the output's lock, or shares it with runs that own other partitions.
///
/// Nothing of it counts at the target until [`commit`](Attempt::commit), and nothing can be seen there before, unless the file system makes it
/// commit [in place](super). An attempt that is dropped or
/// [aborted](Attempt::abort) leaves the target as it was, and no staging directory. All writers should be finished or
/// dropped by then: what they still create may otherwise stay until the next run deletes it.
#[derive(Debug)]
pub struct Attempt {
    // Dropped in this order: the lock must outlive the staging directory.
    pub(super) staging: Staging,
    /// Nothing where there are no locks, and nothing depends on one.
    lock: Option<Lock>,
    parts: Parts,
    pub(super) target: CheckedTarget,
}

/// The finished parts of an attempt.
#[derive(Debug)]
pub(super) enum Contents {
    Parts(Vec<PartEntry>),
    Partitions(Partitions),
}

/// The numbers of parts that are added to the partitions of a table.
#[derive(Debug, Clone, Default)]
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

impl Attempt {
    fn new(lock: Option<Lock>, target: CheckedTarget) -> Result<Attempt> {
        let staging = Staging::create(&target)?;
        let fs = target.fs().clone();
        let parts = match staging.way() {
            Way::InPlace(place) => Parts::in_place(fs, place.dir().to_owned(), place.id().to_owned()),
            Way::Renames { .. } | Way::Copy => Parts::new(fs, staging.new_dir()),
        };
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

    /// Where tasks of other processes write the parts that [`Parts::adopt`] takes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] if the directory cannot be created.
    pub fn tasks_dir(&self) -> Result<PathBuf> {
        self.staging.tasks_dir()
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
    pub fn commit(self, schema: Value, parameters: Value, parts: Vec<PartEntry>) -> Result<Commit> {
        self.finish(schema, parameters, parts).commit()
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
        self,
        schema: Value,
        parameters: Value,
        partitions: Vec<(PartitionPath, Vec<PartEntry>)>,
    ) -> Result<Commit> {
        self.finish_partitions(schema, parameters, partitions).commit()
    }

    /// What [`Attempt::commit`] would commit, to be committed together with other outputs in a [`Transaction`](super::Transaction).
    pub fn finish(self, schema: Value, parameters: Value, parts: Vec<PartEntry>) -> Finished {
        Finished::new(self, schema, parameters, Contents::Parts(parts))
    }

    /// The same for [`Attempt::commit_partitions`].
    pub fn finish_partitions(
        self,
        schema: Value,
        parameters: Value,
        partitions: Vec<(PartitionPath, Vec<PartEntry>)>,
    ) -> Finished {
        Finished::new(self, schema, parameters, Contents::Partitions(partitions.into_iter().collect()))
    }

    /// Ends the attempt without a commit. Dropping it does the same, but cannot say what failed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] if the staging directory cannot be deleted; the next run tries again.
    pub fn abort(self) -> Result<()> {
        self.staging.abandon()
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

    /// Makes everything durable, with the manifests, and finds what is left to do.
    pub(super) fn seal(
        mut self,
        schema: Value,
        parameters: Value,
        contents: Contents,
        shared: Option<Shared<'_>>,
    ) -> Result<(Attempt, Manifest, Step)> {
        if let Some(there) = self.appended_before().cloned() {
            return Ok((self, there, Step::Nothing));
        }
        if let Some(Shared { lock, created }) = shared {
            if let Some(own) = &self.lock {
                enter(&mut self.target, own, lock)?;
            }
            if let Some(created) = created {
                self.target.expect(created.clone());
            }
        }
        self.check_schema(&schema)?;
        let head = self.head(schema, parameters);
        let (manifest, step) = match contents {
            Contents::Parts(parts) => (self.seal_parts(head, parts)?, Step::Whole),
            Contents::Partitions(partitions) => self.seal_partitions(head, partitions)?,
        };
        Ok((self, manifest, step))
    }

    fn seal_parts(&self, head: Head, mut parts: Vec<PartEntry>) -> Result<Manifest> {
        if !self.target.partition_by().is_empty() {
            return Err(Error::new(ErrorKind::Internal, "the parts of a table belong to partitions"));
        }
        self.sign(&mut parts);
        if let Some(there) = self.appends_to() {
            link_parts(self.target.fs(), self.path(), &self.staging.new_dir(), there)?;
            parts.extend(there.parts.iter().cloned());
        }
        let manifest = Manifest::new(head, parts)?;
        match self.staging.way() {
            Way::InPlace(place) => place.seal(self.target.fs(), &manifest)?,
            Way::Renames { .. } | Way::Copy => self.staging.seal(self.target.shape(), &manifest)?,
        }
        Ok(manifest)
    }

    fn seal_partitions(&self, head: Head, mut partitions: Partitions) -> Result<(Manifest, Step)> {
        for parts in partitions.values_mut() {
            self.sign(parts);
        }
        table::check_owned(&self.target, &partitions)?;
        if let Way::InPlace(place) = self.staging.way() {
            let manifest = Manifest::new(head, table::parts_of_all(partitions))?;
            place.seal(self.target.fs(), &manifest)?;
            return Ok((manifest, Step::Whole));
        }
        table::add_empty(&self.target, &mut partitions)?;
        let (manifest, attempts) = table::seal(&self.target, &self.staging, &self.parts, head, &partitions)?;
        if self.target.table().is_none() || self.appends_to().is_some() {
            return Ok((manifest, Step::Whole));
        }
        table::check_places(&self.target, &partitions)?;
        Ok((manifest, Step::Partitions(attempts)))
    }

    /// Fails unless the attempt still owns its run, and the target is the one that was seen.
    pub(super) fn check_owns(&self) -> Result<()> {
        if let Some(lock) = &self.lock {
            lock.check_held(self.target.fs())?;
        }
        self.target.check_unchanged()
    }
}
