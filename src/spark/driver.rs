//! The driver of a job: it plans, has each stage run by Spark, and absorbs what comes back.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::frame::{FAILED, Head, JobId};
use super::identity;
use super::launch::Launch;
use super::link::{Kind, Link, broken, check_length};
use super::stage::{
    self, Destination, Failure, Stage, Task, VERSION, calls, destination, exchange, fed_by, wire,
};
use super::{beside, not_on_a_cluster};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::job::{Feed, Job};
use crate::exec::task::{Run, RunId};
use crate::exec::wire::{Routing, Wire};

/// Tasks of a stage for each core of the cluster, at most: enough to even out, and not so many that starting them counts.
const TASKS_PER_CORE: usize = 3;

/// The process that plans.
pub struct Driver {
    parallelism: usize,
    program: String,
    launch: Launch,
    state: Mutex<State>,
}

struct State {
    link: Link,
    /// The last job that has succeeded.
    last: Option<JobId>,
    stages: u64,
    broadcasts: u32,
    /// Where the parts of what jobs hold are, in their order, by the number of what holds them.
    held: BTreeMap<u64, Vec<Place>>,
    /// The broadcasts of the results of jobs that have been run: what workers repeat.
    history: Vec<u32>,
    /// The frames of results that are in no broadcast yet: there may be no job that needs them.
    results: Vec<Vec<u8>>,
}

impl Driver {
    /// The driver that the Java side listens to.
    ///
    /// # Errors
    ///
    /// If it speaks another version, the program cannot be read, or an argument cannot be handed on.
    pub fn new(mut link: Link) -> Result<Driver> {
        let hello = link.receiver.json()?;
        if hello["version"] != json!(VERSION) {
            return Err(broken(format!("its version is {}, not {VERSION}", hello["version"])));
        }
        let parallelism =
            hello["parallelism"].as_u64().and_then(|cores| usize::try_from(cores).ok()).unwrap_or(1).max(1);
        let program = format!("{:016x}", identity::of_program()?);
        let state = State {
            link,
            last: None,
            stages: 0,
            broadcasts: 0,
            held: BTreeMap::new(),
            history: Vec::new(),
            results: Vec::new(),
        };
        let launch = Launch::of_this_process()?;
        Ok(Driver { parallelism, program, launch, state: Mutex::new(state) })
    }

    /// Runs a job.
    ///
    /// # Errors
    ///
    /// If a stage fails, or something of the job cannot be run on a cluster.
    pub fn run(&self, run: &Arc<Run>, plan: u64) -> Result<()> {
        let _within = Within::enter()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let id = JobId::of(run);
        state.broadcast_results()?;
        for (terminal, feed) in run.job.terminals.iter().enumerate() {
            wire(&run.job, terminal)?.check().map_err(|error| error.in_call(feed.call))?;
        }
        let mut going = Going {
            driver: self,
            state: &mut state,
            run,
            job: id,
            plan: format!("{plan:016x}"),
            has_run: vec![false; run.job.pipelines.len()],
            places: BTreeMap::new(),
            broadcasts: BTreeMap::new(),
            arrived: vec![Vec::new(); run.job.terminals.len()],
        };
        let done = (0..run.job.pipelines.len()).try_for_each(|pipeline| going.pipeline(pipeline));
        if let Err(error) = done.and_then(|()| going.forget()) {
            state.results.clear(); // who repeats the job gets the error, and nothing else
            run.cancel.check()?; // whoever stops the program often ends the connection, too
            return Err(error);
        }
        let told = beside::told(run)?;
        state.results.extend(told.iter().map(|(head, told)| of_job(id, &whole(*head, told))));
        state.last = Some(id);
        Ok(())
    }

    /// Notes that an action has failed, before its first job or after the last one that has succeeded: whoever repeats it fails there, too.
    pub fn note_failure(&self, action: RunId, error: &Error) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = JobId::begin(action);
        let last = state.last.filter(|last| last.action == begin.action);
        let at = last.map_or(begin, |last| JobId { job: last.job + 1, ..last });
        let failure = json!(Failure::of(error)).to_string();
        state.results.push(of_job(at, &whole(Head::of(FAILED), failure.as_bytes())));
    }
}

impl State {
    /// Sends a request, with frames, and gives the answer with its frames.
    fn ask(&mut self, job: Option<&Job>, request: &Value, frames: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        frames.iter().try_for_each(|frame| check_length(frame.len()))?; // before a part of them has been sent
        let sender = &mut self.link.sender;
        sender.send(Kind::Json, &[request.to_string().as_bytes()])?;
        frames.iter().try_for_each(|frame| sender.send(Kind::Frame, &[frame]))?;
        sender.flush()?;
        let answer = self.link.receiver.json()?;
        if let Some(error) = answer["error"].as_str() {
            return Err(failure(job, error));
        }
        let count = answer["frames"].as_u64().unwrap_or(0);
        let frame = |_| match self.link.receiver.receive()? {
            (Kind::Frame, frame) => Ok(frame),
            (kind, _) => Err(broken(format!("{kind:?} came instead of a frame"))),
        };
        (0..count).map(frame).collect()
    }

