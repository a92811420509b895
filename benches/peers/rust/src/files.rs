//! The rows of Parquet files, worker by worker, and back. A failure ends the program: the bench reports it.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{Int64Type, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// Rows of a batch that is written.
const BATCH_ROWS: usize = 8192;

/// Where a table lies.
pub fn table(dir: &Path, name: &str) -> PathBuf {
    dir.join(name).join(name).with_extension("parquet")
}

/// The batches of every `peers`-th row group from the `index`-th on, of some columns.
pub fn batches(
    path: &Path,
    columns: &[&str],
    index: usize,
    peers: usize,
) -> impl Iterator<Item = RecordBatch> + Send + use<> {
    let file = File::open(path).expect("an input");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let groups = (index..builder.metadata().num_row_groups()).step_by(peers).collect();
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader = builder.with_row_groups(groups).with_projection(mask).with_batch_size(BATCH_ROWS).build();
    reader.expect("a reader").map(|batch| batch.expect("a batch"))
}

/// A column of numbers.
pub fn numbers(batch: &RecordBatch, name: &str) -> Vec<i64> {
    batch.column_by_name(name).expect("a column").as_primitive::<Int64Type>().values().to_vec()
}

/// A column of texts.
pub fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).expect("a column").as_string::<i32>().clone();
    (0..column.len()).map(|row| column.value(row).to_owned()).collect()
}

/// The lines that begin in one of `peers` equal ranges of a text.
pub fn lines(path: &Path, index: usize, peers: usize) -> impl Iterator<Item = String> + Send + use<> {
    let bytes = std::fs::metadata(path).expect("an input").len();
    let (mut at, end) = (bytes * index as u64 / peers as u64, bytes * (index as u64 + 1) / peers as u64);
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).expect("an input"));
    if at > 0 {
        // The line that this range begins in the middle of belongs to the range before it.
        reader.seek(SeekFrom::Start(at - 1)).expect("a place in the input");
        at += reader.read_until(b'\n', &mut Vec::new()).expect("the input") as u64 - 1;
    }
    std::iter::from_fn(move || {
        let mut line = String::new();
        let read = if at < end { reader.read_line(&mut line).expect("text") } else { 0 };
        at += read as u64;
        (read > 0).then_some(line)
    })
}

/// A row that can be written.
pub trait Row {
    /// The columns of rows.
    type Columns: Default;
    /// Appends a row.
    fn append(self, columns: &mut Self::Columns);
    /// The columns, with their names; empty ones remain.
    fn finish(columns: &mut Self::Columns) -> Vec<(&'static str, ArrayRef)>;
    /// What the files are put in order by, if their order matters.
    fn place(&self) -> Option<i64> {
        None
    }
}

/// A word and its count.
pub struct Count(pub String, pub i64);

impl Row for Count {
    type Columns = (StringBuilder, Int64Builder);

    fn append(self, columns: &mut Self::Columns) {
        columns.0.append_value(self.0);
        columns.1.append_value(self.1);
    }

    fn finish(columns: &mut Self::Columns) -> Vec<(&'static str, ArrayRef)> {
        vec![("word", Arc::new(columns.0.finish())), ("count", Arc::new(columns.1.finish()))]
    }
}

/// An account, and the number, the sum and the largest of its values.
pub struct Group(pub i64, pub [i64; 3]);

impl Row for Group {
    type Columns = [Int64Builder; 4];

    fn append(self, columns: &mut Self::Columns) {
        let [count, total, largest] = self.1;
        for (column, value) in columns.iter_mut().zip([self.0, count, total, largest]) {
            column.append_value(value);
        }
    }

    fn finish(columns: &mut Self::Columns) -> Vec<(&'static str, ArrayRef)> {
        let names = ["account", "count", "total", "largest"];
        names
            .into_iter()
            .zip(columns)
            .map(|(name, column)| (name, Arc::new(column.finish()) as ArrayRef))
            .collect()
    }
}

/// An event and the label of its account.
pub struct Joined(pub i64, pub i64, pub String);

impl Row for Joined {
    type Columns = (Int64Builder, Int64Builder, StringBuilder);

    fn append(self, columns: &mut Self::Columns) {
        columns.0.append_value(self.0);
        columns.1.append_value(self.1);
        columns.2.append_value(self.2);
    }

    fn finish(columns: &mut Self::Columns) -> Vec<(&'static str, ArrayRef)> {
        vec![
            ("id", Arc::new(columns.0.finish())),
            ("value", Arc::new(columns.1.finish())),
            ("label", Arc::new(columns.2.finish())),
        ]
    }
}

/// A number and a text, in the order of the numbers.
pub struct Sorted(pub i64, pub String);

impl Row for Sorted {
    type Columns = (Int64Builder, StringBuilder);

    fn append(self, columns: &mut Self::Columns) {
        columns.0.append_value(self.0);
        columns.1.append_value(self.1);
    }

    fn finish(columns: &mut Self::Columns) -> Vec<(&'static str, ArrayRef)> {
        vec![("id", Arc::new(columns.0.finish())), ("name", Arc::new(columns.1.finish()))]
    }

    fn place(&self) -> Option<i64> {
        Some(self.0)
    }
}

/// A Parquet file that begins with its first row, and is complete when it is dropped. A clone is another file.
pub struct Part<R: Row> {
    dir: PathBuf,
    columns: R::Columns,
    rows: usize,
    name: String,
    writer: Option<ArrowWriter<File>>,
}

impl<R: Row> Part<R> {
    pub fn new(dir: &Path) -> Part<R> {
        Part { dir: dir.into(), columns: R::Columns::default(), rows: 0, name: String::new(), writer: None }
    }

    pub fn push(&mut self, row: R) {
        if self.rows == 0 && self.writer.is_none() {
            self.name = match row.place() {
                // In the order of signed numbers.
                Some(number) => format!("part-{:016x}.parquet", number as u64 ^ (1 << 63)),
                None => format!("part-{:?}.parquet", std::thread::current().id()),
            };
        }
        row.append(&mut self.columns);
        self.rows += 1;
        if self.rows == BATCH_ROWS {
            self.write();
        }
    }

    fn write(&mut self) {
        let batch = RecordBatch::try_from_iter(R::finish(&mut self.columns)).expect("columns of one length");
        self.rows = 0;
        let writer = self.writer.get_or_insert_with(|| writer(&self.dir.join(&self.name), batch.schema()));
        writer.write(&batch).expect("room for the output");
    }
}

fn writer(path: &Path, schema: Arc<Schema>) -> ArrowWriter<File> {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("a level"));
    let properties = WriterProperties::builder().set_compression(zstd).build();
    let file = File::create_new(path).expect("a place for the output");
    ArrowWriter::try_new(file, schema, Some(properties)).expect("a writer")
}

impl<R: Row> Clone for Part<R> {
    fn clone(&self) -> Part<R> {
        Part::new(&self.dir)
    }
}

impl<R: Row> Drop for Part<R> {
    fn drop(&mut self) {
        if self.rows > 0 {
            self.write();
        }
        if let Some(writer) = self.writer.take() {
            writer.close().expect("room for the output");
        }
    }
}

/// Which of `parts` equal ranges of all numbers has this one.
pub fn range(number: i64, parts: u64) -> u64 {
    let number = number as u64 ^ (1 << 63);
    ((u128::from(number) * u128::from(parts)) >> 64) as u64
}
