//! What map tasks have left for the reduce tasks: for each partition the segments, in the order of the tasks.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};

use super::map_output::{Run, Segment};
use crate::error::Result;
use crate::exec::collect::downcast;
use crate::exec::disk::Disk;
use crate::exec::job::{Batch, Order, Port};
use crate::exec::spill::Block;
use crate::exec::wire::{ExchangeWire, Frames, Wire, damaged, take_u64};
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

/// How segments travel between processes.
pub struct SegmentWire<T>(PhantomData<fn() -> T>);

impl<T: Record> SegmentWire<T> {
    /// Packs a segment into frames, one for each block.
    pub fn pack(cell: usize, segment: Batch, frames: &mut Frames<'_>) -> Result<()> {
        downcast::<Segment<T>>(segment)?.blocks.iter().try_for_each(|block| frames(cell, block.to_frame()?))
    }

    /// The segment of one block that a frame brings.
    pub fn unpack(frame: &[u8], disk: &Disk) -> Result<Batch> {
        let block = Block::<T>::from_frame(frame, disk)?;
        Ok(Box::new(Segment { rows: block.rows(), blocks: vec![block], sample: Vec::new() }))
    }

    /// A segment with the blocks of two.
    pub fn join(first: Batch, later: Batch) -> Result<Batch> {
        let (mut segment, mut later) = (downcast::<Segment<T>>(first)?, downcast::<Segment<T>>(later)?);
        segment.blocks.append(&mut later.blocks);
        segment.rows += later.rows;
        Ok(Box::new(segment))
    }

    /// The rows and the sample of a segment, without the rows themselves.
    pub fn summary(segment: &Batch) -> Result<Vec<u8>> {
        let segment = segment.downcast_ref::<Segment<T>>().ok_or_else(|| damaged("it is no segment"))?;
        Ok(Summary { rows: segment.rows as u64, sample: segment.sample.clone() }.to_bytes())
    }

    /// A segment that has only its summary.
    pub fn summarized(summary: &[u8]) -> Result<Batch> {
        let Summary { rows, sample } = Summary::parse(summary)?;
        Ok(Box::new(Segment::<T> { blocks: Vec::new(), rows: rows as usize, sample }))
    }
}

/// What the process that plans must know of segments.
struct Summary {
    rows: u64,
    sample: Vec<u64>,
}

impl Summary {
    fn parse(mut bytes: &[u8]) -> Result<Summary> {
        let rows = take_u64(&mut bytes)?;
        let mut sample = Vec::with_capacity(bytes.len() / size_of::<u64>());
        while !bytes.is_empty() {
            sample.push(take_u64(&mut bytes)?);
        }
        Ok(Summary { rows, sample })
    }

    fn to_bytes(&self) -> Vec<u8> {
        std::iter::once(self.rows).chain(self.sample.iter().copied()).flat_map(u64::to_le_bytes).collect()
    }
}

/// The summary of all segments that two sum up, of one partition.
pub fn join_summaries(first: &[u8], later: &[u8]) -> Result<Vec<u8>> {
    let (mut joined, mut later) = (Summary::parse(first)?, Summary::parse(later)?);
    joined.rows += later.rows;
    joined.sample.append(&mut later.sample);
    joined.sample.sort_unstable();
    joined.sample.dedup();
    Ok(joined.to_bytes())
}

/// Which partitions each reduce task reads: told by whoever knows all of them, or found out here.
#[derive(Debug, Default)]
pub struct ReduceTasks(Mutex<Vec<Range<usize>>>);

impl ReduceTasks {
    /// Sets the tasks.
    pub fn set(&self, tasks: Vec<Range<usize>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
    }

    /// The partitions of a task.
    pub fn partitions_of(&self, task: usize) -> Range<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[task].clone()
    }

    /// What another process is told.
    pub fn told(&self) -> Value {
        json!(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes what another process has told.
    pub fn tell(&self, told: &Value) -> Result<()> {
        self.set(Deserialize::deserialize(told).map_err(damaged)?);
        Ok(())
    }
}

/// How an exchange of one lane travels whose cells are partitions with segments.
pub struct Segments<T> {
    partitions: usize,
    disk: Disk,
    /// Which partitions a split of what follows reads.
    pub tasks: ReduceTasks,
    types: PhantomData<fn() -> T>,
}

impl<T: Record> Segments<T> {
    /// So many partitions, of which tasks are still to be made.
    pub fn new(partitions: usize, disk: &Disk) -> Segments<T> {
        Segments { partitions, disk: disk.clone(), tasks: ReduceTasks::default(), types: PhantomData }
    }

    /// So many partitions, each of which is a task.
    pub fn one_by_one(partitions: usize, disk: &Disk) -> Segments<T> {
        let segments = Segments::new(partitions, disk);
        segments.tasks.set((0..partitions).map(|partition| partition..partition + 1).collect());
        segments
    }
}

impl<T: Record> Wire for Segments<T> {
    fn pack(&self, _lane: usize, cell: usize, batch: Batch, frames: &mut Frames<'_>) -> Result<()> {
        SegmentWire::<T>::pack(cell, batch, frames)
    }

    fn unpack(&self, _lane: usize, frame: &[u8]) -> Result<Batch> {
        SegmentWire::<T>::unpack(frame, &self.disk)
    }

    fn join(&self, _lane: usize, first: Batch, later: Batch) -> Result<Batch> {
        SegmentWire::<T>::join(first, later)
    }

    fn exchange(&self) -> Option<&dyn ExchangeWire> {
        Some(self)
    }

    fn told(&self) -> Value {
        self.tasks.told()
    }

    fn tell(&self, told: &Value) -> Result<()> {
        self.tasks.tell(told)
    }
}

impl<T: Record> ExchangeWire for Segments<T> {
    fn summary(&self, _lane: usize, batch: &Batch) -> Result<Vec<u8>> {
        SegmentWire::<T>::summary(batch)
    }

    fn summarized(&self, _lane: usize, _order: Order, summary: &[u8]) -> Result<Batch> {
        SegmentWire::<T>::summarized(summary)
    }

    fn join_summaries(&self, first: &[u8], later: &[u8]) -> Result<Option<Vec<u8>>> {
        join_summaries(first, later).map(Some)
    }

    fn cells(&self) -> usize {
        self.partitions
    }

    fn cells_of(&self, split: usize) -> Range<usize> {
        self.tasks.partitions_of(split)
    }
}

/// Delivers the output of a map task by its index: to each partition its segment.
pub fn deliver<T: Record>(run: Run<T>, port: &Port) {
    let batch = |(partition, segment)| (partition, Box::new(segment) as Batch);
    port.deliver(run.into_iter().map(batch).collect());
}
