//! A worker: it runs one task of one stage, and ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam::channel::unbounded;
use serde_json::Value;

use super::beside;
use super::frame::{BESIDE, FAILED, Head, JobId};
use super::identity;
use super::link::{Kind, Link, Receiver, Sender, broken};
use super::sending::Sending;
use super::stage::{self, Destination, Failure, Stage, Task, VERSION, wire};
use super::{Given, not_on_a_cluster};
use crate::config::{Config, Execution};
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::job::Batch;
use crate::exec::task::{self, Run, RunId};
use crate::exec::wire::{ExchangeWire, Routing, Wire};

/// Frames with what they belong to.
type Frames = Vec<(Head, Vec<u8>)>;

/// The process of one task.
pub struct Worker {
    stage: Stage,
    task: Task,
    /// Whether only what the task leaves for later stages counts: an executor that had it is lost. The driver has its share, and may have committed it.
    is_again: bool,
    state: Mutex<State>,
}

struct State {
    /// What follows the last job that `main` has come to.
    next: JobId,
    sender: Sender,
    /// None once somebody else waits for its end.
    receiver: Option<Receiver>,
    /// Who does.
    watch: Option<JoinHandle<()>>,
    /// The message that has been read already: the first one behind the task and its broadcasts.
    first: Option<(Kind, Vec<u8>)>,
    /// The results of earlier jobs.
    history: BTreeMap<JobId, Frames>,
    /// The results of earlier stages that operators look at.
    broadcasts: Frames,
}

impl Worker {
    /// The worker that an executor has started.
    ///
    /// # Errors
    ///
    /// If the executor is gone, or means another program.
    pub fn new(link: Link) -> Result<Worker> {
        let Link { mut sender, mut receiver } = link;
        let (stage, task, is_again) = match read_task(&mut receiver) {
            Ok(task) => task,
            Err(error) => {
                tell(&mut sender, &error)?;
                receiver.wait_for_the_end();
                return Err(error);
            }
        };
        let mut state = State {
            next: JobId { action: 0, job: 0 },
            sender,
            receiver: None,
            watch: None,
            first: None,
            history: BTreeMap::new(),
            broadcasts: Vec::new(),
        };
        state.first = Some(state.read_broadcasts(&mut receiver, &stage)?);
        state.receiver = Some(receiver);
        Ok(Worker { stage, task, is_again, state: Mutex::new(state) })
    }

    /// The settings of a context: one task runs here, on one thread.
    pub fn adapt(config: &mut Config, given: &Given) {
        config.execution = Execution::Spark;
        config.threads = 1;
        config.in_flight_splits = 1;
        config.metrics_file = None; // the totals are those of the driver
        if given.memory_bytes.is_none() {
            // As many of them may run on this host as it has cores.
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            config.memory_bytes = (config.memory_bytes / cores as u64).max(64 << 20);
        }
        if !given.has_spill_dir {
            let dir = local_dir(|name| std::env::var(name).ok(), std::process::id() as usize);
            config.spill_dir = dir.unwrap_or_else(|| std::mem::take(&mut config.spill_dir));
        }
    }

    /// Repeats the results of an earlier job; or runs the task, and ends the process.
    ///
    /// # Errors
    ///
    /// If the results cannot be repeated.
    pub fn run(&self, run: &Arc<Run>, plan: u64) -> Result<()> {
        let Ok(mut state) = self.state.try_lock() else {
            return Err(not_on_a_cluster("an action within a closure")); // whose task holds the lock
        };
        let id = JobId::of(run);
        if id < self.stage.job {
            let frames = state.history.remove(&id).unwrap_or_default();
            repeat(run, frames)?;
            state.next = JobId { job: id.job + 1, ..id };
            return Ok(());
        }
        let is_wanted = id == self.stage.job && self.stage.plan == format!("{plan:016x}");
        let done = if is_wanted { self.task(&mut state, run) } else { Err(another_plan()) };
        let code = match done.and_then(|frames| end(&mut state.sender, frames)) {
            Ok(()) => 0,
            Err(error) => {
                let _ = tell(&mut state.sender, &error); // whoever is gone needs to be told nothing
                1
            }
        };
        state.wait_for_the_end();
        std::process::exit(code)
    }

    /// What an action begins, or goes on, with.
    pub fn next_job(&self, action: RunId) -> JobId {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next.max(JobId::begin(action))
    }

    /// Fails as the driver did where it had come so far.
    ///
    /// # Errors
    ///
    /// That of the driver.
    pub fn repeat_failure(&self, at: JobId, calls: &dyn Fn() -> Vec<CallSite>) -> Result<()> {
        let Ok(state) = self.state.try_lock() else {
            return Err(not_on_a_cluster("an action within a closure"));
        };
        state.history.get(&at).map_or(Ok(()), |frames| failed(frames, calls))
    }

