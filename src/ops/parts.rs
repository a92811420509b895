//! Committed output: tasks encode, one cell appends their pieces to part files in order, and the action commits.
//!
//! Encoding, which is nearly all of the work, is done by the tasks, each for its own split. What they leave are finished
//! pieces (row groups of Parquet, lines of CSV) that are appended in split order, and a new part is begun at a
//! fixed size, so that the files are the same on any number of threads.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde_json::Value;

use super::elements::{BATCH_ROWS, Intake, Rows};
use super::part_files::Files;
use super::partition_rows::{Gathered, Layout};
use crate::dataset::{Action, Dataset, Output};
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::chunk::Chunk;
use crate::exec::collect::downcast;
use crate::exec::erased::AnyPush;
use crate::exec::job::{Batch, Port, Terminal};
use crate::exec::memory::{Budget, Reservation};
use crate::exec::push::{Flow, Push};
use crate::exec::task::TaskCx;
use crate::io::commit::{Attempt, PartWriter, Shape, Target, Transaction};
use crate::io::hive::PartitionPath;
use crate::io::placement::Placement;
use crate::io::schema_text::columns_json;
use crate::record::{self, Data, Record};

/// A file format: how pieces are encoded, and how they are put into files.
pub trait Format: Clone + Send + Sync + 'static {
    /// What a task leaves: encoded rows.
    type Piece: Send + 'static;
    /// Encodes the rows of one task.
    type Encoder: Encoder<Self::Piece>;
    /// A file that is being written.
    type File: Send + 'static;

    /// The extension of part files, without the dot.
    fn extension(&self) -> &'static str;

    /// Where the rows go.
    fn placement(&self) -> &Placement;

    /// An encoder for the rows of one task; what it has encoded takes memory from `budget`.
    fn encoder(&self, schema: &SchemaRef, budget: &Budget) -> Result<Self::Encoder>;

    /// Begins a file.
    fn begin(&self, schema: &SchemaRef, writer: PartWriter) -> Result<Self::File>;

    /// The bytes that a piece adds to a file, about.
    fn piece_bytes(piece: &Self::Piece) -> u64;

    /// Appends a piece and returns the bytes of the file so far.
    fn append(file: &mut Self::File, piece: Self::Piece) -> Result<u64>;

    /// Ends a file; returns what it was written to and its rows.
    fn end(file: Self::File) -> Result<(PartWriter, u64)>;
}

/// Encodes the rows of one task.
pub trait Encoder<P> {
    /// Takes a batch.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Bytes of what is not encoded yet.
    fn memory_bytes(&self) -> usize;

    /// The pieces, in order.
    fn finish(self) -> Result<Vec<P>>;
}

/// What has been written and committed by one run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// The bytes of its parts.
    pub bytes: u64,
    /// The number of its parts.
    pub parts: usize,
    /// The number of partitions that were replaced or added to; 0 if the output is not partitioned.
    pub partitions: usize,
}

/// The lazy result of writing a dataset whose elements have the columns of `schema`.
pub(super) fn output<I: Intake, F: Format>(
    dataset: &Dataset<I::Item>,
    call: CallSite,
    format: F,
    path: &Path,
    schema: Result<SchemaRef>,
) -> Output<Written> {
    let detail = crate::error::printable(path);
    let budget = dataset.context().budget().clone();
    let types = PhantomData;
    let action = WriteAction::<I, F> {
        call,
        format,
        path: path.to_owned(),
        schema: Some(schema),
        budget,
        opened: None,
        types,
    };
    Output::new(dataset, call, detail, action)
}

/// The lazy result of writing rows, with the columns of their type, or with others' names for these.
pub(super) fn output_of_rows<T: Record, F: Format>(
    dataset: &Dataset<T>,
    call: CallSite,
    format: F,
    path: &Path,
    names: Option<&[String]>,
) -> Output<Written> {
    let schema = record::schema::<T>();
    let schema = names.map_or_else(|| Ok(schema.clone()), |names| record::rename_schema(&schema, names));
    output::<Rows<T>, F>(dataset, call, format, path, schema)
}

struct WriteAction<I, F: Format> {
    call: CallSite,
    format: F,
    path: PathBuf,
    /// The columns, or why there are none; until it is opened.
    schema: Option<Result<SchemaRef>>,
    budget: Budget,
    opened: Option<Opened<F>>,
    types: PhantomData<fn(I)>,
}

/// An output between its two steps.
struct Opened<F: Format> {
    attempt: Attempt,
    schema: SchemaRef,
    /// `None` if what is to be appended is there already.
    files: Option<Arc<Files<F>>>,
}

