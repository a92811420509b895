//! From raw text to Parquet: a combined access log, a CSV file with quoted text, and very many small files, by gristmill, by a program
//! that was written by hand for nothing else, and by DuckDB, Polars and DataFusion.
//!
//! ```text
//! cargo bench --bench convert -- [--only logs,csv,group,files] [--bytes 1.07GB] [--runs 5] [--threads 2] [--by NAME,NAME]
//! cargo bench --bench convert -- --files   # 100,000 files of 2 KiB beside the same lines in 16 files, with 64 descriptors
//! ```
//!
//! The data are made once, in `target/bench-data`, and so is a virtual environment of Python with the peers. Every contestant is a
//! whole process, from its start to its complete output, Parquet with Zstandard of level 1. All run once in every round, in an order that
//! moves on by one each round, and ratios are taken within a round. `gristmill` is the command, `gristmill-records` a program whose
//! datasets have records as elements, and `reader+encoder` what these two must do at least. What was found or written is in the
//! last column: ours and the program by hand must agree; peers read some broken lines and escapes of a log otherwise.

mod convert {
    pub mod check;
    pub mod engine;
    pub mod hand;
    pub mod input;
    pub mod job;
    mod logs;
    #[path = "../jobs/measure.rs"]
    pub mod measure;
    pub mod options;
    mod orders;
    pub mod peers;
    mod random;
    pub mod report;
}

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use convert::check::Contents;
use convert::input::{Input, read_through};
use convert::job::{By, Job};
use convert::options::{Comparison, Task};
use convert::peers::Peers;
use convert::report::Report;
use convert::{engine, hand, measure, options};

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The result of everything here: a bench reports its errors and ends.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    match options::parse(std::env::args().skip(1))? {
        Task::Compare(comparison) => compare(&comparison)?,
        Task::Run { job, by, input, output, threads } => match by.as_str() {
            "hand" => drop(hand::run(&input, &output, threads)?),
            "parts" => engine::run_parts(job, &input, &output, threads)?,
            _ => println!("{}", engine::run(job, &input, &output, threads)?),
        },
        Task::Generate { input, bytes, path } => input.generate(bytes, &path)?,
        Task::Check(path) => println!("{}", Contents::of(&path)?),
    }
    Ok(())
}

fn compare(comparison: &Comparison) -> Outcome<()> {
    let data = data_dir()?;
    let peers = Peers::install(&data)?;
    for &job in &comparison.jobs {
        let asked = |by: &&By| comparison.by.is_empty() || comparison.by.contains(&by.name());
        let contestants: Vec<By> = job.contestants().iter().filter(asked).copied().collect();
        print!("{}", compare_by(job, &contestants, comparison, &data, &peers)?);
    }
    Ok(())
}

/// Runs all contestants in turn, and looks at what they wrote.
fn compare_by(job: Job, by: &[By], asked: &Comparison, data: &Path, peers: &Peers) -> Outcome<Report> {
    let bytes = if job == Job::Files { asked.files * 2048 } else { asked.bytes };
    let inputs = by.iter().map(|by| made(by.input(job), bytes, data)).collect::<Outcome<Vec<_>>>()?;
    let read = inputs.iter().map(|input| read_through(input)).collect::<Outcome<Vec<_>>>()?;
    let mut report = Report::new(job, read.first().copied().ok_or("nobody takes part")?, by.to_vec());
    let output = |index: usize| data.join(format!("out-{}", by[index].name()));
    for round in 0..asked.runs {
        for turn in 0..by.len() {
            let index = (round + turn) % by.len();
            empty(&output(index))?;
            let mut command = by[index].command(job, &inputs[index], &output(index), asked.threads, peers)?;
            let mut answer = String::new();
            let usage = measure::run(command.stdout(Stdio::piped()), |stdout| {
                stdout.map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut answer))
            })?;
            report.add(index, usage);
            report.answer(index, answer.trim().to_owned());
        }
    }
    for index in (0..by.len()).filter(|_| !job.has_answer()) {
        report.answer(index, in_own_process(options::check_args(&output(index)))?);
        fs::remove_dir_all(output(index))?;
    }
    report.check()?;
    Ok(report)
}

/// `target/bench-data`, beside the directory that this program was built in.
fn data_dir() -> Outcome<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).ok_or("the bench runs from its target directory")?;
    let data = target.join("bench-data");
    fs::create_dir_all(&data)?;
    Ok(data)
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

/// An empty directory at `path`, whatever was there.
fn empty(path: &Path) -> Outcome<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(fs::create_dir_all(path)?)
}
