//! The receiving side of a map task whose rows are exchanged as they are.

use std::sync::Arc;

use super::map_output::{Layout, MapOutput};
use super::partitions::deliver;
use crate::error::Result;
use crate::exec::chunk::Chunk;
use crate::exec::erased::AnyPush;
use crate::exec::job::Port;
use crate::exec::push::{Demand, Push};
use crate::exec::task::TaskCx;
use crate::exec::trace::Cursor;
use crate::record::Record;

/// Collects the rows of one task.
struct Writer<T, L> {
    layout: Arc<L>,
    cx: TaskCx,
    port: Port,
    /// None after the end.
    output: Option<MapOutput<T>>,
}

/// The receiving side of one task.
pub fn writer<T: Record, L: Layout<T>>(layout: &Arc<L>, cx: &TaskCx, port: Port) -> AnyPush {
    let (layout, output) = (Arc::clone(layout), Some(MapOutput::<T>::new(cx)));
    AnyPush::new(Writer { layout, cx: cx.clone(), port, output })
}

impl<T: Record, L: Layout<T>> Push<T> for Writer<T, L> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let Some(output) = &mut self.output else { return Ok(Demand::Enough) };
        let mut at = Cursor::new(self.cx.trace(), &chunk.rows);
        for row in chunk.items.drain(..) {
            output.push(self.layout.as_ref(), row);
            at.advance();
        }
        drop(at);
        output.make_room(self.layout.as_ref())?;
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        let Some(output) = self.output.take() else { return Ok(()) };
        deliver(output.finish(self.layout.as_ref())?, &self.port);
        Ok(())
    }
}
