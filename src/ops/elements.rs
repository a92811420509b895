//! Two kinds of elements that stand for columns: rows, which have a type, and whole batches, whose columns are known only when the program runs.
//!
//! Readers have batches and make elements of them ([`Unpack`]); writers are given elements and need batches ([`Intake`]).

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use crate::error::{Error, ErrorKind, Result};
use crate::exec::out::Out;
use crate::exec::push::Demand;
use crate::record::{Data, Record, from_batch, to_batch};

/// Rows that are turned into columns at once: the columns of a narrow record then stay in a core's cache.
pub(super) const BATCH_ROWS: usize = 8192;

/// Makes elements of batches.
pub(super) trait Unpack: 'static {
    /// The elements.
    type Item: Data;

    /// Whether an element is a row, and so has a place in a file.
    const ARE_ROWS: bool;

    /// Emits the elements that a batch is. An error of the batch is `located`, with the number of its row; one of whoever receives the
    /// elements comes as it is.
    fn emit(
        batch: RecordBatch,
        located: impl Fn(Error) -> Error,
        out: &mut Out<Self::Item>,
    ) -> Result<Demand>;

    /// How many elements a batch of so many rows is.
    fn elements(rows: u64) -> u64;
}

/// Makes batches of elements, in order.
pub(super) trait Intake: Default + Send + 'static {
    /// The elements.
    type Item: Data;

    /// Takes elements over.
    fn take(&mut self, items: &mut Vec<Self::Item>);

    /// The next batch of what was taken. Where it ends depends on the elements alone, and not on how they came; so there is none yet while more
    /// elements could belong to it, unless these are `all`.
    fn next_batch(&mut self, all: bool) -> Result<Option<RecordBatch>>;
}

/// Elements that are rows.
pub(super) struct Rows<T>(Vec<T>);

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Rows(Vec::new())
    }
}

impl<T: Record> Unpack for Rows<T> {
    type Item = T;

    const ARE_ROWS: bool = true;

    fn emit(batch: RecordBatch, located: impl Fn(Error) -> Error, out: &mut Out<T>) -> Result<Demand> {
        let limit = out.limit();
        for start in (0..batch.num_rows()).step_by(limit) {
            // Chunk by chunk, so that a core's cache has the columns and the rows that are made of them.
            let piece = batch.slice(start, limit.min(batch.num_rows() - start));
            let rows = from_batch(&piece).map_err(|error| located(error.rows_on(start as u64)))?;
            if out.emit_all(rows)? == Demand::Enough {
                return Ok(Demand::Enough);
            }
        }
        Ok(Demand::More)
    }

    fn elements(rows: u64) -> u64 {
        rows
    }
}

impl<T: Record> Intake for Rows<T> {
    type Item = T;

    fn take(&mut self, items: &mut Vec<T>) {
        self.0.append(items);
    }

    fn next_batch(&mut self, all: bool) -> Result<Option<RecordBatch>> {
        let rows = self.0.len().min(BATCH_ROWS);
        if rows == 0 || (rows < BATCH_ROWS && !all) {
            return Ok(None);
        }
        let batch = to_batch(&self.0[..rows])?;
        self.0.drain(..rows);
        Ok(Some(batch))
    }
}

/// Elements that are batches. What readers make of small files is put together, since each column of each batch has its price.
#[derive(Default)]
pub(super) struct Batches {
    batches: VecDeque<RecordBatch>,
    rows: usize,
}

/// Rows below which a batch waits for the next ones.
const SMALL_ROWS: usize = 1024;

impl Unpack for Batches {
    type Item = RecordBatch;

    const ARE_ROWS: bool = false;

    fn emit(
        batch: RecordBatch,
        _located: impl Fn(Error) -> Error,
        out: &mut Out<RecordBatch>,
    ) -> Result<Demand> {
        let bytes = batch.get_array_memory_size();
        out.emit_large(batch, bytes)
    }

    fn elements(_rows: u64) -> u64 {
        1
    }
}

impl Intake for Batches {
    type Item = RecordBatch;

    fn take(&mut self, items: &mut Vec<RecordBatch>) {
        self.rows += items.iter().map(RecordBatch::num_rows).sum::<usize>();
        self.batches.extend(items.drain(..));
    }

    fn next_batch(&mut self, all: bool) -> Result<Option<RecordBatch>> {
        if self.rows < SMALL_ROWS && !all {
            return Ok(None);
        }
        let (mut together, mut rows) = (Vec::new(), 0);
        while rows < SMALL_ROWS
            && let Some(batch) = self.batches.pop_front()
        {
            rows += batch.num_rows();
            together.push(batch);
        }
        self.rows -= rows;
        match together.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [first, ..] => concat_batches(first.schema_ref(), &together).map(Some).map_err(|error| {
                Error::new(ErrorKind::Internal, "batches of one table differ").because(error)
            }),
        }
    }
}
