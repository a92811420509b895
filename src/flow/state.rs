//! The states of runs, tasks and tries.

use std::fmt;

/// How far a task, a try of it, or a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits for other tasks, for a slot, or for its turn.
    Queued,
    /// It is at work.
    Running,
    /// It has failed, and waits to be tried again.
    Retrying,
    /// It has done what it should, in this attempt or in an earlier one.
    Succeeded,
    /// It has failed, and is not tried again.
    Failed,
    /// A task that it waits for did not succeed.
    UpstreamFailed,
    /// It found nothing to do, or a task that it waits for did.
    Skipped,
    /// It took too long and was stopped.
    TimedOut,
    /// Somebody has stopped it.
    Canceled,
    /// Its process is gone, and it can be run again.
    Lost,
    /// Its process is gone, and nobody knows what it did; a person must say.
    UnknownOutcome,
}

impl State {
    /// Every state.
    pub const ALL: [State; 11] = [
        State::Queued,
        State::Running,
        State::Retrying,
        State::Succeeded,
        State::Failed,
        State::UpstreamFailed,
        State::Skipped,
        State::TimedOut,
        State::Canceled,
        State::Lost,
        State::UnknownOutcome,
    ];

    /// Its name in the ledger and on terminals.
    pub fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Retrying => "retrying",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::UpstreamFailed => "upstream_failed",
            State::Skipped => "skipped",
            State::TimedOut => "timed_out",
            State::Canceled => "canceled",
            State::Lost => "lost",
            State::UnknownOutcome => "unknown_outcome",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more happens to it in this attempt.
    pub fn has_ended(self) -> bool {
        !matches!(self, State::Queued | State::Running | State::Retrying)
    }

    /// Whether what waits for it may start.
    pub fn is_good(self) -> bool {
        self == State::Succeeded
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
