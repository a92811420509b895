//! Runs, tasks and tries.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::schema::needs_column;
use super::{Ledger, instant, millis};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::bounds::Bounds;
use crate::flow::state::State;

/// The number of a run, which users see.
pub(in crate::flow) type RunId = i64;

/// A run that is about to begin.
#[derive(Debug, Clone)]
pub(in crate::flow) struct NewRun {
    pub flow: String,
    pub source: Option<String>,
    pub run_key: String,
    pub parameters: String,
    pub definition: String,
    pub code: String,
    pub interval: Option<(Timestamp, Timestamp)>,
    pub time_zone: String,
    pub cause: &'static str,
    pub backfill: Option<i64>,
    pub started: Timestamp,
    pub tasks: Vec<NewTask>,
}

/// A task of a run that is about to begin.
#[derive(Debug, Clone)]
pub(in crate::flow) struct NewTask {
    pub key: String,
    pub kind: &'static str,
    pub is_idempotent: bool,
    /// The keys of those that it waits for, as a JSON list; nothing for an item.
    pub needs: Option<String>,
}

/// A run in the ledger.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunRow {
    /// Its number.
    pub id: i64,
    /// The name of its flow.
    pub flow: String,
    /// The file that its flow was read from.
    pub source: Option<String>,
    /// The flow and its parameters.
    pub run_key: String,
    /// How many runs of this key there were, with this one.
    pub attempt: u32,
    /// The parameters that are no secrets, as a JSON object of texts.
    pub parameters: String,
    /// A hash of what the flow said.
    pub definition: String,
    /// A hash of the program, where closures were run.
    pub code: String,
    /// The data that it is about.
    pub interval: Option<(Timestamp, Timestamp)>,
    /// The zone of its days.
    pub time_zone: String,
    /// Why it ran: manual, rerun, backfill, or schedule.
    pub cause: String,
    /// The backfill that it belongs to.
    pub backfill: Option<i64>,
    /// How far it is, as far as its process has told.
    pub state: State,
    /// The machine and the process that it runs in.
    pub host: String,
    /// The process that it runs in.
    pub pid: u32,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How long it took, in milliseconds.
    pub duration: Option<i64>,
    /// What its time went to, once it has ended.
    pub bounds: Option<Bounds>,
}

/// A task of a run in the ledger.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskRow {
    /// Its key within the run.
    pub task: String,
    /// What kind of step it is.
    pub kind: String,
    /// Whether it may be run again without harm.
    pub is_idempotent: bool,
    /// How far it is.
    pub state: State,
    /// Why it is so, where that needs to be said.
    pub reason: Option<String>,
    /// The fingerprint of what it read.
    pub inputs: Option<String>,
    /// Where it wrote, as a JSON list.
    pub outputs: Option<String>,
    /// The keys of the tasks that it waits for, as a JSON list; none of an item, which waits for what its task waits for, and none in runs of
    /// earlier versions.
    pub needs: Option<String>,
}

/// A try of a task in the ledger.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TryRow {
    /// The task.
    pub task: String,
    /// The first one is 1.
    pub number: u32,
    /// How far it is, or how it ended.
    pub state: State,
    /// What lay at the outputs when it began, as JSON.
    pub before: Option<String>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How long it took, in milliseconds.
    pub duration: Option<i64>,
    /// The kind of its error.
    pub error_kind: Option<String>,
    /// What it failed with.
    pub error: Option<String>,
    /// The file with what it said.
    pub log: Option<String>,
}

