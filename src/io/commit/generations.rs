//! Manifests of outputs that are committed in place: what they are called, which one counts, and what it names.
//!
//! Each commit creates the manifest of the next generation, `_manifest-00000007.json`. Of those that are there the newest whole one counts, and before
//! `_manifest.json`, with which a directory comes that has taken its place by a rename: that is older, since a rename replaces the directory with
//! all generations in it. One that is torn is as if it were not there.
//!
//! There is one manifest for a whole table: it names the files of all partitions, `dt=2026-01-01/part-…`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::manifest::{self, AtPath, FILE_NAME, Head, Manifest, PartEntry};
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::hive::PartitionPath;

const PREFIX: &str = "_manifest-";
const SUFFIX: &str = ".json";

/// What stands before the id of the attempt in the name of a part that is written in place.
const MARK: &str = "-gristmill-";

/// An id is so many numbers; that of a task's try follows that of its attempt.
const ID_NUMBERS: usize = 3;

/// How often a reader looks anew when manifests come and go meanwhile.
const LOOKS: usize = 20;

/// The name of the manifest of a generation.
pub(super) fn file_name(generation: u64) -> String {
    format!("{PREFIX}{generation:08}{SUFFIX}")
}

/// The generation of which a name is that of the manifest.
pub(super) fn generation_of(name: &OsStr) -> Option<u64> {
    let number = name.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let generation = number.parse().ok()?;
    (*file_name(generation) == *name).then_some(generation)
}

/// Whether a name is that of a manifest, of whichever generation.
pub(crate) fn is_manifest(name: &OsStr) -> bool {
    name == FILE_NAME || generation_of(name).is_some()
}

/// The name of a part of an attempt that is written in place.
pub(super) fn part_name(name: &str, id: &str) -> String {
    let (stem, extension) = name.split_at(name.find('.').unwrap_or(name.len()));
    format!("{stem}{MARK}{id}{extension}")
}

/// The name without what differs between attempts, and the id of the attempt; `None` if it is not that of a part which was written in place.
pub(super) fn without_id(name: &str) -> Option<(String, String)> {
    let (before, rest) = name.rsplit_once(MARK)?;
    let (id, extension) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    let numbers: Vec<&str> = id.split('-').collect();
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_id = [ID_NUMBERS, 2 * ID_NUMBERS].contains(&numbers.len()) && numbers.iter().all(is_number);
    is_id.then(|| (format!("{before}{extension}"), numbers[..ID_NUMBERS].join("-")))
}

/// Whether only a manifest makes a file of this name count.
pub(crate) fn is_in_place(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| without_id(name).is_some())
}

/// What counts in a directory when it is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct State {
    /// The last generation of which there is a manifest, whole or torn; 0 if there is none.
    pub(super) last: u64,
    /// Which manifest counts.
    pub(super) counts: Option<(u64, String)>,
}

impl State {
    /// That of a directory; of what is none, the default.
    pub(super) fn of(dir: &Path) -> Result<State> {
        let last = generations(dir).first().copied().unwrap_or(0);
        let counts = match newest(dir)? {
            Some((generation, manifest)) => Some((generation, manifest.attempt)),
            None => manifest::read_plain(dir).ok().flatten().map(|manifest| (0, manifest.attempt)),
        };
        Ok(State { last, counts })
    }
}

/// The generations of which there are manifests in a directory, the last one first; none in what cannot be listed.
fn generations(dir: &Path) -> Vec<u64> {
    let names = dir.read_dir().into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut found: Vec<u64> = names.filter_map(|name| generation_of(&name)).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}

/// The newest whole manifest of a generation, and its number; `None` if there is none.
///
/// # Errors
///
/// [`ErrorKind::Input`] if one cannot be read, or they come and go too fast.
pub(super) fn newest(dir: &Path) -> Result<Option<(u64, Manifest)>> {
    'looks: for _ in 0..LOOKS {
        for generation in generations(dir) {
            match manifest::read_file(&dir.join(file_name(generation)))? {
                AtPath::Whole(manifest) => return Ok(Some((generation, *manifest))),
                AtPath::Damaged(_) => {}
                // It was replaced by a newer one meanwhile.
                AtPath::Missing => continue 'looks,
            }
        }
        return Ok(None);
    }
    let message = format!("the manifests in {} change all the time", printable(dir));
    Err(Error::new(ErrorKind::Input, message).hint("run again when nobody writes there"))
}

