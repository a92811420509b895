//! Rows that have been exchanged become batches of columns again.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::elements::BATCH_ROWS;
use crate::error::Result;
use crate::exec::chunk::{Chunk, Rows};
use crate::exec::erased::AnyPush;
use crate::exec::narrow::Operator;
use crate::exec::out::Out;
use crate::exec::push::{Demand, Push};
use crate::exec::task::TaskCx;
use crate::record::Data;

/// Bytes of rows after which a batch ends, however few they are: they are held beside its columns.
const BATCH_BYTES: usize = 2 << 20;

/// The narrow operator that makes batches of rows. Where one ends depends on the rows alone.
pub(super) struct Batching<T, F> {
    bytes: fn(&T) -> usize,
    columns: Arc<F>,
}

impl<T, F: Fn(&[T]) -> Result<RecordBatch>> Batching<T, F> {
    /// Batches of what `columns` makes of rows, of which `bytes` tells the size. That must follow from the row alone: what a row takes in
    /// memory is another thing once it has been on disk.
    pub(super) fn new(bytes: fn(&T) -> usize, columns: F) -> Batching<T, F> {
        Batching { bytes, columns: Arc::new(columns) }
    }
}

impl<T, F> Operator for Batching<T, F>
where
    T: Data,
    F: Fn(&[T]) -> Result<RecordBatch> + Send + Sync + 'static,
{
    fn build(&self, cx: &TaskCx, next: AnyPush) -> Result<AnyPush> {
        let out = Out::new(cx.chunk_rows(), next.typed::<RecordBatch>()?);
        let columns = Arc::clone(&self.columns);
        Ok(AnyPush::new(Batcher { bytes_of: self.bytes, columns, rows: Vec::new(), bytes: 0, out }))
    }
}

struct Batcher<T, F> {
    bytes_of: fn(&T) -> usize,
    columns: Arc<F>,
    rows: Vec<T>,
    bytes: usize,
    out: Out<RecordBatch>,
}

impl<T, F: Fn(&[T]) -> Result<RecordBatch>> Batcher<T, F> {
    fn end_batch(&mut self) -> Result<Demand> {
        if self.rows.is_empty() {
            return Ok(Demand::More);
        }
        let batch = (self.columns)(&self.rows)?;
        self.rows.clear();
        self.bytes = 0;
        let _more: Demand = self.out.at_row(Rows::UNKNOWN)?;
        let bytes = batch.get_array_memory_size();
        self.out.emit_large(batch, bytes)
    }
}

impl<T, F> Push<T> for Batcher<T, F>
where
    T: Data,
    F: Fn(&[T]) -> Result<RecordBatch> + Send + Sync + 'static,
{
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        for row in chunk.items.drain(..) {
            self.bytes += (self.bytes_of)(&row);
            self.rows.push(row);
            let is_full = self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES;
            if is_full && self.end_batch()? == Demand::Enough {
                return Ok(Demand::Enough);
            }
        }
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        let _more: Demand = self.end_batch()?;
        self.out.finish()
    }
}
