//! The file-system calls of a commit, all in one place.
//!
//! Everything that a commit asks of the file system goes through [`Fs`], for three reasons: the messages are worded
//! once, the atomic renames are found in one place, and a test can make any single call fail.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind as Io, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, AtFlags, CWD, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::{Error, ErrorKind, Result};

/// A kind of file-system call, as a [`Hook`] sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// Asking what a path is, without changing anything.
    Inspect,
    /// Listing a directory.
    List,
    /// Creating a directory.
    CreateDirectory,
    /// Creating a file that must not be there yet.
    CreateFile,
    /// Opening a file.
    Open,
    /// Reading from an open file.
    Read,
    /// Asking for the lock of an open file.
    Lock,
    /// Giving a file a second name.
    Link,
    /// Writing to an open file.
    Write,
    /// Making the contents of a file durable.
    SyncFile,
    /// Making the names in a directory durable.
    SyncDirectory,
    /// Giving a file or directory a name that must be free.
    RenameNew,
    /// Exchanging two directories.
    Exchange,
    /// Giving a file a name that another file may have.
    Replace,
    /// Deleting a file, or a directory with all that is in it.
    Remove,
}

impl Call {
    /// The call as it reads after "cannot".
    fn verb(self) -> &'static str {
        match self {
            Call::Inspect => "inspect",
            Call::List => "list",
            Call::CreateDirectory => "create the directory",
            Call::CreateFile => "create",
            Call::Open => "open",
            Call::Read => "read",
            Call::Lock => "lock",
            Call::Link => "link to",
            Call::Write => "write",
            Call::SyncFile | Call::SyncDirectory => "make durable",
            Call::RenameNew => "put the output in place at",
            Call::Exchange | Call::Replace => "replace",
            Call::Remove => "delete",
        }
    }
}

/// Sees every file-system call of a commit before it is made, and may let it fail.
///
/// This is how tests fail the *n*-th call, for every *n*. A call that the hook refuses is not made.
pub trait Hook: Send + Sync {
    /// Called before a call on a path; an error is handed to the caller in place of the call's result.
    fn before(&self, call: Call, path: &Path) -> io::Result<()>;
}

/// The file system as commits use it; cheap to clone.
///
/// # Examples
///
/// ```
/// use gristmill::io::commit::Fs;
///
/// let fs = Fs::real();
/// assert!(fs.inspect(std::path::Path::new("no/such/path"))?.is_none());
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Fs {
    hook: Option<Arc<dyn Hook>>,
    renames: Renames,
}

/// Which renames there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Renames {
    /// Those of the file system.
    #[default]
    All,
    /// Those without flags.
    Plain,
    None,
}

impl Fs {
    /// The file system of the operating system.
    pub fn real() -> Fs {
        Fs::default()
    }

    /// The same, with a hook that sees every call first.
    pub fn hooked(hook: Arc<dyn Hook>) -> Fs {
        Fs { hook: Some(hook), renames: Renames::All }
    }

    /// The same with renames that take no flags, as on NFS: two directories cannot be exchanged. For tests.
    #[must_use]
    pub fn without_exchange(self) -> Fs {
        Fs { renames: Renames::Plain, ..self }
    }

    /// The same without any renames, as in an object store that is mounted. For tests.
    #[must_use]
    pub fn without_renames(self) -> Fs {
        Fs { renames: Renames::None, ..self }
    }

    /// What lies at a path, symbolic links not followed; `None` where nothing does.
    pub fn inspect(&self, path: &Path) -> Result<Option<Metadata>> {
        self.call(Call::Inspect, path, || none_if_missing(path.symlink_metadata()))
    }

    /// The path without symbolic links; `None` where it leads nowhere.
    pub(super) fn resolve(&self, path: &Path) -> Result<Option<PathBuf>> {
        self.call(Call::Inspect, path, || none_if_missing(path.canonicalize()))
    }

