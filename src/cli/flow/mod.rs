//! `gristmill flow`: runs workflows, and tells what became of them.

mod arguments;
mod backfill;
mod board;
mod bounds;
mod listing;
mod outline;
mod own;
mod plan;
mod rails;
mod run;
mod schedule;
mod show;
mod style;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use crate::error::{Error, ErrorKind, Result, printable};
use crate::flow::{Flow, Ledger, Runner};
use crate::record::nearest;
use arguments::{Pair, RunArguments};
pub use own::main;

/// What can be done with flows.
#[derive(Debug, Subcommand)]
pub enum FlowCommand {
    /// Print the plan of a run and what is wrong with it, and run nothing
    Check {
        /// A flow file, or the name of a flow of this program
        flow: PathBuf,
        /// Parameters
        #[arg(value_name = "NAME=VALUE", value_parser = Pair::parse)]
        params: Vec<Pair>,
    },
    /// Run a flow; of a run that was begun before, what is not complete
    Run {
        /// A flow file, or the name of a flow of this program
        flow: PathBuf,
        /// Parameters
        #[arg(value_name = "NAME=VALUE", value_parser = Pair::parse)]
        params: Vec<Pair>,
        /// How it is run
        #[command(flatten)]
        run: RunArguments,
    },
    /// Run again what an earlier run has left, or all of it
    Rerun(run::Rerun),
    /// Ask the process of a run to stop it
    Cancel {
        /// The number of the run
        run: i64,
        /// Where the ledger is
        #[command(flatten)]
        ledger: LedgerArguments,
    },
    /// Say what became of a task that is not idempotent and whose process died
    Confirm(run::Confirm),
    /// List runs, the latest first
    Runs(show::Runs),
    /// Show a run: its tasks, their tries, and where their logs are
    Show(show::Show),
    /// Print the logs of a run, or of one task
    Logs(show::Logs),
    /// Run a flow for each interval of a range
    Backfill(backfill::Arguments),
    /// Run flows when they are due, or print when that is
    #[command(subcommand)]
    Schedule(schedule::ScheduleCommand),
}

/// Where the ledger is.
#[derive(Debug, Clone, clap::Args)]
pub struct LedgerArguments {
    /// The ledger [default: `GRISTMILL_LEDGER`, else .gristmill/ledger.sqlite beside the flow, or here]
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

impl LedgerArguments {
    fn path(&self, dir: &Path) -> PathBuf {
        self.ledger.clone().unwrap_or_else(|| Runner::default_ledger(dir))
    }

    fn open(&self) -> Result<Ledger> {
        Ledger::open_to_read(&self.path(Path::new("")))
    }
}

/// The option that names the ledger of a runner, where commands do not find it by themselves.
fn ledger_option(runner: &Runner) -> String {
    let place = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = runner.ledger().path();
    if place(path) == place(&Runner::default_ledger(Path::new(""))) {
        return String::new();
    }
    let here = std::env::current_dir().unwrap_or_default();
    format!(" --ledger {}", printable(path.strip_prefix(here).unwrap_or(path)))
}

/// The flows that a command can be about.
pub enum Flows {
    /// Those that files describe.
    Files,
    /// Those of a program.
    Given(Vec<Flow>),
}

impl Flows {
    /// The flow of a file, or of that name.
    fn find(&self, name: &Path) -> Result<Flow> {
        let Flows::Given(flows) = self else { return Flow::from_file(name) };
        let name = name.to_string_lossy();
        flows.iter().find(|flow| flow.name() == name).cloned().ok_or_else(|| {
            let error = Error::new(ErrorKind::Config, format!("there is no flow `{}`", name.escape_debug()));
            let names = flows.iter().map(Flow::name);
            match nearest(&name, names.clone()) {
                Some(similar) => error.hint(format!("the nearest name is `{similar}`")),
                None => error.hint(format!("there are: {}", names.collect::<Vec<_>>().join(", "))),
            }
        })
    }
}

/// Runs a command.
///
/// # Errors
///
/// As the command. A run that has failed is an exit code, and no error.
pub fn run(command: &FlowCommand, flows: &Flows) -> Result<ExitCode> {
    match command {
        FlowCommand::Check { flow, params } => plan::check(&flows.find(flow)?, params),
        FlowCommand::Run { flow, params, run } => run::run(&flows.find(flow)?, params, run),
        FlowCommand::Rerun(arguments) => arguments.run(flows),
        FlowCommand::Cancel { run, ledger } => run::cancel(*run, ledger),
        FlowCommand::Confirm(arguments) => arguments.run(),
        FlowCommand::Runs(arguments) => arguments.run(),
        FlowCommand::Show(arguments) => arguments.run(),
        FlowCommand::Logs(arguments) => arguments.run(),
        FlowCommand::Backfill(arguments) => arguments.run(flows),
        FlowCommand::Schedule(command) => command.run(flows),
    }
}
