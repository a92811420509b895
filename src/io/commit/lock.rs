//! The lock beside a target that lets one run at a time write it.
//!
//! The lock is the kernel's lock on an open file, so it is free the moment its holder is gone, however it went. The file
//! itself is never deleted: whoever deleted it would take the lock away from a run that waits on the old file while
//! another creates a new one. What the file contains only serves the message for those who find it taken.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::fs::{Fs, lacks_locks};
use crate::error::{Error, ErrorKind, Result, printable};

/// No lock file is read beyond this, whatever somebody may have written to it.
const HOLDER_BYTES: u64 = 4096;

/// A lock file whose lock this process holds until the value is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock at a path if it is free, and leaves word of who holds it; `None` if it is taken.
    pub(super) fn try_take(fs: &Fs, path: &Path) -> Result<Option<Lock>> {
        let file = fs.open_lock(path)?;
        if !fs.try_lock(&file, path)? {
            return Ok(None);
        }
        let lock = Lock { file, path: path.to_owned() };
        lock.leave_word(fs)?;
        Ok(Some(lock))
    }

    /// Takes the lock beside a target.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`], naming the holder, if another run has it.
    pub(super) fn take(fs: &Fs, path: &Path, target: &Path) -> Result<Lock> {
        match Lock::try_take(fs, path)? {
            Some(lock) => Ok(lock),
            None => Err(busy(target, Holder::read(fs, path))),
        }
    }

    /// Takes the lock beside a target in the way in which several runs may hold it at a time, and which keeps out those that
    /// want it for themselves. Who holds it is not said before [`Lock::leave_word`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`], naming the holder, if another run has it for itself.
    pub(super) fn take_shared(fs: &Fs, path: &Path, target: &Path) -> Result<Lock> {
        let file = fs.open_lock(path)?;
        if fs.try_lock_shared(&file, path)? {
            return Ok(Lock { file, path: path.to_owned() });
        }
        Err(busy(target, Holder::read(fs, path)))
    }

    /// Waits for a lock that nobody holds for long.
    pub(super) fn wait(fs: &Fs, path: &Path) -> Result<Lock> {
        let file = fs.open_lock(path)?;
        fs.wait_lock(&file, path)?;
        Ok(Lock { file, path: path.to_owned() })
    }

    /// Waits for the lock of a file that may be deleted meanwhile; `None` if it is gone already.
    pub(super) fn wait_if_there(fs: &Fs, path: &Path) -> Result<Option<Lock>> {
        let Some(file) = fs.open_lock_if_there(path)? else { return Ok(None) };
        fs.wait_lock(&file, path)?;
        Ok(Some(Lock { file, path: path.to_owned() }))
    }

    /// Names this process as a holder of the lock, where a file that is there can be written to.
    pub(super) fn leave_word(&self, fs: &Fs) -> Result<()> {
        let word = Holder::this_process().to_json()?;
        match fs.truncate(&self.file, &self.path).and_then(|()| fs.write(&self.file, &self.path, &word)) {
            Err(error) if lacks_locks(&error) => Ok(()),
            left => left,
        }
    }

    /// Fails unless the file that is locked is still the one that others would find.
    pub(super) fn check_held(&self, fs: &Fs) -> Result<()> {
        let ours = fs.inspect_open(&self.file, &self.path)?;
        match fs.inspect(&self.path)? {
            Some(found) if (found.dev(), found.ino()) == (ours.dev(), ours.ino()) => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Output,
                format!("the lock file {} was deleted or replaced during the run", printable(&self.path)),
            )
            .hint("another run may be writing this output: see that none is, and run again")),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that another thread is just starting shares it until it
        // executes its program, and would hold the lock for that long.
        let _ = self.file.unlock();
    }
}

/// Whether nobody holds the lock of a file; so it is where the file is missing.
pub(super) fn is_free(fs: &Fs, path: &Path) -> Result<bool> {
    let Some(file) = fs.open_lock_if_there(path)? else { return Ok(true) };
    let is_free = fs.try_lock(&file, path)?;
    let _ = file.unlock(); // at once, for the reason given at the lock's drop
    Ok(is_free)
}

/// Who holds a lock, as far as the lock file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    host: String,
    /// Seconds since 1970-01-01T00:00:00Z.
    since_unix_s: u64,
}

impl Holder {
    fn this_process() -> Holder {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Holder { pid: std::process::id(), host, since_unix_s: unix_seconds() }
    }

    /// `None` where the holder has not left word yet, or where what it left cannot be read.
    fn read(fs: &Fs, path: &Path) -> Option<Holder> {
        let file = fs.open(path).ok()??;
        serde_json::from_slice(&fs.read(&file, path, HOLDER_BYTES).ok()?).ok()
    }

    fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| {
            Error::new(ErrorKind::Internal, "cannot describe the lock's holder").because(error)
        })
    }
}

/// The error of a run that finds `part` of a target taken by the holder of the lock at `path`.
pub(super) fn busy_at(fs: &Fs, path: &Path, part: &Path) -> Error {
    busy(part, Holder::read(fs, path))
}

fn busy(target: &Path, holder: Option<Holder>) -> Error {
    let target = printable(target);
    let message = match holder {
        None => format!("the output {target} is being written by another run"),
        Some(Holder { pid, host, since_unix_s }) => {
            let seconds = unix_seconds().saturating_sub(since_unix_s);
            let host = printable(Path::new(&host));
            format!("the output {target} is being written by process {pid} on {host} since {seconds} s")
        }
    };
    Error::new(ErrorKind::Busy, message).hint("wait for it to end, or write to another path")
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&Fs::real(), &path, Path::new("out")).unwrap();
        let error = Lock::take(&Fs::real(), &path, Path::new("out")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        assert!(is_free(&Fs::real(), &path).unwrap());
    }

    #[test]
    fn a_lock_file_with_nonsense_in_it_is_only_a_shorter_message() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::take(&Fs::real(), &path, Path::new("out")).unwrap();
        std::fs::write(&path, vec![0xff; 100_000]).unwrap();
        let error = Lock::take(&Fs::real(), &path, Path::new("out")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        drop(held);
    }

    #[test]
    fn a_dropped_lock_is_free_even_while_a_starting_child_shares_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::take(&Fs::real(), &path, Path::new("out")).unwrap();
        let shared = held.file.try_clone().unwrap();
        drop(held);
        Lock::take(&Fs::real(), &path, Path::new("out")).unwrap();
        drop(shared);
    }

    #[test]
    fn a_deleted_lock_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = Lock::take(&Fs::real(), &path, Path::new("out")).unwrap();
        held.check_held(&Fs::real()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(held.check_held(&Fs::real()).is_err());
        std::fs::write(&path, "").unwrap();
        assert!(held.check_held(&Fs::real()).is_err());
    }
}
