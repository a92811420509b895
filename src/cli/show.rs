//! `gristmill show`: the first rows of an output as a table.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::table::{Align, Column, Table};
use crate::error::{Error, ErrorKind, Place, Result, printable};
use crate::io::commit::manifest;

/// Rows that are read from Parquet at once.
const BATCH_ROWS: usize = 1024;

/// What `gristmill show` is given.
#[derive(Debug, Clone, clap::Args)]
pub struct ShowOptions {
    /// The output to show: a directory that gristmill wrote, or a single Parquet or CSV file
    #[arg(value_name = "OUT")]
    pub output: PathBuf,

    /// How many rows to show at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub rows: usize,
}

/// Prints the first rows of an output as an aligned table, and how many rows there are.
///
/// A directory is shown in the order of the names of its parts. The rows to be shown are held in memory. The first line of every CSV part is its header. A
/// reader of what is printed that goes away, such as `head`, is no error: the rest is not printed.
///
/// # Errors
///
/// [`ErrorKind::Input`] if the output is missing, was not committed, is damaged, or is neither Parquet nor CSV;
/// [`ErrorKind::Output`] if the table cannot be printed.
///
/// # Examples
///
/// ```
/// use gristmill::cli::show::{ShowOptions, run};
///
/// # let dir = tempfile::tempdir()?;
/// let output = dir.path().join("counts.csv");
/// std::fs::write(&output, "word,count\nhello,12\nworld,3\n")?;
/// let mut printed = Vec::new();
/// run(&ShowOptions { output, rows: 20 }, &mut printed)?;
/// assert_eq!(String::from_utf8(printed)?, "\
/// | word  | count |
/// |-------|-------|
/// | hello |    12 |
/// | world |     3 |
/// 2 of 2 rows
/// ");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run(options: &ShowOptions, out: &mut dyn Write) -> Result<()> {
    let preview = Preview::read(&options.output, options.rows)?;
    match preview.print(out) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::io(ErrorKind::Output, "print", &options.output, error))
        }
        _ => Ok(()),
    }
}

/// The first rows of an output.
struct Preview {
    table: Table,
    rows: Rows,
}

/// How many rows an output has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Exactly(u64),
    /// A single CSV file does not say, and is not read to its end only to count.
    MoreThanShown,
}

impl Preview {
    fn read(output: &Path, limit: usize) -> Result<Preview> {
        let found = output.metadata().map_err(|error| unreadable("open", output, error))?;
        if found.is_dir() {
            Preview::read_directory(output, limit)
        } else {
            Preview::read_file(output, limit)
        }
    }

    fn read_directory(dir: &Path, limit: usize) -> Result<Preview> {
        let Some(manifest) = manifest::read(dir)? else {
            let message = format!("{} has no {}", printable(dir), manifest::FILE_NAME);
            return Err(
                Error::new(ErrorKind::Input, message).hint("name an output of gristmill, or one file")
            );
        };
        if !manifest.partition_by.is_empty() {
            let columns = manifest.partition_by.join("`, `");
            let message = format!("{} is partitioned by `{columns}`", printable(dir));
            return Err(Error::new(ErrorKind::Input, message).hint("name the directory of one partition"));
        }
        let mut table = Table::default();
        for part in &manifest.parts {
            let left = limit.saturating_sub(table.rows.len());
            if left == 0 && !table.columns.is_empty() {
                break; // the first part is read even for no rows: it has the header
            }
            let part = Preview::read_file(&dir.join(&part.name), left)?.table;
            table.add_part(part, dir)?;
        }
        Ok(Preview { table, rows: Rows::Exactly(manifest.rows) })
    }

    fn read_file(path: &Path, limit: usize) -> Result<Preview> {
        match Format::of(path)? {
            Format::Parquet => read_parquet(path, limit),
            Format::Csv => read_csv(path, limit),
        }
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        for line in self.table.lines() {
            writeln!(out, "{line}")?;
        }
        let shown = self.table.rows.len();
        match self.rows {
            Rows::Exactly(rows) => writeln!(out, "{shown} of {rows} rows")?,
            Rows::MoreThanShown => writeln!(out, "the first {shown} rows; there are more")?,
        }
        out.flush()
    }
}

impl Table {
    /// Adds the rows of a further part, which must have the same columns. A column whose numbers are words in one part
    /// stands left in all.
    fn add_part(&mut self, part: Table, dir: &Path) -> Result<()> {
        if self.columns.is_empty() {
            *self = part;
            return Ok(());
        }
        let names =
            |table: &Table| table.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        if names(self) != names(&part) {
            let message = format!("the parts of {} have different columns", printable(dir));
            return Err(Error::new(ErrorKind::Input, message).hint("show one part by its name"));
        }
        for (column, other) in self.columns.iter_mut().zip(&part.columns) {
            if other.align == Align::Left && !part.rows.is_empty() {
                column.align = Align::Left;
            }
        }
        self.rows.extend(part.rows);
        Ok(())
    }
}

/// How a file is read.
enum Format {
    Parquet,
    Csv,
}

