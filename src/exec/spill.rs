//! Blocks of rows on disk: what does not fit the memory budget.
//!
//! A block is Arrow IPC, compressed with LZ4, and carries a checksum.

use std::io::Cursor;
use std::marker::PhantomData;

use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use super::disk::{Disk, Extent};
use super::wire::take_u64;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Record, from_batch, to_batch};

/// Bytes of rows in memory that a block should have: large enough to be written and read at the speed of the disk, small enough
/// for hundreds of runs to be merged at once.
pub const BLOCK_BYTES: usize = 256 << 10;

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

    /// The block as it travels to another process.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not what was written.
    pub fn to_frame(&self) -> Result<Vec<u8>> {
        let head = [self.rows as u64, self.bytes as u64].map(u64::to_le_bytes);
        Ok([head.as_flattened(), &self.extent.read()?].concat())
    }

    /// The block that has come [so](Block::to_frame) from another process.
    ///
    /// # Errors
    ///
    /// If it is none, the disk is full, or its limit reached.
    pub fn from_frame(mut frame: &[u8], disk: &Disk) -> Result<Block<T>> {
        let (rows, bytes) = (take_u64(&mut frame)? as usize, take_u64(&mut frame)? as usize);
        Ok(Block { extent: disk.write(frame)?, rows, bytes, types: PhantomData })
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
    use crate::config::Execution;
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
        for at in (0..block.extent.len()).step_by(37) {
            block.extent.damage(at);
            let error = block.read().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Spill);
            assert!(error.to_string().contains("came back damaged"), "{error}");
            block.extent.damage(at);
        }
        assert_eq!(block.read().unwrap().len(), 100);
    }

    #[test]
    fn the_limit_on_the_disk_and_a_missing_directory_are_errors() {
        let disk = Disk::new(std::env::temp_dir(), 1000, Execution::Dataflow);
        let error = Block::write(&rows(10_000), 0, &disk).unwrap_err();
        assert!(error.to_string().contains("exceeds the 1000 bytes"), "{error}");
        assert_eq!(disk.used_bytes(), 0);
        Block::write(&rows(1), 0, &Disk::new(std::env::temp_dir(), 1 << 20, Execution::Dataflow)).unwrap();
        let nowhere = Disk::new("/nowhere/at/all", u64::MAX, Execution::Dataflow);
        let error = Block::write(&rows(1), 0, &nowhere).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Spill);
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
