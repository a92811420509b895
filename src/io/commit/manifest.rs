//! `_manifest.json`: what gristmill wrote to a directory.
//!
//! The manifest is the last file written to an output, and the output is complete if and only if it is there. It holds
//! nothing that differs between two runs of the same program on the same input: no time, no host, no process id. An output that
//! is committed in place has manifests of other names, whose parts have the id of their run in their names: see `generations.rs`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::generations;
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::hive::PartitionPath;

/// The name of the manifest in an output directory.
pub const FILE_NAME: &str = "_manifest.json";

/// The version of the manifests that this gristmill writes, and the only one that it reads.
pub const VERSION: u32 = 1;

/// No manifest is read beyond this: a file of that name which is larger was not written by gristmill.
const MAX_BYTES: u64 = 256 << 20;

/// One file of an output, as [`PartWriter::finish`](super::PartWriter::finish) returns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PartEntry {
    /// The name of the file in its directory; in the manifest of a table that is committed in place, its path in the table.
    pub name: String,
    /// The number of rows, as its writer counted them.
    pub rows: u64,
    /// The length of the file.
    pub bytes: u64,
    /// `xxh3:` and the 64-bit XXH3 of the file as 16 hexadecimal digits.
    pub checksum: String,
    /// The id under which the part was appended, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append_id: Option<String>,
}

/// The contents of a manifest.
///
/// # Examples
///
/// ```
/// use gristmill::io::commit::manifest;
///
/// let dir = tempfile::tempdir()?;
/// assert!(manifest::read(dir.path())?.is_none()); // nothing of gristmill's here
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of the format, [`VERSION`].
    pub version: u32,
    /// A hash of everything else here but the ids in names of parts, so that it is the same when the same output is written again.
    pub attempt: String,
    /// What the program was run with.
    pub parameters: Value,
    /// The columns, as the writer describes them.
    pub schema: Value,
    /// The number of rows in all parts.
    pub rows: u64,
    /// The files, in the order of their names.
    pub parts: Vec<PartEntry>,
    /// The columns that a table is partitioned by, from the outer directory to the inner one. The manifest of a table lists no parts:
    /// they lie in the directories of the partitions, each of which has a manifest of its own. Only that of a table which is committed in place
    /// lists the parts of all partitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_by: Vec<String>,
    /// The ids under which something was appended, in the order in which it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub append_ids: Vec<String>,
}

/// What a manifest says besides the parts.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) schema: Value,
    pub(super) parameters: Value,
    pub(super) partition_by: Vec<String>,
    pub(super) append_ids: Vec<String>,
}

