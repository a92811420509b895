//! One run: a process, what it cost, what it says about itself, and what it left.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use super::answer::{self, Answer};
use super::input::Made;
use super::job::Case;
use super::measure::{self, Usage};
use super::mode::Mode;
use super::options;
use super::programs::Programs;
use crate::Outcome;

/// What a run has shown.
#[derive(Debug, Clone)]
pub struct Run {
    pub usage: Usage,
    pub metrics: Metrics,
    pub answer: Answer,
}

/// What the engine says about a run, in the file that `GRISTMILL_METRICS` names.
#[derive(Debug, Clone, Deserialize)]
pub struct Metrics {
    /// The mode it ran in.
    pub execution: String,
    /// When the first row was written or handed to the program.
    pub first_output_seconds: Option<f64>,
    /// What stages have written to files for others.
    pub stage_bytes_written: u64,
}

/// Where runs write, and with how many threads they run.
#[derive(Debug)]
pub struct Place {
    pub data: PathBuf,
    scratch: PathBuf,
    threads: usize,
}

impl Place {
    /// A place below the directory of all data.
    pub fn new(data: &Path, threads: usize) -> Outcome<Place> {
        let scratch = data.join(format!("mapreduce-scratch-{}", std::process::id()));
        let place = Place { data: data.to_owned(), scratch, threads };
        place.empty()?;
        Ok(place)
    }

    /// Makes the place for files of runs an empty one.
    fn empty(&self) -> Outcome<()> {
        self.clear()?;
        fs::create_dir_all(self.intermediate())?;
        // What an earlier run has left to be written is not to be paid for by the next one.
        rustix::fs::sync();
        Ok(())
    }

    /// Removes the files of runs.
    pub fn clear(&self) -> Outcome<()> {
        match fs::remove_dir_all(&self.scratch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn output(&self) -> PathBuf {
        self.scratch.join("output")
    }

    fn metrics(&self) -> PathBuf {
        self.scratch.join("metrics.json")
    }

    fn intermediate(&self) -> PathBuf {
        self.scratch.join("intermediate")
    }
}

/// Runs a job in a mode.
pub fn run(case: &Case, mode: Mode, input: &Made, place: &Place, programs: &Programs) -> Outcome<Run> {
    place.empty()?;
    let mut command = programs.command(case.job.name());
    command.args(case.arguments(&input.files, &place.output()));
    command.env("GRISTMILL_EXECUTION", mode.name()).env("GRISTMILL_METRICS", place.metrics());
    command
        .env("GRISTMILL_THREADS", place.threads.to_string())
        .env("GRISTMILL_SPILL_DIR", place.intermediate());
    let mut printed = String::new();
    let usage = measure::run(command.stdout(Stdio::piped()), |stdout| {
        stdout.map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut printed))
    })?;
    let answer = if case.job.prints() { Answer::of_lines(&printed) } else { written(&place.output())? };
    Ok(Run { usage, metrics: metrics(place, mode)?, answer })
}

/// The rows of the files that a run has written, counted in a process of its own.
fn written(output: &Path) -> Outcome<Answer> {
    let mut answer = String::new();
    let mut command = measure::this_program(options::answer_args(output))?;
    measure::run(command.stdout(Stdio::piped()), |stdout| {
        stdout.map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut answer))
    })?;
    answer::parse(answer.trim())
}

/// What the run says about itself, among that the mode in which it was to run.
fn metrics(place: &Place, mode: Mode) -> Outcome<Metrics> {
    let path = place.metrics();
    let text =
        fs::read_to_string(&path).map_err(|error| format!("no metrics in {}: {error}", path.display()))?;
    let metrics: Metrics =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    if metrics.execution != mode.name() {
        return Err(format!("it ran as {} and not as {}", metrics.execution, mode.name()).into());
    }
    Ok(metrics)
}
