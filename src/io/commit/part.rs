//! Writing the parts of an output to staging, or to where they stay.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use xxhash_rust::xxh3::Xxh3;

use super::fs::Fs;
use super::generations;
use super::manifest::{PartEntry, check_part_name, checksum_text};
use super::staging::{final_place, new_id};
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::hive::PartitionPath;

/// Writes reach the file in pieces of this size or more.
const BUFFER_BYTES: usize = 256 << 10;

/// Creates the parts of one attempt; a cheap handle for the threads that write them.
#[derive(Debug, Clone)]
pub struct Parts {
    fs: Fs,
    dir: PathBuf,
    /// The directories of partitions that are there already.
    created: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// For parts that are written to where they stay.
    in_place: Option<Naming>,
}

/// What makes the names of parts that are written to where they stay.
#[derive(Debug, Clone)]
struct Naming {
    /// The id of the attempt, and that of the try of a task.
    id: String,
    /// What brings the parts of a task into the order of the tasks.
    order: String,
}

impl Naming {
    /// The name of a part that would be called so in a staging directory.
    fn name(&self, name: &str) -> String {
        let rest = name.strip_prefix("part-").filter(|_| !self.order.is_empty());
        let ordered = rest.map_or_else(|| name.to_owned(), |rest| format!("part-{}-{rest}", self.order));
        generations::part_name(&ordered, &self.id)
    }
}

impl Parts {
    pub(super) fn new(fs: Fs, dir: PathBuf) -> Parts {
        Parts { fs, dir, created: Arc::default(), in_place: None }
    }

    /// Those of an attempt that commits in place.
    pub(super) fn in_place(fs: Fs, dir: PathBuf, id: String) -> Parts {
        Parts { in_place: Some(Naming { id, order: String::new() }), ..Parts::new(fs, dir) }
    }

    /// The parts that a task of another process writes: in a directory of its own within that of all tasks of an attempt, which
    /// nobody reads before the process that owns the attempt [adopts](Parts::adopt) them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] if the directory cannot be created.
    pub fn of_task(tasks: &Path) -> Result<Parts> {
        let fs = Fs::real();
        let dir = tasks.join(new_id());
        fs.create_dir(&dir)?;
        Ok(Parts::new(fs, dir))
    }

    /// The same for parts that stay what they are: of an output that is committed in place they are where they stay, and their names follow those of
    /// the tasks before, of lower rank or split.
    ///
    /// # Errors
    ///
    /// As [`Parts::of_task`].
    pub fn of_task_in_order(tasks: &Path, rank: usize, split: usize) -> Result<Parts> {
        let fs = Fs::real();
        let Some(place) = final_place(&fs, tasks)? else { return Parts::of_task(tasks) };
        let (id, order) = (format!("{}-{}", place.attempt, new_id()), format!("{rank:04}-{split:08}"));
        Ok(Parts { in_place: Some(Naming { id, order }), ..Parts::new(fs, place.dir) })
    }

    /// Takes a part that a task has written into the directory `from`, under another name; one that was written in place keeps its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] if it is not there.
    pub fn adopt(&self, from: &Path, part: &PartEntry, name: String) -> Result<PartEntry> {
        if self.in_place.is_some() {
            return Ok(part.clone());
        }
        self.fs.rename_new(&from.join(&part.name), &self.dir.join(&name))?;
        Ok(PartEntry { name, ..part.clone() })
    }

    /// A handle for the parts of one partition, whose directory is created if this is the first one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] if a directory cannot be created, and on a file system that ignores case for a partition that differs
    /// from another one in case only.
    pub fn partition(&self, partition: &PartitionPath) -> Result<Parts> {
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dir = self.dir.clone();
        for component in partition.as_path() {
            dir.push(component);
            if !created.contains(&dir) {
                self.create_dir(&dir, partition)?;
                created.insert(dir.clone());
            }
        }
        Ok(Parts { dir, ..self.clone() })
    }

    /// The directory that the parts lie in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directories of partitions that have been created, in the order of their paths.
    pub(super) fn dirs(&self) -> Vec<PathBuf> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn create_dir(&self, dir: &Path, partition: &PartitionPath) -> Result<()> {
        match self.fs.create_dir(dir) {
            // That of the old output, or of another task.
            Err(_)
                if self.in_place.is_some() && self.fs.inspect(dir)?.is_some_and(|found| found.is_dir()) =>
            {
                Ok(())
            }
            Err(_) if self.fs.inspect(dir)?.is_some() => Err(twin(partition)),
            result => result,
        }
    }

    /// Creates a part.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a name that is not one path component or that readers would take for hidden;
    /// [`ErrorKind::Output`] if the attempt has a part of this name already, if it has ended, or if the file cannot be
    /// created.
    pub fn create(&self, name: &str) -> Result<PartWriter> {
        check_part_name(name)?;
        let name = self.in_place.as_ref().map_or_else(|| name.to_owned(), |naming| naming.name(name));
        let path = self.dir.join(&name);
        let file = self.fs.create_new(&path)?;
        Ok(PartWriter {
            fs: self.fs.clone(),
            file,
            path,
            name,
            buffer: Vec::new(),
            hash: Xxh3::new(),
            bytes: 0,
            state: State::Writing,
        })
    }
}

