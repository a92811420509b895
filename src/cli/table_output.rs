//! The arguments of commands that write a table: where to, in which format, and what becomes of records that cannot be read.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::codec::Codec;
use super::ending::Ending;
use super::options::size;
use super::table_input::TableInput;
use crate::context::Context;
use crate::dataset::Output;
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::commit::Existing;
use crate::io::csv::CsvOptions;
use crate::io::json::JsonOptions;
use crate::io::parquet::ParquetOptions;
use crate::ops::{OnError, Table, Written, is_standard_output};

/// Where a table is written, and how.
#[derive(Debug, Args)]
pub struct TableOutput {
    /// The output: a directory of parts, a single file if it ends as its format does, or - for standard output
    #[arg(short, long, value_name = "OUT", required_unless_present = "explain")]
    output: Option<PathBuf>,
    /// The format of the output, which its ending must not contradict [default: by its ending, else parquet; csv to standard output]
    #[arg(long, value_enum)]
    to: Option<OutputFormat>,
    /// What files are compressed with: none, snappy, zstd, zstd:LEVEL for Parquet; none, gzip, gzip:LEVEL, zstd, zstd:LEVEL for others [default: zstd for Parquet, else none, or as the ending of the output says]
    #[arg(long, value_name = "C", value_parser = Codec::parse)]
    compression: Option<Codec>,
    /// What a null is written as in CSV
    #[arg(long, value_name = "TEXT", default_value = "")]
    write_null: String,
    /// Columns whose values become directories, as in day=2026-01-01/
    #[arg(long, value_name = "COLS", value_delimiter = ',')]
    partition_by: Vec<String>,
    /// With --mode partitions: a partition to replace, such as day=2026-01-01; can be repeated [default: those in which rows occur]
    #[arg(long, value_name = "COL=VALUE", requires = "partition_by")]
    partition: Vec<String>,
    /// What of an output that is there is replaced: all of it (needs --overwrite), single partitions, or nothing
    #[arg(long, value_enum, default_value_t = Mode::Replace)]
    mode: Mode,
    /// With --mode append-once: the name of what is added, which is added once however often it runs
    #[arg(long, value_name = "ID", required_if_eq("mode", "append-once"))]
    append_id: Option<String>,
    /// Partitions that one run may write; more are mostly a mistake [default: 10000]
    #[arg(long, value_name = "N", requires = "partition_by")]
    max_partitions: Option<usize>,
    /// Bytes after which a directory gets a new part [default: 128MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    target_file_size: Option<u64>,
    /// What a record that cannot be read does: end the run, be left out, or be written to files as well (reject=DIR)
    #[arg(long, value_name = "fail|skip|reject=DIR", default_value = "fail", value_parser = action)]
    on_error: BadRecords,
    /// The run fails if more records than so many, or than this share of all, cannot be read [default: no limit]
    #[arg(long, value_name = "N|P%", value_parser = limit)]
    max_errors: Option<Limit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    Parquet,
    Csv,
    Jsonl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Replace,
    Partitions,
    AppendOnce,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum BadRecords {
    Fail,
    Skip,
    Reject(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    Records(u64),
    Share(f64),
}

fn action(text: &str) -> Result<BadRecords, String> {
    match text.split_once('=') {
        None if text == "fail" => Ok(BadRecords::Fail),
        None if text == "skip" => Ok(BadRecords::Skip),
        Some(("reject", dir)) if !dir.is_empty() => Ok(BadRecords::Reject(dir.into())),
        _ => Err("give fail, skip, or reject=DIR".to_owned()),
    }
}

fn limit(text: &str) -> Result<Limit, String> {
    let wrong = || "give a number such as 1000, or a share such as 0.5%".to_owned();
    match text.strip_suffix('%') {
        Some(percent) => match percent.trim_end().parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Limit::Share(percent / 100.0)),
            _ => Err(wrong()),
        },
        None => text.parse().map(Limit::Records).map_err(|_| wrong()),
    }
}

/// Options of any format with what the command says of where rows go.
macro_rules! placed {
    ($arguments:expr, $existing:expr, $options:expr) => {{
        let (arguments, options) = ($arguments, $options.existing($existing));
        let options = options.partition_by(arguments.partition_by.clone());
        let options = match arguments.max_partitions {
            Some(partitions) => options.max_partitions(partitions),
            None => options,
        };
        let options = match arguments.target_file_size {
            Some(bytes) => options.target_file_bytes(bytes),
            None => options,
        };
        match (arguments.mode, &arguments.append_id) {
            (Mode::AppendOnce, Some(id)) => options.append_once(id),
            (Mode::Partitions, _) if arguments.partition.is_empty() => options.replace_occurring_partitions(),
            (Mode::Partitions, _) => options.replace_partitions(arguments.partition.clone()),
            _ => options,
        }
    }};
}

