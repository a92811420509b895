//! What the bench is asked to do, by its user or by itself.

use std::path::{Path, PathBuf};

use super::input::Input;
use super::job::Job;
use crate::Outcome;

/// One call of the bench.
pub enum Task {
    /// What users ask for.
    Compare(Comparison),
    /// The files of an input, to be written into a directory.
    Generate { input: Input, bytes: u64, path: PathBuf },
    /// An output, to be summed up.
    Answer(PathBuf),
}

/// What is compared.
pub struct Comparison {
    pub jobs: Vec<Job>,
    /// The size of most inputs.
    pub bytes: u64,
    pub runs: usize,
    pub threads: usize,
    /// The numbers of rounds of each job that has rounds.
    pub rounds: Vec<usize>,
    /// The files of the table and of the chart.
    pub markdown: Option<PathBuf>,
    pub svg: Option<PathBuf>,
}

/// Understands the arguments.
pub fn parse(mut args: impl Iterator<Item = String>) -> Outcome<Task> {
    let mut asked = Comparison {
        jobs: Job::ALL.to_vec(),
        bytes: 300_000_000,
        runs: 3,
        threads: 2,
        rounds: vec![1, 2, 4, 8],
        markdown: None,
        svg: None,
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => continue, // added by cargo
            "--generate" | "--answer" => return internal(&arg, &args.collect::<Vec<_>>()),
            _ => {}
        }
        let value = args.next().ok_or(format!("{arg} wants a value"))?;
        match arg.as_str() {
            "--jobs" => asked.jobs = list(&value, Job::from_name)?,
            "--bytes" => {
                asked.bytes = gristmill::config::parse_bytes(&value).ok_or(format!("{value} is no size"))?;
            }
            "--runs" => asked.runs = at_least_one(&arg, &value)?,
            "--threads" => asked.threads = at_least_one(&arg, &value)?,
            "--rounds" => asked.rounds = list(&value, |one| at_least_one(&arg, one))?,
            "--markdown" => asked.markdown = Some(value.into()),
            "--svg" => asked.svg = Some(value.into()),
            _ => {
                return Err(
                    format!("unknown argument {arg}; benches/mapreduce.rs says which there are").into()
                );
            }
        }
    }
    Ok(Task::Compare(asked))
}

fn list<T>(text: &str, parse: impl Fn(&str) -> Outcome<T>) -> Outcome<Vec<T>> {
    text.split(',').map(parse).collect()
}

fn at_least_one(name: &str, text: &str) -> Outcome<usize> {
    text.parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| format!("{name} wants numbers from 1, not {text}").into())
}

/// What the bench asks of itself.
fn internal(task: &str, args: &[String]) -> Outcome<Task> {
    match (task, args) {
        ("--generate", [name, bytes, path]) => {
            let input = Input::ALL.into_iter().find(|input| input.name() == name).ok_or("no such input")?;
            Ok(Task::Generate { input, bytes: bytes.parse()?, path: path.into() })
        }
        ("--answer", [path]) => Ok(Task::Answer(path.into())),
        _ => Err(format!("{task} is for the bench itself").into()),
    }
}

/// The arguments that make the bench write an input.
pub fn generate_args(input: Input, bytes: u64, path: &Path) -> Vec<PathBuf> {
    vec!["--generate".into(), input.name().into(), bytes.to_string().into(), path.into()]
}

/// The arguments that make the bench sum up an output.
pub fn answer_args(path: &Path) -> Vec<PathBuf> {
    vec!["--answer".into(), path.into()]
}