impl Format {
    /// Parquet by its first bytes, CSV by its name: it has no bytes of its own.
    fn of(path: &Path) -> Result<Format> {
        let mut magic = Vec::new();
        File::open(path)
            .and_then(|file| file.take(4).read_to_end(&mut magic))
            .map_err(|error| unreadable("read", path, error))?;
        if magic == b"PAR1" {
            return Ok(Format::Parquet);
        }
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
            return Ok(Format::Csv);
        }
        Err(Error::new(ErrorKind::Input, format!("{} is neither Parquet nor CSV", printable(path)))
            .hint("name a Parquet file, or one that ends in .csv"))
    }
}

fn read_parquet(path: &Path, limit: usize) -> Result<Preview> {
    let damaged = |error| unreadable_parquet(path, error);
    let file = File::open(path).map_err(|error| unreadable("open", path, error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(error.into()))?;
    let total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let fields = builder.schema().fields();
    let columns = fields.iter().map(|field| {
        let align = if field.data_type().is_numeric() { Align::Right } else { Align::Left };
        Column { name: field.name().clone(), align }
    });
    let mut table = Table { columns: columns.collect(), rows: Vec::new() };
    let reader = builder.with_limit(limit).with_batch_size(BATCH_ROWS).build();
    for batch in reader.map_err(|error| damaged(error.into()))? {
        let rows = batch.and_then(|batch| format_rows(&batch)).map_err(|error| damaged(error.into()))?;
        table.rows.extend(rows);
    }
    Ok(Preview { table, rows: Rows::Exactly(total) })
}

fn format_rows(batch: &RecordBatch) -> Result<Vec<Vec<String>>, arrow::error::ArrowError> {
    let options = FormatOptions::default().with_null("NULL");
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect();
    Ok((0..batch.num_rows()).map(row).collect())
}

fn read_csv(path: &Path, limit: usize) -> Result<Preview> {
    let file = File::open(path).map_err(|error| unreadable("open", path, error))?;
    let mut reader = csv::Reader::from_reader(BufReader::new(file));
    let header = cells(reader.byte_headers().map_err(|error| invalid_csv(path, error))?);
    let mut records = reader.byte_records();
    let mut rows = Vec::new();
    for record in records.by_ref().take(limit) {
        rows.push(cells(&record.map_err(|error| invalid_csv(path, error))?));
    }
    let total = if records.next().is_some() { Rows::MoreThanShown } else { Rows::Exactly(rows.len() as u64) };
    let columns =
        header.into_iter().enumerate().map(|(at, name)| Column { name, align: align_of(&rows, at) });
    Ok(Preview { table: Table { columns: columns.collect(), rows }, rows: total })
}

fn cells(record: &csv::ByteRecord) -> Vec<String> {
    record.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect()
}

/// CSV has no types: a column of which all shown cells are numbers, or empty, is one of numbers.
fn align_of(rows: &[Vec<String>], at: usize) -> Align {
    let mut cells = rows.iter().filter_map(|row| row.get(at)).filter(|cell| !cell.is_empty()).peekable();
    let is_numbers = cells.peek().is_some() && cells.all(|cell| cell.parse::<f64>().is_ok());
    if is_numbers { Align::Right } else { Align::Left }
}

fn unreadable(doing: &str, path: &Path, error: io::Error) -> Error {
    Error::io(ErrorKind::Input, doing, path, error)
}

fn unreadable_parquet(path: &Path, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let message = format!("{} is not readable as Parquet: {error}", printable(path));
    Error::new(ErrorKind::Input, message).because(error).hint("it may be damaged: write the output again")
}

fn invalid_csv(path: &Path, error: csv::Error) -> Error {
    let mut place = Place::file(path);
    if let Some(position) = error.position() {
        place = place.at_line(position.line()).at_offset(position.byte());
    }
    Error::new(ErrorKind::Input, format!("this is not valid CSV: {error}")).because(error).at(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content: &str, rows: usize) -> Result<String> {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("table.csv");
        std::fs::write(&output, content).unwrap();
        let mut printed = Vec::new();
        run(&ShowOptions { output, rows }, &mut printed)?;
        Ok(String::from_utf8(printed).unwrap())
    }

    #[test]
    fn a_csv_file_that_goes_on_says_so() {
        let printed = shown("a,b\n1,x\n2,y\n", 1).unwrap();
        assert!(printed.ends_with("the first 1 rows; there are more\n"), "{printed}");
        assert!(!printed.contains('y'));
        assert!(shown("a,b\n", 5).unwrap().ends_with("0 of 0 rows\n"));
    }

    #[test]
    fn escape_sequences_in_names_and_data_are_escaped() {
        let printed = shown("a\u{1b}[2J\nx\u{1b}]0;pwned\u{7}\n", 5).unwrap();
        assert!(!printed.contains('\u{1b}') && !printed.contains('\u{7}'), "{printed:?}");
    }

    #[test]
    fn a_ragged_row_is_an_error_with_its_place() {
        let error = shown("a,b\n1,2\n3\n", 5).unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error_but_a_full_disk_is() {
        struct Fails(io::ErrorKind);
        impl Write for Fails {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("table.csv");
        std::fs::write(&output, "a\n1\n").unwrap();
        let options = ShowOptions { output, rows: 1 };
        run(&options, &mut Fails(io::ErrorKind::BrokenPipe)).unwrap();
        assert!(run(&options, &mut Fails(io::ErrorKind::StorageFull)).is_err());
    }
}
