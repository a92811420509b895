//! `gristmill convert`: files of one format to files of another.

use std::process::ExitCode;

use clap::Args;

use super::table_input::Needed;
use super::table_job::TableJob;
use crate::context::Context;
use crate::error::Result;

/// Arguments of `gristmill convert`.
#[derive(Debug, Args)]
pub struct ConvertOptions {
    #[command(flatten)]
    job: TableJob,
}

/// Runs the command.
pub fn run(options: &ConvertOptions) -> Result<ExitCode> {
    options.job.run(Needed::All, Ok)
}

impl ConvertOptions {
    /// Runs it on a context of somebody else's, and gives what it tells.
    pub(super) fn run_on(&self, ctx: &Context) -> Result<String> {
        self.job.run_on(ctx, Needed::All, Ok)
    }
}
