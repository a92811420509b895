//! The part files of an output, to which one worker at a time appends what tasks have encoded.
//!
//! What is in which file depends on the order of the pieces alone: a file ends with the piece that brings it to its size. How many files
//! are open at a time is bounded; the pieces of further partitions wait, in free memory or on disk, until they fill a file or
//! the output ends. So the bytes are the same whatever the bound.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::encode::Encoding;
use super::parts::Format;
use super::task_parts::Outcome;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::memory::{Budget, Reservation};
use crate::io::commit::{Attempt, PartEntry, PartNumbers, PartWriter, Parts};
use crate::io::hive::PartitionPath;

/// Part files that are open at a time.
const MAX_OPEN: usize = 64;

/// What an open file takes: the buffer of its writer.
const OPEN_BYTES: u64 = 256 << 10;

/// What a waiting piece takes for each of its columns besides its pages, which are accounted for where they are.
const WAITING_BYTES: u64 = 512;

/// The part files of one output.
pub struct Files<F: Format> {
    pub(super) encoding: Arc<Encoding<F>>,
    parts: Parts,
    part_bytes: u64,
    max_open: usize,
    budget: Budget,
    /// The first number for the parts of the partitions that are there already.
    numbers: PartNumbers,
    state: Mutex<State<F>>,
}

struct State<F: Format> {
    /// By partition; one without a name if the output is not partitioned.
    dirs: BTreeMap<Option<PartitionPath>, Dir<F>>,
    open: usize,
    waiting: usize,
    reservation: Reservation,
}

/// The files of one directory.
struct Dir<F: Format> {
    parts: Parts,
    next: usize,
    done: Vec<PartEntry>,
    open: Option<F::File<PartWriter>>,
    waiting: VecDeque<F::Piece>,
    waiting_bytes: u64,
}

impl<F: Format> Files<F> {
    /// The files of an attempt, each of about `part_bytes`.
    pub fn new(
        encoding: Arc<Encoding<F>>,
        attempt: &Attempt,
        part_bytes: u64,
        budget: &Budget,
    ) -> Result<Files<F>> {
        let first =
            if encoding.layout.is_partitioned() { None } else { Some(attempt.next_part_number(None)?) };
        Ok(Files::at(encoding, attempt.parts(), attempt.part_numbers(), first, part_bytes, budget))
    }

    /// The files of one task, in a directory of its own.
    pub fn of_task(encoding: Arc<Encoding<F>>, parts: Parts, part_bytes: u64, budget: &Budget) -> Files<F> {
        let first = (!encoding.layout.is_partitioned()).then_some(0);
        Files::at(encoding, parts, PartNumbers::default(), first, part_bytes, budget)
    }

    fn at(
        encoding: Arc<Encoding<F>>,
        parts: Parts,
        numbers: PartNumbers,
        first: Option<usize>,
        part_bytes: u64,
        budget: &Budget,
    ) -> Files<F> {
        let max_open = (budget.limit_bytes() / 8 / OPEN_BYTES).clamp(1, MAX_OPEN as u64) as usize;
        let whole = first.map(|first| (None, Dir::new(parts.clone(), first)));
        let dirs = whole.into_iter().collect();
        let state = State { dirs, open: 0, waiting: 0, reservation: budget.reservation() };
        let budget = budget.clone();
        Files { encoding, parts, part_bytes, max_open, budget, numbers, state: Mutex::new(state) }
    }