    /// Hands frames to all tasks of later stages; the number by which they name them.
    fn broadcast(&mut self, frames: &[Vec<u8>]) -> Result<u32> {
        self.broadcasts += 1;
        let id = self.broadcasts;
        self.ask(
            None,
            &json!({"version": VERSION, "request": "broadcast", "id": id, "frames": frames.len()}),
            frames,
        )?;
        Ok(id)
    }

    /// Hands the results of the last job to all that follow.
    fn broadcast_results(&mut self) -> Result<()> {
        if !self.results.is_empty() {
            let results = std::mem::take(&mut self.results);
            let sent = self.broadcast(&results);
            if sent.is_err() {
                self.results = results; // or later workers would repeat nothing, and say nothing
            }
            self.history.push(sent?);
        }
        Ok(())
    }
}

/// The error that a worker has sent, or else what Spark says.
fn failure(job: Option<&Job>, error: &str) -> Error {
    match (job, serde_json::from_str::<Failure>(error)) {
        (Some(job), Ok(failure)) => failure.into_error(calls(job)),
        _ => Error::new(ErrorKind::Internal, format!("Spark failed: {error}")),
    }
}

thread_local! {
    /// Whether this thread runs a job: closures of its elements, such as those that join results, are called within it.
    static IS_WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// A thread that runs a job, which cannot run another one.
struct Within;

impl Within {
    fn enter() -> Result<Within> {
        if IS_WITHIN.replace(true) {
            return Err(not_on_a_cluster("an action within a closure"));
        }
        Ok(Within)
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        IS_WITHIN.set(false);
    }
}

/// A partition of a stage.
type Place = (u64, usize);

/// A job that goes on.
struct Going<'a> {
    driver: &'a Driver,
    state: &'a mut State,
    run: &'a Arc<Run>,
    job: JobId,
    plan: String,
    /// Whether each pipeline has run.
    has_run: Vec<bool>,
    /// The first partition of what a pipeline has left for an exchange, by both.
    places: BTreeMap<(usize, usize), Place>,
    /// The broadcast of each terminal that operators look at.
    broadcasts: BTreeMap<usize, u32>,
    /// What has come back for each terminal.
    arrived: Vec<Vec<(Head, Vec<u8>)>>,
}

