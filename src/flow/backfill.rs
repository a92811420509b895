//! Backfills: the runs of many intervals, a few at a time, recorded so that they can be resumed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::active::{ActiveRun, Request, Which};
use super::clock::{Clock, SystemClock};
use super::define::Flow;
use super::event::FlowEvent;
use super::ledger::{Ledger, NewBackfill};
use super::period::Every;
use super::plan::{Plan, time_zone};
use super::run::Runner;
use super::run_lock::RunLock;
use super::scheduler::{Feed, Next, RunEnded};
use super::state::State;
use super::work::Done;
use crate::error::{Error, ErrorKind, Result};

/// Which intervals are run, and how many at a time.
///
/// Within a backfill no task is retried by itself, every error is told, and an interval that fails does not stop the others.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a backfill does nothing until it is run"]
pub struct Backfill {
    from: String,
    to: String,
    every: Option<Every>,
    pace: Pace,
    reprocess: Reprocess,
}

/// How fast a backfill goes, and from which end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pace {
    order: Order,
    max_active: Option<usize>,
    /// Runs a minute, at most.
    rate: Option<f64>,
}

/// Which interval comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The earliest.
    #[default]
    Asc,
    /// The latest.
    Desc,
}

/// Which intervals are run that were run before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reprocess {
    /// Those of which no run has succeeded, also those of which there was none.
    #[default]
    Missing,
    /// Those whose last run did not succeed; not those of which there was none.
    Failed,
    /// All, and all tasks of them.
    All,
}

/// What became of a backfill.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackfillReport {
    /// Its number in the ledger.
    pub id: i64,
    /// Each interval, by the value of the parameter that tells it, in the order in which they were run.
    pub intervals: Vec<IntervalReport>,
}

/// What became of an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IntervalReport {
    /// The value of the parameter that tells it.
    pub value: String,
    /// How its run has ended; queued if it was not begun.
    pub state: State,
    /// Its run in the ledger.
    pub run: Option<i64>,
    /// Why it could not begin.
    pub error: Option<String>,
}

impl Backfill {
    /// The intervals from that with the value `from` to that with `to`, both included.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Backfill {
        let pace = Pace { order: Order::Asc, max_active: None, rate: None };
        Backfill { from: from.into(), to: to.into(), every: None, pace, reprocess: Reprocess::Missing }
    }

    /// How long the intervals are; default as the flow says.
    pub fn every(mut self, every: Every) -> Backfill {
        self.every = Some(every);
        self
    }

    /// Which interval comes first; default the earliest.
    pub fn order(mut self, order: Order) -> Backfill {
        self.pace.order = order;
        self
    }

    /// Runs at the same time; default as the flow says.
    pub fn max_active(mut self, runs: usize) -> Backfill {
        self.pace.max_active = Some(runs.max(1));
        self
    }

    /// Runs that begin in a minute, at most; default no limit.
    pub fn rate(mut self, per_minute: f64) -> Backfill {
        self.pace.rate = Some(per_minute);
        self
    }

    /// Which intervals are run that were run before; default those that are missing.
    pub fn reprocess(mut self, reprocess: Reprocess) -> Backfill {
        self.reprocess = reprocess;
        self
    }

    /// The values of the parameter that tells the interval, in the order in which they are run, and the name of that parameter.
    ///
    /// # Errors
    ///
    /// If the flow has no interval, or the borders are no values of its parameter.
    pub(super) fn values(&self, flow: &Flow) -> Result<(String, Vec<String>)> {
        let (param, every) = told_by(flow)?;
        let every = self.every.unwrap_or(every);
        let value = |text: &str| every.param_type().parse(text);
        let values = every.values(&value(&self.from)?, &value(&self.to)?, &time_zone(flow)?)?;
        let mut values: Vec<String> = values.iter().map(ToString::to_string).collect();
        if self.pace.order == Order::Desc {
            values.reverse();
        }
        if values.is_empty() {
            let message = format!("there is no interval from {} to {}", self.from, self.to);
            return Err(Error::new(ErrorKind::Config, message).hint("give the earlier one first"));
        }
        Ok((param, values))
    }
}

fn told_by(flow: &Flow) -> Result<(String, Every)> {
    flow.told_by().ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("the flow `{}` has no interval to fill", flow.name()))
            .hint("declare a parameter that is a date or a timestamp")
    })
}

impl Runner {
    /// What a backfill would run: the values of the parameter that tells the interval.
    ///
    /// # Errors
    ///
    /// As [`Runner::backfill`].
    pub fn backfill_values(
        &self,
        flow: &Flow,
        params: &BTreeMap<String, String>,
        backfill: &Backfill,
    ) -> Result<Vec<String>> {
        let (param, values) = backfill.values(flow)?;
        let flow = Arc::new(flow.clone());
        let mut chosen = Vec::new();
        for value in values {
            let plan = plan(&flow, params, &param, &value)?;
            let last = self.ledger().last_attempt(plan.run_key())?.map(|run| run.state);
            let is_chosen = match backfill.reprocess {
                Reprocess::All => true,
                Reprocess::Missing => last != Some(State::Succeeded),
                Reprocess::Failed => last.is_some_and(|state| state != State::Succeeded),
            };
            if is_chosen {
                chosen.push(value);
            }
        }
        Ok(chosen)
    }

