//! What the bench is asked to do, by its user or by itself.

use std::path::{Path, PathBuf};

use super::contestant::{Contestant, Entry, Run};
use super::input::Input;
use super::job::Job;
use crate::Outcome;

/// One call of the bench.
pub enum Task {
    /// What users ask for.
    Compare(Comparison),
    /// A job, in this process.
    Run { by: Contestant, job: Job, input: PathBuf, output: PathBuf, threads: usize },
    /// An input, to be written.
    Generate { input: Input, bytes: u64, path: PathBuf },
    /// An output, to be summed up.
    Check { job: Job, output: PathBuf },
}

/// What is compared.
pub struct Comparison {
    pub jobs: Vec<Job>,
    /// The contestants, where not all.
    pub by: Vec<Contestant>,
    /// The sizes of an input, each compared for itself.
    pub bytes: Vec<u64>,
    pub runs: usize,
    /// The numbers of threads, which are compared with each other.
    pub threads: Vec<usize>,
    /// Where the tables go as Markdown.
    pub markdown: Option<PathBuf>,
}

impl Comparison {
    /// Those that do a job.
    pub fn contestants(&self, job: Job) -> Vec<Contestant> {
        let asked = |by: &&Contestant| {
            if self.by.is_empty() { !by.is_extra() } else { self.by.contains(by) }
        };
        job.contestants().iter().filter(asked).copied().collect()
    }

    /// Each of these with each number of threads.
    pub fn entries(&self, by: &[Contestant]) -> Vec<Entry> {
        by.iter().flat_map(|&by| self.threads.iter().map(move |&threads| Entry { by, threads })).collect()
    }
}

/// Understands the arguments.
pub fn parse(mut args: impl Iterator<Item = String>) -> Outcome<Task> {
    let jobs = Job::ALL.into_iter().filter(|job| *job != Job::Files).collect();
    let mut asked =
        Comparison { jobs, by: vec![], bytes: vec![1 << 30], runs: 5, threads: vec![2], markdown: None };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => continue, // added by cargo
            "--run" | "--generate" | "--check" => return internal(&arg, &args.collect::<Vec<_>>()),
            _ => {}
        }
        let value = args.next().ok_or(format!("{arg} wants a value"))?;
        match arg.as_str() {
            "--jobs" => asked.jobs = value.split(',').map(Job::from_name).collect::<Outcome<_>>()?,
            "--by" => asked.by = value.split(',').map(Contestant::from_name).collect::<Outcome<_>>()?,
            "--bytes" => asked.bytes = value.split(',').map(size).collect::<Outcome<_>>()?,
            "--runs" => asked.runs = value.parse()?,
            "--threads" => asked.threads = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--markdown" => asked.markdown = Some(value.into()),
            _ => {
                return Err(format!("unknown argument {arg}; benches/peers.rs says which there are").into());
            }
        }
    }
    if asked.runs == 0 || asked.threads.contains(&0) {
        return Err("there is at least one run, and one thread".into());
    }
    Ok(Task::Compare(asked))
}

fn size(text: &str) -> Outcome<u64> {
    gristmill::config::parse_bytes(text).ok_or_else(|| format!("{text} is no size").into())
}

/// What the bench asks of itself.
fn internal(task: &str, args: &[String]) -> Outcome<Task> {
    match (task, args) {
        ("--run", [by, job, input, output, threads]) => Ok(Task::Run {
            by: Contestant::from_name(by)?,
            job: Job::from_name(job)?,
            input: input.into(),
            output: output.into(),
            threads: threads.parse()?,
        }),
        ("--generate", [name, bytes, path]) => {
            let input = Input::ALL.into_iter().find(|input| input.name() == name).ok_or("no such input")?;
            Ok(Task::Generate { input, bytes: bytes.parse()?, path: path.into() })
        }
        ("--check", [job, output]) => Ok(Task::Check { job: Job::from_name(job)?, output: output.into() }),
        _ => Err(format!("{task} is for the bench itself").into()),
    }
}

/// The arguments that make the bench do a job.
pub fn run_args(by: Contestant, run: &Run) -> Vec<PathBuf> {
    let mut args: Vec<PathBuf> = ["--run", by.name(), run.job.name()].map(PathBuf::from).into();
    args.extend([run.input.into(), run.output.into(), run.threads.to_string().into()]);
    args
}

/// The arguments that make the bench write an input.
pub fn generate_args(input: Input, bytes: u64, path: &Path) -> Vec<PathBuf> {
    vec!["--generate".into(), input.name().into(), bytes.to_string().into(), path.into()]
}

/// The arguments that make the bench sum up an output.
pub fn check_args(job: Job, output: &Path) -> Vec<PathBuf> {
    vec!["--check".into(), job.name().into(), output.into()]
}
