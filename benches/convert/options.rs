//! What the bench is asked to do, by its user or by itself.

use std::path::{Path, PathBuf};

use super::input::Input;
use super::job::Job;
use crate::Outcome;

/// One call of the bench.
pub enum Task {
    /// What users ask for.
    Compare(Comparison),
    /// A job, in this process: by `hand`, by datasets of `records`, or by the `parts` of the engine.
    Run { job: Job, by: String, input: PathBuf, output: PathBuf, threads: usize },
    /// An input, to be written.
    Generate { input: Input, bytes: u64, path: PathBuf },
    /// An output, to be summed up.
    Check(PathBuf),
}

/// What is compared.
pub struct Comparison {
    pub jobs: Vec<Job>,
    /// The size of an input.
    pub bytes: u64,
    /// The number of small files.
    pub files: u64,
    pub runs: usize,
    pub threads: usize,
    /// The contestants, where not all.
    pub by: Vec<String>,
}

/// Understands the arguments.
pub fn parse(mut args: impl Iterator<Item = String>) -> Outcome<Task> {
    let jobs = vec![Job::Logs, Job::Csv, Job::Group];
    let mut asked =
        Comparison { jobs, bytes: 1_070_000_000, files: 100_000, runs: 5, threads: 2, by: vec![] };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => continue, // added by cargo
            "--files" => {
                asked.jobs = vec![Job::Files];
                continue;
            }
            "--run" | "--generate" | "--check" => return internal(&arg, &args.collect::<Vec<_>>()),
            _ => {}
        }
        let value = args.next().ok_or(format!("{arg} wants a value"))?;
        match arg.as_str() {
            "--bytes" => {
                asked.bytes = gristmill::config::parse_bytes(&value).ok_or(format!("{value} is no size"))?;
            }
            "--runs" => asked.runs = value.parse()?,
            "--threads" => asked.threads = value.parse()?,
            "--only" => asked.jobs = value.split(',').map(Job::from_name).collect::<Outcome<_>>()?,
            "--by" => asked.by = value.split(',').map(Into::into).collect(),
            _ => {
                return Err(format!("unknown argument {arg}; benches/convert.rs says which there are").into());
            }
        }
    }
    Ok(Task::Compare(asked))
}

/// What the bench asks of itself.
fn internal(task: &str, args: &[String]) -> Outcome<Task> {
    match (task, args) {
        ("--run", [job, by, input, output, threads]) => Ok(Task::Run {
            job: Job::from_name(job)?,
            by: by.clone(),
            input: input.into(),
            output: output.into(),
            threads: threads.parse()?,
        }),
        ("--generate", [name, bytes, path]) => {
            let input = Input::ALL.into_iter().find(|input| input.name() == name).ok_or("no such input")?;
            Ok(Task::Generate { input, bytes: bytes.parse()?, path: path.into() })
        }
        ("--check", [path]) => Ok(Task::Check(path.into())),
        _ => Err(format!("{task} is for the bench itself").into()),
    }
}

/// The arguments that make the bench write an input.
pub fn generate_args(input: Input, bytes: u64, path: &Path) -> Vec<PathBuf> {
    vec!["--generate".into(), input.name().into(), bytes.to_string().into(), path.into()]
}

/// The arguments that make the bench sum up an output.
pub fn check_args(path: &Path) -> Vec<PathBuf> {
    vec!["--check".into(), path.into()]
}
