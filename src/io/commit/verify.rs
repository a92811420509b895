//! An output against its manifests: what is missing, what has changed, and what is not gristmill's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::generations::{Table, is_in_place, is_manifest, path_of_manifest};
use super::journal;
use super::manifest::{self, FILE_NAME, Manifest, PartEntry, checksum_of, open_file};
use super::staging::staging_dirs;
use super::target::{Existing, Shape, Target};
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::hive::PartitionPath;

/// What [`check`] has found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verified {
    /// The manifest of the output.
    pub manifest: Manifest,
    /// The number of partitions; 0 if the output is not partitioned.
    pub partitions: u64,
    /// The number of files that manifests list.
    pub parts: u64,
    /// Their rows, as manifests say.
    pub rows: u64,
    /// Their bytes, as manifests say.
    pub bytes: u64,
    /// What is wrong, in the order of the paths of the directories.
    pub faults: Vec<Fault>,
}

/// One thing that is not as its manifest says.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fault {
    /// The file or directory.
    pub path: PathBuf,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What is wrong with it, for people.
    pub message: String,
    /// What can be done, for people.
    pub hint: String,
}

/// A kind of [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A file, or the manifest of a partition, is not there.
    Missing,
    /// A file or manifest is not what was written, or cannot be read.
    Changed,
    /// No manifest lists it.
    Foreign,
    /// A commit is under way, or its run died: some partitions may be old, and others new, or there are files that do not count.
    Unfinished,
}

/// Reads all files of an output and compares names, lengths and checksums with its manifests. Names that begin with a dot are not
/// looked at. Rows are not counted again: the checksum covers them.
///
/// # Errors
///
/// [`ErrorKind::Input`] if the directory cannot be listed, or has no manifest that can be read.
///
/// # Examples
///
/// ```
/// use gristmill::io::commit::verify::{FaultKind, check};
/// use gristmill::prelude::*;
///
/// # let dir = tempfile::tempdir()?;
/// # let out = dir.path().join("out");
/// Context::new()?.range(0..9).write_parquet(&out, ParquetOptions::default())?;
/// assert_eq!(check(&out)?.rows, 9);
/// std::fs::remove_file(out.join("part-00000.parquet"))?;
/// assert_eq!(check(&out)?.faults[0].kind, FaultKind::Missing);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check(dir: &Path) -> Result<Verified> {
    let manifest = manifest::read(dir)?.ok_or_else(|| {
        Error::new(ErrorKind::Input, format!("{} has no {FILE_NAME}", printable(dir)))
            .hint("it was not written by gristmill, or not to the end")
    })?;
    let depth = manifest.partition_by.len();
    let found = Verified { manifest, partitions: 0, parts: 0, rows: 0, bytes: 0, faults: Vec::new() };
    let mut walk = Walk { root: dir, found };
    walk.journal()?;
    if depth == 0 {
        let parts = walk.found.manifest.parts.clone();
        walk.directory(dir, &parts)?;
    } else if Table::at(dir)?.is_some() {
        walk.table_in_place()?;
    } else {
        walk.levels(depth)?;
    }
    Ok(walk.found)
}

/// The journals of commits of an output that are decided, but not complete.
///
/// # Errors
///
/// [`ErrorKind::Output`] if a directory cannot be listed, or a journal lies where nothing is now.
pub(crate) fn journals(output: &Path) -> Result<Vec<PathBuf>> {
    let target = Target::new(output, Shape::Directory, Existing::Refuse).located()?;
    let mut found = Vec::new();
    for staging in staging_dirs(&target)? {
        let decided = journal::led_to_by(target.fs(), &staging)?;
        found.extend(decided.map(|decided| decided.join(journal::NAME)));
    }
    Ok(found)
}

struct Walk<'a> {
    root: &'a Path,
    found: Verified,
}

