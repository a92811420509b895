//! CSV: batches to bytes, in the calling thread; whoever writes the file puts the bytes in order.
//!
//! Fields are quoted as RFC 4180 says; lines end with a single line feed unless the options say otherwise. The `csv` crate reads what is written here,
//! but cannot write it: it has no way to quote one field and not the next, and so to tell an empty string from a null.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::{Error, ErrorKind, Result};
use crate::io::commit::Existing;
use crate::io::placement::{Placement, placement_methods};
use crate::io::text_compression::TextCompression;

mod cut;
mod infer;
mod quotes;
mod read;
mod records;

pub use infer::infer_csv;
pub use read::{CsvFiles, CsvFormat};

/// How CSV is written.
///
/// A null is written as the null text without quotes; a string that is equal to the null text is written with quotes.
/// So, by default, `a,,b` has a null in its middle and `a,"",b` an empty string. DuckDB and the like can be told to
/// see the difference; many other readers do not.
///
/// # Examples
///
/// ```
/// use gristmill::io::csv::CsvOptions;
///
/// let tab_separated = CsvOptions::default().delimiter(b'\t').null("NULL");
/// assert_ne!(tab_separated, CsvOptions::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct CsvOptions {
    delimiter: u8,
    header: bool,
    null: String,
    line_end: LineEnd,
    quotes: Quotes,
    formula_guard: bool,
    compression: TextCompression,
    pub(crate) placement: Placement,
}

/// What ends a line of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineEnd {
    /// A line feed.
    #[default]
    Lf,
    /// A carriage return and a line feed, as RFC 4180 has it.
    CrLf,
}

/// Which fields of CSV stand in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quotes {
    /// Those that must, to be read as what they are.
    #[default]
    Necessary,
    /// All but nulls.
    Always,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions {
            delimiter: b',',
            header: true,
            null: String::new(),
            line_end: LineEnd::Lf,
            quotes: Quotes::Necessary,
            formula_guard: false,
            compression: TextCompression::None,
            placement: Placement::default(),
        }
    }
}

impl CsvOptions {
    placement_methods!();

    /// What stands between two fields: any ASCII character but quotes and line ends. Default: a comma.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Whether the first line holds the names of the columns. Default: true.
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }

    /// What a null is written as. It needs no quotes itself. Default: nothing, which is an error for a null of the only column: readers skip empty lines.
    pub fn null(mut self, text: impl Into<String>) -> Self {
        self.null = text.into();
        self
    }

    /// What ends a line. Default: [`LineEnd::Lf`].
    pub fn line_end(mut self, line_end: LineEnd) -> Self {
        self.line_end = line_end;
        self
    }

    /// Which fields stand in quotes. Default: [`Quotes::Necessary`].
    pub fn quotes(mut self, quotes: Quotes) -> Self {
        self.quotes = quotes;
        self
    }

    /// Whether a text or a column's name that begins with `=`, `+`, `-`, `@`, a tab or a carriage return gets a `'` before it, so that
    /// spreadsheets show it and do not take it for a formula. Default: no, since what is read back is then another text.
    ///
    /// See "CSV injection" of OWASP. Numbers stay as they are.
    pub fn formula_guard(mut self, guard: bool) -> Self {
        self.formula_guard = guard;
        self
    }

    /// What the files are compressed with. Default: nothing.
    pub fn compression(mut self, compression: TextCompression) -> Self {
        self.compression = compression;
        self
    }

    pub(crate) fn compressed_with(&self) -> TextCompression {
        self.compression
    }

    /// Whether a field must be quoted to be read as what it is.
    fn must_quote(&self, field: &[u8]) -> bool {
        self.quotes == Quotes::Always || field == self.null.as_bytes() || self.has_syntax(field)
    }

    /// Whether a field contains what means something else outside of quotes.
    fn has_syntax(&self, field: &[u8]) -> bool {
        field.iter().any(|&byte| byte == self.delimiter || matches!(byte, b'"' | b'\n' | b'\r'))
    }

    fn check(&self) -> Result<()> {
        self.compression.check()?;
        let wrong = |message: String, hint| Err(Error::new(ErrorKind::Config, message).hint(hint));
        if !self.delimiter.is_ascii() || matches!(self.delimiter, b'"' | b'\n' | b'\r') {
            let message = format!("`{}` cannot stand between CSV fields", self.delimiter.escape_ascii());
            return wrong(message, "give an ASCII character other than quotes and line ends");
        }
        if self.has_syntax(self.null.as_bytes()) {
            let message = format!("`{}` cannot stand for null in CSV", self.null.escape_debug());
            return wrong(message, "give a text without delimiters, quotes and line ends");
        }
        Ok(())
    }
}

/// Encodes batches of one schema as CSV.
///
/// Strings are written as they are, booleans as `true` and `false`, instants as `2026-01-31T23:59:59Z` with as many
/// digits of the second as they need, dates as `2026-01-31`.
///
/// # Examples
///
/// ```
/// use gristmill::io::csv::{CsvEncoder, CsvOptions};
/// use gristmill::record::{schema, to_batch};
///
/// let rows = [("a \"b\"".to_owned(), Some(1)), (String::new(), None)];
/// let encoder = CsvEncoder::new(&schema::<(String, Option<i32>)>(), &CsvOptions::default())?;
/// let mut bytes = encoder.header();
/// encoder.encode(&to_batch(&rows)?, &mut bytes)?;
/// assert_eq!(String::from_utf8_lossy(&bytes), "_1,_2\n\"a \"\"b\"\"\",1\n\"\",\n");
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CsvEncoder {
    schema: SchemaRef,
    options: CsvOptions,
}

