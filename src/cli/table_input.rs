//! The arguments of commands that read files of any format as a table.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use clap::{Args, ValueEnum};

use super::ending::Ending;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::io::csv::CsvFormat;
use crate::io::infer::DEFAULT_ROWS;
use crate::io::json::JsonFormat;
use crate::io::resolve::{InputFile, resolve};
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
    /// The format of the input [default: by the ending of the first input, or of the first file in it: csv, tsv, jsonl, ndjson, json, parquet]
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
    /// Each CSV file is read in one piece by one task: for files whose quotes do not pair
    #[arg(long)]
    whole_files: bool,
    /// Fields of CSV, JSON lines and logfmt that are no columns are left out, as with --select; without it they are errors
    #[arg(long)]
    ignore_extra: bool,
    /// The year of the times of syslog (RFC 3164), which have none
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(u16).range(1..=9999))]
    year: Option<u16>,
}

/// Columns that a command looks at.
#[derive(Debug, Clone, Copy)]
pub enum Needed<'a> {
    All,
    These(&'a [&'a str]),
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

impl InputFormat {
    /// As --from has it.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match (text, text.as_bytes()) {
        ("\\t", _) => Ok(b'\t'),
        (_, &[byte]) if byte.is_ascii() => Ok(byte),
        _ => Err("give one ASCII character, or \\t".to_owned()),
    }
}

impl TableInput {
    /// The table of the selected columns, or at least of those that are needed.
    pub fn table(&self, ctx: &Context, needed: Needed<'_>) -> Result<Table> {
        let (format, schema) = self.format_and_schema(ctx)?;
        let schema = match (&format, needed) {
            // Of other formats all columns are looked at, for what is wrong in any of them is told.
            (TableFormat::Parquet, Needed::These(names)) => narrowed(&schema, names),
            _ => schema,
        };
        ctx.read_table(&self.inputs, format, schema)
    }

    /// The selected columns.
    pub fn selected(&self, ctx: &Context) -> Result<SchemaRef> {
        Ok(self.format_and_schema(ctx)?.1)
    }

    fn format_and_schema(&self, ctx: &Context) -> Result<(TableFormat, SchemaRef)> {
        self.check()?;
        let given = self.given_schema()?;
        let format = self.format(ctx, given.as_deref())?;
        let schema = match given {
            Some(schema) => schema,
            None => ctx.infer_schema(&self.inputs, &format, self.infer_rows)?,
        };
        let schema = if self.select.is_empty() { schema } else { select_columns(&schema, &self.select)? };
        Ok((format, schema))
    }

    /// Fails for an argument that the format has no use for: whoever gave it expects something of it.
    fn check(&self) -> Result<()> {
        use InputFormat::{Csv, Jsonl, Logfmt, Regex, Syslog};
        let format = self.input_format()?;
        let arguments: [(&str, bool, &[InputFormat]); 7] = [
            ("--pattern", self.pattern.is_some(), &[Regex]),
            ("--year", self.year.is_some(), &[Syslog]),
            ("--delimiter", self.delimiter.is_some(), &[Csv]),
            ("--no-header", self.no_header, &[Csv]),
            ("--null", !self.null.is_empty(), &[Csv]),
            ("--whole-files", self.whole_files, &[Csv]),
            ("--ignore-extra", self.ignore_extra, &[Csv, Jsonl, Logfmt]),
        ];
        let useless =
            arguments.into_iter().find(|(_, is_given, formats)| *is_given && !formats.contains(&format));
        let Some((argument, _, formats)) = useless else { return Ok(()) };
        let (format, formats) = (format.name(), formats.iter().map(|format| format.name()));
        Err(Error::new(ErrorKind::Config, format!("{argument} says nothing about {format}"))
            .hint(format!("leave it out; it is for {}", formats.collect::<Vec<_>>().join(", "))))
    }

    /// Whether the input is of records that can be wrong one by one.
    pub fn has_bad_records(&self) -> bool {
        !matches!(self.input_format(), Ok(InputFormat::Parquet))
    }

    /// Whether the types of the columns were told from a sample, and could be wrong further on.
    pub fn is_sampled(&self) -> bool {
        use InputFormat::{Csv, Jsonl, Logfmt, Regex};
        self.schema.is_none() && matches!(self.input_format(), Ok(Csv | Jsonl | Logfmt | Regex))
    }

