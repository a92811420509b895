//! The jobs of the command within another process: for the tasks of flows.

use clap::{CommandFactory, Parser};

use super::{Arguments, Command};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};

/// The long options of a command.
pub fn option_names(command: &str) -> Vec<String> {
    let all = Arguments::command();
    let options = all.find_subcommand(command).into_iter().flat_map(clap::Command::get_arguments);
    options.filter_map(|option| option.get_long().map(str::to_owned)).collect()
}

/// Runs a command that writes an output, such as `convert`, on a context, and gives what it tells.
///
/// # Errors
///
/// If the arguments are wrong, or as the command.
pub fn run(argv: &[String], ctx: &Context) -> Result<String> {
    let arguments = Arguments::try_parse_from(argv).map_err(|error| {
        // Of what the parser prints for people at a terminal, the first part says what is wrong.
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Error::new(ErrorKind::Config, message)
    })?;
    match &arguments.command {
        Command::Wordcount(options) => options.run_on(ctx),
        Command::Convert(options) => options.run_on(ctx),
        Command::Sort(options) => options.run_on(ctx),
        Command::Aggregate(options) => options.run_on(ctx),
        _ => Err(Error::new(ErrorKind::Config, "it is no command that writes an output")),
    }
}
