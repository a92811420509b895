//! `gristmill flow check`.

use std::process::ExitCode;

use super::arguments::{Pair, params};
use crate::cli::escape::escaped_lines;
use crate::cli::print;
use crate::error::Result;
use crate::flow::{Flow, Plan};

/// Prints the plan of a run.
///
/// # Errors
///
/// For what is wrong with it.
pub fn check(flow: &Flow, pairs: &[Pair]) -> Result<ExitCode> {
    let plan = Plan::new(flow, params(pairs)?)?;
    print(&escaped_lines(&plan.describe()))?;
    Ok(ExitCode::SUCCESS)
}
