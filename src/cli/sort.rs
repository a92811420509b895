//! `gristmill sort`: the rows of files in the order of some columns.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::table_input::Needed;
use super::table_job::TableJob;
use crate::context::Context;
use crate::error::Result;
use crate::ops::{SortColumn, Table};

/// Arguments of `gristmill sort`.
#[derive(Debug, Args)]
pub struct SortOptions {
    /// Columns to sort by, the most important first, such as day,-bytes: one with a - before it goes from the largest value to the smallest
    #[arg(long, value_name = "COLS", required = true, value_delimiter = ',', allow_hyphen_values = true, value_parser = column)]
    by: Vec<SortColumn>,
    /// Where rows come that have no value in a column
    #[arg(long, value_enum, value_name = "WHERE", default_value_t = Nulls::Last)]
    nulls: Nulls,
    #[command(flatten)]
    job: TableJob,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Nulls {
    First,
    Last,
}

fn column(text: &str) -> Result<SortColumn, String> {
    text.parse().map_err(|error| format!("{error:#}"))
}

/// Runs the command.
pub fn run(options: &SortOptions) -> Result<ExitCode> {
    options.job.run(Needed::All, |table| options.sorted(&table))
}

impl SortOptions {
    /// Runs it on a context of somebody else's, and gives what it tells.
    pub(super) fn run_on(&self, ctx: &Context) -> Result<String> {
        self.job.run_on(ctx, Needed::All, |table| self.sorted(&table))
    }

    fn sorted(&self, table: &Table) -> Result<Table> {
        let columns = self.by.iter().cloned().map(|column| match self.nulls {
            Nulls::First => column.nulls_first(),
            Nulls::Last => column,
        });
        table.sort_by(&columns.collect::<Vec<_>>())
    }
}
