//! What is done, and by whom.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::input::Input;
use super::measure;
use super::peers::Peers;
use crate::Outcome;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// A combined log, to Parquet.
    Logs,
    /// A CSV file, to Parquet.
    Csv,
    /// The rows, quantities and prices of each city of the CSV file.
    Group,
    /// The log in very many small files, to Parquet, beside the same lines in 16 files.
    Files,
}

/// Who does it, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The command of this build.
    Gristmill,
    /// The command, given 16 files for many.
    Gristmill16,
    /// A program of datasets, whose elements are records.
    Records,
    /// The engine's reader and encoder without the engine.
    Parts,
    /// The program that was written for this job.
    Hand,
    /// A peer: its name, and whether it takes a log for fields or for lines that a pattern matches.
    Peer(&'static str, &'static str),
}

impl Job {
    /// Every job.
    pub const ALL: [Job; 4] = [Job::Logs, Job::Csv, Job::Group, Job::Files];

    /// Its name in arguments and tables.
    pub fn name(self) -> &'static str {
        match self {
            Job::Logs => "logs",
            Job::Csv => "csv",
            Job::Group => "group",
            Job::Files => "files",
        }
    }

    /// The job of that name.
    pub fn from_name(name: &str) -> Outcome<Job> {
        let found = Job::ALL.into_iter().find(|job| job.name() == name);
        found.ok_or_else(|| format!("no job is called {name}").into())
    }

    /// Those that are compared. Ratios are taken to the first one.
    pub fn contestants(self) -> &'static [By] {
        match self {
            Job::Logs => &[
                By::Hand,
                By::Gristmill,
                By::Records,
                By::Parts,
                By::Peer("duckdb", "fields"),
                By::Peer("duckdb", "pattern"),
                By::Peer("polars", "fields"),
                By::Peer("polars", "pattern"),
            ],
            Job::Csv => {
                &[By::Gristmill, By::Records, By::Parts, By::Peer("duckdb", ""), By::Peer("polars", "")]
            }
            Job::Group => {
                &[By::Records, By::Peer("duckdb", ""), By::Peer("polars", ""), By::Peer("datafusion", "")]
            }
            Job::Files => &[By::Gristmill16, By::Gristmill],
        }
    }

    /// Whether it answers with a line, and writes nothing.
    pub fn has_answer(self) -> bool {
        self == Job::Group
    }
}

impl By {
    /// The name in tables and paths.
    pub fn name(self) -> String {
        match self {
            By::Gristmill => "gristmill".into(),
            By::Gristmill16 => "gristmill-16-files".into(),
            By::Records => "gristmill-records".into(),
            By::Parts => "reader+encoder".into(),
            By::Hand => "hand".into(),
            By::Peer(name, "") => name.into(),
            By::Peer(name, way) => format!("{name}-{way}"),
        }
    }

    /// What it reads.
    pub fn input(self, job: Job) -> Input {
        match job {
            Job::Logs => Input::Logs,
            Job::Csv | Job::Group => Input::Orders,
            Job::Files if self == By::Gristmill16 => Input::LargeFiles,
            Job::Files => Input::SmallFiles,
        }
    }

    /// The process that does a job, with what it writes in the directory `output`.
    pub fn command(
        self,
        job: Job,
        input: &Path,
        output: &Path,
        threads: usize,
        peers: &Peers,
    ) -> Outcome<Command> {
        let name = match self {
            By::Peer(name, way) => return Ok(peers.command(job, name, way, input, output, threads)),
            By::Gristmill | By::Gristmill16 => return convert(job, input, output, threads),
            By::Hand => "hand",
            By::Parts => "parts",
            By::Records => "records",
        };
        let threads = threads.to_string();
        let mut args: Vec<PathBuf> = ["--run", job.name(), name].map(PathBuf::from).into();
        args.extend([input.into(), output.into(), threads.into()]);
        measure::this_program(args)
    }
}

/// The command of this build, where the build has it.
const COMMAND: Option<&str> = option_env!("CARGO_BIN_EXE_gristmill");

/// The types of the CSV file, which the peers are told, too.
const ORDERS: &str = r#"{"columns": [
  {"name": "id", "nullable": false, "type": "UInt64"},
  {"name": "customer", "nullable": false, "type": "Utf8"},
  {"name": "city", "nullable": false, "type": "Utf8"},
  {"name": "status", "nullable": false, "type": "Utf8"},
  {"name": "quantity", "nullable": false, "type": "UInt32"},
  {"name": "price", "nullable": false, "type": "Float64"},
  {"name": "weight", "nullable": true, "type": "Float64"},
  {"name": "ordered", "nullable": false, "type": "Date32"},
  {"name": "shipped", "nullable": true, "type": "Timestamp(ms, \"UTC\")"},
  {"name": "comment", "nullable": true, "type": "Utf8"}
]}"#;

/// `gristmill convert`, of many files with few descriptors.
fn convert(job: Job, input: &Path, output: &Path, threads: usize) -> Outcome<Command> {
    let program = COMMAND.ok_or("this build has no command")?;
    let mut command = Command::new(program);
    if job == Job::Files {
        command = Command::new("sh");
        command.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\"", program]);
    }
    command.arg("convert").arg(input).arg("-o").arg(output.join("out"));
    command.args(["--threads", &threads.to_string(), "--progress", "never"]);
    if job == Job::Csv {
        let schema = output.join("schema.json");
        std::fs::write(&schema, ORDERS)?;
        command.args(["--from", "csv", "--schema"]).arg(schema);
    } else {
        command.args(["--from", "combined", "--on-error", "skip"]);
    }
    command.stderr(Stdio::null());
    Ok(command)
}
