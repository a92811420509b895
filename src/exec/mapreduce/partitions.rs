//! What map tasks have left for the reduce tasks: for each partition the segments, in the order of the tasks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::map_output::{Run, Segment};
use crate::error::Result;
use crate::exec::collect::downcast;
use crate::exec::job::{Batch, Port};
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

/// Delivers the output of a map task by its index: to each partition its segment.
pub fn deliver<T: Record>(run: Run<T>, port: &Port) {
    let batch = |(partition, segment)| (partition, Box::new(segment) as Batch);
    port.deliver(run.into_iter().map(batch).collect());
}