/// The table, committed in place, that a directory is, or is a partition or level of.
pub(crate) struct Table {
    /// Its directory.
    root: PathBuf,
    manifest: Manifest,
    /// The path of what was asked for in it.
    within: Option<PartitionPath>,
}

impl Table {
    /// The table that a directory is; `None` if it is none.
    ///
    /// # Errors
    ///
    /// As [`newest`].
    pub(crate) fn at(dir: &Path) -> Result<Option<Table>> {
        let newest = newest(dir)?.filter(|(_, manifest)| !manifest.partition_by.is_empty());
        Ok(newest.map(|(_, manifest)| Table { root: dir.to_owned(), manifest, within: None }))
    }

    /// The table that a directory is a partition of, or another level; `None` if it is none.
    ///
    /// # Errors
    ///
    /// As [`newest`].
    pub(crate) fn above(dir: &Path) -> Result<Option<Table>> {
        let is_level = |dir: &Path| dir.file_name().is_none_or(|name| name.as_bytes().contains(&b'='));
        if !is_level(dir) {
            return Ok(None); // as most are
        }
        let Ok(real) = dir.canonicalize() else { return Ok(None) };
        let mut levels = Vec::new();
        for (below, root) in
            real.ancestors().zip(real.ancestors().skip(1)).take_while(|(dir, _)| is_level(dir))
        {
            levels.extend(below.file_name().and_then(OsStr::to_str));
            if let Some((_, manifest)) = newest(root)? {
                let path: Vec<&str> = levels.iter().rev().copied().collect();
                let within = PartitionPath::parse(&path.join("/")).ok();
                let within = within.filter(|within| within.begins(&manifest.partition_by));
                let root = root.to_owned();
                return Ok(within.map(|within| Table { root, manifest, within: Some(within) }));
            }
        }
        Ok(None)
    }

    /// The manifest that the partition which was asked for would have; `None` if that was no partition, but a level above or the table.
    fn into_partition(self) -> Result<Option<Manifest>> {
        let Some(within) = self.within.filter(|within| within.depth() == self.manifest.partition_by.len())
        else {
            return Ok(None);
        };
        let Manifest { schema, parameters, parts, .. } = self.manifest;
        let of_it = |part: PartEntry| {
            let name = part.name.strip_prefix(within.as_str())?.strip_prefix('/')?.to_owned();
            Some(PartEntry { name, ..part })
        };
        let head = Head { schema, parameters, ..Head::default() };
        Manifest::new(head, parts.into_iter().filter_map(of_it).collect()).map(Some)
    }

    /// The names of the files that count, by the directory that they lie in, if what was asked for is called `dir`.
    pub(crate) fn files(&self, dir: &Path) -> BTreeMap<PathBuf, BTreeSet<OsString>> {
        let mut files: BTreeMap<PathBuf, BTreeSet<OsString>> = BTreeMap::new();
        for part in &self.manifest.parts {
            let path = Path::new(&part.name);
            let within = self.within.as_ref().map_or(Path::new(""), PartitionPath::as_path);
            let Ok(path) = path.strip_prefix(within) else { continue };
            if let (Some(below), Some(name)) = (path.parent(), path.file_name()) {
                let place = if below.as_os_str().is_empty() { dir.to_owned() } else { dir.join(below) };
                files.entry(place).or_default().insert(name.to_owned());
            }
        }
        files
    }

    /// The same for the whole table, if what was asked for is called `dir`, as far as its other directories can be called alike.
    pub(crate) fn files_around(&self, dir: &Path) -> BTreeMap<PathBuf, BTreeSet<OsString>> {
        match (&self.within, dir.ancestors().nth(self.within.as_ref().map_or(0, PartitionPath::depth))) {
            (Some(_), Some(top)) => {
                let (root, manifest) = (self.root.clone(), self.manifest.clone());
                Table { root, manifest, within: None }.files(top)
            }
            _ => self.files(dir),
        }
    }

