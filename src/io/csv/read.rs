//! CSV files as batches of rows.
//!
//! A large file is read in pieces, each of which has the records that begin in it. Where the first of these begins is told by the
//! quotes around (see [`super::quotes`]) and compared with where the records before have ended: either all pieces together are what a single
//! reader would have read, or there is an error.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{Schema, SchemaRef};

use super::quotes;
use super::records::{Record, Records};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::io::inflate::InflateLimits;
use crate::io::input::{InputBytes, open_unchanged, read_error};
use crate::io::parsed::{BadRecord, FileRecords, Format, Parsed, Reader};
use crate::io::resolve::InputFile;
use crate::io::split::{Piece, Split};
use crate::parse::{ColumnsBuilder, Fault, TimeFormat};
use crate::record::nearest;

/// Rows of a batch.
const BATCH_ROWS: usize = 2048;

/// Bytes in which the first record of a piece is looked for at first.
const LOOK_BYTES: usize = 1 << 20;

/// How CSV is read.
///
/// # Examples
///
/// ```
/// use gristmill::io::csv::CsvFormat;
///
/// let format = CsvFormat::default().delimiter(b'|').header(false).null("\\N");
/// assert_ne!(format, CsvFormat::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct CsvFormat {
    pub(super) delimiter: u8,
    pub(super) header: bool,
    pub(super) null: String,
    ignores_extra: bool,
    whole_files: bool,
}

impl Default for CsvFormat {
    fn default() -> CsvFormat {
        CsvFormat {
            delimiter: b',',
            header: true,
            null: String::new(),
            ignores_extra: true,
            whole_files: false,
        }
    }
}

impl CsvFormat {
    /// What stands between two fields: any ASCII character but quotes and line ends. Default: a comma.
    pub fn delimiter(mut self, delimiter: u8) -> CsvFormat {
        self.delimiter = delimiter;
        self
    }

    /// Whether a header may have names that are no columns, which are not looked at then. Default: true.
    pub fn ignore_extra(mut self, ignores_extra: bool) -> CsvFormat {
        self.ignores_extra = ignores_extra;
        self
    }

    /// Whether the first record of each file holds the names of the columns, by which these are found then, in any order and among
    /// others. Else the fields are the columns, in order. Default: true.
    pub fn header(mut self, header: bool) -> CsvFormat {
        self.header = header;
        self
    }

    /// What a null is written as, without quotes. Default: nothing. In a column that cannot be null it is text.
    pub fn null(mut self, text: impl Into<String>) -> CsvFormat {
        self.null = text.into();
        self
    }

    /// Whether each file is read in one piece, however large it is: for files with quotes that do not pair. Default: false.
    pub fn whole_files(mut self, whole_files: bool) -> CsvFormat {
        self.whole_files = whole_files;
        self
    }

    /// What [`CsvFormat::whole_files`] has set.
    pub fn reads_whole_files(&self) -> bool {
        self.whole_files
    }

    fn check(&self) -> Result<()> {
        if self.delimiter.is_ascii() && !matches!(self.delimiter, b'"' | b'\n' | b'\r') {
            return Ok(());
        }
        let message = format!("`{}` cannot stand between CSV fields", self.delimiter.escape_ascii());
        Err(Error::new(ErrorKind::Config, message)
            .hint("give an ASCII character other than quotes and line ends"))
    }
}

/// CSV files with the columns of a schema.
pub struct CsvFiles {
    format: CsvFormat,
    schema: SchemaRef,
    max_record_bytes: usize,
    limits: InflateLimits,
    borders: Borders,
}

impl CsvFiles {
    /// Files that are read as `format` says; a longer record than `max_record_bytes` is none.
    ///
    /// # Errors
    ///
    /// If an option cannot work, or a column can be no field of CSV, such as a list.
    pub fn new(
        format: CsvFormat,
        schema: SchemaRef,
        max_record_bytes: usize,
        limits: InflateLimits,
    ) -> Result<CsvFiles> {
        format.check()?;
        drop(columns_of(&schema)?);
        Ok(CsvFiles { format, schema, max_record_bytes, limits, borders: Borders::default() })
    }

    /// The bytes of the file of a piece from an offset on, which is 0 if the piece is the whole file.
    fn open_at(&self, piece: &Piece, offset: u64) -> Result<InputBytes> {
        if piece.is_whole() {
            return InputBytes::open(&piece.file, self.limits);
        }
        let mut file = open_unchanged(&piece.file)?;
        file.seek(SeekFrom::Start(offset)).map_err(|error| read_error(&piece.file.path, offset, error))?;
        Ok(InputBytes::plain(file))
    }

    fn records<R: Read>(&self, source: R, offset: u64) -> Records<R> {
        Records::new(source, offset, self.format.delimiter, self.max_record_bytes)
    }
}

impl Format for CsvFiles {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn quote(&self) -> Option<u8> {
        Some(b'"')
    }

