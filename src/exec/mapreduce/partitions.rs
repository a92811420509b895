//! What map tasks have left for the reduce tasks: for each partition the segments, in the order of the tasks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::map_output::{Run, Segment};
use crate::error::Result;
use crate::exec::collect::downcast;
use crate::exec::disk::Disk;
use crate::exec::job::{Batch, Port};
use crate::exec::spill::Block;
use crate::exec::wire::{Frames, take_u64};
use crate::record::Record;

/// The segments of each partition.
pub struct Partitions<T>(Vec<Mutex<Vec<Segment<T>>>>);

impl<T: Record> Partitions<T> {
    /// So many partitions without segments.
    pub fn new(partitions: usize) -> Partitions<T> {
        Partitions(std::iter::repeat_with(Mutex::default).take(partitions).collect())
    }

    /// The number of partitions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds the segment of the next map task.
    ///
    /// # Errors
    ///
    /// If it is no segment: a bug.
    pub fn add(&self, partition: usize, segment: Batch) -> Result<()> {
        let segment = downcast::<Segment<T>>(segment)?;
        self.of(partition).push(segment);
        Ok(())
    }

    /// The rows of a partition.
    pub fn rows(&self, partition: usize) -> usize {
        self.of(partition).iter().map(|segment| segment.rows).sum()
    }

    /// The prefixes of a partition that were sampled, each once.
    pub fn sample(&self, partition: usize) -> Vec<u64> {
        let mut prefixes: Vec<u64> =
            self.of(partition).iter().flat_map(|segment| segment.sample.iter().copied()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        prefixes
    }

    /// Takes the segments of a partition, each as a run of its own.
    pub fn fetch(&self, partition: usize) -> Vec<Run<T>> {
        let segments = std::mem::take(&mut *self.of(partition));
        segments.into_iter().map(|segment| vec![(partition, segment)]).collect()
    }

    fn of(&self, partition: usize) -> MutexGuard<'_, Vec<Segment<T>>> {
        self.0[partition].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Record> Segment<T> {
    /// Packs it into frames, one for each block.
    pub fn pack(self, frames: &mut Frames<'_>) -> Result<()> {
        for block in self.blocks {
            let mut frame = Vec::new();
            frame.extend((block.rows() as u64).to_le_bytes());
            frame.extend((block.bytes() as u64).to_le_bytes());
            frame.extend(block.encoded()?);
            frames(frame)?;
        }
        Ok(())
    }

    /// The segment of one block that a frame brings.
    pub fn unpack(mut frame: &[u8], disk: &Disk) -> Result<Segment<T>> {
        let (rows, bytes) = (take_u64(&mut frame)? as usize, take_u64(&mut frame)? as usize);
        let block = Block::from_encoded(frame, rows, bytes, disk)?;
        Ok(Segment { blocks: vec![block], rows, sample: Vec::new() })
    }

    /// Adds the blocks of a later frame.
    pub fn append(&mut self, mut later: Segment<T>) {
        self.blocks.append(&mut later.blocks);
        self.rows += later.rows;
    }

    /// Its rows and its sample, without the rows themselves.
    pub fn summary(&self) -> Vec<u8> {
        let numbers = std::iter::once(self.rows as u64).chain(self.sample.iter().copied());
        numbers.flat_map(u64::to_le_bytes).collect()
    }

    /// A segment that has only its summary.
    pub fn summarized(mut summary: &[u8]) -> Result<Segment<T>> {
        let rows = take_u64(&mut summary)? as usize;
        let mut sample = Vec::with_capacity(summary.len() / size_of::<u64>());
        while !summary.is_empty() {
            sample.push(take_u64(&mut summary)?);
        }
        Ok(Segment { blocks: Vec::new(), rows, sample })
    }
}

/// Delivers the output of a map task by its index: to each partition its segment.
pub fn deliver<T: Record>(run: Run<T>, port: &Port) {
    let batch = |(partition, segment)| (partition, Box::new(segment) as Batch);
    port.deliver(run.into_iter().map(batch).collect());
}
