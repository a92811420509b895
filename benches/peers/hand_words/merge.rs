//! From the tables of the threads to Parquet: part by part of the hashes, each by one thread.

use std::fs::File;
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::count::{Counter, Long, Short};
use super::table::Table;
use crate::Outcome;

/// The level of the codec, zstd, that the command writes by default.
const ZSTD_LEVEL: i32 = 1;
/// A part has about so many entries: a table of them fits the second-level cache.
const PART_ENTRIES: usize = 8192;
/// Rows that are handed to the writer at once.
const BATCH_ROWS: usize = 32 << 10;

/// How the tables are merged.
pub struct Plan<'a> {
    counters: &'a [Counter],
    part_bits: u32,
    next: AtomicU64,
}

impl<'a> Plan<'a> {
    pub fn new(counters: &'a [Counter]) -> Plan<'a> {
        let entries: usize = counters.iter().map(|counter| counter.short.len() + counter.long.len()).sum();
        let part_bits = (entries / PART_ENTRIES).next_power_of_two().ilog2();
        Plan { counters, part_bits, next: AtomicU64::new(0) }
    }

    /// Merges the parts that this thread gets hold of, and writes them to a file.
    pub fn write_part(&self, path: &Path) -> Outcome<()> {
        let mut rows = Rows::create(path)?;
        let mut short = Table::new(PART_ENTRIES.ilog2() + 1, self.part_bits)?;
        let mut long = Table::new(PART_ENTRIES.ilog2() - 2, self.part_bits)?;
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >> self.part_bits != 0 {
                return rows.finish();
            }
            self.merge_short(part, &mut short, &mut rows)?;
            self.merge_long(part, &mut long, &mut rows)?;
        }
    }

    fn merge_short(&self, part: u64, merged: &mut Table<Short>, rows: &mut Rows) -> Outcome<()> {
        let add = |rows: &mut Rows, entry: &Short| {
            let (bytes, len) = entry.key.bytes();
            rows.add(&bytes[..len], entry.count)
        };
        if let [counter] = self.counters {
            return counter.short.part(part, self.part_bits).try_for_each(|entry| add(rows, entry));
        }
        for entry in self.counters.iter().flat_map(|counter| counter.short.part(part, self.part_bits)) {
            merged.reserve(1)?;
            let new = || Short { count: 0, ..*entry };
            merged.entry(entry.key.hash(), |other| other.key == entry.key, new).count += entry.count;
        }
        merged.entries().try_for_each(|entry| add(rows, entry))?;
        merged.clear();
        Ok(())
    }

    fn merge_long(&self, part: u64, merged: &mut Table<Long>, rows: &mut Rows) -> Outcome<()> {
        let add = |rows: &mut Rows, entry: &Long| rows.add(entry.word.unwrap_or_default(), entry.count);
        if let [counter] = self.counters {
            return counter.long.part(part, self.part_bits).try_for_each(|entry| add(rows, entry));
        }
        for entry in self.counters.iter().flat_map(|counter| counter.long.part(part, self.part_bits)) {
            merged.reserve(1)?;
            let is_it = |other: &Long| other.hash == entry.hash && other.word == entry.word;
            merged.entry(entry.hash, is_it, || Long { count: 0, ..*entry }).count += entry.count;
        }
        merged.entries().try_for_each(|entry| add(rows, entry))?;
        merged.clear();
        Ok(())
    }
}

/// A Parquet file and the rows that are not in it yet.
struct Rows {
    writer: ArrowWriter<File>,
    schema: Arc<Schema>,
    words: Vec<u8>,
    ends: Vec<i32>,
    counts: Vec<i64>,
}

impl Rows {
    fn create(path: &Path) -> Outcome<Rows> {
        let word = Field::new("word", DataType::Utf8, false);
        let schema = Arc::new(Schema::new(vec![word, Field::new("count", DataType::Int64, false)]));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_column_dictionary_enabled("word".into(), false) // no word comes twice
            .set_statistics_enabled(EnabledStatistics::None)
            .build();
        let writer = ArrowWriter::try_new(File::create_new(path)?, schema.clone(), Some(properties))?;
        Ok(Rows { writer, schema, words: Vec::new(), ends: vec![0], counts: Vec::new() })
    }

    #[inline]
    fn add(&mut self, word: &[u8], count: u64) -> Outcome<()> {
        self.words.extend_from_slice(word);
        self.ends.push(i32::try_from(self.words.len())?);
        self.counts.push(count.cast_signed());
        if self.counts.len() == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Outcome<()> {
        let ends = OffsetBuffer::new(ScalarBuffer::from(mem::replace(&mut self.ends, vec![0])));
        // SAFETY: the words are whole words of a text that was validated, and the offsets lie between them.
        let words =
            unsafe { StringArray::new_unchecked(ends, Buffer::from(mem::take(&mut self.words)), None) };
        let counts = Int64Array::from(mem::take(&mut self.counts));
        let columns: Vec<ArrayRef> = vec![Arc::new(words), Arc::new(counts)];
        Ok(self.writer.write(&RecordBatch::try_new(self.schema.clone(), columns)?)?)
    }

    fn finish(mut self) -> Outcome<()> {
        self.flush()?;
        self.writer.close()?;
        Ok(())
    }
}
