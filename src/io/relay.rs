//! One task inflates a large compressed file, the others parse: its decoder goes from the task of one piece to that of the next.
//!
//! The pieces of such a file are ranges of its *compressed* bytes, so that their number is known when the program is planned. A piece
//! holds the lines that end in what the decoder gives for the bytes of its range; the line that has begun there goes on with the decoder.
//!
//! A decoder that stands before a piece is parked here. The task of that piece takes it, inflates the piece into blocks of lines, parks the
//! decoder before the next piece, and only then hands its lines on: while it parses, another one inflates. Where a piece inflates to more
//! than [`HELD_BYTES`], the task holds the decoder and hands lines on as they come.
//!
//! A task that finds no decoder before its piece waits only for one that a *running* task holds on its way to an earlier piece, or that a task
//! that waits for an earlier piece will take first. Who waits for the earliest piece waits for no other; who inflates waits for nobody and runs no
//! code of the program. If there is nobody to wait for, a task takes a decoder that is parked before an earlier piece, or begins with
//! the file, and skips what comes before its own. So everything is right whoever comes when: one thread, `take`, runs one after
//! the other or at the same time. Time decides only who inflates, never what is read.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::inflate::InflateFault;
use super::input::InputBytes;
use super::lines::{BlockPool, LineCutter, LineFault, LineFaultKind, LineOptions, Lines};
use super::resolve::InputFile;
use crate::Result;

/// What a task inflates before it hands lines on.
const HELD_BYTES: usize = 16 << 20;

/// How long a task waits for that of an earlier piece, which may be about to come, before it takes its decoder or begins with the file:
/// tasks that are started together arrive in any order, and who finds its decoder gone has to begin with the file as well.
const ARRIVAL: Duration = Duration::from_millis(100);

/// How long a task waits without a sign for one that holds the decoder while it hands lines on. Code of the program runs there, and if it
/// uses the workers itself, the one may stand below the other on the same stack.
const PATIENCE: Duration = Duration::from_secs(5);

/// Decoders that are parked at most: each holds a file descriptor and a window.
const MAX_PARKED: usize = 4;

/// The decoders of a file, parked or in use.
#[derive(Debug)]
pub(crate) struct Relay {
    file: Arc<InputFile>,
    /// The compressed bytes of each piece.
    ranges: Vec<Range<u64>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    parked: Vec<Decoder>,
    /// Of each decoder in use.
    held: Vec<Held>,
    /// The pieces, and how they are read, whose tasks wait.
    waiting: Vec<(usize, LineOptions)>,
    /// What is wrong in the file itself, so that it need not be found again by every task behind it.
    faults: Vec<Known>,
    /// Decoders that were taken, and what their tasks did with them since: it grows as long as anything goes on.
    signs: u64,
}

/// Something wrong in a piece.
#[derive(Debug)]
struct Known {
    piece: usize,
    options: LineOptions,
    offset: u64,
    kind: KnownKind,
}

#[derive(Debug)]
enum KnownKind {
    Inflate(InflateFault),
    TooLong,
    NotUtf8,
}

impl Known {
    /// What is worth knowing of a fault: not a failed read, which may succeed the next time.
    fn of(fault: &LineFault, piece: usize, options: LineOptions) -> Option<Known> {
        let kind = match &fault.kind {
            LineFaultKind::Read(error) => KnownKind::Inflate(InflateFault::of(error)?.clone()),
            LineFaultKind::TooLong => KnownKind::TooLong,
            LineFaultKind::NotUtf8 => KnownKind::NotUtf8,
        };
        Some(Known { piece, options, offset: fault.offset, kind })
    }

    fn fault(&self) -> LineFault {
        let kind = match &self.kind {
            KnownKind::Inflate(fault) => {
                LineFaultKind::Read(io::Error::new(io::ErrorKind::InvalidData, fault.clone()))
            }
            KnownKind::TooLong => LineFaultKind::TooLong,
            KnownKind::NotUtf8 => LineFaultKind::NotUtf8,
        };
        LineFault { offset: self.offset, kind }
    }
}

/// A decoder in use.
#[derive(Debug)]
struct Held {
    id: u64,
    /// The piece whose task holds it.
    piece: usize,
    options: LineOptions,
    doing: Doing,
}

/// What the task that holds a decoder does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// It inflates, or skips what comes before its piece. No code of the program runs.
    Inflating,
    /// It hands lines on, and will inflate again.
    HandingOn,
}

/// A file that is inflated up to a piece.
#[derive(Debug)]
struct Decoder {
    cutter: LineCutter<InputBytes>,
    options: LineOptions,
    /// The piece that comes next.
    piece: usize,
    /// The lines before it.
    lines: u64,
}

