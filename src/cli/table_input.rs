//! The arguments of commands that read files of any format as a table.

use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use clap::{Args, ValueEnum};

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::io::csv::CsvFormat;
use crate::io::infer::DEFAULT_ROWS;
use crate::io::json::JsonFormat;
use crate::io::schema_text::schema_from_text;
use crate::ops::{Table, TableFormat, select_columns};
use crate::parse::{
    Assumed, CombinedFormat, CommonFormat, LineFormat, Logfmt, NginxAccessFormat, Regex, Syslog3164Format,
    Syslog5424Format, WholeLine,
};

/// Which files are read, and how.
#[derive(Debug, Args)]
pub struct TableInput {
    /// Files, directories or globs, compressed with gzip, zstd, bzip2 or xz or not; - is standard input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The format of the input [default: by the ending of the first input: csv, tsv, jsonl, ndjson, json, parquet]
    #[arg(long, value_enum)]
    from: Option<InputFormat>,
    /// With --from regex: a pattern, whose named groups are the columns
    #[arg(long, value_name = "RE")]
    pattern: Option<String>,
    /// A file that says the names and types of the columns, as `gristmill schema` prints it [default: told from the input]
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Records from which the types of columns are told
    #[arg(long, value_name = "N", default_value_t = DEFAULT_ROWS)]
    infer_rows: usize,
    /// Only these columns, in this order
    #[arg(long, value_name = "COLS", value_delimiter = ',')]
    select: Vec<String>,
    /// What stands between the fields of CSV: one ASCII character, or \t [default: a comma, of .tsv a tab]
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// The first record of a CSV file is data; columns are called `column_1`, … unless --schema names them
    #[arg(long)]
    no_header: bool,
    /// What a null is written as in CSV, without quotes
    #[arg(long, value_name = "TEXT", default_value = "")]
    null: String,
    /// Fields of JSON that are no columns are left out; without it they are errors
    #[arg(long)]
    ignore_extra: bool,
    /// The year of the times of syslog (RFC 3164), which have none
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(u16).range(1..=9999))]
    year: Option<u16>,
}

/// What input can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// Any text, as one column, `line`
    Lines,
    /// CSV as RFC 4180 has it
    Csv,
    /// JSON, one object a line
    Jsonl,
    /// Parquet
    Parquet,
    /// The combined log format of Apache
    Combined,
    /// The common log format of Apache
    Common,
    /// The access log of nginx
    Nginx,
    /// Syslog, as in RFC 3164; needs --year
    Syslog,
    /// Syslog, as in RFC 5424
    #[value(name = "syslog5424")]
    Syslog5424,
    /// Pairs such as level=info
    Logfmt,
    /// A regular expression with named groups; needs --pattern
    Regex,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match (text, text.as_bytes()) {
        ("\\t", _) => Ok(b'\t'),
        (_, &[byte]) if byte.is_ascii() => Ok(byte),
        _ => Err("give one ASCII character, or \\t".to_owned()),
    }
}

impl TableInput {
    /// The table of the selected columns.
    pub fn table(&self, ctx: &Context) -> Result<Table> {
        let schema = self.selected(ctx)?;
        ctx.read_table(&self.inputs, self.format(ctx)?, schema)
    }

    /// The selected columns.
    pub fn selected(&self, ctx: &Context) -> Result<SchemaRef> {
        let schema = match self.given_schema()? {
            Some(schema) => schema,
            None => ctx.infer_schema(&self.inputs, &self.format(ctx)?, self.infer_rows)?,
        };
        if self.select.is_empty() { Ok(schema) } else { select_columns(&schema, &self.select) }
    }

    /// Whether the types of the columns were told from a sample, and could be wrong further on.
    pub fn is_sampled(&self) -> bool {
        let typed = !matches!(
            self.input_format(),
            Ok(InputFormat::Csv | InputFormat::Jsonl | InputFormat::Logfmt | InputFormat::Regex)
        );
        self.schema.is_none() && !typed
    }

