//! The tables of the ledger, and their version.

use std::path::Path;

use rusqlite::Connection;

use super::{BUSY, fault};
use crate::error::{Error, ErrorKind, Result, printable};

/// The version of the tables, in `PRAGMA user_version`. A newer gristmill brings older ledgers to its own.
const VERSION: i64 = 1;

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

/// Makes the tables where there are none, and checks those that there are.
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
        transaction.commit()
    })();
    prepared.map_err(|error| fault(path, error))?;
    check(connection, path)
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
