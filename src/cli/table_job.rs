//! What every command does that makes one table of another: it reads, runs, writes and tells.

use std::process::ExitCode;

use clap::Args;

use super::escape::escaped_lines;
use super::options::{Finished, RunOptions};
use super::table_input::{Needed, TableInput};
use super::table_output::TableOutput;
use super::{no_output, print, tell, tell_notes};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Table;

/// Arguments of such a command, beside those that are its own.
#[derive(Debug, Args)]
pub struct TableJob {
    #[command(flatten)]
    input: TableInput,
    #[command(flatten)]
    output: TableOutput,
    #[command(flatten)]
    run: RunOptions,
}

/// Said of a record that does not fit what was told from a sample.
const SAMPLED: &str = "mend the input, or say with --on-error what such a record does; if it is right, and a type or a column told from \
     the first records is not, look at more of them with --infer-rows, or change what `gristmill schema` prints and give it with --schema";

impl TableJob {
    /// Runs the command, which reads at least the columns that are needed, and makes by `transform` what it writes.
    pub fn run(&self, needed: Needed<'_>, transform: impl Fn(Table) -> Result<Table>) -> Result<ExitCode> {
        self.output.check(&self.input)?;
        let ctx = self.run.context()?;
        let table = self.table(&ctx, needed, transform)?;
        tell_notes(&table.batches().notes());
        let Some(path) = self.output.path() else {
            print(&escaped_lines(&table.batches().explain()))?; // all else needs an output
            return Ok(ExitCode::SUCCESS);
        };
        let output = self.output.of(&table, path, self.run.existing())?;
        if self.run.explain {
            print(&escaped_lines(&output.explain()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let metrics = self.run.metrics_file(&output)?;
        let result = self.run.run(&ctx, metrics.as_ref(), || output.run());
        match result.map_err(|error| self.with_hint(error))? {
            Finished::Stopped(code) => Ok(code),
            Finished::Done(written) => {
                self.output.told(&ctx, &written).iter().for_each(tell);
                Ok(ExitCode::SUCCESS)
            }
        }
    }

    /// Runs it on a context of somebody else's, and gives what it tells.
    pub fn run_on(
        &self,
        ctx: &Context,
        needed: Needed<'_>,
        transform: impl Fn(Table) -> Result<Table>,
    ) -> Result<String> {
        self.output.check(&self.input)?;
        let Some(path) = self.output.path() else { return Err(no_output()) };
        let table = self.table(ctx, needed, transform)?;
        let output = self.output.of(&table, path, self.run.existing())?;
        let written = output.run().map_err(|error| self.with_hint(error))?;
        Ok(self.output.told(ctx, &written).join("; "))
    }

    fn table(
        &self,
        ctx: &Context,
        needed: Needed<'_>,
        transform: impl Fn(Table) -> Result<Table>,
    ) -> Result<Table> {
        transform(self.output.tolerant(self.input.table(ctx, needed)?)?)
    }

    fn with_hint(&self, error: Error) -> Error {
        // What is wrong with a record has a line and an offset, unlike what is wrong with a whole file.
        let is_record = error.place().is_some_and(|place| place.line.is_some() && place.offset.is_some());
        let may_be_wrong = self.input.is_sampled() && error.kind() == ErrorKind::Input && is_record;
        if may_be_wrong { error.hint(SAMPLED) } else { error }
    }
}
