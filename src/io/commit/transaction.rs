//! Outputs that are committed together: after a crash and the next start, all of them are old, or all of them are new.
//!
//! One output that is replaced as a whole needs no more than one rename, where directories can be exchanged. Several outputs, and several partitions of one, are renamed one
//! after the other, and a journal makes one step of these renames. The protocol:
//!
//! 1. *Lock.* Each attempt holds the lock of its target since it began, and nobody waits for that lock. Tables that are shared with runs of
//!    other partitions have a second lock for the time of a commit, and that is waited for: these are taken in the order of their
//!    paths, so that two runs which share several tables cannot wait for each other.
//! 2. *Seal.* Each output's parts and manifests are made durable in its own staging directory, on its own file system.
//! 3. *Lead.* The journal will lie in the staging directory of the first output. Each other staging directory gets a file
//!    `commit` that says where. All of this is made durable, with the names of the staging directories. A `commit` file that leads to
//!    no journal means nothing: its commit was never decided, or is carried out.
//! 4. *Decide.* Each attempt is checked to own its target still, and the target to be the one that was seen. Then the journal, durable
//!    under another name, gets its name by a rename. This is the commit point, for all outputs.
//! 5. *Carry out.* Each output or partition takes its place by one rename or exchange, and the directories are made durable.
//! 6. *Forget.* The journal is removed, which is made durable, and then the staging directories with what was replaced are deleted.
//!
//! Whoever comes next to any of the targets looks at the staging directories beside it, as it does anyway, and finds the journal in one of
//! them or through its `commit` file. It does steps 5 and 6 for all of the outputs. It needs no lock of the other targets for that: whoever
//! holds one has gone through the same door and would have completed the journal, or waits to do so. Those who come
//! at the same time take turns at the `.live` lock of the journal's staging directory, which the run that wrote the journal holds, too, as long as
//! it lives. Whoever holds that lock while the journal is there waits for nobody.
//!
//! Outputs that are not committed by renames have no part in that: each is committed alone, [in place](super).
//!
//! An exchange that is repeated would undo the first one. So the journal has for each partition the attempt of its manifest, and for
//! each whole output the inode of what is new and the stamp of what is old: what is in place already is left alone, and what is neither the
//! old nor the new one was put there by somebody else, and is never replaced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::attempt::{Attempt, Contents, wait_to_commit};
use super::fs::Fs;
use super::in_place::copy_file;
use super::journal;
use super::lock::Lock;
use super::manifest::Manifest;
use super::place::{Change, Place, Whole};
use super::staging::{NEW, Way};
use super::target::Shape;
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::io::hive::PartitionPath;

/// A committed output.
#[derive(Debug)]
#[non_exhaustive]
pub struct Commit {
    /// Where the output is, absolute and without symbolic links.
    pub path: PathBuf,
    /// What was written; in a directory it is there as a file, too, mostly `_manifest.json`.
    pub manifest: Manifest,
    /// Whether something that was there before was replaced.
    pub replaced: bool,
    /// Why the replaced output could not be deleted, if it could not. The output is
    /// committed all the same, and the next run tries to delete it again.
    pub left_over: Option<Error>,
}

/// An output whose parts are finished, and which waits for its commit; dropping it leaves nothing behind.
#[derive(Debug)]
#[must_use = "nothing is visible before the commit"]
pub struct Finished {
    attempt: Attempt,
    schema: Value,
    parameters: Value,
    contents: Contents,
    call: Option<CallSite>,
}

impl Finished {
    pub(super) fn new(attempt: Attempt, schema: Value, parameters: Value, contents: Contents) -> Finished {
        Finished { attempt, schema, parameters, contents, call: None }
    }

    /// The same output, whose errors name the call that asked for it.
    pub fn in_call(mut self, call: CallSite) -> Finished {
        self.call = Some(call);
        self
    }

    /// Commits this output alone.
    pub(super) fn commit(self) -> Result<Commit> {
        let committed = Transaction { outputs: vec![self] }.commit()?;
        committed
            .into_iter()
            .next()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a commit came to nothing"))
    }
}

/// Outputs that are committed together: all of them or none.
///
/// # Examples
///
/// ```
/// use gristmill::io::commit::{Existing, Shape, Target, Transaction};
/// use serde_json::json;
///
/// # let dir = tempfile::tempdir()?;
/// let mut transaction = Transaction::default();
/// for name in ["left", "right"] {
///     let target = Target::new(dir.path().join(name), Shape::Directory, Existing::Refuse);
///     let attempt = target.check(&[])?.begin()?;
///     let part = attempt.create_part("part-00000.csv")?.finish(0)?;
///     transaction.add(attempt.finish(json!([]), json!({}), vec![part]));
/// }
/// assert!(!dir.path().join("left").exists());
/// assert_eq!(transaction.commit()?.len(), 2);
/// assert!(dir.path().join("left").exists() && dir.path().join("right").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "nothing is visible before the commit"]
pub struct Transaction {
    outputs: Vec<Finished>,
}

