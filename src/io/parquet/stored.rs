//! Parquet files, read row group by row group: those of a committed directory, as its manifest lists them, or any others.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::basic::Type;
use parquet::schema::types::{ColumnDescPtr, TypePtr};

use super::bound::{BoundFilter, Outcomes};
use super::filter::Filter;
use super::read::{BATCH_ROWS, Fault, caught, damaged};
use crate::error::{Error, ErrorKind, Place, Result, printable};
use crate::io::commit::{PartEntry, manifest};
use crate::io::resolve::{Identity, InputFile};
use crate::io::text::open_unchanged;

/// The parts of a committed output, in the order of their names.
///
/// Their footers are read now; the files are opened again when their row groups are read.
///
/// # Errors
///
/// If there is no valid manifest, or a part is missing, is no Parquet file, or has not the bytes and rows that the manifest says.
pub(crate) fn stored_parts(dir: &Path) -> Result<Vec<StoredPart>> {
    let Some(manifest) = manifest::read(dir)? else {
        return Err(Error::new(
            ErrorKind::Input,
            format!("{} has no {}", printable(dir), manifest::FILE_NAME),
        )
        .hint("it was not written by gristmill, or not to the end"));
    };
    manifest.parts.iter().map(|part| StoredPart::open(dir, part)).collect()
}

/// A file, of which the footer has been read.
pub(crate) struct StoredPart {
    file: InputFile,
    footer: ArrowReaderMetadata,
    /// The columns that are read.
    columns: ProjectionMask,
    filter: Option<StoredFilter>,
}

/// Which rows are read.
struct StoredFilter {
    bound: Arc<BoundFilter>,
    /// By row group.
    outcomes: Vec<Outcomes>,
}

impl StoredPart {
    fn open(dir: &Path, part: &PartEntry) -> Result<StoredPart> {
        let path = dir.join(&part.name);
        let found = fs::metadata(&path).map_err(|error| Error::io(ErrorKind::Input, "open", &path, error))?;
        if found.len() != part.bytes {
            return Err(other_than_listed(&path, "bytes", found.len(), part.bytes));
        }
        let file = InputFile { path, identity: Identity::of(&found), splittable: true };
        let stored = StoredPart::of_file(file)?;
        let rows = (0..stored.row_groups()).map(|row_group| stored.rows(row_group)).sum();
        if rows != part.rows {
            return Err(other_than_listed(stored.path(), "rows", rows, part.rows));
        }
        Ok(stored)
    }

    /// Any Parquet file, with all its columns.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, has changed since it was found, or is no Parquet file.
    pub(crate) fn of_file(file: InputFile) -> Result<StoredPart> {
        // What other programs note of their own types, such as dictionaries, would only be in the way.
        let options = ArrowReaderOptions::default().with_skip_arrow_metadata(true);
        let opened = open_unchanged(&file)?;
        let footer = caught(|| ArrowReaderMetadata::load(&opened, options))
            .map_err(|error| damaged(&file.path, error))?;
        let footer = with_instants(footer, &Schema::empty()).map_err(|error| damaged(&file.path, error))?;
        Ok(StoredPart { file, footer, columns: ProjectionMask::all(), filter: None })
    }

    /// A hash of the file's path and state.
    pub(crate) fn state(&self) -> u64 {
        self.file.state()
    }

    /// The same file with the columns of a schema only, if it has all of them.
    ///
    /// # Errors
    ///
    /// If the types in the file contradict each other.
    pub(crate) fn with_columns(self, schema: &Schema) -> Result<StoredPart> {
        let footer = with_instants(self.footer, schema).map_err(|error| damaged(&self.file.path, error))?;
        let part = StoredPart { footer, ..self };
        Ok(part.only(schema))
    }

