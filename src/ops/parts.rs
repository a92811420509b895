//! Committed output: tasks encode, one cell appends their pieces to part files in order, and the action commits.
//!
//! Encoding, which is nearly all of the work, is done by the tasks, each for its own split. What they leave are finished
//! pieces (row groups of Parquet, lines of CSV) that are appended in split order, and a new part is begun at a
//! fixed size, so that the files are the same on any number of threads.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde_json::{Value, json};

use crate::dataset::{Action, Dataset, Output};
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::chunk::Chunk;
use crate::exec::collect::downcast;
use crate::exec::erased::AnyPush;
use crate::exec::job::{Batch, Port, Terminal};
use crate::exec::memory::{Budget, Reservation};
use crate::exec::push::{Flow, Push};
use crate::exec::task::TaskCx;
use crate::io::commit::{Attempt, Existing, PartEntry, PartWriter, Parts, Shape, Target};
use crate::record::{self, Record};

/// Rows that are turned into columns at once: the columns of a narrow record then stay in a core's cache.
const BATCH_ROWS: usize = 8192;

/// Encoded bytes after which a directory gets a new part.
const PART_BYTES: u64 = 128 << 20;

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

    /// An encoder for the rows of one task; what it has encoded takes memory from `budget`.
    fn encoder(&self, schema: &SchemaRef, budget: &Budget) -> Result<Self::Encoder>;

    /// Begins a file.
    fn begin(&self, schema: &SchemaRef, writer: PartWriter) -> Result<Self::File>;

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

/// What has been written and committed.
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
}

/// Where an output goes, and what of.
pub struct Destination {
    /// The directory, or the single file.
    pub path: PathBuf,
    /// What to do if something is there.
    pub existing: Existing,
    /// The names of the columns, unless those of the record are to be used.
    pub names: Option<Vec<String>>,
}

/// The lazy result of writing a dataset.
pub fn output<T: Record, F: Format>(
    dataset: &Dataset<T>,
    call: CallSite,
    format: F,
    destination: Destination,
) -> Output<Written> {
    let detail = crate::error::printable(&destination.path);
    let budget = dataset.context().budget().clone();
    let action = WriteAction::<T, F> { format, destination, budget, opened: None, types: PhantomData };
    Output::new(dataset, call, detail, action)
}

struct WriteAction<T, F: Format> {
    format: F,
    destination: Destination,
    budget: Budget,
    opened: Option<(Attempt, SchemaRef, Arc<Files<F>>)>,
    types: PhantomData<fn(T)>,
}

impl<T: Record, F: Format> Action<Written> for WriteAction<T, F> {
    fn open(&mut self, inputs: &[PathBuf]) -> Result<Arc<dyn Terminal>> {
        let shape = shape_of(&self.destination.path, self.format.extension())?;
        let schema = match &self.destination.names {
            Some(names) => record::rename_schema(&record::schema::<T>(), names)?,
            None => record::schema::<T>(),
        };
        // An encoder that cannot hold the schema is found now, not after an hour of work.
        drop(self.format.encoder(&schema, &self.budget)?);
        let target = Target::new(&self.destination.path, shape, self.destination.existing);
        let attempt = target.check(inputs)?.begin()?;
        let files = Arc::new(Files {
            format: self.format.clone(),
            schema: Arc::clone(&schema),
            parts: attempt.parts(),
            part_bytes: if shape == Shape::File { u64::MAX } else { PART_BYTES },
            state: Mutex::new(State { open: None, done: Vec::new() }),
        });
        self.opened = Some((attempt, schema, Arc::clone(&files)));
        Ok(Arc::new(WriteTerminal::<T, F> { files, types: PhantomData }))
    }

    fn complete(self: Box<Self>) -> Result<Written> {
        let Some((attempt, schema, files)) = self.opened else {
            return Err(Error::new(ErrorKind::Internal, "an output was committed before it was opened"));
        };
        let parts = std::mem::take(&mut files.state().done);
        let commit = attempt.commit(describe(&schema), Value::Null, parts)?;
        Ok(Written {
            path: commit.path,
            rows: commit.manifest.rows,
            bytes: commit.manifest.parts.iter().map(|part| part.bytes).sum(),
            parts: commit.manifest.parts.len(),
        })
    }
}

/// The extensions of all formats, which single files end in.
const EXTENSIONS: [&str; 2] = ["parquet", "csv"];