impl<I: Intake, F: Format> Action<Written> for WriteAction<I, F> {
    fn open(&mut self, inputs: &[PathBuf]) -> Result<Arc<dyn Terminal>> {
        let shape = shape_of(&self.path, self.format.extension())?;
        let schema = self.schema.take().unwrap_or_else(|| Err(opened_twice()))?;
        let placement = self.format.placement();
        let layout = Layout::new(&schema, placement)?;
        // An encoder that cannot hold the schema is found now, not after an hour of work.
        drop(self.format.encoder(layout.file_schema(), &self.budget)?);
        let target = Target::new(&self.path, shape, placement.existing)
            .partitioned_by(placement.partition_by.clone())
            .mode(placement.mode()?);
        let attempt = target.check(inputs)?.begin()?;
        attempt.check_schema(&columns_json(&schema))?;
        if attempt.appended_before().is_some() {
            self.opened = Some(Opened { attempt, schema, files: None });
            return Ok(Arc::new(Skip::<I::Item>(PhantomData)));
        }
        let part_bytes = if shape == Shape::File { u64::MAX } else { placement.target_file_bytes.max(1) };
        let files = Arc::new(Files::new(self.format.clone(), layout, &attempt, part_bytes, &self.budget)?);
        self.opened = Some(Opened { attempt, schema, files: Some(Arc::clone(&files)) });
        Ok(Arc::new(WriteTerminal::<I, F> { files, types: PhantomData }))
    }

    fn complete(self: Box<Self>, transaction: &mut Transaction) -> Result<Written> {
        let Some(Opened { attempt, schema, files }) = self.opened else {
            return Err(Error::new(ErrorKind::Internal, "an output was committed before it was opened"));
        };
        let mut written =
            Written { path: attempt.path().to_owned(), rows: 0, bytes: 0, parts: 0, partitions: 0 };
        let Some(files) = files else {
            attempt.abort()?;
            return Ok(written);
        };
        let done = files.take_done();
        for part in done.iter().flat_map(|(_, parts)| parts) {
            written.rows += part.rows;
            written.bytes += part.bytes;
            written.parts += 1;
        }
        let schema = columns_json(&schema);
        if files.layout.is_partitioned() {
            written.partitions = done.len();
            let partitions = done.into_iter().filter_map(|(place, parts)| Some((place?, parts)));
            transaction
                .add(attempt.finish_partitions(schema, Value::Null, partitions.collect()).in_call(self.call));
        } else {
            let parts = done.into_iter().flat_map(|(_, parts)| parts);
            transaction.add(attempt.finish(schema, Value::Null, parts.collect()).in_call(self.call));
        }
        Ok(written)
    }
}

fn opened_twice() -> Error {
    Error::new(ErrorKind::Internal, "an output was opened twice")
}

/// How single files end, each with the extension of the format that is written so.
const ENDINGS: [(&str, &str); 5] =
    [("parquet", "parquet"), ("csv", "csv"), ("jsonl", "jsonl"), ("ndjson", "jsonl"), ("json", "jsonl")];

/// What is added to the ending of a compressed file.
const SUFFIXES: [&str; 2] = ["gz", "zst"];

/// A path that ends in the format's extension, in any case, is a single file, any other one a directory; but one that
/// ends in that of another format or compression would mislead whoever finds it.
pub(super) fn shape_of(path: &Path, extension: &str) -> Result<Shape> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let suffix =
        SUFFIXES.iter().find(|suffix| name.strip_suffix(*suffix).is_some_and(|rest| rest.ends_with('.')));
    let stem = suffix.map_or(name.as_str(), |suffix| &name[..name.len() - suffix.len() - 1]);
    let ending =
        Path::new(stem).extension().and_then(|ending| ENDINGS.iter().find(|known| ending == known.0));
    let Some((_, format)) = ending else { return Ok(Shape::Directory) };
    let found = suffix.map_or((*format).to_owned(), |suffix| format!("{format}.{suffix}"));
    if found == extension {
        return Ok(Shape::File);
    }
    let path = crate::error::printable(path);
    let message = format!("the output {path} ends in .{found}, but its format is {extension}");
    let hint = format!("write {found} (--format {found}), or let it end in .{extension} or in neither");
    Err(Error::new(ErrorKind::Config, message).hint(hint))
}

struct WriteTerminal<I, F: Format> {
    files: Arc<Files<F>>,
    types: PhantomData<fn(I)>,
}

impl<I: Intake, F: Format> Terminal for WriteTerminal<I, F> {
    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        let writer = Writer {
            files: Arc::clone(&self.files),
            intake: I::default(),
            encoder: None,
            gathered: self.files.layout.gathered()?,
            pieces: Vec::new(),
            reservation: cx.budget().reservation(),
            port,
        };
        Ok(AnyPush::new(writer))
    }

    fn absorb(&self, _cell: usize, _lane: usize, batch: Batch) -> Result<Flow> {
        let (pieces, _reserved) = downcast::<(Placed<F>, Reservation)>(batch)?;
        pieces.into_iter().try_for_each(|(place, piece)| self.files.append(place, piece))?;
        Ok(Flow::More)
    }

    fn seal(&self, _cell: usize) -> Result<()> {
        self.files.seal()
    }
}