impl Going<'_> {
    /// Runs a pipeline, and ends the terminals that are complete with it.
    fn pipeline(&mut self, pipeline: usize) -> Result<()> {
        self.run.cancel.check()?;
        let job = &self.run.job;
        let fed = fed_by(job, pipeline);
        let (mut sends, mut samples) = (Vec::new(), Vec::new());
        for &terminal in &fed {
            let is_exchange = matches!(destination(job, terminal)?, Destination::Exchange(_));
            let is_sampled = is_exchange && exchange(job, terminal)?.is_sampled();
            if is_sampled { &mut samples } else { &mut sends }.push(terminal);
        }
        self.stage(pipeline, sends, samples)?;
        self.has_run[pipeline] = true;
        fed.into_iter().try_for_each(|terminal| self.end(terminal))
    }

    /// Has a stage run: the tasks of a pipeline, which send for some terminals, and summaries for others.
    fn stage(&mut self, pipeline: usize, sends: Vec<usize>, samples: Vec<usize>) -> Result<()> {
        let job = &self.run.job;
        let read = &job.pipelines[pipeline];
        self.state.stages += 1;
        let id = self.state.stages;
        let splits = read.source.splits();
        let metrics = &self.run.metrics.pipelines[pipeline];
        metrics.tasks.store(splits, Ordering::Relaxed);
        let bytes = (0..splits).map(|split| read.source.split_bytes(split)).sum();
        metrics.bytes_total.store(bytes, Ordering::Relaxed);
        let divided = divided(splits, self.driver.parallelism * TASKS_PER_CORE);
        let for_driver = divided.len().min(self.driver.parallelism).max(1);
        let (bases, count) = partitions(job, &sends, splits, for_driver)?;
        let told = fed_by(job, pipeline).into_iter().chain(read.after.iter().copied());
        let told = told.map(|terminal| Ok((terminal, wire(job, terminal)?.told()))).collect::<Result<_>>()?;
        let held = read.reads.is_none().then(|| read.source.wire()).flatten().map(Wire::told);
        let stage = Stage {
            version: VERSION,
            program: self.driver.program.clone(),
            job: self.job,
            plan: self.plan.clone(),
            pipeline,
            sends,
            samples,
            for_driver,
            bases: bases.clone(),
            told,
            held,
            history: self.state.history.clone(),
        };
        let mut tasks = Vec::new();
        for (number, splits) in divided.into_iter().enumerate() {
            let reads = self.reads(pipeline, &splits)?;
            tasks.push(json!({"task": json!(Task { number, splits }).to_string(), "reads": reads}));
        }
        let looked_at = read.after.iter().filter_map(|terminal| self.broadcasts.get(terminal).copied());
        let broadcasts: Vec<u32> = self.state.history.iter().copied().chain(looked_at).collect();
        let launch = &self.driver.launch;
        let request = json!({
            "version": VERSION, "request": "stage", "id": id, "name": name(job, pipeline), "stage": json!(stage).to_string(), "tasks": tasks,
            "for_driver": for_driver, "partitions": count, "broadcasts": broadcasts,
            "env": launch.environment, "directory": launch.directory, "args": launch.arguments,
        });
        let frames = self.state.ask(Some(job), &request, &[])?;
        let parsed = frames.iter().map(|frame| Head::parse(frame).map(|(head, rest)| (head, rest.to_vec())));
        let mut frames = parsed.collect::<Result<Vec<_>>>()?;
        beside::take_out(self.run, &mut frames)?;
        for (head, rest) in frames {
            let arrived = self.arrived.get_mut(head.terminal);
            arrived.ok_or_else(|| broken("there is no such terminal"))?.push((head, rest));
        }
        self.places.extend(bases.into_iter().map(|(terminal, base)| ((terminal, pipeline), (id, base))));
        Ok(())
    }

    /// The partitions of earlier stages that some splits of a pipeline read: of each stage from the first to the end.
    fn reads(&self, pipeline: usize, splits: &Range<usize>) -> Result<Vec<(u64, usize, usize)>> {
        let job = &self.run.job;
        let read = &job.pipelines[pipeline];
        let exchange = match read.reads {
            Some(terminal) => exchange(job, terminal)?,
            None => match read.source.wire().and_then(Wire::exchange) {
                Some(held) => held,
                None => return Ok(Vec::new()),
            },
        };
        let cells = splits.clone().map(|split| exchange.cells_of(split)).filter(|cells| !cells.is_empty());
        let cells = cells.reduce(|all, next| all.start..next.end).unwrap_or(0..0);
        let missing = || broken("a stage reads one that has not run");
        if let Routing::ByTask(number) = exchange.routing() {
            let parts = self.state.held.get(&number).and_then(|parts| parts.get(cells));
            let parts = parts.ok_or_else(missing)?.iter();
            return Ok(ranges(parts));
        }
        let terminal = read.reads.ok_or_else(missing)?;
        let feeders: BTreeSet<usize> = job.terminals[terminal].lanes.iter().flatten().copied().collect();
        let of_feeder = |feeder| {
            let (stage, base) = self.places.get(&(terminal, feeder)).copied().ok_or_else(missing)?;
            Ok((stage, base + cells.start, base + cells.end))
        };
        feeders.into_iter().map(of_feeder).collect()
    }

    /// Once all that feed a terminal have run: absorbs what has come back, and seals it.
    fn end(&mut self, terminal: usize) -> Result<()> {
        let job = &self.run.job;
        let feed = &job.terminals[terminal];
        let feeders: BTreeSet<usize> = feed.lanes.iter().flatten().copied().collect();
        if feeders.iter().any(|&feeder| !self.has_run[feeder]) {
            return Ok(());
        }
        let mut frames = std::mem::take(&mut self.arrived[terminal]);
        frames.sort_unstable_by_key(|(head, _)| *head);
        match destination(job, terminal)? {
            Destination::Exchange(routing) => {
                self.end_exchange(terminal, &frames, routing)?;
                if exchange(job, terminal)?.is_sampled() {
                    feeders
                        .into_iter()
                        .try_for_each(|feeder| self.stage(feeder, vec![terminal], Vec::new()))?;
                }
                Ok(())
            }
            Destination::Broadcast => {
                // Operators of later stages look at it, and nobody here.
                let frames: Vec<Vec<u8>> = frames.iter().map(|(head, rest)| whole(*head, rest)).collect();
                let id = self.state.broadcast(&frames)?;
                self.broadcasts.insert(terminal, id);
                Ok(())
            }
            Destination::Driver => {
                let wire = wire(job, terminal)?;
                let pieces = frames.iter().map(|(head, rest)| Ok((*head, wire.unpack(head.lane, rest)?)));
                stage::absorb(job, pieces.collect::<Result<Vec<_>>>()?)?;
                seal(feed)?;
                if let Some(outcome) = wire.outcome()? {
                    frames = vec![(Head::of(terminal), outcome)];
                }
                let kept = frames.iter().map(|(head, rest)| of_job(self.job, &whole(*head, rest)));
                self.state.results.extend(kept);
                Ok(())
            }
        }
    }

    /// Lets Spark forget what no later job can read: all but the parts that are held. What those were made of stays computable.
    fn forget(&mut self) -> Result<()> {
        let held: BTreeSet<u64> = self.state.held.values().flatten().map(|(stage, _)| *stage).collect();
        let stages: BTreeSet<u64> = self.places.values().map(|(stage, _)| *stage).collect();
        let stages = stages.difference(&held).map(|stage| json!({"stage": stage}));
        let broadcasts = self.broadcasts.values().map(|broadcast| json!({"broadcast": broadcast}));
        for mut what in stages.chain(broadcasts) {
            what["version"] = json!(VERSION);
            what["request"] = json!("drop");
            self.state.ask(None, &what, &[])?;
        }
        Ok(())
    }

    /// Absorbs the summaries of what Spark keeps.
    fn end_exchange(&mut self, terminal: usize, frames: &[(Head, Vec<u8>)], routing: Routing) -> Result<()> {
        let job = &self.run.job;
        let feed = &job.terminals[terminal];
        if let Routing::ByTask(number) = routing {
            let part = |(head, _): &(Head, Vec<u8>)| {
                let feeder = feed.lanes.get(head.lane).and_then(|lane| lane.get(head.order.rank));
                let place = feeder.and_then(|feeder| self.places.get(&(terminal, *feeder)));
                let (stage, base) = place.ok_or_else(|| broken("a part has no place"))?;
                Ok((*stage, base + head.order.split))
            };
            let parts = frames.iter().map(part).collect::<Result<Vec<Place>>>()?;
            self.state.held.insert(number, parts);
        }
        let exchange = exchange(job, terminal)?;
        let summarized = |(head, summary): &(Head, Vec<u8>)| {
            Ok((*head, exchange.summarized(head.lane, head.order, summary)?))
        };
        stage::absorb(job, frames.iter().map(summarized).collect::<Result<Vec<_>>>()?)?;
        seal(feed)
    }
}

