//! What is known of the runs that go on: lines of what has happened, which stay, and a few that tell how far all is, which are drawn again and again.
//!
//! It knows neither a terminal nor a clock, so that its tests need none.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::style::{Style, lasted, rough};
use crate::cli::escape::escaped;
use crate::cli::width::{cut, cut_middle};
use crate::flow::{FlowEvent, State};

/// Lines that wait to be printed; what happens faster than they can be read is counted instead.
const MOST_LINES: usize = 8;

/// Tasks at work, or runs, that are shown one by one.
const SHOWN_ONE_BY_ONE: usize = 8;

/// The state of all runs that a command watches.
#[derive(Debug)]
pub struct Board {
    style: Style,
    backfill: Option<Progress>,
    id: i64,
    runs: BTreeMap<i64, Run>,
    lines: VecDeque<String>,
    /// Lines that were too many.
    dropped: usize,
    /// Whether somebody has asked all to end.
    pub is_stopping: bool,
}

/// How many of how many have ended, and how.
#[derive(Debug, Default)]
struct Progress {
    total: usize,
    ended: BTreeMap<&'static str, usize>,
}

/// A run that goes on.
#[derive(Debug)]
struct Run {
    key: String,
    began: Duration,
    tasks: Progress,
    running: BTreeMap<String, (u32, Duration)>,
    retrying: BTreeMap<String, (u32, Timestamp)>,
}

impl Progress {
    fn of(total: usize) -> Progress {
        Progress { total, ended: BTreeMap::new() }
    }

    fn note(&mut self, state: State) {
        *self.ended.entry(state.name()).or_default() += 1;
    }

    fn done(&self) -> usize {
        self.ended.values().sum()
    }

    /// The ends in the order of all states.
    fn ends(&self) -> impl Iterator<Item = (State, usize)> {
        State::ALL.into_iter().filter_map(|state| Some((state, *self.ended.get(state.name())?)))
    }

    /// As `3 of 10 tasks done, 1 failed`; that the others have succeeded goes without saying.
    fn text(&self, what: &str) -> String {
        let mut text = format!("{} of {} {what} done", self.done(), self.total);
        for (state, count) in self.ends().filter(|(state, _)| *state != State::Succeeded) {
            text = format!("{text}, {count} {state}");
        }
        text
    }

    /// As `9 succeeded, 1 failed`.
    fn all(&self) -> String {
        let ends: Vec<String> = self.ends().map(|(state, count)| format!("{count} {state}")).collect();
        ends.join(", ")
    }
}

impl Board {
    /// A board without runs.
    pub fn new(style: Style) -> Board {
        Board {
            style,
            backfill: None,
            id: 0,
            runs: BTreeMap::new(),
            lines: VecDeque::new(),
            dropped: 0,
            is_stopping: false,
        }
    }

    /// Notes what has happened at a time of a clock that nobody sets.
    pub fn note(&mut self, event: &FlowEvent, now: Duration) {
        match event {
            FlowEvent::BackfillBegan { backfill, intervals, .. } => {
                (self.id, self.backfill) = (*backfill, Some(Progress::of(*intervals)));
                self.line(format!("backfill {backfill} begins: {intervals} intervals"));
            }
            FlowEvent::RunBegan { run, run_key, attempt, tasks, complete, .. } => {
                let (running, retrying) = (BTreeMap::new(), BTreeMap::new());
                let key = escaped(run_key).into_owned();
                if self.backfill.is_none() && !self.style.is_live {
                    let complete =
                        if *complete > 0 { format!(", {complete} complete") } else { String::new() };
                    self.line(format!("run {run} {key} begins: attempt {attempt}, {tasks} tasks{complete}"));
                }
                self.runs
                    .insert(*run, Run { key, began: now, tasks: Progress::of(*tasks), running, retrying });
            }
            FlowEvent::ItemsFound { run, items, .. } => {
                self.change(*run, |run| run.tasks.total = run.tasks.total + items - 1);
            }
            FlowEvent::TryBegan { run, task, number, .. } => self.change(*run, |run| {
                run.retrying.remove(task);
                run.running.insert(task.clone(), (*number, now));
            }),
            FlowEvent::TryEnded { .. } => self.try_ended(event),
            FlowEvent::TaskEnded { run, task, state, tries, reason, .. } => {
                self.change(*run, |run| {
                    run.retrying.remove(task);
                    run.tasks.note(*state);
                });
                let is_worth_a_line = *tries == 0 && !matches!(state, State::Succeeded | State::Canceled);
                if is_worth_a_line && self.tells_all() {
                    self.task_line(*run, task, *state, "", reason.as_deref());
                }
            }
            FlowEvent::RunEnded { run, state, took, .. } => self.run_ended(*run, *state, *took),
            FlowEvent::RunRefused { run_key, error, .. } => {
                if let Some(backfill) = &mut self.backfill {
                    backfill.note(State::Failed);
                }
                self.line(format!("{} cannot begin: {}", escaped(run_key), escaped(error)));
            }
            FlowEvent::NoticeFailed { message, .. } => self.line(format!("gristmill: {}", escaped(message))),
        }
    }

    /// Whether each task has a line when it ends: where lines are all there is, and runs are few.
    fn tells_all(&self) -> bool {
        !self.style.is_live && self.backfill.is_none()
    }

    fn change(&mut self, run: i64, change: impl FnOnce(&mut Run)) {
        if let Some(run) = self.runs.get_mut(&run) {
            change(run);
        }
    }