/// A path that ends in the format's extension, in any case, is a single file, any other one a directory; but one that
/// ends in that of another format would mislead whoever finds it.
pub(super) fn shape_of(path: &Path, extension: &str) -> Result<Shape> {
    let ending = path.extension().unwrap_or_default();
    match EXTENSIONS.iter().find(|known| ending.eq_ignore_ascii_case(known)) {
        None => Ok(Shape::Directory),
        Some(found) if *found == extension => Ok(Shape::File),
        Some(found) => {
            let path = crate::error::printable(path);
            let message = format!("the output {path} ends in .{found}, but its format is {extension}");
            let hint =
                format!("write {found} (--format {found}), or let it end in .{extension} or in neither");
            Err(Error::new(ErrorKind::Config, message).hint(hint))
        }
    }
}

/// The schema as the manifest has it.
pub(super) fn describe(schema: &SchemaRef) -> Value {
    let fields = schema.fields().iter().map(|field| {
        json!({ "name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable() })
    });
    Value::Array(fields.collect())
}

/// The part files, to which one worker at a time appends.
struct Files<F: Format> {
    format: F,
    schema: SchemaRef,
    parts: Parts,
    part_bytes: u64,
    state: Mutex<State<F::File>>,
}

struct State<W> {
    open: Option<W>,
    done: Vec<PartEntry>,
}

impl<W> State<W> {
    fn end<F: Format<File = W>>(&mut self, file: W) -> Result<()> {
        let (writer, rows) = F::end(file)?;
        self.done.push(writer.finish(rows)?);
        Ok(())
    }
}

impl<F: Format> Files<F> {
    fn state(&self) -> std::sync::MutexGuard<'_, State<F::File>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, piece: F::Piece) -> Result<()> {
        let mut state = self.state();
        let mut file = match state.open.take() {
            Some(file) => file,
            None => self.begin(&state)?,
        };
        if F::append(&mut file, piece)? >= self.part_bytes {
            state.end::<F>(file)
        } else {
            state.open = Some(file);
            Ok(())
        }
    }

    /// Ends the last file; an output without rows gets one that has the schema.
    fn seal(&self) -> Result<()> {
        let mut state = self.state();
        match state.open.take() {
            Some(file) => state.end::<F>(file),
            None if state.done.is_empty() => {
                let file = self.begin(&state)?;
                state.end::<F>(file)
            }
            None => Ok(()),
        }
    }

    fn begin(&self, state: &State<F::File>) -> Result<F::File> {
        let name = format!("part-{:05}.{}", state.done.len(), self.format.extension());
        self.format.begin(&self.schema, self.parts.create(&name)?)
    }
}

struct WriteTerminal<T, F: Format> {
    files: Arc<Files<F>>,
    types: PhantomData<fn(T)>,
}

impl<T: Record, F: Format> Terminal for WriteTerminal<T, F> {
    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        let writer = Writer::<T, F> {
            files: Arc::clone(&self.files),
            rows: Vec::with_capacity(BATCH_ROWS),
            encoder: None,
            reservation: cx.budget().reservation(),
            port,
        };
        Ok(AnyPush::new(writer))
    }

    fn absorb(&self, _cell: usize, _lane: usize, batch: Batch) -> Result<Flow> {
        let (pieces, _reserved) = downcast::<(Vec<F::Piece>, Reservation)>(batch)?;
        pieces.into_iter().try_for_each(|piece| self.files.append(piece))?;
        Ok(Flow::More)
    }

    fn seal(&self, _cell: usize) -> Result<()> {
        self.files.seal()
    }
}

/// Encodes what one task is pushed.
struct Writer<T, F: Format> {
    files: Arc<Files<F>>,
    rows: Vec<T>,
    encoder: Option<F::Encoder>,
    reservation: Reservation,
    port: Port,
}

impl<T: Record, F: Format> Writer<T, F> {
    fn encode(&mut self) -> Result<()> {
        let columns = record::to_batch(&self.rows)?;
        self.rows.clear();
        let columns = RecordBatch::try_new(Arc::clone(&self.files.schema), columns.columns().to_vec())
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(self.files.format.encoder(&self.files.schema, self.reservation.budget())?),
        };
        encoder.write(&columns)?;
        self.reservation.resize(encoder.memory_bytes() as u64)
    }
}

impl<T: Record, F: Format> Push<T> for Writer<T, F> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Flow> {
        self.rows.append(&mut chunk.items);
        if self.rows.len() >= BATCH_ROWS {
            self.encode()?;
        }
        Ok(Flow::More)
    }

    fn finish(&mut self) -> Result<()> {
        if !self.rows.is_empty() {
            self.encode()?;
        }
        let pieces = self.encoder.take().map_or_else(|| Ok(Vec::new()), Encoder::finish)?;
        let empty = self.reservation.split_off();
        let reservation = std::mem::replace(&mut self.reservation, empty);
        self.port.deliver(vec![(0, Box::new((pieces, reservation)))]);
        Ok(())
    }
}