/// Something that has happened to a run.
#[derive(Debug, Clone)]
pub(in crate::flow) enum Change {
    /// A task is new: an item of a glob.
    Added { task: NewTask, position: usize },
    /// A task has another state.
    Task { task: String, state: State, reason: Option<String> },
    /// What a task has read, and where it has written.
    Fingerprint { task: String, inputs: Option<String>, outputs: String },
    /// A try has begun.
    Began { task: String, number: u32, before: Option<String>, at: Timestamp, log: Option<String> },
    /// A try has ended.
    Tried {
        task: String,
        number: u32,
        state: State,
        at: Timestamp,
        /// Nobody knows it of one whose process died.
        duration: Option<i64>,
        error: Option<(String, String)>,
    },
    /// The run has ended.
    Ended { state: State, at: Timestamp, duration: Option<i64>, bounds: Option<String> },
}

const RUN: &str = "SELECT id, flow, run_key, attempt, parameters, definition, code, interval_start, interval_end, time_zone, cause, backfill,
    state, host, pid, started, ended, duration, bounds, source FROM runs";

impl RunRow {
    /// The parameters that are no secrets, as texts by name.
    ///
    /// # Errors
    ///
    /// If the ledger holds no parameters there.
    pub fn params(&self) -> Result<BTreeMap<String, String>> {
        serde_json::from_str(&self.parameters).map_err(|error| {
            let message = format!("the parameters of run {} cannot be read: {error}", self.id);
            Error::new(ErrorKind::Internal, message).because(error)
        })
    }

    fn of(row: &Row) -> rusqlite::Result<RunRow> {
        let (start, end): (Option<i64>, Option<i64>) = (row.get(7)?, row.get(8)?);
        Ok(RunRow {
            id: row.get(0)?,
            flow: row.get(1)?,
            run_key: row.get(2)?,
            attempt: row.get(3)?,
            parameters: row.get(4)?,
            definition: row.get(5)?,
            code: row.get(6)?,
            interval: start.zip(end).map(|(start, end)| (instant(start), instant(end))),
            time_zone: row.get(9)?,
            cause: row.get(10)?,
            backfill: row.get(11)?,
            state: state(row, 12)?,
            host: row.get(13)?,
            pid: row.get(14)?,
            started: instant(row.get(15)?),
            ended: row.get::<_, Option<i64>>(16)?.map(instant),
            duration: row.get(17)?,
            bounds: row.get::<_, Option<String>>(18)?.and_then(|text| serde_json::from_str(&text).ok()),
            source: row.get(19)?,
        })
    }
}

fn state(row: &Row, column: usize) -> rusqlite::Result<State> {
    let name: String = row.get(column)?;
    State::from_name(&name).ok_or_else(|| {
        let wrong = format!("there is no state `{}`", name.escape_debug());
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, wrong.into())
    })
}

