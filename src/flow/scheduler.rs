//! Runs runs: one loop on one thread, which starts what can start, notes what happens in the ledger, and waits.
//!
//! Every turn of the loop notes all that has changed in one transaction, before what it has started begins to work: what has begun is always known to
//! the ledger, and what has ended may be known a moment late. After a crash that moment is told from the outputs ([`super::recover`]).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, unbounded};
use jiff::Timestamp;
use serde_json::json;
use xxhash_rust::xxh3::xxh3_64;

use super::active::{ActiveRun, Request, Try, new_task};
use super::bounds::Gauge;
use super::clock::Clock;
use super::event::{FlowEvent, Listener};
use super::failure::{Failure, Outcome};
use super::fingerprint;
use super::ledger::{Change, Ledger, RunId};
use super::log::TaskLog;
use super::machine::{Ended, Pools, Slots};
use super::notify::{Event, Notices, Occasion};
use super::plan::Plan;
use super::state::State;
use super::task_context::TaskContext;
use super::unfold;
use super::work::{Done, Stop, Work};
use crate::cli::tell;
use crate::context::Context;
use crate::error::Result;
use crate::exec::cancel::CancelToken;

/// Where runs come from, and who hears of their ends.
pub(super) trait Feed {
    /// What to do next, with so many runs going on.
    fn next(&mut self, active: usize, now: (Timestamp, Duration)) -> Result<Next>;

    /// A run has begun.
    fn began(&mut self, run: &ActiveRun) -> Result<()>;

    /// A run has ended, or could not begin.
    fn ended(&mut self, ended: RunEnded) -> Result<()>;
}

/// What a feed wants.
pub(super) enum Next {
    Start(Box<Request>),
    /// Nothing before that time, or before a run has ended.
    Wait(Option<Duration>),
    /// Nothing any more.
    Nothing,
}

/// What a feed has said, once all that it wanted to start has begun.
enum Fed {
    /// It wants nothing before that time, or before a run has ended.
    Waits(Option<Duration>),
    /// It wants nothing any more.
    IsOver,
}

/// The end of a run.
#[derive(Debug)]
pub(super) struct RunEnded {
    pub run_key: String,
    /// Its number and its state, or why it could not begin.
    pub result: Result<(RunId, State)>,
}

/// How often it looks whether somebody wants a run to be canceled.
const CANCEL_POLL: Duration = Duration::from_millis(500);

/// How long what was asked to stop has until it is killed, and then until nobody waits for it any more.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// A try has had its time.
    Timeout { run: RunId, node: usize, number: u32 },
    /// A try that was asked to stop has had its grace.
    Kill { run: RunId, node: usize, number: u32 },
    /// A try does not even end when it is killed.
    Abandon { run: RunId, node: usize, number: u32 },
    /// A task was to have ended; or the run.
    Deadline { run: RunId, node: Option<usize> },
}

/// Everything that runs of one process share.
pub(super) struct Scheduler<'a> {
    pub ledger: &'a Ledger,
    pub context: Context,
    pub clock: &'a dyn Clock<Done>,
    /// Somebody wants all to end.
    pub cancel: CancelToken,
    /// Somebody is told what happens, once it is noted.
    pub listener: Option<Arc<Listener>>,
    pools: Pools,
    pool_names: BTreeMap<String, usize>,
    runs: BTreeMap<RunId, ActiveRun>,
    alarms: BinaryHeap<Reverse<(Duration, Alarm)>>,
    changes: Vec<(RunId, Change)>,
    /// What is to be told once the changes are noted.
    events: Vec<FlowEvent>,
    notices: Notices,
    done: (Sender<Done>, Receiver<Done>),
    next_poll: Duration,
    is_canceled: bool,
}

