//! Which files an input consists of, decided once, when a program is planned.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use glob::Pattern;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::printable;
use crate::io::commit::generations::{Table, is_in_place, is_manifest, path_of_manifest, unfinished};
use crate::io::commit::{manifest, verify};
use crate::{Error, ErrorKind, Result};

/// What tells one state of a file from another.
///
/// # Examples
///
/// ```
/// use gristmill::io::resolve::Identity;
///
/// let here = std::fs::metadata(".")?;
/// assert_eq!(Identity::of(&here), Identity::of(&here));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The file system that the file is on.
    pub device: u64,
    /// The number of the file there.
    pub inode: u64,
    /// When its content was last changed: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// Its length in bytes.
    pub bytes: u64,
}

impl Identity {
    /// That of standard input, which no file has.
    pub const STANDARD_INPUT: Identity =
        Identity { device: u64::MAX, inode: u64::MAX, modified: (i64::MAX, i64::MAX), bytes: 0 };

    /// The state that metadata describe.
    pub fn of(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            bytes: metadata.len(),
        }
    }
}

/// A file to be read, in the state that it was planned in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Its path, as it was given or found.
    pub path: PathBuf,
    /// Its state. A reader that finds another one fails.
    pub identity: Identity,
    /// Whether a reader can start in the middle; `splits` finds out whether a large file is compressed, and then it cannot.
    pub splittable: bool,
}

impl InputFile {
    /// How standard input is written where inputs are named.
    pub const STANDARD_INPUT: &str = "-";

    /// Its length in bytes; 0 for standard input, of which nobody knows it.
    pub fn bytes(&self) -> u64 {
        self.identity.bytes
    }

    /// A hash of its path and state, which is the same on all hosts that share the file system.
    pub(crate) fn state(&self) -> u64 {
        let Identity { modified: (seconds, nanoseconds), bytes, .. } = self.identity;
        let state = [seconds.cast_unsigned(), nanoseconds.cast_unsigned(), bytes];
        let state = state.iter().flat_map(|number| number.to_le_bytes());
        xxh3_64(&state.chain(self.path.as_os_str().as_bytes().iter().copied()).collect::<Vec<u8>>())
    }

    /// Whether it is no file but what the process reads from its standard input.
    pub fn is_standard_input(&self) -> bool {
        self.identity == Identity::STANDARD_INPUT
    }
}

/// The files of an input, and what was left out.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The files, in the order of the bytes of their paths, each once.
    pub files: Vec<InputFile>,
    /// For people: what was found but is not read, and why, with control characters in names escaped.
    pub notes: Vec<String>,
    /// What an output must not touch: files that are written down or linked to, and where all others were found: directories of which all is
    /// read, and patterns.
    pub claimed: Vec<PathBuf>,
}

/// Finds the files of an input.
///
/// Each pattern is, in this order: standard input, if it is exactly `-` (a file of that name is `./-`); a file; a directory, of which all files are read, at any depth; or a pattern with
/// `*`, `?` and `[a-z]` within a name and `**` for any number of directories, which must find something. A path that
/// exists is never taken as a pattern, whatever its name; a directory that is written down may be empty.
///
/// Hidden names, which start with `.` or `_`, are left out unless they are written down. Symbolic links are followed,
/// and every directory is read once, so that a loop of links ends. What is neither file nor directory is left out
/// with a note. A file that several patterns name is read once.
///
/// In a directory that gristmill wrote, its manifest names the files that count: others are left out with a note. The manifest of a table that is
/// committed [in place](crate::io::commit#in-place) does so for all directories in it, also where only some of them are read, or a pattern finds the
/// files. Only a file that is written down by its whole name is read in any case.
///
/// # Errors
///
/// [`ErrorKind::Input`] if a path does not exist or cannot be read, if a pattern matches nothing, if a path that is
/// written down is neither file nor directory, if a file is missing that the manifest of its directory names, or if there are only files that a run
/// has written in place and not committed.
///
/// # Examples
///
/// ```
/// use gristmill::io::resolve::resolve;
///
/// let inputs = resolve(&["src/io/*.rs"])?;
/// assert!(inputs.files.iter().any(|file| file.path.ends_with("resolve.rs")));
/// # Ok::<(), gristmill::Error>(())
/// ```
pub fn resolve(patterns: &[impl AsRef<Path>]) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    for pattern in patterns {
        let mut walk = Walk { inputs: &mut inputs, seen: HashSet::new(), named: BTreeMap::new() };
        walk.pattern(pattern.as_ref())?;
    }
    let key = |file: &InputFile| (file.path.as_os_str().as_bytes().to_vec(), file.is_standard_input());
    inputs.files.sort_by_cached_key(key);
    inputs.files.dedup_by(|a, b| a.path == b.path && a.is_standard_input() == b.is_standard_input());
    Ok(inputs)
}