    fn task(&self, state: &mut State, run: &Arc<Run>) -> Result<u64> {
        for (terminal, told) in &self.stage.told {
            let is_nothing_new =
                self.is_again && stage::destination(&run.job, *terminal)? == Destination::Driver;
            let told = if is_nothing_new { &NOTHING } else { told };
            wire(&run.job, *terminal)?.tell(told)?;
        }
        self.take_in(state, run)?;
        let mut sending = Sending::new(&mut state.sender, &run.job, &self.stage, &self.task);
        for split in self.task.splits.clone() {
            let (events, inbox) = unbounded();
            task::run(run, self.stage.pipeline, split, &events)?;
            task::note_done(run, self.stage.pipeline, split);
            drop(events);
            inbox.iter().try_for_each(|event| sending.event(event))?;
        }
        sending.end(run)
    }

    /// Absorbs what the task reads, and what its operators look at.
    fn take_in(&self, state: &mut State, run: &Arc<Run>) -> Result<()> {
        let job = &run.job;
        let read = &job.pipelines[self.stage.pipeline];
        let source = match read.reads {
            Some(terminal) => Some(wire(job, terminal)?),
            None => read.source.wire(),
        };
        if let (Some(source), Some(held)) = (source, &self.stage.held) {
            source.tell(held)?;
        }
        let pieces = receive(state, source)?;
        match source.and_then(Wire::exchange) {
            Some(exchange) if exchange.routing() != Routing::ByCell => arrive(exchange, source, pieces)?,
            _ => stage::absorb(job, pieces)?,
        }
        let looked_at = std::mem::take(&mut state.broadcasts).into_iter();
        let looked_at =
            looked_at.map(|(head, rest)| Ok((head, wire(job, head.terminal)?.unpack(head.lane, &rest)?)));
        stage::absorb(job, looked_at.collect::<Result<Vec<_>>>()?)?;
        for &terminal in &read.after {
            let terminal = &job.terminals[terminal].terminal;
            (0..terminal.cells()).try_for_each(|cell| terminal.seal(cell))?;
        }
        Ok(())
    }
}

/// The variables in which executors of a stand-alone cluster, of YARN, and others are told of the directories for what is on their disks.
const LOCAL_DIRS: [&str; 3] = ["SPARK_EXECUTOR_DIRS", "LOCAL_DIRS", "SPARK_LOCAL_DIRS"];

/// The directory of the executor for data on disk; of several, which may be disks of their own, the `nth`, from the first one on again after the
/// last one.
fn local_dir(variable: impl Fn(&str) -> Option<String>, nth: usize) -> Option<PathBuf> {
    let dirs = LOCAL_DIRS.iter().find_map(|name| variable(name).filter(|dirs| !dirs.is_empty()))?;
    let dirs: Vec<&str> = dirs.split([',', ':']).filter(|dir| Path::new(dir).is_dir()).collect();
    dirs.get(nth % dirs.len().max(1)).map(PathBuf::from)
}

/// Receives what a task reads, and unpacks it as it comes, so that it lies on disk.
fn receive(state: &mut State, source: Option<&dyn Wire>) -> Result<Vec<(Head, Batch)>> {
    let mut pieces: Vec<(Head, Batch)> = Vec::new();
    let mut receiver = state.receiver.take().ok_or_else(|| broken("a task was run twice"))?;
    let mut next = state.first.take();
    loop {
        let (kind, bytes) = next.take().map_or_else(|| receiver.receive(), Ok)?;
        match (kind, source) {
            (Kind::Frame, Some(source)) => {
                let (head, rest) = Head::parse(&bytes)?;
                pieces.push((head, source.unpack(head.lane, rest)?));
            }
            (Kind::End, _) => break,
            (other, _) => return Err(broken(format!("{other:?} came instead of a frame"))),
        }
    }
    state.watch = Some(die_with(receiver));
    Ok(pieces)
}

/// Takes what tasks have left, as they have left it.
fn arrive(exchange: &dyn ExchangeWire, source: Option<&dyn Wire>, pieces: Vec<(Head, Batch)>) -> Result<()> {
    let mut join = |_, lane, first, later| match source {
        Some(source) => source.join(lane, first, later),
        None => Err(broken("a task reads nothing, and got something")),
    };
    for (head, batch) in stage::joined(pieces, &mut join)? {
        exchange.arrive(head.order, batch)?;
    }
    Ok(())
}

/// What an output is told that is to be left as it is.
static NOTHING: Value = Value::Bool(false);

/// Whether all has been said, so that the executor may end the connection.
static IS_DONE: AtomicBool = AtomicBool::new(false);

/// Ends the process with its executor.
fn die_with(executor: Receiver) -> JoinHandle<()> {
    std::thread::spawn(move || {
        executor.wait_for_the_end();
        if !IS_DONE.load(Ordering::SeqCst) {
            std::process::exit(1);
        }
    })
}

/// Receives what is to be done; the last one is whether only later stages need it.
fn read_task(receiver: &mut Receiver) -> Result<(Stage, Task, bool)> {
    let mut next = |wanted| match receiver.receive()? {
        (kind, bytes) if kind == wanted => Ok(bytes),
        (kind, _) => Err(broken(format!("{kind:?} came instead of {wanted:?}"))),
    };
    let stage: Stage = serde_json::from_slice(&next(Kind::Stage)?).map_err(broken)?;
    if stage.version != VERSION {
        return Err(broken(format!("its version is {}, not {VERSION}", stage.version)));
    }
    let bytes = next(Kind::Task)?;
    let (flags, task) = bytes.split_first().ok_or_else(|| broken("a task is empty"))?;
    if flags & IS_KNOWN == 0 {
        check_program(&stage)?;
    }
    Ok((stage, serde_json::from_slice(task).map_err(broken)?, flags & IS_AGAIN != 0))
}