/// Places, of which those that follow each other are one range.
fn ranges<'a>(places: impl Iterator<Item = &'a Place>) -> Vec<(u64, usize, usize)> {
    let mut ranges: Vec<(u64, usize, usize)> = Vec::new();
    for &(stage, partition) in places {
        match ranges.last_mut() {
            Some((last, _, end)) if *last == stage && *end == partition => *end += 1,
            _ => ranges.push((stage, partition, partition + 1)),
        }
    }
    ranges
}

/// The first partition of the output of a stage of so many splits that belongs to each of the exchanges that it sends for, and the number of
/// their partitions. The first ones are the driver's.
fn partitions(
    job: &Job,
    sends: &[usize],
    splits: usize,
    for_driver: usize,
) -> Result<(BTreeMap<usize, usize>, usize)> {
    let (mut bases, mut next) = (BTreeMap::new(), for_driver);
    for &terminal in sends {
        if let Destination::Exchange(routing) = destination(job, terminal)? {
            bases.insert(terminal, next);
            next += match routing {
                Routing::ByCell => exchange(job, terminal)?.cells(),
                Routing::ByTask(_) => splits,
            };
        }
    }
    Ok((bases, next - for_driver))
}

/// A frame as it came.
fn whole(head: Head, rest: &[u8]) -> Vec<u8> {
    [head.to_bytes().as_slice(), rest].concat()
}

fn seal(feed: &Feed) -> Result<()> {
    (0..feed.terminal.cells()).try_for_each(|cell| feed.terminal.seal(cell))
}

/// A frame with its job before it.
fn of_job(job: JobId, frame: &[u8]) -> Vec<u8> {
    [&job.to_bytes(), frame].concat()
}

/// Neighbouring splits for each task.
fn divided(splits: usize, most: usize) -> Vec<Range<usize>> {
    let count = splits.min(most);
    (0..count).map(|task| task * splits / count..(task + 1) * splits / count).collect()
}

/// What Spark shows of a stage.
pub fn name(job: &Job, pipeline: usize) -> String {
    let pipeline = &job.pipelines[pipeline];
    let calls = std::iter::once(pipeline.call).chain(pipeline.steps.iter().map(|step| step.call));
    let names: Vec<&str> = calls.map(|call| call.operator).collect();
    names.join(" > ")
}
