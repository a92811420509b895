//! `gristmill flow runs`, `show` and `logs`.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::LedgerArguments;
use super::listing::listing;
use super::style::{Style, ago, took};
use crate::cli::escape::escaped;
use crate::cli::print;
use crate::cli::width::{cut_middle, padded, width};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Ledger, RunRow};

/// Arguments of `gristmill flow runs`.
#[derive(Debug, Args)]
pub struct Runs {
    /// Only those of this flow
    flow: Option<String>,
    /// No more than so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    ledger: LedgerArguments,
}

impl Runs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn run(&self) -> Result<ExitCode> {
        let runs = self.ledger.open()?.runs(self.flow.as_deref(), self.limit)?;
        let (style, now) = (Style::of_stdout(), Timestamp::now());
        let mut text = String::new();
        table(&mut text, &runs, style, now);
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The runs, one a line. On a narrow terminal marks stand for states, and only what tells runs apart is shown.
fn table(text: &mut String, runs: &[RunRow], style: Style, now: Timestamp) {
    let states = runs.iter().map(|run| run.state.name().len()).max().unwrap_or(0).max(5);
    let ids = runs.iter().map(|run| run.id.to_string().len()).max().unwrap_or(0).max(3);
    let others = ids + 2 + 2 + 10 + if style.is_narrow() { 1 + 2 } else { 7 + 2 + states + 2 + 2 + 9 };
    let room = style.columns().saturating_sub(others).max(8);
    let widest = runs.iter().map(|run| width(&escaped(&run.run_key))).max().unwrap_or(0).clamp(3, room);
    let head = if style.is_narrow() {
        format!("{:>ids$}     {:widest$}  {:>10}", "run", "key", "began")
    } else {
        format!("{:>ids$}  {:widest$}  attempt  {:states$}  {:>10}  took", "run", "key", "state", "began")
    };
    let _ = writeln!(text, "{}", style.bold(&head));
    for run in runs {
        let key = padded(&cut_middle(&escaped(&run.run_key), widest), widest);
        let began = ago(run.started, now);
        let line = if style.is_narrow() {
            format!("{:>ids$}  {}  {key}  {began:>10}", run.id, style.mark(run.state))
        } else {
            let (state, took) = (style.state(run.state, states), run.duration.map(took).unwrap_or_default());
            format!("{:>ids$}  {key}  {:>7}  {state}  {began:>10}  {took}", run.id, run.attempt)
        };
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// Arguments of `gristmill flow show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The number of the run [default: the last one]
    run: Option<i64>,
    /// Every task and every item, also where there are very many that went well
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    ledger: LedgerArguments,
}

impl Show {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If there is no such run.
    pub fn run(&self) -> Result<ExitCode> {
        let ledger = self.ledger.open()?;
        print_run(&ledger, find(&ledger, self.run)?.id, self.all)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn find(ledger: &Ledger, run: Option<i64>) -> Result<RunRow> {
    let found = match run {
        Some(run) => ledger.run(run)?,
        None => ledger.runs(None, 1)?.pop(),
    };
    found.ok_or_else(|| Error::new(ErrorKind::Config, "there is no such run").hint("`flow runs` lists them"))
}

/// Prints a run with its tasks and their tries.
///
/// # Errors
///
/// If the ledger cannot be read.
pub fn print_run(ledger: &Ledger, id: i64, all: bool) -> Result<()> {
    let Some(run) = ledger.run(id)? else { return Ok(()) };
    let (tasks, tries) = (ledger.tasks(id)?, ledger.tries(id)?);
    print(&listing(&run, &tasks, &tries, all, Style::of_stdout(), Timestamp::now()))
}

/// Arguments of `gristmill flow logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The number of the run [default: the last one]
    run: Option<i64>,
    /// Only this task
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    #[command(flatten)]
    ledger: LedgerArguments,
}

impl Logs {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If there is no such run, or a log cannot be read.
    pub fn run(&self) -> Result<ExitCode> {
        let ledger = self.ledger.open()?;
        let run = find(&ledger, self.run)?;
        for one in ledger.tries(run.id)? {
            if self.task.as_ref().is_some_and(|task| *task != one.task) {
                continue;
            }
            let Some(log) = one.log.map(PathBuf::from).filter(|log| log.exists()) else { continue };
            let text = std::fs::read_to_string(&log)
                .map_err(|error| Error::io(ErrorKind::Input, "read", &log, error))?;
            let lines: String = text.lines().map(|line| format!("{}\n", escaped(line))).collect();
            print(&format!("== {} try {}\n{lines}", escaped(&one.task), one.number))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
