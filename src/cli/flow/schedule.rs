//! `gristmill flow schedule`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;

use super::Flows;
use super::arguments::{Pair, RunArguments, params};
use super::board::Watched;
use crate::cli::escape::escaped_lines;
use crate::cli::print;
use crate::error::Result;
use crate::flow::Flow;

/// What can be done with schedules.
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Run flows when they are due, until a signal ends it
    Run {
        /// Flow files, or names of flows of this program
        #[arg(required = true)]
        flows: Vec<PathBuf>,
        /// Parameters of all of them, without those which tell the intervals
        #[arg(long = "param", value_name = "NAME=VALUE", value_parser = Pair::parse)]
        params: Vec<Pair>,
        #[command(flatten)]
        run: RunArguments,
    },
    /// Print the next times at which a flow is due, and what its runs are about
    Next {
        /// A flow file, or the name of a flow of this program
        flow: PathBuf,
        /// So many times
        #[arg(default_value_t = 5)]
        count: usize,
        /// The instant after which [default: now]
        #[arg(long, value_name = "TIME")]
        after: Option<Timestamp>,
    },
}

impl ScheduleCommand {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If a flow has no schedule, or the ledger fails.
    pub fn run(&self, flows: &Flows) -> Result<ExitCode> {
        match self {
            ScheduleCommand::Next { flow, count, after } => {
                let times = flows.find(flow)?.next_times(after.unwrap_or_else(Timestamp::now), *count)?;
                let lines =
                    times.iter().map(|(at, value)| format!("{}  {value}\n", at.strftime("%F %T %:z")));
                print(&escaped_lines(&lines.collect::<String>()))?;
                Ok(ExitCode::SUCCESS)
            }
            ScheduleCommand::Run { flows: names, params: pairs, run } => {
                let flows = names.iter().map(|name| flows.find(name)).collect::<Result<Vec<Flow>>>()?;
                let dir = flows.first().map(|flow| flow.directory().to_owned()).unwrap_or_default();
                let (runner, signals, watch) = run.runner(&dir, Watched::Many)?;
                let ran = runner.run_schedules(&flows, &params(pairs)?);
                drop(watch);
                ran?;
                Ok(signals.caught().map_or(ExitCode::SUCCESS, |signal| ExitCode::from(signal.exit_code())))
            }
        }
    }
}
