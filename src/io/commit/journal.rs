//! The journal of a commit that consists of several changes: how it is written, found and carried out.
//!
//! Why and in which order all this is done is said in `transaction.rs`. A journal that cannot be carried out is reported, and nothing is
//! guessed.
//!
//! ```text
//! parent/
//!   out/dt=2026-01-01/                a partition: always absent, old or new
//!   .out.gristmill-staging-<id>/
//!     draft                           the journal before it has its name
//!     journal                         from the decision until all changes are made
//!     new/dt=2026-01-01/              the new partition; after the exchange, the old one
//! other/
//!   counts                            another output of the same run: always absent, old or new
//!   .counts.gristmill-staging-<id>/
//!     commit                          leads to the journal
//!     new                             the new output; after the exchange, the old one
//! ```

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::fs::Fs;
use super::lock::Lock;
use super::place::{self, Change, Pass, Place};
use super::recover::Recovered;
use super::staging::{LIVE, is_staging_name, remove};
use crate::error::{Error, ErrorKind, Result, printable};

/// The name of a journal in a staging directory.
pub(super) const NAME: &str = "journal";

/// The name of the file that leads to a journal in another staging directory.
const LEAD: &str = "commit";

const DRAFT: &str = "draft";
const VERSION: u32 = 2;

/// No journal is read beyond this.
const MAX_BYTES: u64 = 256 << 20;

/// The contents of a journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Journal {
    version: u32,
    outputs: Vec<Entry>,
    /// A hash of the rest.
    checksum: String,
}

/// A [`Place`]. Directories are relative, so that a tree may be found under another name by whoever recovers it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The directory of the output, from that of the first output.
    dir: Raw,
    /// The name of the output.
    name: Raw,
    /// The name of its staging directory.
    staging: Raw,
    change: Change,
}

/// The contents of a file that leads to a journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lead {
    /// The directory of the first output, from that of this one.
    dir: Raw,
    /// The name of its staging directory.
    staging: Raw,
    /// The name of the first output, whose lock file is never deleted: where that is missing, something else is.
    name: Raw,
}

/// A path in JSON: text, or bytes if it is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Raw {
    Text(String),
    Bytes(Vec<u8>),
}

impl Raw {
    fn of(path: &OsStr) -> Raw {
        match path.to_str() {
            Some(text) => Raw::Text(text.to_owned()),
            None => Raw::Bytes(path.as_bytes().to_owned()),
        }
    }

    fn path(self) -> OsString {
        match self {
            Raw::Text(text) => text.into(),
            Raw::Bytes(bytes) => OsString::from_vec(bytes),
        }
    }
}

/// Makes everything durable that a journal refers to: the names of staging directories, and what leads to the journal from them. Last, its
/// draft.
pub(super) fn prepare(fs: &Fs, places: &[Place]) -> Result<()> {
    let Some((first, others)) = places.split_first() else { return Ok(()) };
    // First of all, or a power failure could leave a lead to where not even the lock file is.
    let parents: BTreeSet<&Path> = places.iter().map(|place| dir_of(&place.path)).collect();
    parents.into_iter().try_for_each(|parent| fs.sync_dir(parent))?;
    for other in others {
        let lead = Lead {
            dir: Raw::of(relative(dir_of(&other.path), dir_of(&first.path)).as_os_str()),
            staging: Raw::of(name_of(&first.staging)),
            name: Raw::of(name_of(&first.path)),
        };
        // Under its name it is whole, even after a power failure.
        write_draft(fs, &other.staging, &to_json(&lead)?)?;
        fs.rename_new(&other.staging.join(DRAFT), &other.staging.join(LEAD))?;
        fs.sync_dir(&other.staging)?;
    }
    write_draft(fs, &first.staging, &to_json(&Journal::of(first, places)?)?)
}

fn write_draft(fs: &Fs, staging: &Path, bytes: &[u8]) -> Result<()> {
    fs.create_durable(&staging.join(DRAFT), bytes)?;
    fs.sync_dir(staging)
}

