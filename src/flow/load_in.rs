//! Copying files in: beside their place first, checked, and then by one rename.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::child::Program;
use super::failure::{Exit, TaskError};
use super::files;
use super::load::LoadIn;
use super::step::TEMPORARY;
use super::task_context::TaskContext;
use super::work::{Stop, cannot_run};
use crate::error::{Error, ErrorKind, Result, printable};

/// A file that was copied.
struct Copied {
    name: String,
    bytes: u64,
    sha256: String,
}

/// Copies what a load names: beside its place, then checked, then by one rename.
pub(super) fn run(load: &LoadIn, context: &TaskContext, stop: &Stop) -> std::result::Result<(), TaskError> {
    let target = context.path(&load.to)?;
    let staging = Staging::new(&target)?;
    let copied = if load.command.is_empty() {
        copy_files(load, context, stop, &staging.path)?
    } else {
        copy_output(load, context, stop, &staging.path)?
    };
    check(load, context, &copied)?;
    let _passed = context.context().pass_fence()?;
    staging.commit(&target)?;
    let bytes: u64 = copied.iter().map(|file| file.bytes).sum();
    context.log(&format!("{} file(s), {bytes} bytes to {}", copied.len(), printable(&target)));
    Ok(())
}

/// Copies files to a new directory.
fn copy_files(load: &LoadIn, context: &TaskContext, stop: &Stop, to: &Path) -> Result<Vec<Copied>> {
    let files = sources(context, load)?;
    fs::create_dir(to).map_err(|error| Error::io(ErrorKind::Output, "create", to, error))?;
    let mut copied = Vec::new();
    for file in &files {
        stop.cancel.check()?;
        let name = file.file_name().unwrap_or_default();
        let mut from = File::open(file).map_err(|error| Error::io(ErrorKind::Input, "open", file, error))?;
        copied.push(copy(&mut from, name.to_string_lossy().into_owned(), &to.join(name), stop)?);
    }
    Ok(copied)
}

/// Copies what a command prints to a new file.
fn copy_output(
    load: &LoadIn,
    context: &TaskContext,
    stop: &Stop,
    to: &Path,
) -> std::result::Result<Vec<Copied>, TaskError> {
    let argv: Vec<String> = load.command.iter().map(|text| context.expand(text)).collect::<Result<_>>()?;
    let program =
        Program { argv, env: BTreeMap::new(), pass_env: Vec::new(), dir: context.scope.dir.clone() };
    let name = context.path(&load.to)?.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut result = None;
    let mut take = |from: &mut dyn Read| {
        let copied = copy(from, name.clone(), to, stop);
        let failed = copied.is_err();
        result = Some(copied);
        if failed { Err(io::Error::other("its output cannot be kept")) } else { Ok(()) }
    };
    let ended = program.run(&stop.group, &context.log, Some(&mut take));
    if let Some(Err(error)) = result {
        return Err(error.into());
    }
    Exit::check(ended.map_err(|error| cannot_run(&program.argv, error))?, &TEMPORARY)?;
    Ok(result.into_iter().flatten().collect())
}

/// The files that are copied, of which no two have the same name.
fn sources(context: &TaskContext, load: &LoadIn) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in context.scope.paths(load.from.iter().map(String::as_str))? {
        let found = files::matching(&path)?;
        if found.is_empty() {
            return Err(Error::new(ErrorKind::Input, format!("there is no file {}", printable(&path))));
        }
        for found in found {
            if found.is_dir() {
                let entries = fs::read_dir(&found)
                    .map_err(|error| Error::io(ErrorKind::Input, "list", &found, error))?;
                let entries =
                    entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
                let entries = entries.map_err(|error| Error::io(ErrorKind::Input, "list", &found, error))?;
                files.extend(entries.into_iter().filter(|entry| entry.is_file()));
            } else {
                files.push(found);
            }
        }
    }
    files.sort();
    let mut names: Vec<_> = files.iter().map(|file| file.file_name()).collect();
    names.sort();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let name = pair[0].unwrap_or_default().to_string_lossy();
        return Err(Error::new(ErrorKind::Config, format!("two files are called `{}`", name.escape_debug()))
            .hint("load them to different directories"));
    }
    Ok(files)
}