impl Ledger {
    /// Notes that a run begins, with what is settled of it already, and gives its number and which attempt of its key it is.
    pub(in crate::flow) fn begin(&self, run: &NewRun, settled: &[Change]) -> Result<(RunId, u32)> {
        self.transaction(|sql| {
            let earlier: u32 = sql.query_row("SELECT coalesce(max(attempt), 0) FROM runs WHERE run_key = ?", [&run.run_key], |row| row.get(0))?;
            let (start, end) = run.interval.map(|(start, end)| (millis(start), millis(end))).unzip();
            sql.execute(
                "INSERT INTO runs (flow, run_key, attempt, parameters, definition, code, interval_start, interval_end, time_zone, cause, backfill,
                 state, host, pid, started, source) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?, ?)",
                params![
                    run.flow, run.run_key, earlier + 1, run.parameters, run.definition, run.code, start, end, run.time_zone, run.cause,
                    run.backfill, host(), std::process::id(), millis(run.started), run.source
                ],
            )?;
            let id = sql.last_insert_rowid();
            let mut add = sql.prepare_cached(ADD_TASK)?;
            for (position, task) in run.tasks.iter().enumerate() {
                add.execute(params![id, task.key, position, task.kind, task.is_idempotent, task.needs])?;
            }
            settled.iter().try_for_each(|change| change.write(sql, id))?;
            Ok((id, earlier + 1))
        })
    }

    /// Notes what has happened to runs, all of it or nothing.
    pub(in crate::flow) fn note(&self, changes: &[(RunId, Change)]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.transaction(|sql| changes.iter().try_for_each(|(run, change)| change.write(sql, *run)))
    }

    /// The runs, the latest first.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn runs(&self, flow: Option<&str>, limit: usize) -> Result<Vec<RunRow>> {
        let query = format!("{RUN} WHERE ?1 IS NULL OR flow = ?1 ORDER BY id DESC LIMIT ?2");
        self.read(|sql| sql.prepare_cached(&query)?.query_map(params![flow, limit], RunRow::of)?.collect())
    }

    /// A run by its number.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn run(&self, id: i64) -> Result<Option<RunRow>> {
        self.read(|sql| sql.query_row(&format!("{RUN} WHERE id = ?"), [id], RunRow::of).optional())
    }

    /// The last attempt of a run key.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn last_attempt(&self, run_key: &str) -> Result<Option<RunRow>> {
        let query = format!("{RUN} WHERE run_key = ? ORDER BY attempt DESC LIMIT 1");
        self.read(|sql| sql.query_row(&query, [run_key], RunRow::of).optional())
    }

    /// The tasks of a run, in the order of its plan.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn tasks(&self, run: i64) -> Result<Vec<TaskRow>> {
        let task = |row: &Row| {
            let (task, kind, state) = (row.get(0)?, row.get(1)?, state(row, 2)?);
            let (reason, inputs, outputs) = (row.get(3)?, row.get(4)?, row.get(5)?);
            let (is_idempotent, needs) = (row.get(6)?, row.get(7)?);
            Ok(TaskRow { task, kind, is_idempotent, state, reason, inputs, outputs, needs })
        };
        self.read(|sql| {
            let needs = needs_column(sql)?;
            let query = format!("SELECT task, kind, state, reason, inputs, outputs, idempotent, {needs} FROM tasks WHERE run = ? ORDER BY position");
            sql.prepare_cached(&query)?.query_map([run], task)?.collect()
        })
    }

    /// The tries of a run, in the order in which they began.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn tries(&self, run: i64) -> Result<Vec<TryRow>> {
        let one = |row: &Row| {
            Ok(TryRow {
                task: row.get(0)?,
                number: row.get(1)?,
                state: state(row, 2)?,
                before: row.get(3)?,
                started: instant(row.get(4)?),
                ended: row.get::<_, Option<i64>>(5)?.map(instant),
                duration: row.get(6)?,
                error_kind: row.get(7)?,
                error: row.get(8)?,
                log: row.get(9)?,
            })
        };
        let query = "SELECT task, try, state, before, started, ended, duration, error_kind, error, log FROM tries WHERE run = ?
            ORDER BY started, task, try";
        self.read(|sql| sql.prepare_cached(query)?.query_map([run], one)?.collect())
    }

    /// Asks the process of a run to cancel it; false if the run has ended.
    pub(in crate::flow) fn request_cancel(&self, run: RunId) -> Result<bool> {
        let update = "UPDATE runs SET cancel_requested = 1 WHERE id = ? AND state = 'running'";
        self.transaction(|sql| Ok(sql.execute(update, [run])? > 0))
    }

    /// Those of some runs that somebody has asked to be canceled.
    pub(in crate::flow) fn cancel_requests(&self) -> Result<Vec<RunId>> {
        let query = "SELECT id FROM runs WHERE state = 'running' AND cancel_requested = 1";
        self.read(|sql| sql.prepare_cached(query)?.query_map([], |row| row.get(0))?.collect())
    }

    /// The runs that no process has told the end of.
    pub(in crate::flow) fn unfinished(&self) -> Result<Vec<RunRow>> {
        let query = format!("{RUN} WHERE state = 'running' ORDER BY id");
        self.read(|sql| sql.prepare_cached(&query)?.query_map([], RunRow::of)?.collect())
    }
}

