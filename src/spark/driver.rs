//! The driver of a job: it plans, has each stage run by Spark, and absorbs what comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::frame::Head;
use super::identity;
use super::link::{Kind, Link, broken};
use super::stage::{self, Failure, Spec, VERSION, exchange, fed_by, partitions, wire};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::job::{Feed, Job};
use crate::exec::task::Run;

/// Tasks of a stage for each core of the cluster, at most: enough to even out, and not so many that starting them counts.
const TASKS_PER_CORE: usize = 3;

/// The process that plans.
pub struct Driver {
    parallelism: usize,
    program: String,
    state: Mutex<State>,
}

struct State {
    link: Link,
    /// The jobs that have been run.
    jobs: usize,
    stages: u64,
    broadcasts: u32,
    /// For each job that has been run, the frames of its results: what workers repeat.
    history: Vec<Vec<u8>>,
}

impl Driver {
    /// The driver that the Java side listens to.
    ///
    /// # Errors
    ///
    /// If it speaks another version, or the program cannot be read.
    pub fn new(mut link: Link) -> Result<Driver> {
        let hello = link.receiver.json()?;
        if hello["version"] != json!(VERSION) {
            return Err(broken(format!("its version is {}, not {VERSION}", hello["version"])));
        }
        let parallelism =
            hello["parallelism"].as_u64().and_then(|cores| usize::try_from(cores).ok()).unwrap_or(1).max(1);
        let program = format!("{:016x}", identity::of_program()?);
        let state = State { link, jobs: 0, stages: 0, broadcasts: 0, history: Vec::new() };
        Ok(Driver { parallelism, program, state: Mutex::new(state) })
    }

    /// Runs a job.
    ///
    /// # Errors
    ///
    /// If a stage fails, or something of the job cannot be run on a cluster.
    pub fn run(&self, run: &Arc<Run>, plan: u64) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = state.jobs;
        state.jobs += 1;
        let history = (!state.history.is_empty()).then(|| state.broadcast_history()).transpose()?;
        let mut going = Going {
            driver: self,
            state: &mut state,
            run,
            job: number,
            plan: format!("{plan:016x}"),
            has_run: vec![false; run.job.pipelines.len()],
            places: BTreeMap::new(),
            broadcasts: BTreeMap::new(),
            arrived: vec![Vec::new(); run.job.terminals.len()],
            history,
        };
        for pipeline in 0..run.job.pipelines.len() {
            going.pipeline(pipeline)?;
        }
        Ok(())
    }
}

impl State {
    /// Sends a request, with frames, and gives the answer with its frames.
    fn ask(&mut self, job: Option<&Job>, request: &Value, frames: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        let sender = &mut self.link.sender;
        sender.send(Kind::Json, &[request.to_string().as_bytes()])?;
        frames.iter().try_for_each(|frame| sender.send(Kind::Frame, &[frame]))?;
        sender.flush()?;
        let answer = self.link.receiver.json()?;
        if let Some(error) = answer["error"].as_str() {
            return Err(failure(job, error, answer["detail"].as_str().unwrap_or_default()));
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

    fn broadcast_history(&mut self) -> Result<u32> {
        let history = self.history.clone();
        self.broadcast(&history)
    }
}

/// The error that a worker has sent, or else what Spark says.
fn failure(job: Option<&Job>, error: &str, detail: &str) -> Error {
    match (job, serde_json::from_str::<Failure>(error)) {
        (Some(job), Ok(failure)) => failure.into_error(job),
        _ => Error::new(ErrorKind::Internal, format!("Spark failed: {error}\n{detail}")),
    }
}

/// A job that goes on.
struct Going<'a> {
    driver: &'a Driver,
    state: &'a mut State,
    run: &'a Arc<Run>,
    job: usize,
    plan: String,
    /// Whether each pipeline has run.
    has_run: Vec<bool>,
    /// Where Spark has what a pipeline has left for an exchange: the stage, and the first partition.
    places: BTreeMap<(usize, usize), (u64, usize)>,
    /// The broadcast of each terminal that operators look at.
    broadcasts: BTreeMap<usize, u32>,
    /// What has come back for each terminal.
    arrived: Vec<Vec<(Head, Vec<u8>)>>,
    /// The broadcast of the results of earlier jobs.
    history: Option<u32>,
}

impl Going<'_> {
    /// Runs a pipeline, and ends the terminals that are complete with it.
    fn pipeline(&mut self, pipeline: usize) -> Result<()> {
        self.run.cancel.check()?;
        let job = &self.run.job;
        let is_sampled =
            |terminal: &usize| Ok(stage::is_read(job, *terminal) && exchange(job, *terminal)?.is_sampled());
        let fed = fed_by(job, pipeline);
        let sampled = fed.iter().map(is_sampled).collect::<Result<Vec<bool>>>()?;
        let of = |wanted: bool| {
            let terminals = fed.iter().zip(&sampled).filter(|(_, sampled)| **sampled == wanted);
            terminals.map(|(terminal, _)| *terminal).collect::<Vec<usize>>()
        };
        self.stage(pipeline, of(false), of(true))?;
        self.has_run[pipeline] = true;
        fed.into_iter().try_for_each(|terminal| self.end(terminal))
    }

