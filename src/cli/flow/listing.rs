//! A run as text: its tasks with their rails, one a line, and beneath them what failed.

use std::fmt::Write;
use std::path::Path;

use jiff::Timestamp;

use super::bounds;
use super::outline::{Entry, counts, knows_needs, outline};
use super::rails::{Rail, rails};
use super::style::{Style, ago, took};
use crate::cli::escape::escaped;
use crate::cli::width::{cut, cut_middle, padded, width};
use crate::flow::{RunRow, State, TaskRow, TryRow};

/// Lines of an error that are shown; its log has all of them.
const ERROR_LINES: usize = 3;

/// Items of a task, and earlier tries, that are shown one by one.
const SHOWN_ONE_BY_ONE: usize = 10;

/// Tasks up to which each has its line in any case.
const FEW: usize = 60;

/// Of more tasks than that, those that are shown because they failed.
const MOST_NOTEWORTHY: usize = 20;

/// A run with its tasks. Very many of them that went well are told together unless `all` are wanted, and so are the items of a task.
pub fn listing(
    run: &RunRow,
    tasks: &[TaskRow],
    tries: &[TryRow],
    all: bool,
    style: Style,
    now: Timestamp,
) -> String {
    let entries = outline(tasks, tries);
    let mut listing = Listing { text: String::new(), style, now, all, names: 0, states: 0 };
    listing.head(run);
    listing.tasks(&entries, knows_needs(tasks));
    if let Some(bounds) = &run.bounds {
        listing.text.push_str(&bounds::described(bounds, run.duration.unwrap_or(0)));
    }
    listing.text
}

struct Listing {
    text: String,
    style: Style,
    now: Timestamp,
    all: bool,
    /// The widths of the columns.
    names: usize,
    states: usize,
}

impl Listing {
    fn head(&mut self, run: &RunRow) {
        let (style, key) = (self.style, escaped(&run.run_key));
        let title = format!("run {}", run.id);
        let state = style.state(run.state, 0);
        let room = style.columns().saturating_sub(width(&title) + run.state.name().len() + 3);
        let key = cut_middle(&key, room);
        let _ = writeln!(self.text, "{} {key}  {state}", style.bold(&title));
        let ended = run.duration.map_or_else(String::new, |millis| format!(", took {}", took(millis)));
        let which = format!("attempt {}, {}", run.attempt, escaped(&run.cause));
        let when = format!("began {}{ended}", ago(run.started, self.now));
        let separator = if width(&which) + 2 + width(&when) > style.columns() { "\n" } else { ", " };
        let _ = writeln!(self.text, "{which}{separator}{when}");
    }

    fn tasks(&mut self, entries: &[Entry], has_rails: bool) {
        let needs: Vec<Vec<usize>> = entries.iter().map(|entry| entry.needs.clone()).collect();
        let most = (self.style.columns() / 8).clamp(3, 12);
        let rails = if has_rails { rails(&needs, most) } else { None };
        let plain = Rail { here: "  ".to_owned(), below: "  ".to_owned() };
        let rail = |place: usize| rails.as_ref().map_or(&plain, |rails| &rails[place]);
        let widest = entries.first().map_or(0, |_| width(&rail(0).here));
        self.measure(entries, widest);
        let are_few = entries.len() <= FEW || self.all;
        if !are_few {
            let ends = counts(entries.iter().map(Entry::state));
            let line = format!("{} tasks: {ends}; --all lists each", entries.len());
            let _ = writeln!(self.text, "{}", cut(&line, self.style.columns()));
        }
        let (mut left_out, mut shown) = (Vec::new(), 0);
        for (place, entry) in entries.iter().enumerate() {
            if !are_few && (!entry.is_noteworthy() || shown == MOST_NOTEWORTHY) {
                left_out.push(entry.state());
                continue;
            }
            self.left_out(&mut left_out);
            shown += 1;
            let unseen = if rails.is_none() && has_rails { after(entries, entry) } else { String::new() };
            self.entry(entry, rail(place), &unseen);
        }
        self.left_out(&mut left_out);
    }

    /// The widths of the columns: names take what the others leave.
    fn measure(&mut self, entries: &[Entry], rails: usize) {
        let shown = || entries.iter().flat_map(|entry| std::iter::once((entry, 0)).chain(self.items(entry)));
        let names = shown().map(|(entry, indent)| width(&escaped(&entry.name())) + indent).max().unwrap_or(0);
        let states = shown().map(|(entry, _)| entry.state().name().len()).max().unwrap_or(0);
        let others = rails + 2 + 2 + 10 + if self.style.is_narrow() { 0 } else { states + 2 };
        (self.names, self.states) = (names.min(self.style.columns().saturating_sub(others).max(8)), states);
    }

    /// The items that are shown one by one.
    fn items<'a, 'b>(&self, entry: &'a Entry<'b>) -> impl Iterator<Item = (&'a Entry<'b>, usize)> {
        let (all, most) = (self.all, if self.all { usize::MAX } else { SHOWN_ONE_BY_ONE });
        entry.items.iter().filter(move |item| all || item.is_noteworthy()).take(most).map(|item| (item, 2))
    }