/// What a task is to do.
enum Turn {
    /// Take this parked decoder, or begin with the file.
    Go(Option<usize>),
    /// Wait until something changes, or for so long at most.
    Wait(Option<Duration>),
}

impl State {
    fn turn(&self, piece: usize, options: &LineOptions, patience: Patience) -> Turn {
        let ours = |decoder: &Decoder| decoder.options == *options && decoder.piece <= piece;
        let nearest = (0..self.parked.len()).filter(|&index| ours(&self.parked[index]));
        let nearest = nearest.max_by_key(|&index| self.parked[index].piece);
        let stands_before = nearest.map(|index| self.parked[index].piece);
        if stands_before == Some(piece) {
            return Turn::Go(nearest);
        }
        let earlier = |of: usize, with: &LineOptions| of < piece && *with == *options;
        let mut holders = self.held.iter().filter(|held| earlier(held.piece, &held.options)).peekable();
        if holders.peek().is_some() {
            if holders.any(|held| held.doing == Doing::Inflating) {
                return Turn::Wait(None);
            }
            if patience != Patience::Ended {
                return Turn::Wait(Some(PATIENCE));
            }
        }
        if self.waiting.iter().any(|(of, with)| earlier(*of, with)) {
            return Turn::Wait(None);
        }
        match patience {
            Patience::Fresh if piece > 0 => Turn::Wait(Some(ARRIVAL)),
            _ => Turn::Go(nearest),
        }
    }
}

/// Whether a task has waited in vain for as long as it does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Fresh,
    Ended,
}

impl Relay {
    pub(super) fn new(file: Arc<InputFile>, ranges: Vec<Range<u64>>) -> Relay {
        Relay { file, ranges, state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The decoder before a piece, or before an earlier one. It waits as the head of this file says.
    fn take(
        self: &Arc<Relay>,
        piece: usize,
        options: LineOptions,
        mut patience: Patience,
    ) -> Result<Lease, RelayFault> {
        let mut state = self.state();
        state.waiting.push((piece, options));
        let turn = loop {
            let behind = |known: &&Known| known.piece < piece && known.options == options;
            if let Some(known) = state.faults.iter().find(behind) {
                break Err(RelayFault::Lines(known.fault()));
            }
            match state.turn(piece, &options, patience) {
                Turn::Go(parked) => break Ok(parked),
                Turn::Wait(None) => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    patience = Patience::Fresh;
                }
                Turn::Wait(Some(limit)) => {
                    let before = state.signs;
                    let waited = self.changed.wait_timeout(state, limit);
                    let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    state = after;
                    let silent = timeout.timed_out() && state.signs == before;
                    patience = if silent { Patience::Ended } else { Patience::Fresh };
                }
            }
        };
        if let Some(place) = state.waiting.iter().position(|waiting| *waiting == (piece, options)) {
            state.waiting.swap_remove(place);
        }
        let decoder = match turn {
            Ok(parked) => parked.map(|index| state.parked.remove(index)),
            Err(fault) => {
                drop(state);
                self.changed.notify_all();
                return Err(fault);
            }
        };
        state.signs += 1;
        let id = state.signs;
        state.held.push(Held { id, piece, options, doing: Doing::Inflating });
        drop(state);
        self.changed.notify_all();
        // From here on the lease gives back what is held, whatever happens.
        let mut lease = Lease { relay: Arc::clone(self), id, decoder };
        if lease.decoder.is_none() {
            let bytes = InputBytes::open(&self.file, options.inflate).map_err(RelayFault::Other)?;
            let cutter = LineCutter::new(bytes, 0..u64::MAX, options);
            lease.decoder = Some(Decoder { cutter, options, piece: 0, lines: 0 });
        }
        Ok(lease)
    }
}

/// A decoder in use. Dropping it gives the decoder up, and wakes who waits for it.
#[derive(Debug)]
struct Lease {
    relay: Arc<Relay>,
    id: u64,
    decoder: Option<Decoder>,
}

impl Lease {
    /// Notes what is done while the decoder is held; each time is a sign for who waits.
    fn note(&self, doing: Doing) {
        let mut state = self.relay.state();
        state.signs += 1;
        if let Some(held) = state.held.iter_mut().find(|held| held.id == self.id) {
            held.doing = doing;
        }
        drop(state);
        self.relay.changed.notify_all();
    }

