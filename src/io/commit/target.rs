//! Where an output goes, and the checks that are made before any work is done.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::attempt::{self, Attempt};
use super::fs::Fs;
use super::generations::{State, generation_of, is_in_place};
use super::in_place::is_only_remains;
use super::manifest::{self, Manifest};
use super::mode::Mode;
use super::staging::staging_dirs;
use super::stamp::{Identity, Stamp};
use crate::config::CommitBy;
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::mounts;
use crate::io::resolve::{conflict, hint_of_url};

/// File systems take names of this many bytes.
const MAX_NAME_BYTES: usize = 255;

/// What the longest hidden name beside a target adds to its own.
const MAX_ADDED_BYTES: usize = 64;

/// What to do with what is at the target already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// It is an error.
    #[default]
    Refuse,
    /// Replace it if it is gristmill's: a directory with a valid manifest. Also an empty directory, and, for an output
    /// that is one file, any regular file.
    Overwrite,
    /// Replace any directory, whoever wrote it and whatever it holds.
    Force,
}

/// Whether an output is a directory of parts or a single file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A directory that holds the parts and a manifest.
    Directory,
    /// One file, without a manifest.
    File,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Shape::Directory => "directory",
            Shape::File => "file",
        }
    }
}

/// Where an output is to go; only a description, nothing is looked at before [`check`](Target::check).
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use gristmill::io::commit::{Existing, Shape, Target, manifest};
/// use serde_json::json;
///
/// # let dir = tempfile::tempdir()?;
/// let target = Target::new(dir.path().join("counts"), Shape::Directory, Existing::Refuse);
/// let attempt = target.check(&[])?.begin()?;
///
/// let mut part = attempt.create_part("part-00000.csv")?;
/// part.write_all(b"word,count\nhello,2\n")?;
/// let part = part.finish(1)?;
///
/// attempt.commit(json!(["word", "count"]), json!({}), vec![part])?;
/// assert_eq!(manifest::verify(&dir.path().join("counts"))?.rows, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Target {
    path: PathBuf,
    shape: Shape,
    existing: Existing,
    mode: Mode,
    partition_by: Vec<String>,
    commit_by: CommitBy,
    is_alone: bool,
    fs: Fs,
}

impl Target {
    /// An output of some shape at a path.
    pub fn new(path: impl Into<PathBuf>, shape: Shape, existing: Existing) -> Target {
        let (mode, partition_by) = (Mode::Whole, Vec::new());
        let (commit_by, is_alone, fs) = (CommitBy::Auto, true, Fs::real());
        Target { path: path.into(), shape, existing, mode, partition_by, commit_by, is_alone, fs }
    }

    /// The same target, committed so. Default: [`CommitBy::Auto`].
    pub fn commit_by(mut self, commit_by: CommitBy) -> Target {
        self.commit_by = commit_by;
        self
    }

    /// The same target, to be committed together with others unless it is alone: what cannot be is refused at the beginning then.
    pub fn alone(mut self, is_alone: bool) -> Target {
        self.is_alone = is_alone;
        self
    }

    /// The same target as a table whose rows lie in a directory for each of their values in these columns.
    pub fn partitioned_by(mut self, columns: Vec<String>) -> Target {
        self.partition_by = columns;
        self
    }

    /// The same target, of which only so much is replaced. Default: [`Mode::Whole`].
    pub fn mode(mut self, mode: Mode) -> Target {
        self.mode = mode;
        self
    }

    /// The same target on a file system that a test watches.
    pub fn on(mut self, fs: Fs) -> Target {
        self.fs = fs;
        self
    }

