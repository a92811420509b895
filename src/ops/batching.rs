//! Rows that have been exchanged become batches of columns again.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::elements::BATCH_ROWS;
use crate::error::Result;
use crate::exec::chunk::{Chunk, Rows};
use crate::exec::erased::AnyPush;
use crate::exec::narrow::Operator;
use crate::exec::out::Out;
use crate::exec::push::{Flow, Push};
use crate::exec::sequence::row_bytes;
use crate::exec::task::TaskCx;
use crate::record::Record;

/// Bytes of rows after which a batch ends, however few they are: it is held beside its columns.
const BATCH_BYTES: usize = 2 << 20;

/// The narrow operator that makes batches of rows. Where one ends depends on the rows alone.
pub(super) struct Batching<T, F> {
    columns: Arc<F>,
    types: PhantomData<fn(T)>,
}

impl<T, F: Fn(&[T]) -> Result<RecordBatch>> Batching<T, F> {
    /// Batches of what `columns` makes of rows.
    pub(super) fn new(columns: F) -> Batching<T, F> {
        Batching { columns: Arc::new(columns), types: PhantomData }
    }
}

impl<T, F> Operator for Batching<T, F>
where
    T: Record,
    F: Fn(&[T]) -> Result<RecordBatch> + Send + Sync + 'static,
{
    fn build(&self, cx: &TaskCx, next: AnyPush) -> Result<AnyPush> {
        let out = Out::new(cx.chunk_rows(), next.typed::<RecordBatch>()?);
        let columns = Arc::clone(&self.columns);
        Ok(AnyPush::new(Batcher { columns, rows: Vec::new(), bytes: 0, out }))
    }
}

struct Batcher<T, F> {
    columns: Arc<F>,
    rows: Vec<T>,
    bytes: usize,
    out: Out<RecordBatch>,
}

impl<T: Record, F: Fn(&[T]) -> Result<RecordBatch>> Batcher<T, F> {
    fn end_batch(&mut self) -> Result<Flow> {
        if self.rows.is_empty() {
            return Ok(Flow::More);
        }
        let batch = (self.columns)(&self.rows)?;
        self.rows.clear();
        self.bytes = 0;
        let _more: Flow = self.out.at_row(Rows::UNKNOWN)?;
        let bytes = batch.get_array_memory_size();
        self.out.emit_large(batch, bytes)
    }
}

impl<T, F> Push<T> for Batcher<T, F>
where
    T: Record,
    F: Fn(&[T]) -> Result<RecordBatch> + Send + Sync + 'static,
{
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Flow> {
        for row in chunk.items.drain(..) {
            self.bytes += row_bytes(&row);
            self.rows.push(row);
            let is_full = self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES;
            if is_full && self.end_batch()? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        Ok(Flow::More)
    }

    fn finish(&mut self) -> Result<()> {
        let _more: Flow = self.end_batch()?;
        self.out.finish()
    }
}
