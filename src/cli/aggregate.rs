//! `gristmill aggregate`: one row for each group of the rows of files.

use std::process::ExitCode;

use clap::Args;

use super::table_input::Needed;
use super::table_job::TableJob;
use crate::context::Context;
use crate::error::Result;
use crate::ops::{Aggregate, Table};

/// Arguments of `gristmill aggregate`.
#[derive(Debug, Args)]
pub struct AggregateOptions {
    /// Columns whose values rows of a group share [default: none: all rows are one group]
    #[arg(long, value_name = "COLS", value_delimiter = ',')]
    group_by: Vec<String>,
    /// What is told of each group: count, or count, sum, min, max or mean of a column, as in 'sum(bytes) as bytes'; can be repeated
    #[arg(long, value_name = "AGGREGATE", required_unless_present = "group_by", value_parser = aggregate)]
    agg: Vec<Aggregate>,
    #[command(flatten)]
    job: TableJob,
}

fn aggregate(text: &str) -> Result<Aggregate, String> {
    text.parse().map_err(|error| format!("{error:#}"))
}

/// Runs the command.
pub fn run(options: &AggregateOptions) -> Result<ExitCode> {
    options.job.run(Needed::These(&options.needed()), |table| options.aggregated(&table))
}

impl AggregateOptions {
    /// Runs it on a context of somebody else's, and gives what it tells.
    pub(super) fn run_on(&self, ctx: &Context) -> Result<String> {
        self.job.run_on(ctx, Needed::These(&self.needed()), |table| self.aggregated(&table))
    }

    /// The columns that it looks at.
    fn needed(&self) -> Vec<&str> {
        let aggregated = self.agg.iter().filter_map(Aggregate::column);
        self.group_by.iter().map(String::as_str).chain(aggregated).collect()
    }

    fn aggregated(&self, table: &Table) -> Result<Table> {
        table.aggregate(&self.group_by, &self.agg)
    }
}
