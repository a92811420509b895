//! The journal of a commit that changes several partitions: it makes their exchanges one step.
//!
//! Once the journal has its name beside the target, the commit is decided, and whoever comes next completes it. An exchange must not
//! be repeated, since a second one would undo the first; so a partition is exchanged only if its manifest does not carry the
//! attempt that the journal names. A journal that cannot be completed is reported, and nothing is guessed.
//!
//! ```text
//! parent/
//!   out/dt=2026-01-01/                the partition: always absent, old or new
//!   .out.gristmill-journal            from the commit until all partitions are new
//!   .out.gristmill-staging-<id>/
//!     journal                         the journal before it has its name
//!     new/dt=2026-01-01/              the new partition; after the exchange, the old one
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::fs::Fs;
use super::manifest;
use super::staging::{Staging, is_abandoned, is_staging_name};
use super::target::CheckedTarget;
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::hive::PartitionPath;

const NAME: &str = ".gristmill-journal";
const VERSION: u32 = 1;

/// No journal is read beyond this.
const MAX_BYTES: u64 = 256 << 20;

/// What a commit is to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    version: u32,
    /// The name of the staging directory.
    staging: String,
    partitions: Vec<Entry>,
    /// A hash of the rest.
    checksum: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    attempt: String,
}

/// Whether partitions that are in place already are left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// None is: this is the run itself.
    First,
    /// Some may be.
    Recovery,
}

impl Journal {
    /// The journal of a sealed staging directory: its partitions, each with the attempt of its manifest.
    pub(super) fn new(staging: &Staging, partitions: Vec<(PartitionPath, String)>) -> Result<Journal> {
        let entry = |(path, attempt): (PartitionPath, String)| Entry { path: path.to_string(), attempt };
        let mut journal = Journal {
            version: VERSION,
            staging: staging.name().to_string_lossy().into_owned(),
            partitions: partitions.into_iter().map(entry).collect(),
            checksum: String::new(),
        };
        journal.checksum = journal.hash()?;
        Ok(journal)
    }

    /// Gives the journal its name, which decides the commit. Everything that it refers to is durable already.
    pub(super) fn publish(&self, target: &CheckedTarget, staging: &Staging) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(unwritable)?;
        bytes.push(b'\n');
        let draft = staging.write_durable("journal", &bytes)?;
        target.fs().sync_dir(target.parent())?; // the name of the staging directory
        target.fs().rename_new(&draft, &path_of(target))
    }

    /// Puts the partitions in place, after [`Journal::publish`], and removes the journal.
    pub(super) fn carry_out(&self, target: &CheckedTarget) -> Result<()> {
        target.fs().sync_dir(target.parent()).map_err(incomplete)?;
        self.apply(target, Pass::First).map_err(incomplete)
    }

    fn apply(&self, target: &CheckedTarget, pass: Pass) -> Result<()> {
        let (fs, new) = (target.fs(), self.new_dir(target));
        let mut changed = BTreeSet::new();
        for entry in &self.partitions {
            let (staged, place) = (new.join(&entry.path), target.path().join(&entry.path));
            if pass == Pass::First || !carries(&place, &entry.attempt) {
                put_in_place(fs, target.path(), &staged, &place)?;
            }
            // Also of a partition that a dead run has put in place: its exchange may not be durable yet.
            changed.extend(
                place
                    .ancestors()
                    .skip(1)
                    .take_while(|dir| dir.starts_with(target.path()))
                    .map(Path::to_owned),
            );
        }
        changed.iter().rev().try_for_each(|dir| fs.sync_dir(dir))?;
        fs.remove_file(&path_of(target))?;
        fs.sync_dir(target.parent())
    }

    /// What makes it impossible to complete the journal, if anything does.
    fn check(&self, target: &CheckedTarget) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("its version is {}, not {VERSION}", self.version));
        }
        if !self.hash().is_ok_and(|hash| hash == self.checksum) {
            return Err("it has been altered since it was written".to_owned());
        }
        if !is_staging_name(target, &self.staging.clone().into()) {
            return Err(format!("it names {:?}, which is no staging directory of this output", self.staging));
        }
        if !target.path().is_dir() {
            return Err("the output is gone".to_owned());
        }
        self.partitions.iter().try_for_each(|entry| self.check_entry(entry, target))
    }

    fn check_entry(&self, entry: &Entry, target: &CheckedTarget) -> Result<(), String> {
        let canonical = PartitionPath::parse(&entry.path).is_ok_and(|path| path.as_str() == entry.path);
        if !canonical {
            return Err(format!("it names {:?}, which is no partition", entry.path));
        }
        let is_at = |dir: &Path| carries(&dir.join(&entry.path), &entry.attempt);
        if is_at(target.path()) || is_at(&self.new_dir(target)) {
            return Ok(());
        }
        Err(format!("the new partition {} is neither in place nor in {}", entry.path, self.staging))
    }

    fn new_dir(&self, target: &CheckedTarget) -> PathBuf {
        target.parent().join(&self.staging).join("new")
    }

    fn hash(&self) -> Result<String> {
        let bytes =
            serde_json::to_vec(&(self.version, &self.staging, &self.partitions)).map_err(unwritable)?;
        Ok(format!("{:032x}", xxh3_128(&bytes)))
    }
}