    /// Fails unless this process may add and remove names in a directory.
    pub(super) fn check_writable(&self, dir: &Path) -> Result<()> {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        self.call(Call::Write, dir, || Ok(rustix::fs::accessat(CWD, dir, access, AtFlags::EACCESS)?))
    }

    /// The names in a directory, sorted.
    pub(super) fn list(&self, dir: &Path) -> Result<Vec<OsString>> {
        self.call(Call::List, dir, || {
            let mut names: Vec<_> =
                dir.read_dir()?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
            names.sort_unstable();
            Ok(names)
        })
    }

    pub(super) fn create_dir(&self, path: &Path) -> Result<()> {
        self.call(Call::CreateDirectory, path, || std::fs::create_dir(path))
    }

    /// Creates a file that must not be there yet, not even as a symbolic link.
    pub(super) fn create_new(&self, path: &Path) -> Result<File> {
        self.call(Call::CreateFile, path, || OpenOptions::new().write(true).create_new(true).open(path))
    }

    /// Opens a file that only serves to be locked, and creates it where it is missing. A symbolic link in its place is
    /// refused: it could make a run write to any file of its user.
    pub(super) fn open_lock(&self, path: &Path) -> Result<File> {
        self.call(Call::Open, path, || lock_options().create(true).truncate(false).open(path))
    }

    /// Opens a lock file that is there; `None` where it is missing.
    pub(super) fn open_lock_if_there(&self, path: &Path) -> Result<Option<File>> {
        self.call(Call::Open, path, || none_if_missing(lock_options().open(path)))
    }

    /// Opens a file for reading; `None` where it is missing.
    pub(super) fn open(&self, path: &Path) -> Result<Option<File>> {
        self.call(Call::Open, path, || none_if_missing(File::open(path)))
    }

