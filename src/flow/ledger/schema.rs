//! The tables of the ledger, and their version.

use std::path::Path;

use rusqlite::Connection;

use super::{BUSY, fault};
use crate::error::{Error, ErrorKind, Result, printable};

/// The version of the tables, in `PRAGMA user_version`. A newer gristmill brings older ledgers to its own.
const VERSION: i64 = 2;

/// `id` in the header of the file: "GRST".
const APPLICATION: i64 = 0x4752_5354;

const TABLES: &str = "
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    flow TEXT NOT NULL,
    source TEXT,                  -- the file that the flow was read from
    run_key TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    parameters TEXT NOT NULL,     -- JSON, without secrets
    definition TEXT NOT NULL,     -- a hash of what the flow said
    code TEXT NOT NULL,           -- a hash of the program, where closures are run; else empty
    interval_start INTEGER,       -- milliseconds since 1970, as all times here
    interval_end INTEGER,
    time_zone TEXT NOT NULL,
    cause TEXT NOT NULL,          -- manual, rerun, backfill, schedule
    backfill INTEGER REFERENCES backfills (id),
    state TEXT NOT NULL,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER,
    duration INTEGER,             -- milliseconds of a clock that nobody sets
    bounds TEXT,                  -- JSON: what the time went to
    UNIQUE (run_key, attempt)
);
CREATE INDEX runs_by_flow ON runs (flow, id);

CREATE TABLE tasks (
    run INTEGER NOT NULL REFERENCES runs (id),
    task TEXT NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    idempotent INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    inputs TEXT,                  -- JSON: the fingerprint of what it read
    outputs TEXT,                 -- JSON: where it wrote
    needs TEXT,                   -- JSON: the keys of the tasks that it waits for; of an item nothing, since its task has them
    PRIMARY KEY (run, task)
) WITHOUT ROWID;

CREATE TABLE tries (
    run INTEGER NOT NULL REFERENCES runs (id),
    task TEXT NOT NULL,
    try INTEGER NOT NULL,
    state TEXT NOT NULL,
    before TEXT,                  -- JSON: what lay at the outputs when it began
    started INTEGER NOT NULL,
    ended INTEGER,
    duration INTEGER,
    error_kind TEXT,
    error TEXT,
    log TEXT,
    PRIMARY KEY (run, task, try)
) WITHOUT ROWID;

CREATE TABLE backfills (
    id INTEGER PRIMARY KEY,
    flow TEXT NOT NULL,
    parameters TEXT NOT NULL,
    options TEXT NOT NULL,        -- JSON: order, max_active, rate, reprocess
    state TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER
);

CREATE TABLE backfill_intervals (
    backfill INTEGER NOT NULL REFERENCES backfills (id),
    position INTEGER NOT NULL,
    value TEXT NOT NULL,          -- the value of the parameter that tells the interval
    state TEXT NOT NULL,
    run INTEGER REFERENCES runs (id),
    PRIMARY KEY (backfill, position)
) WITHOUT ROWID;

CREATE TABLE schedules (
    flow TEXT PRIMARY KEY,
    fired INTEGER NOT NULL        -- the last time that was due and dealt with
) WITHOUT ROWID;
";

/// What brings the tables of each earlier version to the next one, from version 1 on.
const STEPS: [&str; VERSION as usize - 1] = ["ALTER TABLE tasks ADD COLUMN needs TEXT"];

/// Makes the tables where there are none, brings older ones to this version, and checks those that there are.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<()> {
    let prepared = (|| {
        connection.busy_timeout(BUSY)?;
        // Readers and the writer do not wait for each other; after a loss of power the last changes may be missing, but nothing is torn.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        if version(&transaction)? == 0 && is_empty(&transaction)? {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        upgrade(&transaction)?;
        transaction.commit()
    })();
    prepared.map_err(|error| fault(path, error))?;
    check(connection, path)
}

