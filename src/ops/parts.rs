//! Committed output: tasks encode, one cell appends their pieces to part files in order, and the action commits.
//!
//! Encoding, which is nearly all of the work, is done by the tasks, each for its own split. What they leave are finished
//! pieces (row groups of Parquet, lines of CSV) that are appended in split order, and a new part is begun at a
//! fixed size, so that the files are the same on any number of threads.

use std::io::Write;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde_json::Value;

use super::elements::{Intake, Rows};
use super::encode::{Encoding, Placed, Writer};
use super::part_files::Files;
use super::partition_rows::Layout;
use super::standard_output::{PrintTerminal, Printed, check_placement, is_standard_output};
use super::task_parts::{Leaves, TaskParts, TaskTerminal};
use super::task_pieces::TaskPieces;
use crate::dataset::{Action, Dataset, Output};
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::chunk::Chunk;
use crate::exec::collect::downcast;
use crate::exec::erased::AnyPush;
use crate::exec::job::{Batch, Port, Terminal};
use crate::exec::memory::{Budget, Reservation};
use crate::exec::push::{Demand, Push};
use crate::exec::task::TaskCx;
use crate::exec::wire::{Frames, Wire, damaged};
use crate::io::commit::{Attempt, Finished, Shape, Target, Transaction};
use crate::io::placement::Placement;
use crate::io::schema_text::columns_json;
use crate::plan::graph::Opening;
use crate::record::{self, Data, Record};
use crate::spark::{self, Role};

/// A file format: how pieces are encoded, and how they are put into files.
pub trait Format: Clone + Send + Sync + 'static {
    /// What a task leaves: encoded rows.
    type Piece: Travels<Self> + Send + 'static;
    /// Encodes the rows of one task.
    type Encoder: Encoder<Self::Piece>;
    /// A file that is being written to `W`.
    type File<W: Write + Send + 'static>: Send + 'static;

    /// The extension of part files, without the dot.
    fn extension(&self) -> &'static str;

    /// Where the rows go.
    fn placement(&self) -> &Placement;

    /// An encoder for the rows of one task; what it has encoded takes memory from `budget`.
    fn encoder(&self, schema: &SchemaRef, budget: &Budget) -> Result<Self::Encoder>;

    /// Begins a file.
    fn begin<W: Write + Send + 'static>(&self, schema: &SchemaRef, writer: W) -> Result<Self::File<W>>;

    /// The bytes that a piece adds to a file, about.
    fn piece_bytes(piece: &Self::Piece) -> u64;

    /// Appends a piece and returns the bytes of the file so far.
    fn append<W: Write + Send + 'static>(file: &mut Self::File<W>, piece: Self::Piece) -> Result<u64>;

    /// Ends a file; returns what it was written to and its rows.
    fn end<W: Write + Send + 'static>(file: Self::File<W>) -> Result<(W, u64)>;
}

/// A piece of the format `F`, as it travels between processes.
pub trait Travels<F>: Sized {
    /// Hands it on as bytes; several, if it can be cut into more pieces.
    fn pack(self, format: &F, schema: &SchemaRef, take: &mut dyn FnMut(Vec<u8>) -> Result<()>) -> Result<()>;

    /// A piece that was packed; what it holds takes memory from `budget`.
    fn unpack(bytes: Vec<u8>, budget: &Budget) -> Result<Self>;
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
    /// Where it is, absolute; `-` for standard output.
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
    let parameters = dataset.context().parameters();
    let types = PhantomData;
    let action = WriteAction::<I, F> {
        call,
        format,
        path: path.to_owned(),
        schema: Some(schema),
        budget,
        parameters,
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
    /// What the manifest names as the parameters of the run.
    parameters: Value,
    opened: Option<Opened<F>>,
    types: PhantomData<fn(I)>,
}

/// An output between its two steps.
enum Opened<F: Format> {
    Files {
        attempt: Attempt,
        schema: SchemaRef,
        files: Arc<Files<F>>,
    },
    /// By tasks of other processes, of which this one may be one: the driver commits.
    OfTask(Arc<Mutex<Written>>),
    /// What is to be appended is there already.
    Appended(Attempt),
    Printed(Arc<Printed<F>>),
}

impl<I: Intake, F: Format> Action<Written> for WriteAction<I, F> {
    fn path(&self) -> Option<&Path> {
        (!is_standard_output(&self.path)).then_some(&self.path)
    }

