//! Disk space for what does not fit the memory, and in the MapReduce mode for all that lies between stages.
//!
//! All of a context lies in one file that has no name: it vanishes with the process, however that ends, and costs one descriptor
//! however much is in it. What has been read is cut out of the file, so that the disk holds what is still needed and not much more; often
//! it has not even been written then. It is cut out by regions, because to cut out every block by itself cost as much as to write it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FallocateFlags;
use xxhash_rust::xxh3::xxh3_64;

use crate::config::Execution;
use crate::error::{Error, ErrorKind, Result};

/// Bytes that are cut out of the file at once.
const REGION_BYTES: u64 = 1 << 20;

/// Disk space for what does not fit the memory.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    limit_bytes: u64,
    /// What is on it, and so what helps if there is no room for it.
    execution: Execution,
    file: Mutex<Option<Arc<File>>>,
    space: Mutex<Space>,
    used_bytes: AtomicU64,
    written_bytes: AtomicU64,
    read_bytes: AtomicU64,
}

impl Disk {
    /// At most `limit_bytes` in a file in `dir`, which is made when the first block is written.
    pub fn new(dir: impl Into<PathBuf>, limit_bytes: u64, execution: Execution) -> Disk {
        let zero = || AtomicU64::new(0);
        let (file, space) = Default::default();
        let (used_bytes, written_bytes, read_bytes) = (zero(), zero(), zero());
        let dir = dir.into();
        Disk(Arc::new(Inner {
            dir,
            limit_bytes,
            execution,
            file,
            space,
            used_bytes,
            written_bytes,
            read_bytes,
        }))
    }

    /// Disk space for tests.
    #[cfg(test)]
    pub fn in_temp() -> Disk {
        Disk::new(std::env::temp_dir(), u64::MAX, Execution::Dataflow)
    }

    /// All bytes that were ever written.
    pub fn written_bytes(&self) -> u64 {
        self.0.written_bytes.load(Ordering::Relaxed)
    }

    /// All bytes that were ever read.
    pub fn read_bytes(&self) -> u64 {
        self.0.read_bytes.load(Ordering::Relaxed)
    }

    /// The bytes of the blocks that exist.
    pub fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    fn file(&self) -> Result<Arc<File>> {
        let mut file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*file {
            return Ok(Arc::clone(file));
        }
        let fresh = tempfile::tempfile_in(&self.0.dir).map_err(|error| self.failed("make", error))?;
        Ok(Arc::clone(file.insert(Arc::new(fresh))))
    }

    fn space(&self) -> MutexGuard<'_, Space> {
        self.0.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes bytes at the end of the file.
    ///
    /// # Errors
    ///
    /// If the disk is full, or its limit reached.
    pub fn write(&self, bytes: &[u8]) -> Result<Extent> {
        let len = bytes.len() as u64;
        let used = self.0.used_bytes.fetch_add(len, Ordering::Relaxed);
        let offset = self.space().take(len);
        let extent = Extent { disk: self.clone(), offset, len, checksum: xxh3_64(bytes) };
        if used.saturating_add(len) > self.0.limit_bytes {
            return Err(self.full());
        }
        self.file()?.write_all_at(bytes, offset).map_err(|error| self.failed("write", error))?;
        self.0.written_bytes.fetch_add(len, Ordering::Relaxed);
        Ok(extent)
    }

    fn failed(&self, doing: &str, error: std::io::Error) -> Error {
        let doing = format!("{doing} a file for {} in", self.contents());
        let advice = "choose another directory with --spill-dir or GRISTMILL_SPILL_DIR";
        Error::io(ErrorKind::Spill, &doing, &self.0.dir, error)
            .hint(self.or_more_memory(advice, "raise the memory limit"))
    }

    /// What is written, for messages.
    fn contents(&self) -> &'static str {
        match self.0.execution {
            Execution::Dataflow => "data beyond the memory limit",
            Execution::MapReduce | Execution::Spark => "data between stages",
        }
    }

    /// Advice, and that more memory helps, where it does: between the stages of the MapReduce mode everything is written anyway.
    fn or_more_memory(&self, advice: &str, more: &str) -> String {
        match self.0.execution {
            Execution::Dataflow => format!("{advice}, or {more}"),
            Execution::MapReduce | Execution::Spark => advice.to_owned(),
        }
    }

    fn full(&self) -> Error {
        let message = format!(
            "the {} exceeds the {} bytes that it may take in {}",
            self.contents(),
            self.0.limit_bytes,
            crate::error::printable(&self.0.dir)
        );
        let advice = "raise the limit with --spill-limit or GRISTMILL_SPILL_LIMIT";
        Error::new(ErrorKind::Spill, message).hint(self.or_more_memory(advice, "the memory limit"))
    }
}

/// A piece of the file; dropping it gives the space back.
#[derive(Debug)]
pub struct Extent {
    disk: Disk,
    offset: u64,
    len: u64,
    checksum: u64,
}

