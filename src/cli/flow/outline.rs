//! The tasks of a run as they are shown: items beneath their tasks, what each waits for, and what became of their tries.

use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;

use super::style::took;
use crate::flow::{State, TaskRow, TryRow};

/// A task as it is shown.
#[derive(Debug)]
pub struct Entry<'a> {
    pub task: &'a TaskRow,
    /// Of a task with items, these.
    pub items: Vec<Entry<'a>>,
    pub tries: Vec<&'a TryRow>,
    /// The places of those before it that it waits for.
    pub needs: Vec<usize>,
}

/// Whether the ledger knows what tasks wait for: those of earlier versions do not.
pub fn knows_needs(tasks: &[TaskRow]) -> bool {
    tasks.iter().any(|task| task.needs.is_some())
}

/// The tasks in the order of their plan, each behind those that it waits for.
pub fn outline<'a>(tasks: &'a [TaskRow], tries: &'a [TryRow]) -> Vec<Entry<'a>> {
    let mut by_task: HashMap<&str, Vec<&TryRow>> = HashMap::new();
    for one in tries {
        by_task.entry(&one.task).or_default().push(one);
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for task in tasks {
        let tries = by_task.remove(task.task.as_str()).unwrap_or_default();
        // Names of tasks have no brackets.
        let of = task.task.split_once('[').and_then(|(name, _)| places.get(name));
        if let Some(&of) = of {
            entries[of].items.push(Entry { task, items: Vec::new(), tries, needs: Vec::new() });
            continue;
        }
        let needs: Vec<String> =
            task.needs.as_deref().and_then(|needs| serde_json::from_str(needs).ok()).unwrap_or_default();
        let needs = needs.iter().filter_map(|need| places.get(need.as_str()).copied()).collect();
        places.insert(&task.task, entries.len());
        entries.push(Entry { task, items: Vec::new(), tries, needs });
    }
    entries
}

impl Entry<'_> {
    /// Its name; of one with items as `convert[..]`.
    pub fn name(&self) -> String {
        if self.items.is_empty() { self.task.task.clone() } else { format!("{}[..]", self.task.task) }
    }

    /// How far it is. A task with items is at work while one of them is, or has ended while others have not.
    pub fn state(&self) -> State {
        let has_begun = |item: &Entry| item.task.state != State::Queued;
        if self.task.state == State::Queued && self.items.iter().any(has_begun) {
            return State::Running;
        }
        self.task.state
    }

    /// How long it took: its last try, or from the first of its items to the last.
    pub fn took(&self, now: Timestamp) -> String {
        if self.items.is_empty() {
            return self.tries.last().and_then(|one| millis(one, now)).map(took).unwrap_or_default();
        }
        let tries = || self.items.iter().flat_map(|item| &item.tries);
        let began = tries().map(|one| one.started).min();
        let ended = tries().map(|one| one.ended.unwrap_or(now)).max();
        let span = began.zip(ended).map(|(began, ended)| ended.duration_since(began).as_millis());
        span.map(|millis| took(i64::try_from(millis).unwrap_or(i64::MAX))).unwrap_or_default()
    }

    /// What else is to be said of it in a few words.
    pub fn note(&self) -> String {
        if !self.items.is_empty() {
            return counts(self.items.iter().map(|item| item.task.state));
        }
        let reason = self.task.reason.clone().filter(|_| self.error().is_none());
        let tries = (self.tries.len() > 1).then(|| format!("{} tries", self.tries.len()));
        tries.into_iter().chain(reason).collect::<Vec<_>>().join(", ")
    }

    /// What it has failed with in the end.
    pub fn error(&self) -> Option<&str> {
        let is_over = self.task.state.has_ended() && self.task.state != State::Succeeded;
        self.tries.last().filter(|_| is_over).and_then(|one| one.error.as_deref())
    }

    /// Those of its tries that have failed and were followed by others.
    pub fn failed_tries(&self) -> impl Iterator<Item = &TryRow> {
        let last = usize::from(self.error().is_some());
        let earlier = self.tries.len().saturating_sub(last);
        self.tries[..earlier].iter().copied().filter(|one| one.error.is_some())
    }

    /// The log of its last try, if it has said anything.
    pub fn log(&self) -> Option<&str> {
        self.tries.last()?.log.as_deref().filter(|log| Path::new(log).exists())
    }

    /// Whether somebody wants to know more of it.
    pub fn is_noteworthy(&self) -> bool {
        !matches!(self.task.state, State::Succeeded | State::Skipped | State::Queued | State::UpstreamFailed)
            || self.items.iter().any(Entry::is_noteworthy)
    }
}

/// How long a try took, or has taken so far; nobody knows it of one whose process died.
fn millis(one: &TryRow, now: Timestamp) -> Option<i64> {
    let so_far = || now.as_millisecond().saturating_sub(one.started.as_millisecond());
    one.duration.or_else(|| one.ended.is_none().then(so_far))
}

/// How many there are in each state, as `12 succeeded, 1 failed`.
pub fn counts(states: impl Iterator<Item = State>) -> String {
    let mut by_state: HashMap<State, usize> = HashMap::new();
    states.for_each(|state| *by_state.entry(state).or_default() += 1);
    let found = State::ALL.into_iter().filter_map(|state| Some((by_state.get(&state)?, state)));
    found.map(|(count, state)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}
