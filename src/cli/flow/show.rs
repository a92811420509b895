//! `gristmill flow runs`, `show` and `logs`.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::style::{Style, ago, took};
use super::{LedgerArguments, bounds};
use crate::cli::escape::escaped;
use crate::cli::print;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Ledger, RunRow, TaskRow, TryRow};

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
        let widest = runs.iter().map(|run| escaped(&run.run_key).chars().count()).max().unwrap_or(0).max(3);
        let mut text = style.bold(&format!(
            "{:>5}  {:widest$}  {:>7}  {:15}  {:>12}  {}",
            "run", "key", "attempt", "state", "began", "took"
        ));
        text.push('\n');
        for run in &runs {
            let state = style.state(run.state, 15);
            let began = ago(run.started, now);
            let took = run.duration.map(took).unwrap_or_default();
            let key = escaped(&run.run_key);
            let _ = writeln!(
                text,
                "{:>5}  {key:widest$}  {:>7}  {state}  {began:>12}  {took}",
                run.id, run.attempt
            );
        }
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Arguments of `gristmill flow show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The number of the run [default: the last one]
    run: Option<i64>,
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
        print_run(&ledger, find(&ledger, self.run)?.id)?;
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
pub fn print_run(ledger: &Ledger, id: i64) -> Result<()> {
    let Some(run) = ledger.run(id)? else { return Ok(()) };
    let (tasks, tries) = (ledger.tasks(id)?, ledger.tries(id)?);
    print(&described(&run, &tasks, &tries, Style::of_stdout(), Timestamp::now()))
}

fn described(run: &RunRow, tasks: &[TaskRow], tries: &[TryRow], style: Style, now: Timestamp) -> String {
    let mut text = String::new();
    let key = escaped(&run.run_key);
    let took_text = run.duration.map_or_else(String::new, |millis| format!(", took {}", took(millis)));
    let _ =
        writeln!(text, "{} {}  {}", style.bold(&format!("run {}", run.id)), key, style.state(run.state, 0));
    let _ =
        writeln!(text, "attempt {}, {}, began {}{took_text}", run.attempt, run.cause, ago(run.started, now));
    let widest = tasks.iter().map(|task| escaped(&task.task).chars().count()).max().unwrap_or(0);
    for task in tasks {
        let of_task: Vec<&TryRow> = tries.iter().filter(|one| one.task == task.task).collect();
        let last = of_task.last().and_then(|one| one.duration).map(took).unwrap_or_default();
        let (name, state) = (escaped(&task.task), style.state(task.state, 15));
        let reason = task.reason.as_deref().map(escaped).unwrap_or_default();
        let line = format!("  {name:widest$}  {:9}  {state}  {last:>10}  {reason}", task.kind);
        let _ = writeln!(text, "{}", line.trim_end());
        if of_task.len() > 1 || of_task.iter().any(|one| one.error.is_some()) {
            for one in &of_task {
                describe_try(&mut text, one, style);
            }
        }
    }
    if let Some(bounds) = &run.bounds {
        text.push_str(&bounds::described(bounds, run.duration.unwrap_or(0)));
    }
    text
}

fn describe_try(text: &mut String, one: &TryRow, style: Style) {
    let took = one.duration.map(took).unwrap_or_default();
    let _ = writeln!(text, "    try {}  {}  {took:>10}", one.number, style.state(one.state, 15));
    if let Some(log) = one.log.as_ref().filter(|log| PathBuf::from(log).exists()) {
        let _ = writeln!(text, "      log {}", escaped(log));
    }
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
