//! The `gristmill` command: a thin face over the public API.

mod aggregate;
mod codec;
mod convert;
mod ending;
pub mod escape;
pub mod flow;
pub mod job;
mod options;
pub mod progress;
pub mod recover;
mod schema;
pub mod show;
pub mod signals;
mod sort;
mod spark;
mod table;
mod table_input;
mod table_job;
mod table_output;
mod ticker;
pub mod verify;
mod width;
mod wordcount;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Error, ErrorKind, Result, is_unsafe};
use escape::{escaped, escaped_lines};

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
    /// Turn files of one format into files of another: logs, CSV or JSON lines into Parquet, Parquet into CSV, …
    ///
    /// Columns and their types are those of the input's format, or told from its first records; `gristmill schema` prints them.
    Convert(Box<convert::ConvertOptions>),
    /// Sort the rows of files by some of their columns, also more of them than the memory holds.
    ///
    /// Rows that are equal in these columns stay in the order of the input. The parts of a directory are in order, too.
    Sort(Box<sort::SortOptions>),
    /// Count, add up, and find the least, the greatest and the mean of the values in each group of rows.
    ///
    /// Nulls are passed over, as in SQL. The groups come in the order of their columns.
    Aggregate(Box<aggregate::AggregateOptions>),
    /// Print the columns of files and their types, as JSON that `convert --schema` takes.
    Schema(schema::SchemaOptions),
    /// Print the first rows of a committed output as a table.
    Show(show::ShowOptions),
    /// Compare the files of an output with its manifests: names, bytes, checksums.
    ///
    /// It reads all of the output, prints what is missing, changed or foreign, and exits with 1 if anything is.
    Verify(verify::VerifyOptions),
    /// Complete the commit that a dead run had decided, and delete what dead runs have left.
    ///
    /// The next run on the output would do the same. Runs that are alive are left alone.
    Recover(recover::RecoverOptions),
    /// Run workflows: tasks with parameters, recorded, retried, and backfilled over ranges of dates.
    #[command(subcommand)]
    Flow(flow::FlowCommand),
    /// Run programs on a cluster of Apache Spark.
    #[command(subcommand)]
    Spark(spark::SparkCommand),
}

/// Runs the command with the arguments of the process.
///
/// It exits with 0, with 1 if it failed, with 2 for wrong usage, and with 130 or 143 if it was stopped by SIGINT or SIGTERM.
pub fn main() -> ExitCode {
    let arguments: Arguments = arguments();
    let result = match &arguments.command {
        Command::Wordcount(options) => wordcount::run(options),
        Command::Convert(options) => convert::run(options),
        Command::Sort(options) => sort::run(options),
        Command::Aggregate(options) => aggregate::run(options),
        Command::Schema(options) => schema::run(options),
        Command::Show(options) => show::run(options, &mut io::stdout().lock()).map(|()| ExitCode::SUCCESS),
        Command::Verify(options) => verify::run(options, &mut io::stdout().lock()),
        Command::Recover(options) => {
            recover::run(options, &mut io::stdout().lock()).map(|()| ExitCode::SUCCESS)
        }
        Command::Flow(command) => flow::run(command, &flow::Flows::Files),
        Command::Spark(command) => spark::run(command),
    };
    result.unwrap_or_else(|error| fail(&error))
}

/// The arguments of the process. What is wrong with them is told, and ends the process.
fn arguments<A: Parser>() -> A {
    let given: Vec<_> = std::env::args_os().collect();
    let is_plain = |argument: &std::ffi::OsString| !argument.to_string_lossy().contains(is_unsafe);
    A::try_parse_from(&given).unwrap_or_else(|error| {
        if given.iter().all(is_plain) {
            error.exit();
        }
        // The parser repeats arguments as they are: it is asked what it says of them without what a terminal acts on.
        let plain = given.iter().map(|argument| escaped(&argument.to_string_lossy()).into_owned());
        if let Err(error) = A::try_parse_from(plain) {
            error.exit();
        }
        let _ = io::stderr().write_all(escaped_lines(&error.render().to_string()).as_bytes());
        std::process::exit(error.exit_code());
    })
}

fn fail(error: &Error) -> ExitCode {
    tell(format_args!("gristmill: {error:#}")); // without the source line, which is one of the command
    ExitCode::from(if error.kind() == ErrorKind::Config { 2 } else { 1 })
}

/// Prints a line to standard error, without anything that a terminal acts on; that nobody reads it is no reason to end otherwise.
pub(crate) fn tell(message: impl Display) {
    let _ = writeln!(io::stderr(), "{}", escaped(&message.to_string()));
}

/// Notes that are printed; what is left out of an input can be many files.
const MAX_NOTES: usize = 5;

/// Prints what was left out of the input to standard error.
fn tell_notes(notes: &[String]) {
    for note in notes.iter().take(MAX_NOTES) {
        tell(format_args!("gristmill: {note}"));
    }
    if notes.len() > MAX_NOTES {
        tell(format_args!("gristmill: and {} more are left out", notes.len() - MAX_NOTES));
    }
}

/// Prints a text to standard output; a reader that goes away, such as `head`, is no error.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let message = format!("cannot print to standard output: {error}");
            Err(Error::new(ErrorKind::Output, message).because(error))
        }
        _ => Ok(()),
    }
}

/// What a job without an output is told.
fn no_output() -> Error {
    Error::new(ErrorKind::Config, "there is no output").hint("give one with --output")
}