impl CsvEncoder {
    /// An encoder of batches with a schema.
    ///
    /// # Errors
    ///
    /// If a column holds lists or structs, or an option cannot work.
    pub fn new(schema: &SchemaRef, options: &CsvOptions) -> Result<CsvEncoder> {
        options.check()?;
        if let Some(field) = schema.fields().iter().find(|field| field.data_type().is_nested()) {
            let message =
                format!("CSV cannot hold column `{}`, which is {}", field.name(), field.data_type());
            return Err(Error::new(ErrorKind::Config, message)
                .hint("map it to a string, or write Parquet or JSON lines"));
        }
        Ok(CsvEncoder { schema: schema.clone(), options: options.clone() })
    }

    /// The line of column names; nothing if the options want none.
    pub fn header(&self) -> Vec<u8> {
        let mut line = Vec::new();
        if self.options.header {
            for field in self.schema.fields() {
                self.push_text(field.name().as_bytes(), &mut line);
                line.push(self.options.delimiter);
            }
            self.end_line(&mut line);
        }
        line
    }

    /// Appends the lines of a batch.
    ///
    /// # Errors
    ///
    /// If the batch does not have the schema, an instant lies outside of the calendar, or a null of the only column would be an empty line,
    /// which readers skip.
    pub fn encode(&self, batch: &RecordBatch, lines: &mut Vec<u8>) -> Result<()> {
        if self.schema.fields() != batch.schema_ref().fields() {
            return Err(Error::new(ErrorKind::Internal, "a batch has another schema than its CSV file"));
        }
        if let [only] = batch.columns()
            && only.logical_null_count() > 0
            && self.options.null.is_empty()
        {
            let name = batch.schema_ref().field(0).name().escape_debug();
            let message = format!("a null of column `{name}`, the only one, would be an empty line of CSV");
            return Err(Error::new(ErrorKind::Output, message)
                .hint("choose another text for it with CsvOptions::null (--write-null)"));
        }
        let columns = batch.columns().iter().map(with_offset).collect::<Result<Vec<_>>>()?;
        let columns = columns.iter().map(Cells::of).collect::<Result<Vec<_>>>()?;
        let mut scratch = String::new();
        for row in 0..batch.num_rows() {
            for (column, field) in columns.iter().zip(self.schema.fields()) {
                self.encode_cell(column, field, row, &mut scratch, lines)?;
                lines.push(self.options.delimiter);
            }
            self.end_line(lines);
        }
        Ok(())
    }

    #[inline]
    fn encode_cell(
        &self,
        cells: &Cells,
        field: &Field,
        row: usize,
        scratch: &mut String,
        lines: &mut Vec<u8>,
    ) -> Result<()> {
        match cells {
            _ if cells.is_null(row) => lines.extend_from_slice(self.options.null.as_bytes()),
            Cells::Strings(strings) => self.push_text(strings.value(row).as_bytes(), lines),
            Cells::Others(_, formatter) => {
                scratch.clear();
                formatter.value(row).write(scratch).map_err(|error| {
                    let message = format!("CSV cannot hold a value of column `{}`: {error}", field.name());
                    Error::new(ErrorKind::Output, message).because(error)
                })?;
                self.push(scratch.as_bytes(), lines);
            }
        }
        Ok(())
    }

    /// Ends a line where a delimiter stands for one field too many.
    #[inline]
    fn end_line(&self, line: &mut Vec<u8>) {
        line.pop();
        line.extend_from_slice(match self.options.line_end {
            LineEnd::Lf => b"\n",
            LineEnd::CrLf => b"\r\n",
        });
    }

    /// Appends a field that is text, and could be taken for a formula.
    #[inline]
    fn push_text(&self, field: &[u8], line: &mut Vec<u8>) {
        let is_formula = matches!(field.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'));
        if self.options.formula_guard && is_formula {
            self.push(&[b"'", field].concat(), line);
        } else {
            self.push(field, line);
        }
    }

    /// Appends a field, in quotes if it needs them.
    #[inline]
    fn push(&self, field: &[u8], line: &mut Vec<u8>) {
        // An empty line would be no row to most readers.
        let is_line = field.is_empty() && self.schema.fields().len() == 1;
        if is_line || self.options.must_quote(field) {
            push_quoted(field, line);
        } else {
            line.extend_from_slice(field);
        }
    }
}

/// Appends a field in quotes, which double the quotes within.
fn push_quoted(field: &[u8], line: &mut Vec<u8>) {
    line.push(b'"');
    for piece in field.split_inclusive(|&byte| byte == b'"') {
        line.extend_from_slice(piece);
        if piece.ends_with(b"\"") {
            line.push(b'"');
        }
    }
    line.push(b'"');
}

/// The cells of a column, in the form that is fastest to write.
enum Cells<'a> {
    Strings(&'a StringArray),
    Others(&'a ArrayRef, ArrayFormatter<'a>),
}

impl<'a> Cells<'a> {
    fn of(array: &'a ArrayRef) -> Result<Cells<'a>> {
        if let Some(strings) = array.as_string_opt::<i32>() {
            return Ok(Cells::Strings(strings));
        }
        let formatter = ArrayFormatter::try_new(array, &FormatOptions::new()).map_err(unprintable)?;
        Ok(Cells::Others(array, formatter))
    }

    #[inline]
    fn is_null(&self, row: usize) -> bool {
        match self {
            Cells::Strings(strings) => strings.is_null(row),
            Cells::Others(array, _) => array.is_null(row) || *array.data_type() == DataType::Null,
        }
    }
}

/// The column with its time zone, if any, as an offset: names of zones need a table that we do without.
pub(crate) fn with_offset(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            cast(array, &DataType::Timestamp(*unit, Some("+00:00".into()))).map_err(unprintable)
        }
        _ => Ok(array.clone()),
    }
}

fn unprintable(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Output, format!("CSV cannot hold a column: {error}")).because(error)
}