    /// Checks at plan time what can be known before any work is done, and remembers what is there.
    ///
    /// Only the last component of the path is created by a commit; its parent directory must be there already, as a
    /// misspelled path would otherwise become a new tree of directories. A symbolic link is followed: what it leads to
    /// is replaced, and the link stays. Inputs are files, directories of which all is read, and patterns, as
    /// [`resolve`](crate::io::resolve::resolve) takes them; what is missing is not looked at: its reader reports it.
    ///
    /// # Errors
    ///
    /// All say what to do. [`ErrorKind::Config`] if something is there that may not be replaced, if a file is where a
    /// directory goes or the other way around, if the path names nothing that can be created, and if an input is the
    /// target, lies in it, has it in itself, or is a pattern that would find it. [`ErrorKind::Output`] if the parent directory is missing or not writable,
    /// if the target is a mount point, and for a symbolic link that leads nowhere or around in a circle.
    pub fn check(&self, inputs: &[PathBuf]) -> Result<CheckedTarget> {
        self.check_mode()?;
        let (parent, name) = self.locate()?;
        let path = parent.join(&name);
        self.fs.check_writable(&parent)?;
        let mut target = self.unseen(parent, name);
        target.look()?;
        self.check_inputs(&path, inputs)?;
        if self.shape == Shape::Directory && mounts::is_object_store(&mounts::table(), target.parent()) {
            target.given.commit_by = CommitBy::Manifest;
        }
        if target.commit_by() == CommitBy::Manifest {
            target.check_without_renames()?;
        }
        Ok(target)
    }

    /// The target without a look at what is there.
    pub(super) fn located(&self) -> Result<CheckedTarget> {
        let (parent, name) = self.locate()?;
        Ok(self.unseen(parent, name))
    }

    fn unseen(&self, parent: PathBuf, name: OsString) -> CheckedTarget {
        let path = parent.join(&name);
        let (there, state) = (There::Nothing, State::default());
        CheckedTarget { parent, path, name, seen: None, there, state, is_begun: false, given: self.clone() }
    }

    /// What contradicts itself, whatever is there.
    fn check_mode(&self) -> Result<()> {
        if self.shape == Shape::File && (self.mode != Mode::Whole || !self.partition_by.is_empty()) {
            let fault = "is a single file, which has neither partitions nor parts to add";
            return Err(self.config(fault, "give the path of a directory, without an extension"));
        }
        let declared = self.mode.declared().unwrap_or_default();
        if let Some(wrong) = declared.iter().find(|partition| !partition.begins(&self.partition_by)) {
            let fault = format!("cannot have the partition {wrong}");
            let columns = self.partition_by.join("`, `");
            return Err(self.config(&fault, &format!("its levels are `{columns}`, in this order")));
        }
        if matches!(self.mode, Mode::Partitions(_)) && self.partition_by.is_empty() {
            return Err(self.config(
                "has no partitions to replace",
                "say which columns make them: partition_by (--partition-by)",
            ));
        }
        match self.mode.append_id() {
            Some("") => {
                Err(self.config("cannot be appended to under an empty id", "give an id that names the run"))
            }
            _ => Ok(()),
        }
    }

    /// The directory in which the output's name is, and that name, symbolic links followed.
    fn locate(&self) -> Result<(PathBuf, OsString)> {
        let given: PathBuf = self.path.components().collect(); // without a trailing slash, which would hide a link
        let is_link = self.fs.inspect(&given)?.is_some_and(|found| found.is_symlink());
        let path = if is_link { self.fs.resolve(&given)?.ok_or_else(|| self.dangling())? } else { given };
        let Some(name) = path.file_name() else {
            return Err(self.config("names no file or directory that can be replaced", "end it with a name"));
        };
        if name.len() + MAX_ADDED_BYTES > MAX_NAME_BYTES {
            return Err(self.config("ends in a name that is too long", "use at most 191 bytes"));
        }
        Ok((self.resolve_parent(&path)?, name.to_owned()))
    }

    fn resolve_parent(&self, path: &Path) -> Result<PathBuf> {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        self.fs.resolve(parent)?.ok_or_else(|| {
            let message = format!("the directory {} does not exist", printable(parent));
            let hint = hint_of_url(path).unwrap_or("create it: a run only creates its output itself");
            Error::new(ErrorKind::Output, message).hint(hint)
        })
    }

    fn check_kind(&self, found: &Metadata) -> Result<()> {
        match self.shape {
            Shape::Directory if found.is_dir() => Ok(()),
            Shape::File if found.is_file() => Ok(()),
            shape => {
                let fault = format!("is not a {}", shape.name());
                Err(self.config(&fault, "give another path; this one is never replaced"))
            }
        }
    }

