//! `gristmill schema`: the columns of files.

use std::process::ExitCode;

use clap::Args;

use super::print;
use super::table_input::TableInput;
use crate::context::Context;
use crate::error::Result;
use crate::io::schema_text::schema_to_text;

/// Arguments of `gristmill schema`.
#[derive(Debug, Args)]
pub struct SchemaOptions {
    #[command(flatten)]
    input: TableInput,
}

/// Prints the columns as JSON that `--schema` takes.
pub fn run(options: &SchemaOptions) -> Result<ExitCode> {
    let ctx = Context::builder().threads(1).build()?;
    print(&schema_to_text(options.input.selected(&ctx)?.as_ref()))?;
    Ok(ExitCode::SUCCESS)
}
