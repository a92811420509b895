//! What a map task leaves: rows ordered by partition and prefix, on disk.

use super::group::Group;
use super::merge::{Merged, merge_down};
use crate::error::Result;
use crate::exec::disk::Disk;
use crate::exec::memory::{Budget, Reservation};
use crate::exec::partition::SAMPLE;
use crate::exec::permute::permute;
use crate::exec::scatter::Packing;
use crate::exec::sequence::{List, row_bytes};
use crate::exec::sort::order::Order;
use crate::exec::spill::Block;
use crate::exec::table::high_bits;
use crate::exec::task::TaskCx;
use crate::record::{Record, pack};

/// Bytes that a map task collects before it writes a run: the default of `mapreduce.task.io.sort.mb` of Hadoop, 100 MB
/// (`mapred-default.xml` of Hadoop 3). A task in a small memory has its share of that.
const BUFFER_BYTES: usize = 100 << 20;

/// Bytes for each row of a bucket that it takes to put them in order, beside what the bucket holds: a prefix with a number, and a place.
const ORDERING_BYTES: usize = size_of::<(u64, u32)>() + size_of::<u32>();

/// Rows that are packed before they are put in buckets, while they are in the cache.
const PACKED_ROWS: usize = 512;

/// The buckets of a large buffer, as a power of two: rows are put in order within one, which fits the second-level cache of a core.
const BUCKET_BITS: u32 = 8;

/// Bytes of a buffer for each bucket, at least: a small buffer has fewer, or nearly empty ones would fill it.
const BUCKET_BYTES: usize = 64 << 10;

/// Bytes of rows in a block of a segment: a merge holds one block of each segment.
const BLOCK_BYTES: usize = 128 << 10;

/// How the rows of a map output are ordered and divided. They are ordered by prefixes, the prefixes of an order that are exact.
pub trait Layout<T>: Order<T> {
    /// Whether rows are cut out of the blocks of an input.
    const PACKING: Packing;

    /// The partition of a prefix; it never descends while prefixes ascend.
    fn partition(&self, prefix: u64) -> usize;

    /// The bucket, of `2^bits`, of a prefix; it never descends while prefixes ascend.
    #[inline]
    fn bucket(&self, prefix: u64, bits: u32) -> usize {
        high_bits(prefix, bits)
    }

    /// Whether rows of one prefix are joined before they are written.
    fn combines(&self) -> bool {
        false
    }

    /// Adds a row to those of its prefix.
    fn join(&self, group: &mut Vec<T>, row: T) {
        group.push(row);
    }
}

/// Ordered rows of one partition on disk.
#[derive(Debug)]
pub struct Segment<T> {
    pub(super) blocks: Vec<Block<T>>,
    /// The number of rows.
    pub rows: usize,
    /// Its prefixes that are sampled, each once.
    pub sample: Vec<u64>,
}

impl<T> Default for Segment<T> {
    fn default() -> Segment<T> {
        Segment { blocks: Vec::new(), rows: 0, sample: Vec::new() }
    }
}

/// Ordered rows on disk: the segment of each partition that has rows, in order.
pub type Run<T> = Vec<(usize, Segment<T>)>;

/// The bytes of a block of a segment.
pub fn block_bytes(budget: &Budget) -> usize {
    const LEAST: usize = 4 << 10;
    BLOCK_BYTES.min(budget.share(64)).max(LEAST)
}

/// Rows whose prefixes are near each other, in the order in which they came.
struct Bucket<T> {
    rows: Vec<T>,
    prefixes: Vec<u64>,
}

impl<T> Default for Bucket<T> {
    fn default() -> Bucket<T> {
        Bucket { rows: Vec::new(), prefixes: Vec::new() }
    }
}

impl<T> Bucket<T> {
    /// Adds a row, and gives the bytes by which the bucket has grown for it.
    #[inline]
    fn push(&mut self, prefix: u64, row: T) -> usize {
        let before = self.prefixes.capacity();
        self.prefixes.push(prefix);
        self.rows.push(row);
        (self.prefixes.capacity() - before) * (size_of::<T>() + size_of::<u64>())
    }