/// The names of the files that count, by directory, in a tree of which one manifest says so.
type Counted = Rc<BTreeMap<PathBuf, BTreeSet<OsString>>>;

/// One pattern on its way through the directories.
struct Walk<'a> {
    inputs: &'a mut Inputs,
    /// The directories that were read, by device and inode.
    seen: HashSet<(u64, u64)>,
    /// The files that manifests name, by directory, where a pattern has found some that only count if they are named.
    named: BTreeMap<PathBuf, BTreeSet<OsString>>,
}

impl Walk<'_> {
    fn pattern(&mut self, path: &Path) -> Result<()> {
        // By its bytes: as paths, `-` and `-/.` are equal.
        if path.as_os_str() == InputFile::STANDARD_INPUT {
            let (path, identity) = (path.to_path_buf(), Identity::STANDARD_INPUT);
            self.inputs.files.push(InputFile { path, identity, splittable: false });
            return Ok(());
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.tree(path.to_path_buf(), &metadata),
            Ok(metadata) if metadata.is_file() => self.claim(path.to_path_buf(), &metadata),
            Ok(_) => Err(Error::new(ErrorKind::Input, format!("{} is not a regular file", printable(path)))
                .hint("name a file, or a directory of files")),
            Err(error) if is_absent(&error) && path.components().any(is_wild) => self.matches(path),
            Err(error)
                if is_absent(&error) && verify::journals(path).is_ok_and(|found| !found.is_empty()) =>
            {
                Err(unreadable(path, error)
                    .hint("it is being replaced: run again, or `gristmill recover` it"))
            }
            Err(error) => Err(unreadable(path, error)),
        }
    }

    /// All that matches a pattern of names.
    fn matches(&mut self, pattern: &Path) -> Result<()> {
        self.inputs.claimed.push(pattern.to_path_buf());
        let mut found = vec![PathBuf::new()];
        for component in pattern.components() {
            found = match component {
                Component::Normal(name) if name == "**" => every(&found, |path| self.directories(path))?,
                Component::Normal(name) if is_wild(component) => {
                    let names = names(name, pattern)?;
                    let explicit = is_hidden(name);
                    every(&found, |path| matching(path, &names, explicit))?
                }
                _ => found.into_iter().map(|path| path.join(component)).filter(|path| exists(path)).collect(),
            };
        }
        self.seen.clear();
        let before = self.found();
        found.into_iter().try_for_each(|path| self.entry(path))?;
        if self.found() == before {
            return Err(Error::new(ErrorKind::Input, format!("no file matches {}", printable(pattern)))
                .hint(hint_of_url(pattern).unwrap_or("check the pattern, and quote it from the shell")));
        }
        Ok(())
    }

    /// How much was found so far, of files and of what is left out with a note.
    fn found(&self) -> usize {
        self.inputs.files.len() + self.inputs.notes.len()
    }

    /// A directory and all directories below it.
    fn directories(&mut self, root: &Path) -> Result<Vec<PathBuf>> {
        let (mut found, mut open) = (Vec::new(), vec![root.to_path_buf()]);
        while let Some(path) = open.pop() {
            let Ok(metadata) = fs::metadata(here(&path)) else { continue };
            if metadata.is_dir() && self.seen.insert((metadata.dev(), metadata.ino())) {
                let names = list(&path)?.into_iter().map(|(path, _)| path);
                open.extend(names.filter(|path| !path.file_name().is_some_and(is_hidden)));
                found.push(path);
            }
        }
        Ok(found)
    }

    /// All files in a directory and below it.
    fn tree(&mut self, root: PathBuf, metadata: &Metadata) -> Result<()> {
        let counted = counted(Table::above(here(&root))?, &root)?;
        let mut open = Vec::from_iter(self.enter(root, metadata).map(|root| (root, counted)));
        while let Some((directory, above)) = open.pop() {
            let found = list(&directory)?;
            let (counted, parts) = match above {
                Some(above) => (Some(Rc::clone(&above)), Some(counting(&above, &directory, &found)?)),
                None => self.parts_of(&directory, &found)?,
            };
            let is_left_out = |path: &Path, name: &OsStr| {
                parts.as_ref().is_some_and(|parts| !parts.contains(name)) && !path.is_dir()
            };
            let mut others = 0;
            for (path, is_link) in found {
                let name = path.file_name().unwrap_or_default();
                if is_hidden(name) {
                    continue;
                }
                if is_left_out(&path, name) {
                    if is_in_place(name) {
                        others += 1;
                    } else {
                        self.note(&path, "is not in the manifest of its directory");
                    }
                    continue;
                }
                match self.metadata(&path)? {
                    Some(metadata) if metadata.is_dir() => {
                        open.extend(self.enter(path, &metadata).map(|path| (path, counted.clone())));
                    }
                    Some(metadata) if is_link => self.claim(path, &metadata)?,
                    Some(metadata) => self.leaf(path, &metadata)?, // what touches it touches its directory
                    None => {}
                }
            }
            self.note_others(&directory, others);
        }
        Ok(())
    }

    /// Notes parts of other runs, of which there may be as many as of what counts.
    fn note_others(&mut self, directory: &Path, others: usize) {
        if others > 0 {
            let directory = printable(here(directory));
            self.inputs.notes.push(format!(
                "{others} file(s) in {directory} are left out: other runs wrote them, and its manifest does not name them"
            ));
        }
    }

    /// The names of the files that count in a directory, if it has a manifest of gristmill's, and those of the directories in it if that says so.
    fn parts_of(
        &mut self,
        directory: &Path,
        found: &[(PathBuf, bool)],
    ) -> Result<(Option<Counted>, Option<BTreeSet<OsString>>)> {
        let names: BTreeSet<_> = found.iter().filter_map(|(path, _)| path.file_name()).collect();
        if !names.iter().any(|name| is_manifest(name)) {
            if names.iter().any(|name| is_in_place(name)) {
                return Err(unfinished(here(directory)));
            }
            return Ok((None, None));
        }
        if let Some(counted) = counted(Table::at(here(directory))?, directory)? {
            let parts = counting(&counted, directory, found)?;
            return Ok((Some(counted), Some(parts)));
        }
        let Ok(Some(manifest)) = manifest::read(here(directory)) else {
            if names.iter().any(|name| is_in_place(name)) {
                return Err(unfinished(here(directory)));
            }
            let path = printable(&directory.join(manifest::FILE_NAME));
            self.inputs
                .notes
                .push(format!("{path} is damaged or not gristmill's: all files beside it are read"));
            return Ok((None, None));
        };
        let parts = manifest.parts.into_iter().map(|part| part.name.into()).collect();
        check_all_there(&parts, directory, found)?;
        Ok((None, Some(parts)))
    }

    /// The directory, unless it was read already, on another way.
    fn enter(&mut self, path: PathBuf, metadata: &Metadata) -> Option<PathBuf> {
        if self.seen.insert((metadata.dev(), metadata.ino())) {
            self.inputs.claimed.push(path.clone());
            return Some(path);
        }
        // Without a link on the way it is a match within another match, which is no news.
        if path.is_symlink() {
            self.note(&path, "links to a directory that is read already");
        }
        None
    }

    /// What a pattern found: a file, a directory, or something to leave out.
    fn entry(&mut self, path: PathBuf) -> Result<()> {
        match self.metadata(&path)? {
            Some(metadata) if metadata.is_dir() => self.tree(path, &metadata),
            Some(_) if !self.counts(&path)? => {
                self.note(&path, "is not in the manifest of its output");
                Ok(())
            }
            Some(metadata) => self.claim(path, &metadata),
            None => Ok(()),
        }
    }

    /// Whether a file that a pattern has found is one that counts without a manifest, or is named by one.
    fn counts(&mut self, path: &Path) -> Result<bool> {
        let name = path.file_name().filter(|name| is_in_place(name));
        let (Some(name), Some(directory)) = (name, path.parent()) else { return Ok(true) };
        if !self.named.contains_key(directory) {
            let mut files = match Table::above(here(directory))? {
                Some(table) => table.files_around(directory),
                None => BTreeMap::new(),
            };
            if files.is_empty() {
                let manifest = manifest::read(here(directory))?.ok_or_else(|| unfinished(here(directory)))?;
                let parts = manifest.parts.into_iter().map(|part| part.name.into());
                files.insert(directory.to_owned(), parts.collect());
            }
            files.entry(directory.to_owned()).or_default();
            self.named.append(&mut files);
        }
        Ok(self.named.get(directory).is_some_and(|named| named.contains(name)))
    }

    /// As [`leaf`](Walk::leaf), for what could lie anywhere.
    fn claim(&mut self, path: PathBuf, metadata: &Metadata) -> Result<()> {
        if metadata.is_file() {
            self.inputs.claimed.push(path.clone());
        }
        self.leaf(path, metadata)
    }

    /// A file, or a special file to leave out. Those are never opened: a FIFO would wait for a writer.
    fn leaf(&mut self, path: PathBuf, metadata: &Metadata) -> Result<()> {
        if !metadata.is_file() {
            self.note(&path, "is not a regular file");
            return Ok(());
        }
        // To know now, and not in the middle of a run, that it can be opened; most can be by anyone.
        if metadata.mode() & READABLE_BY_ALL != READABLE_BY_ALL {
            accessat(CWD, &path, Access::READ_OK, AtFlags::EACCESS)
                .map_err(|error| unreadable(&path, error.into()))?;
        }
        self.inputs.files.push(InputFile { path, identity: Identity::of(metadata), splittable: true });
        Ok(())
    }

    /// The metadata of what a name leads to, or `None` with a note if it is a link that leads to itself.
    fn metadata(&mut self, path: &Path) -> Result<Option<Metadata>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.raw_os_error() == Some(LINK_LOOP) => {
                self.note(path, "is a symbolic link that leads to itself");
                Ok(None)
            }
            Err(error) => Err(unreadable(path, error)),
        }
    }

    fn note(&mut self, path: &Path, why: &str) {
        self.inputs.notes.push(format!("{} is left out: it {why}", printable(path)));
    }
}

