//! `gristmill flow backfill`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::arguments::{Pair, RunArguments, params};
use super::board::{Watched, counted};
use super::outline::counts;
use super::style::Style;
use super::{Flows, ledger_option};
use crate::cli::escape::{escaped, escaped_lines};
use crate::cli::signals::StopSignals;
use crate::cli::width::{cut, width};
use crate::cli::{print, tell};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Backfill, BackfillReport, Every, Order, Reprocess, Runner, State};

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
    #[arg(long, value_name = "BACKFILL", conflicts_with_all = ["from", "to", "every", "order", "max_active", "rate", "reprocess", "dry_run"])]
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
        let (runner, signals, watch) = self.run.runner(flow.directory(), Watched::Many)?;
        let ran = match (self.resume, self.backfill()) {
            (Some(id), _) => runner.resume_backfill(&flow, &params, id),
            (None, Some(backfill)) if self.dry_run => {
                let values = runner.backfill_values(&flow, &params, &backfill)?;
                let lines: String = values.iter().map(|value| format!("{value}\n")).collect();
                print(&escaped_lines(&lines))?;
                return Ok(ExitCode::SUCCESS);
            }
            (None, Some(backfill)) => runner.backfill(&flow, &params, &backfill),
            (None, None) => return Err(Error::new(ErrorKind::Config, "give --from and --to, or --resume")),
        };
        drop(watch); // before anything else is printed
        ended(&runner, &ran?, &signals)
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

/// Goes on with a backfill: runs the intervals that have not succeeded.
///
/// # Errors
///
/// If there is no such backfill, or it cannot begin.
pub fn resume(
    id: i64,
    flow: Option<&Path>,
    secrets: &[Pair],
    run: &RunArguments,
    flows: &Flows,
) -> Result<ExitCode> {
    let Some((name, source)) = run.ledger.open()?.flow_of_backfill(id)? else {
        return Err(Error::new(ErrorKind::Config, format!("there is no backfill {id}")));
    };
    let recorded = match (flows, source) {
        (Flows::Files, Some(source)) => source,
        _ => name,
    };
    let flow = flows.find(flow.unwrap_or(Path::new(&recorded)))?;
    let (runner, signals, watch) = run.runner(Path::new(""), Watched::Many)?;
    let ran = runner.resume_backfill(&flow, &params(secrets)?, id);
    drop(watch);
    ended(&runner, &ran?, &signals)
}

/// Prints how a backfill has ended, and gives the exit code that says so.
fn ended(runner: &Runner, report: &BackfillReport, signals: &StopSignals) -> Result<ExitCode> {
    print(&summary(report, Style::of_stdout()))?;
    if let Some(signal) = signals.caught() {
        return Ok(ExitCode::from(signal.exit_code()));
    }
    if report.intervals.iter().all(|interval| interval.state == State::Succeeded) {
        return Ok(ExitCode::SUCCESS);
    }
    let (id, ledger) = (report.id, ledger_option(runner));
    tell(format_args!(
        "gristmill: run again what has not succeeded with `flow rerun --failed --backfill {id}{ledger}`"
    ));
    Ok(ExitCode::FAILURE)
}

/// The counts of all states, and each interval that did not succeed.
fn summary(report: &BackfillReport, style: Style) -> String {
    let mut text = String::new();
    let intervals = counted(report.intervals.len(), "interval");
    if report.intervals.is_empty() {
        return format!(
            "backfill {}: nothing to run; --reprocess all runs what has succeeded, too\n",
            report.id
        );
    }
    let ends = counts(report.intervals.iter().map(|interval| interval.state));
    let _ = writeln!(text, "backfill {}: {intervals}, {ends}", report.id);
    let states = report.intervals.iter().map(|interval| interval.state.name().len()).max().unwrap_or(0);
    for interval in report.intervals.iter().filter(|interval| interval.state != State::Succeeded) {
        let run = interval.run.map(|run| format!("run {run}")).unwrap_or_default();
        let error = interval.error.as_deref().map(escaped).unwrap_or_default();
        let value = escaped(&interval.value);
        let used = width(&value) + states + run.len() + 2 * 4;
        let (state, error) =
            (style.state(interval.state, states), cut(&error, style.columns().saturating_sub(used)));
        let _ = writeln!(text, "{}", format!("  {value}  {state}  {run}  {error}").trim_end());
    }
    text
}