    /// Whether what is there may be replaced, or added to, and what of it is a table.
    fn check_replaceable(&self, path: &Path, state: &State, is_begun: bool) -> Result<There> {
        if self.mode != Mode::Whole {
            return self.check_continued(path, state);
        }
        // What a run has left that died before it could commit in place is no output.
        let is_remains = self.shape == Shape::Directory
            && (is_begun || self.existing == Existing::Overwrite)
            && is_only_remains(&self.fs, path)?;
        match (self.existing, self.shape) {
            (Existing::Refuse | Existing::Overwrite, _) if is_remains => {}
            (Existing::Refuse, _) => {
                return Err(
                    self.config("exists already", "use --overwrite to replace it, or give another path")
                );
            }
            (Existing::Force, _) | (Existing::Overwrite, Shape::File) => {}
            (Existing::Overwrite, Shape::Directory) => self.check_own(path)?,
        }
        Ok(There::Replaceable)
    }

    /// Only what gristmill wrote in the same layout can be gone on with; an empty directory is as good as none.
    fn check_continued(&self, path: &Path, state: &State) -> Result<There> {
        let other = "give another path, or replace all of it";
        if state.counts.as_ref().is_some_and(|(generation, _)| *generation > 0) {
            return Err(self.config("was committed in place", other));
        }
        match manifest::read(path) {
            Ok(Some(found)) if found.partition_by == self.partition_by => Ok(There::Table(Box::new(found))),
            Ok(Some(found)) => {
                let fault = match found.partition_by.as_slice() {
                    [] => "is not partitioned".to_owned(),
                    columns => format!("is partitioned by `{}`", columns.join("`, `")),
                };
                Err(self.config(&fault, other))
            }
            Ok(None) if self.fs.list(path)?.is_empty() => Ok(There::Replaceable),
            Ok(None) => Err(self.config("was not written by gristmill", other)),
            Err(error) => Err(self.config("has no valid manifest", other).because(error)),
        }
    }

    fn check_own(&self, path: &Path) -> Result<()> {
        let foreign = "use --force to replace it with all that is in it, or give another path";
        match manifest::read(path) {
            Ok(Some(_)) => Ok(()),
            Ok(None) if self.fs.list(path)?.is_empty() => Ok(()),
            Ok(None) => Err(self.config("was not written by gristmill", foreign)),
            Err(error) => Err(self.config("has no valid manifest", foreign).because(error)),
        }
    }

    /// A mount point can be neither renamed nor exchanged.
    fn check_no_mount_point(&self, parent: &Path, found: &Metadata) -> Result<()> {
        match self.fs.inspect(parent)? {
            Some(parent) if parent.dev() != found.dev() => {
                let message = format!("the output {} is a mount point", printable(&self.path));
                Err(Error::new(ErrorKind::Output, message).hint("write to a path below it"))
            }
            _ => Ok(()),
        }
    }

    fn check_inputs(&self, path: &Path, inputs: &[PathBuf]) -> Result<()> {
        let mut parent = None;
        for input in inputs {
            let real = self.real_path(input, &mut parent)?;
            if let Some(fault) = conflict(path, input, real.as_deref()) {
                return Err(self.config(&format!("{fault} {}", printable(input)), "write to another path"));
            }
        }
        Ok(())
    }

    /// An input without symbolic links; `None` where it leads nowhere. Many lie in one directory, so the last one is kept.
    fn real_path(&self, input: &Path, last: &mut Option<(PathBuf, PathBuf)>) -> Result<Option<PathBuf>> {
        let (Some(parent), Some(name)) =
            (input.parent().filter(|parent| !parent.as_os_str().is_empty()), input.file_name())
        else {
            return self.fs.resolve(input);
        };
        // `link/.` is what the link leads to, although its last name is that of the link.
        let ends_in_name = input.as_os_str().as_bytes().ends_with(name.as_bytes());
        if !ends_in_name || self.fs.inspect(input)?.is_none_or(|found| found.is_symlink()) {
            return self.fs.resolve(input);
        }
        if last.as_ref().is_none_or(|(known, _)| known != parent) {
            *last = self.fs.resolve(parent)?.map(|real| (parent.to_owned(), real));
        }
        Ok(last.as_ref().map(|(_, real)| real.join(name)))
    }

