//! Who takes part, and as which process.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::job::Job;
use super::options::run_args;
use super::setup::Peers;
use crate::Outcome;
use crate::harness::measure;

/// A program that does jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    /// The command of this build, or a program of datasets where the job is none of the command.
    Gristmill,
    /// A program of datasets whose elements are records, where `Gristmill` is the command.
    Records,
    /// The engine's reader and encoder without the engine: what the other two must do at least.
    Parts,
    /// The command, given 16 files for many.
    LargeFiles,
    /// What one writes for this job alone.
    Hand,
    /// What one writes with rayon and hash maps.
    Plain,
    Polars,
    DuckDb,
    DataFusion,
    Spark,
    Renoir,
    Timely,
    Hadoop,
}

/// Who takes part, with so many threads.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub by: Contestant,
    pub threads: usize,
}

/// One run of a contestant.
pub struct Run<'a> {
    pub job: Job,
    pub input: &'a Path,
    /// An empty directory.
    pub output: &'a Path,
    pub threads: usize,
}

impl Contestant {
    /// Every contestant.
    pub const ALL: [Contestant; 13] = [
        Contestant::Gristmill,
        Contestant::Records,
        Contestant::Parts,
        Contestant::LargeFiles,
        Contestant::Hand,
        Contestant::Plain,
        Contestant::Polars,
        Contestant::DuckDb,
        Contestant::DataFusion,
        Contestant::Spark,
        Contestant::Renoir,
        Contestant::Timely,
        Contestant::Hadoop,
    ];

    /// The name in arguments, tables and paths.
    pub fn name(self) -> &'static str {
        match self {
            Contestant::Gristmill => "gristmill",
            Contestant::Records => "records",
            Contestant::Parts => "parts",
            Contestant::LargeFiles => "large-files",
            Contestant::Hand => "hand",
            Contestant::Plain => "plain",
            Contestant::Polars => "polars",
            Contestant::DuckDb => "duckdb",
            Contestant::DataFusion => "datafusion",
            Contestant::Spark => "spark",
            Contestant::Renoir => "renoir",
            Contestant::Timely => "timely",
            Contestant::Hadoop => "hadoop",
        }
    }

    /// The contestant of that name.
    pub fn from_name(name: &str) -> Outcome<Contestant> {
        let found = Contestant::ALL.into_iter().find(|contestant| contestant.name() == name);
        found.ok_or_else(|| format!("no contestant is called {name}").into())
    }

    /// Whether it takes part only when it is asked for: it says where our own time goes.
    pub fn is_extra(self) -> bool {
        matches!(self, Contestant::Records | Contestant::Parts)
    }

    /// Whether it must be installed.
    pub fn is_peer(self) -> bool {
        use Contestant::{DataFusion, DuckDb, Hadoop, Polars, Renoir, Spark, Timely};
        matches!(self, Polars | DuckDb | DataFusion | Spark | Renoir | Timely | Hadoop)
    }

    /// The process that does a job.
    pub fn command(self, run: &Run, peers: &Peers) -> Outcome<Command> {
        match self {
            Contestant::Gristmill if is_command(run.job) => command(run),
            Contestant::LargeFiles => command(run),
            Contestant::Gristmill
            | Contestant::Records
            | Contestant::Parts
            | Contestant::Hand
            | Contestant::Plain => measure::this_program(run_args(self, run)),
            Contestant::Polars => Ok(peers.python("by_polars.py", run)),
            Contestant::DuckDb => Ok(peers.python("by_duckdb.py", run)),
            Contestant::DataFusion => Ok(peers.python("by_datafusion.py", run)),
            Contestant::Spark => peers.spark(run),
            Contestant::Renoir | Contestant::Timely => Ok(peers.rust(self.name(), run)),
            Contestant::Hadoop => peers.hadoop(run),
        }
    }
}

/// The command of this build, where the build has it.
const COMMAND: Option<&str> = option_env!("CARGO_BIN_EXE_gristmill");

/// Whether the command has a subcommand for a job.
fn is_command(job: Job) -> bool {
    matches!(job, Job::WordsReal | Job::WordsWide | Job::Logs | Job::Csv | Job::Files)
}

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

/// `gristmill wordcount` or `gristmill convert`; many files with few descriptors.
fn command(run: &Run) -> Outcome<Command> {
    let program = COMMAND.ok_or("this build has no command")?;
    let mut command = Command::new(program);
    if run.job == Job::Files {
        command = Command::new("sh");
        command.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\"", program]);
    }
    let words = matches!(run.job, Job::WordsReal | Job::WordsWide);
    command.arg(if words { "wordcount" } else { "convert" }).arg(run.input);
    command.arg("-o").arg(run.output.join("out"));
    command.args(["--threads", &run.threads.to_string(), "--progress", "never"]);
    match run.job {
        Job::Logs => drop(command.args(["--from", "combined"])),
        Job::Files => drop(command.args(["--from", "combined", "--on-error", "skip"])),
        Job::Csv => {
            let schema: PathBuf = run.output.join("schema.json");
            std::fs::write(&schema, ORDERS)?;
            command.args(["--from", "csv", "--schema"]).arg(schema);
        }
        _ => {}
    }
    Ok(command)
}