impl Transaction {
    /// Adds an output.
    pub fn add(&mut self, output: Finished) {
        self.outputs.push(output);
    }

    /// Commits the outputs, and returns what became of each, in the order in which they were added.
    ///
    /// Before it returns, each output is old or new. Whenever the process or the machine dies, all of them are old or all of them new,
    /// once the next run on one of them, or [`recover`](super::recover), has looked at what was left.
    ///
    /// # Errors
    ///
    /// As [`Attempt::commit_partitions`], of the first output that fails. All outputs are then what they were, except when the
    /// message says that the commit is decided.
    pub fn commit(self) -> Result<Vec<Commit>> {
        self.check_together()?;
        let locks = self.lock_tables()?;
        let mut sealed = self.seal(&locks)?; // dropped before the locks
        let mut changed: Vec<&mut Sealed> =
            sealed.iter_mut().filter(|output| !matches!(output.step, Step::Nothing)).collect();
        match changed.as_mut_slice() {
            [] => {}
            [only] if only.is_one_step() => {
                only.put_in_place()?;
            }
            several => commit_by_journal(several)?,
        }
        Ok(sealed.into_iter().map(Sealed::end).collect())
    }

    /// Fails if one of several outputs cannot be committed together with others; mostly that was found when it was begun.
    fn check_together(&self) -> Result<()> {
        if self.outputs.len() < 2 {
            return Ok(());
        }
        self.outputs.iter().try_for_each(|Finished { attempt, call, .. }| match attempt.staging.way() {
            Way::Renames { .. } => Ok(()),
            Way::Copy | Way::InPlace(_) => Err(located(attempt.target.not_together(), *call)),
        })
    }

    /// The locks that runs which share a table hold while they commit, by the path of the table and in that order.
    fn lock_tables(&self) -> Result<BTreeMap<PathBuf, Lock>> {
        let targets = self.outputs.iter().map(|output| &output.attempt.target);
        let shared: BTreeMap<&Path, _> = targets
            .filter(|target| target.mode().declared().is_some())
            .map(|target| (target.path(), target))
            .collect();
        shared.into_iter().map(|(path, target)| Ok((path.to_owned(), wait_to_commit(target)?))).collect()
    }

    /// Seals the outputs. The second one that creates a table adds its partitions to what the first one creates.
    fn seal(self, locks: &BTreeMap<PathBuf, Lock>) -> Result<Vec<Sealed>> {
        let mut created: BTreeMap<PathBuf, Manifest> = BTreeMap::new();
        let mut all = Vec::with_capacity(self.outputs.len());
        for Finished { attempt, schema, parameters, contents, call } in self.outputs {
            let path = attempt.path().to_owned();
            let shared = locks.get(&path).map(|lock| Shared { lock, created: created.get(&path) });
            let is_shared = shared.is_some();
            let (attempt, manifest, step) =
                attempt.seal(schema, parameters, contents, shared).map_err(|error| located(error, call))?;
            if is_shared && matches!(step, Step::Whole) {
                created.insert(path, manifest.clone());
            }
            all.push(Sealed { attempt, manifest, step, call, old: Vec::new() });
        }
        Ok(all)
    }
}

/// What an attempt must know that shares its target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared<'a> {
    /// The lock for the time of the commit.
    pub(super) lock: &'a Lock,
    /// The manifest of the table, if another output of this commit creates it.
    pub(super) created: Option<&'a Manifest>,
}

/// What is left to do for an output.
#[derive(Debug)]
pub(super) enum Step {
    /// What was to be appended is there already.
    Nothing,
    /// Put all of it in place.
    Whole,
    /// Put these partitions in place, each with the attempt of its manifest.
    Partitions(Vec<(PartitionPath, String)>),
}

/// An output that is durable in its staging directory.
#[derive(Debug)]
struct Sealed {
    attempt: Attempt,
    manifest: Manifest,
    step: Step,
    call: Option<CallSite>,
    /// What is to be deleted of an output that was replaced in place.
    old: Vec<PathBuf>,
}

impl Sealed {
    fn fs(&self) -> &Fs {
        self.attempt.target.fs()
    }

