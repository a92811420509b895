//! Parts that tasks of other processes write: each into a directory of its own in the staging directory, from which the process that owns the
//! output takes those of the tries that Spark counts. What other tries have written is deleted with the staging directory.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::elements::Intake;
use super::encode::{Encoding, Placed, Writer};
use super::part_files::Files;
use super::parts::{Format, Written};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::collect::downcast;
use crate::exec::erased::AnyPush;
use crate::exec::job::{Batch, Port, Terminal};
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

/// Where the rows of an output end in the process of a task.
pub(super) struct TaskTerminal<I, F: Format> {
    encoding: Arc<Encoding<F>>,
    part_bytes: u64,
    budget: Budget,
    /// Where tasks write, once the driver has told.
    tasks: OnceLock<PathBuf>,
    /// What an earlier run has written, as the driver has told.
    written: Arc<Mutex<Written>>,
    types: PhantomData<fn(I)>,
}

impl<I, F: Format> TaskTerminal<I, F> {
    pub(super) fn new(
        encoding: Arc<Encoding<F>>,
        part_bytes: u64,
        budget: &Budget,
        written: Arc<Mutex<Written>>,
    ) -> TaskTerminal<I, F> {
        let (budget, tasks, types) = (budget.clone(), OnceLock::new(), PhantomData);
        TaskTerminal { encoding, part_bytes, budget, tasks, written, types }
    }
}

impl<I: Intake, F: Format> Terminal for TaskTerminal<I, F> {
    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        Ok(AnyPush::new(Writer::<I, F>::new(Arc::clone(&self.encoding), cx, port)?))
    }

    /// Repeats what an earlier run has written, which is there already.
    fn absorb(&self, _cell: usize, _lane: usize, batch: Batch) -> Result<Demand> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        for part in downcast::<TaskParts>(batch)?.parts.iter().flat_map(|(_, parts)| parts) {
            written.rows += part.rows;
            written.bytes += part.bytes;
            written.parts += 1;
        }
        Ok(Demand::More)
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(self)
    }
}

impl<I: Intake, F: Format> Wire for TaskTerminal<I, F> {
    fn pack(&self, _lane: usize, cell: usize, batch: Batch, frames: &mut Frames<'_>) -> Result<()> {
        let (pieces, _reserved) = downcast::<(Placed<F>, Reservation)>(batch)?;
        if pieces.is_empty() {
            return Ok(());
        }
        let tasks = self.tasks.get().ok_or_else(|| damaged("nobody has told where to write"))?;
        let parts = Parts::of_task(tasks)?;
        let dir = parts.dir().to_owned();
        let files = Files::of_task(Arc::clone(&self.encoding), parts, self.part_bytes, &self.budget);
        pieces.into_iter().try_for_each(|(place, piece)| files.append(place, piece))?;
        let place = |place: Option<PartitionPath>| place.map(|place| place.as_str().to_owned());
        let parts = files.end_task()?.into_iter().map(|(of, parts)| (place(of), parts));
        let written = TaskParts { dir, parts: parts.collect() };
        frames(cell, serde_json::to_vec(&written).map_err(damaged)?)
    }

    fn unpack(&self, _lane: usize, frame: &[u8]) -> Result<Batch> {
        Ok(Box::new(TaskParts::from_frame(frame)?))
    }

    fn join(&self, _lane: usize, _first: Batch, _later: Batch) -> Result<Batch> {
        Err(damaged("what a task has written is one frame"))
    }

    fn tell(&self, told: &Value) -> Result<()> {
        let dir = told.as_str().ok_or_else(|| damaged("the place of the parts is no text"))?;
        let _ = self.tasks.set(PathBuf::from(dir)); // it is told once
        Ok(())
    }
}

/// The error of an output that is one file, or no file.
pub(super) fn not_by_tasks(path: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("the output {path} is one file, and the executors of Spark write many"),
    )
    .hint("let it be a directory: a name without the ending of a format")
}
