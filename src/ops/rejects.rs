//! The records that a source cannot read or a closure refuses, from all tasks of a run: counted, held against limits, and written in the
//! order of the input.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::findings::{Finding, Of, Reject, Whose};
use super::on_error::{Action, OnError};
use super::parts::shape_of;
use crate::Counter;
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::beside::Beside;
use crate::exec::memory::Budget;
use crate::exec::task::{Run, RunId, TaskCx};
use crate::exec::wire::damaged;
use crate::io::commit::{Attempt, Existing, Finished, PartWriter, Target, Transaction};
use crate::io::csv::{CsvEncoder, CsvOptions};
use crate::io::line_finder::LineFinder;
use crate::io::resolve::InputFile;
use crate::io::schema_text::columns_json;
use crate::plan::graph::{Attached, Committed, Completion, Opening};
use crate::record::{schema, to_batch};
use crate::spark;

/// What the tasks of runs leave here. It is held as long as the dataset is: another run may read the same splits.
pub(super) struct Rejects(Arc<Shared>);

struct Shared {
    call: CallSite,
    policy: OnError,
    budget: Budget,
    counter: Counter,
    /// The files of a split, where it is a source that rejects.
    files: Option<FilesOf>,
    /// What closures find is forgotten when their run is over.
    findings: Mutex<BTreeMap<Of, Finding>>,
}

/// Gives the files of a split.
pub(super) type FilesOf = Box<dyn Fn(usize) -> Vec<Arc<InputFile>> + Send + Sync>;

impl Rejects {
    pub(super) fn new(
        call: CallSite,
        policy: OnError,
        budget: &Budget,
        counter: Counter,
        files: Option<FilesOf>,
    ) -> Rejects {
        let (budget, findings) = (budget.clone(), Mutex::default());
        Rejects(Arc::new(Shared { call, policy, budget, counter, files, findings }))
    }

    /// Nothing yet, of a split.
    pub(super) fn finding(&self) -> Finding {
        Finding::new(self.keeps(), self.0.budget.reservation())
    }

    /// Nothing yet, of a task whose elements a closure refuses.
    pub(super) fn finding_of_closure(&self, cx: &TaskCx) -> Finding {
        Finding::of_closure(self.keeps(), self.0.budget.reservation(), cx)
    }

    fn keeps(&self) -> bool {
        matches!(self.0.policy.action, Action::Reject(_))
    }

    /// Takes what a task has found.
    ///
    /// # Errors
    ///
    /// If there are more bad records than there may be.
    pub(super) fn take(&self, of: Of, mut finding: Finding) -> Result<()> {
        finding.put_aside()?;
        let mut findings = self.0.findings();
        // A task that was stopped early knows less than one that was not.
        if findings.get(&of).is_none_or(|known| known.records() < finding.records()) {
            findings.insert(of, finding);
        }
        self.0.check_records(findings.iter().filter(|(other, _)| other.run() == of.run()))
    }

    /// What completes a run.
    pub(super) fn attached(&self) -> Arc<dyn Attached> {
        Arc::new(Rejects(Arc::clone(&self.0)))
    }
}

impl Shared {
    fn findings(&self) -> MutexGuard<'_, BTreeMap<Of, Finding>> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_records<'a>(&self, of_run: impl Iterator<Item = (&'a Of, &'a Finding)>) -> Result<()> {
        let Some(max) = self.policy.max_records else { return Ok(()) };
        let bad: u64 = of_run.map(|(_, found)| found.bad).sum();
        if bad <= max {
            Ok(())
        } else {
            Err(self.too_many(format!("more than {max} records cannot be used")))
        }
    }

    fn check_share(&self, good: u64, bad: u64) -> Result<()> {
        let share = bad as f64 / (good + bad).max(1) as f64;
        match self.policy.max_share {
            Some(max) if share > max => {
                let (share, max) = (share * 100.0, max * 100.0);
                Err(self.too_many(format!("{share:.3} % of the records cannot be used, and {max} % may be")))
            }
            _ => Ok(()),
        }
    }

    fn too_many(&self, message: String) -> Error {
        Error::new(ErrorKind::Input, message)
            .in_call(self.call)
            .hint("look at the rejects of a run with a higher limit, or mend the input")
    }

    fn input(&self, split: usize, path: &Path) -> Option<Arc<InputFile>> {
        let files = self.files.as_ref().map(|files| files(split)).unwrap_or_default();
        files.into_iter().find(|file| file.path == path)
    }