    fn only(self, schema: &Schema) -> StoredPart {
        let names = || schema.fields().iter().map(|field| field.name().as_str());
        if !names().all(|name| self.footer.schema().field_with_name(name).is_ok()) {
            return self;
        }
        // By their roots, since a name may have dots in it.
        let roots = self.footer.metadata().file_metadata().schema_descr();
        let fields = self.footer.schema().fields().iter().enumerate();
        let wanted = fields.filter(|(_, field)| names().any(|name| name == field.name()));
        let columns = ProjectionMask::roots(roots, wanted.map(|(root, _)| root));
        StoredPart { columns, ..self }
    }

    /// The same file with those rows only that fulfil a condition.
    ///
    /// # Errors
    ///
    /// If it does not fit the columns of the file, or the statistics of the file are damaged.
    pub(crate) fn with_filter(self, filter: &Filter) -> Result<StoredPart> {
        let bound = BoundFilter::new(filter, self.footer.schema())
            .map_err(|error| error.at(Place::file(self.path())))?;
        let outcomes =
            caught(|| bound.outcomes(&self.footer)).map_err(|error| damaged(self.path(), error))?;
        Ok(StoredPart { filter: Some(StoredFilter { bound: Arc::new(bound), outcomes }), ..self })
    }

    /// Whether any row of a row group may be wanted.
    pub(crate) fn is_wanted(&self, row_group: usize) -> bool {
        let outcomes = |filter: &StoredFilter| filter.outcomes.get(row_group).is_none_or(|of| of.yes);
        self.filter.as_ref().is_none_or(outcomes)
    }

    /// The filter, if there are rows in a row group that it may leave out.
    fn filter_of(&self, row_group: usize) -> Option<&StoredFilter> {
        let leaves_none_out = Outcomes { yes: true, no: false, null: false };
        self.filter.as_ref().filter(|filter| filter.outcomes.get(row_group) != Some(&leaves_none_out))
    }

    /// Where in the file the `n`-th of the rows lies that these row groups are read to have; nothing if it is not there or cannot be found.
    pub(crate) fn place_of(&self, row_groups: &[usize], n: u64) -> Option<u64> {
        caught(|| Ok::<_, Fault>(self.found_place(row_groups, n))).ok().flatten()
    }

    fn found_place(&self, row_groups: &[usize], mut n: u64) -> Option<u64> {
        for &row_group in row_groups {
            let before: u64 = (0..row_group).map(|row_group| self.rows(row_group)).sum();
            let Some(filter) = self.filter_of(row_group) else {
                if n < self.rows(row_group) {
                    return Some(before + n);
                }
                n -= self.rows(row_group);
                continue;
            };
            let mut row = before;
            let reader = self.reader(row_group, filter.bound.columns(&self.footer)).ok()?.build().ok()?;
            for batch in reader {
                for wanted in &filter.bound.evaluate(&batch.ok()?).ok()? {
                    match wanted {
                        Some(true) if n == 0 => return Some(row),
                        Some(true) => n -= 1,
                        _ => {}
                    }
                    row += 1;
                }
            }
        }
        None
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.file.path
    }