    /// Takes the lock of an open file; `false` if somebody else holds it.
    pub(super) fn try_lock(&self, file: &File, path: &Path) -> Result<bool> {
        self.call(Call::Lock, path, || match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        })
    }

    /// As [`Fs::try_lock`], for a lock that others may hold in the same way at the same time.
    pub(super) fn try_lock_shared(&self, file: &File, path: &Path) -> Result<bool> {
        self.call(Call::Lock, path, || match file.try_lock_shared() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        })
    }

    /// Takes the lock of an open file, and waits for it as long as somebody else holds it.
    pub(super) fn wait_lock(&self, file: &File, path: &Path) -> Result<()> {
        self.call(Call::Lock, path, || file.lock())
    }

    /// What an open file is, whatever its name is by now.
    pub(super) fn inspect_open(&self, file: &File, path: &Path) -> Result<Metadata> {
        self.call(Call::Inspect, path, || file.metadata())
    }

    /// Reads an open file to its end, or to a limit in bytes.
    pub(super) fn read(&self, file: &File, path: &Path, limit: u64) -> Result<Vec<u8>> {
        self.call(Call::Read, path, || {
            let mut bytes = Vec::new();
            file.take(limit).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }

    /// Makes an open file empty.
    pub(super) fn truncate(&self, file: &File, path: &Path) -> Result<()> {
        self.call(Call::Write, path, || file.set_len(0))
    }

    /// Appends bytes at the position of an open file.
    pub(super) fn write(&self, mut file: &File, path: &Path, bytes: &[u8]) -> Result<()> {
        self.call(Call::Write, path, || file.write_all(bytes))
    }

    /// Makes the contents of a file durable.
    ///
    /// After an error the kernel may have dropped the unwritten pages and marked them clean, so that a second try
    /// would succeed without having written anything. Callers therefore give up for good.
    pub(super) fn sync(&self, file: &File, path: &Path) -> Result<()> {
        self.call(Call::SyncFile, path, || file.sync_all())
    }

    /// Makes the names in a directory durable, with the same rule for errors as [`Fs::sync`].
    pub(super) fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.call(Call::SyncDirectory, dir, || File::open(dir)?.sync_all())
    }

    /// As [`Fs::sync_dir`], where the file system can do that: some keep names as soon as there are any, and know no such call.
    pub(super) fn sync_dir_if_can(&self, dir: &Path) -> Result<()> {
        match self.sync_dir(dir) {
            Err(error) if lacks(&error, &UNKNOWN_CALL) => Ok(()),
            done => done,
        }
    }

    /// Renames to a name that must be free. Where renames take no flags, it is looked at just before; of other runs the lock of the
    /// target keeps it free.
    pub(super) fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        self.call(Call::RenameNew, to, || match self.rename_with(from, to, RenameFlags::NOREPLACE) {
            Err(error) if lacks_flags(&error) => {
                self.rename_plainly(none_if_missing(to.symlink_metadata()), from, to)
            }
            done => done,
        })
    }

    /// Exchanges two paths in one step: at every instant both names are there. False, and nothing is done, if the file system
    /// cannot do that.
    pub(super) fn exchange(&self, from: &Path, to: &Path) -> Result<bool> {
        self.call(Call::Exchange, to, || match self.rename_with(from, to, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(error) if lacks_flags(&error) => Ok(false),
            Err(error) => Err(error),
        })
    }

    /// Gives a file a second name, which must be free.
    pub(super) fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.call(Call::Link, to, || std::fs::hard_link(from, to))
    }

    /// Renames a file over another.
    pub(super) fn replace(&self, from: &Path, to: &Path) -> Result<()> {
        self.call(Call::Replace, to, || self.rename_plainly(Ok(None), from, to))
    }

    /// The contents of a file, up to a limit in bytes; `None` where it is missing.
    pub(super) fn read_file(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        self.open(path)?.map(|file| self.read(&file, path, limit)).transpose()
    }

    /// Creates a file that must not be there yet, with contents that are durable.
    pub(super) fn create_durable(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let file = self.create_new(path)?;
        self.write(&file, path, bytes)?;
        self.sync(&file, path)
    }

    pub(super) fn remove_file(&self, path: &Path) -> Result<()> {
        self.call(Call::Remove, path, || std::fs::remove_file(path))
    }

    /// Deletes a directory with all that is in it; one that is gone already is a success.
    pub(super) fn remove_tree(&self, path: &Path) -> Result<()> {
        self.call(Call::Remove, path, || none_if_missing(std::fs::remove_dir_all(path)).map(drop))
    }

    /// Deletes a directory that nothing is in.
    pub(super) fn remove_dir(&self, path: &Path) -> Result<()> {
        self.call(Call::Remove, path, || std::fs::remove_dir(path))
    }

    fn rename_with(&self, from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
        if self.renames != Renames::All {
            return Err(Errno::INVAL.into());
        }
        Ok(rustix::fs::renameat_with(CWD, from, CWD, to, flags)?)
    }

    /// Renames without flags, to a name where something else must not be.
    fn rename_plainly(&self, there: io::Result<Option<Metadata>>, from: &Path, to: &Path) -> io::Result<()> {
        match there? {
            Some(_) => Err(Io::AlreadyExists.into()),
            None if self.renames == Renames::None => Err(Errno::PERM.into()),
            None => std::fs::rename(from, to),
        }
    }

    fn call<T>(&self, call: Call, path: &Path, real: impl FnOnce() -> io::Result<T>) -> Result<T> {
        let allowed = self.hook.as_ref().map_or(Ok(()), |hook| hook.before(call, path));
        allowed.and_then(|()| real()).map_err(|error| explain(call, path, error))
    }
}

impl fmt::Debug for Fs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.hook.is_some() { "Fs::hooked" } else { "Fs::real" })
    }
}