    fn reader<'a>(&'a self, split: &'a Split) -> Box<dyn Reader + 'a> {
        Box::new(SplitReader { files: self, pieces: split.pieces.iter(), open: None })
    }
}

struct SplitReader<'a> {
    files: &'a CsvFiles,
    pieces: std::slice::Iter<'a, Piece>,
    open: Option<PieceReader<'a>>,
}

impl Reader for SplitReader<'_> {
    fn next(&mut self) -> Result<Option<Parsed>> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(piece) = self.pieces.next() else { return Ok(None) };
                self.open = PieceReader::open(self.files, piece)?;
                continue;
            };
            if let Some(parsed) = open.next()? {
                return Ok(Some(parsed));
            }
            self.open = None;
        }
    }
}

/// Reads the records that begin in a piece.
struct PieceReader<'a> {
    files: &'a CsvFiles,
    piece: &'a Piece,
    records: Records<InputBytes>,
    layout: Layout,
    columns: ColumnsBuilder,
    is_first: bool,
    is_over: bool,
}

impl<'a> PieceReader<'a> {
    /// None if the file is empty.
    fn open(files: &'a CsvFiles, piece: &'a Piece) -> Result<Option<PieceReader<'a>>> {
        let mut records = files.records(files.open_at(piece, 0)?, 0);
        let layout = if files.format.header {
            let header = records.next();
            let Some(header) = header.map_err(|error| read_error(&piece.file.path, 0, error))? else {
                return records.source().check_unchanged(&piece.file, None).map(|()| None);
            };
            let at_first_line = |error: Error| error.at(Place::file(&piece.file.path).at_line(1));
            Layout::of_header(files, &header).map_err(at_first_line)?
        } else {
            Layout::in_order(&files.schema)
        };
        if piece.start > 0 {
            let start = first_in(files, piece)?;
            records = files.records(files.open_at(piece, start)?, start);
        }
        let columns = columns_of(&files.schema)?;
        Ok(Some(PieceReader { files, piece, records, layout, columns, is_first: true, is_over: false }))
    }

    fn next(&mut self) -> Result<Option<Parsed>> {
        let (mut offsets, mut bad) = (Vec::new(), Vec::new());
        while !self.is_over && self.columns.len() + bad.len() < BATCH_ROWS {
            let record = match self.records.next() {
                Ok(record) => record,
                Err(error) => return Err(fault(self.piece, &self.records, error)),
            };
            let offset = record.as_ref().map_or(u64::MAX, |record| record.offset);
            if std::mem::take(&mut self.is_first) {
                self.files.borders.begin(self.piece, offset)?;
            }
            let Some(record) = record.filter(|_| self.piece.is_whole() || offset < self.piece.end) else {
                self.is_over = true;
                self.files.borders.end(self.piece, offset)?;
                break;
            };
            match self.layout.add(&record, &self.files.format, &mut self.columns) {
                Ok(()) => offsets.push(offset),
                Err(reason) => bad.push(BadRecord { offset, line: None, raw: record.raw.to_vec(), reason }),
            }
        }
        if offsets.is_empty() && bad.is_empty() {
            return self.records.source().check_unchanged(&self.piece.file, None).map(|()| None);
        }
        let records = FileRecords { file: Arc::clone(&self.piece.file), offsets, bad };
        Ok(Some(Parsed { rows: self.columns.finish()?, files: vec![records] }))
    }
}

/// The error of records that cannot be read on. That someone is writing the file matters more: it may be cut off for that.
fn fault(piece: &Piece, records: &Records<InputBytes>, error: io::Error) -> Error {
    match records.source().check_unchanged(&piece.file, None) {
        Ok(()) => read_error(&piece.file.path, records.read_to(), error),
        Err(changed) => changed,
    }
}

/// Where the first record of a piece begins; where the file ends, if none does.
fn first_in(files: &CsvFiles, piece: &Piece) -> Result<u64> {
    let before = piece.start - 1;
    let failed = |error| read_error(&piece.file.path, before, error);
    let mut look = LOOK_BYTES;
    loop {
        let bytes = bytes_at(&piece.file, before, look).map_err(failed)?;
        let Some((first, rest)) = bytes.split_first() else { return Ok(piece.file.bytes()) };
        if let Some(found) = quotes::first_record(*first, rest, files.format.delimiter) {
            return Ok(piece.start + found as u64);
        }
        if bytes.len() < look {
            return Ok(piece.file.bytes());
        }
        if look > files.max_record_bytes {
            return Err(Error::new(ErrorKind::Input, format!("no record begins within {look} bytes"))
                .hint(
                    "a quote that is not closed, or no CSV: look at it, or read whole_files (--whole-files)",
                )
                .at(Place::file(&piece.file.path).at_offset(before)));
        }
        look *= 4;
    }
}

