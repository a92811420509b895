//! One job after another, each by gristmill and by all that do such jobs elsewhere: Polars, DuckDB, DataFusion, Spark, renoir, timely, Hadoop, a
//! plain program of rayon and hash maps, and programs that were written by hand for one job and nothing else.
//!
//! ```text
//! cargo bench --bench peers -- [--jobs words-real,words-wide,logs,csv,group,join,sort,tpch-q1,tpch-q3,tpch-q6,files]
//!     [--by gristmill,hand,plain,polars,duckdb,datafusion,spark,renoir,timely,hadoop] [--runs 5] [--threads 2] [--bytes 1GiB] [--markdown FILE]
//! ```
//!
//! Sizes and numbers of threads may be lists: each size is a table, and all numbers of threads take part in it. All jobs but `files`, and all contestants, where none are named. `records` (a program of datasets, where gristmill is the command) and `parts` (its
//! reader and encoder without the engine) take part in `logs` and `csv` when they are asked for. In `files` the ratio is that of 16 large files to
//! very many small ones.
//!
//! The peers are installed and the data made once, in `target/bench-data` (`benches/peers/setup.sh`). Every contestant is a whole process, from its
//! start to its complete output. All run once in every round, in an order that moves on by one each round, and ratios are taken within a round, so
//! that a disturbance meets all of them. What each wrote is read after each run, and must be what the others wrote; who writes anything else, or
//! fails, does not run again, and the bench ends with an error. Inputs are in the page cache; outputs are deleted, and the disk is in peace, before
//! the next one begins. gristmill alone brings its output to the disk (fsync) before it ends.

mod harness;
#[path = "harness/page_cache.rs"]
mod page_cache;
mod peers {
    pub mod check;
    pub mod contestant;
    mod corpus;
    pub mod datasets;
    mod events;
    pub mod hand_logs;
    pub mod hand_words;
    pub mod input;
    pub mod job;
    mod logs;
    pub mod options;
    mod orders;
    pub mod plain;
    mod random;
    pub mod report;
    pub mod setup;
    #[allow(dead_code)] // what only the example's own `main` needs
    #[path = "../../examples/tpch.rs"]
    mod tpch;
}

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use harness::figures::turns;
use harness::files::{cleared, dir};
use harness::measure::{self, Usage};
use page_cache::read_through;
use peers::check::Contents;
use peers::contestant::{Contestant, Entry, Run};
use peers::input::Input;
use peers::job::Job;
use peers::options::{self, Comparison, Task};
use peers::report::Report;
use peers::setup::{self, Peers};
use peers::{datasets, hand_logs, hand_words, plain};

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The result of everything here: a bench reports its errors and ends.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    match options::parse(std::env::args().skip(1))? {
        Task::Compare(comparison) => compare(&comparison)?,
        Task::Run { by, job, input, output, threads } => match (by, job) {
            (Contestant::Hand, Job::Logs) => drop(hand_logs::run(&input, &output, threads)?),
            (Contestant::Hand, _) => hand_words::run(&input, &output, threads)?,
            (Contestant::Plain, _) => plain::run(&input, &output, threads)?,
            (Contestant::Parts, _) => datasets::run_parts(job, &input, &output, threads)?,
            _ => datasets::run(job, &input, &output, threads)?,
        },
        Task::Generate { input, bytes, path } => input.generate(bytes, &path)?,
        Task::Check { job, output } => println!("{}", Contents::of(job, &output)?),
    }
    Ok(())
}

/// Runs all jobs, and fails in the end if somebody has.
fn compare(asked: &Comparison) -> Outcome<()> {
    let data = dir()?;
    let needed = asked.jobs.iter().any(|&job| {
        job.input() == Input::Tpch || asked.contestants(job).iter().any(|contestant| contestant.is_peer())
    });
    let peers = if needed { Peers::install(&data)? } else { Peers::present(&data) };
    let versions = setup::versions()?.join(", ");
    println!("{versions}");
    let (mut markdown, mut failures) = (format!("{versions}\n"), Vec::new());
    for (job, bytes) in asked.jobs.iter().flat_map(|&job| asked.bytes.iter().map(move |&bytes| (job, bytes)))
    {
        let Some(report) = run_job(job, bytes, asked, &data, &peers)? else { continue };
        print!("{}", report.text());
        markdown.push_str(&report.markdown());
        failures.extend(report.failures());
        if let Some(path) = &asked.markdown {
            fs::write(path, &markdown)?;
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(format!("failed, as said above: {}", failures.join(", ")).into())
    }
}

/// Runs all contestants of a job on an input of a size in turn, and looks at what they write. Nothing, if nobody is there who does it.
fn run_job(job: Job, bytes: u64, asked: &Comparison, data: &Path, peers: &Peers) -> Outcome<Option<Report>> {
    let mut by = asked.contestants(job);
    by.retain(|&contestant| {
        let missing = peers.missing(contestant);
        if let Some(reason) = &missing {
            eprintln!("{} is left out: {reason}", contestant.name());
        }
        missing.is_none()
    });
    let entries = asked.entries(&by);
    let of = |by| if by == Contestant::LargeFiles { Input::LargeFiles } else { job.input() };
    let inputs = entries.iter().map(|entry| made(of(entry.by), bytes, data)).collect::<Outcome<Vec<_>>>()?;
    let read = inputs.iter().map(|input| read_through(input)).collect::<Outcome<Vec<_>>>()?;
    let Some(&bytes) = read.first() else { return Ok(None) };
    let mut report = Report::new(job, bytes, asked.runs, entries.clone());
    for index in turns(entries.len(), asked.runs) {
        if report.has_failed(index) {
            continue;
        }
        let Entry { by, threads } = entries[index];
        let output = cleared(data.join(format!("out-{}-{}", job.name(), by.name())))?;
        fs::create_dir_all(&output)?;
        let run = Run { job, input: &inputs[index], output: &output, threads };
        match run_once(by, &run, peers) {
            Ok((usage, answer)) => {
                eprintln!("{} by {}: {:.2} s", job.name(), by.name(), usage.wall.as_secs_f64());
                report.add(index, usage, &answer);
            }
            Err(error) => report.fail(index, error.to_string()),
        }
        fs::remove_dir_all(output)?;
        rustix::fs::sync();
    }
    Ok(Some(report))
}

/// What one run of a contestant cost, and what it wrote.
fn run_once(by: Contestant, run: &Run, peers: &Peers) -> Outcome<(Usage, String)> {
    let messages = run.output.with_extension("messages");
    let mut command = by.command(run, peers)?;
    command.stdout(Stdio::null()).stderr(File::create(&messages)?);
    let usage = measure::run(&mut command, |_| Ok(()))
        .map_err(|error| format!("{error}\n{}", fs::read_to_string(&messages).unwrap_or_default()))?;
    fs::remove_file(messages)?;
    Ok((usage, in_own_process(options::check_args(run.job, run.output))?))
}

/// The path of an input, which is made where it is missing.
fn made(input: Input, bytes: u64, data: &Path) -> Outcome<PathBuf> {
    let path = input.path(bytes, data);
    if !path.exists() {
        eprintln!("writing {} (once)", path.display());
        in_own_process(options::generate_args(input, bytes, &path))?;
    }
    Ok(path)
}

/// What this program prints, given these arguments: what a process once held counts as the peak of those that it starts.
fn in_own_process(args: Vec<PathBuf>) -> Outcome<String> {
    let output = measure::this_program(args)?.stderr(Stdio::inherit()).output()?;
    let answer = String::from_utf8(output.stdout)?.trim().to_owned();
    if output.status.success() { Ok(answer) } else { Err("see above".into()) }
}
