//! What the bench is asked to do, by its user or by itself.

use std::path::{Path, PathBuf};

use super::contestant::Contestant;
use super::corpus::Kind;
use crate::Outcome;

/// One call of the bench.
#[derive(Debug)]
pub enum Task {
    /// What users ask for.
    Compare(Comparison),
    /// One contestant, in this process.
    Run { contestant: Contestant, input: PathBuf, output: PathBuf, threads: usize },
    /// A corpus, to be written.
    Generate { kind: Kind, bytes: u64, output: PathBuf },
    /// A contestant's output, to be summed up.
    Check { output: PathBuf },
}

/// What is compared.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The size of the corpora.
    pub bytes: u64,
    /// The number of rounds.
    pub runs: usize,
    /// The numbers of threads.
    pub threads: Vec<usize>,
    /// Files in place of the corpora.
    pub inputs: Vec<PathBuf>,
    /// The contestants, where not all.
    pub only: Vec<Contestant>,
}

/// Understands the arguments.
pub fn parse(mut args: impl Iterator<Item = String>) -> Outcome<Task> {
    let mut asked = Comparison { bytes: 1 << 30, runs: 5, threads: vec![1, 2], inputs: vec![], only: vec![] };
    let (mut run, mut generate, mut check, mut output) = (None, None, false, PathBuf::new());
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} wants a value"));
        match arg.as_str() {
            "--bench" => {} // added by cargo
            "--bytes" => asked.bytes = parse_bytes(&value()?)?,
            "--runs" => asked.runs = value()?.parse()?,
            "--threads" => asked.threads = list(&value()?, |one| Ok(one.parse()?))?,
            "--input" => asked.inputs.push(value()?.into()),
            "--only" => asked.only = list(&value()?, contestant)?,
            "--contestant" => run = Some(contestant(&value()?)?),
            "--generate" => generate = Some(kind(&value()?)?),
            "--check" => check = true,
            "--output" => output = value()?.into(),
            _ => {
                return Err(
                    format!("unknown argument {arg}; benches/wordcount.rs says which there are").into()
                );
            }
        }
    }
    Ok(if let Some(contestant) = run {
        let input = asked.inputs.pop().ok_or("--contestant wants --input")?;
        Task::Run { contestant, input, output, threads: *asked.threads.first().ok_or("no --threads")? }
    } else if let Some(kind) = generate {
        Task::Generate { kind, bytes: asked.bytes, output }
    } else if check {
        Task::Check { output }
    } else {
        Task::Compare(asked)
    })
}

/// The arguments that make the bench run a contestant.
pub fn run_args(contestant: Contestant, input: &Path, output: &Path, threads: usize) -> Vec<PathBuf> {
    let mut args: Vec<PathBuf> = ["--contestant", contestant.name(), "--threads"].map(PathBuf::from).into();
    args.extend([
        threads.to_string().into(),
        "--input".into(),
        input.into(),
        "--output".into(),
        output.into(),
    ]);
    args
}

/// The arguments that make the bench write a corpus.
pub fn generate_args(kind: Kind, bytes: u64, output: &Path) -> Vec<PathBuf> {
    let mut args: Vec<PathBuf> = ["--generate", kind.name(), "--bytes"].map(PathBuf::from).into();
    args.extend([bytes.to_string().into(), "--output".into(), output.into()]);
    args
}

/// The arguments that make the bench sum up an output.
pub fn check_args(output: &Path) -> Vec<PathBuf> {
    vec!["--check".into(), "--output".into(), output.into()]
}

fn list<T>(text: &str, parse: impl Fn(&str) -> Outcome<T>) -> Outcome<Vec<T>> {
    text.split(',').map(parse).collect()
}

fn contestant(name: &str) -> Outcome<Contestant> {
    Contestant::from_name(name).ok_or_else(|| format!("no contestant is called {name}").into())
}

fn kind(name: &str) -> Outcome<Kind> {
    Kind::from_name(name).ok_or_else(|| format!("no corpus is called {name}").into())
}

/// A number of bytes such as `1000000`, `64MiB` or `1GB`.
fn parse_bytes(text: &str) -> Outcome<u64> {
    const UNITS: [(&str, u64); 6] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
    ];
    let unit = UNITS.into_iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)));
    let (number, bytes) = unit.unwrap_or((text, 1));
    let bytes = number.trim().parse::<f64>()? * bytes as f64;
    if bytes < 1.0 {
        return Err(format!("{text} is no size").into());
    }
    #[allow(clippy::cast_sign_loss)] // checked
    Ok(bytes.round() as u64)
}