    fn given_schema(&self) -> Result<Option<SchemaRef>> {
        let Some(path) = &self.schema else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::io(ErrorKind::Config, "read the schema", path, error))?;
        schema_from_text(&text).map(Some)
    }

    fn format(&self, ctx: &Context) -> Result<TableFormat> {
        Ok(match self.input_format()? {
            InputFormat::Csv => TableFormat::Csv(self.csv()),
            InputFormat::Jsonl => {
                let ignores_extra = self.ignore_extra || !self.select.is_empty();
                TableFormat::JsonLines(JsonFormat::default().ignore_extra(ignores_extra))
            }
            InputFormat::Parquet => TableFormat::Parquet,
            InputFormat::Lines => lines(WholeLine),
            InputFormat::Combined => lines(CombinedFormat),
            InputFormat::Common => lines(CommonFormat),
            InputFormat::Nginx => lines(NginxAccessFormat),
            InputFormat::Syslog => lines(Syslog3164Format::new(Assumed::year(self.syslog_year()?))),
            InputFormat::Syslog5424 => lines(Syslog5424Format),
            InputFormat::Logfmt => lines(Logfmt::new(self.keys(ctx)?)?),
            InputFormat::Regex => lines(Regex::new(self.regex()?)?),
        })
    }

    fn csv(&self) -> CsvFormat {
        let usual = if self.ending() == "tsv" { b'\t' } else { b',' };
        let format = CsvFormat::default().delimiter(self.delimiter.unwrap_or(usual));
        format.header(!self.no_header).null(&self.null)
    }

    fn input_format(&self) -> Result<InputFormat> {
        if let Some(format) = self.from {
            return Ok(format);
        }
        match self.ending().as_str() {
            "csv" | "tsv" => Ok(InputFormat::Csv),
            "jsonl" | "ndjson" | "json" => Ok(InputFormat::Jsonl),
            "parquet" => Ok(InputFormat::Parquet),
            _ => Err(Error::new(ErrorKind::Config, "the ending of the input does not say its format")
                .hint("say it with --from")),
        }
    }

    /// The ending of the first input, in lower case and without that of a compression.
    fn ending(&self) -> String {
        const COMPRESSIONS: [&str; 4] = ["gz", "zst", "bz2", "xz"];
        let lower =
            |path: &Path| path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let first = self.inputs.first().map_or(Path::new(""), PathBuf::as_path);
        match lower(first) {
            Some(ending) if COMPRESSIONS.contains(&ending.as_str()) => {
                lower(&first.with_extension("")).unwrap_or_default()
            }
            ending => ending.unwrap_or_default(),
        }
    }

    fn syslog_year(&self) -> Result<u16> {
        self.year.ok_or_else(|| {
            Error::new(ErrorKind::Config, "the times of syslog as in RFC 3164 have no year")
                .hint("give the year of the first line with --year")
        })
    }

    fn regex(&self) -> Result<&str> {
        self.pattern.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Config, "there is no pattern for the lines")
                .hint("give one with --pattern, such as '(?<user>\\w+) (?<amount>[0-9.]+)'")
        })
    }

    /// The keys of logfmt that are columns: those of the schema, else of a sample, in the order in which they first occur.
    fn keys(&self, ctx: &Context) -> Result<Vec<String>> {
        if let Some(schema) = self.given_schema()? {
            return Ok(schema.fields().iter().map(|field| field.name().clone()).collect());
        }
        let mut keys: Vec<String> = Vec::new();
        for line in ctx.read_text(&self.inputs)?.take(self.infer_rows)? {
            for (key, _) in Logfmt::pairs(&line).unwrap_or_default() {
                if !keys.iter().any(|known| *known == *key.as_str()) {
                    keys.push(key.as_str().to_owned());
                }
            }
        }
        Ok(keys)
    }
}

fn lines(format: impl LineFormat) -> TableFormat {
    TableFormat::Lines(Box::new(format))
}
