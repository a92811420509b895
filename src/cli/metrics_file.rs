//! The file that `--metrics` names: checked before the run, written after it, and in one step.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::resolve::conflict;

/// A file for metrics that overwrites no input and can be written.
#[derive(Debug)]
pub struct MetricsFile {
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
    /// Refuses a file that is an input, would be read by the next run, or lies in the output; and one that cannot be
    /// written. Nothing is left of the check.
    pub fn check(given: &Path, inputs: &[PathBuf], output: &Path) -> Result<MetricsFile> {
        let cannot_write = |error| cannot_write(given, error);
        let file = |target| MetricsFile { given: given.to_owned(), target };
        if given.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return open_special(given).map(|opened| file(Target::Open(opened))).map_err(cannot_write);
        }
        let real = real_path(given).map_err(cannot_write)?;
        if let Some(fault) = fault(&real, inputs, output) {
            let message = format!("the metrics file {} {fault}", printable(given));
            return Err(Error::new(ErrorKind::Config, message).hint("write it elsewhere"));
        }
        check_writable(&real).map_err(cannot_write)?;
        Ok(file(Target::File(real)))
    }

    /// Writes it. A file takes the place of an older one by a rename, so that it is there as a whole or not at all.
    pub fn write(&self, text: &str) -> Result<()> {
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

/// Opens a device or a pipe, and fails at once where a pipe has no reader: to wait for one might take for ever.
fn open_special(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    File::options().append(true).custom_flags(flags).open(path)
}

/// What is wrong with writing to a path.
fn fault(real: &Path, inputs: &[PathBuf], output: &Path) -> Option<String> {
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
    let in_output = real_path(output).is_ok_and(|output| real.starts_with(output));
    in_output.then(|| format!("lies in {}", printable(output)))
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
    let beside = beside(path);
    File::create(&beside)?;
    fs::remove_file(&beside)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = beside(path);
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside); // the first error is the one to report
    }
    written
}

/// A hidden name in the same directory, this process's own.
fn beside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".gristmill-metrics-{}", std::process::id()))
}