    fn dangling(&self) -> Error {
        let path = printable(&self.path);
        Error::new(ErrorKind::Output, format!("the output {path} is a symbolic link that leads nowhere"))
            .hint("create what it leads to, or delete it")
    }

    fn config(&self, fault: &str, hint: &str) -> Error {
        Error::new(ErrorKind::Config, format!("the output {} {fault}", printable(&self.path))).hint(hint)
    }
}

/// A target that has passed its checks, with what was there at that time.
#[derive(Debug, Clone)]
pub struct CheckedTarget {
    parent: PathBuf,
    path: PathBuf,
    name: OsString,
    seen: Option<Identity>,
    there: There,
    state: State,
    /// Whether a run that commits in place has begun with the directory, which may be dead by now and cleaned up.
    is_begun: bool,
    given: Target,
}

/// What is at the target.
#[derive(Debug, Clone)]
enum There {
    Nothing,
    /// What is replaced as a whole, whatever it is.
    Replaceable,
    /// An output of gristmill, to which partitions or parts go.
    Table(Box<Manifest>),
}

impl CheckedTarget {
    /// The path, absolute and without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts to write: locks the target, deletes what dead runs left beside it, and creates a staging directory.
    ///
    /// It never waits. Whoever wants to can try again on [`ErrorKind::Busy`], from [`Target::check`] on, as the other
    /// run's commit changes what is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`], naming the holder, if another run writes this target. [`ErrorKind::Output`] if the target is
    /// no longer what it was when it was checked, and if the staging directory cannot be created.
    pub fn begin(&self) -> Result<Attempt> {
        attempt::begin(self)
    }

    pub(super) fn parent(&self) -> &Path {
        &self.parent
    }

    pub(super) fn shape(&self) -> Shape {
        self.given.shape
    }

    pub(super) fn mode(&self) -> &Mode {
        &self.given.mode
    }

    pub(super) fn partition_by(&self) -> &[String] {
        &self.given.partition_by
    }

    pub(super) fn fs(&self) -> &Fs {
        &self.given.fs
    }

    pub(super) fn existing(&self) -> Existing {
        self.given.existing
    }

    pub(super) fn commit_by(&self) -> CommitBy {
        self.given.commit_by
    }

    pub(super) fn is_alone(&self) -> bool {
        self.given.is_alone
    }

    /// Which manifests were there when the target was looked at.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Whether something was there when the target was looked at.
    pub(super) fn is_replacement(&self) -> bool {
        self.seen.is_some()
    }

    /// The manifest of what partitions or parts are added to, if anything of that kind is there.
    pub(super) fn table(&self) -> Option<&Manifest> {
        match &self.there {
            There::Table(manifest) => Some(manifest),
            There::Nothing | There::Replaceable => None,
        }
    }

    /// Looks at what is there, and remembers it.
    pub(super) fn look(&mut self) -> Result<()> {
        let found = self.fs().inspect(&self.path)?;
        let is_dir = found.as_ref().is_some_and(Metadata::is_dir);
        self.state = if is_dir { State::of(&self.path)? } else { State::default() };
        self.there = match &found {
            None => There::Nothing,
            Some(found) => {
                self.given.check_kind(found)?;
                self.is_begun = self.is_begun || is_dir && self.has_begun()?;
                let there = self.given.check_replaceable(&self.path, &self.state, self.is_begun)?;
                self.given.check_no_mount_point(&self.parent, found)?;
                if found.is_dir() {
                    self.fs().check_writable(&self.path)?; // or it could be neither moved to staging nor emptied there
                }
                there
            }
        };
        self.seen = found.as_ref().map(Identity::of);
        Ok(())
    }

    /// Whether nothing is there but what such a run has left that died before its commit.
    pub(super) fn has_only_remains(&self) -> Result<bool> {
        Ok(self.is_begun && is_only_remains(self.fs(), &self.path)?)
    }

    /// Whether there are traces of a run that commits in place; the first of all is its staging directory.
    fn has_begun(&self) -> Result<bool> {
        let names = self.fs().list(&self.path)?;
        let is_trace = |name: &OsString| is_in_place(name) || generation_of(name).is_some();
        Ok(names.iter().any(is_trace) || !staging_dirs(self)?.is_empty())
    }

