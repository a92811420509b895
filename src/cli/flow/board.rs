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

/// What a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// One run. That it cannot begin is what the command fails with.
    One,
    /// Many, of which each may fail to begin.
    Many,
}

/// The state of all runs that a command watches.
#[derive(Debug)]
pub struct Board {
    watched: Watched,
    style: Style,
    backfill: Option<Progress>,
    id: i64,
    runs: BTreeMap<i64, Run>,
    lines: VecDeque<Line>,
    /// Lines that were too many.
    dropped: usize,
    /// Whether somebody has asked all to end.
    pub is_stopping: bool,
}

/// A line that stays, in the colour of a state.
#[derive(Debug)]
struct Line {
    state: Option<State>,
    text: String,
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
    pub fn new(watched: Watched, style: Style) -> Board {
        Board {
            watched,
            style,
            backfill: None,
            id: 0,
            runs: BTreeMap::new(),
            lines: VecDeque::new(),
            dropped: 0,
            is_stopping: false,
        }
    }

    /// Fits to a terminal that may have another size by now.
    pub fn fit(&mut self, style: Style) {
        self.style = style;
    }

    /// Notes what has happened at a time of a clock that nobody sets.
    pub fn note(&mut self, event: &FlowEvent, now: Duration) {
        match event {
            FlowEvent::BackfillBegan { backfill, intervals, .. } => {
                (self.id, self.backfill) = (*backfill, Some(Progress::of(*intervals)));
                self.line(None, format!("backfill {backfill} begins: {}", counted(*intervals, "interval")));
            }
            FlowEvent::RunBegan { run, run_key, attempt, tasks, complete, .. } => {
                let (running, retrying) = (BTreeMap::new(), BTreeMap::new());
                let key = escaped(run_key).into_owned();
                if self.backfill.is_none() && !self.style.is_live {
                    let complete =
                        if *complete > 0 { format!(", {complete} complete") } else { String::new() };
                    let tasks = counted(*tasks, "task");
                    self.line(None, format!("run {run} {key} begins: attempt {attempt}, {tasks}{complete}"));
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
                if self.watched == Watched::Many {
                    let text = format!("{} cannot begin: {}", escaped(run_key), escaped(error));
                    self.line(Some(State::Failed), text);
                }
            }
            FlowEvent::NoticeFailed { message, .. } => {
                self.line(None, format!("gristmill: {}", escaped(message)));
            }
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
        self.line(Some(state), text);
    }

    fn run_ended(&mut self, id: i64, state: State, took: Duration) {
        let Some(run) = self.runs.remove(&id) else { return };
        if let Some(backfill) = &mut self.backfill {
            backfill.note(state);
            let (done, total) = (backfill.done(), backfill.total);
            let (key, took) = (run.key, lasted(took));
            self.line(Some(state), format!("{done} of {total}: {key} {state} after {took}, run {id}"));
        } else if !self.style.is_live {
            self.line(Some(state), format!("run {id} {state} after {}: {}", lasted(took), run.tasks.all()));
        }
    }

    fn line(&mut self, state: Option<State>, text: String) {
        if self.style.is_live && self.lines.len() == MOST_LINES {
            self.dropped += 1;
        } else {
            self.lines.push_back(Line { state, text });
        }
    }

    /// The lines that are to be printed and to stay. Where they are drawn above others they are cut to the width of the terminal.
    pub fn take_lines(&mut self) -> Vec<String> {
        let style = self.style;
        let shown = |Line { state, text }: Line| {
            let text = cut(&text, style.columns());
            state.map_or_else(|| text.to_string(), |state| style.in_state(&text, state))
        };
        let mut lines: Vec<String> = self.lines.drain(..).map(shown).collect();
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
        area.iter().map(|line| self.marked(&cut(line, columns))).collect()
    }

    /// A line whose mark, if it has one, is in its colour.
    fn marked(&self, line: &str) -> String {
        for state in [State::Running, State::Retrying] {
            if let Some(rest) = line.strip_prefix("  ").and_then(|line| line.strip_prefix(&mark(state))) {
                return format!("  {}{rest}", self.style.mark(state));
            }
        }
        line.to_owned()
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
        let mut running: Vec<_> = run.running.iter().collect();
        running.sort_by_key(|(_, (_, began))| *began); // what takes long is what one waits for
        let running = running.into_iter().map(|(task, (number, began))| {
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

/// As `1 task` or `2 tasks`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn board(watched: Watched, style: Style) -> Board {
        Board::new(watched, style)
    }

    fn told(board: &mut Board, events: impl IntoIterator<Item = FlowEvent>) {
        for event in events {
            board.note(&event, Duration::from_secs(1));
        }
    }

    fn began(run: i64, tasks: usize) -> FlowEvent {
        let run_key = format!("daily?date=2026-01-{run:02}");
        FlowEvent::RunBegan { run, run_key, attempt: 1, tasks, complete: 0 }
    }

    fn tried(run: i64, task: &str) -> FlowEvent {
        FlowEvent::TryBegan { run, task: task.to_owned(), number: 1 }
    }

    fn ended(run: i64, task: &str, state: State, next_try: Option<Timestamp>) -> Vec<FlowEvent> {
        let (took, error) =
            (Duration::from_millis(7), (state == State::Failed).then(|| "no\nroute".to_owned()));
        let task = task.to_owned();
        let end = FlowEvent::TaskEnded { run, task: task.clone(), state, tries: 1, reason: None };
        let is_over = next_try.is_none();
        let mut events = vec![FlowEvent::TryEnded { run, task, number: 1, state, took, error, next_try }];
        events.extend(is_over.then_some(end));
        events
    }

    fn run_ended(run: i64, state: State) -> FlowEvent {
        FlowEvent::RunEnded {
            run,
            run_key: format!("daily?date=2026-01-{run:02}"),
            state,
            took: Duration::from_secs(2),
        }
    }

    fn at(seconds: i64) -> (Timestamp, Duration) {
        (Timestamp::from_second(seconds).unwrap(), Duration::from_secs(4))
    }

    #[test]
    fn where_lines_stay_each_task_has_one_when_it_ends() {
        let mut board = board(Watched::One, Style::plain());
        told(&mut board, [began(1, 3), tried(1, "a"), tried(1, "b")]);
        told(&mut board, ended(1, "a", State::Succeeded, None));
        told(&mut board, ended(1, "b\u{1b}", State::Failed, None));
        let settled =
            |state| FlowEvent::TaskEnded { run: 1, task: "c".to_owned(), state, tries: 0, reason: None };
        told(&mut board, [settled(State::UpstreamFailed), run_ended(1, State::Failed)]);
        let expected = [
            "run 1 daily?date=2026-01-01 begins: attempt 1, 3 tasks",
            "run 1: a succeeded after 7 ms",
            "run 1: b\\u{1b} failed after 7 ms: no",
            "run 1: c upstream_failed",
            "run 1 failed after 2.0 s: 1 succeeded, 1 failed, 1 upstream_failed",
        ];
        assert_eq!(board.take_lines(), expected);
        assert!(board.take_lines().is_empty());
    }

    #[test]
    fn on_a_terminal_only_what_failed_has_a_line_and_the_rest_is_drawn() {
        let mut board = board(Watched::One, Style::of_width(80));
        told(&mut board, [began(1, 4), tried(1, "a"), tried(1, "b"), tried(1, "c")]);
        told(&mut board, ended(1, "a", State::Succeeded, None));
        told(&mut board, ended(1, "b", State::Failed, Some(at(9).0)));
        let lines = board.take_lines();
        assert!(
            lines.len() == 1 && lines[0].starts_with("run 1: b failed after 7 ms; try 2 at "),
            "{lines:?}"
        );
        let area = [
            "run 1 daily?date=2026-01-01",
            "1 of 4 tasks done, 3.0 s",
            "  ▸ c  3.0 s",
            "  ↻ b, try 2 in 5 s",
        ];
        assert_eq!(board.area(at(4)), area);
        board.is_stopping = true;
        assert_eq!(board.area(at(4)).len(), 5);
        board.style = Style::of_width(20);
        for line in board.area(at(4)) {
            assert!(crate::cli::width::width(&line) < 20, "{line}");
        }
    }

    #[test]
    fn a_backfill_tells_of_each_interval_and_how_many_are_left() {
        for (style, count) in [(Style::plain(), 4), (Style::of_width(80), 4)] {
            let mut board = board(Watched::Many, style);
            told(&mut board, [FlowEvent::BackfillBegan { backfill: 5, intervals: 3 }]);
            told(&mut board, [began(1, 1), began(2, 2), tried(1, "a"), tried(2, "a")]);
            told(&mut board, ended(1, "a", State::Succeeded, None));
            told(&mut board, [run_ended(1, State::Succeeded)]);
            let area = [
                "backfill 5: 1 of 3 intervals done, 4.0 s",
                "  ▸ run 2 daily?date=2026-01-02  0/2, 3.0 s: a",
            ];
            assert_eq!(board.area(at(4)), area);
            let error = "it is running already".to_owned();
            told(&mut board, [FlowEvent::RunRefused { run_key: "daily".to_owned(), error }]);
            told(&mut board, ended(2, "a", State::Failed, None));
            let expected = [
                "backfill 5 begins: 3 intervals",
                "1 of 3: daily?date=2026-01-01 succeeded after 2.0 s, run 1",
                "daily cannot begin: it is running already",
                "run 2: a failed after 7 ms: no",
            ];
            assert_eq!(board.take_lines()[..count], expected);
            assert_eq!(board.area(at(4))[0], "backfill 5: 2 of 3 intervals done, 1 failed, 4.0 s");
        }
    }

    #[test]
    fn what_happens_faster_than_it_can_be_read_is_counted() {
        let mut board = board(Watched::One, Style::of_width(80));
        told(&mut board, [began(1, 100)]);
        (0..100).for_each(|task| told(&mut board, ended(1, &format!("t{task}"), State::Failed, None)));
        let lines = board.take_lines();
        assert_eq!(lines.len(), MOST_LINES + 1);
        assert_eq!(lines[MOST_LINES], "… and 92 more; `flow show` has all of them");
        assert_eq!(board.area(at(4))[1], "100 of 100 tasks done, 100 failed, 3.0 s");
        told(&mut board, (0..100).map(|task| tried(1, &format!("t{task:03}"))));
        let area = board.area(at(4));
        assert_eq!((area.len(), area[10].as_str()), (11, "  and 92 more"));
    }

    #[test]
    fn items_stand_in_the_place_of_their_task() {
        let mut board = board(Watched::One, Style::of_width(80));
        told(&mut board, [began(1, 2), FlowEvent::ItemsFound { run: 1, task: "t".to_owned(), items: 5 }]);
        assert_eq!(board.area(at(4))[1], "0 of 6 tasks done, 3.0 s");
    }
}
