//! The records that a source cannot read, from all tasks of a run: counted, held against limits, and written in the order of the input.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::on_error::{Action, OnError};
use super::parts::shape_of;
use crate::Counter;
use crate::error::{CallSite, Error, ErrorKind, Result, printable};
use crate::exec::memory::{Budget, Reservation};
use crate::exec::sequence::{List, Sequence};
use crate::io::commit::{Attempt, Existing, Finished, PartWriter, Target, Transaction};
use crate::io::csv::{CsvEncoder, CsvOptions};
use crate::io::line_finder::LineFinder;
use crate::io::parsed::BadRecord;
use crate::io::resolve::InputFile;
use crate::io::schema_text::columns_json;
use crate::plan::graph::{Attached, Committed, Completion};
use crate::record::{schema, to_batch};
use crate::{Record, Text};

/// A rejected record as it is written.
#[derive(Record, Clone)]
struct Reject {
    file: Text,
    line: Option<u64>,
    offset: u64,
    reason: Text,
    raw: Text,
}

/// A record as it is held: the number of its file among those of its split, its offset, what is wrong with it, and its bytes.
type Held = (u32, u64, Text, Vec<u8>);

/// Bytes of records that a task puts aside together.
const LIST_BYTES: usize = 256 << 10;

/// What the tasks of runs leave here. It is held as long as the dataset is: another run may read the same splits.
pub(super) struct Rejects(Arc<Shared>);

struct Shared {
    call: CallSite,
    policy: OnError,
    budget: Budget,
    counter: Counter,
    /// By split. Each run finds the same in a split, as far as it reads it.
    splits: Mutex<BTreeMap<usize, OfSplit>>,
}

/// What was found in a split.
struct OfSplit {
    good: u64,
    bad: u64,
    files: Vec<Arc<InputFile>>,
    kept: Sequence<Held>,
    _reservation: Reservation,
}

/// What a task finds in its split.
pub(super) struct Finding {
    split: usize,
    good: u64,
    bad: u64,
    /// Whether the records themselves are to be written.
    keeps: bool,
    files: Vec<Arc<InputFile>>,
    list: List<Held>,
    kept: Sequence<Held>,
    reservation: Reservation,
}

impl Finding {
    /// Notes records of a file.
    pub(super) fn note(&mut self, file: &Arc<InputFile>, good: usize, bad: Vec<BadRecord>) -> Result<()> {
        self.good += good as u64;
        self.bad += bad.len() as u64;
        if bad.is_empty() || !self.keeps {
            return Ok(());
        }
        if self.files.last().is_none_or(|last| !Arc::ptr_eq(last, file)) {
            self.files.push(Arc::clone(file));
        }
        let index = (self.files.len() - 1) as u32;
        for BadRecord { offset, raw, reason } in bad {
            self.list.push((index, offset, Text::from(reason), raw));
        }
        if self.list.bytes >= LIST_BYTES { self.put_aside() } else { Ok(()) }
    }

    fn put_aside(&mut self) -> Result<()> {
        self.kept.push(std::mem::take(&mut self.list));
        if !self.reservation.try_resize_free(self.kept.memory_bytes() as u64) {
            self.kept.spill(self.reservation.budget().disk())?;
            self.reservation.resize(0)?;
        }
        Ok(())
    }
}

impl Rejects {
    pub(super) fn new(call: CallSite, policy: OnError, budget: &Budget, counter: Counter) -> Rejects {
        let (budget, splits) = (budget.clone(), Mutex::default());
        Rejects(Arc::new(Shared { call, policy, budget, counter, splits }))
    }

    /// Nothing yet, of a split.
    pub(super) fn finding(&self, split: usize) -> Finding {
        let reservation = self.0.budget.reservation();
        let keeps = matches!(self.0.policy.action, Action::Reject(_));
        let (files, list, kept) = (Vec::new(), List::default(), Sequence::default());
        Finding { split, good: 0, bad: 0, keeps, files, list, kept, reservation }
    }

    /// Takes what a task has found.
    ///
    /// # Errors
    ///
    /// If there are more bad records than there may be.
    pub(super) fn take(&self, mut finding: Finding) -> Result<()> {
        finding.put_aside()?;
        let Finding { split, good, bad, files, kept, reservation, .. } = finding;
        let found = OfSplit { good, bad, files, kept, _reservation: reservation };
        let mut splits = self.0.splits.lock().unwrap_or_else(PoisonError::into_inner);
        // A task that was stopped early knows less than one that was not.
        let all = |of_split: &OfSplit| of_split.good + of_split.bad;
        if splits.get(&split).is_none_or(|known| all(known) < all(&found)) {
            splits.insert(split, found);
        }
        self.0.check_records(&splits)
    }

