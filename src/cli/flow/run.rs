//! `gristmill flow run`, `rerun`, `cancel` and `confirm`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::arguments::{Pair, RunArguments, params};
use super::board::Watched;
use super::show::print_run;
use super::{Flows, LedgerArguments, ledger_option};
use crate::cli::signals::StopSignals;
use crate::cli::tell;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Flow, Ledger, Plan, Ran, RunRow, Runner, State, Which};

/// Runs a flow.
///
/// # Errors
///
/// If it cannot begin, or the ledger fails.
pub fn run(flow: &Flow, pairs: &[Pair], arguments: &RunArguments) -> Result<ExitCode> {
    let plan = Plan::new(flow, params(pairs)?)?;
    let (runner, signals, watch) = arguments.runner(flow.directory(), Watched::One)?;
    let ran = runner.run(plan);
    drop(watch); // before anything else is printed
    ended(&runner, ran?, &signals)
}

/// Prints how a run has ended, and gives the exit code that says so.
fn ended(runner: &Runner, ran: Ran, signals: &StopSignals) -> Result<ExitCode> {
    print_run(runner.ledger(), ran.id, false)?;
    Ok(match (ran.state, signals.caught()) {
        (State::Succeeded, _) => ExitCode::SUCCESS,
        (State::Canceled, Some(signal)) => ExitCode::from(signal.exit_code()),
        _ => {
            tell(format_args!(
                "gristmill: run again what has not succeeded with `flow rerun {} --failed{}`",
                ran.id,
                ledger_option(runner)
            ));
            ExitCode::FAILURE
        }
    })
}

/// Arguments of `gristmill flow rerun`.
#[derive(Debug, Args)]
pub struct Rerun {
    /// The number of the run
    #[arg(required_unless_present = "backfill", value_parser = RunOrSecret::parse)]
    run: Option<RunOrSecret>,
    /// The intervals of this backfill that have not succeeded, instead of a run
    #[arg(long, value_name = "BACKFILL", conflicts_with_all = ["from", "all"])]
    backfill: Option<i64>,
    /// The tasks that did not succeed, and those whose inputs have changed (the default)
    #[arg(long, conflicts_with_all = ["from", "all"])]
    failed: bool,
    /// A task and all that wait for it, and what did not succeed
    #[arg(long, value_name = "TASK", conflicts_with = "all")]
    from: Option<String>,
    /// All tasks, also those that succeeded
    #[arg(long)]
    all: bool,
    /// The flow [default: the file that the run was made of]
    #[arg(long, value_name = "FLOW")]
    flow: Option<PathBuf>,
    /// Parameters that are secrets
    #[arg(value_name = "NAME=VALUE", value_parser = Pair::parse)]
    secrets: Vec<Pair>,
    #[command(flatten)]
    arguments: RunArguments,
}

impl Rerun {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If there is no such run, it cannot begin, or the ledger fails.
    pub fn run(&self, flows: &Flows) -> Result<ExitCode> {
        let run = match (&self.run, self.backfill) {
            (Some(RunOrSecret::Run(run)), None) => *run,
            (None | Some(RunOrSecret::Secret(_)), Some(id)) => return self.rerun_backfill(id, flows),
            _ => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "give the number of a run, or --backfill with one",
                ));
            }
        };
        let row = find(&self.arguments.ledger.open()?, run)?;
        let flow = flows.find(&self.flow.clone().unwrap_or_else(|| source(flows, &row)))?;
        let mut given = row.params()?;
        given.extend(params(&self.secrets)?);
        let plan = Plan::new(&flow, given)?;
        if plan.run_key() != row.run_key {
            let message = format!("run {} is one of {}, not of {}", row.id, row.run_key, plan.run_key());
            return Err(Error::new(ErrorKind::Config, message)
                .hint("the parameters of the flow have changed: use `flow run`"));
        }
        let which = match (&self.from, self.all) {
            (_, true) => Which::All,
            (Some(task), _) => Which::From(task.clone()),
            _ => Which::Missing,
        };
        let (runner, signals, watch) = self.arguments.runner(Path::new(""), Watched::One)?;
        let runner = runner.which(which);
        let ran = runner.run(plan);
        drop(watch);
        ended(&runner, ran?, &signals)
    }

    fn rerun_backfill(&self, id: i64, flows: &Flows) -> Result<ExitCode> {
        let first = self.run.iter().filter_map(|first| match first {
            RunOrSecret::Secret(secret) => Some(secret.clone()),
            RunOrSecret::Run(_) => None,
        });
        let secrets: Vec<Pair> = first.chain(self.secrets.iter().cloned()).collect();
        super::backfill::resume(id, self.flow.as_deref(), &secrets, &self.arguments, flows)
    }
}

/// What stands first behind `rerun`: with `--backfill` there is no run.
#[derive(Debug, Clone)]
enum RunOrSecret {
    Run(i64),
    Secret(Pair),
}

impl RunOrSecret {
    fn parse(text: &str) -> Result<RunOrSecret, String> {
        match text.parse() {
            Ok(run) => Ok(RunOrSecret::Run(run)),
            Err(_) => Pair::parse(text)
                .map(RunOrSecret::Secret)
                .map_err(|_| "give the number of a run; `flow runs` lists them".to_owned()),
        }
    }
}

/// How the flow of a run is found again.
fn source(flows: &Flows, row: &RunRow) -> PathBuf {
    match (flows, &row.source) {
        (Flows::Files, Some(source)) => PathBuf::from(source),
        _ => PathBuf::from(&row.flow),
    }
}

fn find(ledger: &Ledger, run: i64) -> Result<RunRow> {
    ledger.run(run)?.ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("there is no run {run}")).hint("`flow runs` lists them")
    })
}

/// Asks the process of a run to stop it.
///
/// # Errors
///
/// If there is no such run, or it has ended.
pub fn cancel(run: i64, arguments: &LedgerArguments) -> Result<ExitCode> {
    find(&arguments.open()?, run)?;
    let runner = Runner::open(arguments.path(Path::new("")))?;
    if runner.cancel(run)? {
        tell(format_args!("run {run} is asked to stop"));
        return Ok(ExitCode::SUCCESS);
    }
    Err(Error::new(ErrorKind::Config, format!("run {run} has ended already")))
}

/// Arguments of `gristmill flow confirm`.
#[derive(Debug, Args)]
pub struct Confirm {
    /// The number of the run
    run: i64,
    /// The task
    task: String,
    /// It did what it should
    #[arg(long, required_unless_present = "failed", conflicts_with = "failed")]
    succeeded: bool,
    /// It did not, and may run again
    #[arg(long)]
    failed: bool,
    #[command(flatten)]
    ledger: LedgerArguments,
}

impl Confirm {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If there is no such task, or what became of it is known.
    pub fn run(&self) -> Result<ExitCode> {
        find(&self.ledger.open()?, self.run)?;
        let runner = Runner::open(self.ledger.path(Path::new("")))?;
        let state = if self.succeeded { State::Succeeded } else { State::Failed };
        runner.confirm(self.run, &self.task, state)?;
        Ok(ExitCode::SUCCESS)
    }
}
