//! The arguments of the benches.

use super::job::{Job, Task};
use crate::Outcome;

/// What is compared.
#[derive(Debug, Clone)]
pub struct Options {
    pub jobs: Vec<Job>,
    pub rows: Vec<u64>,
    pub runs: usize,
    pub threads: Vec<usize>,
    pub memory: Option<u64>,
}

impl Options {
    /// The defaults, changed as the arguments of this process say; none if they ask for one task, which has then been run.
    pub fn parse(defaults: Options) -> Outcome<Option<Options>> {
        let mut options = defaults;
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            if arg == "--run" {
                Task::run(&args.collect::<Vec<_>>())?;
                return Ok(None);
            }
            if arg == "--bench" {
                continue; // added by cargo
            }
            let value = args.next().ok_or(format!("{arg} wants a value"))?;
            match arg.as_str() {
                "--rows" => options.rows = list(&value, |one| Ok(one.parse()?))?,
                "--runs" => options.runs = value.parse()?,
                "--threads" => options.threads = list(&value, |one| Ok(one.parse()?))?,
                "--only" => options.jobs = list(&value, Job::from_name)?,
                "--memory" => {
                    let bytes = gristmill::config::parse_bytes(&value);
                    options.memory = Some(bytes.ok_or(format!("{value} is no size"))?);
                }
                _ => {
                    return Err(format!(
                        "unknown argument {arg}; the head of the bench says which there are"
                    )
                    .into());
                }
            }
        }
        Ok(Some(options))
    }
}

fn list<T>(text: &str, parse: impl Fn(&str) -> Outcome<T>) -> Outcome<Vec<T>> {
    text.split(',').map(parse).collect()
}
