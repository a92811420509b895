//! What the driver and its workers agree on about a stage.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::frame::{Head, JobId};
use super::not_on_a_cluster;
use crate::error::{CallSite, Error, ErrorKind, Place, Result};
use crate::exec::job::{Batch, Job, StepKind};
use crate::exec::push::Demand;
use crate::exec::wire::{ExchangeWire, Routing, Wire};

/// The version of this agreement.
pub const VERSION: u32 = 2;

/// What all tasks of a stage are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// The version of the agreement.
    pub version: u32,
    /// The hash of the program, in hexadecimal digits.
    pub program: String,
    /// Which job of the program this is.
    pub job: JobId,
    /// The hash of its plan, in hexadecimal digits.
    pub plan: String,
    /// The pipeline.
    pub pipeline: usize,
    /// The terminals that what the tasks leave is sent for.
    pub sends: Vec<usize>,
    /// The exchanges for which only summaries are sent.
    pub samples: Vec<usize>,
    /// The number of the first partitions of the output, which are the driver's.
    pub for_driver: usize,
    /// The first partition of the output that belongs to each exchange.
    pub bases: BTreeMap<usize, usize>,
    /// What terminals tell.
    pub told: BTreeMap<usize, Value>,
    /// What is told of what an earlier job holds, where that is read.
    pub held: Option<Value>,
    /// The broadcasts of the results of earlier jobs.
    pub history: Vec<u32>,
}

/// One task of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The number of the task in the stage.
    pub number: usize,
    /// Its splits.
    pub splits: Range<usize>,
}

/// The terminals that tasks of a pipeline leave something for, once each.
pub fn fed_by(job: &Job, pipeline: usize) -> Vec<usize> {
    let ends = job.pipelines[pipeline].steps.iter().filter_map(|step| match step.kind {
        StepKind::Terminal { terminal, .. } => Some(terminal),
        StepKind::Operator { .. } => None,
    });
    let mut ends: Vec<usize> = ends.collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// Where what is left for a terminal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Spark keeps it, for stages that read it.
    Exchange(Routing),
    /// To all tasks of stages whose operators look at it.
    Broadcast,
    /// To the driver.
    Driver,
}

/// Where what is left for a terminal goes.
///
/// # Errors
///
/// If it cannot travel.
pub fn destination(job: &Job, terminal: usize) -> Result<Destination> {
    let is_read = job.pipelines.iter().any(|pipeline| pipeline.reads == Some(terminal));
    let is_looked_at = job.pipelines.iter().any(|pipeline| pipeline.after.contains(&terminal));
    Ok(match wire(job, terminal)?.exchange() {
        Some(exchange) if is_read || !is_looked_at => Destination::Exchange(exchange.routing()),
        None if is_read => return exchange(job, terminal).map(|_| Destination::Driver), // an error
        _ if is_looked_at => Destination::Broadcast,
        _ => Destination::Driver,
    })
}

/// How what is left for a terminal travels.
///
/// # Errors
///
/// If it cannot.
pub fn wire(job: &Job, terminal: usize) -> Result<&dyn Wire> {
    let feed = &job.terminals[terminal];
    feed.terminal
        .wire()
        .ok_or_else(|| not_on_a_cluster(&format!("`{}`", feed.call.operator)).in_call(feed.call))
}

/// How an exchange is read.
///
/// # Errors
///
/// If it cannot be.
pub fn exchange(job: &Job, terminal: usize) -> Result<&dyn ExchangeWire> {
    let call = job.terminals[terminal].call;
    wire(job, terminal)?
        .exchange()
        .ok_or_else(|| not_on_a_cluster(&format!("what follows `{}`", call.operator)).in_call(call))
}

/// Batches in the order that counts, made of the pieces that frames have brought: `join` makes one of two that follow each other, of a terminal and a
/// lane.
///
/// # Errors
///
/// If they cannot be joined.
pub fn joined(
    mut pieces: Vec<(Head, Batch)>,
    join: &mut dyn FnMut(usize, usize, Batch, Batch) -> Result<Batch>,
) -> Result<Vec<(Head, Batch)>> {
    pieces.sort_by_key(|(head, _)| *head);
    let mut pieces = pieces.into_iter().peekable();
    let mut batches = Vec::new();
    while let Some((first, mut batch)) = pieces.next() {
        while let Some((_, later)) =
            pieces.next_if(|(head, _)| Head { number: first.number, ..*head } == first)
        {
            batch = join(first.terminal, first.lane, batch, later)?;
        }
        batches.push((first, batch));
    }
    Ok(batches)
}

