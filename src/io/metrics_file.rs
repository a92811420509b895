//! A file for metrics: checked before a run, written after it, and in one step.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::commit::manifest;
use super::resolve::conflict;
use crate::error::{Error, ErrorKind, Result, printable};

/// A file for metrics that overwrites no input and can be written.
#[derive(Debug)]
pub(crate) struct MetricsFile {
    /// As it was given.
    given: PathBuf,
    target: Target,
}

#[derive(Debug)]
enum Target {
    /// The path without symbolic links of a file that is replaced.
    File(PathBuf),
    /// What is written to but not replaced, such as `/dev/stdout`.
    Open(File),
}

impl MetricsFile {
    /// Refuses a file that is an input, would be read by the next run, or lies in one of the outputs or in another committed
    /// one; and one that cannot be written. Nothing is left of the check.
    pub(crate) fn check(given: &Path, inputs: &[PathBuf], outputs: &[PathBuf]) -> Result<MetricsFile> {
        let cannot_write = |error| cannot_write(given, error);
        let refuse_fault = |real: &Path| match fault(real, inputs, outputs) {
            Some(fault) => {
                let message = format!("the metrics file {} {fault}", printable(given));
                Err(Error::new(ErrorKind::Config, message).hint("write it elsewhere"))
            }
            None => Ok(()),
        };
        let target = if let Some(device) = device(given) {
            let opened = open_device(&device).map_err(cannot_write)?;
            if opened.metadata().is_ok_and(|found| found.is_file()) {
                device.canonicalize().ok().as_deref().map_or(Ok(()), refuse_fault)?; // where the shell has sent it
            }
            Target::Open(opened)
        } else {
            let real = real_path(given).map_err(cannot_write)?;
            refuse_fault(&real)?;
            check_writable(&real).map_err(cannot_write)?;
            Target::File(real)
        };
        Ok(MetricsFile { given: given.to_owned(), target })
    }

    /// Writes it. A file takes the place of an older one by a rename, so that it is there as a whole or not at all.
    pub(crate) fn write(&self, text: &str) -> Result<()> {
        let written = match &self.target {
            Target::File(real) => replace(real, text),
            Target::Open(file) => (&*file).write_all(text.as_bytes()),
        };
        written.map_err(|error| cannot_write(&self.given, error))
    }
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    Error::io(ErrorKind::Output, "write", path, error)
        .hint("give a file in a directory that can be written, or a pipe that is read")
}

/// Symbolic links that are followed at most, as many as the system follows.
const MAX_LINKS: usize = 40;

/// The path of what must not be replaced: what is no regular file, and any name in `/dev` or `/proc`, which stands for a file that
/// the process, or another one, has open already. `None` for a file or a name for one.
fn device(given: &Path) -> Option<PathBuf> {
    let mut path = std::path::absolute(given).ok()?;
    if path.is_dir() {
        return None;
    }
    for _ in 0..MAX_LINKS {
        path = path.parent()?.canonicalize().ok()?.join(path.file_name()?);
        let is_system = path.starts_with("/proc") || path.starts_with("/dev");
        if is_system && !path.starts_with("/dev/shm") {
            return Some(path);
        }
        match path.read_link() {
            Ok(to) => path = path.parent()?.join(to),
            Err(_) => return path.metadata().is_ok_and(|found| !found.is_file()).then_some(path),
        }
    }
    None
}

/// Opens a device or a pipe, and fails at once where a pipe has no reader: to wait for one might take for ever.
fn open_device(path: &Path) -> io::Result<File> {
    // The streams of the process itself are shared, not opened again: a second opening of a file would have a position of its own, and
    // each would overwrite what the other has written.
    let own = Path::new("/proc").join(std::process::id().to_string()).join("fd");
    let leads_to =
        |number: &str| path.read_link().is_ok_and(|to| to == Path::new("/proc/self/fd").join(number));
    let is_stream = |number: &str| path == own.join(number) || leads_to(number);
    if is_stream("1") {
        return io::stdout().as_fd().try_clone_to_owned().map(File::from);
    }
    if is_stream("2") {
        return io::stderr().as_fd().try_clone_to_owned().map(File::from);
    }
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    File::options().append(true).custom_flags(flags).open(path)
}

/// What is wrong with writing to a path.
fn fault(real: &Path, inputs: &[PathBuf], outputs: &[PathBuf]) -> Option<String> {
    for input in inputs {
        let fault = if is_same_file(real, input) {
            Some("is also an input")
        } else {
            conflict(real, input, input.canonicalize().ok().as_deref())
        };
        if let Some(fault) = fault {
            return Some(format!("{fault} {}", printable(input)));
        }
    }
    // An output of which the path cannot be told is one that its own checks refuse.
    let has_it = |output: &&PathBuf| real_path(output).is_ok_and(|output| real.starts_with(output));
    if let Some(output) = outputs.iter().find(has_it) {
        return Some(format!("lies in {}", printable(output)));
    }
    let is_committed = |directory: &&Path| matches!(manifest::read(directory), Ok(Some(_)));
    let committed = real.ancestors().skip(1).find(is_committed)?;
    Some(format!("lies in the committed output {}", printable(committed)))
}

/// Whether both names lead to one file, as hard links do, too.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    identity(one).is_some_and(|found| Some(found) == identity(other))
}

/// The path without symbolic links, as far as there is something; an error for a link that leads nowhere.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    for known in absolute.ancestors() {
        match known.canonicalize() {
            Ok(real) => {
                let rest = absolute.strip_prefix(known).unwrap_or(known);
                return Ok(real.join(rest).components().collect()); // without the slash of joining nothing
            }
            Err(error) if known.is_symlink() => return Err(error),
            Err(_) => {} // it is not there, and so is in a directory further up
        }
    }
    Ok(absolute)
}

fn check_writable(path: &Path) -> io::Result<()> {
    if path.exists() {
        File::options().append(true).open(path)?;
    }
    tempfile::tempfile_in(directory(path)).map(drop)
}

/// Writes a file under a hidden name of its own, which no other thread or process uses, and gives it its name.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = tempfile::Builder::new()
        .prefix(".gristmill-metrics-")
        .permissions(Permissions::from_mode(0o666)) // less what the process's mask takes away, as of any new file
        .tempfile_in(directory(path))?;
    beside.write_all(text.as_bytes())?;
    beside.persist(path).map(drop).map_err(|failed| failed.error)
}

fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}
