//! Blocks of rows on disk: what does not fit the memory budget.
//!
//! A block is Arrow IPC, compressed with LZ4, and carries a checksum. All blocks of a context lie in one file that has no name:
//! it vanishes with the process, however that ends, and costs one descriptor however many blocks there are. A block that has
//! been read is cut out of the file, so that the disk holds what is still needed and no more; often it has not even been
//! written then.

use std::fs::File;
use std::io::Cursor;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use rustix::fs::FallocateFlags;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, ErrorKind, Result};
use crate::record::{Record, from_batch, to_batch};

/// Bytes of rows in memory that a block should have: large enough to be written and read at the speed of the disk, small enough
/// for hundreds of runs to be merged at once.
pub const BLOCK_BYTES: usize = 256 << 10;

/// Disk space for what does not fit the memory.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    limit_bytes: u64,
    file: Mutex<Option<Arc<File>>>,
    end: AtomicU64,
    used_bytes: AtomicU64,
    written_bytes: AtomicU64,
}

impl Disk {
    /// At most `limit_bytes` in a file in `dir`, which is made when the first block is written.
    pub fn new(dir: impl Into<PathBuf>, limit_bytes: u64) -> Disk {
        let zero = || AtomicU64::new(0);
        let (file, end, used_bytes, written_bytes) = (Mutex::default(), zero(), zero(), zero());
        Disk(Arc::new(Inner { dir: dir.into(), limit_bytes, file, end, used_bytes, written_bytes }))
    }

    /// Disk space for tests.
    #[cfg(test)]
    pub fn in_temp() -> Disk {
        Disk::new(std::env::temp_dir(), u64::MAX)
    }

    /// All bytes that were ever written.
    pub fn written_bytes(&self) -> u64 {
        self.0.written_bytes.load(Ordering::Relaxed)
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

    fn write(&self, bytes: &[u8]) -> Result<Extent> {
        let len = bytes.len() as u64;
        let used = self.0.used_bytes.fetch_add(len, Ordering::Relaxed);
        let offset = self.0.end.fetch_add(len, Ordering::Relaxed);
        let extent = Extent { disk: self.clone(), offset, len, checksum: xxh3_64(bytes) };
        if used.saturating_add(len) > self.0.limit_bytes {
            return Err(self.full());
        }
        self.file()?.write_all_at(bytes, offset).map_err(|error| self.failed("write", error))?;
        self.0.written_bytes.fetch_add(len, Ordering::Relaxed);
        Ok(extent)
    }

    fn failed(&self, doing: &str, error: std::io::Error) -> Error {
        let doing = format!("{doing} a file for data beyond the memory limit in");
        Error::io(ErrorKind::Spill, &doing, &self.0.dir, error).hint(
            "choose another directory with --spill-dir or GRISTMILL_SPILL_DIR, or raise the memory limit",
        )
    }

    fn full(&self) -> Error {
        let message = format!(
            "the data beyond the memory limit exceeds the {} bytes that it may take in {}",
            self.0.limit_bytes,
            crate::error::printable(&self.0.dir)
        );
        Error::new(ErrorKind::Spill, message)
            .hint("raise the limit with --spill-limit or GRISTMILL_SPILL_LIMIT, or the memory limit")
    }
}

/// A piece of the file; dropping it gives the space back.
#[derive(Debug)]
struct Extent {
    disk: Disk,
    offset: u64,
    len: u64,
    checksum: u64,
}

impl Extent {
    fn read(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.len as usize];
        let read = self.disk.file()?.read_exact_at(&mut bytes, self.offset);
        read.map_err(|error| self.disk.failed("read", error))?;
        if xxh3_64(&bytes) == self.checksum { Ok(bytes) } else { Err(self.damaged("the checksum is wrong")) }
    }

    fn damaged(&self, what: &str) -> Error {
        let message = format!(
            "a block of data beyond the memory limit came back damaged from the disk of {}: {what}",
            crate::error::printable(&self.disk.0.dir)
        );
        Error::new(ErrorKind::Spill, message).hint("check the disk, and run again")
    }
}

impl Drop for Extent {
    fn drop(&mut self) {
        self.disk.0.used_bytes.fetch_sub(self.len, Ordering::Relaxed);
        if let Ok(file) = self.disk.file() {
            // A file system that cannot do this keeps the space until the file is closed: nothing is wrong then.
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _unsupported = rustix::fs::fallocate(&*file, flags, self.offset, self.len);
        }
    }
}

