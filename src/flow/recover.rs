//! What became of runs whose process is gone: told from the outputs, which are the truth.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::fingerprint;
use super::ledger::{Change, Ledger, RunId, RunRow, TaskRow, TryRow};
use super::marked;
use super::run_lock::RunLock;
use super::state::State;
use super::step::EngineCommand;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::gate;
use crate::io::commit;

/// Ends, in the ledger, the runs whose process is gone: those whose lock is free. Returns them.
///
/// # Errors
///
/// If the ledger fails.
pub(super) fn reconcile(ledger: &Ledger, now: Timestamp) -> Result<Vec<RunId>> {
    let locks = ledger.dir().join("locks");
    let mut lost = Vec::new();
    for run in ledger.unfinished()? {
        // Who takes the lock keeps it until the ledger agrees, so that two do not reconcile, and nobody begins meanwhile.
        if RunLock::is_free(&locks, &run.run_key)
            && let Ok(_lock) = RunLock::take(&locks, &run.run_key)
        {
            reconcile_run(ledger, &run, now)?;
            lost.push(run.id);
        }
    }
    Ok(lost)
}

/// The same for the runs of a key whose lock the caller holds.
pub(super) fn reconcile_key(ledger: &Ledger, run_key: &str, now: Timestamp) -> Result<()> {
    match ledger.last_attempt(run_key)? {
        Some(run) if run.state == State::Running => reconcile_run(ledger, &run, now),
        _ => Ok(()),
    }
}

fn reconcile_run(ledger: &Ledger, run: &RunRow, now: Timestamp) -> Result<()> {
    end_programs(&gates_of(ledger, run.id))?;
    let (tasks, tries) = (ledger.tasks(run.id)?, ledger.tries(run.id)?);
    let mut changes = Vec::new();
    let mut worst = State::Lost;
    for task in tasks.iter().filter(|task| !task.state.has_ended()) {
        let at_work = tries.iter().rev().find(|one| one.task == task.task && one.state == State::Running);
        let (state, reason) =
            at_work.map_or((State::Lost, "its process was gone before it began"), |one| became_of(task, one));
        if state == State::UnknownOutcome {
            worst = state;
        }
        if let Some(one) = at_work {
            let (task, number, duration) = (task.task.clone(), one.number, None);
            changes.push((run.id, Change::Tried { task, number, state, at: now, duration, error: None }));
        }
        changes
            .push((run.id, Change::Task { task: task.task.clone(), state, reason: Some(reason.to_owned()) }));
    }
    changes.push((run.id, Change::Ended { state: worst, at: now, duration: None, bounds: None }));
    ledger.note(&changes)
}

/// Ends the programs that a dead process has left behind, if they have not ended with it, and lets them commit nothing once its outputs are looked at.
fn end_programs(gates: &Path) -> Result<()> {
    let ended = gate::in_dir(gates).and_then(|found| {
        for gate in &found {
            marked::kill(&marked::of_gate(gate));
        }
        gate::close_all(gates)
    });
    ended.map_err(|error| Error::io(ErrorKind::Config, "close the gates in", gates, error))
}

/// Where the gates are that programs of a run have to pass.
pub(super) fn gates_of(ledger: &Ledger, run: RunId) -> PathBuf {
    ledger.dir().join("gates").join(run.to_string())
}

/// What became of a task that was at work when its process died.
fn became_of(task: &TaskRow, one: &TryRow) -> (State, &'static str) {
    if !task.is_idempotent {
        return (
            State::UnknownOutcome,
            "its process died, and it is not idempotent: look what it did, and say so by `confirm`",
        );
    }
    let outputs: Vec<PathBuf> =
        task.outputs.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    // A job of the engine commits all that it writes in one step.
    let commits_once = EngineCommand::ALL.iter().any(|command| command.name() == task.kind);
    if commits_once {
        // A commit that was decided is completed, and nothing is left over. If that cannot be, the next run on the output says why.
        for output in &outputs {
            drop(commit::recover(output));
        }
    }
    let is_new = one.before.as_ref().is_some_and(|before| *before != fingerprint::identity(&outputs));
    if commits_once && is_new && fingerprint::are_complete(&outputs) {
        (State::Succeeded, "it had committed its output when its process died")
    } else {
        (State::Lost, "its process died")
    }
}