/// What counts in a table that is committed in place, or in the part of it that `directory` is.
fn counted(table: Option<Table>, directory: &Path) -> Result<Option<Counted>> {
    let Some(table) = table else { return Ok(None) };
    let counted = table.files(directory);
    match counted.keys().find(|directory| !here(directory).is_dir()) {
        Some(missing) => Err(incomplete(missing, &table.path())),
        None => Ok(Some(Rc::new(counted))),
    }
}

/// The names of the files that count in a directory of such a table.
fn counting(counted: &Counted, directory: &Path, found: &[(PathBuf, bool)]) -> Result<BTreeSet<OsString>> {
    let parts = counted.get(directory).cloned().unwrap_or_default();
    check_all_there(&parts, directory, found)?;
    Ok(parts)
}

fn check_all_there(parts: &BTreeSet<OsString>, directory: &Path, found: &[(PathBuf, bool)]) -> Result<()> {
    let names: BTreeSet<_> = found.iter().filter_map(|(path, _)| path.file_name()).collect();
    match parts.iter().find(|part| !names.contains(part.as_os_str())) {
        Some(missing) => Err(incomplete(&directory.join(missing), &path_of_manifest(here(directory)))),
        None => Ok(()),
    }
}

/// What is wrong with writing to a path, given an input: a file, a directory of which all is read, or a pattern. `None` if
/// nothing is: what is written can neither destroy the input nor be read with it by the next run.
///
/// `path` is without symbolic links, and so is `real`, which is where the input is; `None` for a pattern.
pub(crate) fn conflict(path: &Path, input: &Path, real: Option<&Path>) -> Option<&'static str> {
    let Some(real) = real else { return finds(input, path).then_some("would be found by the input") };
    match (real.starts_with(path), path.strip_prefix(real)) {
        (true, Ok(_)) => Some("is also an input"),
        (true, Err(_)) => Some("has the input in it"),
        (false, Ok(below)) if !below.iter().any(is_hidden) => Some("lies in the input"),
        (false, _) => None,
    }
}

