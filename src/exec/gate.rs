//! A fence that holds between processes: what a task of a flow has started commits nothing once that task is stopped, or its process is gone.
//!
//! A gate is a file, and a program that a task runs finds its name in the environment. To pass, it locks the file together with others, and looks
//! that it is open and that its owner lives; it keeps the lock until it has committed. Who closes the gate empties and unlinks the file, and can
//! wait until nobody passes any more. The owner lives as long as another file beside the gates is locked: that lock goes with its process, however it
//! ends. Whoever settles what a dead owner has left closes its gates first, so that nothing is committed behind its back.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};

/// The variable that names the gate of a program.
pub const VARIABLE: &str = "GRISTMILL_GATE";

/// The file that is locked as long as the owner of the gates beside it lives.
const OWNER: &str = "owner";

/// Stands in the file of an open gate, before the name of the gate that its owner itself has to pass.
const OPEN: u8 = b'+';

/// A directory of gates, made with the first one, and deleted with this.
#[derive(Debug)]
pub struct Gates {
    dir: PathBuf,
    owner: Mutex<Option<File>>,
}

impl Gates {
    /// The gates of a directory, which belongs to nobody else that lives.
    pub fn new(dir: PathBuf) -> Gates {
        Gates { dir, owner: Mutex::new(None) }
    }

    /// Makes a gate, which is open.
    ///
    /// # Errors
    ///
    /// If its files cannot be made.
    pub fn open(&self) -> io::Result<Gate> {
        let mut owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        if owner.is_none() {
            close_all(&self.dir)?;
            fs::create_dir_all(&self.dir)?;
            let file = File::create_new(self.dir.join(OWNER))?;
            file.lock()?;
            *owner = Some(file);
        }
        let mut file =
            tempfile::Builder::new().prefix("gate-").rand_bytes(16).tempfile_in(self.dir.canonicalize()?)?;
        let outer = std::env::var_os(VARIABLE).unwrap_or_default();
        file.write_all(&[&[OPEN], outer.as_bytes()].concat())?;
        let (file, path) = file.keep().map_err(|error| error.error)?;
        Ok(Gate { path, file })
    }
}

impl Drop for Gates {
    fn drop(&mut self) {
        if self.owner.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            let _ = close_all(&self.dir);
        }
    }
}