/// Absorbs what frames have brought.
///
/// # Errors
///
/// If a terminal cannot absorb it.
pub fn absorb(job: &Job, pieces: Vec<(Head, Batch)>) -> Result<()> {
    let mut has_enough = BTreeSet::new();
    let mut join = |terminal, lane, first, later| wire(job, terminal)?.join(lane, first, later);
    for (head, batch) in joined(pieces, &mut join)? {
        let place = (head.terminal, head.cell, head.lane);
        let terminal = &job.terminals[head.terminal].terminal;
        if !has_enough.contains(&place) && terminal.absorb(head.cell, head.lane, batch)? == Demand::Enough {
            has_enough.insert(place);
        }
    }
    Ok(())
}

/// An error as it travels from a worker to the driver.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failure {
    kind: String,
    message: String,
    hint: Option<String>,
    /// Operator, file and line of the call.
    call: Option<(String, String, u32)>,
    /// The bytes of the path, which need not be text.
    path: Option<Vec<u8>>,
    line: Option<u64>,
    offset: Option<u64>,
    row: Option<u64>,
}

impl Failure {
    /// What there is to tell of an error.
    pub fn of(error: &Error) -> Failure {
        let place = error.place();
        let call = error
            .call()
            .map(|call| (call.operator.to_owned(), call.location.file().to_owned(), call.location.line()));
        Failure {
            kind: format!("{:?}", error.kind()),
            message: error.message().to_owned(),
            hint: error.advice().map(str::to_owned),
            call,
            path: place.and_then(|place| Some(place.path.as_ref()?.as_os_str().as_bytes().to_owned())),
            line: place.and_then(|place| place.line),
            offset: place.and_then(|place| place.offset),
            row: place.and_then(|place| place.row),
        }
    }

    /// The error, with that of some calls of this process which it is about.
    pub fn into_error(self, calls: impl IntoIterator<Item = CallSite>) -> Error {
        let mut error = Error::new(kind_named(&self.kind), self.message);
        if let Some(hint) = self.hint {
            error = error.hint(hint);
        }
        if let Some(call) = self.call.and_then(|call| find_call(calls, &call)) {
            error = error.in_call(call);
        }
        let path = self.path.map(|path| PathBuf::from(OsString::from_vec(path)));
        let (line, offset, row) = (self.line, self.offset, self.row);
        if path.is_some() || line.is_some() || offset.is_some() || row.is_some() {
            error = error.at(Place { path, line, offset, row });
        }
        error
    }
}

/// The calls that a job is made of.
pub fn calls(job: &Job) -> impl Iterator<Item = CallSite> {
    let steps = job.pipelines.iter().flat_map(|pipeline| {
        std::iter::once(pipeline.call).chain(pipeline.steps.iter().map(|step| step.call))
    });
    steps.chain(job.terminals.iter().map(|feed| feed.call))
}

fn find_call(
    calls: impl IntoIterator<Item = CallSite>,
    (operator, file, line): &(String, String, u32),
) -> Option<CallSite> {
    calls.into_iter().find(|call| {
        call.operator == operator && call.location.file() == file && call.location.line() == *line
    })
}

fn kind_named(name: &str) -> ErrorKind {
    use ErrorKind::{Busy, Canceled, Closure, Config, Input, Internal, Memory, Output, Panic, Spill};
    let all = [Config, Input, Output, Busy, Panic, Closure, Memory, Spill, Canceled];
    all.into_iter().find(|kind| format!("{kind:?}") == name).unwrap_or(Internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::path::Path;

    #[test]
    fn an_error_about_a_file_whose_name_is_no_text_travels() {
        let path = Path::new(OsStr::from_bytes(b"d/\xff.csv"));
        let error = Error::new(ErrorKind::Input, "a record is bad").at(Place::file(path));
        let text = serde_json::to_string(&Failure::of(&error)).unwrap();
        let back = serde_json::from_str::<Failure>(&text).unwrap().into_error([]);
        assert_eq!(back.place().unwrap().path.as_deref(), Some(path));
        assert_eq!(back.to_string(), error.to_string());
    }
}