/// Whether a pattern would find a path, or a directory that it lies in.
fn finds(pattern: &Path, path: &Path) -> bool {
    let (mut literal, mut names) = (PathBuf::new(), Vec::new());
    for component in pattern.components() {
        match component {
            Component::Normal(name) if is_wild(component) || !names.is_empty() => names.push(name),
            _ => literal.push(component),
        }
    }
    let Ok(root) = here(&literal).canonicalize() else { return false };
    path.strip_prefix(root).is_ok_and(|below| match_in_turn(&names, &below.iter().collect::<Vec<_>>()))
}

/// Whether patterns of names match the names of a path one after the other, `**` any number of them.
fn match_in_turn(patterns: &[&OsStr], path: &[&OsStr]) -> bool {
    let Some((first, patterns_after)) = patterns.split_first() else {
        return !path.iter().any(|name| is_hidden(name)); // it lies in a directory that matches: all in there is read
    };
    let Some((name, path_after)) = path.split_first() else {
        return match_parts(patterns);
    };
    if *first == "**" {
        return match_in_turn(patterns_after, path)
            || (!is_hidden(name) && match_in_turn(patterns, path_after));
    }
    let matches = |pattern: Pattern| pattern.matches(&name.to_string_lossy());
    (is_hidden(first) || !is_hidden(name))
        && (first == name || Pattern::new(&first.to_string_lossy()).is_ok_and(matches))
        && match_in_turn(patterns_after, path_after)
}

