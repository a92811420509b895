//! One run: a process, what it cost, what it says about itself, and what it left.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use super::answer::{self, Answer};
use super::input::Made;
use super::job::Case;
use super::mode::Mode;
use super::options;
use super::programs::Programs;
use crate::Outcome;
use crate::harness::files::{cleared, dir};
use crate::harness::measure::{self, Usage};

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
    scratch: PathBuf,
    threads: usize,
}

impl Place {
    /// A place beside the inputs.
    pub fn new(threads: usize) -> Outcome<Place> {
        let scratch = dir()?.join(format!("mapreduce-scratch-{}", std::process::id()));
        Ok(Place { scratch, threads })
    }

    /// Makes it an empty one.
    fn empty(&self) -> Outcome<()> {
        self.clear()?;
        fs::create_dir_all(self.intermediate())?;
        // What an earlier run has left to be written is not to be paid for by the next one.
        rustix::fs::sync();
        Ok(())
    }

    /// Removes it.
    pub fn clear(&self) -> Outcome<()> {
        cleared(self.scratch.clone()).map(drop)
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
