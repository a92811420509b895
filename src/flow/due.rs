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
        // The clock may be behind that of the process before this: what it has fired does not fire again.
        let last = match fired {
            None => now,
            Some(fired) if schedule.catch_up == CatchUp::None => fired.max(now),
            Some(fired) => fired,
        };
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
            tell(format_args!("gristmill: {} cannot begin: {error:#}", ended.run_key));
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

    fn flow(catch_up: CatchUp, zone: &str) -> Flow {
        let schedule = Schedule { catch_up, ..Schedule::cron("30 2 * * *") };
        let flow = Flow::new("due").param("date", ParamType::Date).time_zone(zone);
        flow.task("t", |_| Ok(()))
            .schedule(Schedule { overlap: Overlap::Parallel, ..schedule })
            .max_active(100)
    }

    /// The dates of the runs that begin when the time of day is looked at, one look after the other.
    fn fired(runner: &Runner, flow: &Flow, looks: &[&str]) -> Vec<String> {
        let times: Vec<Timestamp> = looks.iter().map(|look| look.parse().unwrap()).collect();
        let scheduled = Scheduled::new(runner.ledger(), flow, &BTreeMap::new(), times[0]).unwrap();
        let mut due = DueRuns { runner, scheduled: vec![scheduled] };
        let mut fired = Vec::new();
        for now in times {
            while let Next::Start(request) = due.next(0, (now, Duration::ZERO)).unwrap() {
                fired.push(request.plan.run_key().trim_start_matches("due?date=").to_owned());
                due.note_fired(request.plan.run_key()).unwrap(); // as the run begins
            }
        }
        fired
    }

    fn runner(dir: &tempfile::TempDir) -> Runner {
        Runner::open(dir.path().join("ledger.sqlite")).unwrap()
    }

    #[test]
    fn nothing_fires_twice_however_the_clock_is_set() {
        let dir = tempfile::tempdir().unwrap();
        let runner = runner(&dir);
        let flow = flow(CatchUp::All, "Europe/Berlin");
        let looks = [
            "2026-03-26T12:00:00Z",
            "2026-03-27T01:29:59Z", // a second before it is due
            "2026-03-27T01:30:00Z",
            "2026-03-26T00:00:00Z", // set back by a day
            "2026-03-27T12:00:00Z",
            "2026-03-30T12:00:00Z", // set forward by three, of which one has 23 hours
            "2026-03-28T12:00:00Z",
            "2026-03-30T13:00:00Z",
        ];
        assert_eq!(fired(&runner, &flow, &looks), ["2026-03-26", "2026-03-27", "2026-03-28", "2026-03-29"]);
        // Nor in the next process, whose clock is behind.
        let looks = ["2026-03-27T00:00:00Z", "2026-03-28T12:00:00Z", "2026-03-31T12:00:00Z"];
        assert_eq!(fired(&runner, &flow, &looks), ["2026-03-30"]);
    }

    #[test]
    fn what_was_due_while_nobody_looked_is_left_out_or_made_up_for() {
        let looks = ["2026-10-23T12:00:00Z", "2026-10-24T12:00:00Z"];
        let later = ["2026-10-27T12:00:00Z", "2026-10-28T12:00:00Z"];
        for (catch_up, expected) in [
            (CatchUp::None, vec!["2026-10-27"]),
            (CatchUp::Last, vec!["2026-10-26", "2026-10-27"]),
            (CatchUp::All, vec!["2026-10-24", "2026-10-25", "2026-10-26", "2026-10-27"]),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let runner = runner(&dir);
            let flow = flow(catch_up, "Europe/Berlin");
            assert_eq!(fired(&runner, &flow, &looks), ["2026-10-23"], "{catch_up:?}");
            assert_eq!(fired(&runner, &flow, &later), expected, "{catch_up:?}");
            let behind = ["2026-10-26T00:00:00Z", "2026-10-27T12:00:00Z", "2026-10-28T01:29:00Z"];
            assert_eq!(fired(&runner, &flow, &behind), Vec::<String>::new(), "{catch_up:?}");
        }
    }

    #[test]
    fn leap_days_and_days_that_a_zone_has_skipped_fire_as_the_calendar_has_them() {
        let dir = tempfile::tempdir().unwrap();
        let runner = runner(&dir);
        let apia = flow(CatchUp::All, "Pacific/Apia");
        let looks = ["2011-12-29T00:00:00Z", "2012-01-01T00:00:00Z"];
        assert_eq!(fired(&runner, &apia, &looks), ["2011-12-28", "2011-12-29", "2011-12-31"]);
        let dir = tempfile::tempdir().unwrap();
        let runner = self::runner(&dir);
        let looks = ["2024-02-28T12:00:00Z", "2024-03-01T12:00:00Z"];
        assert_eq!(fired(&runner, &flow(CatchUp::All, "UTC"), &looks), ["2024-02-28", "2024-02-29"]);
    }
}
