//! The jobs, and a run of one of them in a process of its own.

use std::path::PathBuf;
use std::process::Command;

use super::{engine, plain};
use crate::Outcome;
use crate::harness::measure;

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// The counts of the words of a text, written to Parquet.
    WordCount,
    /// Rows of an `i64` and a text of 24 bytes, in the order of the numbers.
    Sort,
    /// Rows of a number and a text, each with that of ten times fewer rows which has its number.
    Join,
    /// The values of each of `rows / 8` numbers.
    Group,
    /// The hundred rows of the largest numbers.
    TopK,
}

/// Who computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A `Dataset`.
    Engine,
    /// The program that one writes with rayon and the collections of the standard library.
    Plain,
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    pub job: Job,
    pub by: By,
    pub rows: u64,
    pub threads: usize,
    /// The memory limit of the engine in bytes, where not the default.
    pub memory: Option<u64>,
}

impl Job {
    /// Every job.
    pub const ALL: [Job; 5] = [Job::WordCount, Job::Sort, Job::Join, Job::Group, Job::TopK];

    /// Its name in arguments and tables.
    pub fn name(self) -> &'static str {
        match self {
            Job::WordCount => "wordcount",
            Job::Sort => "sort",
            Job::Join => "join",
            Job::Group => "group",
            Job::TopK => "top_k",
        }
    }

    /// The job of that name.
    pub fn from_name(name: &str) -> Outcome<Job> {
        let found = Job::ALL.into_iter().find(|job| job.name() == name);
        found.ok_or_else(|| format!("no job is called {name}").into())
    }
}

impl Task {
    /// The process that runs it and prints its answer.
    pub fn command(&self) -> Outcome<Command> {
        let by = if self.by == By::Plain { "plain" } else { "engine" };
        let memory = self.memory.map_or_else(|| "default".into(), |bytes| bytes.to_string());
        let args = ["--run", self.job.name(), by, &self.rows.to_string(), &self.threads.to_string(), &memory];
        measure::this_program(args.map(PathBuf::from).into())
    }

    /// Runs the task that the arguments after `--run` name, in this process, and prints its answer.
    pub fn run(args: &[String]) -> Outcome<()> {
        let [job, by, rows, threads, memory] = args else { return Err("--run wants five values".into()) };
        let by = if by == "plain" { By::Plain } else { By::Engine };
        let memory = if memory == "default" { None } else { Some(memory.parse()?) };
        let task =
            Task { job: Job::from_name(job)?, by, rows: rows.parse()?, threads: threads.parse()?, memory };
        let answer = match by {
            By::Engine => engine::run(&task)?,
            By::Plain => plain::run(&task)?,
        };
        println!("{answer}");
        Ok(())
    }
}
