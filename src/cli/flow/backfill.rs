//! `gristmill flow backfill`.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::Flows;
use super::arguments::{Pair, RunArguments, params};
use super::style::Style;
use crate::cli::escape::{escaped, escaped_lines};
use crate::cli::{print, tell};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Backfill, BackfillReport, Every, Order, Reprocess, State};

/// Arguments of `gristmill flow backfill`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A flow file, or the name of a flow of this program
    flow: PathBuf,
    /// Parameters, without that which tells the interval
    #[arg(value_name = "NAME=VALUE", value_parser = Pair::parse)]
    params: Vec<Pair>,
    /// The first interval, by the value of its parameter
    #[arg(long, value_name = "VALUE", required_unless_present = "resume")]
    from: Option<String>,
    /// The last interval
    #[arg(long, value_name = "VALUE", required_unless_present = "resume")]
    to: Option<String>,
    /// How long an interval is [default: as the flow says]
    #[arg(long, value_enum)]
    every: Option<EveryArgument>,
    /// Which interval comes first
    #[arg(long, value_enum, default_value_t = OrderArgument::Asc)]
    order: OrderArgument,
    /// Runs at the same time [default: as the flow says]
    #[arg(long, value_name = "N")]
    max_active: Option<usize>,
    /// Runs that begin in a minute, at most, as 10 or 10/min
    #[arg(long, value_name = "N/min", value_parser = rate)]
    rate: Option<f64>,
    /// Which intervals are run that were run before
    #[arg(long, value_enum, default_value_t = ReprocessArgument::Missing)]
    reprocess: ReprocessArgument,
    /// Print the intervals, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on with a backfill: run what of it has not succeeded
    #[arg(long, value_name = "BACKFILL", conflicts_with_all = ["from", "to", "every", "dry_run"])]
    resume: Option<i64>,
    #[command(flatten)]
    run: RunArguments,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EveryArgument {
    Hour,
    Day,
    Week,
    Month,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OrderArgument {
    Asc,
    Desc,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ReprocessArgument {
    /// Those of which no run has succeeded, also those of which there was none
    Missing,
    /// Those whose last run did not succeed
    Failed,
    /// All, with all their tasks
    All,
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/min").unwrap_or(text);
    match number.trim().parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("give a number of runs a minute, such as 10/min".to_owned()),
    }
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If it cannot begin, or the ledger fails.
    pub fn run(&self, flows: &Flows) -> Result<ExitCode> {
        let flow = flows.find(&self.flow)?;
        let params = params(&self.params)?;
        let (runner, signals) = self.run.runner(flow.directory())?;
        let report = match (self.resume, self.backfill()) {
            (Some(id), _) => runner.resume_backfill(&flow, &params, id)?,
            (None, Some(backfill)) if self.dry_run => {
                let values = runner.backfill_values(&flow, &params, &backfill)?;
                let lines: String = values.iter().map(|value| format!("{value}\n")).collect();
                print(&escaped_lines(&lines))?;
                return Ok(ExitCode::SUCCESS);
            }
            (None, Some(backfill)) => runner.backfill(&flow, &params, &backfill)?,
            (None, None) => return Err(Error::new(ErrorKind::Config, "give --from and --to, or --resume")),
        };
        print(&summary(&report, Style::of_stdout()))?;
        if let Some(signal) = signals.caught() {
            return Ok(ExitCode::from(signal.exit_code()));
        }
        if report.intervals.iter().all(|interval| interval.state == State::Succeeded) {
            return Ok(ExitCode::SUCCESS);
        }
        let flow = self.flow.display().to_string();
        let hint = format!(
            "gristmill: run again what has not succeeded with `flow backfill {flow} --resume {}`",
            report.id
        );
        tell(hint);
        Ok(ExitCode::FAILURE)
    }

    fn backfill(&self) -> Option<Backfill> {
        let mut backfill = Backfill::new(self.from.as_ref()?, self.to.as_ref()?);
        if let Some(every) = self.every {
            backfill = backfill.every(match every {
                EveryArgument::Hour => Every::Hour,
                EveryArgument::Day => Every::Day,
                EveryArgument::Week => Every::Week,
                EveryArgument::Month => Every::Month,
            });
        }
        if let Some(runs) = self.max_active {
            backfill = backfill.max_active(runs);
        }
        if let Some(rate) = self.rate {
            backfill = backfill.rate(rate);
        }
        let backfill = backfill.order(match self.order {
            OrderArgument::Asc => Order::Asc,
            OrderArgument::Desc => Order::Desc,
        });
        Some(backfill.reprocess(match self.reprocess {
            ReprocessArgument::Missing => Reprocess::Missing,
            ReprocessArgument::Failed => Reprocess::Failed,
            ReprocessArgument::All => Reprocess::All,
        }))
    }
}

/// The counts of all states, and each interval that did not succeed.
fn summary(report: &BackfillReport, style: Style) -> String {
    let mut text = String::new();
    let count = |state: State| report.intervals.iter().filter(|interval| interval.state == state).count();
    let counts = State::ALL.into_iter().filter(|state| count(*state) > 0);
    let counts: Vec<String> = counts.map(|state| format!("{} {}", count(state), state.name())).collect();
    let _ =
        writeln!(text, "backfill {}: {} intervals, {}", report.id, report.intervals.len(), counts.join(", "));
    for interval in report.intervals.iter().filter(|interval| interval.state != State::Succeeded) {
        let run = interval.run.map(|run| format!("run {run}")).unwrap_or_default();
        let error = interval.error.as_deref().map(escaped).unwrap_or_default();
        let line =
            format!("  {}  {}  {run}  {error}", escaped(&interval.value), style.state(interval.state, 15));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
