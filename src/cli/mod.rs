//! The `gristmill` command: a thin face over the public API.

pub mod escape;
mod options;
pub mod progress;
pub mod show;
pub mod signals;
mod table;
mod wordcount;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Error, ErrorKind};

/// Batch dataflow on one machine: raw text in, columnar files out, committed atomically.
#[derive(Debug, Parser)]
#[command(name = "gristmill", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Count the words of text files and write (word, count) to Parquet or CSV.
    ///
    /// Words are separated by Unicode white space; nothing else is taken off them.
    Wordcount(wordcount::WordcountOptions),
    /// Print the first rows of a committed output as a table.
    Show(show::ShowOptions),
}

/// Runs the command with the arguments of the process.
///
/// It exits with 0, with 1 if it failed, with 2 for wrong usage, and with 130 or 143 if it was stopped by SIGINT or SIGTERM.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Command::Wordcount(options) => wordcount::run(options),
        Command::Show(options) => {
            show::run(options, &mut std::io::stdout().lock()).map(|()| ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| fail(&error))
}

fn fail(error: &Error) -> ExitCode {
    eprintln!("gristmill: {error}");
    ExitCode::from(if error.kind() == ErrorKind::Config { 2 } else { 1 })
}