    fn open(&mut self, opening: &Opening<'_>) -> Result<Arc<dyn Terminal>> {
        let schema = self.schema.take().unwrap_or_else(|| Err(opened_twice()))?;
        let placement = self.format.placement();
        let layout = Layout::new(&schema, placement)?;
        let encoding = Arc::new(Encoding::new(self.format.clone(), layout, &self.budget)?);
        let role = spark::role()?;
        if is_standard_output(&self.path) {
            check_placement(placement)?;
            if !role.commits() {
                return Ok(self.of_task(self.path.clone(), encoding, Leaves::Printed));
            }
            let printed = Arc::new(Printed::new(encoding));
            self.opened = Some(Opened::Printed(Arc::clone(&printed)));
            return Ok(Arc::new(PrintTerminal::<I, F> {
                printed,
                budget: self.budget.clone(),
                types: PhantomData,
            }));
        }
        let shape = shape_of(&self.path, self.format.extension())?;
        let part_bytes = if shape == Shape::File { u64::MAX } else { placement.target_file_bytes.max(1) };
        if !role.commits() {
            let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
            let leaves = if shape == Shape::File { Leaves::Pieces } else { Leaves::Parts { part_bytes } };
            return Ok(self.of_task(path, encoding, leaves));
        }
        let target = Target::new(&self.path, shape, placement.existing)
            .partitioned_by(placement.partition_by.clone())
            .mode(placement.mode()?);
        let attempt = opening.check(target)?.begin()?;
        attempt.check_schema(&columns_json(&schema))?;
        if attempt.appended_before().is_some() {
            self.opened = Some(Opened::Appended(attempt));
            return Ok(Arc::new(Skip::<I::Item>(PhantomData)));
        }
        let tasks = match role {
            Role::Driver(_) => Some(spark::text("the output", attempt.tasks_dir()?.as_os_str())?),
            _ => None,
        };
        let files = Arc::new(Files::new(encoding, &attempt, part_bytes, &self.budget)?);
        self.opened = Some(Opened::Files { attempt, schema, files: Arc::clone(&files) });
        let is_file = shape == Shape::File;
        Ok(Arc::new(WriteTerminal::<I, F> { files, tasks, is_file, types: PhantomData }))
    }

    fn complete(self: Box<Self>, transaction: &mut Transaction) -> Result<Written> {
        match self.opened {
            Some(Opened::Files { attempt, schema, files }) => {
                let (finished, written) = finish(attempt, columns_json(&schema), self.parameters, &files);
                transaction.add(finished.in_call(self.call));
                Ok(written)
            }
            Some(Opened::Appended(attempt)) => {
                let path = attempt.path().to_owned();
                attempt.abort()?;
                Ok(Written { path, rows: 0, bytes: 0, parts: 0, partitions: 0 })
            }
            Some(Opened::OfTask(written)) => {
                Ok(written.lock().unwrap_or_else(PoisonError::into_inner).clone())
            }
            Some(Opened::Printed(printed)) => Ok(printed.written()),
            None => Err(Error::new(ErrorKind::Internal, "an output was committed before it was opened")),
        }
    }
}

impl<I: Intake, F: Format> WriteAction<I, F> {
    /// Opens it in a process of one task.
    fn of_task(&mut self, path: PathBuf, encoding: Arc<Encoding<F>>, leaves: Leaves) -> Arc<dyn Terminal> {
        let written = Written { path, rows: 0, bytes: 0, parts: 0, partitions: 0 };
        let written = Arc::new(Mutex::new(written));
        self.opened = Some(Opened::OfTask(Arc::clone(&written)));
        Arc::new(TaskTerminal::<I, F>::new(encoding, leaves, &self.budget, written))
    }
}

/// Makes the parts final, to be committed.
fn finish<F: Format>(
    attempt: Attempt,
    schema: Value,
    parameters: Value,
    files: &Files<F>,
) -> (Finished, Written) {
    let mut written = Written { path: attempt.path().to_owned(), rows: 0, bytes: 0, parts: 0, partitions: 0 };
    files.outcome().note(&mut written);
    let done = files.take_done();
    let finished = if files.encoding.layout.is_partitioned() {
        let partitions = done.into_iter().filter_map(|(place, parts)| Some((place?, parts)));
        attempt.finish_partitions(schema, parameters, partitions.collect())
    } else {
        let parts = done.into_iter().flat_map(|(_, parts)| parts);
        attempt.finish(schema, parameters, parts.collect())
    };
    (finished, written)
}

fn opened_twice() -> Error {
    Error::new(ErrorKind::Internal, "an output was opened twice")
}

/// How single files end, each with the extension of the format that is written so.
const ENDINGS: [(&str, &str); 5] =
    [("parquet", "parquet"), ("csv", "csv"), ("jsonl", "jsonl"), ("ndjson", "jsonl"), ("json", "jsonl")];

/// What is added to the ending of a compressed file.
const SUFFIXES: [&str; 2] = ["gz", "zst"];

/// Endings of files that a reader takes for something that is not written.
const UNWRITTEN: [&str; 3] = ["tsv", "bz2", "xz"];

/// A path that ends in the format's extension, in any case, is a single file, any other one a directory; but one that
/// ends in that of another format or compression, written or not, would mislead whoever finds it.
pub(super) fn shape_of(path: &Path, extension: &str) -> Result<Shape> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let suffix =
        SUFFIXES.iter().find(|suffix| name.strip_suffix(*suffix).is_some_and(|rest| rest.ends_with('.')));
    let stem = suffix.map_or(name.as_str(), |suffix| &name[..name.len() - suffix.len() - 1]);
    let ending =
        Path::new(stem).extension().and_then(|ending| ENDINGS.iter().find(|known| ending == known.0));
    let printed = crate::error::printable(path);
    if let Some(other) =
        Path::new(&name).extension().and_then(|end| UNWRITTEN.iter().find(|known| end == **known))
    {
        return Err(Error::new(
            ErrorKind::Config,
            format!("the output {printed} ends in .{other}, which is not written"),
        )
        .hint(format!("let it end in .{extension}, or in no extension for a directory")));
    }
    let Some((_, format)) = ending else { return Ok(Shape::Directory) };
    let found = suffix.map_or((*format).to_owned(), |suffix| format!("{format}.{suffix}"));
    if found == extension {
        return Ok(Shape::File);
    }
    let message = format!("the output {printed} ends in .{found}, but its format is {extension}");
    let hint =
        format!("write {found} (--format or --to {found}), or let it end in .{extension} or in neither");
    Err(Error::new(ErrorKind::Config, message).hint(hint))
}