/// Rows on disk.
#[derive(Debug)]
pub struct Block<T> {
    extent: Extent,
    rows: usize,
    bytes: usize,
    types: PhantomData<fn() -> T>,
}

impl<T: Record> Block<T> {
    /// Writes rows that take `bytes` in memory.
    ///
    /// # Errors
    ///
    /// If the disk is full or its limit reached, or the rows cannot be columns.
    pub fn write(rows: &[T], bytes: usize, disk: &Disk) -> Result<Block<T>> {
        let batch = to_batch(rows)?;
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME));
        let encode = |options| -> std::result::Result<Vec<u8>, arrow::error::ArrowError> {
            let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)?;
            writer.write(&batch)?;
            writer.into_inner()
        };
        let encoded = options.and_then(encode).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("rows cannot be spilled: {error}")).because(error)
        })?;
        Ok(Block { extent: disk.write(&encoded)?, rows: rows.len(), bytes, types: PhantomData })
    }

    /// The rows.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or are not what was written.
    pub fn read(&self) -> Result<Vec<T>> {
        let encoded = self.extent.read()?;
        let damaged = |error: &dyn std::fmt::Display| self.extent.damaged(&error.to_string());
        let mut batches =
            StreamReader::try_new(Cursor::new(encoded), None).map_err(|error| damaged(&error))?;
        let batch = batches.next().ok_or_else(|| damaged(&"there are no rows"))?;
        from_batch(&batch.map_err(|error| damaged(&error))?)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The bytes that the rows take in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    fn rows(count: u64) -> Vec<(Text, Option<f64>, Vec<u8>, ())> {
        let float =
            |n: u64| (!n.is_multiple_of(3)).then(|| f64::from_bits(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        (0..count)
            .map(|n| (Text::from(format!("row {n}, told at length")), float(n), vec![7; n as usize % 5], ()))
            .collect()
    }

    fn bits(rows: &[(Text, Option<f64>, Vec<u8>, ())]) -> Vec<(Text, Option<u64>, Vec<u8>)> {
        rows.iter().map(|row| (row.0.clone(), row.1.map(f64::to_bits), row.2.clone())).collect()
    }

    #[test]
    fn rows_come_back_to_the_bit_and_the_space_is_given_back() {
        let disk = Disk::in_temp();
        let blocks: Vec<_> = [0, 1, 1000]
            .map(|count| (rows(count), Block::write(&rows(count), 5, &disk).unwrap()))
            .into_iter()
            .collect();
        assert!(disk.used_bytes() > 0);
        for (rows, block) in &blocks {
            assert_eq!(bits(&block.read().unwrap()), bits(rows));
            assert_eq!((block.rows(), block.bytes()), (rows.len(), 5));
        }
        assert_eq!(disk.written_bytes(), disk.used_bytes());
        drop(blocks);
        assert_eq!(disk.used_bytes(), 0);
    }

    #[test]
    fn a_damaged_block_is_an_error_and_never_wrong_rows() {
        let disk = Disk::in_temp();
        let block = Block::write(&rows(100), 0, &disk).unwrap();
        let len = block.extent.len;
        for at in (0..len).step_by(37) {
            let mut byte = [0];
            disk.file().unwrap().read_exact_at(&mut byte, at).unwrap();
            disk.file().unwrap().write_all_at(&[byte[0] ^ 0x10], at).unwrap();
            let error = block.read().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Spill);
            assert!(error.to_string().contains("came back damaged"), "{error}");
            disk.file().unwrap().write_all_at(&byte, at).unwrap();
        }
        assert_eq!(block.read().unwrap().len(), 100);
    }

    #[test]
    fn the_limit_on_the_disk_and_a_missing_directory_are_errors() {
        let disk = Disk::new(std::env::temp_dir(), 1000);
        let error = Block::write(&rows(10_000), 0, &disk).unwrap_err();
        assert!(error.to_string().contains("exceeds the 1000 bytes"), "{error}");
        assert_eq!(disk.used_bytes(), 0);
        Block::write(&rows(1), 0, &Disk::new(std::env::temp_dir(), 1 << 20)).unwrap();
        let nowhere = Disk::new("/nowhere/at/all", u64::MAX);
        let error = Block::write(&rows(1), 0, &nowhere).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Spill);
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