/// Copies to a new file, and brings it to the disk.
fn copy(from: &mut dyn Read, name: String, to: &Path, stop: &Stop) -> Result<Copied> {
    let failed = |error| Error::io(ErrorKind::Output, "write", to, error);
    let mut file = File::options().write(true).create_new(true).open(to).map_err(failed)?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        stop.cancel.check()?; // a large file is no reason to go on beside the next try
        let length = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", name.escape_debug());
                return Err(Error::new(ErrorKind::Input, message).because(error));
            }
        };
        hash.update(&buffer[..length]);
        file.write_all(&buffer[..length]).map_err(failed)?;
        bytes += length as u64;
    }
    file.sync_all().map_err(failed)?;
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Copied { name, bytes, sha256 })
}

/// Fails unless what was copied is what the load says.
fn check(load: &LoadIn, context: &TaskContext, copied: &[Copied]) -> Result<()> {
    let wrong = |message: String| {
        Err(Error::new(ErrorKind::Input, message)
            .hint("nothing of it is kept: see whether its source is complete"))
    };
    let bytes: u64 = copied.iter().map(|file| file.bytes).sum();
    if let Some(expected) = load.bytes.filter(|expected| *expected != bytes) {
        return wrong(format!("{bytes} bytes came, and not {expected}"));
    }
    if let Some(expected) = load.sha256.as_ref().map(|text| context.expand(text)).transpose()? {
        let [file] = copied else {
            return wrong(format!("`sha256` is that of one file, and {} came", copied.len()));
        };
        if !expected.eq_ignore_ascii_case(&file.sha256) {
            return wrong(format!("the SHA-256 of {} is {}, and not {expected}", file.name, file.sha256));
        }
    }
    let Some(list) = &load.checksums else { return Ok(()) };
    let path = context.path(list)?;
    let text =
        fs::read_to_string(&path).map_err(|error| Error::io(ErrorKind::Input, "read", &path, error))?;
    let expected = checksums(&text);
    for file in copied {
        match expected.get(file.name.as_str()) {
            Some(sha256) if sha256.eq_ignore_ascii_case(&file.sha256) => {}
            Some(sha256) => {
                return wrong(format!("the SHA-256 of {} is {}, and not {sha256}", file.name, file.sha256));
            }
            None if path.file_name().is_some_and(|name| name == file.name.as_str()) => {}
            None => return wrong(format!("{} has no checksum in {}", file.name, printable(&path))),
        }
    }
    match expected.keys().find(|name| copied.iter().all(|file| file.name != **name)) {
        Some(missing) => wrong(format!("{missing} has a checksum, and did not come")),
        None => Ok(()),
    }
}

/// The checksums of a list as `sha256sum` writes it, by name.
fn checksums(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(pair_of).collect()
}

/// The name and the checksum of a line.
fn pair_of(line: &str) -> Option<(&str, &str)> {
    let (sha256, name) = line.split_once(' ')?;
    Some((name.trim_start_matches([' ', '*']), sha256))
}

/// A hidden path beside a target, which is deleted unless it has taken the place of the target.
struct Staging {
    path: PathBuf,
}

impl Staging {
    /// A path that nothing is at; what a dead try has left there is deleted, since the lock of the run says that nobody else is at work.
    fn new(target: &Path) -> Result<Staging> {
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = target.with_file_name(format!(".{name}.gristmill-load"));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)
                .map_err(|error| Error::io(ErrorKind::Output, "create", parent, error))?;
        }
        let staging = Staging { path };
        staging.clear();
        Ok(staging)
    }

    /// Takes the place of the target by one rename.
    fn commit(self, target: &Path) -> Result<()> {
        replace(&self.path, target).map_err(|error| Error::io(ErrorKind::Output, "replace", target, error))
    }

    fn clear(&self) {
        let _ = match self.path.symlink_metadata() {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&self.path),
            _ => fs::remove_file(&self.path),
        };
    }
}

impl Drop for Staging {
    /// What lies there now is what was not wanted, or what the target was before.
    fn drop(&mut self) {
        self.clear();
    }
}

/// Lets what lies at `from` and at `to` change places, or moves it where nothing is; and brings that to the disk.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    if from.is_dir() {
        File::open(from)?.sync_all()?;
    }
    let flags = if to.symlink_metadata().is_ok() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    renameat_with(CWD, from, CWD, to, flags)?;
    match to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}