/// For a file that is locked. It is open for writing, for NFS locks nothing that can only be read.
fn lock_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn none_if_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == Io::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn explain(call: Call, path: &Path, error: io::Error) -> Error {
    let hint = hint(call, &error);
    let error = Error::io(ErrorKind::Output, call.verb(), path, error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What the user can do about an error of the file system.
fn hint(call: Call, error: &io::Error) -> Option<&'static str> {
    let renames = matches!(call, Call::RenameNew | Call::Exchange);
    match error.kind() {
        Io::StorageFull | Io::QuotaExceeded => Some("free some space and run again"),
        Io::PermissionDenied | Io::ReadOnlyFilesystem => {
            Some("write to a place where this user may create files")
        }
        Io::CrossesDevices => Some("give a path whose parent directory lies on the same file system"),
        Io::AlreadyExists if renames => {
            Some("something else has been put there since the run began; run again")
        }
        Io::ResourceBusy if renames => Some("a mount point cannot be replaced: write to a path below it"),
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            Some("a symbolic link leads around in a circle: repair it, or give another path")
        }
        _ => None,
    }
}

/// How kernel and file systems say that they do not know a call, or a flag of it.
const UNKNOWN_CALL: [Errno; 4] = [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP];

/// How file systems say besides that they rename no directories: those of object stores, and some that would have to copy too much.
const NO_RENAMES: [Errno; 3] = [Errno::PERM, Errno::XDEV, Errno::MFILE];

/// How they say besides that they lock no files, or none that are there already.
const NO_LOCKS: [Errno; 3] = [Errno::PERM, Errno::NOLCK, Errno::BADF];

/// Whether they do not know `RENAME_EXCHANGE` or `RENAME_NOREPLACE`.
fn lacks_flags(error: &io::Error) -> bool {
    is_one_of(error, &UNKNOWN_CALL)
}

/// Whether the error of a rename between neighbours says that there are no such renames.
pub(super) fn lacks_renames(error: &Error) -> bool {
    lacks(error, &UNKNOWN_CALL) || lacks(error, &NO_RENAMES)
}

/// Whether the error of opening, locking or marking a lock file says that there are no locks.
pub(super) fn lacks_locks(error: &Error) -> bool {
    lacks(error, &UNKNOWN_CALL) || lacks(error, &NO_LOCKS)
}

fn lacks(error: &Error, signs: &[Errno]) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| is_one_of(source, signs))
}

fn is_one_of(error: &io::Error, signs: &[Errno]) -> bool {
    error.raw_os_error().is_some_and(|code| signs.iter().any(|errno| errno.raw_os_error() == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_of(call: Call, errno: Errno) -> String {
        explain(call, Path::new("out"), errno.into()).to_string()
    }

    #[test]
    fn errors_say_what_to_do() {
        assert!(hint_of(Call::Write, Errno::NOSPC).contains("free some space"));
        assert!(hint_of(Call::Exchange, Errno::XDEV).contains("same file system"));
        assert!(hint_of(Call::RenameNew, Errno::EXIST).contains("run again"));
    }

    #[test]
    fn a_lock_file_that_is_a_symbolic_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("lock");
        std::os::unix::fs::symlink(dir.path().join("victim"), &link).unwrap();
        assert!(Fs::real().open_lock(&link).is_err());
        assert!(!dir.path().join("victim").exists());
    }

    #[test]
    fn an_exchange_swaps_and_a_new_name_must_be_free() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&a, "a").unwrap();
        std::fs::write(&b, "b").unwrap();
        for fs in [Fs::real(), Fs::real().without_exchange()] {
            assert!(fs.rename_new(&a, &b).unwrap_err().to_string().contains("run again"));
        }
        assert!(!Fs::real().without_exchange().exchange(&a, &b).unwrap());
        assert!(Fs::real().exchange(&a, &b).unwrap());
        assert_eq!(std::fs::read_to_string(&b).unwrap(), "a");
        Fs::real().without_exchange().rename_new(&a, &dir.path().join("c")).unwrap();
        assert!(!a.exists());
    }
}