    /// Takes parts that a task of another process has written into a directory.
    pub fn adopt(&self, place: Option<PartitionPath>, from: &Path, parts: &[PartEntry]) -> Result<()> {
        let mut state = self.state();
        let from = place.as_ref().map_or_else(|| from.to_owned(), |place| from.join(place.as_path()));
        if !state.dirs.contains_key(&place) {
            self.encoding.layout.check_count(state.dirs.len() + 1)?;
        }
        let dir = match state.dirs.entry(place) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(new) => {
                let dir = self.dir(new.key().as_ref())?;
                new.insert(dir)
            }
        };
        for part in parts {
            let name = self.part_name(dir);
            dir.done.push(dir.parts.adopt(&from, part, name)?);
        }
        Ok(())
    }

    /// Ends the files of a task; the parts of each partition that has any.
    pub fn end_task(&self) -> Result<Vec<(Option<PartitionPath>, Vec<PartEntry>)>> {
        let mut state = self.state();
        for dir in state.dirs.values_mut() {
            self.write(dir)?;
            dir.end()?;
        }
        state.reservation.resize(0)?;
        drop(state);
        Ok(self.take_done().into_iter().filter(|(_, parts)| !parts.is_empty()).collect())
    }

    /// What files take memory from.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    fn state(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a piece to the files of its partition.
    pub fn append(&self, place: Option<PartitionPath>, piece: F::Piece) -> Result<()> {
        let mut state = self.state();
        let State { dirs, open, waiting, reservation } = &mut *state;
        if !dirs.contains_key(&place) {
            self.encoding.layout.check_count(dirs.len() + 1)?;
        }
        let dir = match dirs.entry(place) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(new) => {
                let dir = self.dir(new.key().as_ref())?;
                new.insert(dir)
            }
        };
        let was = (usize::from(dir.open.is_some()), dir.waiting.len());
        dir.waiting_bytes += F::piece_bytes(&piece);
        dir.waiting.push_back(piece);
        if dir.open.is_some() || *open < self.max_open {
            self.write(dir)?;
        } else if dir.waiting_bytes >= self.part_bytes.saturating_mul(2) {
            self.write_one_file(dir)?;
        }
        *open = *open - was.0 + usize::from(dir.open.is_some());
        *waiting = *waiting - was.1 + dir.waiting.len();
        let columns = self.encoding.layout.file_schema().fields().len() as u64;
        reservation.resize(*open as u64 * OPEN_BYTES + *waiting as u64 * columns * WAITING_BYTES)
    }

    /// Ends all files. An output that is not partitioned and has no rows gets one that has the schema.
    pub fn seal(&self) -> Result<()> {
        let mut state = self.state();
        for dir in state.dirs.values_mut() {
            self.write(dir)?;
            if dir.done.is_empty() && dir.open.is_none() {
                dir.open = Some(self.begin(dir)?);
            }
            dir.end()?;
        }
        state.reservation.resize(0)
    }

    /// What has been written, once all files have ended.
    pub fn outcome(&self) -> Outcome {
        let state = self.state();
        let done = || state.dirs.values().flat_map(|dir| &dir.done);
        Outcome {
            rows: done().map(|part| part.rows).sum(),
            bytes: done().map(|part| part.bytes).sum(),
            parts: done().count(),
            partitions: if self.encoding.layout.is_partitioned() { state.dirs.len() } else { 0 },
        }
    }

    /// The finished parts of each partition, in the order of the partitions.
    pub fn take_done(&self) -> Vec<(Option<PartitionPath>, Vec<PartEntry>)> {
        let dirs = std::mem::take(&mut self.state().dirs);
        dirs.into_iter().map(|(place, dir)| (place, dir.done)).collect()
    }

    fn dir(&self, place: Option<&PartitionPath>) -> Result<Dir<F>> {
        let partition = place.ok_or_else(|| {
            Error::new(ErrorKind::Internal, "rows of a partitioned output came without their partition")
        })?;
        Ok(Dir::new(self.parts.partition(partition)?, self.numbers.next(partition)?))
    }

    /// Writes all that waits for a directory; the last file stays open if it has not its size yet.
    fn write(&self, dir: &mut Dir<F>) -> Result<()> {
        while !dir.waiting.is_empty() {
            self.write_one_file(dir)?;
        }
        Ok(())
    }

    /// Writes what waits until a file has its size.
    fn write_one_file(&self, dir: &mut Dir<F>) -> Result<()> {
        while let Some(piece) = dir.waiting.pop_front() {
            dir.waiting_bytes = dir.waiting_bytes.saturating_sub(F::piece_bytes(&piece));
            let mut file = match dir.open.take() {
                Some(file) => file,
                None => self.begin(dir)?,
            };
            let bytes = F::append(&mut file, piece)?;
            dir.open = Some(file);
            if bytes >= self.part_bytes {
                return dir.end();
            }
        }
        Ok(())
    }

    fn part_name(&self, dir: &Dir<F>) -> String {
        format!("part-{:05}.{}", dir.next + dir.done.len(), self.encoding.format.extension())
    }

    fn begin(&self, dir: &Dir<F>) -> Result<F::File<PartWriter>> {
        let name = self.part_name(dir);
        self.encoding.format.begin(self.encoding.layout.file_schema(), dir.parts.create(&name)?)
    }
}

impl<F: Format> Dir<F> {
    fn new(parts: Parts, next: usize) -> Dir<F> {
        Dir { parts, next, done: Vec::new(), open: None, waiting: VecDeque::new(), waiting_bytes: 0 }
    }

    /// Ends the open file.
    fn end(&mut self) -> Result<()> {
        if let Some(file) = self.open.take() {
            let (writer, rows) = F::end(file)?;
            self.done.push(writer.finish(rows)?);
        }
        Ok(())
    }
}