    fn given_schema(&self) -> Result<Option<SchemaRef>> {
        let Some(path) = &self.schema else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::io(ErrorKind::Config, "read the schema", path, error))?;
        schema_from_text(&text).map(Some)
    }

    fn format(&self, ctx: &Context, schema: Option<&Schema>) -> Result<TableFormat> {
        let ignores_extra = self.ignore_extra || !self.select.is_empty();
        Ok(match self.input_format()? {
            InputFormat::Csv => TableFormat::Csv(self.csv().ignore_extra(ignores_extra)),
            InputFormat::Jsonl => {
                let format = JsonFormat::default().scalars_as_text(true);
                TableFormat::JsonLines(format.ignore_extra(ignores_extra))
            }
            InputFormat::Parquet => TableFormat::Parquet,
            InputFormat::Lines => lines(WholeLine),
            InputFormat::Combined => lines(CombinedFormat),
            InputFormat::Common => lines(CommonFormat),
            InputFormat::Nginx => lines(NginxAccessFormat),
            InputFormat::Syslog => lines(Syslog3164Format::new(Assumed::year(self.syslog_year()?))),
            InputFormat::Syslog5424 => lines(Syslog5424Format),
            InputFormat::Logfmt => {
                let keys = schema.map_or_else(|| self.keys(ctx), |schema| Ok(names(schema)))?;
                lines(Logfmt::new(keys)?.ignore_extra(ignores_extra))
            }
            InputFormat::Regex => lines(Regex::new(self.regex()?)?),
        })
    }

    fn csv(&self) -> CsvFormat {
        let usual = if self.ending() == "tsv" { b'\t' } else { b',' };
        let format = CsvFormat::default().delimiter(self.delimiter.unwrap_or(usual));
        format.header(!self.no_header).null(&self.null).whole_files(self.whole_files)
    }

    fn input_format(&self) -> Result<InputFormat> {
        if let Some(format) = self.from {
            return Ok(format);
        }
        let format = format_of(&self.ending());
        if let (None, Some(first)) = (format, self.inputs.first()) {
            resolve(&[first])?; // what is wrong with the input is a better answer
        }
        format.ok_or_else(|| {
            Error::new(ErrorKind::Config, "the ending of the input does not say its format")
                .hint("say it with --from")
        })
    }

    /// What the ending of the first input says of its format; of a directory or a pattern without one, that of the first file found by it.
    fn ending(&self) -> String {
        let Some(first) = self.inputs.first() else { return String::new() };
        let ending = Ending::of(first).format;
        if format_of(&ending).is_some() || first.is_file() || first.as_os_str() == InputFile::STANDARD_INPUT {
            return ending;
        }
        // What is wrong with it is told when it is read.
        let found = resolve(&[first]).ok().and_then(|inputs| inputs.files.into_iter().next());
        found.map_or(ending, |file| Ending::of(&file.path).format)
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

    /// The keys of logfmt in a sample, in the order in which they first occur.
    fn keys(&self, ctx: &Context) -> Result<Vec<String>> {
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

fn format_of(ending: &str) -> Option<InputFormat> {
    match ending {
        "csv" | "tsv" => Some(InputFormat::Csv),
        "jsonl" | "ndjson" | "json" => Some(InputFormat::Jsonl),
        "parquet" => Some(InputFormat::Parquet),
        _ => None,
    }
}

/// The columns with these names, and at least one, for rows need a column to be counted by. If a name is not there, all are left, for whoever
/// says so.
fn narrowed(schema: &SchemaRef, names: &[&str]) -> SchemaRef {
    if names.iter().any(|name| schema.fields().find(name).is_none()) {
        return Arc::clone(schema);
    }
    let is_needed = |field: &&FieldRef| names.contains(&field.name().as_str());
    let mut fields: Vec<_> = schema.fields().iter().filter(is_needed).map(Arc::clone).collect();
    if fields.is_empty() {
        fields.extend(schema.fields().first().map(Arc::clone));
    }
    Arc::new(Schema::new(fields))
}

fn names(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

fn lines(format: impl LineFormat) -> TableFormat {
    TableFormat::Lines(Box::new(format))
}