    fn complete(
        &self,
        run: RunId,
        to: Option<(Attempt, CsvEncoder)>,
        transaction: &mut Transaction,
    ) -> Result<Committed> {
        let findings = self.findings();
        let of_run = findings.iter().filter(|(of, _)| of.run().is_none_or(|other| other == run));
        let of_run: Vec<&Finding> = of_run.map(|(_, found)| found).collect();
        let bad: u64 = of_run.iter().map(|found| found.bad).sum();
        self.check_share(of_run.iter().map(|found| found.good).sum(), bad)?;
        if let Some((attempt, encoder)) = to {
            transaction.add(write(attempt, &encoder, &of_run)?.in_call(self.call));
        }
        let counter = self.counter.clone();
        Ok(Box::new(move || counter.add(bad)))
    }
}

/// A run that computes what rejects are of. What closures have found in it is dropped once it is over, however it ends.
struct OpenRun {
    shared: Arc<Shared>,
    id: RunId,
}

impl OpenRun {
    fn complete(
        &self,
        to: Option<(Attempt, CsvEncoder)>,
        transaction: &mut Transaction,
    ) -> Result<Committed> {
        let OpenRun { shared, id } = self;
        shared.complete(*id, to, transaction).map_err(|error| error.in_call(shared.call))
    }
}

impl Drop for OpenRun {
    fn drop(&mut self) {
        self.shared.findings().retain(|of, _| of.run() != Some(self.id));
    }
}

impl Beside for Rejects {
    fn pack(&self, run: &Run) -> Result<Vec<Vec<Vec<u8>>>> {
        let findings = self.0.findings();
        let own = findings.iter().filter(|(_, found)| !found.is_told);
        own.map(|(of, found)| found.pack(*of, run)).collect()
    }

    fn unpack(&self, run: &Run, frames: &[&[u8]]) -> Result<()> {
        let input = |split, path: &Path| self.0.input(split, path);
        let (of, finding) = Finding::unpack(frames, run, self.0.budget.reservation(), input)?;
        self.take(of, finding)
    }

    /// Numbers, and no records: those are for the process that writes.
    fn told(&self, run: &Run) -> Result<Option<Vec<u8>>> {
        let findings = self.0.findings();
        let of_run = findings.iter().filter(|(of, _)| of.run().is_none_or(|other| other == run.id));
        let told: Vec<Told> = of_run.map(|(of, found)| (Whose::from(*of), found.good, found.bad)).collect();
        if told.is_empty() { Ok(None) } else { serde_json::to_vec(&told).map(Some).map_err(damaged) }
    }

    fn tell(&self, run: &Run, told: &[u8]) -> Result<()> {
        let mut findings = self.0.findings();
        for (whose, good, bad) in serde_json::from_slice::<Vec<Told>>(told).map_err(damaged)? {
            let finding = Finding::of_numbers(good, bad, self.0.budget.reservation());
            findings.insert(whose.in_run(run), finding);
        }
        Ok(())
    }
}

/// Whose finding it is, and the numbers of records that can and cannot be used.
type Told = (Whose, u64, u64);

impl Attached for Rejects {
    fn path(&self) -> Option<&Path> {
        match &self.0.policy.action {
            Action::Reject(path) => Some(path),
            Action::Fail | Action::Skip => None,
        }
    }

    fn open(&self, opening: &Opening<'_>, run: RunId) -> Result<Completion> {
        let begin = |path: &Path| {
            let target = Target::new(path, shape_of(path, "csv")?, Existing::Overwrite);
            let encoder = CsvEncoder::new(&schema::<Reject>(), &CsvOptions::default())?;
            Ok((opening.check(target)?.begin()?, encoder))
        };
        let shared = Arc::clone(&self.0);
        let to = match &shared.policy.action {
            // Of all processes of a job on a cluster, the driver writes.
            _ if !spark::role()?.commits() => None,
            Action::Reject(path) => Some(begin(path).map_err(|error: Error| error.in_call(shared.call))?),
            Action::Fail | Action::Skip => None,
        };
        let open = OpenRun { shared, id: run };
        Ok(Box::new(move |transaction| open.complete(to, transaction)))
    }
}

/// Writes the records, to be committed together with the outputs of the run.
fn write(attempt: Attempt, encoder: &CsvEncoder, findings: &[&Finding]) -> Result<Finished> {
    let mut part = attempt.create_part("part-00000.csv")?;
    append(&mut part, &encoder.header())?;
    let (mut rows, mut lines) = (0, LineFinder::default());
    for finding in findings {
        finding.each_list(&mut lines, |rejects| {
            let mut bytes = Vec::new();
            encoder.encode(&to_batch(&rejects)?, &mut bytes)?;
            rows += rejects.len() as u64;
            append(&mut part, &bytes)
        })?;
    }
    let part = part.finish(rows)?;
    Ok(attempt.finish(columns_json(&schema::<Reject>()), Value::Null, vec![part]))
}

fn append(part: &mut PartWriter, bytes: &[u8]) -> Result<()> {
    part.write_all(bytes).map_err(|error| {
        Error::new(ErrorKind::Output, format!("the rejects cannot be written: {error}")).because(error)
    })
}