impl Manifest {
    /// The manifest of some parts, which may come in any order: workers finish when they can.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] for two parts of one name, or names that no part can have.
    pub(super) fn new(head: Head, mut parts: Vec<PartEntry>) -> Result<Manifest> {
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        let rows = parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.rows)); // `check` finds an overflow
        let Head { schema, parameters, partition_by, append_ids } = head;
        let attempt = String::new();
        let mut manifest =
            Manifest { version: VERSION, attempt, parameters, schema, rows, parts, partition_by, append_ids };
        manifest.attempt = manifest.hash()?;
        manifest.check().map_err(|fault| Error::new(ErrorKind::Internal, fault))?;
        Ok(manifest)
    }

    /// The manifest as it is written, with a newline at its end.
    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(unwritable)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn hash(&self) -> Result<String> {
        let stable = |part: &PartEntry| {
            let name =
                generations::without_id(&part.name).map_or_else(|| part.name.clone(), |(name, _)| name);
            PartEntry { name, ..part.clone() }
        };
        let parts: Vec<PartEntry> = self.parts.iter().map(stable).collect();
        let hashed = (self.version, &self.parameters, &self.schema, self.rows, parts);
        let mut bytes = serde_json::to_vec(&hashed).map_err(unwritable)?;
        if !self.partition_by.is_empty() || !self.append_ids.is_empty() {
            serde_json::to_writer(&mut bytes, &(&self.partition_by, &self.append_ids)).map_err(unwritable)?;
        }
        Ok(format!("{:032x}", xxh3_128(&bytes)))
    }

    /// What makes this a manifest that gristmill cannot have written, if anything does.
    fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("its version is {}, not {VERSION}", self.version));
        }
        if let Some(part) = self.parts.iter().find(|part| !self.can_list(&part.name)) {
            return Err(format!("it lists {:?}, which no part can be called", part.name));
        }
        if let Some(twins) = self.parts.windows(2).find(|pair| pair[0].name >= pair[1].name) {
            return Err(format!("its parts are not in order, or are doubled, at {:?}", twins[1].name));
        }
        let rows = self.parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.rows));
        if rows != Some(self.rows) {
            return Err("the rows of its parts do not add up".to_owned());
        }
        match self.hash() {
            Ok(hash) if hash == self.attempt => Ok(()),
            _ => Err("it has been altered since it was written".to_owned()),
        }
    }

    /// Whether a part can be called so: it lies in the directory of the manifest, or in a partition of the table.
    fn can_list(&self, name: &str) -> bool {
        let Some((partition, file)) = name.rsplit_once('/') else { return check_part_name(name).is_ok() };
        let is_partition = |path: &PartitionPath| {
            path.as_str() == partition
                && path.depth() == self.partition_by.len()
                && path.begins(&self.partition_by)
        };
        PartitionPath::parse(partition).is_ok_and(|path| is_partition(&path)) && check_part_name(file).is_ok()
    }
}

/// Reads the manifest of a directory; `None` where there is none. Of several the newest that is whole counts. That of a partition whose table is
/// committed in place is what the manifest of the table says of it.
///
/// The files it lists are not looked at; [`verify`] does that.
///
/// # Errors
///
/// [`ErrorKind::Input`] if the manifest cannot be read, is damaged, was altered, or is of another version.
pub fn read(dir: &Path) -> Result<Option<Manifest>> {
    generations::read(dir)
}

/// Reads `_manifest.json`, whatever else there is.
pub(super) fn read_plain(dir: &Path) -> Result<Option<Manifest>> {
    match read_file(&dir.join(FILE_NAME))? {
        AtPath::Missing => Ok(None),
        AtPath::Whole(manifest) => Ok(Some(*manifest)),
        AtPath::Damaged(error) => Err(error),
    }
}

/// What is at the place of a manifest.
pub(super) enum AtPath {
    Missing,
    Whole(Box<Manifest>),
    /// Why it is none.
    Damaged(Error),
}

/// Reads the manifest at a path.
///
/// # Errors
///
/// [`ErrorKind::Input`] if it is there and cannot be read.
pub(super) fn read_file(path: &Path) -> Result<AtPath> {
    let file = match open_file(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(AtPath::Missing),
        Err(error) => return Err(Error::io(ErrorKind::Input, "open", path, error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io(ErrorKind::Input, "read", path, error))?;
    let manifest: Manifest = match serde_json::from_slice(&bytes) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(AtPath::Damaged(damaged(path, &error.to_string()).because(error))),
    };
    Ok(match manifest.check() {
        Ok(()) => AtPath::Whole(Box::new(manifest)),
        Err(fault) => AtPath::Damaged(damaged(path, &fault)),
    })
}

/// Checks a directory against its manifest: the same files, of the same lengths and checksums, and no others. Names
/// that begin with a dot are not looked at, as readers of directories do not look at them either. Of a partitioned table, all
/// partitions are checked, each against its own manifest. [`check`](super::verify::check) tells all that is wrong.
///
/// # Errors
///
/// [`ErrorKind::Input`] if there is no manifest, if it is damaged, or for the first file that is missing, altered or not
/// listed.
pub fn verify(dir: &Path) -> Result<Manifest> {
    let found = super::verify::check(dir)?;
    match found.faults.into_iter().next() {
        None => Ok(found.manifest),
        Some(fault) => Err(Error::new(ErrorKind::Input, fault.message).hint(fault.hint)),
    }
}

/// Opens a regular file, and nothing else: opening a FIFO would wait for a writer.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    if path.metadata()?.is_file() { File::open(path) } else { Err(io::Error::other("not a regular file")) }
}

