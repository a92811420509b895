//! The changes that a journal lists: what is to take which place, whether it can, and the renames that do it.
//!
//! All of this can be done again after it was done in part.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fs::Fs;
use super::manifest;
use super::staging::{NEW, OLD};
use super::stamp::Stamp;
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::hive::PartitionPath;

/// An output of a decided commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Where the output is, absolute.
    pub(super) path: PathBuf,
    /// The staging directory beside it.
    pub(super) staging: PathBuf,
    pub(super) change: Change,
}

/// What of an output changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    Whole(Whole),
    Partitions(Vec<Partition>),
}

/// An output that is replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whole {
    /// The only part of a single file; nothing for a directory.
    part: Option<String>,
    /// The inode of what is new, which it keeps wherever it goes.
    new: u64,
    /// What it takes the place of.
    old: Option<Stamp>,
}

/// A partition of a table that is there, or that an earlier change of the same commit creates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Partition {
    path: String,
    /// The attempt in the manifest of what is new.
    attempt: String,
}

/// Whether changes that are made already are left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// None is: this is the run itself.
    First,
    /// Some may be.
    Recovery,
}

impl Change {
    pub(super) fn partitions(partitions: &[(PartitionPath, String)]) -> Change {
        let entry = |(path, attempt): &(PartitionPath, String)| Partition {
            path: path.to_string(),
            attempt: attempt.clone(),
        };
        Change::Partitions(partitions.iter().map(entry).collect())
    }
}

impl Whole {
    /// What lies in a staging directory, to take the place of `old`.
    pub(super) fn new(fs: &Fs, staging: &Path, old: Option<Stamp>, part: Option<String>) -> Result<Whole> {
        let mut whole = Whole { part, new: 0, old };
        let staged = whole.staged(staging);
        let found = fs.inspect(&staged)?.ok_or_else(|| {
            let message = format!("{} was deleted while the output was written", printable(&staged));
            Error::new(ErrorKind::Output, message).hint("see who deletes there, and run again")
        })?;
        whole.new = Stamp::of(&found).inode;
        Ok(whole)
    }

    fn staged(&self, staging: &Path) -> PathBuf {
        let dir = staging.join(NEW);
        self.part.as_ref().map_or(dir.clone(), |part| dir.join(part))
    }

    /// Takes the place by one rename, or by two where directories cannot be exchanged; to be done once.
    pub(super) fn put_in_place(&self, fs: &Fs, path: &Path, staging: &Path) -> Result<()> {
        let staged = self.staged(staging);
        match (&self.part, self.old) {
            (_, None) => fs.rename_new(&staged, path),
            (None, Some(_)) => take_place(fs, &staged, path, staging, &staging.join(OLD)),
            (Some(_), Some(_)) => fs.replace(&staged, path),
        }
    }

    fn is_in_place(&self, fs: &Fs, path: &Path) -> Result<bool> {
        Ok(stamp(fs, path)?.is_some_and(|there| there.inode == self.new))
    }

    /// Whether what was to be replaced has left its place, and nothing has taken it yet.
    fn is_aside(&self, fs: &Fs, place: &Place) -> Result<bool> {
        let aside = stamp(fs, &place.staging.join(OLD))?;
        Ok(aside.is_some_and(|aside| Some(aside.inode) == self.old.map(|old| old.inode)))
    }

    fn fault(&self, fs: &Fs, place: &Place) -> Result<Option<String>> {
        if self.is_in_place(fs, &place.path)? {
            return Ok(None);
        }
        let (path, staged) = (printable(&place.path), self.staged(&place.staging));
        if !self.is_in_place(fs, &staged)? {
            return Ok(Some(format!(
                "the new output {path} is neither in place nor at {}",
                printable(&staged)
            )));
        }
        let there = stamp(fs, &place.path)?;
        let changed = there != self.old && !(there.is_none() && self.is_aside(fs, place)?);
        Ok(changed.then(|| format!("the output {path} was changed by somebody else in the meantime")))
    }
}

