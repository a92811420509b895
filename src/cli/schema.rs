//! `gristmill schema`: the columns of files.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;

use super::print;
use super::table_input::TableInput;
use crate::context::Context;
use crate::error::{Result, is_unsafe};
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
    print(&plain(&schema_to_text(options.input.selected(&ctx)?.as_ref())))?;
    Ok(ExitCode::SUCCESS)
}

/// JSON that means the same, without anything that a terminal acts on: outside of its strings, it has nothing such but line ends.
fn plain(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for char in json.chars() {
        if char != '\n' && is_unsafe(char) {
            let _ = write!(text, "\\u{:04x}", u32::from(char)); // writing to a string cannot fail
        } else {
            text.push(char);
        }
    }
    text
}
