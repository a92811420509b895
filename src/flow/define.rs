//! `Flow` and `Task`: what is to be done, before it is known with which parameters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::for_each::ForEach;
use super::notify::Notifier;
use super::param::{Param, ParamType};
use super::period::Every;
use super::schedule::Schedule;
use super::step::Step;
use super::task_context::{TaskContext, TaskResult};

/// A workflow: tasks, what each waits for, and the parameters that make a run of it.
///
/// It is a description. What is wrong with it is told by [`Plan::new`](super::Plan::new), which `check` and `run` call first.
///
/// # Examples
///
/// ```
/// use gristmill::flow::{Flow, ParamType, Plan};
/// use gristmill::prelude::*;
///
/// let flow = Flow::new("daily-words")
///     .param("date", ParamType::Date)
///     .task("count", |t| {
///         let counts = t.context().read_words(t.path("raw/${date}/*.txt")?)?.count_by_value();
///         let options = ParquetOptions::default().existing(Existing::Overwrite);
///         counts.columns(["word", "count"]).write_parquet(t.path("counts/${date}")?, options)?;
///         Ok(())
///     })
///     .task("tell", |t| {
///         t.log("counted");
///         Ok(())
///     })
///     .after("count");
/// let plan = Plan::new(&flow, [("date", "2026-01-31")])?;
/// assert_eq!(plan.run_key(), "daily-words?date=2026-01-31");
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a flow does nothing until it is run"]
pub struct Flow {
    pub(super) name: String,
    pub(super) params: Vec<Param>,
    pub(super) tasks: Vec<Task>,
    pub(super) interval: Option<(String, Every)>,
    pub(super) time_zone: String,
    pub(super) pools: BTreeMap<String, usize>,
    pub(super) max_active: usize,
    pub(super) deadline: Option<Duration>,
    pub(super) notifiers: Vec<Notifier>,
    pub(super) schedule: Option<Schedule>,
    /// Where relative paths begin: the directory of a flow file; else where the process is.
    pub(super) dir: PathBuf,
    /// The file that it was read from.
    pub(super) source: Option<PathBuf>,
    /// Calls that made no sense where they stood.
    pub(super) faults: Vec<String>,
}

/// One step of a flow, and how it is run.
#[derive(Debug, Clone)]
#[must_use = "a task does nothing until it is added to a flow"]
pub struct Task {
    pub(super) name: String,
    pub(super) step: Step,
    pub(super) after: Vec<String>,
    pub(super) retries: u32,
    pub(super) backoff: Backoff,
    pub(super) retry_on: Vec<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) deadline: Option<Duration>,
    pub(super) pool: Option<String>,
    pub(super) slots: usize,
    pub(super) idempotent: bool,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) for_each: Option<ForEach>,
}

impl Flow {
    /// A flow without tasks.
    pub fn new(name: impl Into<String>) -> Flow {
        Flow {
            name: name.into(),
            params: Vec::new(),
            tasks: Vec::new(),
            interval: None,
            time_zone: "UTC".to_owned(),
            pools: BTreeMap::new(),
            max_active: 1,
            deadline: None,
            notifiers: Vec::new(),
            schedule: None,
            dir: PathBuf::from("."),
            source: None,
            faults: Vec::new(),
        }
    }

    /// Where relative paths begin.
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Declares a parameter that every run must be given.
    pub fn param(self, name: impl Into<String>, kind: ParamType) -> Flow {
        self.param_with(Param::new(name, kind))
    }

    /// Declares a parameter with a default, or a secret one.
    pub fn param_with(mut self, param: Param) -> Flow {
        self.params.push(param);
        self
    }

    /// Adds a task that runs a closure.
    pub fn task(
        self,
        name: impl Into<String>,
        job: impl Fn(&TaskContext) -> TaskResult + Send + Sync + 'static,
    ) -> Flow {
        self.add(Task::job(name, job))
    }

    /// Adds a task that is an [`Engine`](super::Engine), a [`Command`](super::Command), or a [`Load`](super::Load).
    pub fn step(self, name: impl Into<String>, step: impl Into<Step>) -> Flow {
        self.add(Task::step(name, step))
    }

    /// Lets the task that was added last wait for another one.
    pub fn after(self, name: &str) -> Flow {
        self.with(|task| task.after(name))
    }

    /// Changes the task that was added last.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::flow::Flow;
    /// let flow = Flow::new("daily").task("fetch", |_| Ok(())).with(|task| task.retries(3).idempotent(false));
    /// ```
    pub fn with(mut self, change: impl FnOnce(Task) -> Task) -> Flow {
        match self.tasks.pop() {
            Some(task) => self.tasks.push(change(task)),
            None => self
                .faults
                .push("`after` and `with` are about the task before them, and there is none".into()),
        }
        self
    }

    /// Adds a task.
    #[allow(clippy::should_implement_trait)] // it adds a task, and no flows
    pub fn add(mut self, task: Task) -> Flow {
        self.tasks.push(task);
        self
    }

    /// Which parameter tells the interval of data that a run is about, and how long that is. Default: the first parameter that is a date, and a
    /// day; or the first that is a timestamp, and an hour.
    pub fn interval(mut self, param: impl Into<String>, every: Every) -> Flow {
        self.interval = Some((param.into(), every));
        self
    }

    /// The zone whose days and months are meant, by its name in the IANA database; default UTC.
    pub fn time_zone(mut self, name: impl Into<String>) -> Flow {
        self.time_zone = name.into();
        self
    }