impl<'a> Scheduler<'a> {
    /// A scheduler that has so many tasks at work at the same time.
    pub fn new(
        ledger: &'a Ledger,
        context: Context,
        clock: &'a dyn Clock<Done>,
        workers: usize,
        cancel: CancelToken,
    ) -> Scheduler<'a> {
        Scheduler {
            ledger,
            context,
            clock,
            cancel,
            listener: None,
            pools: Pools { free: Vec::new(), workers },
            pool_names: BTreeMap::new(),
            runs: BTreeMap::new(),
            alarms: BinaryHeap::new(),
            changes: Vec::new(),
            events: Vec::new(),
            notices: Notices::default(),
            done: unbounded(),
            next_poll: Duration::ZERO,
            is_canceled: false,
        }
    }

    /// Runs what the feed gives, to its end.
    ///
    /// # Errors
    ///
    /// If the ledger fails, or the feed does. What runs is stopped then.
    pub fn run(&mut self, feed: &mut dyn Feed) -> Result<()> {
        let result = self.turns(feed);
        if result.is_err() {
            self.runs.values_mut().for_each(ActiveRun::cancel);
        }
        self.notices.finish();
        result
    }

    fn turns(&mut self, feed: &mut dyn Feed) -> Result<()> {
        loop {
            let fed = self.feed(feed)?;
            self.poll_cancel()?;
            self.ring();
            let work = self.start_ready();
            self.note(&work)?;
            for work in work {
                self.begin_work(work);
            }
            if self.end_runs(feed)? {
                continue; // there may be another one to start
            }
            match fed {
                Fed::Waits(until) => self.wait(until),
                Fed::IsOver if self.runs.is_empty() => return Ok(()),
                Fed::IsOver => self.wait(None),
            }
        }
    }

    fn now(&self) -> (Timestamp, Duration) {
        (self.clock.now(), self.clock.elapsed())
    }

    /// Starts the runs that the feed wants.
    fn feed(&mut self, feed: &mut dyn Feed) -> Result<Fed> {
        loop {
            if self.is_canceled {
                return Ok(Fed::IsOver);
            }
            match feed.next(self.runs.len(), self.now())? {
                Next::Nothing => return Ok(Fed::IsOver),
                Next::Wait(until) => return Ok(Fed::Waits(until)),
                Next::Start(request) => self.begin(*request, feed)?,
            }
        }
    }

    fn begin(&mut self, request: Request, feed: &mut dyn Feed) -> Result<()> {
        let run_key = request.plan.run_key().to_owned();
        for (name, slots) in &request.plan.flow.pools {
            if !self.pool_names.contains_key(name) {
                self.pool_names.insert(name.clone(), self.pools.free.len());
                self.pools.free.push(*slots);
            }
        }
        let pool = |plan: &Plan, node: usize| pool_of(&self.pool_names, plan, node);
        let now = self.now();
        match ActiveRun::begin(self.ledger, request, &pool, Gauge::new(now.1, &self.context), now) {
            Err(error) => {
                self.event(|| FlowEvent::RunRefused { run_key: run_key.clone(), error: error.to_string() });
                feed.ended(RunEnded { run_key, result: Err(error) })
            }
            Ok(run) => {
                self.event(|| run.began_event());
                feed.began(&run)?;
                self.set_deadlines(&run);
                self.runs.insert(run.id, run);
                Ok(())
            }
        }
    }

    fn set_deadlines(&mut self, run: &ActiveRun) {
        let of_tasks =
            (0..run.request.plan.nodes.len()).map(|node| (Some(node), run.request.plan.task(node).deadline));
        for (node, deadline) in of_tasks.chain([(None, run.request.plan.flow.deadline)]) {
            if let Some(deadline) = deadline {
                self.alarms.push(Reverse((run.began + deadline, Alarm::Deadline { run: run.id, node })));
            }
        }
    }

    /// Cancels what somebody wants to be canceled.
    fn poll_cancel(&mut self) -> Result<()> {
        if self.cancel.is_canceled() && !self.is_canceled {
            self.is_canceled = true;
            let all: Vec<RunId> = self.runs.keys().copied().collect();
            for run in all {
                self.cancel_run(run);
            }
        }
        let now = self.clock.elapsed();
        if now >= self.next_poll {
            self.next_poll = now + CANCEL_POLL;
            for run in self.ledger.cancel_requests()? {
                self.cancel_run(run);
            }
        }
        Ok(())
    }

    fn cancel_run(&mut self, id: RunId) {
        let now = self.clock.elapsed();
        let Some(run) = self.runs.get_mut(&id).filter(|run| !run.is_canceled) else { return };
        run.cancel();
        for (&node, one) in &run.tries {
            self.alarms.push(Reverse((now + GRACE, Alarm::Kill { run: id, node, number: one.number })));
        }
    }

    /// Deals with the alarms whose time has come.
    fn ring(&mut self) {
        let now = self.clock.elapsed();
        while let Some(Reverse((at, alarm))) = self.alarms.peek().copied()
            && at <= now
        {
            self.alarms.pop();
            match alarm {
                Alarm::Timeout { run, node, number } => {
                    if let Some(one) = self.a_try(run, node, number) {
                        one.stopped.get_or_insert(State::TimedOut);
                        one.stop.ask();
                        self.alarms.push(Reverse((now + GRACE, Alarm::Kill { run, node, number })));
                    }
                }
                Alarm::Kill { run, node, number } => {
                    let Some(one) = self.a_try(run, node, number) else { continue };
                    // A closure cannot be killed: nobody waits for it any more.
                    let wait = if one.stop.kill() { GRACE } else { Duration::ZERO };
                    self.alarms.push(Reverse((now + wait, Alarm::Abandon { run, node, number })));
                }
                Alarm::Abandon { run, node, number } => {
                    let outcome = Outcome::Failed(Failure::new(
                        "timeout",
                        "it did not end when it was stopped, and was left alone",
                    ));
                    self.ended(Done { run, node, number, outcome });
                }
                Alarm::Deadline { run, node } => self.missed(run, node),
            }
        }
        self.runs.values_mut().for_each(|run| run.machine.wake(now));
    }

    fn a_try(&mut self, run: RunId, node: usize, number: u32) -> Option<&mut Try> {
        self.runs.get_mut(&run)?.tries.get_mut(&node).filter(|one| one.number == number)
    }

    /// Tells, once, that something has not ended by its deadline.
    fn missed(&mut self, id: RunId, node: Option<usize>) {
        let Some(run) = self.runs.get(&id) else { return };
        if node.is_some_and(|node| run.machine.state(node).has_ended()) {
            return;
        }
        let event = event("deadline", run, node);
        self.tell(id, Occasion::Deadline, &event);
    }

    /// Takes all that can start.
    fn start_ready(&mut self) -> Vec<Work> {
        let mut work = Vec::new();
        let now = self.now();
        for run in self.runs.values_mut() {
            while let Some(group) = run.machine.next_to_unfold() {
                let names = &self.pool_names;
                let added = unfold::unfold(run, group, &|plan, node| pool_of(names, plan, node));
                if !added.is_empty() {
                    let task = run.request.plan.nodes[group].key.clone();
                    self.events.push(FlowEvent::ItemsFound { run: run.id, task, items: added.len() });
                }
                self.changes.extend(added);
            }
            while let Some(node) = run.machine.start(&mut self.pools) {
                let (one, change) = start(run, node, now, self.ledger, &self.context);
                self.changes.extend(change);
                if let Some(timeout) = run.request.plan.task(node).timeout {
                    let alarm = Alarm::Timeout { run: run.id, node, number: one.context.number };
                    self.alarms.push(Reverse((now.1 + timeout, alarm)));
                }
                work.push(one);
            }
        }
        work
    }

    fn begin_work(&mut self, work: Work) {
        let (run, node, number) = (work.run, work.node, work.context.number);
        if let Err(error) = work.start(self.done.0.clone()) {
            let failure =
                Failure::new("error", format!("no thread can be started for it: {error}")).transient(true);
            self.ended(Done { run, node, number, outcome: Outcome::Failed(failure) });
        }
    }

    /// Notes all that has changed, and what tasks wait for from now on, and then tells of it: of what has ended, and then of the work that is about to
    /// begin because of that.
    fn note(&mut self, work: &[Work]) -> Result<()> {
        let now = self.clock.elapsed();
        for run in self.runs.values_mut() {
            let changed = run.machine.take_changes();
            self.changes.extend(run.changes(&changed));
            if self.listener.is_some() {
                self.events.extend(run.end_events(&changed));
            }
            run.gauge.wait(now, run.machine.waits(&self.pools));
        }
        self.ledger.note(&self.changes)?;
        self.changes.clear();
        if let Some(listener) = self.listener.as_deref() {
            self.events.extend(work.iter().map(Work::began_event));
            self.events.iter().for_each(listener);
        }
        self.events.clear();
        Ok(())
    }

    fn event(&mut self, event: impl FnOnce() -> FlowEvent) {
        if self.listener.is_some() {
            self.events.push(event());
        }
    }

    /// Ends the runs of which everything has ended; whether there were any.
    fn end_runs(&mut self, feed: &mut dyn Feed) -> Result<bool> {
        let over: Vec<RunId> =
            self.runs.values().filter(|run| run.machine.is_done()).map(|run| run.id).collect();
        for id in &over {
            let Some(run) = self.runs.remove(id) else { continue };
            let (at, now) = self.now();
            let state = run.machine.outcome();
            let took = now.saturating_sub(run.began);
            let bounds = run.gauge.report(took, &run.request.plan.nodes, &self.pool_names, &self.context);
            let bounds = Some(json!(bounds).to_string());
            self.ledger.note(&[(*id, Change::Ended { state, at, duration: Some(millis(took)), bounds })])?;
            let (occasion, name) = if state == State::Succeeded {
                (Occasion::Success, "run_succeeded")
            } else {
                (Occasion::Failure, "run_failed")
            };
            let event = event(name, &run, None);
            let run_key = run.request.plan.run_key().to_owned();
            let took = now.saturating_sub(run.began);
            self.event(|| FlowEvent::RunEnded { run: *id, run_key: run_key.clone(), state, took });
            send(&mut self.notices, &run, occasion, &event, self.listener.clone());
            drop(run); // and with it the lock, before anybody hears of the end
            feed.ended(RunEnded { run_key, result: Ok((*id, state)) })?;
        }
        Ok(!over.is_empty())
    }

    /// Waits for the end of a try, an alarm, a retry, or `until`.
    fn wait(&mut self, until: Option<Duration>) {
        let alarm = self.alarms.peek().map(|Reverse((at, _))| *at);
        let retry = self.runs.values().filter_map(|run| run.machine.next_wake()).min();
        let until = [until, alarm, retry, Some(self.next_poll)].into_iter().flatten().min();
        let at_work = self.runs.values().map(|run| run.tries.len()).sum();
        let first = self.clock.wait(&self.done.1, until, at_work);
        let rest: Vec<Done> = self.done.1.try_iter().collect();
        first.into_iter().chain(rest).for_each(|done| self.ended(done));
    }

    /// What becomes of a task whose try has ended.
    fn ended(&mut self, done: Done) {
        let (at, now) = self.now();
        let Done { run: id, node, number, outcome } = done;
        let Some(run) = self.runs.get_mut(&id) else { return };
        if run.tries.get(&node).is_none_or(|one| one.number != number) {
            return; // it was left alone long ago
        }
        let Some(one) = run.tries.remove(&node) else { return };
        let (state, failure) = verdict(&one, outcome);
        let wait = failure.as_ref().and_then(|failure| retry_after(run, node, number, failure));
        let key = run.request.plan.nodes[node].key.clone();
        let error = failure
            .as_ref()
            .map(|failure| (failure.kind.clone(), run.mask.hide(&failure.message).into_owned()));
        match (state, &error) {
            (State::Skipped, Some((_, reason))) => drop(run.reasons.insert(node, reason.clone())),
            (_, Some((_, message))) => drop(run.reasons.insert(node, message.clone())),
            _ => drop(run.reasons.remove(&node)),
        }
        let tried = if state == State::Skipped { None } else { error.clone() };
        let took = now.saturating_sub(one.began);
        run.gauge.worked(node, took);
        let duration = Some(millis(took));
        if self.listener.is_some() {
            self.events.push(FlowEvent::TryEnded {
                run: id,
                task: key.clone(),
                number,
                state,
                took,
                error: error.as_ref().map(|(_, message)| message.clone()),
                next_try: wait.and_then(|wait| at.checked_add(wait).ok()),
            });
        }
        self.changes.push((id, Change::Tried { task: key, number, state, at, duration, error: tried }));
        let ended = wait.map_or(Ended::As(state), |wait| Ended::Again(now + wait));
        run.machine.ended(node, ended, &mut self.pools);
        if !matches!(state, State::Succeeded | State::Skipped | State::Canceled) {
            let mut event = event("try_failed", run, Some(node));
            event.number = Some(number);
            event.log = Some(one.log.path().display().to_string());
            event.error = error.map(|(_, message)| message);
            if let Some(wait) = wait {
                event.more.insert("next_try_in", super::duration::text(wait));
            }
            self.tell(id, Occasion::Failure, &event);
        }
    }

    fn tell(&mut self, run: RunId, occasion: Occasion, event: &Event) {
        if let Some(run) = self.runs.get(&run) {
            send(&mut self.notices, run, occasion, event, self.listener.clone());
        }
    }
}