    fn try_ended(&mut self, event: &FlowEvent) {
        let FlowEvent::TryEnded { run, task, number, state, took, error, next_try, .. } = event else {
            return;
        };
        self.change(*run, |run| {
            run.running.remove(task);
            if let Some(at) = next_try {
                run.retrying.insert(task.clone(), (number + 1, *at));
            }
        });
        let is_good = matches!(state, State::Succeeded | State::Skipped | State::Canceled);
        if is_good && !self.tells_all() {
            return;
        }
        let next = next_try.map(|at| {
            let at = at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string();
            format!("; try {} at {at}", number + 1)
        });
        let what = format!(" after {}{}", lasted(*took), next.unwrap_or_default());
        self.task_line(*run, task, *state, &what, error.as_deref());
    }

    fn task_line(&mut self, run: i64, task: &str, state: State, what: &str, error: Option<&str>) {
        let first = error.and_then(|error| error.lines().next()).map(escaped);
        let error = first.map(|error| format!(": {error}")).unwrap_or_default();
        let text = format!("run {run}: {} {state}{what}{error}", escaped(task));
        self.line(text);
    }

    fn run_ended(&mut self, id: i64, state: State, took: Duration) {
        let Some(run) = self.runs.remove(&id) else { return };
        if let Some(backfill) = &mut self.backfill {
            backfill.note(state);
            let (done, total) = (backfill.done(), backfill.total);
            let (key, took) = (run.key, lasted(took));
            self.line(format!("{done} of {total}: {key} {state} after {took}, run {id}"));
        } else if !self.style.is_live {
            self.line(format!("run {id} {state} after {}: {}", lasted(took), run.tasks.all()));
        }
    }

    fn line(&mut self, line: String) {
        if self.style.is_live && self.lines.len() == MOST_LINES {
            self.dropped += 1;
        } else {
            self.lines.push_back(line);
        }
    }

    /// The lines that are to be printed and to stay. Where they are drawn above others they are cut to the width of the terminal.
    pub fn take_lines(&mut self) -> Vec<String> {
        let columns = self.style.columns();
        let mut lines: Vec<String> =
            self.lines.drain(..).map(|line| cut(&line, columns).into_owned()).collect();
        if self.dropped > 0 {
            lines.push(format!("… and {} more; `flow show` has all of them", self.dropped));
            self.dropped = 0;
        }
        lines
    }

    /// How far all is, in a few lines.
    pub fn area(&self, now: (Timestamp, Duration)) -> Vec<String> {
        let mut area = Vec::new();
        match (&self.backfill, self.runs.len()) {
            (None, 0) => {}
            (None, 1) => self.runs.iter().for_each(|(id, run)| self.one_run(&mut area, *id, run, now)),
            (backfill, count) => {
                if let Some(backfill) = backfill {
                    let so_far = lasted(now.1);
                    area.push(format!("backfill {}: {}, {so_far}", self.id, backfill.text("intervals")));
                }
                let shown = self.shown();
                self.runs.iter().take(shown).for_each(|(id, run)| area.push(self.many_runs(*id, run, now)));
                more(&mut area, count.saturating_sub(shown));
            }
        }
        if self.is_stopping {
            area.push("stopping; a second signal ends it at once".to_owned());
        }
        // The last column stays free: a line that fills it makes some terminals begin another one.
        let columns = self.style.columns().saturating_sub(1);
        area.iter().map(|line| cut(line, columns).into_owned()).collect()
    }

    /// The lines of tasks or runs that there is room for.
    fn shown(&self) -> usize {
        SHOWN_ONE_BY_ONE.min(self.style.height().saturating_sub(6)).max(1)
    }

    fn one_run(&self, area: &mut Vec<String>, id: i64, run: &Run, (at, now): (Timestamp, Duration)) {
        let title = format!("run {id} ");
        let room = self.style.columns().saturating_sub(title.len() + 1);
        area.push(format!("{title}{}", cut_middle(&run.key, room)));
        let so_far = lasted(now.saturating_sub(run.began));
        area.push(format!("{}, {so_far}", run.tasks.text("tasks")));
        let running = run.running.iter().map(|(task, (number, began))| {
            let again = if *number > 1 { format!(", try {number}") } else { String::new() };
            (State::Running, task, format!("{again}  {}", lasted(now.saturating_sub(*began))))
        });
        let retrying = run.retrying.iter().map(|(task, (number, next))| {
            let seconds = next.as_second().saturating_sub(at.as_second()).max(0);
            (State::Retrying, task, format!(", try {number} in {}", rough(seconds)))
        });
        let shown = self.shown();
        for (state, task, what) in running.chain(retrying).take(shown) {
            let room = self.style.columns().saturating_sub(what.chars().count() + 5).max(8);
            area.push(format!("  {} {}{what}", mark(state), cut_middle(&escaped(task), room)));
        }
        more(area, (run.running.len() + run.retrying.len()).saturating_sub(shown));
    }

    fn many_runs(&self, id: i64, run: &Run, (_, now): (Timestamp, Duration)) -> String {
        let tasks: Vec<&str> = run.running.keys().map(String::as_str).take(SHOWN_ONE_BY_ONE).collect();
        let at_work = if tasks.is_empty() { String::new() } else { format!(": {}", tasks.join(", ")) };
        let (done, total, so_far) =
            (run.tasks.done(), run.tasks.total, lasted(now.saturating_sub(run.began)));
        let head = format!("  {} run {id} ", mark(State::Running));
        let tail = format!("  {done}/{total}, {so_far}{}", escaped(&at_work));
        // The key is what runs are told apart by: what is at work may be cut instead.
        let room = (self.style.columns() / 2).max(12);
        format!("{head}{}{tail}", cut_middle(&run.key, room))
    }
}

/// The marks as they stand in lines that are cut: without colours.
fn mark(state: State) -> String {
    Style::plain().mark(state)
}

fn more(area: &mut Vec<String>, count: usize) {
    if count > 0 {
        area.push(format!("  and {count} more"));
    }
}