    /// The rows with their prefixes, in the order of these.
    fn into_order(self) -> impl Iterator<Item = (u64, T)> {
        let Bucket { mut rows, prefixes } = self;
        let mut order: Vec<(u64, u32)> = prefixes.into_iter().zip(0..).collect();
        order.sort_unstable();
        permute(&mut rows, order.iter().map(|(_, number)| *number));
        order.into_iter().map(|(prefix, _)| prefix).zip(rows)
    }
}

/// Collects what one map task leaves.
pub struct MapOutput<T> {
    buckets: Vec<Bucket<T>>,
    /// Rows that are to be packed before they are put in buckets.
    unpacked: Vec<T>,
    bucket_bits: u32,
    /// What the buckets have allocated, and what all rows own elsewhere.
    bytes: usize,
    limit_bytes: usize,
    reservation: Reservation,
    runs: Vec<Run<T>>,
}

impl<T: Record> MapOutput<T> {
    /// The empty output of a task.
    pub fn new(cx: &TaskCx) -> MapOutput<T> {
        let limit_bytes = BUFFER_BYTES.min(cx.memory_share());
        let bucket_bits = (limit_bytes / BUCKET_BYTES).max(1).ilog2().min(BUCKET_BITS);
        MapOutput {
            buckets: std::iter::repeat_with(Bucket::default).take(1 << bucket_bits).collect(),
            unpacked: Vec::new(),
            bucket_bits,
            bytes: 0,
            limit_bytes,
            reservation: cx.budget().reservation(),
            runs: Vec::new(),
        }
    }

    /// Adds a row.
    #[inline]
    pub fn push<L: Layout<T>>(&mut self, layout: &L, row: T) {
        self.bytes += row.heap_bytes();
        if L::PACKING == Packing::No {
            return self.put(layout, row);
        }
        self.unpacked.push(row);
        if self.unpacked.len() == PACKED_ROWS {
            self.put_unpacked(layout);
        }
    }

    #[inline]
    fn put<L: Layout<T>>(&mut self, layout: &L, row: T) {
        let prefix = layout.prefix(&row);
        self.bytes += self.buckets[layout.bucket(prefix, self.bucket_bits)].push(prefix, row);
    }

    fn put_unpacked<L: Layout<T>>(&mut self, layout: &L) {
        let mut rows = std::mem::take(&mut self.unpacked);
        pack(&mut rows);
        rows.drain(..).for_each(|row| self.put(layout, row));
        self.unpacked = rows;
    }

    /// Writes a run if the buffer is full; to be called after every chunk.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written, or a row exceeds the memory limit.
    pub fn make_room<L: Layout<T>>(&mut self, layout: &L) -> Result<()> {
        let room = self.bytes as u64;
        if self.bytes <= self.limit_bytes
            && (room <= self.reservation.bytes()
                || self.reservation.try_resize_free(room.next_multiple_of(1 << 16))
                || self.reservation.try_resize_free(room))
        {
            return Ok(());
        }
        if self.bytes <= self.reservation.budget().least_spill_bytes() {
            return self.reservation.resize(room);
        }
        self.write_run(layout)
    }

    #[cold]
    fn write_run<L: Layout<T>>(&mut self, layout: &L) -> Result<()> {
        self.put_unpacked(layout);
        if self.bytes == 0 {
            return Ok(());
        }
        let budget = self.reservation.budget().clone();
        if self.bytes as u64 > budget.limit_bytes() {
            let mut rows = self.buckets.iter().flat_map(|bucket| &bucket.rows);
            rows.try_for_each(|row| budget.check_row(row_bytes(row)))?;
        }
        let largest = self.buckets.iter().map(|bucket| bucket.rows.len()).max().unwrap_or(0);
        self.reservation.resize((self.bytes + largest * ORDERING_BYTES) as u64)?;
        let mut writer = RunWriter::new(layout, &budget);
        for bucket in &mut self.buckets {
            // Its memory is given back with its rows: what is reserved says how much there is.
            let mut rows = std::mem::take(bucket).into_order();
            rows.try_for_each(|(prefix, row)| writer.push(prefix, row))?;
        }
        self.runs.push(writer.finish()?);
        self.bytes = 0;
        self.reservation.resize(0)
    }

