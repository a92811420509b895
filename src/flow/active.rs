//! A run that goes on: its plan, how far each task is, and what is at work.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::bounds::Gauge;
use super::fingerprint;
use super::ledger::{Change, Ledger, NewRun, NewTask, RunId, RunRow, TaskRow};
use super::log::{Mask, TaskLog};
use super::machine::{Machine, Slots};
use super::plan::{Plan, Role};
use super::recover;
use super::run_lock::RunLock;
use super::state::State;
use super::unfold;
use super::work::Stop;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::gate::Gates;

/// Which tasks of a run are run, if an earlier attempt has done some of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Which {
    /// Those that are not complete: they did not succeed, what they read has changed, or what they wrote is gone.
    #[default]
    Missing,
    /// A task and all that wait for it, and what is missing.
    From(String),
    /// All.
    All,
}

/// What is asked for: a run.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub plan: Plan,
    pub which: Which,
    /// Why: manual, rerun, backfill, schedule.
    pub cause: &'static str,
    pub backfill: Option<i64>,
    /// Whether tasks are retried as they say.
    pub retries: bool,
    /// Whether a run goes on although the flow, or the program, has changed since the last attempt.
    pub accept_changes: bool,
}

/// A run that goes on.
pub(super) struct ActiveRun {
    pub id: RunId,
    pub attempt: u32,
    pub request: Request,
    pub machine: Machine,
    pub mask: Mask,
    /// When it began, by the clock that nobody sets.
    pub began: Duration,
    /// The tries that are at work, by node.
    pub tries: HashMap<usize, Try>,
    pub is_canceled: bool,
    pub gauge: Gauge,
    /// Why tasks are in their states, where that needs to be said.
    pub reasons: HashMap<usize, String>,
    /// What its programs have to pass before they commit.
    pub gates: Arc<Gates>,
    /// Held until it is dropped.
    lock: RunLock,
}

/// A try that is at work.
pub(super) struct Try {
    pub number: u32,
    pub began: Duration,
    pub stop: Arc<Stop>,
    pub log: Arc<TaskLog>,
    /// How it ends, although its work may not have ended yet: it took too long, or was canceled.
    pub stopped: Option<State>,
}

impl ActiveRun {
    /// Begins a run: takes its lock, notes it, and settles what an earlier attempt has done.
    ///
    /// # Errors
    ///
    /// If it is running already, if what has changed is not accepted, or if the ledger fails.
    pub fn begin(
        ledger: &Ledger,
        request: Request,
        pool: &dyn Fn(&Plan, usize) -> Slots,
        gauge: Gauge,
        now: (Timestamp, Duration),
    ) -> Result<ActiveRun> {
        let plan = &request.plan;
        let lock = RunLock::take(&ledger.dir().join("locks"), plan.run_key())?;
        recover::reconcile_key(ledger, plan.run_key(), now.0)?;
        let earlier = ledger.last_attempt(plan.run_key())?;
        let code = code(plan)?;
        if let Some(earlier) = &earlier {
            check_changes(earlier, &request, &code)?;
        }
        let machine = Machine::new(&plan.nodes, |node| pool(plan, node));
        let mask = Mask::new(plan.scope.params.secrets());
        let mut run = ActiveRun {
            id: 0,
            attempt: 0,
            machine,
            mask,
            began: now.1,
            tries: HashMap::new(),
            is_canceled: false,
            gauge,
            reasons: HashMap::new(),
            request,
            gates: Arc::new(Gates::new(PathBuf::new())),
            lock,
        };
        // All that can be refused is, before the ledger has this attempt; and what is complete is noted with it: an attempt that ends here knows of
        // its tasks what the one before it knew.
        let settled = match &earlier {
            Some(earlier) => run.settle_earlier(earlier, &ledger.tasks(earlier.id)?, pool)?,
            None => Vec::new(),
        };
        (run.id, run.attempt) = ledger.begin(&new_run(&run.request, code, now.0), &settled)?;
        run.gates = Arc::new(Gates::new(recover::gates_of(ledger, run.id)));
        run.lock.name(run.id);
        run.machine.begin();
        Ok(run)
    }

