//! Standard output as the output of a run: pieces are printed in order, as soon as it is their turn.

use std::io::{self, ErrorKind as IoErrorKind, Write};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::elements::Intake;
use super::encode::{Encoding, Placed, Writer};
use super::parts::{Format, Travels, Written};
use super::task_parts::Outcome;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::collect::downcast;
use crate::exec::erased::AnyPush;
use crate::exec::job::{Batch, Port, Terminal};
use crate::exec::memory::{Budget, Reservation};
use crate::exec::push::Demand;
use crate::exec::task::TaskCx;
use crate::exec::wire::{Frames, Wire, damaged};
use crate::io::placement::{Placement, Writes};
use crate::io::resolve::InputFile;

/// Whether a path stands for standard output.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    path.as_os_str() == InputFile::STANDARD_INPUT
}

/// Refuses what only files can be.
pub(super) fn check_placement(placement: &Placement) -> Result<()> {
    if placement.partition_by.is_empty() && placement.writes == Writes::Whole {
        return Ok(());
    }
    let message = "standard output has no partitions, and nothing is added to it once";
    Err(Error::new(ErrorKind::Config, message).hint("name a directory"))
}

/// What is printed.
pub(super) struct Printed<F: Format> {
    pub(super) encoding: Arc<Encoding<F>>,
    state: Mutex<State<F>>,
    /// Whether the reader has gone away, so that there is no use in going on.
    is_closed: Arc<AtomicBool>,
}

enum State<F: Format> {
    New,
    Open { file: F::File<Stdout>, bytes: u64 },
    Ended { rows: u64, bytes: u64 },
}

impl<F: Format> Printed<F> {
    pub(super) fn new(encoding: Arc<Encoding<F>>) -> Printed<F> {
        Printed { encoding, state: Mutex::new(State::New), is_closed: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Result<F::File<Stdout>> {
        let stdout = Stdout { out: io::stdout(), is_closed: Arc::clone(&self.is_closed) };
        self.encoding.format.begin(self.encoding.layout.file_schema(), stdout)
    }

    fn append(&self, piece: F::Piece) -> Result<()> {
        let mut state = self.state();
        if matches!(*state, State::New) {
            *state = State::Open { file: self.begin()?, bytes: 0 };
        }
        match &mut *state {
            State::Open { file, bytes } => *bytes = F::append(file, piece)?,
            State::New | State::Ended { .. } => {}
        }
        Ok(())
    }

    /// Prints what stands behind all rows.
    fn end(&self) -> Result<()> {
        let mut state = self.state();
        let (file, bytes) = match std::mem::replace(&mut *state, State::Ended { rows: 0, bytes: 0 }) {
            State::New => (self.begin()?, 0),
            State::Open { file, bytes } => (file, bytes),
            State::Ended { .. } => return Ok(()),
        };
        let (mut stdout, rows) = F::end(file)?;
        stdout.flush().map_err(|error| Error::new(ErrorKind::Output, error.to_string()).because(error))?;
        *state = State::Ended { rows, bytes };
        Ok(())
    }

    /// What has been printed, after the run.
    pub(super) fn written(&self) -> Written {
        let (rows, bytes) = match *self.state() {
            State::Ended { rows, bytes } => (rows, bytes),
            State::New | State::Open { .. } => (0, 0),
        };
        Written { path: InputFile::STANDARD_INPUT.into(), rows, bytes, parts: 0, partitions: 0 }
    }
}

/// Standard output; when its reader has gone away, what is written is lost without an error, as usual.
pub(super) struct Stdout {
    out: io::Stdout,
    is_closed: Arc<AtomicBool>,
}

impl Stdout {
    fn note<T>(&self, result: io::Result<T>, otherwise: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == IoErrorKind::BrokenPipe => {
                self.is_closed.store(true, Ordering::Relaxed);
                Ok(otherwise)
            }
            Err(error) => {
                Err(io::Error::new(error.kind(), format!("cannot print to standard output: {error}")))
            }
            done => done,
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.note(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.note(flushed, ())
    }
}

/// The end of a pipeline that is printed.
pub(super) struct PrintTerminal<I, F: Format> {
    pub(super) printed: Arc<Printed<F>>,
    pub(super) budget: Budget,
    pub(super) types: PhantomData<fn(I)>,
}

impl<I: Intake, F: Format> Terminal for PrintTerminal<I, F> {
    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        Ok(AnyPush::new(Writer::<I, F>::new(Arc::clone(&self.printed.encoding), cx, port)?))
    }

    fn absorb(&self, _cell: usize, _lane: usize, batch: Batch) -> Result<Demand> {
        let (pieces, _reserved) = downcast::<(Placed<F>, Reservation)>(batch)?;
        for (_, piece) in pieces {
            self.printed.append(piece)?;
        }
        let is_closed = self.printed.is_closed.load(Ordering::Relaxed);
        Ok(if is_closed { Demand::Enough } else { Demand::More })
    }

    fn seal(&self, _cell: usize) -> Result<()> {
        self.printed.end()
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(self)
    }
}

/// In the driver of a job on a cluster, which prints.
impl<I: Intake, F: Format> Wire for PrintTerminal<I, F> {
    fn pack(&self, _lane: usize, _cell: usize, _batch: Batch, _frames: &mut Frames<'_>) -> Result<()> {
        Err(damaged("the driver of a job encodes nothing itself"))
    }

    fn unpack(&self, _lane: usize, frame: &[u8]) -> Result<Batch> {
        let pieces: Placed<F> = vec![(None, F::Piece::unpack(frame.to_vec(), &self.budget)?)];
        Ok(Box::new((pieces, self.budget.reservation())))
    }

    fn join(&self, _lane: usize, first: Batch, later: Batch) -> Result<Batch> {
        let (mut pieces, reserved) = downcast::<(Placed<F>, Reservation)>(first)?;
        pieces.extend(downcast::<(Placed<F>, Reservation)>(later)?.0);
        Ok(Box::new((pieces, reserved)))
    }

    fn outcome(&self) -> Result<Option<Vec<u8>>> {
        let Written { rows, bytes, parts, partitions, .. } = self.printed.written();
        Outcome { rows, bytes, parts, partitions }.to_frame().map(Some)
    }
}
