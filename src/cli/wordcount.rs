//! `gristmill wordcount`: how often each word occurs.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::escape::escaped_lines;
use super::options::{Finished, RunOptions};
use super::{no_output, print, tell, tell_notes};
use crate::context::Context;
use crate::dataset::{Dataset, Output};
use crate::error::{Result, printable};
use crate::io::csv::CsvOptions;
use crate::io::parquet::ParquetOptions;
use crate::ops::Written;
use crate::text::Text;

/// Arguments of `gristmill wordcount`.
#[derive(Debug, Args)]
pub struct WordcountOptions {
    /// Files, directories or globs of text
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The output: a directory of parts, or a single file if it ends in .parquet or .csv
    #[arg(short, long, value_name = "OUT", required_unless_present = "explain")]
    output: Option<PathBuf>,
    /// The format of the output, which its ending must not contradict [default: by its ending, else parquet]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only the N most frequent words, the most frequent first
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Parquet,
    Csv,
}

/// Runs the command.
pub fn run(options: &WordcountOptions) -> Result<ExitCode> {
    let ctx = options.run.context()?;
    let counts = counts(&ctx, options)?;
    tell_notes(&counts.notes());
    let Some(path) = &options.output else {
        print(&escaped_lines(&counts.explain()))?; // all else needs an output
        return Ok(ExitCode::SUCCESS);
    };
    let output = output(&counts, path, options);
    if options.run.explain {
        print(&escaped_lines(&output.explain()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let metrics = options.run.metrics_file(&output)?;
    match options.run.run(&ctx, metrics.as_ref(), || output.run())? {
        Finished::Stopped(code) => Ok(code),
        Finished::Done(written) => {
            tell(told(&written));
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl WordcountOptions {
    /// Runs it on a context of somebody else's, and gives what it tells.
    pub(super) fn run_on(&self, ctx: &Context) -> Result<String> {
        let Some(path) = &self.output else { return Err(no_output()) };
        let written = output(&counts(ctx, self)?, path, self).run()?;
        Ok(told(&written))
    }
}

fn told(written: &Written) -> String {
    let Written { path, rows, bytes, parts, .. } = written;
    format!("wrote {rows} words to {} ({parts} part(s), {bytes} bytes)", printable(path))
}

fn counts(ctx: &Context, options: &WordcountOptions) -> Result<Dataset<(Text, u64)>> {
    let counts = ctx.read_words(&options.inputs)?.count_by_value();
    Ok(match options.top {
        Some(n) => counts.top_k(n, |(word, count)| (*count, Reverse(word.clone()))),
        None => counts,
    })
}

fn output(counts: &Dataset<(Text, u64)>, path: &Path, options: &WordcountOptions) -> Output<Written> {
    let ends_in_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let format = options.format.unwrap_or(if ends_in_csv { Format::Csv } else { Format::Parquet });
    let (columns, existing) = (counts.columns(["word", "count"]), options.run.existing());
    match format {
        Format::Parquet => columns.to_parquet(path, ParquetOptions::default().existing(existing)),
        Format::Csv => columns.to_csv(path, CsvOptions::default().existing(existing)),
    }
}
