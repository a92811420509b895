//! Dataflow beside MapReduce-style execution: the jobs of the PUMA and `HiBench` suites, as the programs in `examples/` have them, each
//! run by both modes of the engine.
//!
//! ```text
//! cargo bench --bench mapreduce -- [--jobs wordcount,pagerank] [--bytes 300MB] [--runs 3] [--threads 2] [--rounds 1,2,4,8]
//!                                  [--markdown docs/mapreduce.md] [--svg docs/mapreduce.svg]
//! ```
//!
//! The programs are built by cargo as they are, and told the mode by `GRISTMILL_EXECUTION`. The inputs are functions of their size, written
//! once into `target/bench-data`; `--bytes` is the size of most, and jobs that do more with each byte read a part of that. Every run is a
//! whole process. All jobs run once in each of the `--runs`, in one mode after the other, of which the other one is first the next time;
//! ratios are taken within that. In every run, both modes must leave the same rows.
//!
//! Jobs with a loop run with each of the `--rounds`, to show what a round costs. The table goes to standard output, and with a chart to
//! the files that `--markdown` and `--svg` name.

mod harness;
#[path = "harness/page_cache.rs"]
mod page_cache;
mod mapreduce {
    pub mod answer;
    pub mod chart;
    pub mod generate;
    pub mod input;
    pub mod job;
    pub mod mode;
    pub mod options;
    pub mod programs;
    #[path = "../peers/random.rs"]
    #[allow(dead_code)] // what only the inputs of the peers need
    mod random;
    pub mod report;
    pub mod run;
    pub mod table;
}

use std::fs;
use std::path::PathBuf;

use harness::figures::turns;
use mapreduce::job::{Case, Job};
use mapreduce::mode::Mode;
use mapreduce::options::{Comparison, Task};
use mapreduce::programs::Programs;
use mapreduce::report::{Measured, Report};
use mapreduce::run::Place;
use mapreduce::{answer, chart, options, run, table};

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The result of everything here: a bench reports its errors and ends.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    match options::parse(std::env::args().skip(1))? {
        Task::Compare(comparison) => compare(&comparison),
        Task::Generate { input, bytes, path } => input.generate(bytes, &path),
        Task::Answer(output) => {
            println!("{}", answer::of_files(&output)?);
            Ok(())
        }
    }
}

/// Runs all cases in turn, round after round, and reports.
fn compare(asked: &Comparison) -> Outcome<()> {
    let programs = Programs::build(&asked.jobs)?;
    let place = Place::new(asked.threads)?;
    let mut report = Report::default();
    for case in cases(asked) {
        let input = case.job.input().made(case.job.bytes(asked.bytes), &programs)?;
        report.cases.push(Measured::new(case, input));
    }
    let turns: Vec<usize> = turns(Mode::ALL.len(), asked.runs).collect();
    for (round, turns) in turns.chunks(Mode::ALL.len()).enumerate() {
        for measured in &mut report.cases {
            eprintln!("run {} of {}: {}", round + 1, asked.runs, measured.case);
            for mode in turns.iter().map(|index| Mode::ALL[*index]) {
                let run = run::run(&measured.case, mode, &measured.input, &place, &programs)?;
                measured.add(mode, run)?;
            }
        }
    }
    place.clear()?;
    let text = table::markdown(&report, asked);
    print!("{text}");
    write(asked.markdown.as_ref(), &text)?;
    write(asked.svg.as_ref(), &chart::svg(&report))
}

/// Each job once, or with each number of rounds.
fn cases(asked: &Comparison) -> Vec<Case> {
    let of_job = |job: &Job| -> Vec<Case> {
        let job = *job;
        if job.is_loop() {
            asked.rounds.iter().map(|rounds| Case { job, rounds: Some(*rounds) }).collect()
        } else {
            vec![Case { job, rounds: None }]
        }
    };
    asked.jobs.iter().flat_map(of_job).collect()
}

fn write(path: Option<&PathBuf>, text: &str) -> Outcome<()> {
    let Some(path) = path else { return Ok(()) };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}
