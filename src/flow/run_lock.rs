//! The lock of a run key: it is held by the process that runs it, and free as soon as that process is gone.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::ledger::RunId;
use crate::error::{Error, ErrorKind, Result};

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct RunLock(File);

impl RunLock {
    /// Takes the lock of a run key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] if another process has it, whose run is named.
    pub fn take(dir: &Path, run_key: &str) -> Result<RunLock> {
        let path = path(dir, run_key);
        let failed = |error| Error::io(ErrorKind::Config, "lock", &path, error);
        std::fs::create_dir_all(dir).map_err(failed)?;
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(RunLock(file)),
            Err(TryLockError::Error(error)) => Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&file).take(MAX_HOLDER).read_to_string(&mut holder);
                let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
                Err(Error::new(ErrorKind::Busy, format!("{run_key} is running already: {holder}"))
                    .hint("wait for it, or cancel it"))
            }
        }
    }

    /// Says in the file which run holds the lock.
    pub fn name(&mut self, run: RunId) {
        let holder = format!("run {run}, process {}", std::process::id());
        // It is for messages only.
        let _ = self
            .0
            .set_len(0)
            .and_then(|()| self.0.rewind())
            .and_then(|()| self.0.write_all(holder.as_bytes()));
    }

    /// Whether nobody runs a run key.
    pub fn is_free(dir: &Path, run_key: &str) -> bool {
        match File::open(path(dir, run_key)) {
            Ok(file) => file.try_lock_shared().is_ok(),
            Err(_) => true,
        }
    }
}

const MAX_HOLDER: u64 = 1000;

fn path(dir: &Path, run_key: &str) -> PathBuf {
    dir.join(format!("{:016x}.lock", xxh3_64(run_key.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_and_told_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = RunLock::take(dir.path(), "hits?date=2026-01-31").unwrap();
        first.name(7);
        assert!(!RunLock::is_free(dir.path(), "hits?date=2026-01-31"));
        let error = RunLock::take(dir.path(), "hits?date=2026-01-31").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("is running already: run 7, process "), "{error}");
        RunLock::take(dir.path(), "hits?date=2026-02-01").unwrap();
        drop(first);
        assert!(RunLock::is_free(dir.path(), "hits?date=2026-01-31"));
        RunLock::take(dir.path(), "hits?date=2026-01-31").unwrap();
    }
}