pub(super) fn checksum_of(mut file: File) -> io::Result<(u64, String)> {
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((bytes, checksum_text(&hash))),
            Ok(length) => {
                hash.update(&buffer[..length]);
                bytes += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A checksum as manifests hold it: with the name of its algorithm, so that another can follow.
pub(super) fn checksum_text(hash: &Xxh3) -> String {
    format!("xxh3:{:016x}", hash.digest())
}

/// Fails unless a name is one path component that readers of directories do not pass over.
///
/// # Errors
///
/// [`ErrorKind::Config`] for an empty name, one with `/`, one with control characters, and one that begins with `.` or
/// `_`, as all readers take those for hidden.
pub(super) fn check_part_name(name: &str) -> Result<()> {
    let mut components = Path::new(name).components();
    let one = matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name);
    if one && !name.starts_with(['.', '_']) && !name.contains(char::is_control) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, format!("a part of an output cannot be called {name:?}"))
        .hint("use one path component that begins with a letter or digit"))
}

fn damaged(path: &Path, fault: &str) -> Error {
    Error::new(ErrorKind::Input, format!("{} is not a valid manifest: {fault}", printable(path)))
        .hint("the output is damaged or not gristmill's: write it again")
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "cannot write the manifest as JSON").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn part(name: &str, rows: u64) -> PartEntry {
        let checksum = checksum_text(&Xxh3::new());
        PartEntry { name: name.to_owned(), rows, bytes: 5, checksum, append_id: None }
    }

    fn manifest(parts: Vec<PartEntry>) -> Result<Manifest> {
        let (schema, parameters) = (json!(["word", "count"]), json!({"day": "2026-01-01"}));
        Manifest::new(Head { schema, parameters, ..Head::default() }, parts)
    }

    #[test]
    fn the_order_in_which_parts_are_finished_does_not_show() {
        let one = manifest(vec![part("a", 1), part("b", 2)]).unwrap();
        let other = manifest(vec![part("b", 2), part("a", 1)]).unwrap();
        assert_eq!(one.to_json().unwrap(), other.to_json().unwrap());
        assert_eq!(one.rows, 3);
    }

    #[test]
    fn another_output_is_another_attempt() {
        let one = manifest(vec![part("a", 1)]).unwrap();
        let other = manifest(vec![part("a", 2)]).unwrap();
        assert_ne!(one.attempt, other.attempt);
    }

    #[test]
    fn doubled_parts_and_names_that_leave_the_directory_are_refused() {
        assert!(manifest(vec![part("a", 1), part("a", 1)]).is_err());
        for name in ["", ".", "..", "a/b", "/a", "a/", ".hidden", "_manifest.json", "a\nb"] {
            assert!(check_part_name(name).is_err(), "{name:?}");
        }
        check_part_name("part-00000.parquet").unwrap();
    }

    #[test]
    fn what_is_written_reads_back_and_what_is_altered_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let written = manifest(vec![part("a", 1)]).unwrap();
        let text = String::from_utf8(written.to_json().unwrap()).unwrap();
        let path = dir.path().join(FILE_NAME);
        std::fs::write(&path, &text).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(written));
        for (old, new) in [("\"rows\": 1", "\"rows\": 2"), ("2026", "2027"), ("\"a\"", "\"../a\""), ("}", "")]
        {
            std::fs::write(&path, text.replace(old, new)).unwrap();
            assert!(read(dir.path()).is_err(), "{old} to {new}");
        }
    }
}
