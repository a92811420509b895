//! Where the benches keep what they read and write: `target/bench-data`.

use std::fs;
use std::path::PathBuf;

use super::data;
use super::job::Task;
use crate::Outcome;

/// The directory, beside the one that this program was built in.
pub fn dir() -> Outcome<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).ok_or("the bench runs from its target directory")?;
    let data = target.join("bench-data");
    fs::create_dir_all(&data)?;
    Ok(data)
}

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
    let path = dir()?.join(format!("out-{}-{}", task.job.name(), std::process::id()));
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(path),
    }
}
