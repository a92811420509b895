//! Running flows when they are due.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, Zoned};

use super::active::{ActiveRun, Request};
use super::clock::SystemClock;
use super::define::Flow;
use super::ledger::Ledger;
use super::plan::Plan;
use super::run::Runner;
use super::schedule::{CatchUp, Due, Overlap, Schedule, Times};
use super::scheduler::{Feed, Next, RunEnded};
use crate::cli::tell;
use crate::error::Result;

/// How often the time of day is looked at: it may be set, and a machine may sleep.
const LOOK_EVERY: Duration = Duration::from_secs(20);

impl Flow {
    /// The next times at which the flow is due, each with the value of the parameter that tells the interval.
    ///
    /// # Errors
    ///
    /// If it has no schedule, or no interval.
    pub fn next_times(&self, after: Timestamp, count: usize) -> Result<Vec<(Zoned, String)>> {
        let times = Times::of(self)?;
        let mut last = after;
        let mut next = Vec::new();
        while next.len() < count {
            let due = times.after(last)?;
            last = due.at.timestamp();
            next.push((due.at, due.value.to_string()));
        }
        Ok(next)
    }
}

impl Runner {
    /// Runs flows when they are due, until the [token](Runner::cancel_token) ends it.
    ///
    /// # Errors
    ///
    /// If a flow has no schedule, a parameter is wrong, or the ledger fails. Runs that fail are no errors.
    pub fn run_schedules(&self, flows: &[Flow], params: &BTreeMap<String, String>) -> Result<()> {
        let now = Timestamp::now();
        let scheduled = flows.iter().map(|flow| Scheduled::new(self.ledger(), flow, params, now));
        let mut due = DueRuns { runner: self, scheduled: scheduled.collect::<Result<_>>()? };
        self.scheduler(&SystemClock::new())?.run(&mut due)
    }
}

/// A flow that runs when it is due.
struct Scheduled {
    flow: Arc<Flow>,
    params: BTreeMap<String, String>,
    param: String,
    schedule: Schedule,
    times: Times,
    /// The last time that was dealt with. It never goes back, whatever is done to the clock.
    last: Timestamp,
    /// Those that were due and could not begin yet.
    queue: VecDeque<Due>,
    active: Vec<String>,
}

impl Scheduled {
    fn new(
        ledger: &Ledger,
        flow: &Flow,
        params: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<Scheduled> {
        let times = Times::of(flow)?;
        let schedule = flow.schedule.clone().unwrap_or_default();
        let param = flow.told_by().map(|(param, _)| param).unwrap_or_default();
        let missed_since = ledger.fired(flow.name())?.filter(|_| schedule.catch_up != CatchUp::None);
        let last = missed_since.map_or(now, |fired| fired.min(now));
        let (queue, active) = (VecDeque::new(), Vec::new());
        Ok(Scheduled {
            flow: Arc::new(flow.clone()),
            params: params.clone(),
            param,
            schedule,
            times,
            last,
            queue,
            active,
        })
    }

    /// Puts what has become due in the queue.
    fn look(&mut self, ledger: &Ledger, now: Timestamp) -> Result<()> {
        if now <= self.last {
            return Ok(());
        }
        let mut due = self.times.between(self.last, now)?;
        let Some(latest) = due.last() else { return Ok(()) };
        self.last = latest.at.timestamp();
        if self.schedule.catch_up != CatchUp::All {
            due.drain(..due.len() - 1);
        }
        let is_busy = !self.active.is_empty() || !self.queue.is_empty();
        if !(is_busy && self.schedule.overlap == Overlap::Skip) {
            self.queue.extend(due);
        }
        ledger.note_fired(self.flow.name(), self.last)
    }

    /// The next run that may begin.
    fn take(&mut self) -> Result<Option<Plan>> {
        let most = if self.schedule.overlap == Overlap::Parallel { self.flow.max_active.max(1) } else { 1 };
        if self.active.len() >= most {
            return Ok(None);
        }
        let Some(due) = self.queue.pop_front() else { return Ok(None) };
        let mut params = self.params.clone();
        params.insert(self.param.clone(), due.value.to_string());
        let plan = Plan::of(Arc::clone(&self.flow), &params)?;
        self.active.push(plan.run_key().to_owned());
        Ok(Some(plan))
    }
}

/// All flows that run when they are due.
struct DueRuns<'a> {
    runner: &'a Runner,
    scheduled: Vec<Scheduled>,
}

impl Feed for DueRuns<'_> {
    fn next(&mut self, _active: usize, (now, elapsed): (Timestamp, Duration)) -> Result<Next> {
        let mut soonest = LOOK_EVERY;
        for scheduled in &mut self.scheduled {
            scheduled.look(self.runner.ledger(), now)?;
            if let Some(plan) = scheduled.take()? {
                let request = Request { cause: "schedule", ..self.runner.request(plan) };
                return Ok(Next::Start(Box::new(request)));
            }
            let next = scheduled.times.after(scheduled.last.max(now))?.at.timestamp();
            soonest = soonest.min(Duration::try_from(next.duration_since(now)).unwrap_or_default());
        }
        Ok(Next::Wait(Some(elapsed + soonest)))
    }

    fn began(&mut self, _run: &ActiveRun) -> Result<()> {
        Ok(())
    }

    fn ended(&mut self, ended: RunEnded) -> Result<()> {
        for scheduled in &mut self.scheduled {
            scheduled.active.retain(|run_key| *run_key != ended.run_key);
        }
        if let Err(error) = ended.result {
            tell(format_args!("gristmill: {} cannot begin: {error:#}", ended.run_key));
        }
        Ok(())
    }
}