/// The error of a file system that takes the name of a partition for that of another one.
pub(super) fn twin(partition: &PartitionPath) -> Error {
    let message = format!(
        "the partition {partition} differs from another one only in what this file system ignores in names"
    );
    Error::new(ErrorKind::Output, message).hint(
        "write to a file system that tells upper from lower case, or bring the values into one case before",
    )
}

/// How far a part has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Writing,
    /// A write or an fsync failed; what the file holds is unknown, so nothing may follow.
    Failed,
    Final,
}

/// Writes one part of an output, buffered, and counts and hashes what it writes.
///
/// [`finish`](PartWriter::finish) makes the part final; a writer that is dropped before deletes its file. After an error
/// every further call fails. Flushing does not make anything durable; `finish` does.
pub struct PartWriter {
    fs: Fs,
    file: File,
    path: PathBuf,
    name: String,
    buffer: Vec<u8>,
    hash: Xxh3,
    bytes: u64,
    state: State,
}

impl PartWriter {
    /// The bytes written so far, buffered ones included.
    pub fn bytes(&self) -> u64 {
        self.bytes + self.buffer.len() as u64
    }

    /// Makes the part final and durable, and returns its entry for the manifest.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] if this or any earlier write failed. The part is then discarded, and never tried again:
    /// after a failed fsync a second one may succeed without having written anything.
    pub fn finish(mut self, rows: u64) -> Result<PartEntry> {
        self.flush_buffer()?;
        self.run(|part| part.fs.sync(&part.file, &part.path))?;
        self.state = State::Final;
        let (name, checksum) = (std::mem::take(&mut self.name), checksum_text(&self.hash));
        Ok(PartEntry { name, rows, bytes: self.bytes, checksum, append_id: None })
    }

    fn flush_buffer(&mut self) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.write_through(&buffer);
        buffer.clear();
        self.buffer = buffer;
        result
    }

    fn write_through(&mut self, bytes: &[u8]) -> Result<()> {
        self.run(
            |part| if bytes.is_empty() { Ok(()) } else { part.fs.write(&part.file, &part.path, bytes) },
        )?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush_buffer()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            return self.write_through(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Runs a step of a part that has not failed, and marks it failed if the step does.
    fn run(&mut self, step: impl FnOnce(&PartWriter) -> Result<()>) -> Result<()> {
        if self.state == State::Failed {
            let message = format!("cannot go on with {} after an error", printable(&self.path));
            return Err(Error::new(ErrorKind::Output, message).hint("see the first error, and run again"));
        }
        let result = step(self);
        if result.is_err() {
            self.state = State::Failed;
        }
        result
    }
}

impl Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_buffer().map_err(io::Error::other)
    }
}

impl Drop for PartWriter {
    fn drop(&mut self) {
        if self.state != State::Final {
            // Best effort, to free the space now: the whole staging directory goes when the attempt ends.
            let _ = self.fs.remove_file(&self.path);
        }
    }
}

impl std::fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PartWriter({}, {} bytes, {:?})", printable(&self.path), self.bytes(), self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn parts(dir: &tempfile::TempDir) -> Parts {
        Parts::new(Fs::real(), dir.path().to_owned())
    }

    #[test]
    fn small_and_large_writes_arrive_in_order_counted_and_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let mut part = parts(&dir).create("p").unwrap();
        let mut expected = Vec::new();
        for (round, length) in
            [3, BUFFER_BYTES - 1, 2, BUFFER_BYTES, 0, 3 * BUFFER_BYTES, 7].into_iter().enumerate()
        {
            let piece = vec![round as u8; length];
            part.write_all(&piece).unwrap();
            expected.extend_from_slice(&piece);
            assert_eq!(part.bytes(), expected.len() as u64);
        }
        let entry = part.finish(9).unwrap();
        assert_eq!(std::fs::read(dir.path().join("p")).unwrap(), expected);
        assert_eq!((entry.rows, entry.bytes), (9, expected.len() as u64));
        assert_eq!(entry.checksum, format!("xxh3:{:016x}", xxh3_64(&expected)));
    }

    #[test]
    fn an_unfinished_part_is_discarded_and_a_name_is_used_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut part = parts(&dir).create("p").unwrap();
        part.write_all(b"half").unwrap();
        assert_eq!(parts(&dir).create("p").unwrap_err().kind(), ErrorKind::Output);
        drop(part);
        assert!(!dir.path().join("p").exists());
    }

    #[test]
    fn after_a_failed_write_nothing_succeeds() {
        let dir = tempfile::tempdir().unwrap();
        let mut part = parts(&dir).create("p").unwrap();
        part.file = File::open(dir.path().join("p")).unwrap(); // not open for writing: the next write fails
        part.write_all(b"lost").unwrap();
        assert!(part.flush().is_err());
        assert!(part.flush().is_err());
        assert!(part.finish(1).is_err());
        assert!(!dir.path().join("p").exists());
    }
}