    /// All its columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(self.footer.schema())
    }

    /// The number of its row groups.
    pub(crate) fn row_groups(&self) -> usize {
        self.footer.metadata().num_row_groups()
    }

    /// The rows of a row group.
    pub(crate) fn rows(&self, row_group: usize) -> u64 {
        self.footer.metadata().row_group(row_group).num_rows().max(0).cast_unsigned()
    }

    /// The bytes of a row group in the file.
    pub(crate) fn stored_bytes(&self, row_group: usize) -> u64 {
        self.footer.metadata().row_group(row_group).compressed_size().max(0).cast_unsigned()
    }

    /// The bytes of a row group when it is decompressed.
    pub(crate) fn bytes(&self, row_group: usize) -> u64 {
        self.footer.metadata().row_group(row_group).total_byte_size().max(0).cast_unsigned()
    }

    /// Opens the file to read one row group.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, has changed since it was found, or is damaged. What is wrong further on comes as an item.
    pub(crate) fn read(&self, row_group: usize) -> Result<RowGroupBatches<'_>> {
        let damaged = |error: Fault| damaged_group(self.path(), row_group, &error).because(error);
        let reader = self.reader(row_group, self.columns.clone())?;
        let Some(filter) = self.filter_of(row_group) else {
            let batches = caught(|| reader.build()).map_err(damaged)?;
            let missing = self.rows(row_group);
            return Ok(RowGroupBatches { part: self, row_group, batches, missing, is_over: false });
        };
        let seen = Arc::new(Seen::default());
        let reader = reader.with_row_filter(filter.rows(&self.footer, &seen));
        let batches = caught(|| reader.build()).map_err(damaged)?;
        // All rows are looked at before the first is read.
        let unseen = self.rows(row_group).saturating_sub(seen.rows.load(Ordering::Relaxed));
        let missing = unseen + seen.wanted.load(Ordering::Relaxed);
        Ok(RowGroupBatches { part: self, row_group, batches, missing, is_over: false })
    }

    fn reader(
        &self,
        row_group: usize,
        columns: ProjectionMask,
    ) -> Result<ParquetRecordBatchReaderBuilder<File>> {
        let file = open_unchanged(&self.file)?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.footer.clone());
        let reader = reader.with_projection(columns).with_batch_size(BATCH_ROWS);
        Ok(reader.with_row_groups(vec![row_group]))
    }
}

/// How many rows a filter has looked at.
#[derive(Default)]
struct Seen {
    rows: AtomicU64,
    wanted: AtomicU64,
}

impl StoredFilter {
    fn rows(&self, footer: &ArrowReaderMetadata, seen: &Arc<Seen>) -> RowFilter {
        let (bound, seen) = (Arc::clone(&self.bound), Arc::clone(seen));
        let predicate = move |batch: RecordBatch| {
            let wanted = bound.evaluate(&batch)?;
            seen.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            seen.wanted.fetch_add(wanted.true_count() as u64, Ordering::Relaxed);
            Ok(wanted)
        };
        RowFilter::new(vec![Box::new(ArrowPredicateFn::new(self.bound.columns(footer), predicate))])
    }
}

/// The batches of a row group, in order.
pub(crate) struct RowGroupBatches<'a> {
    part: &'a StoredPart,
    row_group: usize,
    batches: ParquetRecordBatchReader,
    /// The rows that are to come.
    missing: u64,
    /// Whether nothing comes any more: it has ended, or something is wrong.
    is_over: bool,
}

impl RowGroupBatches<'_> {
    /// The error of a file that is not what it was when its footer was read. What it is now may look like damage, or like other rows.
    fn changed(&self) -> Option<Error> {
        open_unchanged(&self.part.file).err()
    }
}

impl Iterator for RowGroupBatches<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let damaged = |fault: &dyn std::fmt::Display| damaged_group(self.part.path(), self.row_group, fault);
        if self.is_over {
            return None;
        }
        match caught(|| self.batches.next().transpose()) {
            Ok(Some(batch)) => {
                self.missing = self.missing.saturating_sub(batch.num_rows() as u64);
                Some(Ok(batch))
            }
            Err(error) => {
                self.is_over = true;
                Some(Err(self.changed().unwrap_or_else(|| damaged(&error).because(error))))
            }
            Ok(None) => {
                self.is_over = true;
                let missing =
                    (self.missing > 0).then(|| damaged(&format!("{} rows are missing", self.missing)));
                self.changed().or(missing).map(Err)
            }
        }
    }
}