/// Brings the tables of an earlier version to this one. A database that is no ledger is left alone.
fn upgrade(connection: &Connection) -> rusqlite::Result<()> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let from = version(connection)?;
    if application != APPLICATION || !(1..VERSION).contains(&from) {
        return Ok(());
    }
    let steps = STEPS.iter().zip(1..).filter(|(_, version)| *version >= from);
    steps.map(|(step, _)| step).try_for_each(|step| connection.execute_batch(step))?;
    connection.pragma_update(None, "user_version", VERSION)
}

/// The expression for the dependencies of a task: ledgers of version 1, which are read as they are, have no such column.
pub(super) fn needs_column(connection: &Connection) -> rusqlite::Result<&'static str> {
    Ok(if version(connection)? < 2 { "NULL" } else { "needs" })
}

/// Fails for a file that is whole but not a ledger of this version.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<()> {
    let read = || {
        connection.busy_timeout(BUSY)?;
        let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let damage: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        Ok((application, version(connection)?, damage))
    };
    let (application, version, damage) = read().map_err(|error| fault(path, error))?;
    let wrong = |what: String, hint: &str| Err(Error::new(ErrorKind::Config, what).hint(hint));
    let path = printable(path);
    if damage != "ok" {
        let hint = "move it away: outputs that are complete will be found so again";
        return wrong(format!("the ledger {path} is damaged: {damage}"), hint);
    }
    if application != APPLICATION {
        return wrong(format!("{path} is a database, but no ledger"), "name another file by --ledger");
    }
    if version > VERSION {
        let message = format!(
            "the ledger {path} was written by a newer gristmill (version {version}, this one knows {VERSION})"
        );
        return wrong(message, "use that gristmill, or name another ledger by --ledger");
    }
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Ledger, State};

    /// A ledger as version 1 has written it, with a run of one task.
    fn version_1(path: &Path) {
        let needs = TABLES.lines().find(|line| line.trim_start().starts_with("needs ")).unwrap();
        let connection = Connection::open(path).unwrap();
        connection.execute_batch(&TABLES.replace(needs, "")).unwrap();
        connection.pragma_update(None, "application_id", APPLICATION).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO runs (id, flow, run_key, attempt, parameters, definition, code, time_zone, cause, state, host, pid, started)
                 VALUES (7, 'old', 'old', 1, '{}', '', '', 'UTC', 'manual', 'succeeded', 'here', 1, 0);
                 INSERT INTO tasks (run, task, position, kind, idempotent, state) VALUES (7, 't', 0, 'job', 1, 'succeeded')",
            )
            .unwrap();
    }

    #[test]
    fn a_ledger_of_version_1_is_read_as_it_is_and_brought_on_by_who_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.sqlite");
        version_1(&path);
        let is_whole = |ledger: &Ledger, expected: i64| {
            let tasks = ledger.tasks(7).unwrap();
            assert_eq!((tasks.len(), tasks[0].state, &tasks[0].needs), (1, State::Succeeded, &None));
            let found = version(&Connection::open(&path).unwrap()).unwrap();
            assert_eq!(found, expected);
        };
        is_whole(&Ledger::open_to_read(&path).unwrap(), 1);
        for _ in 0..2 {
            is_whole(&Ledger::open(&path).unwrap(), VERSION);
        }
        is_whole(&Ledger::open_to_read(&path).unwrap(), VERSION);
    }

    #[test]
    fn an_upgraded_ledger_has_the_tables_of_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let columns = |name: &str| {
            let path = dir.path().join(name);
            Ledger::open(&path).unwrap();
            let connection = Connection::open(&path).unwrap();
            let query = "SELECT m.name || '.' || c.name || ' ' || c.type FROM sqlite_schema m, pragma_table_info(m.name) c ORDER BY 1";
            let mut found = connection.prepare(query).unwrap();
            let rows = found.query_map([], |row| row.get::<_, String>(0)).unwrap();
            rows.collect::<rusqlite::Result<Vec<_>>>().unwrap()
        };
        version_1(&dir.path().join("old"));
        assert_eq!(columns("old"), columns("new"));
    }
}