/// Gives the journal its name: the commit point.
pub(super) fn decide(fs: &Fs, places: &[Place]) -> Result<()> {
    let Some(first) = places.first() else { return Ok(()) };
    fs.rename_new(&first.staging.join(DRAFT), &first.staging.join(NAME))
}

/// Whether it is certain, after an error, that the journal has not got its name.
pub(super) fn is_undecided(fs: &Fs, places: &[Place]) -> bool {
    let first = places.first();
    first.is_none_or(|first| fs.inspect(&first.staging.join(NAME)).is_ok_and(|found| found.is_none()))
}

/// Makes the changes, after [`decide`], and removes the journal.
pub(super) fn carry_out(fs: &Fs, places: &[Place]) -> Result<()> {
    let Some(first) = places.first() else { return Ok(()) };
    fs.sync_dir(&first.staging).map_err(incomplete)?;
    make_changes(fs, places, &first.staging, Pass::First).map_err(incomplete).map(drop)
}

fn make_changes(fs: &Fs, places: &[Place], first: &Path, pass: Pass) -> Result<Vec<PathBuf>> {
    let new = place::put_in_place(fs, places, pass)?;
    fs.remove_file(&first.join(NAME))?;
    fs.sync_dir(first)?;
    Ok(new)
}

/// The staging directory in which the journal of a decided commit lies that the output of this staging directory is part of; `None` if
/// there is no such commit.
///
/// # Errors
///
/// [`ErrorKind::Output`] if that cannot be told, because it lies where nothing is now.
pub(super) fn led_to_by(fs: &Fs, root: &Path) -> Result<Option<PathBuf>> {
    if fs.inspect(&root.join(NAME))?.is_some() {
        return Ok(Some(root.to_owned()));
    }
    let path = root.join(LEAD);
    let Some(bytes) = fs.read_file(&path, MAX_BYTES)? else { return Ok(None) };
    let Lead { dir, staging, name } =
        serde_json::from_slice(&bytes).map_err(|error| invalid(&path, &error.to_string()).because(error))?;
    let dir = dir_of(root).join(dir.path());
    let mut lock = OsString::from(".");
    lock.push(name.path());
    lock.push(super::attempt::LOCK);
    match fs.resolve(&dir)? {
        Some(dir) if fs.inspect(&dir.join(lock))?.is_some() => {
            let first = dir.join(staging.path());
            let is_there = fs.inspect(&first.join(NAME))?.is_some();
            Ok(is_there.then_some(first))
        }
        _ => Err(lost(root, &dir)),
    }
}

/// Carries out the journal in a staging directory, unless somebody else does so first, and deletes the staging directories of its commit.
///
/// Called with the lock of one of its outputs, so that no commit is under way there. It waits for whoever is at work on the journal.
///
/// # Errors
///
/// [`ErrorKind::Output`] if the journal is invalid, and for every failure of the file system; the journal then stays.
pub(super) fn complete(fs: &Fs, first: &Path, recovered: &mut Recovered) -> Result<()> {
    let path = first.join(NAME);
    let lock = Lock::wait_if_there(fs, &first.join(LIVE))?;
    let Some(bytes) = fs.read_file(&path, MAX_BYTES)? else { return Ok(()) };
    if lock.is_none() {
        return Err(invalid(&path, &format!("the {LIVE} beside it is gone")));
    }
    let journal: Journal =
        serde_json::from_slice(&bytes).map_err(|error| invalid(&path, &error.to_string()).because(error))?;
    let places = journal.places(fs, first)?;
    if let Some(fault) = place::fault(fs, &places)? {
        return Err(invalid(&path, &fault));
    }
    let new = make_changes(fs, &places, first, Pass::Recovery).map_err(incomplete)?;
    drop(lock); // its directory is deleted below, which NFS does not do with an open file in it
    recovered.rolled_forward.extend(new);
    for place in places.iter().rev() {
        remove(fs, &place.staging)?;
        recovered.deleted.push(place.staging.clone());
    }
    Ok(())
}