impl Extent {
    /// The bytes.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or are not those that were written.
    pub fn read(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.len as usize];
        let read = self.disk.file()?.read_exact_at(&mut bytes, self.offset);
        read.map_err(|error| self.disk.failed("read", error))?;
        self.disk.0.read_bytes.fetch_add(self.len, Ordering::Relaxed);
        if xxh3_64(&bytes) == self.checksum { Ok(bytes) } else { Err(self.damaged("the checksum is wrong")) }
    }

    /// The error that the bytes are not what was written.
    pub fn damaged(&self, what: &str) -> Error {
        let message = format!(
            "a block of {} came back damaged from the disk of {}: {what}",
            self.disk.contents(),
            crate::error::printable(&self.disk.0.dir)
        );
        Error::new(ErrorKind::Spill, message).hint("check the disk, and run again")
    }
}

#[cfg(test)]
impl Extent {
    /// The number of bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Flips a bit of one byte on the disk; a second time makes it whole again.
    pub fn damage(&self, at: u64) {
        let (file, mut byte) = (self.disk.file().unwrap(), [0]);
        file.read_exact_at(&mut byte, self.offset + at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], self.offset + at).unwrap();
    }
}

impl Drop for Extent {
    fn drop(&mut self) {
        self.disk.0.used_bytes.fetch_sub(self.len, Ordering::Relaxed);
        let free = self.disk.space().give(self.offset, self.len);
        if let Ok(file) = self.disk.file() {
            // A file system that cannot do this keeps the space until the file is closed: nothing is wrong then.
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            for region in free {
                let _unsupported = rustix::fs::fallocate(&*file, flags, region * REGION_BYTES, REGION_BYTES);
            }
        }
    }
}

/// Which regions of the file hold something: extents are given out one after the other, and come back in any order.
#[derive(Debug, Default)]
struct Space {
    end: u64,
    /// The bytes in use of each region.
    used: Vec<u64>,
}

impl Space {
    /// The offset of `len` bytes at the end.
    fn take(&mut self, len: u64) -> u64 {
        let offset = self.end;
        self.end += len;
        self.used.resize(self.end.div_ceil(REGION_BYTES) as usize, 0);
        for (region, bytes) in regions(offset, len) {
            self.used[region] += bytes;
        }
        offset
    }

    /// Gives bytes back; returns the regions in which nothing is left, and never will be.
    fn give(&mut self, offset: u64, len: u64) -> Vec<u64> {
        let mut free = Vec::new();
        for (region, bytes) in regions(offset, len) {
            self.used[region] -= bytes;
            if self.used[region] == 0 && (region as u64 + 1) * REGION_BYTES <= self.end {
                free.push(region as u64);
            }
        }
        free
    }
}

/// The regions that an extent lies in, with its bytes in each.
fn regions(offset: u64, len: u64) -> impl Iterator<Item = (usize, u64)> {
    let end = offset + len;
    (offset / REGION_BYTES..end.div_ceil(REGION_BYTES)).map(move |region| {
        let (first, last) = (region * REGION_BYTES, (region + 1) * REGION_BYTES);
        (region as usize, end.min(last) - offset.max(first))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_free_when_nothing_of_it_is_used_and_nothing_will_be() {
        let mut space = Space::default();
        let lens = [REGION_BYTES / 2, REGION_BYTES, REGION_BYTES / 2, 3 * REGION_BYTES, 10];
        let extents = lens.map(|len| (space.take(len), len));
        assert_eq!(extents.map(|(offset, _)| offset * 2 / REGION_BYTES), [0, 1, 3, 4, 10]);
        let mut give = |index: usize| space.give(extents[index].0, extents[index].1);
        assert_eq!(give(1), [0; 0]);
        assert_eq!(give(0), [0]);
        assert_eq!(give(3), [2, 3, 4]);
        assert_eq!(give(4), [0; 0], "more may come in the last region");
        assert_eq!(give(2), [1]);
        assert_eq!(space.take(0), 5 * REGION_BYTES + 10);
        assert_eq!(space.used, [0; 6]);
    }

    #[test]
    fn messages_advise_more_memory_only_where_it_helps() {
        let messages = |execution| {
            let full = Disk::new(std::env::temp_dir(), 2, execution).write(b"abc").unwrap_err();
            let missing = Disk::new("/nowhere/at/all", 10, execution).write(b"abc").unwrap_err();
            [full.to_string(), missing.to_string()]
        };
        for message in messages(Execution::Dataflow) {
            assert!(message.contains("data beyond the memory limit"), "{message}");
            assert!(message.contains(", or ") && message.ends_with("the memory limit"), "{message}");
        }
        let [full, missing] = messages(Execution::MapReduce);
        assert!(full.starts_with("the data between stages exceeds the 2 bytes"), "{full}");
        assert!(full.ends_with("raise the limit with --spill-limit or GRISTMILL_SPILL_LIMIT"), "{full}");
        assert!(missing.starts_with("cannot make a file for data between stages in /nowhere"), "{missing}");
        assert!(missing.ends_with("--spill-dir or GRISTMILL_SPILL_DIR"), "{missing}");
    }
}
