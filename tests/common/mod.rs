//! What the tests of the command share: running it, texts to count, and directories to compare.

#![allow(dead_code, reason = "not every test uses all of it")]

pub mod cluster;
pub mod consumers;
pub mod faults;
pub mod place;
pub mod postgres;
pub mod terminal;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The command, with the defaults of a machine that has no settings of its own.
pub fn gristmill(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
    command.args(arguments).stdin(Stdio::null());
    command.env_remove("GRISTMILL_THREADS").env_remove("GRISTMILL_MEMORY");
    command.env_remove("GRISTMILL_EXECUTION").env_remove("GRISTMILL_METRICS").env_remove("GRISTMILL_COMMIT");
    command
}

/// Bytes as gzip has them.
pub fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// Numbers without a pattern, the same in every run: splitmix64.
pub fn scramble(seed: u64) -> u64 {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

/// At least so many bytes of lines of words, of which some are far more frequent than others.
pub fn text(bytes: usize, seed: u64) -> String {
    let mut text = String::with_capacity(bytes + 64);
    for index in 0.. {
        if text.len() >= bytes {
            break;
        }
        let number = scramble(seed ^ scramble(index));
        let word = (number >> 8) % (1 << (number % 17));
        let end = if number.is_multiple_of(11) { '\n' } else { ' ' };
        let _ = write!(text, "wörd{word}-{}{end}", seed % 10); // writing to a string cannot fail
    }
    text
}

/// Every file below a directory, by its path in there, with its contents; without the lock files, which stay.
pub fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if !is_lock(&path) {
            files.insert(path.strip_prefix(dir).unwrap().to_owned(), std::fs::read(&path).unwrap());
        }
    }
    files
}

fn is_lock(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".gristmill-lock")
}

/// The names in a directory, in order, without the lock files.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = dir.read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(|path| !is_lock(path));
    let mut names: Vec<String> =
        entries.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Whether there is nothing at the place of an output, and what was there lies in a staging directory.
pub fn is_aside(path: &Path) -> bool {
    let (dir, name) = (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap());
    let staging = format!(".{name}.gristmill-staging-");
    let mut beside = names(dir).into_iter().filter(|name| name.starts_with(&staging));
    !path.exists() && beside.any(|staging| dir.join(staging).join("old/_manifest.json").exists())
}