impl TableOutput {
    /// The path, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// Fails for arguments that have no effect without another one: whoever gave them expects something of them.
    pub fn check(&self, input: &TableInput) -> Result<()> {
        let fails = self.on_error == BadRecords::Fail;
        let without = |argument: &str, other: &str| {
            Err(Error::new(ErrorKind::Config, format!("{argument} has no effect without {other}"))
                .hint("give both or neither"))
        };
        if self.max_errors.is_some() && fails {
            return without("--max-errors", "--on-error skip or --on-error reject=DIR");
        }
        if self.append_id.is_some() && self.mode != Mode::AppendOnce {
            return without("--append-id", "--mode append-once");
        }
        if !self.partition.is_empty() && self.mode != Mode::Partitions {
            return without("--partition", "--mode partitions");
        }
        if !fails && !input.has_bad_records() {
            return Err(Error::new(ErrorKind::Config, "Parquet has no single records that cannot be read")
                .hint("leave out --on-error"));
        }
        match (&self.on_error, &self.output) {
            (BadRecords::Reject(dir), Some(output)) if absolute(dir) == absolute(output) => {
                let message = format!("{} is both the output and the place of the rejects", printable(dir));
                Err(Error::new(ErrorKind::Config, message)
                    .hint("give --on-error reject=DIR another directory"))
            }
            _ => Ok(()),
        }
    }

    /// The table with what is to become of records that cannot be read.
    pub fn tolerant(&self, table: Table) -> Result<Table> {
        let policy = match &self.on_error {
            BadRecords::Fail => return Ok(table),
            BadRecords::Skip => OnError::skip(),
            BadRecords::Reject(dir) => OnError::reject(dir),
        };
        table.on_error(match self.max_errors {
            None => policy,
            Some(Limit::Records(records)) => policy.max_records(records),
            Some(Limit::Share(share)) => policy.max_share(share),
        })
    }

    fn format(&self, path: &Path, ending: &Ending) -> OutputFormat {
        self.to.unwrap_or(match ending.format.as_str() {
            "csv" => OutputFormat::Csv,
            "jsonl" | "ndjson" | "json" => OutputFormat::Jsonl,
            _ if is_standard_output(path) => OutputFormat::Csv,
            _ => OutputFormat::Parquet,
        })
    }

    /// The output of a table at the path.
    pub fn of(&self, table: &Table, path: &Path, existing: Existing) -> Result<Output<Written>> {
        let ending = Ending::of(path);
        let codec = self.compression.or_else(|| Codec::of_ending(&ending.compression));
        Ok(match self.format(path, &ending) {
            OutputFormat::Parquet => {
                let options = ParquetOptions::default();
                let options = match codec {
                    None => options,
                    Some(codec) => options.compression(codec.of_pages()?),
                };
                table.to_parquet(path, placed!(self, existing, options))
            }
            OutputFormat::Csv => {
                let options = CsvOptions::default().null(&self.write_null);
                let options = options.compression(codec.unwrap_or(Codec::None).of_text()?);
                table.to_csv(path, placed!(self, existing, options))
            }
            OutputFormat::Jsonl => {
                let options = JsonOptions::default();
                let options = options.compression(codec.unwrap_or(Codec::None).of_text()?);
                table.to_json_lines(path, placed!(self, existing, options))
            }
        })
    }

    /// What is told of an output, in lines.
    pub fn told(&self, ctx: &Context, written: &Written) -> Vec<String> {
        let Written { path, rows, bytes, parts, .. } = written;
        let path = printable(path);
        let mut lines = vec![match parts {
            0 => format!("wrote {rows} rows to {path}"),
            parts => format!("wrote {rows} rows to {path} ({parts} part(s), {bytes} bytes)"),
        }];
        let bad = ctx.counter(OnError::BAD_RECORDS).value();
        match &self.on_error {
            _ if bad == 0 => {}
            BadRecords::Reject(dir) => {
                lines.push(format!("{bad} records could not be read: they are in {}", printable(dir)));
            }
            _ => lines.push(format!("{bad} records could not be read and were left out")),
        }
        lines
    }
}

/// The path without its dots; what cannot be said so is compared as it stands.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