/// The footer with columns of INT96 as instants in UTC, which is what Spark means by this old type; in the unit of the schema, or microseconds.
fn with_instants(footer: ArrowReaderMetadata, schema: &Schema) -> Result<ArrowReaderMetadata, Fault> {
    let columns = footer.metadata().file_metadata().schema_descr_ptr();
    let is_int96 = |column: &ColumnDescPtr| column.physical_type() == Type::INT96;
    if !columns.columns().iter().any(is_int96) {
        return Ok(footer);
    }
    let instant = |(field, stored): (&FieldRef, &TypePtr)| {
        if !stored.is_primitive() || stored.get_physical_type() != Type::INT96 {
            return Arc::clone(field);
        }
        let unit = match schema.field_with_name(field.name()).map(Field::data_type) {
            Ok(DataType::Timestamp(unit, _)) => *unit,
            _ => TimeUnit::Microsecond,
        };
        let data_type = DataType::Timestamp(unit, Some("UTC".into()));
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    let roots = columns.root_schema().get_fields();
    let fields: Vec<FieldRef> = footer.schema().fields().iter().zip(roots).map(instant).collect();
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    caught(|| ArrowReaderMetadata::try_new(Arc::clone(footer.metadata()), options))
}

fn other_than_listed(path: &Path, what: &str, found: u64, listed: u64) -> Error {
    let message = format!("the file has {found} {what}, but its manifest says {listed}");
    Error::new(ErrorKind::Input, message)
        .hint("it was changed after it was written: write the output again")
        .at(Place::file(path))
}

fn damaged_group(path: &Path, row_group: usize, fault: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Input, format!("cannot read row group {row_group} of a Parquet file: {fault}"))
        .hint("the file is damaged: write the output again")
        .at(Place::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::commit::{Existing, Shape, Target};
    use crate::io::parquet::{ParquetFileWriter, ParquetOptions, RowGroupEncoder};
    use crate::record::{from_batch, schema, to_batch};
    use serde_json::Value;

    /// A committed output of two row groups in one part; its rows in the manifest are `rows`.
    fn output(dir: &Path, rows: u64) {
        let (schema, options) = (schema::<u64>(), ParquetOptions::default());
        let target = Target::new(dir, Shape::Directory, Existing::Refuse);
        let attempt = target.check(&[]).unwrap().begin().unwrap();
        let to = attempt.create_part("part-00000.parquet").unwrap();
        let mut file = ParquetFileWriter::new(to, &schema, &options).unwrap();
        for numbers in [[1_u64, 2].as_slice(), &[3]] {
            let mut encoder = RowGroupEncoder::new(&schema, &options).unwrap();
            encoder.write(&to_batch(numbers).unwrap()).unwrap();
            file.append(encoder.finish().unwrap()).unwrap();
        }
        let part = file.finish().unwrap().finish(rows).unwrap();
        attempt.commit(Value::Null, Value::Null, vec![part]).unwrap();
    }

    fn fault(dir: &Path) -> String {
        let error = stored_parts(dir).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Input);
        error.to_string()
    }

    #[test]
    fn each_row_group_is_read_by_itself() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("out");
        output(&dir, 3);
        let parts = stored_parts(&dir).unwrap();
        let rows = |row_group| -> Vec<u64> {
            let batches = parts[0].read(row_group).unwrap();
            batches.flat_map(|batch| from_batch::<u64>(&batch.unwrap()).unwrap()).collect()
        };
        assert_eq!((parts.len(), parts[0].row_groups(), parts[0].rows(0)), (1, 2, 2));
        assert_eq!((rows(1), rows(0)), (vec![3], vec![1, 2]));
        assert!(parts[0].bytes(0) > 0 && parts[0].stored_bytes(0) > 0);
    }

    #[test]
    fn what_is_not_as_the_manifest_says_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        fs::create_dir(at("empty")).unwrap();
        assert!(fault(&at("empty")).contains("empty has no _manifest.json"));
        output(&at("rows"), 4);
        assert!(fault(&at("rows")).contains("3 rows, but its manifest says 4"), "{}", fault(&at("rows")));
        output(&at("out"), 3);
        let part = at("out").join("part-00000.parquet");
        let bytes = fs::read(&part).unwrap();
        fs::write(&part, &bytes[1..]).unwrap();
        assert!(fault(&at("out")).contains(&format!("{} bytes, but its manifest", bytes.len() - 1)));
        fs::write(&part, vec![0; bytes.len()]).unwrap();
        assert!(fault(&at("out")).contains("cannot read Parquet"));
        fs::remove_file(&part).unwrap();
        assert!(fault(&at("out")).contains("cannot open"));
    }
}
