//! What happens to runs while a [`Runner`](super::Runner) works, for who wants to watch it.

use std::time::Duration;

use jiff::Timestamp;

use super::active::ActiveRun;
use super::state::State;
use super::work::Work;

/// Something that has happened to a run. When it is told, the ledger knows of it.
///
/// Secrets are not in it. Names and errors are as they are: what shows them on a terminal escapes them.
///
/// # Ordering
///
/// Events come in the order in which they have happened: a run begins before its tasks, and ends after them. Those of several runs are mixed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FlowEvent {
    /// A backfill begins, or goes on.
    #[non_exhaustive]
    BackfillBegan {
        /// Its number in the ledger.
        backfill: i64,
        /// Its intervals that are to be run.
        intervals: usize,
    },
    /// A run has begun.
    #[non_exhaustive]
    RunBegan {
        /// Its number in the ledger.
        run: i64,
        /// The flow and its parameters.
        run_key: String,
        /// How many runs of this key there were, with this one.
        attempt: u32,
        /// Its tasks, one for each item where these are known; else [that comes later](FlowEvent::ItemsFound).
        tasks: usize,
        /// Those that an earlier attempt has completed.
        complete: usize,
    },
    /// The items of a task were found: they stand in its place, and it is not told of any more.
    #[non_exhaustive]
    ItemsFound {
        /// The run.
        run: i64,
        /// The key of the task.
        task: String,
        /// How many there are; at least one.
        items: usize,
    },
    /// A try of a task has begun.
    #[non_exhaustive]
    TryBegan {
        /// The run.
        run: i64,
        /// The key of the task within it.
        task: String,
        /// The first try is 1.
        number: u32,
    },
    /// A try of a task has ended.
    #[non_exhaustive]
    TryEnded {
        /// The run.
        run: i64,
        /// The key of the task within it.
        task: String,
        /// The first try is 1.
        number: u32,
        /// How it has ended.
        state: State,
        /// How long it took.
        took: Duration,
        /// What it failed with.
        error: Option<String>,
        /// When the task is tried again; if it is not, it has ended with this try.
        next_try: Option<Timestamp>,
    },
    /// A task has ended: with its last try, or without one because it was complete already, or what it waits for did not succeed.
    #[non_exhaustive]
    TaskEnded {
        /// The run.
        run: i64,
        /// The key of the task within it.
        task: String,
        /// How it has ended.
        state: State,
        /// How often it was tried in this run.
        tries: u32,
        /// Why, where that needs to be said.
        reason: Option<String>,
    },
    /// A run has ended.
    #[non_exhaustive]
    RunEnded {
        /// Its number in the ledger.
        run: i64,
        /// The flow and its parameters.
        run_key: String,
        /// How it has ended.
        state: State,
        /// How long it took.
        took: Duration,
    },
    /// A run could not begin.
    #[non_exhaustive]
    RunRefused {
        /// The flow and its parameters.
        run_key: String,
        /// Why.
        error: String,
    },
    /// A notifier could not tell what it should. This is told from a thread of its own.
    #[non_exhaustive]
    NoticeFailed {
        /// Which, and why.
        message: String,
    },
}

/// Who is told of events.
pub(super) type Listener = dyn Fn(&FlowEvent) + Send + Sync;

impl Work {
    /// That it begins.
    pub(super) fn began_event(&self) -> FlowEvent {
        FlowEvent::TryBegan { run: self.run, task: self.context.task.clone(), number: self.context.number }
    }
}

impl ActiveRun {
    /// Whether a node is told of: a task, or an item of one, but no task whose items are.
    fn is_told(&self, node: usize) -> bool {
        !self.machine.has_items(node)
    }

    /// That it has begun.
    pub(super) fn began_event(&self) -> FlowEvent {
        let nodes = (0..self.request.plan.nodes.len()).filter(|&node| self.is_told(node));
        let is_complete = |node: &usize| self.machine.state(*node) == State::Succeeded;
        FlowEvent::RunBegan {
            run: self.id,
            run_key: self.request.plan.run_key().to_owned(),
            attempt: self.attempt,
            tasks: nodes.clone().count(),
            complete: nodes.filter(is_complete).count(),
        }
    }

    /// The ends among some nodes whose states have changed.
    pub(super) fn end_events(&self, changed: &[usize]) -> Vec<FlowEvent> {
        let has_ended = |node: &&usize| self.machine.state(**node).has_ended() && self.is_told(**node);
        let event = |&node: &usize| FlowEvent::TaskEnded {
            run: self.id,
            task: self.request.plan.nodes[node].key.clone(),
            state: self.machine.state(node),
            tries: self.machine.tries(node),
            reason: self.reasons.get(&node).cloned(),
        };
        changed.iter().filter(has_ended).map(event).collect()
    }
}