    /// What completes a run.
    pub(super) fn attached(&self) -> Arc<dyn Attached> {
        Arc::new(Rejects(Arc::clone(&self.0)))
    }
}

impl Shared {
    fn check_records(&self, splits: &BTreeMap<usize, OfSplit>) -> Result<()> {
        let Some(max) = self.policy.max_records else { return Ok(()) };
        let bad: u64 = splits.values().map(|found| found.bad).sum();
        if bad <= max {
            Ok(())
        } else {
            Err(self.too_many(format!("more than {max} records cannot be read")))
        }
    }

    fn check_share(&self, good: u64, bad: u64) -> Result<()> {
        let share = bad as f64 / (good + bad).max(1) as f64;
        match self.policy.max_share {
            Some(max) if share > max => {
                let (share, max) = (share * 100.0, max * 100.0);
                Err(self.too_many(format!("{share:.3} % of the records cannot be read, and {max} % may be")))
            }
            _ => Ok(()),
        }
    }

    fn too_many(&self, message: String) -> Error {
        Error::new(ErrorKind::Input, message)
            .in_call(self.call)
            .hint("look at the rejects of a run with a higher limit, or mend the input")
    }

    fn complete(
        &self,
        to: Option<(Attempt, CsvEncoder)>,
        transaction: &mut Transaction,
    ) -> Result<Committed> {
        let splits = self.splits.lock().unwrap_or_else(PoisonError::into_inner);
        let bad: u64 = splits.values().map(|found| found.bad).sum();
        self.check_share(splits.values().map(|found| found.good).sum(), bad)?;
        if let Some((attempt, encoder)) = to {
            transaction.add(write(attempt, &encoder, splits.values())?.in_call(self.call));
        }
        let counter = self.counter.clone();
        Ok(Box::new(move || counter.add(bad)))
    }
}

impl Attached for Rejects {
    fn open(&self, inputs: &[PathBuf]) -> Result<Completion> {
        let begin = |path: &Path| {
            let target = Target::new(path, shape_of(path, "csv")?, Existing::Overwrite);
            let encoder = CsvEncoder::new(&schema::<Reject>(), &CsvOptions::default())?;
            Ok((target.check(inputs)?.begin()?, encoder))
        };
        let shared = Arc::clone(&self.0);
        let to = match &shared.policy.action {
            Action::Reject(path) => Some(begin(path).map_err(|error: Error| error.in_call(shared.call))?),
            Action::Fail | Action::Skip => None,
        };
        Ok(Box::new(move |transaction| {
            shared.complete(to, transaction).map_err(|error| error.in_call(shared.call))
        }))
    }
}

/// Writes the records, to be committed together with the outputs of the run.
fn write<'a>(
    attempt: Attempt,
    encoder: &CsvEncoder,
    splits: impl Iterator<Item = &'a OfSplit>,
) -> Result<Finished> {
    let mut part = attempt.create_part("part-00000.csv")?;
    append(&mut part, &encoder.header())?;
    let (mut rows, mut lines) = (0, LineFinder::default());
    for OfSplit { files, kept, .. } in splits {
        for list in kept.lists() {
            let rejects = list?.into_iter().map(|held| reject(held, files, &mut lines));
            let rejects = rejects.collect::<Result<Vec<Reject>>>()?;
            let mut bytes = Vec::new();
            encoder.encode(&to_batch(&rejects)?, &mut bytes)?;
            append(&mut part, &bytes)?;
            rows += rejects.len() as u64;
        }
    }
    let part = part.finish(rows)?;
    Ok(attempt.finish(columns_json(&schema::<Reject>()), Value::Null, vec![part]))
}

fn append(part: &mut PartWriter, bytes: &[u8]) -> Result<()> {
    part.write_all(bytes).map_err(|error| {
        Error::new(ErrorKind::Output, format!("the rejects cannot be written: {error}")).because(error)
    })
}

fn reject(
    (file, offset, reason, raw): Held,
    files: &[Arc<InputFile>],
    lines: &mut LineFinder,
) -> Result<Reject> {
    let Some(file) = files.get(file as usize) else {
        return Err(Error::new(ErrorKind::Internal, "a rejected record has no file"));
    };
    let line = lines.line(file, offset)?;
    let raw = Text::from(String::from_utf8_lossy(&raw).into_owned());
    Ok(Reject { file: Text::from(printable(&file.path)), line, offset, reason, raw })
}