    /// Has a stage run: the tasks of a pipeline, which send for some terminals, and summaries for others.
    fn stage(&mut self, pipeline: usize, sends: Vec<usize>, samples: Vec<usize>) -> Result<()> {
        let job = &self.run.job;
        self.state.stages += 1;
        let id = self.state.stages;
        let (bases, count) = partitions(job, &sends)?;
        let splits = job.pipelines[pipeline].source.splits();
        let told = fed_by(job, pipeline).into_iter().chain(job.pipelines[pipeline].after.iter().copied());
        let told = told.map(|terminal| Ok((terminal, wire(job, terminal)?.told()))).collect::<Result<_>>()?;
        let mut spec = Spec {
            version: VERSION,
            program: self.driver.program.clone(),
            job: self.job,
            plan: self.plan.clone(),
            pipeline,
            splits: 0..0,
            sends,
            samples,
            told,
            history: self.history,
        };
        let mut tasks = Vec::new();
        for splits in divided(splits, self.driver.parallelism * TASKS_PER_CORE) {
            let reads = self.reads(pipeline, &splits)?;
            spec.splits = splits;
            tasks.push(json!({"spec": json!(spec).to_string(), "reads": reads}));
        }
        let looked_at = job.pipelines[pipeline]
            .after
            .iter()
            .filter_map(|terminal| self.broadcasts.get(terminal).copied());
        let broadcasts: Vec<u32> = self.history.into_iter().chain(looked_at).collect();
        let request = json!({
            "version": VERSION, "request": "stage", "id": id, "name": name(job, pipeline), "partitions": count, "tasks": tasks,
            "broadcasts": broadcasts, "env": environment(), "directory": directory(), "args": arguments(),
        });
        for frame in self.state.ask(Some(job), &request, &[])? {
            let (head, rest) = Head::parse(&frame)?;
            let rest = rest.to_vec();
            let arrived = self.arrived.get_mut(head.terminal);
            arrived.ok_or_else(|| broken("there is no such terminal"))?.push((head, rest));
        }
        self.places.extend(bases.into_iter().map(|(terminal, base)| ((terminal, pipeline), (id, base))));
        Ok(())
    }

    /// The partitions of earlier stages that some splits of a pipeline read.
    fn reads(&self, pipeline: usize, splits: &Range<usize>) -> Result<Vec<Value>> {
        let job = &self.run.job;
        let Some(terminal) = job.pipelines[pipeline].reads else { return Ok(Vec::new()) };
        let exchange = exchange(job, terminal)?;
        let cells = splits.clone().map(|split| exchange.cells_of(split));
        let cells = cells.reduce(|all, next| all.start..next.end).unwrap_or(0..0);
        let mut reads = Vec::new();
        for &feeder in job.terminals[terminal].lanes.iter().flatten() {
            let place = self.places.get(&(terminal, feeder));
            let (stage, base) = place.ok_or_else(|| broken("a stage reads one that has not run"))?;
            let read = json!([stage, base + cells.start, base + cells.end]);
            if !reads.contains(&read) {
                reads.push(read); // a pipeline can feed a terminal twice
            }
        }
        Ok(reads)
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
        let wire = wire(job, terminal)?;
        if stage::is_read(job, terminal) {
            let exchange = exchange(job, terminal)?;
            let summaries =
                frames.iter().map(|(head, summary)| Ok((*head, exchange.summarized(head.lane, summary)?)));
            stage::absorb(job, summaries.collect::<Result<Vec<_>>>()?)?;
            seal(feed)?;
            if exchange.is_sampled() {
                feeders.into_iter().try_for_each(|feeder| self.stage(feeder, vec![terminal], Vec::new()))?;
            }
            return Ok(());
        }
        let kept = frames.iter().map(|(head, rest)| [head.to_bytes().as_slice(), rest.as_slice()].concat());
        let kept: Vec<Vec<u8>> = kept.collect();
        if !feed.is_output {
            // Operators of later stages look at it, and nobody here.
            let id = self.state.broadcast(&kept)?;
            self.broadcasts.insert(terminal, id);
            return Ok(());
        }
        self.state.history.extend(kept.into_iter().map(|frame| of_job(self.job, &frame)));
        let pieces = frames.iter().map(|(head, rest)| Ok((*head, wire.unpack(head.lane, rest)?)));
        stage::absorb(job, pieces.collect::<Result<Vec<_>>>()?)?;
        seal(feed)
    }
}

fn seal(feed: &Feed) -> Result<()> {
    (0..feed.terminal.cells()).try_for_each(|cell| feed.terminal.seal(cell))
}

/// Where this process is: relative paths begin there.
fn directory() -> String {
    std::env::current_dir().map(|dir| dir.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What this process was started with, and each worker is.
fn arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// A frame with the number of its job before it.
fn of_job(job: usize, frame: &[u8]) -> Vec<u8> {
    [&(job as u64).to_le_bytes(), frame].concat()
}

/// Neighbouring splits for each task.
fn divided(splits: usize, most: usize) -> Vec<Range<usize>> {
    let count = splits.min(most);
    (0..count).map(|task| task * splits / count..(task + 1) * splits / count).collect()
}

/// What Spark shows of a stage.
fn name(job: &Job, pipeline: usize) -> String {
    let pipeline = &job.pipelines[pipeline];
    let calls = std::iter::once(pipeline.call).chain(pipeline.steps.iter().map(|step| step.call));
    let names: Vec<&str> = calls.map(|call| call.operator).collect();
    names.join(" > ")
}

/// The settings of this process that its workers must have as well.
fn environment() -> BTreeMap<String, String> {
    let all = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    all.filter(|(name, _)| name.starts_with("GRISTMILL_") && name != super::DRIVER).collect()
}