fn bytes_at(file: &InputFile, offset: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut source = File::open(&file.path)?;
    source.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::with_capacity(count);
    source.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn columns_of(schema: &SchemaRef) -> Result<ColumnsBuilder> {
    ColumnsBuilder::of(schema, |_| TimeFormat::default())
}

/// Which field is which column.
struct Layout {
    /// The fields that a record must have.
    fields: usize,
    /// For each column, its field, and whether it may be null.
    columns: Vec<(usize, bool)>,
}

impl Layout {
    fn in_order(schema: &Schema) -> Layout {
        let columns = schema.fields().iter().enumerate().map(|(index, field)| (index, field.is_nullable()));
        Layout { fields: schema.fields().len(), columns: columns.collect() }
    }

    fn of_header(files: &CsvFiles, header: &Record<'_>) -> Result<Layout> {
        let wrong = |message: String| Error::new(ErrorKind::Input, message);
        if let Some(fault) = header.fault {
            return Err(wrong(format!("the names of the columns cannot be read: {fault}")));
        }
        let names = header.fields().ok_or_else(|| {
            wrong("the names of the columns are not UTF-8".to_string()).hint("convert the file to UTF-8")
        })?;
        let is_extra = |name: &&str| files.schema.fields().find(name).is_none();
        if let Some(name) = names.iter().find(is_extra).filter(|_| !files.format.ignores_extra) {
            let message = format!("the field `{}` is not one of the columns", name.escape_debug());
            return Err(wrong(message).hint(
                "read the file by itself, say which columns there are (--schema, --select), or leave out others with ignore_extra (--ignore-extra)",
            ));
        }
        let column = |field: &Arc<arrow::datatypes::Field>| {
            let mut found = names.iter().enumerate().filter(|(_, name)| name == field.name());
            match (found.next(), found.next()) {
                (Some((index, _)), None) => Ok((index, field.is_nullable())),
                (Some(_), Some(_)) => Err(wrong(format!("two columns are named `{}`", field.name()))),
                (None, _) => {
                    let error = wrong(format!("there is no column `{}`", field.name()));
                    Err(match nearest(field.name(), names.iter()) {
                        Some(similar) => error.hint(format!("the nearest name is `{similar}`")),
                        None => error
                            .hint("the first line of a CSV file has the names, unless header(false) is set"),
                    })
                }
            }
        };
        let columns = files.schema.fields().iter().map(column).collect::<Result<_>>()?;
        Ok(Layout { fields: header.len(), columns })
    }

    /// Adds a record as a row, or says what is wrong with it.
    #[inline]
    fn add(
        &self,
        record: &Record<'_>,
        format: &CsvFormat,
        columns: &mut ColumnsBuilder,
    ) -> Result<(), String> {
        if let Some(fault) = record.fault {
            return Err(fault.to_string());
        }
        if record.len() != self.fields {
            return Err(format!("it has {} fields, not {}", record.len(), self.fields));
        }
        let fields = record.fields().ok_or("it is not UTF-8")?;
        let field = |column: usize| {
            let (index, is_nullable) = self.columns[column];
            let is_null = |field: &&str| is_nullable && *field == format.null && !record.is_quoted(index);
            fields.get(index).filter(|field| !is_null(field))
        };
        columns.push_fields("", field).map_err(|fault| reason_of(&fault))
    }
}

/// What is wrong with a field. Its place in the record is no help, since fields come without their quotes.
#[cold]
fn reason_of(fault: &Fault) -> String {
    let (column, value) = (fault.column().unwrap_or_default(), fault.value().unwrap_or_default());
    format!("{} (column `{column}`, value `{}`)", fault.reason(), value.escape_debug())
}

/// Where the pieces of files were found to begin, and where those before them have ended.
#[derive(Default)]
struct Borders(Mutex<HashMap<(PathBuf, u64), Border>>);

#[derive(Default)]
struct Border {
    begins: Option<u64>,
    ends: Option<u64>,
}

impl Borders {
    /// Notes where the first record of a piece begins.
    fn begin(&self, piece: &Piece, offset: u64) -> Result<()> {
        if piece.start == 0 {
            Ok(())
        } else {
            self.note(piece, piece.start, |border| border.begins = Some(offset))
        }
    }

    /// Notes where the first record behind a piece begins.
    fn end(&self, piece: &Piece, offset: u64) -> Result<()> {
        if piece.end >= piece.file.bytes() {
            return Ok(());
        }
        self.note(piece, piece.end, |border| border.ends = Some(offset))
    }

    fn note(&self, piece: &Piece, at: u64, note: impl FnOnce(&mut Border)) -> Result<()> {
        let mut borders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let border = borders.entry((piece.file.path.clone(), at)).or_default();
        note(border);
        match (border.begins, border.ends) {
            (Some(begins), Some(ends)) if begins != ends => {
                let message = "the quotes of the file do not pair, so that it cannot be told from the middle where records begin";
                Err(Error::new(ErrorKind::Input, message)
                    .hint("mend the quotes, or read the file in one piece: whole_files (--whole-files)")
                    .at(Place::file(&piece.file.path).at_offset(ends)))
            }
            _ => Ok(()),
        }
    }
}
