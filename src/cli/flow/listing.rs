//! A run as text: its tasks with their rails, one a line, and beneath them what failed.

use std::fmt::Write;

use jiff::Timestamp;

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
        let line = format!(
            "attempt {}, {}, began {}{ended}",
            run.attempt,
            escaped(&run.cause),
            ago(run.started, self.now)
        );
        let _ = writeln!(self.text, "{}", cut(&line, style.columns()));
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
        let mut good = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            if !are_few && !entry.is_noteworthy() {
                good.push(entry.task.state);
                continue;
            }
            self.left_out(&mut good);
            let unseen = if rails.is_none() && has_rails { after(entries, entry) } else { String::new() };
            self.entry(entry, rail(place), &unseen);
        }
        self.left_out(&mut good);
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
            let told = counts(states.drain(..));
            let line = format!("    … {told}; --all lists them");
            let _ = writeln!(self.text, "{}", self.style.dim(&cut(&line, self.style.columns())));
        }
    }

    fn entry(&mut self, entry: &Entry, rail: &Rail, unseen: &str) {
        self.line(entry, &rail.here, 0, unseen);
        self.troubles(entry, &format!("{}  ", rail.below));
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

    /// The line of a task: rails, mark, name, state, time, and a note where there is room for it.
    fn line(&mut self, entry: &Entry, before: &str, indent: usize, unseen: &str) {
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
        let note = escaped(&note);
        let gap = " ".repeat(before.len() - before.trim_end().len());
        let mut line =
            format!("{}{gap}{} {name}{told}  {took:>10}", style.dim(before.trim_end()), style.mark(state));
        if !note.is_empty() && used + 2 + 6 <= style.columns() {
            let _ = write!(line, "  {}", style.dim(&cut(&note, style.columns() - used - 2)));
        }
        let _ = writeln!(self.text, "{}", line.trim_end());
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
            let _ = writeln!(self.text, "{}log {}", self.style.dim(before), escaped(log));
        }
    }

    fn below(&mut self, before: &str, line: &str) {
        let room = self.style.columns().saturating_sub(width(before)).max(20);
        let _ = writeln!(self.text, "{}{}", self.style.dim(before), cut(&escaped(line), room));
    }
}

/// What a task waits for, in words, where rails have no room.
fn after(entries: &[Entry], entry: &Entry) -> String {
    let names: Vec<&str> = entry.needs.iter().map(|&need| entries[need].task.task.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("after {}", names.join(", ")) }
}