    /// The file that names them.
    pub(crate) fn path(&self) -> PathBuf {
        path_of_manifest(&self.root)
    }
}

/// The manifest of a directory, in whichever way it was committed, or of a partition that is named by that of its table.
pub(super) fn read(dir: &Path) -> Result<Option<Manifest>> {
    if let Some((_, manifest)) = newest(dir)? {
        return Ok(Some(manifest));
    }
    match Table::above(dir)? {
        Some(table) => table.into_partition(),
        None => manifest::read_plain(dir),
    }
}

/// Where the manifest of a directory is, or would be.
pub(crate) fn path_of_manifest(dir: &Path) -> PathBuf {
    match newest(dir) {
        Ok(Some((generation, _))) => dir.join(file_name(generation)),
        _ => dir.join(FILE_NAME),
    }
}

/// Whether a directory holds parts that were written in place, and no manifest yet that names what counts.
pub(crate) fn is_unfinished(dir: &Path) -> bool {
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in dir.read_dir().into_iter().flatten().flatten() {
            let name = entry.file_name();
            if is_in_place(&name) {
                return matches!(read(&dir), Ok(None));
            }
            if name.as_bytes().contains(&b'=') {
                open.push(entry.path());
            }
        }
    }
    false
}

/// The error of a reader that finds such a directory.
pub(crate) fn unfinished(dir: &Path) -> Error {
    let message = format!("{} holds parts of an output that is not committed", printable(dir));
    Error::new(ErrorKind::Input, message).hint(
        "wait for the run that writes it, or run it again if it has died; if these are copies, copy the manifest, too, or name the files",
    )
}

#[cfg(test)]
mod tests {
    use super::super::staging::new_id;
    use super::*;

    #[test]
    fn names_of_parts_and_of_manifests_are_known_again() {
        let (attempt, task) = (new_id(), new_id());
        for name in ["part-00000.csv", "part-0000-00000017-00000.csv.gz", "part"] {
            for id in [attempt.clone(), format!("{attempt}-{task}")] {
                assert_eq!(without_id(&part_name(name, &id)), Some((name.to_owned(), attempt.clone())));
            }
        }
        // What others write: gristmill by renames, Spark, Hive.
        for name in ["part-00000.csv", "part-00000-1f-2e-3d-c000.csv", "000000_0", "a-gristmill-x-1-2.csv"] {
            assert_eq!(without_id(name), None, "{name}");
        }
        for generation in [1, 99_999_999, 100_000_000, u64::MAX] {
            assert_eq!(generation_of(OsStr::new(&file_name(generation))), Some(generation));
        }
        for name in
            ["_manifest.json", "_manifest-1.json", "_manifest-0000000x.json", "_manifest-00000001.json~"]
        {
            assert_eq!(generation_of(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn the_newest_whole_manifest_counts() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let manifest = |rows: u64| {
            let head = Head { schema: rows.into(), ..Head::default() };
            Manifest::new(head, Vec::new()).unwrap()
        };
        let write =
            |name: &str, manifest: &Manifest| std::fs::write(at(name), manifest.to_json().unwrap()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        write(FILE_NAME, &manifest(0));
        assert_eq!(read(dir.path()).unwrap(), Some(manifest(0)));
        write(&file_name(2), &manifest(2));
        write(&file_name(1), &manifest(1));
        assert_eq!(read(dir.path()).unwrap(), Some(manifest(2)));
        let whole = manifest(3).to_json().unwrap();
        for length in 0..whole.len() - 1 {
            std::fs::write(at(&file_name(3)), &whole[..length]).unwrap();
            assert_eq!(read(dir.path()).unwrap(), Some(manifest(2)), "{length}");
        }
        assert_eq!(State::of(dir.path()).unwrap(), State { last: 3, counts: Some((2, manifest(2).attempt)) });
    }
}
