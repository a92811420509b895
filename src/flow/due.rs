//! Running flows when they are due.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Zoned};

use super::active::{ActiveRun, Request};
use super::clock::SystemClock;
use super::define::Flow;
use super::ledger::Ledger;
use super::plan::Plan;
use super::run::Runner;
use super::schedule::{CatchUp, Due, Overlap, Schedule, Times};
use super::scheduler::{Feed, Next, RunEnded};
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
    /// The last time that was looked at. It never goes back, whatever is done to the clock.
    last: Timestamp,
    /// Those that were due and have not begun yet.
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
        let fired = ledger.fired(flow.name())?;
        if fired.is_none() {
            ledger.note_fired(flow.name(), now)?; // what is due from now on can be missed
        }
        let missed_since = fired.filter(|_| schedule.catch_up != CatchUp::None);
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
        if is_busy && self.schedule.overlap == Overlap::Skip {
            return self.note_fired(ledger);
        }
        self.queue.extend(due);
        Ok(())
    }

    /// Notes the time up to which every run that was due has begun, or was left out: what still waits is due again if this process dies.
    fn note_fired(&self, ledger: &Ledger) -> Result<()> {
        const BEFORE: SignedDuration = SignedDuration::from_millis(1); // the unit of times in the ledger
        let waits = self.queue.front().map(|due| due.at.timestamp());
        let before = |at: Timestamp| at.checked_sub(BEFORE).unwrap_or(at);
        ledger.note_fired(self.flow.name(), waits.map_or(self.last, before))
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

impl DueRuns<'_> {
    /// Notes how far the flow is of which a run has begun, or was refused.
    fn note_fired(&self, run_key: &str) -> Result<()> {
        let is_of = |scheduled: &&Scheduled| scheduled.active.iter().any(|active| active == run_key);
        self.scheduled.iter().filter(is_of).try_for_each(|flow| flow.note_fired(self.runner.ledger()))
    }
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

    fn began(&mut self, run: &ActiveRun) -> Result<()> {
        self.note_fired(run.request.plan.run_key())
    }

    fn ended(&mut self, ended: RunEnded) -> Result<()> {
        if ended.result.is_err() {
            self.note_fired(&ended.run_key)?;
        }
        for scheduled in &mut self.scheduled {
            scheduled.active.retain(|run_key| *run_key != ended.run_key);
        }
        if let Err(error) = ended.result
            && !self.runner.is_watched()
        {
            eprintln!("gristmill: {} cannot begin: {error:#}", ended.run_key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::ParamType;

    #[test]
    fn what_was_due_and_had_not_begun_is_due_again() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&dir.path().join("ledger.sqlite")).unwrap();
        let schedule = Schedule::each_interval().catch_up(CatchUp::All);
        let flow = Flow::new("f").param("date", ParamType::Date).task("t", |_| Ok(())).schedule(schedule);
        let at = |day: i8| jiff::civil::date(2026, 1, day).at(12, 0, 0, 0).in_tz("UTC").unwrap().timestamp();
        let started = |day| Scheduled::new(&ledger, &flow, &BTreeMap::new(), at(day)).unwrap();
        let due = |scheduled: &Scheduled| -> Vec<String> {
            scheduled.queue.iter().map(|due| due.value.to_string()).collect()
        };
        started(1); // it dies before anything is due
        let mut first = started(4);
        first.look(&ledger, at(4)).unwrap();
        assert_eq!(due(&first), ["2026-01-01", "2026-01-02", "2026-01-03"]);
        assert!(first.take().unwrap().is_some());
        first.note_fired(&ledger).unwrap(); // as the first run begins; then it dies
        let mut second = started(4);
        second.look(&ledger, at(4)).unwrap();
        assert_eq!(due(&second), ["2026-01-02", "2026-01-03"]);
    }
}