    /// A pool: all tasks in it together have no more slots than this at any time, also those of several runs in one process.
    pub fn pool(mut self, name: impl Into<String>, slots: usize) -> Flow {
        self.pools.insert(name.into(), slots);
        self
    }

    /// Runs of this flow that a backfill or a schedule has at the same time; default 1.
    pub fn max_active(mut self, runs: usize) -> Flow {
        self.max_active = runs;
        self
    }

    /// How long a run may take from its start until the notifiers for deadlines are told, once; it goes on.
    pub fn deadline(mut self, deadline: Duration) -> Flow {
        self.deadline = Some(deadline);
        self
    }

    /// Who is told of what.
    pub fn notify(mut self, notifier: Notifier) -> Flow {
        self.notifiers.push(notifier);
        self
    }

    /// When it runs by itself, under `schedule run`.
    pub fn schedule(mut self, schedule: Schedule) -> Flow {
        self.schedule = Some(schedule);
        self
    }

    /// Where relative paths begin; default the directory of the process.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Flow {
        self.dir = dir.into();
        self
    }
}

impl Task {
    /// A task that runs a closure. It waits for none, and is tried once.
    pub fn job(
        name: impl Into<String>,
        job: impl Fn(&TaskContext) -> TaskResult + Send + Sync + 'static,
    ) -> Task {
        Task::step(name, Step::Job(Arc::new(job)))
    }

    /// A task that is an [`Engine`](super::Engine), a [`Command`](super::Command), or a [`Load`](super::Load). It waits for none, and is tried once.
    pub fn step(name: impl Into<String>, step: impl Into<Step>) -> Task {
        Task {
            name: name.into(),
            step: step.into(),
            after: Vec::new(),
            retries: 0,
            backoff: Backoff::default(),
            retry_on: vec!["transient".to_owned()],
            timeout: None,
            deadline: None,
            pool: None,
            slots: 1,
            idempotent: true,
            inputs: Vec::new(),
            outputs: Vec::new(),
            for_each: None,
        }
    }

    /// Waits for another task.
    pub fn after(mut self, name: impl Into<String>) -> Task {
        self.after.push(name.into());
        self
    }

    /// Tries after the first one, where it failed by an error that [`Task::retry_on`] names; default 0.
    pub fn retries(mut self, retries: u32) -> Task {
        self.retries = retries;
        self
    }

    /// How long it waits before each of them; default 1, 2, 4 seconds, and so on.
    pub fn backoff(mut self, backoff: Backoff) -> Task {
        self.backoff = backoff;
        self
    }

    /// The errors after which it is tried again; default `transient`: what an error says of [itself](super::transient), what the system calls
    /// temporary, and exit codes of a command that mean so. Others are `timeout`, `panic`, `exit`, `error` for any that is not of gristmill, and the names of [`ErrorKind`](crate::ErrorKind) in small letters.
    pub fn retry_on<S: Into<String>>(mut self, kinds: impl IntoIterator<Item = S>) -> Task {
        self.retry_on = kinds.into_iter().map(Into::into).collect();
        self
    }

    /// How long a try may take; then it is stopped, and can commit nothing any more.
    pub fn timeout(mut self, timeout: Duration) -> Task {
        self.timeout = Some(timeout);
        self
    }

    /// How long after the start of the run it must have ended, or the notifiers for deadlines are told, once; it goes on.
    pub fn deadline(mut self, deadline: Duration) -> Task {
        self.deadline = Some(deadline);
        self
    }

    /// The pool that it takes its slots from.
    pub fn pool(mut self, name: impl Into<String>) -> Task {
        self.pool = Some(name.into());
        self
    }

    /// Slots of its pool that it takes, all at once; default 1.
    pub fn slots(mut self, slots: usize) -> Task {
        self.slots = slots;
        self
    }

    /// Whether it may be run again without harm; default true. One that may not is never tried again by itself, and if its process dies its state is
    /// `unknown_outcome` until a person says what became of it.
    pub fn idempotent(mut self, idempotent: bool) -> Task {
        self.idempotent = idempotent;
        self
    }

    /// Files, directories and globs that it reads: if they are what they were, it need not run again.
    pub fn inputs<S: Into<String>>(mut self, paths: impl IntoIterator<Item = S>) -> Task {
        self.inputs = paths.into_iter().map(Into::into).collect();
        self
    }

    /// Files and directories that it writes: if one is gone, it must run again.
    pub fn outputs<S: Into<String>>(mut self, paths: impl IntoIterator<Item = S>) -> Task {
        self.outputs = paths.into_iter().map(Into::into).collect();
        self
    }

    /// Makes a task of its own for each item of a list or each file of a glob.
    pub fn for_each(mut self, items: ForEach) -> Task {
        self.for_each = Some(items);
        self
    }

    /// What it reads, as far as it says so.
    pub(super) fn all_inputs(&self) -> Vec<&str> {
        let declared = self.inputs.iter().map(String::as_str);
        match &self.step {
            Step::Engine(engine) => declared.chain(engine.input()).collect(),
            Step::Load(load) => declared.chain(load.input()).collect(),
            _ => declared.collect(),
        }
    }

    /// What it writes, as far as it says so.
    pub(super) fn all_outputs(&self) -> Vec<String> {
        let declared = self.outputs.iter().cloned();
        match &self.step {
            Step::Engine(engine) => declared.chain(engine.outputs()).collect(),
            Step::Load(load) => declared.chain(load.output()).collect(),
            _ => declared.collect(),
        }
    }
}
