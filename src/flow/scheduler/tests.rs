//! Time, without waiting for it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::backoff::Backoff;
use super::super::bounds::Bound;
use super::super::clock::FakeClock;
use super::super::define::{Flow, Task};
use super::super::failure::transient;
use super::super::notify::Notifier;
use super::*;
use crate::flow::Which;

/// Runs of plans, one after the other.
#[derive(Default)]
struct Given {
    requests: Vec<Request>,
    ended: Vec<RunEnded>,
}

impl Given {
    fn new(flows: &[&Flow]) -> Given {
        let request = |flow: &&Flow| Request {
            plan: Plan::new(flow, [("", ""); 0]).unwrap(),
            which: Which::Missing,
            cause: "manual",
            backfill: None,
            retries: true,
            accept_changes: false,
        };
        Given { requests: flows.iter().rev().map(request).collect(), ended: Vec::new() }
    }
}

impl Feed for Given {
    fn next(&mut self, _active: usize, _now: (Timestamp, Duration)) -> Result<Next> {
        Ok(self.requests.pop().map_or(Next::Nothing, |request| Next::Start(Box::new(request))))
    }

    fn began(&mut self, _run: &ActiveRun) -> Result<()> {
        Ok(())
    }

    fn ended(&mut self, ended: RunEnded) -> Result<()> {
        self.ended.push(ended);
        Ok(())
    }
}

/// Runs flows under a clock, and gives the states of the runs.
fn run(dir: &std::path::Path, clock: &FakeClock, flows: &[&Flow]) -> Vec<State> {
    let ledger = Ledger::open(&dir.join("ledger.sqlite")).unwrap();
    let context = Context::builder().threads(1).build().unwrap();
    let mut given = Given::new(flows);
    Scheduler::new(&ledger, context, clock, 2, CancelToken::new()).run(&mut given).unwrap();
    given.ended.iter().map(|ended| ended.result.as_ref().unwrap().1).collect()
}

/// What the first run was bound by, as the ledger has it.
fn bound(dir: &std::path::Path) -> Bound {
    let ledger = Ledger::open(&dir.join("ledger.sqlite")).unwrap();
    ledger.run(1).unwrap().unwrap().bounds.unwrap().by()
}

#[test]
fn a_task_that_always_fails_takes_the_sum_of_its_waits_and_a_notifier_that_hangs_takes_none() {
    let dir = tempfile::tempdir().unwrap();
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let fails = move |_: &TaskContext| {
        counted.fetch_add(1, Ordering::SeqCst);
        Err(transient("never"))
    };
    let backoff = Backoff::exponential(Duration::from_secs(1)).max(Duration::from_secs(60));
    let hangs = Notifier::command(["sleep", "3600"]).timeout(Duration::from_millis(1));
    let flow = Flow::new("fails").add(Task::job("t", fails).retries(20).backoff(backoff)).notify(hangs);
    let clock = FakeClock::new("2026-01-31T12:00:00Z", 0);
    assert_eq!(run(dir.path(), &clock, &[&flow]), [State::Failed]);
    assert_eq!(tries.load(Ordering::SeqCst), 21);
    assert_eq!(clock.time().as_secs(), 1 + 2 + 4 + 8 + 16 + 32 + 14 * 60);
}

#[test]
fn seven_tries_wait_1_2_4_8_16_and_32_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let times = Arc::new(Mutex::new(Vec::new()));
    let clock = Arc::new(FakeClock::new("2026-01-31T12:00:00Z", 0));
    let (noted, seen) = (Arc::clone(&times), Arc::clone(&clock));
    let fails = move |_: &TaskContext| {
        noted.lock().unwrap().push(seen.time().as_secs());
        Err(transient("never"))
    };
    let flow = Flow::new("seven").add(Task::job("t", fails).retries(6));
    assert_eq!(run(dir.path(), &clock, &[&flow]), [State::Failed]);
    assert_eq!(*times.lock().unwrap(), [0, 1, 3, 7, 15, 31, 63]);
    assert_eq!(bound(dir.path()), Bound::Retries);
}

#[test]
fn durations_are_those_of_a_clock_that_nobody_sets() {
    for hours in [-48, 48] {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new("2026-01-31T12:00:00Z", 0));
        let set = Arc::clone(&clock);
        let fails = move |_: &TaskContext| {
            set.set(jiff::SignedDuration::from_hours(hours));
            Err(transient("never"))
        };
        let flow = Flow::new("set").add(Task::job("t", fails).retries(2));
        assert_eq!(run(dir.path(), &clock, &[&flow]), [State::Failed]);
        assert_eq!(clock.time().as_secs(), 1 + 2);
        let ledger = Ledger::open(&dir.path().join("ledger.sqlite")).unwrap();
        assert_eq!(ledger.run(1).unwrap().unwrap().duration, Some(3000));
        let tries = ledger.tries(1).unwrap();
        assert!(tries.len() == 3 && tries.iter().all(|one| one.duration == Some(0)), "{tries:?}");
    }
}

