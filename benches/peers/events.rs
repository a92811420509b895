//! The tables of the jobs group, join and sort: events, and a tenth as many accounts.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::random::Random;
use crate::Outcome;

/// Rows of a batch.
const BATCH_ROWS: u64 = 8192;
/// Rows of a row group: 15 batches, as many rows as DuckDB's are.
const GROUP_ROWS: usize = 122_880;

/// Writes both tables into the directory `dir`.
pub fn write(events: u64, dir: &Path) -> Outcome<()> {
    let accounts = (events / 10).max(1);
    let (mut ids, mut others) = (Random::new(1), Random::new(2));
    table(dir, "events", events, |rows| {
        let count = rows as usize;
        let numbers =
            |of: &mut dyn FnMut() -> i64| Arc::new(Int64Array::from_iter_values((0..count).map(|_| of())));
        let texts = (0..count).map(|_| text(&mut others)).collect::<Vec<_>>();
        RecordBatch::try_from_iter([
            // Of one stream of random numbers, so that none occurs twice.
            ("id", numbers(&mut || ids.next().cast_signed()) as ArrayRef),
            ("account", numbers(&mut || others.index(accounts))),
            ("value", numbers(&mut || others.index(1000))),
            ("name", Arc::new(StringArray::from(texts))),
        ])
    })?;
    let mut account = 0;
    table(dir, "accounts", accounts, |rows| {
        let first = account;
        account += rows.cast_signed();
        let labels = (0..rows).map(|_| text(&mut others)).collect::<Vec<_>>();
        RecordBatch::try_from_iter([
            ("account", Arc::new(Int64Array::from_iter_values(first..account)) as ArrayRef),
            ("label", Arc::new(StringArray::from(labels))),
        ])
    })
}

/// A text of 24 letters.
fn text(random: &mut Random) -> String {
    let letters = |word: u64| (0..12).map(move |place| char::from(b'a' + (word >> (5 * place) & 15) as u8));
    letters(random.next()).chain(letters(random.next())).collect()
}

/// Writes `dir/name/name.parquet`, batch by batch.
fn table(
    dir: &Path,
    name: &str,
    rows: u64,
    mut batch: impl FnMut(u64) -> Result<RecordBatch, arrow::error::ArrowError>,
) -> Outcome<()> {
    let dir = dir.join(name);
    fs::create_dir_all(&dir)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build();
    let mut first = batch(BATCH_ROWS.min(rows))?;
    let file = File::create(dir.join(name).with_extension("parquet"))?;
    let mut writer = ArrowWriter::try_new(file, first.schema(), Some(properties))?;
    let mut written = 0;
    loop {
        writer.write(&first)?;
        written += first.num_rows() as u64;
        if written == rows {
            break;
        }
        first = batch(BATCH_ROWS.min(rows - written))?;
    }
    writer.close()?;
    Ok(())
}