impl Journal {
    fn of(first: &Place, places: &[Place]) -> Result<Journal> {
        let entry = |place: &Place| Entry {
            dir: Raw::of(relative(dir_of(&first.path), dir_of(&place.path)).as_os_str()),
            name: Raw::of(name_of(&place.path)),
            staging: Raw::of(name_of(&place.staging)),
            change: place.change.clone(),
        };
        let outputs = places.iter().map(entry).collect();
        let mut journal = Journal { version: VERSION, outputs, checksum: String::new() };
        journal.checksum = journal.hash()?;
        Ok(journal)
    }

    fn hash(&self) -> Result<String> {
        let bytes = serde_json::to_vec(&(self.version, &self.outputs)).map_err(unwritable)?;
        Ok(format!("{:032x}", xxh3_128(&bytes)))
    }

    /// The outputs where they are now.
    fn places(self, fs: &Fs, first: &Path) -> Result<Vec<Place>> {
        let invalid = |fault: String| Err(invalid(&first.join(NAME), &fault));
        if self.version != VERSION {
            return invalid(format!("its version is {}, not {VERSION}", self.version));
        }
        if self.hash()? != self.checksum {
            return invalid("it has been altered since it was written".to_owned());
        }
        let mut places = Vec::with_capacity(self.outputs.len());
        for Entry { dir, name, staging, change } in self.outputs {
            let dir = dir_of(first).join(dir.path());
            let Some(dir) = fs.resolve(&dir)? else {
                return invalid(format!("the directory {} is not there", printable(&dir)));
            };
            let (path, staging) = (dir.join(name.path()), dir.join(staging.path()));
            let are_in_it = [&path, &staging].iter().all(|path| path.parent() == Some(&*dir));
            if !are_in_it || !is_staging_name(name_of(&path), name_of(&staging)) {
                return invalid(format!("{} is no staging directory of its output", printable(&staging)));
            }
            // A journal that somebody has made up leads nowhere where they cannot write.
            if led_to_by(fs, &staging)?.as_deref() != Some(first) {
                return invalid(format!("{} is no part of its commit", printable(&staging)));
            }
            places.push(Place { path, staging, change });
        }
        Ok(places)
    }
}

fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

/// The way from one directory to another, both absolute and without symbolic links.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(from, to)| from == to).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(to.components().skip(shared)).collect();
    if way.as_os_str().is_empty() { PathBuf::from(".") } else { way }
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(unwritable)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn invalid(path: &Path, fault: &str) -> Error {
    let message = format!("the journal {} of an unfinished commit is invalid: {fault}", printable(path));
    Error::new(ErrorKind::Output, message).hint(
        "nothing was changed: look at the outputs and at the staging directories beside them, and delete the journal to give the commit up",
    )
}

fn lost(root: &Path, dir: &Path) -> Error {
    let (root, dir) = (printable(root), printable(dir));
    let message =
        format!("{root} belongs to a commit whose journal would lie in {dir}, where it cannot be looked for");
    Error::new(ErrorKind::Output, message).hint(
        "mount what is missing, or move it back; or delete the staging directory to leave its output as it is",
    )
}

fn incomplete(error: Error) -> Error {
    error.hint("the commit is decided, but not complete: run again, or `gristmill recover` the output")
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "cannot write the journal as JSON").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_between_directories_goes_up_as_far_as_it_must() {
        for (from, to, way) in [
            ("/a/b", "/a/b", "."),
            ("/a/b", "/a", ".."),
            ("/a", "/a/b", "b"),
            ("/a/b/c", "/x/y", "../../../x/y"),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)), Path::new(way), "{from} {to}");
        }
    }

    #[test]
    fn names_that_are_not_text_come_back() {
        for name in [&b"plain"[..], b"\xff\xfe", b"", "ünï\n".as_bytes()] {
            let raw = Raw::of(OsStr::from_bytes(name));
            let back: Raw = serde_json::from_slice(&serde_json::to_vec(&raw).unwrap()).unwrap();
            assert_eq!(back.path().as_bytes(), name);
        }
    }
}