    /// Settles the tasks that an earlier attempt has completed, and gives what is to be noted of them.
    fn settle_earlier(
        &mut self,
        earlier: &RunRow,
        tasks: &[TaskRow],
        pool: &dyn Fn(&Plan, usize) -> Slots,
    ) -> Result<Vec<Change>> {
        if let Some(task) = tasks.iter().find(|task| task.state == State::UnknownOutcome) {
            return Err(unknown_outcome(earlier, &task.task));
        }
        let tasks: HashMap<&str, &TaskRow> = tasks.iter().map(|task| (task.task.as_str(), task)).collect();
        let mut complete = Vec::new();
        for (index, is_asked_again) in self.asked_again()?.into_iter().enumerate() {
            let node = &self.request.plan.nodes[index];
            let needs_are_complete =
                node.needs.iter().all(|&need| self.machine.state(need) == State::Succeeded);
            if !needs_are_complete || is_asked_again {
                continue;
            }
            if node.role != Role::Group {
                self.settle_complete(index, earlier, &tasks, &mut complete)?;
            } else if !self.machine.has_items(index) && tasks.contains_key(node.key.as_str()) {
                // What it waits for is complete, so that its files are there: those of its items that are complete, too, are known now.
                let first = self.request.plan.nodes.len();
                unfold::unfold(self, index, pool);
                for item in first..self.request.plan.nodes.len() {
                    self.settle_complete(item, earlier, &tasks, &mut complete)?;
                }
            }
        }
        Ok(complete)
    }

    /// Settles a node, if an earlier attempt has completed it.
    fn settle_complete(
        &mut self,
        node: usize,
        earlier: &RunRow,
        tasks: &HashMap<&str, &TaskRow>,
        complete: &mut Vec<Change>,
    ) -> Result<()> {
        let key = &self.request.plan.nodes[node].key;
        let Some(task) = tasks.get(key.as_str()) else { return Ok(()) };
        if task.state == State::Succeeded && self.is_complete(node, task)? {
            complete.push(Change::Fingerprint {
                task: key.clone(),
                inputs: task.inputs.clone(),
                outputs: task.outputs.clone().unwrap_or_default(),
            });
            let reason = format!("complete since attempt {}", earlier.attempt);
            complete.push(Change::Task {
                task: key.clone(),
                state: State::Succeeded,
                reason: Some(reason.clone()),
            });
            self.reasons.insert(node, reason);
            self.machine.settle(node, State::Succeeded);
        }
        Ok(())
    }

    /// Which nodes are to be run although they are complete.
    fn asked_again(&self) -> Result<Vec<bool>> {
        let plan = &self.request.plan;
        let from = match &self.request.which {
            Which::Missing => return Ok(vec![false; plan.nodes.len()]),
            Which::All => return Ok(vec![true; plan.nodes.len()]),
            Which::From(name) => name,
        };
        if !plan.flow.tasks.iter().any(|task| task.name == *from) {
            let names = plan.flow.tasks.iter().map(|task| task.name.as_str());
            return Err(super::check::unknown("task", from, names));
        }
        let mut again: Vec<bool> = Vec::with_capacity(plan.nodes.len());
        for (index, node) in plan.nodes.iter().enumerate() {
            again.push(plan.task(index).name == *from || node.needs.iter().any(|&need| again[need]));
        }
        Ok(again)
    }

    /// Whether what a task has read is what it was, and what it has written is there.
    fn is_complete(&self, node: usize, task: &TaskRow) -> Result<bool> {
        let (inputs, outputs) = self.paths(node)?;
        let same = match &task.inputs {
            Some(before) => !inputs.is_empty() && *before == fingerprint::of_inputs(&inputs)?,
            None => inputs.is_empty(),
        };
        Ok(same && fingerprint::are_complete(&outputs))
    }

