//! The command line of a program that brings its own flows.

use std::process::ExitCode;

use clap::Parser;

use super::{FlowCommand, Flows};
use crate::cli::{arguments, fail};
use crate::flow::Flow;

#[derive(Debug, Parser)]
#[command(about = "Runs the flows of this program")]
struct OwnArguments {
    #[command(subcommand)]
    command: FlowCommand,
}

/// The `main` of a program that brings its own flows: it has all of `gristmill flow`, with the names of these flows where that takes files.
///
/// It exits with 0, with 1 if a run has failed, with 2 for wrong usage, and with 130 or 143 if it was stopped by SIGINT or SIGTERM.
///
/// # Examples
///
/// ```no_run
/// use std::process::ExitCode;
/// use gristmill::flow::{Flow, ParamType};
///
/// fn main() -> ExitCode {
///     let daily = Flow::new("daily").param("date", ParamType::Date).task("tell", |t| {
///         t.log(&t.text("date")?);
///         Ok(())
///     });
///     gristmill::flow::main([daily]) // `PROGRAM run daily date=2026-01-31`
/// }
/// ```
pub fn main(flows: impl IntoIterator<Item = Flow>) -> ExitCode {
    let flows = Flows::Given(flows.into_iter().collect());
    super::run(&arguments::<OwnArguments>().command, &flows).unwrap_or_else(|error| fail(&error))
}