    /// Writes what is left, and merges all runs to one.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written or read.
    pub fn finish<L: Layout<T>>(mut self, layout: &L) -> Result<Run<T>> {
        self.write_run(layout)?;
        let budget = self.reservation.budget().clone();
        let mut runs = merge_down(layout, self.runs, &budget)?;
        if runs.len() <= 1 {
            return Ok(runs.pop().unwrap_or_default());
        }
        write_merged(layout, runs, &budget)
    }
}

/// Merges runs to one.
///
/// # Errors
///
/// If the disk cannot be written or read.
pub fn write_merged<T: Record, L: Layout<T>>(
    layout: &L,
    runs: Vec<Run<T>>,
    budget: &Budget,
) -> Result<Run<T>> {
    let mut merged = Merged::new(layout, runs, budget)?;
    let mut writer = RunWriter::new(layout, budget);
    while let Some(row) = merged.next()? {
        writer.push(layout.prefix(&row), row)?;
    }
    writer.finish()
}

/// Writes ordered rows as a run, and joins those that are to be combined.
struct RunWriter<'a, T, L> {
    layout: &'a L,
    /// Rows that may be joined, and their prefix.
    group: Group<T>,
    prefix: u64,
    segments: SegmentWriter<T>,
}

impl<'a, T: Record, L: Layout<T>> RunWriter<'a, T, L> {
    fn new(layout: &'a L, budget: &Budget) -> RunWriter<'a, T, L> {
        RunWriter { layout, group: Group::new(budget), prefix: 0, segments: SegmentWriter::new(budget) }
    }

    #[inline]
    fn push(&mut self, prefix: u64, row: T) -> Result<()> {
        if !self.layout.combines() {
            return self.segments.push(self.layout.partition(prefix), prefix, row);
        }
        if prefix != self.prefix && !self.group.is_empty() {
            self.put_group()?;
        }
        self.prefix = prefix;
        self.group.join(self.layout, row)
    }

    fn put_group(&mut self) -> Result<()> {
        let RunWriter { layout, group, prefix, segments } = self;
        let partition = layout.partition(*prefix);
        group.drain(|rows| rows.drain(..).try_for_each(|row| segments.push(partition, *prefix, row)))
    }

    fn finish(mut self) -> Result<Run<T>> {
        self.put_group()?;
        self.segments.finish()
    }
}

/// Writes rows that come by partition, block by block.
struct SegmentWriter<T> {
    disk: Disk,
    block_bytes: usize,
    run: Run<T>,
    /// Of the segment that is being written.
    partition: usize,
    segment: Segment<T>,
    list: List<T>,
}

impl<T: Record> SegmentWriter<T> {
    fn new(budget: &Budget) -> SegmentWriter<T> {
        SegmentWriter {
            disk: budget.disk().clone(),
            block_bytes: block_bytes(budget),
            run: Vec::new(),
            partition: 0,
            segment: Segment::default(),
            list: List::default(),
        }
    }

    #[inline]
    fn push(&mut self, partition: usize, prefix: u64, row: T) -> Result<()> {
        if partition != self.partition {
            self.end_segment()?;
            self.partition = partition;
        }
        if prefix.is_multiple_of(SAMPLE) && self.segment.sample.last() != Some(&prefix) {
            self.segment.sample.push(prefix);
        }
        self.list.push(row);
        if self.list.bytes >= self.block_bytes { self.end_block() } else { Ok(()) }
    }

    #[cold]
    fn end_block(&mut self) -> Result<()> {
        self.segment.rows += self.list.rows.len();
        self.segment.blocks.push(Block::write(&self.list.rows, self.list.bytes, &self.disk)?);
        self.list.rows.clear();
        self.list.bytes = 0;
        Ok(())
    }

    fn end_segment(&mut self) -> Result<()> {
        if !self.list.rows.is_empty() {
            self.end_block()?;
        }
        let segment = std::mem::take(&mut self.segment);
        if segment.rows > 0 {
            self.run.push((self.partition, segment));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Run<T>> {
        self.end_segment()?;
        Ok(self.run)
    }
}