    /// What a node reads and writes, as far as it says so; the same from whatever directory the flow is run, and whoever looks later.
    pub fn paths(&self, node: usize) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let (task, scope) = (self.request.plan.task(node), self.request.plan.scope_of(node));
        let outputs = task.all_outputs();
        let mut inputs = scope.paths(task.all_inputs())?;
        if let (Role::Item { value, .. }, Some(_)) =
            (&self.request.plan.nodes[node].role, task.for_each.as_ref().and_then(|each| each.glob.as_ref()))
        {
            // The files that an item is are what it reads, also where it does not say so.
            inputs.extend(value.texts().iter().map(|file| scope.dir.join(file)));
        }
        let absolute = |paths: Vec<PathBuf>| {
            paths.into_iter().map(|path| std::path::absolute(&path).unwrap_or(path)).collect()
        };
        Ok((absolute(inputs), absolute(scope.paths(outputs.iter().map(String::as_str))?)))
    }

    /// Cancels what is not running, and stops what is.
    pub fn cancel(&mut self) {
        self.is_canceled = true;
        self.machine.cancel();
        for one in self.tries.values_mut() {
            one.stopped.get_or_insert(State::Canceled);
            one.stop.ask();
        }
    }

    /// What is to be noted of some nodes whose states have changed.
    pub fn changes(&self, changed: &[usize]) -> Vec<(RunId, Change)> {
        let change = |node: usize| {
            let (task, state) = (self.request.plan.nodes[node].key.clone(), self.machine.state(node));
            (self.id, Change::Task { task, state, reason: self.reasons.get(&node).cloned() })
        };
        changed
            .iter()
            .copied()
            .filter(|&node| self.machine.state(node) != State::Queued || self.machine.tries(node) > 0)
            .map(change)
            .collect()
    }
}

fn new_run(request: &Request, code: String, started: Timestamp) -> NewRun {
    let plan = &request.plan;
    let parameters: serde_json::Map<_, _> =
        plan.scope.params.shown().map(|(name, value)| (name.to_owned(), value.to_string().into())).collect();
    let tasks = (0..plan.nodes.len()).map(|node| new_task(plan, node));
    NewRun {
        flow: plan.flow.name.clone(),
        source: plan.flow.source.as_ref().map(|path| path.to_string_lossy().into_owned()),
        run_key: plan.run_key().to_owned(),
        parameters: serde_json::Value::Object(parameters).to_string(),
        definition: plan.definition().to_owned(),
        code,
        interval: plan.interval().map(|interval| (interval.start.timestamp(), interval.end.timestamp())),
        time_zone: plan.flow.time_zone.clone(),
        cause: request.cause,
        backfill: request.backfill,
        started,
        tasks: tasks.collect(),
    }
}

/// A node as the ledger has it.
pub(super) fn new_task(plan: &Plan, node: usize) -> NewTask {
    let (task, node) = (plan.task(node), &plan.nodes[node]);
    let keys = || node.needs.iter().map(|&need| plan.nodes[need].key.as_str());
    let is_item = matches!(node.role, Role::Item { .. });
    let needs = (!is_item).then(|| keys().collect::<serde_json::Value>().to_string());
    NewTask { key: node.key.clone(), kind: task.step.kind(), is_idempotent: task.idempotent, needs }
}

/// A hash of this program, where a flow has closures: what they do is in it alone.
fn code(plan: &Plan) -> Result<String> {
    static CODE: std::sync::OnceLock<std::io::Result<String>> = std::sync::OnceLock::new();
    if plan.flow.tasks.iter().all(|task| task.step.kind() != "job") {
        return Ok(String::new());
    }
    let hash = CODE.get_or_init(|| hash_of_file(&std::env::current_exe()?));
    hash.as_ref().cloned().map_err(|error| {
        Error::new(
            ErrorKind::Config,
            format!("the program itself cannot be read, to tell whether it has changed: {error}"),
        )
    })
}

fn hash_of_file(path: &Path) -> std::io::Result<String> {
    let bytes = std::fs::read(path)?;
    Ok(format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&bytes)))
}

/// Fails if the flow or the program has changed since an attempt that is to be completed, unless that is accepted or everything is run anew.
fn check_changes(earlier: &RunRow, request: &Request, code: &str) -> Result<()> {
    let same = earlier.definition == request.plan.definition() && earlier.code == code;
    if same || request.accept_changes || request.which == Which::All {
        return Ok(());
    }
    let what = if earlier.definition == request.plan.definition() { "the program" } else { "the flow" };
    let message = format!("{what} has changed since attempt {} of {}", earlier.attempt, earlier.run_key);
    Err(Error::new(ErrorKind::Config, message).hint(
        "--accept-changes completes it with what it is now, and keeps what succeeded before; `rerun --all` runs everything anew",
    ))
}

fn unknown_outcome(earlier: &RunRow, task: &str) -> Error {
    let message = format!(
        "nobody knows what `{task}` did in run {}: its process died, and it is not idempotent",
        earlier.id
    );
    let run = earlier.id;
    Error::new(ErrorKind::Config, message).hint(format!(
        "look, and say `confirm {run} {task} --succeeded` or `confirm {run} {task} --failed`, which lets it run again"
    ))
}