const ADD_TASK: &str = "INSERT INTO tasks (run, task, position, kind, idempotent, needs, state) VALUES (?, ?, ?, ?, ?, ?, 'queued')";

impl Change {
    fn write(&self, sql: &Connection, run: RunId) -> rusqlite::Result<()> {
        match self {
            Change::Added { task, position } => {
                sql.prepare_cached(ADD_TASK)?.execute(params![
                    run,
                    task.key,
                    position,
                    task.kind,
                    task.is_idempotent,
                    task.needs
                ])?;
            }
            Change::Task { task, state, reason } => {
                let update = "UPDATE tasks SET state = ?3, reason = ?4 WHERE run = ?1 AND task = ?2";
                sql.prepare_cached(update)?.execute(params![run, task, state.name(), reason])?;
            }
            Change::Fingerprint { task, inputs, outputs } => {
                let update = "UPDATE tasks SET inputs = ?3, outputs = ?4 WHERE run = ?1 AND task = ?2";
                sql.prepare_cached(update)?.execute(params![run, task, inputs, outputs])?;
            }
            Change::Began { task, number, before, at, log } => {
                let insert = "INSERT INTO tries (run, task, try, state, before, started, log) VALUES (?, ?, ?, 'running', ?, ?, ?)";
                sql.prepare_cached(insert)?.execute(params![run, task, number, before, millis(*at), log])?;
            }
            Change::Tried { task, number, state, at, duration, error } => {
                let (kind, error) = error.as_ref().map(|(kind, error)| (kind, error)).unzip();
                let update =
                    "UPDATE tries SET state = ?4, ended = ?5, duration = ?6, error_kind = ?7, error = ?8
                    WHERE run = ?1 AND task = ?2 AND try = ?3";
                let values = params![run, task, number, state.name(), millis(*at), duration, kind, error];
                sql.prepare_cached(update)?.execute(values)?;
            }
            Change::Ended { state, at, duration, bounds } => {
                let update =
                    "UPDATE runs SET state = ?2, ended = ?3, duration = ?4, bounds = ?5 WHERE id = ?1";
                sql.prepare_cached(update)?.execute(params![
                    run,
                    state.name(),
                    millis(*at),
                    duration,
                    bounds
                ])?;
            }
        }
        Ok(())
    }
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Rows as the tests of those that show them need them.
#[cfg(test)]
mod rows {
    use super::{RunRow, State, TaskRow, Timestamp, TryRow};

    impl RunRow {
        pub(crate) fn for_tests(id: i64, run_key: &str, state: State, started: Timestamp) -> RunRow {
            RunRow {
                id,
                flow: run_key.split('?').next().unwrap().to_owned(),
                source: None,
                run_key: run_key.to_owned(),
                attempt: 1,
                parameters: "{}".to_owned(),
                definition: String::new(),
                code: String::new(),
                interval: None,
                time_zone: "UTC".to_owned(),
                cause: "manual".to_owned(),
                backfill: None,
                state,
                host: "here".to_owned(),
                pid: 1,
                started,
                ended: None,
                duration: Some(1200),
                bounds: None,
            }
        }
    }

    impl TaskRow {
        pub(crate) fn for_tests(key: &str, state: State, needs: Option<String>) -> TaskRow {
            let (task, kind) = (key.to_owned(), "job".to_owned());
            TaskRow {
                task,
                kind,
                is_idempotent: true,
                state,
                reason: None,
                inputs: None,
                outputs: None,
                needs,
            }
        }
    }

    impl TryRow {
        pub(crate) fn for_tests(
            key: &str,
            number: u32,
            state: State,
            at: Timestamp,
            error: Option<&str>,
        ) -> TryRow {
            TryRow {
                task: key.to_owned(),
                number,
                state,
                before: None,
                started: at,
                ended: Some(at),
                duration: Some(7),
                error_kind: None,
                error: error.map(str::to_owned),
                log: None,
            }
        }
    }
}