/// What a task leaves: pieces, each with the partition that it belongs to if there are partitions.
type Placed<F> = Vec<(Option<PartitionPath>, <F as Format>::Piece)>;

/// Encodes what one task is pushed.
struct Writer<I, F: Format> {
    files: Arc<Files<F>>,
    intake: I,
    /// The encoder of an output that is not partitioned, once there are rows.
    encoder: Option<F::Encoder>,
    /// The rows of a partitioned one.
    gathered: Option<Gathered>,
    pieces: Placed<F>,
    reservation: Reservation,
    port: Port,
}

impl<I: Intake, F: Format> Writer<I, F> {
    /// Encodes what has been taken, as far as it makes whole batches, or all of it.
    fn encode(&mut self, all: bool) -> Result<()> {
        while let Some(batch) = self.intake.next_batch(all)? {
            match &mut self.gathered {
                Some(gathered) => {
                    gathered.add(&batch)?;
                    self.reservation.resize(gathered.bytes())?;
                    if gathered.is_full() {
                        self.encode_gathered()?;
                    }
                }
                None => self.encode_batch(&batch)?,
            }
        }
        Ok(())
    }

    fn encode_batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let schema = self.files.layout.file_schema();
        let columns = RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec())
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(self.files.format.encoder(schema, self.reservation.budget())?),
        };
        encoder.write(&columns)?;
        self.reservation.resize(encoder.memory_bytes() as u64)
    }

    /// Encodes one partition after the other, so that one encoder is open at a time, however many there are.
    fn encode_gathered(&mut self) -> Result<()> {
        let Some(gathered) = &mut self.gathered else { return Ok(()) };
        let (held, files) = (gathered.bytes(), &self.files);
        let (pieces, reservation) = (&mut self.pieces, &mut self.reservation);
        gathered.drain(BATCH_ROWS, |partition, batches| {
            let mut encoder = files.format.encoder(files.layout.file_schema(), reservation.budget())?;
            for batch in batches {
                encoder.write(&batch?)?;
                reservation.resize(held + encoder.memory_bytes() as u64)?;
            }
            pieces.extend(encoder.finish()?.into_iter().map(|piece| (Some(partition.clone()), piece)));
            Ok(())
        })?;
        reservation.resize(0)
    }
}

impl<I: Intake, F: Format> Push<I::Item> for Writer<I, F> {
    fn push(&mut self, chunk: &mut Chunk<I::Item>) -> Result<Flow> {
        self.intake.take(&mut chunk.items);
        self.encode(false)?;
        Ok(Flow::More)
    }

    fn finish(&mut self) -> Result<()> {
        self.encode(true)?;
        self.encode_gathered()?;
        let pieces = self.encoder.take().map_or_else(|| Ok(Vec::new()), Encoder::finish)?;
        self.pieces.extend(pieces.into_iter().map(|piece| (None, piece)));
        let empty = self.reservation.split_off();
        let reservation = std::mem::replace(&mut self.reservation, empty);
        let pieces: Placed<F> = std::mem::take(&mut self.pieces);
        self.port.deliver(vec![(0, Box::new((pieces, reservation)))]);
        Ok(())
    }
}

/// Takes nothing: for what was appended before.
struct Skip<T>(PhantomData<fn(T)>);

impl<T: Data> Terminal for Skip<T> {
    fn writer(&self, _cx: &TaskCx, port: Port) -> Result<AnyPush> {
        Ok(AnyPush::new(Skipped::<T>(port, PhantomData)))
    }

    fn absorb(&self, _cell: usize, _lane: usize, _batch: Batch) -> Result<Flow> {
        Ok(Flow::Enough)
    }
}

struct Skipped<T>(Port, PhantomData<fn(T)>);

impl<T: Data> Push<T> for Skipped<T> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Flow> {
        chunk.items.clear();
        Ok(Flow::Enough)
    }

    fn finish(&mut self) -> Result<()> {
        self.0.deliver(vec![(0, Box::new(()))]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_path_is_that_of_its_format_or_of_none() {
        let shape = |path: &str, extension| shape_of(Path::new(path), extension);
        for (path, extension) in [
            ("a/b.parquet", "parquet"),
            ("b.CSV", "csv"),
            ("b.csv.gz", "csv.gz"),
            ("b.JSON.zst", "jsonl.zst"),
            ("b.ndjson", "jsonl"),
        ] {
            assert_eq!(shape(path, extension).unwrap(), Shape::File, "{path}");
        }
        for path in ["b", "b.d", "csv", ".csv", "b.gz", "b.csv.d"] {
            assert_eq!(shape(path, "csv").unwrap(), Shape::Directory, "{path}");
        }
        for (path, extension) in
            [("b.csv", "parquet"), ("b.csv", "csv.gz"), ("b.csv.gz", "csv"), ("b.csv.gz", "csv.zst")]
        {
            assert!(shape(path, extension).is_err(), "{path}");
        }
    }
}