#[test]
fn a_task_that_never_ends_is_left_alone_after_its_timeout_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let never = |_: &TaskContext| {
        let (_kept, ends) = std::sync::mpsc::channel::<()>();
        let _ = ends.recv();
        Ok(())
    };
    let flow = Flow::new("stuck")
        .pool("one at a time", 1)
        .add(Task::job("t", never).timeout(Duration::from_secs(600)).pool("one at a time"))
        .add(Task::job("u", |_| Ok(())).pool("one at a time"));
    let clock = FakeClock::new("2026-01-31T12:00:00Z", 1);
    assert_eq!(run(dir.path(), &clock, &[&flow]), [State::Failed]);
    let ledger = Ledger::open(&dir.path().join("ledger.sqlite")).unwrap();
    let took = ledger.tries(1).unwrap()[0].duration.unwrap();
    assert!((600_000..=620_000).contains(&took), "{took}");
    let states: Vec<State> = ledger.tasks(1).unwrap().iter().map(|task| task.state).collect();
    assert_eq!(states, [State::TimedOut, State::Succeeded]);
    assert_eq!(bound(dir.path()), Bound::Pool("one at a time".to_owned()));
}

#[test]
fn a_deadline_is_told_once_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let told = dir.path().join("told");
    let tries = Arc::new(AtomicUsize::new(0));
    let late = move |_: &TaskContext| match tries.fetch_add(1, Ordering::SeqCst) {
        0..4 => Err(transient("not yet")),
        _ => Ok(()),
    };
    let minute = Backoff::exponential(Duration::from_secs(60)).factor(1.0);
    let notifier = Notifier::file(&told).on([Occasion::Deadline]);
    let flow = Flow::new("late")
        .add(Task::job("t", late).retries(9).backoff(minute).deadline(Duration::from_secs(90)))
        .deadline(Duration::from_secs(120))
        .notify(notifier);
    let clock = FakeClock::new("2026-01-31T12:00:00Z", 0);
    assert_eq!(run(dir.path(), &clock, &[&flow]), [State::Succeeded]);
    let told = std::fs::read_to_string(told).unwrap();
    let events: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let tasks: Vec<_> = events.iter().map(|event| event["task"].as_str()).collect();
    assert_eq!(tasks.len(), 2, "{told}");
    assert!(tasks.contains(&Some("t")) && tasks.contains(&None));
}

#[test]
fn a_listener_hears_of_every_try_and_of_every_end_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&dir.path().join("ledger.sqlite")).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    let listener: Arc<Listener> = Arc::new(move |event: &FlowEvent| {
        let line = match event {
            FlowEvent::RunBegan { tasks, complete, attempt, .. } => {
                format!("attempt {attempt}: {tasks} tasks, {complete} complete")
            }
            FlowEvent::ItemsFound { task, items, .. } => format!("{task} has {items}"),
            FlowEvent::TryBegan { task, number, .. } => format!("{task} {number}"),
            FlowEvent::TryEnded { task, state, next_try, .. } => {
                format!("{task} {state}, next {}", next_try.map(|at| at.to_string()).unwrap_or_default())
            }
            FlowEvent::TaskEnded { task, state, tries, .. } => format!("{task} {state} after {tries}"),
            FlowEvent::RunEnded { state, .. } => state.to_string(),
            other => format!("{other:?}"),
        };
        noted.lock().unwrap().push(line);
    });
    let failed = Arc::new(AtomicUsize::new(0));
    let once = move |_: &TaskContext| match failed.fetch_add(1, Ordering::SeqCst) {
        0 => Err(transient("not yet")),
        _ => Ok(()),
    };
    let each = super::super::for_each::ForEach::list("item", ["a"]);
    let flow = Flow::new("told")
        .add(Task::job("t", once).retries(1))
        .add(Task::job("each", |_| Ok(())).after("t").for_each(each))
        .add(Task::job("bad", |_| Err("no".into())).after("each"))
        .add(Task::job("never", |_| Ok(())).after("bad"));
    let clock = FakeClock::new("2026-01-31T12:00:00Z", 0);
    for _ in 0..2 {
        let context = Context::builder().threads(1).build().unwrap();
        let mut scheduler = Scheduler::new(&ledger, context, &clock, 1, CancelToken::new());
        scheduler.listener = Some(Arc::clone(&listener));
        scheduler.run(&mut Given::new(&[&flow])).unwrap();
    }
    let expected = [
        "attempt 1: 4 tasks, 0 complete",
        "t 1",
        "t failed, next 2026-01-31T12:00:01Z",
        "t 2",
        "t succeeded, next ",
        "t succeeded after 2",
        "each[a] 1",
        "each[a] succeeded, next ",
        "each[a] succeeded after 1",
        "bad 1",
        "bad failed, next ",
        "bad failed after 1",
        "never upstream_failed after 0",
        "failed",
    ];
    let told = told.lock().unwrap();
    assert_eq!(told[..expected.len()], expected);
    let second = &told[expected.len()..];
    assert_eq!(second[0], "attempt 2: 4 tasks, 2 complete");
    assert!(second.contains(&"t succeeded after 0".to_owned()), "{told:#?}");
}
