//! What the tasks of an output do: they turn what they are pushed into finished pieces, each for its own split.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::elements::{BATCH_ROWS, Intake};
use super::partition_rows::{Gathered, Layout};
use super::parts::{Encoder, Format};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::chunk::Chunk;
use crate::exec::job::Port;
use crate::exec::memory::{Budget, Reservation};
use crate::exec::push::{Demand, Push};
use crate::exec::task::TaskCx;
use crate::io::hive::PartitionPath;

/// How the rows of an output are encoded.
pub(super) struct Encoding<F> {
    pub(super) format: F,
    pub(super) layout: Layout,
}

impl<F: Format> Encoding<F> {
    /// # Errors
    ///
    /// If the format cannot hold the columns: that is found now, not after an hour of work.
    pub(super) fn new(format: F, layout: Layout, budget: &Budget) -> Result<Encoding<F>> {
        drop(format.encoder(layout.file_schema(), budget)?);
        Ok(Encoding { format, layout })
    }
}

/// What a task leaves: pieces, each with the partition that it belongs to if there are partitions.
pub(super) type Placed<F> = Vec<(Option<PartitionPath>, <F as Format>::Piece)>;

/// Encodes what one task is pushed.
pub(super) struct Writer<I, F: Format> {
    encoding: Arc<Encoding<F>>,
    intake: I,
    /// The encoder of an output that is not partitioned, once there are rows.
    encoder: Option<F::Encoder>,
    /// The rows of a partitioned one.
    gathered: Option<Gathered>,
    pieces: Placed<F>,
    reservation: Reservation,
    port: Port,
}

impl<I: Intake, F: Format> Writer<I, F> {
    pub(super) fn new(encoding: Arc<Encoding<F>>, cx: &TaskCx, port: Port) -> Result<Self> {
        let gathered = encoding.layout.gathered()?;
        let reservation = cx.budget().reservation();
        let (intake, pieces) = (I::default(), Vec::new());
        Ok(Writer { encoding, intake, encoder: None, gathered, pieces, reservation, port })
    }

    /// Encodes what has been taken, as far as it makes whole batches, or all of it.
    fn encode(&mut self, all: bool) -> Result<()> {
        while let Some(batch) = self.intake.next_batch(all)? {
            match &mut self.gathered {
                Some(gathered) => {
                    gathered.add(&batch)?;
                    self.reservation.resize(gathered.bytes())?;
                    if gathered.is_full() {
                        self.encode_gathered()?;
                    }
                }
                None => self.encode_batch(&batch)?,
            }
        }
        Ok(())
    }

    fn encode_batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let schema = self.encoding.layout.file_schema();
        let columns = RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec())
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(self.encoding.format.encoder(schema, self.reservation.budget())?),
        };
        encoder.write(&columns)?;
        self.reservation.resize(encoder.memory_bytes() as u64)
    }

    /// Encodes one partition after the other, so that one encoder is open at a time, however many there are.
    fn encode_gathered(&mut self) -> Result<()> {
        let Some(gathered) = &mut self.gathered else { return Ok(()) };
        let (held, encoding) = (gathered.bytes(), &self.encoding);
        let (pieces, reservation) = (&mut self.pieces, &mut self.reservation);
        gathered.drain(BATCH_ROWS, |partition, batches| {
            let mut encoder = encoding.format.encoder(encoding.layout.file_schema(), reservation.budget())?;
            for batch in batches {
                encoder.write(&batch?)?;
                reservation.resize(held + encoder.memory_bytes() as u64)?;
            }
            pieces.extend(encoder.finish()?.into_iter().map(|piece| (Some(partition.clone()), piece)));
            Ok(())
        })?;
        reservation.resize(0)
    }
}

impl<I: Intake, F: Format> Push<I::Item> for Writer<I, F> {
    fn push(&mut self, chunk: &mut Chunk<I::Item>) -> Result<Demand> {
        self.intake.take(&mut chunk.items);
        self.encode(false)?;
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        self.encode(true)?;
        self.encode_gathered()?;
        let pieces = self.encoder.take().map_or_else(|| Ok(Vec::new()), Encoder::finish)?;
        self.pieces.extend(pieces.into_iter().map(|piece| (None, piece)));
        let empty = self.reservation.split_off();
        let reservation = std::mem::replace(&mut self.reservation, empty);
        let pieces: Placed<F> = std::mem::take(&mut self.pieces);
        self.port.deliver(vec![(0, Box::new((pieces, reservation)))]);
        Ok(())
    }
}