impl Walk<'_> {
    fn journal(&mut self) -> Result<()> {
        for path in journals(self.root)? {
            let message = format!("{} tells of a commit that is not complete", printable(&path));
            let hint = "if no run is at work, `gristmill recover` the output";
            self.fault(&path, FaultKind::Unfinished, message, hint);
        }
        Ok(())
    }

    /// A table of which one manifest names all files.
    fn table_in_place(&mut self) -> Result<()> {
        let parts = self.found.manifest.parts.clone();
        let listed: BTreeSet<PathBuf> = parts.iter().map(|part| self.root.join(&part.name)).collect();
        let dirs: BTreeSet<&Path> = listed.iter().filter_map(|path| path.parent()).collect();
        self.found.partitions = dirs.len() as u64;
        self.parts(self.root, &parts);
        let manifest = path_of_manifest(self.root);
        let mut open = vec![self.root.to_owned()];
        while let Some(dir) = open.pop() {
            for name in visible_names(&dir)?.into_iter().rev() {
                let path = dir.join(&name);
                if PartitionPath::parse(&name).is_ok() && path.is_dir() {
                    open.push(path);
                } else if !listed.contains(&path) && path != manifest {
                    self.foreign(&path);
                }
            }
        }
        Ok(())
    }

    /// The directories of a table, level by level.
    fn levels(&mut self, depth: usize) -> Result<()> {
        let mut dirs = vec![(self.root.to_owned(), 0)];
        while let Some((dir, level)) = dirs.pop() {
            if level == depth {
                self.partition(&dir)?;
                continue;
            }
            for name in visible_names(&dir)?.into_iter().rev() {
                let path = dir.join(&name);
                let belongs = self.found.manifest.partition_by.get(level).is_some_and(|column| {
                    let component = PartitionPath::parse(&name);
                    component.is_ok_and(|path| path.levels().iter().all(|(name, _)| name == column))
                });
                if belongs && path.is_dir() {
                    dirs.push((path, level + 1));
                } else if level > 0 || name != FILE_NAME {
                    self.foreign(&path);
                }
            }
        }
        Ok(())
    }

    fn partition(&mut self, dir: &Path) -> Result<()> {
        let rewrite = "write the partition again";
        match manifest::read(dir) {
            Ok(Some(manifest)) => {
                self.found.partitions += 1;
                self.directory(dir, &manifest.parts)
            }
            Ok(None) => {
                let message = format!("the partition {} has no {FILE_NAME}", printable(dir));
                self.fault(dir, FaultKind::Missing, message, rewrite);
                Ok(())
            }
            Err(error) => {
                self.fault(dir, FaultKind::Changed, error.to_string(), rewrite);
                Ok(())
            }
        }
    }

    /// A directory of parts.
    fn directory(&mut self, dir: &Path, parts: &[PartEntry]) -> Result<()> {
        self.parts(dir, parts);
        let manifest = path_of_manifest(dir);
        let listed: BTreeSet<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        for name in visible_names(dir)? {
            let path = dir.join(&name);
            if !listed.contains(name.as_str()) && path != manifest {
                self.foreign(&path);
            }
        }
        Ok(())
    }

    fn parts(&mut self, dir: &Path, parts: &[PartEntry]) {
        for part in parts {
            self.found.parts += 1;
            self.found.rows += part.rows;
            self.found.bytes += part.bytes;
            self.part(&dir.join(&part.name), part);
        }
    }

    fn part(&mut self, path: &Path, part: &PartEntry) {
        let doing = match open_file(path) {
            Ok(file) => match checksum_of(file) {
                Ok((bytes, checksum)) => return self.compare(path, part, bytes, &checksum),
                Err(error) => ("read", error),
            },
            Err(error) => ("open", error),
        };
        let missing = doing.1.kind() == std::io::ErrorKind::NotFound;
        let kind = if missing { FaultKind::Missing } else { FaultKind::Changed };
        let message = format!("cannot {} {}: {}", doing.0, printable(path), doing.1);
        self.fault(path, kind, message, "write the output again");
    }

    fn compare(&mut self, path: &Path, part: &PartEntry, bytes: u64, checksum: &str) {
        if (bytes, checksum) == (part.bytes, part.checksum.as_str()) {
            return;
        }
        let listed = format!("{} bytes, {}", part.bytes, part.checksum);
        let message =
            format!("{} has {bytes} bytes, {checksum}, but its manifest says {listed}", printable(path));
        let hint = "it was changed after it was written: write the output again";
        self.fault(path, FaultKind::Changed, message, hint);
    }

    fn foreign(&mut self, path: &Path) {
        if path.file_name().is_some_and(|name| is_in_place(name) || is_manifest(name)) {
            let message = format!(
                "{} does not count: it is older, or a run is writing it or has died",
                printable(path)
            );
            let hint = "if no run is at work, `gristmill recover` the output";
            return self.fault(path, FaultKind::Unfinished, message, hint);
        }
        let message = format!("{} is not in the manifest", printable(path));
        self.fault(path, FaultKind::Foreign, message, "move it away, or write the output again");
    }

    fn fault(&mut self, path: &Path, kind: FaultKind, message: String, hint: &str) {
        self.found.faults.push(Fault { path: path.to_owned(), kind, message, hint: hint.to_owned() });
    }
}

/// The names in a directory that readers see, in order. A name that is not UTF-8 is nobody's part, and only shown.
fn visible_names(dir: &Path) -> Result<Vec<String>> {
    let unreadable = |error| Error::io(ErrorKind::Input, "list", dir, error);
    let mut names = Vec::new();
    for entry in dir.read_dir().map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