/// Whether what is left of a pattern matches parts of an output.
fn match_parts(patterns: &[&OsStr]) -> bool {
    let mut names = patterns.iter().filter(|pattern| **pattern != "**");
    let matches = |name: &OsStr| {
        let pattern = Pattern::new(&name.to_string_lossy());
        pattern.is_ok_and(|pattern| {
            ["part-00000.parquet", "part-00000.csv"].iter().any(|part| pattern.matches(part))
        })
    };
    names.next().is_none_or(|name| matches(name)) && names.next().is_none()
}

/// The mode of a file that owner, group and others may read.
const READABLE_BY_ALL: u32 = 0o444;

/// ELOOP, for which the standard library has no stable name.
const LINK_LOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };

/// What `expand` gives for every one of `paths`.
fn every(paths: &[PathBuf], mut expand: impl FnMut(&Path) -> Result<Vec<PathBuf>>) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(expand(path)?);
    }
    Ok(all)
}

/// The paths in a directory, and none in what is not a directory, of which the names match.
fn matching(directory: &Path, names: &Pattern, hidden: bool) -> Result<Vec<PathBuf>> {
    if !here(directory).is_dir() {
        return Ok(Vec::new());
    }
    let matches = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        // Bytes that are not UTF-8 count as one character each, which `?` and `*` match.
        (hidden || !is_hidden(name)) && names.matches(&name.to_string_lossy())
    };
    Ok(list(directory)?.into_iter().map(|(path, _)| path).filter(matches).collect())
}

/// The paths in a directory, each with whether it is a link, in the order of their bytes: what is read must not depend on the order on the disk.
fn list(directory: &Path) -> Result<Vec<(PathBuf, bool)>> {
    let read = || -> io::Result<Vec<(PathBuf, bool)>> {
        let entries = fs::read_dir(here(directory))?;
        let entry = |entry: io::Result<DirEntry>| {
            let entry = entry?;
            Ok((directory.join(entry.file_name()), entry.file_type()?.is_symlink()))
        };
        entries.map(entry).collect()
    };
    let mut paths = read().map_err(|error| unreadable(directory, error))?;
    paths.sort_unstable_by(|(a, _), (b, _)| a.as_os_str().cmp(b.as_os_str()));
    Ok(paths)
}

/// The empty path, with which relative patterns begin, as one that can be opened.
fn here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn names(name: &OsStr, pattern: &Path) -> Result<Pattern> {
    Pattern::new(&name.to_string_lossy()).map_err(|error| {
        Error::new(ErrorKind::Input, format!("{} is no pattern: {}", printable(pattern), error.msg))
            .hint("write [[] for a bracket in a name")
            .because(error)
    })
}

fn is_wild(component: Component<'_>) -> bool {
    matches!(component, Component::Normal(name) if name.as_bytes().iter().any(|byte| b"*?[".contains(byte)))
}

fn is_hidden(name: &OsStr) -> bool {
    matches!(name.as_bytes().first(), Some(b'.' | b'_'))
}

/// Whether the path names something, a link to nothing included: that is an error to report later.
fn exists(path: &Path) -> bool {
    fs::symlink_metadata(here(path)).is_ok()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    )
}

fn incomplete(part: &Path, manifest: &Path) -> Error {
    let name = manifest.file_name().unwrap_or_default().to_string_lossy();
    let message = format!("{} is missing, which the {name} of its output names", printable(part));
    Error::new(ErrorKind::Input, message)
        .hint("run again if the directory was replaced just now; else it has lost a part: write it again")
}

/// What to do about a path that is none, but a URL, such as `s3://bucket/texts`.
pub(crate) fn hint_of_url(path: &Path) -> Option<&'static str> {
    let text = path.to_string_lossy();
    let (scheme, _) = text.split_once(":/")?;
    let is_scheme =
        scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+');
    let hint = match scheme {
        "file" => "write the path alone, without file://",
        _ => "a URL is no path: mount its file system, or copy from there and to there",
    };
    is_scheme.then_some(hint)
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => hint_of_url(path)
            .unwrap_or("check the path, which is relative to the working directory unless it starts with /"),
        io::ErrorKind::PermissionDenied => "check the permissions of the file and of its directories",
        io::ErrorKind::NotADirectory => "a part of the path is a file, not a directory",
        _ => "check that the file can be read",
    };
    Error::io(ErrorKind::Input, "read", path, error).hint(hint)
}
