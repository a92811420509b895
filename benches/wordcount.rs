//! Counts the words of large texts with the `gristmill` command, with a plain program and with one that was written
//! by hand for nothing else, and compares what they cost.
//!
//! ```text
//! cargo bench --bench wordcount -- [--bytes 1GiB] [--runs 5] [--threads 1,2] [--input FILE]... [--only NAME,NAME]
//! ```
//!
//! Without `--input` the texts are `real` (English prose, technical documents) and `wide` (five million distinct
//! words), written once into `target/bench-data`. Every contestant is a whole process, from its start to its
//! complete output: the bench executes itself, so that wall time, CPU time and peak memory are those of one
//! contestant alone. All contestants run once in every round, in an order that moves on by one each round, and ratios
//! are taken within a round, so that a disturbance meets all of them. In the end their outputs must agree.

mod wordcount {
    pub mod check;
    pub mod contestant;
    pub mod corpus;
    pub mod hand;
    #[path = "../jobs/measure.rs"]
    pub mod measure;
    pub mod options;
    pub mod report;
    pub mod simple;
}

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use wordcount::contestant::Contestant;
use wordcount::options::{Comparison, Task};
use wordcount::report::Report;
use wordcount::{check, contestant, corpus, hand, measure, options, simple};

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The result of everything here: a bench reports its errors and ends.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    match options::parse(std::env::args().skip(1))? {
        Task::Compare(comparison) => compare(&comparison),
        Task::Run { contestant: Contestant::Simple, input, output, threads } => {
            simple::run(&input, &output, threads)
        }
        Task::Run { contestant: Contestant::Hand, input, output, threads } => {
            hand::run(&input, &output, threads)
        }
        Task::Run { contestant: Contestant::Gristmill, .. } => {
            Err("gristmill is a command of its own".into())
        }
        Task::Generate { kind, bytes, output } => corpus::generate(kind, bytes, &output),
        Task::Check { output } => {
            println!("{}", check::read(&output)?);
            Ok(())
        }
    }
}

/// Runs the whole comparison, input by input.
fn compare(comparison: &Comparison) -> Outcome<()> {
    let data = data_dir()?;
    let contestants = contestant::present(&comparison.only);
    for input in inputs(comparison, &data)? {
        compare_on(&input, comparison, &contestants, &data)?;
    }
    Ok(())
}

/// Runs every contestant on one input, then checks what they wrote.
fn compare_on(input: &Path, comparison: &Comparison, contestants: &[Contestant], data: &Path) -> Outcome<()> {
    read_through(input)?;
    let mut report = Report::new(input, contestants)?;
    for round in 0..comparison.runs {
        for &threads in &comparison.threads {
            for turn in 0..contestants.len() {
                let contestant = contestants[(round + turn) % contestants.len()];
                let output = output_dir(data, contestant, threads);
                empty(&output)?;
                let usage =
                    measure::run(contestant.command(input, &output, threads)?.stdout(Stdio::null()), |_| {
                        Ok(())
                    })?;
                report.add(contestant, threads, round, usage);
            }
        }
    }
    for &threads in &comparison.threads {
        for &contestant in contestants {
            let answer = contestant::answer(options::check_args(&output_dir(data, contestant, threads)))?;
            report.check(contestant, threads, answer.trim().parse()?)?;
        }
    }
    print!("{report}");
    Ok(())
}

/// `target/bench-data`, beside the directory that this program was built in.
fn data_dir() -> Outcome<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).ok_or("the bench runs from its target directory")?;
    let data = target.join("bench-data");
    fs::create_dir_all(&data)?;
    Ok(data)
}

fn output_dir(data: &Path, contestant: Contestant, threads: usize) -> PathBuf {
    data.join(format!("out-{}-{threads}", contestant.name()))
}

/// The files that were asked for, or else both corpora, which are made where they are missing.
fn inputs(comparison: &Comparison, data: &Path) -> Outcome<Vec<PathBuf>> {
    if !comparison.inputs.is_empty() {
        return Ok(comparison.inputs.clone());
    }
    let mut inputs = Vec::new();
    for kind in corpus::Kind::ALL {
        let path = corpus::path(kind, comparison.bytes, data);
        if !path.exists() {
            eprintln!("writing {} (once)", path.display());
            // In a process of its own: what a process once held counts as the peak of those that it starts.
            contestant::answer(options::generate_args(kind, comparison.bytes, &path))?;
        }
        inputs.push(path);
    }
    Ok(inputs)
}

/// Brings a file into the page cache, so that the first contestant does not pay for the others.
fn read_through(input: &Path) -> Outcome<()> {
    let mut file = File::open(input)?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// An empty directory at `path`, whatever was there.
fn empty(path: &Path) -> Outcome<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(fs::create_dir_all(path)?)
}