/// Puts a directory in the place of another one, if that is still there. What was there lies then where the new one came from; or, where directories
/// cannot be exchanged, at `aside` in the staging directory, and for an instant there was nothing.
fn take_place(fs: &Fs, staged: &Path, place: &Path, staging: &Path, aside: &Path) -> Result<()> {
    if fs.inspect(place)?.is_some() {
        if fs.exchange(staged, place)? {
            return Ok(());
        }
        create_above(fs, staging, aside)?;
        fs.rename_new(place, aside)?;
    }
    fs.rename_new(staged, place)
}

fn stamp(fs: &Fs, path: &Path) -> Result<Option<Stamp>> {
    Ok(fs.inspect(path)?.as_ref().map(Stamp::of))
}

/// What makes it impossible to make all of the changes, if anything does.
pub(super) fn fault(fs: &Fs, places: &[Place]) -> Result<Option<String>> {
    let mut created = BTreeSet::new();
    for place in places {
        let fault = match &place.change {
            Change::Whole(whole) => {
                created.insert(&place.path);
                whole.fault(fs, place)?
            }
            Change::Partitions(_) if !place.path.is_dir() && !created.contains(&place.path) => {
                Some(format!("the output {} is gone", printable(&place.path)))
            }
            Change::Partitions(partitions) => partitions.iter().find_map(|partition| partition.fault(place)),
        };
        if fault.is_some() {
            return Ok(fault);
        }
    }
    Ok(None)
}

impl Partition {
    fn fault(&self, place: &Place) -> Option<String> {
        let canonical = PartitionPath::parse(&self.path).is_ok_and(|path| path.as_str() == self.path);
        if !canonical {
            return Some(format!("it names {:?}, which is no partition", self.path));
        }
        let is_at = |dir: &Path| carries(&dir.join(&self.path), &self.attempt);
        if is_at(&place.path) || is_at(&place.staging.join(NEW)) {
            return None;
        }
        let (path, staging) = (printable(&place.path.join(&self.path)), printable(&place.staging));
        Some(format!("the new partition {path} is neither in place nor in {staging}"))
    }
}

/// Whether the manifest of a partition carries an attempt.
fn carries(dir: &Path, attempt: &str) -> bool {
    manifest::read(dir).is_ok_and(|found| found.is_some_and(|found| found.attempt == attempt))
}

/// Makes the changes, durably; returns the outputs and partitions that are new now.
pub(super) fn put_in_place(fs: &Fs, places: &[Place], pass: Pass) -> Result<Vec<PathBuf>> {
    let (mut new, mut changed) = (Vec::new(), BTreeSet::new());
    for place in places {
        match &place.change {
            Change::Whole(whole) => {
                if pass == Pass::First || !whole.is_in_place(fs, &place.path)? {
                    whole.put_in_place(fs, &place.path, &place.staging)?;
                }
                changed.extend(place.path.parent().map(Path::to_owned));
                new.push(place.path.clone());
            }
            Change::Partitions(partitions) => {
                for Partition { path, attempt } in partitions {
                    let at = place.path.join(path);
                    if pass == Pass::First || !carries(&at, attempt) {
                        put_partition(fs, place, Path::new(path))?;
                    }
                    let above = at.ancestors().skip(1).take_while(|dir| dir.starts_with(&place.path));
                    changed.extend(above.map(Path::to_owned));
                    new.push(at);
                }
            }
        }
    }
    // Also what a dead run has put in place: its renames may not be durable yet.
    changed.iter().rev().try_for_each(|dir| fs.sync_dir(dir))?;
    Ok(new)
}

fn put_partition(fs: &Fs, Place { path: table, staging, .. }: &Place, partition: &Path) -> Result<()> {
    let (staged, aside) = (staging.join(NEW).join(partition), staging.join(OLD).join(partition));
    let place = table.join(partition);
    create_above(fs, table, &place)?;
    take_place(fs, &staged, &place, staging, &aside)
}

/// Creates the directories that are missing between one that is there and a path in it.
fn create_above(fs: &Fs, dir: &Path, path: &Path) -> Result<()> {
    let mut missing = Vec::new();
    for between in path.ancestors().skip(1).take_while(|between| *between != dir) {
        if fs.inspect(between)?.is_some() {
            break;
        }
        missing.push(between);
    }
    missing.iter().rev().try_for_each(|dir| fs.create_dir(dir))
}