/// Sends a notice; one that fails is told to the listener, or else to standard error.
fn send(
    notices: &mut Notices,
    run: &ActiveRun,
    occasion: Occasion,
    event: &Event,
    listener: Option<Arc<Listener>>,
) {
    let failed: Arc<dyn Fn(String) + Send + Sync> = Arc::new(move |message| match &listener {
        Some(listener) => listener(&FlowEvent::NoticeFailed { message }),
        None => tell(format_args!("gristmill: {message}")),
    });
    notices.send(&run.request.plan.flow, occasion, event, &run.mask, &failed);
}

/// The pool of a node, and the slots that it takes.
fn pool_of(names: &BTreeMap<String, usize>, plan: &Plan, node: usize) -> Slots {
    let task = plan.task(node);
    (task.pool.as_ref().and_then(|pool| names.get(pool).copied()), task.slots)
}

/// The state that a try ends in, and what it failed with.
fn verdict(one: &Try, outcome: Outcome) -> (State, Option<Failure>) {
    match (one.stopped, outcome) {
        // It committed what it should before it was stopped.
        (_, Outcome::Succeeded) => (State::Succeeded, None),
        (Some(State::TimedOut), _) => {
            (State::TimedOut, Some(Failure::new("timeout", "it took too long and was stopped")))
        }
        (Some(state), _) => (state, Some(Failure::new("canceled", "it was canceled"))),
        (None, Outcome::Skipped(reason)) => (State::Skipped, Some(Failure::new("skipped", reason))),
        (None, Outcome::Failed(failure)) => (State::Failed, Some(failure)),
    }
}

