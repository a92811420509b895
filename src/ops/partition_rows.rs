//! Rows to partitions: which columns make them, and which rows of a split belong to which.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::{Error, ErrorKind, Result};
use crate::io::commit::Mode;
use crate::io::csv::with_offset;
use crate::io::hive::PartitionPath;
use crate::io::placement::Placement;

/// Bytes of rows that a task gathers before it encodes them, partition by partition.
const GATHERED_BYTES: u64 = 32 << 20;

/// Which columns go to the names of directories, and which to the files.
#[derive(Debug, Clone)]
pub struct Layout {
    file_schema: SchemaRef,
    files: Vec<usize>,
    /// The partition columns: position, name and type.
    levels: Vec<(usize, String, DataType)>,
    mode: Mode,
    max_partitions: usize,
}

impl Layout {
    /// The layout of an output with this schema.
    ///
    /// # Errors
    ///
    /// If a partition column is missing, comes twice, is of a type that makes no names, or has a name that readers of directories
    /// pass over; also if no column is left for the files.
    pub fn new(schema: &SchemaRef, placement: &Placement) -> Result<Layout> {
        let mut levels: Vec<(usize, String, DataType)> = Vec::new();
        for name in &placement.partition_by {
            let (at, field) = schema.column_with_name(name).ok_or_else(|| missing(schema, name))?;
            if levels.iter().any(|(there, ..)| *there == at) {
                return Err(wrong(format!("the partition column `{name}` comes twice"), "name it once"));
            }
            check_column(name, field.data_type())?;
            levels.push((at, name.clone(), field.data_type().clone()));
        }
        let files: Vec<usize> =
            (0..schema.fields().len()).filter(|at| levels.iter().all(|(level, ..)| level != at)).collect();
        if files.is_empty() && !levels.is_empty() {
            let fault = "the output is partitioned by all of its columns";
            return Err(wrong(fault.to_owned(), "leave a column for the files"));
        }
        let file_schema = Arc::new(schema.project(&files).map_err(internal)?);
        let (mode, max_partitions) = (placement.mode()?, placement.max_partitions);
        Ok(Layout { file_schema, files, levels, mode, max_partitions })
    }

    /// The columns of the files.
    pub fn file_schema(&self) -> &SchemaRef {
        &self.file_schema
    }

    /// Whether there are partition columns.
    pub fn is_partitioned(&self) -> bool {
        !self.levels.is_empty()
    }

    /// Fails if there are too many partitions.
    pub fn check_count(&self, partitions: usize) -> Result<()> {
        if partitions <= self.max_partitions {
            return Ok(());
        }
        let message = format!("the rows make more than {} partitions", self.max_partitions);
        Err(Error::new(ErrorKind::Output, message).hint(
            "partition by columns with fewer values, or raise the limit: max_partitions (--max-partitions)",
        ))
    }

    /// Takes the rows of one task; `None` if there are no partitions.
    pub fn gathered(&self) -> Result<Option<Gathered>> {
        if !self.is_partitioned() {
            return Ok(None);
        }
        let fields = self.levels.iter().map(|(_, _, data_type)| SortField::new(data_type.clone()));
        let converter = RowConverter::new(fields.collect()).map_err(internal)?;
        Ok(Some(Gathered {
            layout: self.clone(),
            converter,
            numbers: HashMap::new(),
            partitions: Vec::new(),
            rows: Vec::new(),
            batches: Vec::new(),
            bytes: 0,
        }))
    }

    /// The partition of a row, whose values `columns` has.
    fn partition(&self, columns: &[ArrayRef], row: usize) -> Result<PartitionPath> {
        let mut values = Vec::new();
        for column in columns {
            values.push(text(column, row)?);
        }
        let levels = self.levels.iter().zip(&values);
        let partition =
            PartitionPath::new(levels.map(|((_, name, _), value)| (name.as_str(), value.as_deref())))?;
        if self.mode.owns(&partition) {
            return Ok(partition);
        }
        let message =
            format!("a row belongs to the partition {partition}, which is not one of those to replace");
        Err(Error::new(ErrorKind::Output, message)
            .hint("name it, too, in replace_partitions (--partition), or leave its rows out with a filter"))
    }
}

/// The rows of one task, with the partition of each.
pub struct Gathered {
    layout: Layout,
    converter: RowConverter,
    /// The number of each partition, by the encoded values of its columns.
    numbers: HashMap<Box<[u8]>, usize>,
    /// The partitions, in the order of their first rows.
    partitions: Vec<PartitionPath>,
    /// The rows of each partition: batch, and row in it.
    rows: Vec<Vec<(usize, usize)>>,
    batches: Vec<RecordBatch>,
    bytes: u64,
}