    fn left_out(&mut self, states: &mut Vec<State>) {
        if !states.is_empty() {
            let line = format!("    … {}", counts(states.drain(..)));
            let _ = writeln!(self.text, "{}", self.style.dim(&cut(&line, self.style.columns())));
        }
    }

    fn entry(&mut self, entry: &Entry, rail: &Rail, unseen: &str) {
        let below = format!("{}  ", rail.below);
        if let Some(note) = self.line(entry, &rail.here, 0, unseen) {
            self.below(&below, &note);
        }
        self.troubles(entry, &below);
        for (item, indent) in self.items(entry).collect::<Vec<_>>() {
            self.line(item, &format!("{}{}", rail.below, " ".repeat(indent)), indent, "");
            self.troubles(item, &format!("{}    ", rail.below));
        }
        let noteworthy = entry.items.iter().filter(|item| item.is_noteworthy()).count();
        if !self.all && noteworthy > SHOWN_ONE_BY_ONE {
            let more = noteworthy - SHOWN_ONE_BY_ONE;
            let _ = writeln!(self.text, "{}  … and {more} more; --all lists them", rail.below);
        }
    }

    /// The line of a task: rails, mark, name, state, time, and a note. Gives a note that there was no room for.
    fn line(&mut self, entry: &Entry, before: &str, indent: usize, unseen: &str) -> Option<String> {
        let (style, state) = (self.style, entry.state());
        let name = entry.name();
        let room = self.names.saturating_sub(indent).max(1);
        let name = padded(&cut_middle(&escaped(&name), room), room);
        let took = entry.took(self.now);
        let told =
            if style.is_narrow() { String::new() } else { format!("  {}", style.state(state, self.states)) };
        let mut used = width(before) + 2 + room + 2 + 10;
        used += if style.is_narrow() { 0 } else { self.states + 2 };
        let note = [entry.note(), unseen.to_owned()].into_iter().filter(|note| !note.is_empty());
        let note = note.collect::<Vec<_>>().join(", ");
        let (note, room) = (escaped(&note), style.columns().saturating_sub(used + 2));
        // How many items have failed is not cut: where there is no room for it, it has a line of its own.
        let is_below = !entry.items.is_empty() && width(&note) > room;
        let (before, mark) = (self.rail(before), style.mark(state));
        let mut line = format!("{before}{mark} {name}{told}  {took:>10}");
        if !note.is_empty() && room >= 6 && !is_below {
            let _ = write!(line, "  {}", style.dim(&cut(&note, room)));
        }
        let _ = writeln!(self.text, "{}", line.trim_end());
        is_below.then(|| note.into_owned())
    }

    /// What a task has failed with, its earlier tries, and where the log is.
    fn troubles(&mut self, entry: &Entry, before: &str) {
        let earlier: Vec<&TryRow> = entry.failed_tries().collect();
        for one in earlier.iter().skip(earlier.len().saturating_sub(SHOWN_ONE_BY_ONE)) {
            let error = one.error.as_deref().and_then(|error| error.lines().next()).unwrap_or_default();
            let after = one.duration.map(|millis| format!(" after {}", took(millis))).unwrap_or_default();
            self.below(before, &format!("try {} {}{after}: {error}", one.number, one.state));
        }
        for line in entry.error().unwrap_or_default().lines().take(ERROR_LINES) {
            self.below(before, line);
        }
        if let Some(log) = entry.log().filter(|_| entry.items.is_empty() && entry.is_noteworthy()) {
            // Whole, however long it is: it is there to be copied.
            let _ = writeln!(self.text, "{}log {}", self.rail(before), escaped(&from_here(log)));
        }
    }

    fn below(&mut self, before: &str, line: &str) {
        let room = self.style.columns().saturating_sub(width(before)).max(20);
        let _ = writeln!(self.text, "{}{}", self.rail(before), cut(&escaped(line), room));
    }

    /// What stands before a line, so that it does not outshine it.
    fn rail(&self, before: &str) -> String {
        let drawn = before.trim_end();
        format!("{}{}", self.style.dim(drawn), &before[drawn.len()..])
    }
}

/// What a task waits for, in words, where rails have no room.
fn after(entries: &[Entry], entry: &Entry) -> String {
    let names: Vec<&str> = entry.needs.iter().map(|&need| entries[need].task.task.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("after {}", names.join(", ")) }
}