/// How long to wait until a failed task is tried again, if it is.
fn retry_after(run: &ActiveRun, node: usize, number: u32, failure: &Failure) -> Option<Duration> {
    let task = run.request.plan.task(node);
    let may = run.request.retries && !run.is_canceled && task.idempotent && number <= task.retries;
    let seed = xxh3_64(
        format!("{} {} {number}", run.request.plan.run_key(), run.request.plan.nodes[node].key).as_bytes(),
    );
    (may && failure.is_one_of(&task.retry_on)).then(|| task.backoff.wait(number, seed))
}

/// Makes the work of the next try of a node, and what is to be noted of it.
fn start(
    run: &mut ActiveRun,
    node: usize,
    (at, now): (Timestamp, Duration),
    ledger: &Ledger,
    context: &Context,
) -> (Work, Vec<(RunId, Change)>) {
    let (plan, number) = (&run.request.plan, run.machine.tries(node));
    let key = plan.nodes[node].key.clone();
    let log =
        ledger.dir().join("logs").join(run.id.to_string()).join(format!("{}.{number}.log", file_name(&key)));
    let log = std::path::absolute(&log).unwrap_or(log); // whoever reads it may be elsewhere
    let log = Arc::new(TaskLog::new(log, run.mask.clone()));
    let (inputs, outputs) = run.paths(node).unwrap_or_default(); // a name that is unknown was found when the plan was made
    let before = (!outputs.is_empty()).then(|| fingerprint::identity(&outputs));
    let fingerprint = if inputs.is_empty() { None } else { fingerprint::of_inputs(&inputs).ok() };
    let paths = json!(outputs).to_string();
    let changes = vec![
        (run.id, Change::Fingerprint { task: key.clone(), inputs: fingerprint, outputs: paths }),
        (
            run.id,
            Change::Began {
                task: key.clone(),
                number,
                before,
                at,
                log: Some(log.path().display().to_string()),
            },
        ),
    ];
    let stop = Arc::new(Stop::new(Arc::clone(&run.gates)));
    let parameters = json!({"run": plan.run_key(), "task": key});
    let context = context.for_task(stop.cancel.clone(), stop.fence.clone(), parameters);
    let scope = plan.scope_of(node);
    let step = plan.task(node).step.clone();
    let context = TaskContext { scope, task: key, number, context, log: Arc::clone(&log) };
    run.tries.insert(node, Try { number, began: now, stop: Arc::clone(&stop), log, stopped: None });
    (Work { run: run.id, node, step, context, stop }, changes)
}

/// A key as the name of a file.
fn file_name(key: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || "-_.[]".contains(char) { char } else { '_' };
    let name: String = key.chars().map(plain).take(100).collect();
    if name == key { name } else { format!("{name}-{:08x}", xxh3_64(key.as_bytes()) as u32) }
}

fn event(name: &'static str, run: &ActiveRun, node: Option<usize>) -> Event {
    let plan = &run.request.plan;
    Event {
        name,
        flow: plan.flow.name.clone(),
        run: run.id,
        run_key: plan.run_key().to_owned(),
        attempt: run.attempt,
        task: node.map(|node| plan.nodes[node].key.clone()),
        number: None,
        error: None,
        log: None,
        more: BTreeMap::new(),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The task of a node as the ledger has it; for nodes that come later.
pub(super) fn added(run: &ActiveRun, node: usize) -> (RunId, Change) {
    (run.id, Change::Added { task: new_task(&run.request.plan, node), position: node })
}

#[cfg(test)]
mod tests;