/// Closes the gates of a directory, waits until nobody passes them, and deletes it.
///
/// # Errors
///
/// If one cannot be closed.
pub fn close_all(dir: &Path) -> io::Result<()> {
    for path in in_dir(dir)? {
        let file = File::options().read(true).write(true).open(&path)?;
        Gate { path, file }.close()?;
    }
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The gates of a directory, by the names that programs know them by; none if it is not there.
///
/// # Errors
///
/// If it cannot be read.
pub fn in_dir(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let found = dir.canonicalize().and_then(fs::read_dir);
    match found {
        Ok(entries) => {
            let paths = entries.map(|entry| Ok(entry?.path()));
            paths.filter(|path| !path.as_ref().is_ok_and(|path| path.ends_with(OWNER))).collect()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The gate of one program.
#[derive(Debug)]
pub struct Gate {
    path: PathBuf,
    file: File,
}

impl Gate {
    /// What [`VARIABLE`] is set to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets nobody begin to pass any more; who passes already goes on.
    ///
    /// # Errors
    ///
    /// If the file cannot be changed.
    pub fn shut(&self) -> io::Result<()> {
        self.file.set_len(0)?;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Lets nobody pass any more, and waits for who does.
    ///
    /// # Errors
    ///
    /// If the file cannot be changed or locked.
    pub fn close(&self) -> io::Result<()> {
        self.shut()?;
        self.file.lock()?;
        // Who has looked just before the gate was shut, and then got its lock, has passed; who looks later finds it shut.
        self.file.unlock()
    }
}

/// Who has this passes: no gate on the way is closed to its end meanwhile.
#[derive(Debug)]
pub struct Passed {
    _locked: Vec<File>,
}

/// Passes the gate of this process, and those of the processes that it belongs to; there may be none.
///
/// # Errors
///
/// [`ErrorKind::Canceled`] if one is closed, or its owner is gone.
pub fn pass() -> Result<Passed> {
    pass_from(std::env::var_os(VARIABLE).unwrap_or_default())
}

fn pass_from(mut gate: OsString) -> Result<Passed> {
    let mut locked = Vec::new();
    while !gate.is_empty() {
        let (file, outer) = pass_one(Path::new(&gate)).map_err(|error| refused(&error))?;
        locked.push(file);
        gate = outer;
    }
    Ok(Passed { _locked: locked })
}

/// Locks a gate that is open, and gives the one behind it.
fn pass_one(path: &Path) -> io::Result<(File, OsString)> {
    let mut file = File::open(path)?;
    file.lock_shared()?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    let Some((&OPEN, outer)) = content.split_first() else {
        return Err(io::Error::other("it was stopped"));
    };
    let owner = File::open(path.with_file_name(OWNER))?;
    match owner.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Ok((file, OsString::from_vec(outer.to_vec()))),
        Err(TryLockError::Error(error)) => Err(error),
        Ok(()) => Err(io::Error::other("its process is gone")),
    }
}

fn refused(error: &io::Error) -> Error {
    let message = format!("nothing is committed: the task that has started this is over ({error})");
    Error::new(ErrorKind::Canceled, message).hint("run the flow again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_passed_while_it_is_open_and_its_owner_lives() {
        let dir = tempfile::tempdir().unwrap();
        let gates = Gates::new(dir.path().join("1"));
        let (one, two) = (gates.open().unwrap(), gates.open().unwrap());
        pass_from(one.path().into()).unwrap();
        one.close().unwrap();
        let error = pass_from(one.path().into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Canceled);
        pass_from(two.path().into()).unwrap();

        // As if the process had died: its lock is free, its files stay.
        drop(gates.owner.lock().unwrap().take());
        let error = pass_from(two.path().into()).unwrap_err();
        assert!(error.to_string().contains("its process is gone"), "{error}");
        close_all(&dir.path().join("1")).unwrap();
        assert!(pass_from(two.path().into()).is_err() && !dir.path().join("1").exists());
    }

    #[test]
    fn who_closes_waits_for_who_passes_and_who_shuts_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let gates = Gates::new(dir.path().join("1"));
        let gate = gates.open().unwrap();
        let path = gate.path().to_owned();
        let passed = pass_from(path.clone().into()).unwrap();
        gate.shut().unwrap();
        assert!(pass_from(path.into()).is_err());
        let other = gate.file.try_clone().unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(passed);
        gate.close().unwrap();
    }

    #[test]
    fn who_was_started_by_one_that_has_a_gate_itself_passes_both() {
        let dir = tempfile::tempdir().unwrap();
        let (outer, inner) = (Gates::new(dir.path().join("outer")), Gates::new(dir.path().join("inner")));
        let (outer, inner) = (
            outer.open().map(|gate| (gate, outer)).unwrap(),
            inner.open().map(|gate| (gate, inner)).unwrap(),
        );
        fs::write(inner.0.path(), [b"+", outer.0.path().as_os_str().as_bytes()].concat()).unwrap();
        pass_from(inner.0.path().into()).unwrap();
        outer.0.shut().unwrap();
        assert!(pass_from(inner.0.path().into()).is_err());
    }

    #[test]
    fn nothing_is_left_of_gates_that_nobody_needs() {
        let dir = tempfile::tempdir().unwrap();
        let gates = Gates::new(dir.path().join("1"));
        gates.open().unwrap();
        drop(gates);
        assert!(!dir.path().join("1").exists());
        drop(Gates::new(dir.path().join("2")));
    }
}
