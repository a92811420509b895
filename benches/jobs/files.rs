//! The files that the jobs read and write.

use std::path::PathBuf;

use super::data;
use super::job::Task;
use crate::Outcome;
use crate::harness::files::{cleared, dir};

/// A text of so many words, written when it is first asked for.
pub fn words(words: u64) -> Outcome<PathBuf> {
    let path = dir()?.join(format!("words-{words}.txt"));
    if !path.exists() {
        data::write_words(words, &path)?;
    }
    Ok(path)
}

/// A directory for the output of a task, where nothing is yet.
pub fn output(task: &Task) -> Outcome<PathBuf> {
    cleared(dir()?.join(format!("out-{}-{}", task.job.name(), std::process::id())))
}
