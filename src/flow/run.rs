//! Running one run of a flow.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::active::{ActiveRun, Request, Which};
use super::clock::{Clock, SystemClock};
use super::event::{FlowEvent, Listener};
use super::ledger::{Change, Ledger};
use super::plan::Plan;
use super::recover;
use super::scheduler::{Feed, Next, RunEnded, Scheduler};
use super::state::State;
use super::work::Done;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::cancel::CancelToken;

/// Where the ledger is, unless something else is said: beside the flow.
const LEDGER: &str = ".gristmill/ledger.sqlite";

/// Runs flows of one ledger.
///
/// # Examples
///
/// ```
/// use gristmill::flow::{Flow, Plan, Runner, State};
///
/// # let dir = tempfile::tempdir()?;
/// let flow = Flow::new("hello").task("greet", |t| {
///     t.log("hello");
///     Ok(())
/// });
/// let runner = Runner::open(dir.path().join("ledger.sqlite"))?;
/// let ran = runner.run(Plan::new(&flow, [("", ""); 0])?)?;
/// assert_eq!(ran.state, State::Succeeded);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Runner {
    ledger: Ledger,
    context: Option<Context>,
    workers: usize,
    cancel: CancelToken,
    which: Which,
    accept_changes: bool,
    cause: &'static str,
    listener: Option<Arc<Listener>>,
}

/// A run that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ran {
    /// Its number in the ledger.
    pub id: i64,
    /// How it has ended.
    pub state: State,
}

impl Runner {
    /// A runner with a ledger at a path, which is made where there is none; runs whose process is gone are settled first.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be used.
    pub fn open(ledger: impl AsRef<Path>) -> Result<Runner> {
        let ledger = Ledger::open(ledger.as_ref())?;
        recover::reconcile(&ledger, Timestamp::now())?;
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (cancel, which) = (CancelToken::new(), Which::Missing);
        let (cause, listener) = ("manual", None);
        Ok(Runner { ledger, context: None, workers, cancel, which, accept_changes: false, cause, listener })
    }

    /// Where the ledger of a directory of flows is: `GRISTMILL_LEDGER`, else `.gristmill/ledger.sqlite` in it.
    pub fn default_ledger(dir: &Path) -> PathBuf {
        std::env::var_os("GRISTMILL_LEDGER").map_or_else(|| dir.join(LEDGER), PathBuf::from)
    }

    /// The context that tasks work with; default one with all cores and 60 % of the memory, made when it is needed.
    #[must_use]
    pub fn context(mut self, context: Context) -> Runner {
        self.context = Some(context);
        self
    }

    /// Tasks that are at work at the same time, at most; default the cores.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Runner {
        self.workers = workers.max(1);
        self
    }

    /// Which tasks are run if an earlier attempt has done some; default those that are missing.
    #[must_use]
    pub fn which(mut self, which: Which) -> Runner {
        (self.which, self.cause) = (which, "rerun");
        self
    }

    /// Lets a run be completed although the flow, or the program, has changed since its last attempt.
    #[must_use]
    pub fn accept_changes(mut self, accept: bool) -> Runner {
        self.accept_changes = accept;
        self
    }

    /// Tells what happens to the runs of this runner. It replaces an earlier listener.
    ///
    /// The listener is called on the thread that starts tasks, between two turns of its loop: while it works, no task starts. It should note
    /// what it is told, and leave the rest to a thread of its own. A panic in it ends the run as one of that thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    /// use gristmill::flow::{Flow, FlowEvent, Plan, Runner, State};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let (events, told) = channel();
    /// let runner = Runner::open(dir.path().join("ledger.sqlite"))?.on_event(move |event| {
    ///     let _ = events.send(event.clone());
    /// });
    /// runner.run(Plan::new(&Flow::new("hello").task("greet", |_| Ok(())), [("", ""); 0])?)?;
    /// let ended = told.try_iter().find(|event| matches!(event, FlowEvent::TaskEnded { .. }));
    /// assert!(matches!(ended, Some(FlowEvent::TaskEnded { state: State::Succeeded, tries: 1, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(&FlowEvent) + Send + Sync + 'static) -> Runner {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Ends everything that this runner runs.
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Runs a plan to its end.
    ///
    /// # Errors
    ///
    /// If it is running already, if the flow has changed since its last attempt, or if the ledger fails. A task that fails is no error: the run has
    /// [failed](State::Failed) then.
    pub fn run(&self, plan: Plan) -> Result<Ran> {
        let mut one = One { request: Some(Box::new(self.request(plan))), result: None };
        self.scheduler(&SystemClock::new())?.run(&mut one)?;
        let (id, state) = one.result.unwrap_or_else(|| Err(canceled()))?;
        Ok(Ran { id, state })
    }

    /// Asks the process of a run to stop it; false if the run has ended.
    ///
    /// # Errors
    ///
    /// If the ledger fails.
    pub fn cancel(&self, run: i64) -> Result<bool> {
        self.ledger.request_cancel(run)
    }

    /// Says what became of a task whose state is `unknown_outcome`: it has succeeded, or failed and may run again.
    ///
    /// # Errors
    ///
    /// If there is no such task, or what became of it is known.
    pub fn confirm(&self, run: i64, task: &str, state: State) -> Result<()> {
        let tasks = self.ledger.tasks(run)?;
        if !tasks.iter().any(|row| row.task == task && row.state == State::UnknownOutcome) {
            let message =
                format!("run {run} has no task `{}` of which nobody knows what it did", task.escape_debug());
            return Err(
                Error::new(ErrorKind::Config, message).hint("`flow show` has the states of its tasks")
            );
        }
        let reason = Some(format!("somebody has said that it {}", state.name()));
        self.ledger.note(&[(run, Change::Task { task: task.to_owned(), state, reason })])
    }

    pub(super) fn request(&self, plan: Plan) -> Request {
        Request {
            plan,
            which: self.which.clone(),
            cause: self.cause,
            backfill: None,
            retries: true,
            accept_changes: self.accept_changes,
        }
    }

    pub(super) fn scheduler<'a>(&'a self, clock: &'a dyn Clock<Done>) -> Result<Scheduler<'a>> {
        let context = self.context.clone().map_or_else(Context::new, Ok)?;
        if context.is_on_a_cluster() {
            return Err(Error::new(ErrorKind::Config, "a flow runs on one machine, and not on a cluster")
                .hint("leave GRISTMILL_MASTER unset, and give --master to the commands of the flow"));
        }
        let mut scheduler = Scheduler::new(&self.ledger, context, clock, self.workers, self.cancel.clone());
        scheduler.listener.clone_from(&self.listener);
        Ok(scheduler)
    }

    /// Tells what the scheduler does not know.
    pub(super) fn tell(&self, event: &FlowEvent) {
        self.listener.iter().for_each(|listener| listener(event));
    }

    /// Whether somebody is told what happens.
    pub(super) fn is_watched(&self) -> bool {
        self.listener.is_some()
    }
}

fn canceled() -> Error {
    Error::new(ErrorKind::Canceled, "it was canceled before it began")
}

/// One run and nothing else.
struct One {
    request: Option<Box<Request>>,
    result: Option<Result<(i64, State)>>,
}

impl Feed for One {
    fn next(&mut self, _active: usize, _now: (Timestamp, Duration)) -> Result<Next> {
        Ok(self.request.take().map_or(Next::Nothing, Next::Start))
    }

    fn began(&mut self, _run: &ActiveRun) -> Result<()> {
        Ok(())
    }

    fn ended(&mut self, ended: RunEnded) -> Result<()> {
        self.result = Some(ended.result);
        Ok(())
    }
}