/// Whether the manifest of a partition carries an attempt.
fn carries(dir: &Path, attempt: &str) -> bool {
    manifest::read(dir).is_ok_and(|found| found.is_some_and(|found| found.attempt == attempt))
}

fn put_in_place(fs: &Fs, table: &Path, staged: &Path, place: &Path) -> Result<()> {
    if fs.inspect(place)?.is_some() {
        return fs.exchange(staged, place);
    }
    let mut missing = Vec::new();
    for dir in place.ancestors().skip(1).take_while(|dir| *dir != table) {
        if fs.inspect(dir)?.is_some() {
            break;
        }
        missing.push(dir);
    }
    missing.into_iter().rev().try_for_each(|dir| fs.create_dir(dir))?;
    fs.rename_new(staged, place)
}

/// Completes the commit of a dead run, if it has left a journal; returns the partitions that are new now.
///
/// Called with the lock of the target held in one way or the other, so that no commit is under way.
///
/// # Errors
///
/// [`ErrorKind::Output`] if the journal is invalid, and for every failure of the file system; the journal then stays.
pub(super) fn roll_forward(target: &CheckedTarget) -> Result<Vec<String>> {
    let path = path_of(target);
    let Some(bytes) = target.fs().read_file(&path, MAX_BYTES)? else { return Ok(Vec::new()) };
    let journal: Journal =
        serde_json::from_slice(&bytes).map_err(|error| invalid(&path, &error.to_string()).because(error))?;
    journal.check(target).map_err(|fault| invalid(&path, &fault))?;
    if !is_abandoned(target.fs(), &target.parent().join(&journal.staging))? {
        return Err(invalid(&path, "the run that wrote it is still at work"));
    }
    journal.apply(target, Pass::Recovery).map_err(incomplete)?;
    Ok(journal.partitions.into_iter().map(|entry| entry.path).collect())
}

/// Where the journal of a target is while a commit is under way.
pub(super) fn path_of(target: &CheckedTarget) -> PathBuf {
    target.parent().join(target.hidden_name(NAME))
}

fn invalid(path: &Path, fault: &str) -> Error {
    let message = format!("the journal {} of an unfinished commit is invalid: {fault}", printable(path));
    Error::new(ErrorKind::Output, message).hint(
        "nothing was changed: look at the partitions and at the staging directory beside it, and delete the journal to give its commit up",
    )
}

fn incomplete(error: Error) -> Error {
    error.hint("the commit is decided, but not complete: run again, or `gristmill recover` the output")
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "cannot write the journal as JSON").because(error)
}
