//! Parts that tasks of other processes write: each into a directory of its own in the staging directory, from which the process that owns the
//! output takes those of the tries that Spark counts. What other tries have written is deleted with the staging directory.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::elements::Intake;
use super::encode::{Encoding, Placed, Writer};
use super::part_files::Files;
use super::parts::{Format, Skipped, Written};
use super::task_pieces::{TaskPieces, pack};
use crate::error::Result;
use crate::exec::collect::downcast;
use crate::exec::erased::AnyPush;
use crate::exec::job::{Batch, Order, Port, Terminal};
use crate::exec::memory::{Budget, Reservation};
use crate::exec::push::Demand;
use crate::exec::task::TaskCx;
use crate::exec::wire::{Frames, Wire, damaged};
use crate::io::commit::{PartEntry, Parts};
use crate::io::hive::PartitionPath;

/// What a task has written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TaskParts {
    /// Its directory.
    dir: PathBuf,
    /// Its parts by the partition that they belong to, if there are partitions.
    parts: Vec<(Option<String>, Vec<PartEntry>)>,
}

impl TaskParts {
    /// As the frame that tells of it.
    pub(super) fn from_frame(frame: &[u8]) -> Result<TaskParts> {
        serde_json::from_slice(frame).map_err(damaged)
    }

    /// Takes all of them into the files of the output.
    pub(super) fn adopt<F: Format>(&self, files: &Files<F>) -> Result<()> {
        for (place, parts) in &self.parts {
            let place = place.as_deref().map(PartitionPath::parse).transpose()?;
            files.adopt(place, &self.dir, parts)?;
        }
        Ok(())
    }
}

/// What an output has become, but for its path.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) parts: usize,
    pub(super) partitions: usize,
}

impl Outcome {
    /// As the frame that tells of it.
    pub(super) fn to_frame(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(damaged)
    }

    /// Notes it.
    pub(super) fn note(&self, written: &mut Written) {
        let Outcome { rows, bytes, parts, partitions } = *self;
        *written = Written { rows, bytes, parts, partitions, path: std::mem::take(&mut written.path) };
    }
}

/// What tasks leave of an output.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaves {
    /// Parts of about so many bytes.
    Parts { part_bytes: u64 },
    /// Files of pieces of the only part.
    Pieces,
    /// Pieces that are printed.
    Printed,
}

/// Where the driver has told that tasks write.
#[derive(Debug)]
enum Place {
    Nowhere,
    Dir(PathBuf),
}

/// Where the rows of an output end in the process of a task.
pub(super) struct TaskTerminal<I, F: Format> {
    encoding: Arc<Encoding<F>>,
    leaves: Leaves,
    budget: Budget,
    place: OnceLock<Place>,
    /// The place among all tasks of the one that was begun last: they run one after the other here, and each is packed before the next.
    order: Mutex<Option<Order>>,
    /// What an earlier run has written, as the driver has told.
    written: Arc<Mutex<Written>>,
    types: PhantomData<fn(I)>,
}

impl<I, F: Format> TaskTerminal<I, F> {
    pub(super) fn new(
        encoding: Arc<Encoding<F>>,
        leaves: Leaves,
        budget: &Budget,
        written: Arc<Mutex<Written>>,
    ) -> TaskTerminal<I, F> {
        let (budget, place, types) = (budget.clone(), OnceLock::new(), PhantomData);
        TaskTerminal { encoding, leaves, budget, place, order: Mutex::default(), written, types }
    }

    fn dir(&self) -> Result<&Path> {
        match self.place.get() {
            Some(Place::Dir(dir)) => Ok(dir),
            Some(Place::Nowhere) | None => Err(damaged("nobody has told where to write")),
        }
    }

    /// Writes pieces as parts, and gives the frame that tells of them.
    fn parts(&self, pieces: Placed<F>, part_bytes: u64) -> Result<Vec<u8>> {
        let order = *self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let Order { rank, split } = order.ok_or_else(|| damaged("a task was packed before it was begun"))?;
        let parts = Parts::of_task_in_order(self.dir()?, rank, split)?;
        let dir = parts.dir().to_owned();
        let files = Files::of_task(Arc::clone(&self.encoding), parts, part_bytes, &self.budget);
        pieces.into_iter().try_for_each(|(place, piece)| files.append(place, piece))?;
        let place = |place: Option<PartitionPath>| place.map(|place| place.as_str().to_owned());
        let parts = files.end_task()?.into_iter().map(|(of, parts)| (place(of), parts));
        serde_json::to_vec(&TaskParts { dir, parts: parts.collect() }).map_err(damaged)
    }
}

impl<I: Intake, F: Format> Terminal for TaskTerminal<I, F> {
    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        if let Some(Place::Nowhere) = self.place.get() {
            return Ok(AnyPush::new(Skipped::<I::Item>(port, PhantomData)));
        }
        *self.order.lock().unwrap_or_else(PoisonError::into_inner) = Some(port.order());
        Ok(AnyPush::new(Writer::<I, F>::new(Arc::clone(&self.encoding), cx, port)?))
    }

    /// Repeats what an earlier run has written, which is there already.
    fn absorb(&self, _cell: usize, _lane: usize, batch: Batch) -> Result<Demand> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        downcast::<Outcome>(batch)?.note(&mut written);
        Ok(Demand::More)
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(self)
    }
}

impl<I: Intake, F: Format> Wire for TaskTerminal<I, F> {
    fn pack(&self, _lane: usize, cell: usize, batch: Batch, frames: &mut Frames<'_>) -> Result<()> {
        if let Some(Place::Nowhere) = self.place.get() {
            return Ok(());
        }
        let (pieces, _reserved) = downcast::<(Placed<F>, Reservation)>(batch)?;
        if pieces.is_empty() {
            return Ok(());
        }
        match self.leaves {
            Leaves::Parts { part_bytes } => frames(cell, self.parts(pieces, part_bytes)?),
            Leaves::Pieces => {
                let pieces = TaskPieces::write(&self.encoding, self.dir()?, pieces)?;
                frames(cell, serde_json::to_vec(&pieces).map_err(damaged)?)
            }
            Leaves::Printed => pack(&self.encoding, pieces, &mut |bytes| frames(cell, bytes)),
        }
    }

    /// What a process of a task gets is no piece, but what has become of all of them.
    fn unpack(&self, _lane: usize, frame: &[u8]) -> Result<Batch> {
        Ok(Box::new(serde_json::from_slice::<Outcome>(frame).map_err(damaged)?))
    }

    fn join(&self, _lane: usize, _first: Batch, _later: Batch) -> Result<Batch> {
        Err(damaged("what has been written is one frame"))
    }

    fn tell(&self, told: &Value) -> Result<()> {
        let place = match told {
            Value::Bool(false) => Place::Nowhere,
            Value::String(dir) => Place::Dir(PathBuf::from(dir)),
            _ => return Ok(()), // what is printed has no place
        };
        let _ = self.place.set(place); // it is told once
        Ok(())
    }
}