    fn check_owns(&self) -> Result<()> {
        self.attempt.check_owns().map_err(|error| located(error, self.call))
    }

    /// Whether one call makes the output visible. Where directories cannot be exchanged, two renames replace one, and need a journal.
    fn is_one_step(&self) -> bool {
        matches!(self.step, Step::Whole)
            && !matches!(self.attempt.staging.way(), Way::Renames { exchanges: false })
    }

    /// The one step that makes a single output visible, and that its name is durable.
    fn put_in_place(&mut self) -> Result<()> {
        match self.attempt.staging.way() {
            Way::Renames { .. } => self.rename(),
            Way::Copy => self.copy().map_err(|error| located(error, self.call)),
            Way::InPlace(place) => match place.commit(self.fs(), &self.manifest) {
                Ok(old) => {
                    self.old = old;
                    Ok(())
                }
                Err(error) if place.counts(&self.manifest) => {
                    self.attempt.staging.keep_on_drop(); // both outputs are there, and nobody knows which is durable
                    Err(located(error.hint(MAY_BE_UNDONE), self.call))
                }
                Err(error) => Err(located(error, self.call)),
            },
        }
    }

    fn rename(&mut self) -> Result<()> {
        self.check_owns()?;
        let Place { path, staging, change } = self.place()?;
        if let Change::Whole(whole) = change {
            whole.put_in_place(self.fs(), &path, &staging).map_err(|error| located(error, self.call))?;
        }
        self.fs().sync_dir(self.attempt.target.parent()).map_err(|error| {
            self.attempt.staging.keep_on_drop(); // it holds the old output, the only one that is known to be durable
            located(error.hint(MAY_BE_UNDONE), self.call)
        })
    }

    fn copy(&self) -> Result<()> {
        let staged = self.attempt.staging.root().join(NEW).join(only_part(&self.manifest)?);
        copy_file(self.fs(), &staged, self.attempt.target.path())
    }

    /// What is to be done, as the journal has it.
    fn place(&self) -> Result<Place> {
        let Attempt { target, staging, .. } = &self.attempt;
        let change = match &self.step {
            Step::Partitions(partitions) => Change::partitions(partitions),
            Step::Nothing | Step::Whole => {
                let part = match target.shape() {
                    Shape::Directory => None,
                    Shape::File => Some(only_part(&self.manifest)?),
                };
                Change::Whole(Whole::new(target.fs(), staging.root(), target.seen(), part)?)
            }
        };
        Ok(Place { path: target.path().to_owned(), staging: staging.root().to_owned(), change })
    }

    /// Deletes what was replaced.
    fn end(self) -> Commit {
        let Attempt { target, staging, .. } = self.attempt;
        let (replaced, deleted) = match (&self.step, staging.way()) {
            (Step::Whole, Way::InPlace(place)) => {
                (place.is_replacement(), place.delete(target.fs(), &self.manifest, &self.old))
            }
            (Step::Nothing, _) => (false, Ok(())),
            (Step::Whole, _) => (target.is_replacement(), Ok(())),
            (Step::Partitions(_), _) => (true, Ok(())),
        };
        let left_over = deleted.and(staging.delete()).err();
        Commit { path: target.path().to_owned(), manifest: self.manifest, replaced, left_over }
    }
}

const MAY_BE_UNDONE: &str = "the new output is in place, but a power failure may undo it: run again";

/// Steps 3 to 5 of the protocol, and the first half of 6.
fn commit_by_journal(changed: &mut [&mut Sealed]) -> Result<()> {
    let places = changed.iter().map(|output| output.place()).collect::<Result<Vec<_>>>()?;
    let Some(fs) = changed.first().map(|output| output.fs().clone()) else { return Ok(()) };
    journal::prepare(&fs, &places)?;
    changed.iter().try_for_each(|output| output.check_owns())?;
    for output in &mut *changed {
        output.attempt.staging.keep_on_drop();
    }
    if let Err(error) = journal::decide(&fs, &places) {
        if journal::is_undecided(&fs, &places) {
            for output in changed {
                output.attempt.staging.delete_on_drop();
            }
        }
        return Err(error);
    }
    journal::carry_out(&fs, &places)
}

fn located(error: Error, call: Option<CallSite>) -> Error {
    match call {
        Some(call) => error.in_call(call),
        None => error,
    }
}

fn only_part(manifest: &Manifest) -> Result<String> {
    match manifest.parts.as_slice() {
        [only] => Ok(only.name.clone()),
        parts => {
            Err(Error::new(ErrorKind::Internal, format!("a single file cannot have {} parts", parts.len())))
        }
    }
}
