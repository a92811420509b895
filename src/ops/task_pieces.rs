//! Pieces that tasks of other processes encode for one file, or for standard output: the process that owns the output appends them in order, so
//! that the bytes are those of one process.
//!
//! What is to be a file lies in the staging directory meanwhile, one file of pieces for each task; only what is printed travels as frames.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::encode::{Encoding, Placed};
use super::parts::{Format, Travels};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::memory::Budget;
use crate::exec::wire::damaged;
use crate::io::commit::Parts;

/// What a task has left for one file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TaskPieces {
    file: PathBuf,
    /// The bytes of each piece, which follow each other.
    lengths: Vec<u64>,
}

/// Hands on the bytes of pieces.
pub(super) fn pack<F: Format>(
    encoding: &Encoding<F>,
    pieces: Placed<F>,
    take: &mut dyn FnMut(Vec<u8>) -> Result<()>,
) -> Result<()> {
    let schema = encoding.layout.file_schema();
    pieces.into_iter().try_for_each(|(_, piece)| piece.pack(&encoding.format, schema, take))
}

impl TaskPieces {
    /// Writes pieces into a directory of the task's own within that of all tasks.
    pub(super) fn write<F: Format>(
        encoding: &Encoding<F>,
        tasks: &Path,
        pieces: Placed<F>,
    ) -> Result<TaskPieces> {
        const NAME: &str = "pieces";
        let parts = Parts::of_task(tasks)?;
        let (mut file, mut lengths) = (parts.create(NAME)?, Vec::new());
        pack(encoding, pieces, &mut |bytes| {
            lengths.push(bytes.len() as u64);
            file.write_all(&bytes)
                .map_err(|error| Error::new(ErrorKind::Output, error.to_string()).because(error))
        })?;
        file.finish(0)?;
        Ok(TaskPieces { file: parts.dir().join(NAME), lengths })
    }

    /// As the frame that tells of it.
    pub(super) fn from_frame(frame: &[u8]) -> Result<TaskPieces> {
        serde_json::from_slice(frame).map_err(damaged)
    }

    /// Hands on the pieces, in order.
    pub(super) fn each<F: Format>(
        &self,
        budget: &Budget,
        mut take: impl FnMut(F::Piece) -> Result<()>,
    ) -> Result<()> {
        let failed = |error| {
            Error::io(ErrorKind::Output, "read back", &self.file, error)
                .hint("the driver and its executors need a file system that they share")
        };
        let mut file = File::open(&self.file).map_err(failed)?;
        for &length in &self.lengths {
            let mut bytes = Vec::new();
            (&mut file).take(length).read_to_end(&mut bytes).map_err(failed)?;
            if bytes.len() as u64 != length {
                return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
            }
            take(F::Piece::unpack(bytes, budget)?)?;
        }
        Ok(())
    }
}