    /// Runs a flow for each interval of a range. It is recorded before it begins, and can be [resumed](Runner::resume_backfill).
    ///
    /// # Errors
    ///
    /// If the flow has no interval, a parameter is wrong, or the ledger fails. Runs that fail are no errors: the report tells of them.
    pub fn backfill(
        &self,
        flow: &Flow,
        params: &BTreeMap<String, String>,
        backfill: &Backfill,
    ) -> Result<BackfillReport> {
        let values = self.backfill_values(flow, params, backfill)?;
        let new = NewBackfill {
            flow: flow.name().to_owned(),
            parameters: json!(shown(flow, params)).to_string(),
            options: json!({"pace": backfill.pace, "all": backfill.reprocess == Reprocess::All}).to_string(),
            started: Timestamp::now(),
            values,
        };
        let id = self.ledger().begin_backfill(&new)?;
        self.resume_backfill(flow, params, id)
    }

    /// Goes on with a backfill: runs the intervals that have not succeeded.
    ///
    /// # Errors
    ///
    /// As [`Runner::backfill`], and if there is none of this number.
    pub fn resume_backfill(
        &self,
        flow: &Flow,
        params: &BTreeMap<String, String>,
        id: i64,
    ) -> Result<BackfillReport> {
        self.backfill_on(&SystemClock::new(), flow, params, id)
    }

    fn backfill_on(
        &self,
        clock: &dyn Clock<Done>,
        flow: &Flow,
        params: &BTreeMap<String, String>,
        id: i64,
    ) -> Result<BackfillReport> {
        let mut filling = Filling::new(self, flow, params, id)?;
        self.tell(&FlowEvent::BackfillBegan { backfill: id, intervals: filling.queue.len() });
        self.scheduler(clock)?.run(&mut filling)?;
        filling.finish()
    }
}

fn plan(flow: &Arc<Flow>, params: &BTreeMap<String, String>, param: &str, value: &str) -> Result<Plan> {
    let mut params = params.clone();
    params.insert(param.to_owned(), value.to_owned());
    Plan::of(Arc::clone(flow), &params)
}

/// The parameters that are no secrets.
fn shown<'a>(flow: &Flow, params: &'a BTreeMap<String, String>) -> BTreeMap<&'a str, &'a str> {
    let is_secret = |name: &str| flow.params.iter().any(|param| param.name == name && param.secret);
    let all = params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    all.filter(|(name, _)| !is_secret(name)).collect()
}

/// A backfill that goes on.
struct Filling<'a> {
    ledger: &'a Ledger,
    runner: &'a Runner,
    flow: Arc<Flow>,
    params: BTreeMap<String, String>,
    param: String,
    id: i64,
    pace: Pace,
    which: Which,
    /// The places of those that are still to be begun.
    queue: VecDeque<usize>,
    running: HashMap<String, usize>,
    intervals: Vec<IntervalReport>,
    /// When the next run may begin.
    not_before: Duration,
    slow_down: SlowDown,
    /// Held, not used: nobody else goes on with it meanwhile.
    _lock: RunLock,
}

impl<'a> Filling<'a> {
    fn new(
        runner: &'a Runner,
        flow: &Flow,
        params: &BTreeMap<String, String>,
        id: i64,
    ) -> Result<Filling<'a>> {
        let ledger = runner.ledger();
        let lock = RunLock::take(&ledger.dir().join("locks"), &format!("backfill {id}"))?;
        let Some(row) = ledger.backfill(id)?.filter(|row| row.flow == flow.name()) else {
            let message = format!("there is no backfill {id} of `{}`", flow.name());
            return Err(Error::new(ErrorKind::Config, message));
        };
        let options: Value = serde_json::from_str(&row.options).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("the options of backfill {id} cannot be read: {error}"))
        })?;
        let pace = serde_json::from_value(options["pace"].clone()).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("the options of backfill {id} cannot be read: {error}"))
        })?;
        // What it was begun with; secrets, which are recorded nowhere, are given again.
        let mut recorded: BTreeMap<String, String> =
            serde_json::from_str(&row.parameters).map_err(|error| {
                Error::new(
                    ErrorKind::Internal,
                    format!("the parameters of backfill {id} cannot be read: {error}"),
                )
            })?;
        recorded.extend(params.clone());
        let interval = |(_, value, state, run): (usize, String, String, Option<i64>)| {
            let state = State::from_name(&state).unwrap_or(State::Queued);
            IntervalReport { value, state, run, error: None }
        };
        let mut intervals: Vec<IntervalReport> = row.intervals.into_iter().map(interval).collect();
        let is_anew = options["all"] == Value::Bool(true);
        let queue: VecDeque<usize> =
            (0..intervals.len()).filter(|&place| intervals[place].state != State::Succeeded).collect();
        for &place in &queue {
            intervals[place].state = State::Queued;
        }
        let (flow, param) = (Arc::new(flow.clone()), told_by(flow)?.0);
        if let Some(&first) = queue.front() {
            plan(&flow, &recorded, &param, &intervals[first].value)?; // what is wrong with all of them is told before any begins
        }
        Ok(Filling {
            ledger,
            runner,
            flow,
            params: recorded,
            param,
            id,
            pace,
            which: if is_anew { Which::All } else { Which::Missing },
            queue,
            running: HashMap::new(),
            intervals,
            not_before: Duration::ZERO,
            slow_down: SlowDown::default(),
            _lock: lock,
        })
    }

    fn finish(self) -> Result<BackfillReport> {
        let is_complete = self.intervals.iter().all(|interval| interval.state == State::Succeeded);
        let state = if is_complete { State::Succeeded } else { State::Failed };
        self.ledger.end_backfill(self.id, state.name(), Timestamp::now())?;
        Ok(BackfillReport { id: self.id, intervals: self.intervals })
    }
}