    /// Takes what another output of the same commit creates for what is there: a table, to which this one adds partitions.
    pub(super) fn expect(&mut self, created: Manifest) {
        self.there = There::Table(Box::new(created));
    }

    /// What was there when the target was looked at.
    pub(super) fn seen(&self) -> Option<Stamp> {
        self.seen.map(|seen| seen.stamp)
    }

    /// The name of the output in its directory.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// A hidden name beside the target: a dot, the target's name, and a suffix.
    pub(super) fn hidden_name(&self, suffix: &str) -> OsString {
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(suffix);
        name
    }

    /// Fails unless what is there now is what was there when the target was checked.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        let now = self.fs().inspect(&self.path)?.as_ref().map(Identity::of);
        if now == self.seen {
            return Ok(());
        }
        let message = format!(
            "the output {} was changed by somebody else since the run was planned",
            printable(&self.path)
        );
        Err(Error::new(ErrorKind::Output, message).hint("nothing was replaced: look at it, and run again"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: PathBuf, shape: Shape, existing: Existing, inputs: &[PathBuf]) -> Result<CheckedTarget> {
        Target::new(path, shape, existing).check(inputs)
    }

    fn message(result: Result<CheckedTarget>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn what_is_there_is_replaced_only_as_far_as_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("empty")).unwrap();
        std::fs::create_dir(at("foreign")).unwrap();
        std::fs::write(at("foreign/diary"), "dear").unwrap();
        std::fs::write(at("file"), "data").unwrap();

        let (directory, file) = (Shape::Directory, Shape::File);
        let refused = message(check(at("empty"), directory, Existing::Refuse, &[]));
        assert!(refused.contains("--overwrite"), "{refused}");
        check(at("empty"), directory, Existing::Overwrite, &[]).unwrap();
        let foreign = message(check(at("foreign"), directory, Existing::Overwrite, &[]));
        assert!(foreign.contains("--force"), "{foreign}");
        check(at("foreign"), directory, Existing::Force, &[]).unwrap();
        assert!(check(at("file"), file, Existing::Refuse, &[]).is_err());
        check(at("file"), file, Existing::Overwrite, &[]).unwrap();
        assert!(check(at("file"), directory, Existing::Force, &[]).is_err());
        assert!(check(at("foreign"), file, Existing::Force, &[]).is_err());
    }

    #[test]
    fn paths_that_cannot_be_created_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        for path in ["missing/out", "file/out", ".."] {
            let result = check(dir.path().join(path), Shape::Directory, Existing::Force, &[]);
            assert!(result.is_err(), "{path}");
        }
        assert!(check(PathBuf::from("/"), Shape::Directory, Existing::Force, &[]).is_err());
        assert!(check(PathBuf::new(), Shape::Directory, Existing::Force, &[]).is_err());
        let long = dir.path().join("x".repeat(MAX_NAME_BYTES));
        assert!(check(long, Shape::Directory, Existing::Refuse, &[]).is_err());
    }

    #[test]
    fn an_input_may_neither_be_the_target_nor_lie_in_it_nor_around_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("in/deep")).unwrap();
        std::os::unix::fs::symlink(at("in"), at("alias")).unwrap();
        let force =
            |path: &str, input: &str| check(at(path), Shape::Directory, Existing::Force, &[at(input)]);
        assert!(message(force("in", "in")).contains("is also an input"));
        assert!(message(force("in", "in/deep")).contains("has the input in it"));
        assert!(message(force("in/deep", "in")).contains("lies in the input"));
        assert!(message(force("in/deep/../new", "alias")).contains("lies in the input"));
        force("inside", "in").unwrap();
        force("in", "missing").unwrap();
    }

    #[test]
    fn symbolic_links_are_followed_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, at(name)).unwrap();
        std::fs::create_dir(at("real")).unwrap();
        link("real", "good");
        link("nowhere", "dangling");
        link("loop", "loop");
        let checked = check(at("good"), Shape::Directory, Existing::Overwrite, &[]).unwrap();
        assert_eq!(checked.path(), at("real").canonicalize().unwrap());
        for name in ["dangling", "loop"] {
            let refused = message(check(at(name), Shape::Directory, Existing::Force, &[]));
            assert!(refused.contains("symbolic link"), "{refused}");
        }
    }
}