/// A path as somebody here would type it.
fn from_here(path: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path = Path::new(path);
    path.strip_prefix(here).unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    fn run(state: State) -> RunRow {
        RunRow::for_tests(7, "daily?date=2026-01-30", state, now() - jiff::SignedDuration::from_mins(3))
    }

    fn task(key: &str, state: State, needs: &[&str]) -> TaskRow {
        let needs = if key.contains('[') { None } else { Some(serde_json::to_string(needs).unwrap()) };
        TaskRow::for_tests(key, state, needs)
    }

    fn tried(key: &str, number: u32, state: State, error: Option<&str>) -> TryRow {
        TryRow::for_tests(key, number, state, now(), error)
    }

    fn shown(tasks: &[TaskRow], tries: &[TryRow], style: Style) -> String {
        listing(&run(State::Failed), tasks, tries, false, style, now())
    }

    #[test]
    fn one_task_needs_no_rails() {
        let text = shown(
            &[task("t", State::Succeeded, &[])],
            &[tried("t", 1, State::Succeeded, None)],
            Style::plain(),
        );
        let expected = "\
run 7 daily?date=2026-01-30  failed
attempt 1, manual, began 3 min ago, took 1.2 s
✓ t  succeeded        7 ms
";
        assert_eq!(text, expected);
    }

    #[test]
    fn how_long_it_took_until_its_process_died_nobody_knows() {
        let one = TryRow { duration: None, ..tried("t", 1, State::Lost, None) };
        let run = RunRow { duration: None, ..run(State::Lost) };
        let text = listing(&run, &[task("t", State::Lost, &[])], &[one], false, Style::plain(), now());
        let expected = "\
run 7 daily?date=2026-01-30  lost
attempt 1, manual, began 3 min ago
? t  lost
";
        assert_eq!(text, expected);
    }

    #[test]
    fn items_are_told_together_and_those_that_failed_one_by_one() {
        let tasks = [
            task("fetch", State::Succeeded, &[]),
            task("convert", State::Failed, &["fetch"]),
            task("publish", State::UpstreamFailed, &["convert", "fetch"]),
            task("convert[eu]", State::Succeeded, &[]),
            task("convert[us]", State::Failed, &[]),
        ];
        let tries = [
            tried("fetch", 1, State::Failed, Some("no\nroute")),
            tried("fetch", 2, State::Succeeded, None),
            tried("convert[eu]", 1, State::Succeeded, None),
            tried("convert[us]", 1, State::Failed, Some("one\ntwo \u{1b}[m\nthree\nfour")),
        ];
        let expected = "\
run 7 daily?date=2026-01-30  failed
attempt 1, manual, began 3 min ago, took 1.2 s
┌   ✓ fetch          succeeded              7 ms  2 tries
│     try 1 failed after 7 ms: no
├─┐ ✗ convert[..]    failed                 0 ms  1 succeeded, 1 failed
│ │   ✗ convert[us]  failed                 7 ms
│ │     one
│ │     two \\u{1b}[m
│ │     three
└─┘ ↯ publish        upstream_failed
";
        assert_eq!(shown(&tasks, &tries, Style::plain()), expected);
    }

    #[test]
    fn very_many_tasks_are_told_together_but_for_those_that_failed() {
        let key = |place: usize| format!("t{place}");
        let needs = |place: usize| if place < 100 { vec![] } else { vec![key(place - 100)] };
        let mut tasks: Vec<TaskRow> = (0..500)
            .map(|place| {
                let needs = needs(place);
                task(&key(place), State::Succeeded, &needs.iter().map(String::as_str).collect::<Vec<_>>())
            })
            .collect();
        tasks[450] = task("t450", State::Failed, &["t350"]);
        let text = shown(&tasks, &[tried("t450", 1, State::Failed, Some("no"))], Style::plain());
        let expected = "500 tasks: 499 succeeded, 1 failed; --all lists each
    … 450 succeeded
  ✗ t450  failed           7 ms  after t350
    no
    … 49 succeeded
";
        assert_eq!(text.lines().skip(2).map(|line| format!("{line}\n")).collect::<String>(), expected);
        let all = listing(&run(State::Failed), &tasks, &[], true, Style::plain(), now());
        assert_eq!(all.lines().count(), 502);
        for task in &mut tasks[..400] {
            task.state = State::Failed;
        }
        let text = shown(&tasks, &[], Style::plain());
        assert_eq!(text.lines().count(), 2 + 1 + MOST_NOTEWORTHY + 1, "{text}");
        assert!(text.ends_with("\n    … 99 succeeded, 381 failed\n"), "{text}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let long = "a".repeat(70);
        let tasks = [
            task(&long, State::Succeeded, &[]),
            task("日本語日本語日本語日本語日本語日本語日本語", State::Failed, &[&long]),
            task("c", State::UpstreamFailed, &[&long, "日本語日本語日本語日本語日本語日本語日本語"]),
        ];
        let error = "an error that is longer than the terminal is wide, whatever that is, ".repeat(9);
        let tries = [tried("日本語日本語日本語日本語日本語日本語日本語", 1, State::Failed, Some(&error))];
        for columns in [40, 59, 60, 80, 120] {
            let text = shown(&tasks, &tries, Style::of_width(columns));
            for line in text.lines() {
                assert!(width(line) <= columns, "{columns}: {line}");
            }
        }
    }
}