impl Feed for Filling<'_> {
    fn next(&mut self, active: usize, (_, now): (Timestamp, Duration)) -> Result<Next> {
        let Some(&place) = self.queue.front() else { return Ok(Next::Nothing) };
        if active >= self.pace.max_active.unwrap_or(self.flow.max_active).max(1) {
            return Ok(Next::Wait(None));
        }
        if now < self.not_before {
            return Ok(Next::Wait(Some(self.not_before)));
        }
        self.queue.pop_front();
        let between =
            self.pace.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(60.0 / rate.max(1e-3)));
        self.not_before = now + between.max(self.slow_down.pause);
        let plan = plan(&self.flow, &self.params, &self.param, &self.intervals[place].value)?;
        self.running.insert(plan.run_key().to_owned(), place);
        let request = self.runner.request(plan);
        let which = self.which.clone();
        Ok(Next::Start(Box::new(Request {
            which,
            cause: "backfill",
            backfill: Some(self.id),
            retries: false,
            ..request
        })))
    }

    fn began(&mut self, run: &ActiveRun) -> Result<()> {
        let Some(&place) = self.running.get(run.request.plan.run_key()) else { return Ok(()) };
        self.intervals[place].run = Some(run.id);
        self.ledger.note_interval(self.id, place, State::Running.name(), Some(run.id))
    }

    fn ended(&mut self, ended: RunEnded) -> Result<()> {
        let Some(place) = self.running.remove(&ended.run_key) else { return Ok(()) };
        let interval = &mut self.intervals[place];
        match ended.result {
            Ok((_, state)) => interval.state = state,
            Err(error) => {
                interval.state = State::Failed;
                interval.error = Some(error.to_string());
            }
        }
        self.slow_down.note(interval.state == State::Succeeded);
        self.ledger.note_interval(self.id, place, interval.state.name(), None)
    }
}

/// Lets a backfill wait between runs while errors are frequent: what they call may need a rest.
#[derive(Debug, Default)]
struct SlowDown {
    /// How the last runs have ended.
    last: VecDeque<bool>,
    pause: Duration,
}

impl SlowDown {
    /// The runs that are looked at, and how many of them must have failed.
    const WINDOW: usize = 5;
    const FREQUENT: usize = 3;
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(60);

    fn note(&mut self, is_good: bool) {
        self.last.push_back(is_good);
        if self.last.len() > SlowDown::WINDOW {
            self.last.pop_front();
        }
        let failures = self.last.iter().filter(|good| !**good).count();
        self.pause = if failures < SlowDown::FREQUENT {
            Duration::ZERO
        } else if is_good {
            self.pause
        } else {
            (self.pause * 2).clamp(SlowDown::FIRST, SlowDown::LONGEST)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_goes_on_with_a_backfill_that_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let flow = Flow::new("f").param("date", super::super::param::ParamType::Date).task("t", |_| Ok(()));
        let runner = Runner::open(dir.path().join("ledger.sqlite")).unwrap();
        let days = Backfill::new("2026-01-01", "2026-01-02");
        let report = runner.backfill(&flow, &BTreeMap::new(), &days).unwrap();
        let held = RunLock::take(&runner.ledger().dir().join("locks"), "backfill 1").unwrap();
        let error = runner.resume_backfill(&flow, &BTreeMap::new(), report.id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("backfill 1 is running already"), "{error}");
        drop(held);
        let again = runner.resume_backfill(&flow, &BTreeMap::new(), report.id).unwrap();
        assert!(again.intervals.iter().all(|interval| interval.state == State::Succeeded));
    }

    #[test]
    fn a_backfill_slows_down_while_errors_are_frequent() {
        let mut slow_down = SlowDown::default();
        let mut pauses = |ends: &[bool]| {
            ends.iter()
                .map(|end| {
                    slow_down.note(*end);
                    slow_down.pause.as_secs()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(pauses(&[false, true, false, true, true]), [0, 0, 0, 0, 0]);
        assert_eq!(pauses(&[false, false, false, false]), [0, 1, 2, 4]);
        assert_eq!(pauses(&[false; 8]), [8, 16, 32, 60, 60, 60, 60, 60]);
        assert_eq!(pauses(&[true, true, true]), [60, 60, 0]);
    }
}