struct WriteTerminal<I, F: Format> {
    files: Arc<Files<F>>,
    /// Where tasks of other processes write.
    tasks: Option<String>,
    is_file: bool,
    types: PhantomData<fn(I)>,
}

impl<I: Intake, F: Format> Terminal for WriteTerminal<I, F> {
    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        Ok(AnyPush::new(Writer::<I, F>::new(Arc::clone(&self.files.encoding), cx, port)?))
    }

    fn absorb(&self, _cell: usize, _lane: usize, batch: Batch) -> Result<Demand> {
        if self.tasks.is_some() {
            if self.is_file {
                let pieces = downcast::<TaskPieces>(batch)?;
                pieces.each::<F>(self.files.budget(), |piece| self.files.append(None, piece))?;
            } else {
                downcast::<TaskParts>(batch)?.adopt(&self.files)?;
            }
            return Ok(Demand::More);
        }
        let (pieces, _reserved) = downcast::<(Placed<F>, Reservation)>(batch)?;
        pieces.into_iter().try_for_each(|(place, piece)| self.files.append(place, piece))?;
        Ok(Demand::More)
    }

    fn seal(&self, _cell: usize) -> Result<()> {
        self.files.seal()
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(self)
    }
}

impl<I: Intake, F: Format> Wire for WriteTerminal<I, F> {
    fn pack(&self, _lane: usize, _cell: usize, _batch: Batch, _frames: &mut Frames<'_>) -> Result<()> {
        Err(damaged("the driver of a job writes nothing itself"))
    }

    fn unpack(&self, _lane: usize, frame: &[u8]) -> Result<Batch> {
        if self.is_file {
            return Ok(Box::new(TaskPieces::from_frame(frame)?));
        }
        Ok(Box::new(TaskParts::from_frame(frame)?))
    }

    fn join(&self, _lane: usize, _first: Batch, _later: Batch) -> Result<Batch> {
        Err(damaged("what a task has written is one frame"))
    }

    fn told(&self) -> Value {
        self.tasks.as_deref().map_or(Value::Null, Value::from)
    }

    fn outcome(&self) -> Result<Option<Vec<u8>>> {
        self.files.outcome().to_frame().map(Some)
    }
}

/// Takes nothing: for what was appended before.
struct Skip<T>(PhantomData<fn(T)>);

impl<T: Data> Terminal for Skip<T> {
    fn writer(&self, _cx: &TaskCx, port: Port) -> Result<AnyPush> {
        Ok(AnyPush::new(Skipped::<T>(port, PhantomData)))
    }

    fn absorb(&self, _cell: usize, _lane: usize, _batch: Batch) -> Result<Demand> {
        Ok(Demand::Enough)
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(self)
    }
}

impl<T: Data> Wire for Skip<T> {
    fn pack(&self, _lane: usize, _cell: usize, _batch: Batch, _frames: &mut Frames<'_>) -> Result<()> {
        Err(damaged("the driver of a job writes nothing itself"))
    }

    fn unpack(&self, _lane: usize, _frame: &[u8]) -> Result<Batch> {
        Err(damaged("nothing is written"))
    }

    fn join(&self, _lane: usize, _first: Batch, _later: Batch) -> Result<Batch> {
        Err(damaged("nothing is written"))
    }

    /// That tasks are to write nothing.
    fn told(&self) -> Value {
        Value::Bool(false)
    }
}

/// Takes nothing, of one task.
pub(super) struct Skipped<T>(pub(super) Port, pub(super) PhantomData<fn(T)>);

impl<T: Data> Push<T> for Skipped<T> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        chunk.items.clear();
        Ok(Demand::Enough)
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
