//! The ledger: one `SQLite` file that records every run, task and try.
//!
//! The outputs are the truth, the ledger is the record. It is written in transactions, many changes in each, by one process at a time; readers see
//! whole transactions. It must lie on a local file system, since its locks do not hold on others.

mod backfills;
mod place;
mod runs;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Error, ErrorKind, Result, printable};

pub(super) use backfills::NewBackfill;
pub(super) use runs::{Change, NewRun, NewTask, RunId};
pub use runs::{RunRow, TaskRow, TryRow};

/// How long a process waits for another one that writes.
const BUSY: Duration = Duration::from_secs(30);

/// An open ledger.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Ledger {
    /// Opens a ledger, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it is damaged, cannot be written, lies on a network file system, or was written by a newer gristmill. Outputs do not
    /// depend on it, and are not touched.
    pub fn open(path: &Path) -> Result<Ledger> {
        let dir = directory(path);
        std::fs::create_dir_all(dir).map_err(|error| {
            Error::io(ErrorKind::Config, "create the directory of the ledger", dir, error)
        })?;
        place::refuse_networks(path, dir)?;
        place::refuse_read_only(path)?;
        let connection = Connection::open(path).map_err(|error| fault(path, error))?;
        let ledger = Ledger { path: path.to_owned(), connection: Mutex::new(connection) };
        ledger.with(|connection| schema::prepare(connection, path))?;
        Ok(ledger)
    }

    /// Opens a ledger that must be there, to read it.
    ///
    /// # Errors
    ///
    /// As [`Ledger::open`], and if there is none.
    pub fn open_to_read(path: &Path) -> Result<Ledger> {
        if !path.exists() {
            let message = format!("there is no ledger at {}", printable(path));
            return Err(Error::new(ErrorKind::Config, message)
                .hint("run a flow first, or name another ledger by --ledger or GRISTMILL_LEDGER"));
        }
        place::refuse_networks(path, directory(path))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| fault(path, error))?;
        let ledger = Ledger { path: path.to_owned(), connection: Mutex::new(connection) };
        ledger.with(|connection| schema::check(connection, path))?;
        Ok(ledger)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory beside it for what belongs to it.
    pub(super) fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads, or writes by itself.
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T>) -> Result<T> {
        work(&mut self.lock())
    }

    /// Does all of `work`, or nothing of it.
    fn transaction<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut connection = self.lock();
        let result = (|| {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })();
        result.map_err(|error| fault(&self.path, error))
    }

    /// Reads.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.lock()).map_err(|error| fault(&self.path, error))
    }
}

/// The directory that a file lies in.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What `SQLite` says, with what to do.
fn fault(path: &Path, error: rusqlite::Error) -> Error {
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "it is damaged: move it away, and outputs that are complete will be found so again"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => place::WRITABLE,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has held it for half a minute: see what it does, and try again"
        }
        Some(ErrorCode::DiskFull) => "make room on its disk",
        _ => "see what SQLite says about it",
    };
    let message = format!("the ledger {} cannot be used: {error}", printable(path));
    Error::new(ErrorKind::Config, message).hint(hint).because(error)
}

/// An instant as the ledger has it: milliseconds since 1970.
fn millis(instant: Timestamp) -> i64 {
    instant.as_millisecond()
}

/// The instant that the ledger means.
fn instant(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or_default()
}
