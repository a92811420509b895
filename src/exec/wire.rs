//! What tasks leave, as it travels between processes.
//!
//! Where a job is run by many processes, one of them plans: it runs no task, and its terminals absorb *summaries*, from which follow the splits of what
//! reads an exchange. The tasks run in others, each for some splits of one pipeline. What a task leaves is packed into *frames*; whoever runs a task that
//! reads an exchange unpacks those of its cells in any order, joins what belonged together, and absorbs it in the order that counts.

use std::ops::Range;

use serde_json::Value;

use super::job::{Batch, Order};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Record, from_batch, to_batch};

/// Takes frames one after the other, each with the cell that it is for.
pub type Frames<'a> = dyn FnMut(usize, Vec<u8>) -> Result<()> + 'a;

/// How the batches of one terminal travel; those of different lanes may be of different types.
pub trait Wire: Send + Sync {
    /// Whether batches can travel; asked before anything is run.
    ///
    /// # Errors
    ///
    /// If they cannot.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Packs a batch for a cell into frames.
    ///
    /// # Errors
    ///
    /// If it cannot be read from disk, or cannot be bytes.
    fn pack(&self, lane: usize, cell: usize, batch: Batch, frames: &mut Frames<'_>) -> Result<()>;

    /// What one frame brings, as a batch.
    ///
    /// # Errors
    ///
    /// If it is no such frame, or cannot be written to disk.
    fn unpack(&self, lane: usize, frame: &[u8]) -> Result<Batch>;

    /// One batch of what two consecutive frames of a batch have brought.
    ///
    /// # Errors
    ///
    /// If they are of another type: a bug.
    fn join(&self, lane: usize, first: Batch, later: Batch) -> Result<Batch>;

    /// Once it is sealed: the frame from which processes that repeat what the job has resulted in know as much of it as this one does; none if they need
    /// all frames for that.
    ///
    /// # Errors
    ///
    /// If it cannot be bytes: a bug.
    fn outcome(&self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// For an exchange, how it is read; none for what the process that plans absorbs itself.
    fn exchange(&self) -> Option<&dyn ExchangeWire> {
        None
    }

    /// What the processes that run tasks must know of the terminal in that which plans.
    fn told(&self) -> Value {
        Value::Null
    }

    /// Takes what was [told](Wire::told).
    ///
    /// # Errors
    ///
    /// If it is nothing that was told.
    fn tell(&self, _told: &Value) -> Result<()> {
        Ok(())
    }
}

/// Where what the tasks leave for an exchange goes, and what its splits read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// To the cells that it is for. [`ExchangeWire::cells_of`] are cells.
    ByCell,
    /// Nowhere: it stays as the tasks have left it. [`ExchangeWire::cells_of`] are numbers of tasks that have left something, in their order. The
    /// number tells such an exchange from others of the program, also those of earlier jobs.
    ByTask(u64),
}

/// How an exchange is read by many processes.
pub trait ExchangeWire: Send + Sync {
    /// What the process that plans must know of a batch.
    ///
    /// # Errors
    ///
    /// If it is of another type: a bug.
    fn summary(&self, lane: usize, batch: &Batch) -> Result<Vec<u8>>;

    /// A batch without rows, to be absorbed by the process that plans; `order` is the place of the task that left it.
    ///
    /// # Errors
    ///
    /// If it is no summary.
    fn summarized(&self, lane: usize, order: Order, summary: &[u8]) -> Result<Batch>;

    /// One summary of two of a cell and a lane, the later one of a later task; none if each of them counts.
    ///
    /// # Errors
    ///
    /// If one is no summary.
    fn join_summaries(&self, _first: &[u8], _later: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// The number of cells that frames are for, once all that it depends on is known.
    fn cells(&self) -> usize;

    /// The cells that a split of what reads the exchange needs.
    fn cells_of(&self, split: usize) -> Range<usize>;

    /// Where what tasks leave goes.
    fn routing(&self) -> Routing {
        Routing::ByCell
    }

    /// Takes what a task at this place has left, where that is not divided by cells.
    ///
    /// # Errors
    ///
    /// If no task there has left anything, or it is of another type.
    fn arrive(&self, _order: Order, _batch: Batch) -> Result<()> {
        Err(damaged("it belongs to a cell"))
    }

    /// Whether the cells depend on the rows: the summaries of all tasks must be known before any task can pack what it leaves.
    fn is_sampled(&self) -> bool {
        false
    }
}

/// Rows as bytes: Arrow IPC.
///
/// # Errors
///
/// If the rows cannot be columns.
pub fn rows_to_bytes<T: Record>(rows: &[T]) -> Result<Vec<u8>> {
    let batch = to_batch(rows)?;
    let encode = || {
        let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema())?;
        writer.write(&batch)?;
        writer.into_inner()
    };
    encode().map_err(|error: arrow::error::ArrowError| {
        Error::new(ErrorKind::Internal, format!("rows cannot be sent: {error}")).because(error)
    })
}

/// The rows that bytes hold.
///
/// # Errors
///
/// If they are no such rows.
pub fn rows_from_bytes<T: Record>(bytes: &[u8]) -> Result<Vec<T>> {
    let mut batches =
        arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(bytes), None).map_err(damaged)?;
    let batch = batches.next().ok_or_else(|| damaged("there are no rows"))?;
    from_batch(&batch.map_err(damaged)?)
}

/// An error about a frame that is none.
pub fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("a frame of another process cannot be read: {what}"))
}

/// The next number of a frame.
///
/// # Errors
///
/// If the frame ends before it.
pub fn take_u64(bytes: &mut &[u8]) -> Result<u64> {
    let (number, rest) = bytes.split_first_chunk().ok_or_else(|| damaged("it is too short"))?;
    *bytes = rest;
    Ok(u64::from_le_bytes(*number))
}