/// The flag of a task that is done for later stages only.
const IS_AGAIN: u8 = 1;

/// The flag of a task whose program has been compared with the driver's on this host.
const IS_KNOWN: u8 = 2;

/// Whether this is the program that a task is meant for.
fn check_program(stage: &Stage) -> Result<()> {
    if format!("{:016x}", identity::of_program()?) == stage.program {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "the program on this executor is not that of the driver")
        .hint("submit it again; two programs of one name must not run on one application of Spark"))
}

impl State {
    /// Waits until the executor ends the connection: what ends while something is unread takes along what it has said last.
    fn wait_for_the_end(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            receiver.wait_for_the_end();
        }
        if let Some(watch) = self.watch.take() {
            let _ = watch.join(); // it panics never, and then there is nothing to wait for
        }
    }

    /// Reads the frames that all tasks of the stage get; the first message that is none.
    fn read_broadcasts(&mut self, receiver: &mut Receiver, stage: &Stage) -> Result<(Kind, Vec<u8>)> {
        loop {
            let (kind, bytes) = receiver.receive()?;
            if kind != Kind::Broadcast {
                return Ok((kind, bytes));
            }
            let (id, mut frame) =
                bytes.split_first_chunk().ok_or_else(|| broken("a broadcast is too short"))?;
            let into = if stage.history.contains(&u32::from_be_bytes(*id)) {
                self.history.entry(JobId::take(&mut frame)?).or_default()
            } else {
                &mut self.broadcasts
            };
            let (head, rest) = Head::parse(frame)?;
            into.push((head, rest.to_vec()));
        }
    }
}

/// The error among the results of a job, if it is one.
fn failed(frames: &Frames, calls: &dyn Fn() -> Vec<CallSite>) -> Result<()> {
    match frames.iter().find(|(head, _)| head.terminal == FAILED) {
        Some((_, error)) => {
            Err(serde_json::from_slice::<Failure>(error).map_err(broken)?.into_error(calls()))
        }
        None => Ok(()),
    }
}

fn another_plan() -> Error {
    let message = "the program does something else here than in the driver, or an input has changed";
    Error::new(ErrorKind::Config, message).hint(
        "let what it does depend on its arguments and inputs alone, and give them by paths that mean the same on all hosts",
    )
}

/// Repeats what an earlier job has resulted in.
fn repeat(run: &Arc<Run>, frames: Frames) -> Result<()> {
    let job = &run.job;
    failed(&frames, &|| stage::calls(job).collect())?;
    let (told, frames): (Frames, Frames) = frames.into_iter().partition(|(head, _)| head.terminal == BESIDE);
    let pieces = frames
        .into_iter()
        .map(|(head, rest)| Ok((head, wire(job, head.terminal)?.unpack(head.lane, &rest)?)));
    stage::absorb(job, pieces.collect::<Result<Vec<_>>>()?)?;
    for (terminal, feed) in job.terminals.iter().enumerate() {
        // Of exchanges there is nothing here; but a cache must know that it is filled.
        let is_kept = match stage::destination(job, terminal)? {
            Destination::Driver | Destination::Exchange(Routing::ByTask(_)) => true,
            Destination::Broadcast | Destination::Exchange(Routing::ByCell) => false,
        };
        if is_kept {
            (0..feed.terminal.cells()).try_for_each(|cell| feed.terminal.seal(cell))?;
        }
    }
    beside::tell(run, &told)
}

/// Says that all frames have been sent.
fn end(sender: &mut Sender, frames: u64) -> Result<()> {
    IS_DONE.store(true, Ordering::SeqCst);
    sender.send(Kind::End, &[&frames.to_be_bytes()])?;
    sender.flush()
}

/// Says why the task has failed.
fn tell(sender: &mut Sender, error: &Error) -> Result<()> {
    IS_DONE.store(true, Ordering::SeqCst);
    let text = serde_json::json!(Failure::of(error)).to_string();
    sender.send(Kind::Failure, &[text.as_bytes()])?;
    sender.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_use_the_disks_of_their_executor_in_turn() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["1", "2"].map(|name| dir.path().join(name));
        std::fs::create_dir(&first).unwrap();
        std::fs::create_dir(&second).unwrap();
        let dirs = format!("{},/nowhere,{}", first.display(), second.display());
        let variable = |name: &str| (name == "LOCAL_DIRS").then(|| dirs.clone());
        let found = [0, 1, 2].map(|nth| local_dir(variable, nth).unwrap());
        assert_eq!(found, [first.clone(), second, first]);
        assert_eq!(local_dir(|_| None, 0), None);
        assert_eq!(local_dir(|_| Some("/nowhere".to_owned()), 1), None);
    }
}