    /// Parks the decoder before the next piece, unless that was the last one.
    fn park(mut self) {
        let Some(mut decoder) = self.decoder.take() else { return };
        decoder.piece += 1;
        if decoder.piece < self.relay.ranges.len() {
            let mut state = self.relay.state();
            if state.parked.len() == MAX_PARKED {
                state.parked.remove(0);
            }
            state.parked.push(decoder);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.relay.state().held.retain(|held| held.id != self.id);
        self.relay.changed.notify_all();
    }
}

impl Decoder {
    /// The next lines of its piece; `None` at the end of it. With the lines of the file before them.
    fn next(&mut self, relay: &Relay, pool: &mut BlockPool) -> Result<Option<(Lines, u64)>, LineFault> {
        let is_last = self.piece + 1 >= relay.ranges.len();
        let end = relay.ranges.get(self.piece).map_or(u64::MAX, |range| range.end);
        self.cutter.source_mut().pause_at(if is_last { u64::MAX } else { end });
        let lines = self.cutter.next_lines(pool).inspect_err(|fault| {
            let mut state = relay.state();
            if !state.faults.iter().any(|known| known.piece == self.piece && known.options == self.options) {
                state.faults.extend(Known::of(fault, self.piece, self.options));
            }
        })?;
        let Some(lines) = lines else { return Ok(None) };
        let before = self.lines;
        self.lines += lines.ended();
        Ok(Some((lines, before)))
    }
}

/// A piece of a compressed file: the one with this index.
#[derive(Debug, Clone)]
pub(crate) struct RelayedPiece {
    pub(super) relay: Arc<Relay>,
    pub(super) index: usize,
    /// Whether no task is about to read the pieces before it, so that it waits only for those that do already.
    pub(super) is_alone: bool,
}

impl PartialEq for RelayedPiece {
    fn eq(&self, other: &RelayedPiece) -> bool {
        Arc::ptr_eq(&self.relay, &other.relay) && self.index == other.index
    }
}

impl Eq for RelayedPiece {}

/// Reads the lines of such a piece.
#[derive(Debug)]
pub(super) struct RelayedLines {
    piece: RelayedPiece,
    progress: Progress,
    ready: VecDeque<(Lines, u64)>,
}

#[derive(Debug)]
enum Progress {
    Inflating(Box<Lease>),
    /// All lines that are left are ready, and the decoder is parked.
    Parked,
    /// After the lines that are ready comes this.
    Failed(RelayFault),
}

/// Why lines of a compressed file cannot be read.
#[derive(Debug)]
pub(super) enum RelayFault {
    Lines(LineFault),
    Other(crate::Error),
}

impl RelayedLines {
    /// Takes the decoder, and skips the pieces before this one where it has to.
    pub(super) fn new(
        piece: RelayedPiece,
        options: LineOptions,
        pool: &mut BlockPool,
    ) -> Result<RelayedLines, RelayFault> {
        let patience = if piece.is_alone { Patience::Ended } else { Patience::Fresh };
        let mut lease = piece.relay.take(piece.index, options, patience)?;
        if let Some(decoder) = &mut lease.decoder {
            while decoder.piece < piece.index {
                if decoder.next(&piece.relay, pool).map_err(RelayFault::Lines)?.is_none() {
                    decoder.piece += 1;
                }
            }
        }
        Ok(RelayedLines { piece, progress: Progress::Inflating(Box::new(lease)), ready: VecDeque::new() })
    }

    /// The next lines, with how many are before them in the file.
    pub(super) fn next(&mut self, pool: &mut BlockPool) -> Result<Option<(Lines, u64)>, RelayFault> {
        if self.ready.is_empty() {
            self.progress = match std::mem::replace(&mut self.progress, Progress::Parked) {
                Progress::Inflating(lease) => self.inflate(lease, pool).unwrap_or_else(Progress::Failed),
                Progress::Parked => return Ok(None),
                Progress::Failed(fault) => return Err(fault),
            };
        }
        match (self.ready.pop_front(), &self.progress) {
            // A fault right at the start.
            (None, Progress::Failed(_)) => self.next(pool),
            (ready, _) => Ok(ready),
        }
    }

    /// Makes lines ready, until the end of the piece or for as long as it is sensible.
    fn inflate(&mut self, mut lease: Box<Lease>, pool: &mut BlockPool) -> Result<Progress, RelayFault> {
        lease.note(Doing::Inflating);
        let Some(decoder) = &mut lease.decoder else { return Ok(Progress::Parked) };
        let mut bytes = 0;
        while bytes < HELD_BYTES {
            let Some((lines, before)) = decoder.next(&self.piece.relay, pool).map_err(RelayFault::Lines)?
            else {
                let source = decoder.cutter.source();
                source.check_unchanged(&self.piece.relay.file, None).map_err(RelayFault::Other)?;
                lease.park();
                return Ok(Progress::Parked);
            };
            bytes += lines.block.as_str().len();
            self.ready.push_back((lines, before));
        }
        lease.note(Doing::HandingOn);
        Ok(Progress::Inflating(lease))
    }
}