impl Gathered {
    /// Adds the rows of a batch, in order.
    ///
    /// # Errors
    ///
    /// If a row belongs to a partition that the run does not own, a value is too long, or there are too many partitions.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = self.layout.levels.iter().map(|(at, ..)| Arc::clone(batch.column(*at)));
        let columns: Vec<ArrayRef> = columns.collect();
        let keys = self.converter.convert_columns(&columns).map_err(internal)?;
        let mut last: Option<(usize, usize)> = None;
        for row in 0..batch.num_rows() {
            let key = keys.row(row);
            let number = match last {
                Some((before, number)) if keys.row(before) == key => number,
                _ => self.number(key.data(), &columns, row)?,
            };
            last = Some((row, number));
            if let Some(rows) = self.rows.get_mut(number) {
                rows.push((self.batches.len(), row));
            }
        }
        let files = self.layout.files.iter().map(|at| Arc::clone(batch.column(*at))).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::clone(&self.layout.file_schema);
        let files = RecordBatch::try_new_with_options(schema, files, &options).map_err(internal)?;
        let place = size_of::<(usize, usize)>() * batch.num_rows();
        self.bytes += (files.get_array_memory_size() + place) as u64;
        self.batches.push(files);
        Ok(())
    }

    fn number(&mut self, key: &[u8], columns: &[ArrayRef], row: usize) -> Result<usize> {
        if let Some(&number) = self.numbers.get(key) {
            return Ok(number);
        }
        let number = self.partitions.len();
        self.layout.check_count(number + 1)?;
        self.partitions.push(self.layout.partition(columns, row)?);
        self.rows.push(Vec::new());
        self.numbers.insert(key.into(), number);
        Ok(number)
    }

    /// The bytes that are held, about.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there are so many rows that they should be encoded. It depends on the rows alone.
    pub fn is_full(&self) -> bool {
        self.bytes >= GATHERED_BYTES
    }

    /// Gives the rows of each partition to `take`, in batches of at most so many, and forgets them.
    ///
    /// # Errors
    ///
    /// What `take` fails with.
    pub fn drain(
        &mut self,
        batch_rows: usize,
        mut take: impl FnMut(&PartitionPath, &mut dyn Iterator<Item = Result<RecordBatch>>) -> Result<()>,
    ) -> Result<()> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        for (partition, rows) in self.partitions.iter().zip(&mut self.rows) {
            if !rows.is_empty() {
                let mut pieces = rows.chunks(batch_rows).map(|rows| pick(&batches, rows));
                take(partition, &mut pieces)?;
            }
            rows.clear();
        }
        self.batches.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// The rows at some places. Those that lie together are not copied.
fn pick(batches: &[&RecordBatch], rows: &[(usize, usize)]) -> Result<RecordBatch> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Err(Error::new(ErrorKind::Internal, "a partition has no rows"));
    };
    match batches.get(first.0) {
        // Rows of a partition ascend.
        Some(batch) if first.0 == last.0 && last.1 - first.1 + 1 == rows.len() => {
            Ok(batch.slice(first.1, rows.len()))
        }
        _ => interleave_record_batch(batches, rows).map_err(internal),
    }
}

/// A value as it stands in the name of a directory; `None` for null.
fn text(column: &ArrayRef, row: usize) -> Result<Option<String>> {
    let value = column.slice(row, 1);
    if value.is_null(0) {
        return Ok(None);
    }
    if let Some(strings) = value.as_string_opt::<i32>() {
        return Ok(Some(strings.value(0).to_owned()));
    }
    let value = with_offset(&value)?;
    let formatter = ArrayFormatter::try_new(&value, &FormatOptions::new()).map_err(internal)?;
    formatter.value(0).try_to_string().map(Some).map_err(|error| {
        Error::new(ErrorKind::Output, format!("a value of a partition column cannot be a name: {error}"))
            .because(error)
    })
}

fn check_column(name: &str, data_type: &DataType) -> Result<()> {
    if name.starts_with(['_', '.']) {
        let fault =
            format!("the partition column `{name}` would make hidden directories, which readers pass over");
        return Err(wrong(fault, "give it a name that begins otherwise, with `columns`"));
    }
    let makes_names = data_type.is_integer()
        || matches!(
            data_type,
            DataType::Utf8
                | DataType::Boolean
                | DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(..)
                | DataType::Decimal128(..)
        );
    if makes_names {
        return Ok(());
    }
    let fault = format!("the column `{name}`, which is {data_type}, cannot make the names of partitions");
    Err(wrong(fault, "map it to a text, an integer or a date"))
}

fn missing(schema: &Schema, name: &str) -> Error {
    let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    wrong(
        format!("there is no column `{name}` to partition by"),
        &format!("the columns are `{}`", columns.join("`, `")),
    )
}

fn wrong(fault: String, hint: &str) -> Error {
    Error::new(ErrorKind::Config, fault).hint(hint)
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, format!("rows cannot be divided into partitions: {error}")).because(error)
}
