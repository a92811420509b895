//! The jobs on datasets.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use gristmill::io::csv::CsvFiles;
use gristmill::io::formatted_lines::FormattedLines;
use gristmill::io::inflate::InflateLimits;
use gristmill::io::lines::LineOptions;
use gristmill::io::parquet::{ParquetFileWriter, RowGroupEncoder};
use gristmill::io::parsed::Format;
use gristmill::io::resolve::resolve;
use gristmill::io::split::{SplitOptions, splits};
use gristmill::parse::{Combined, CombinedFormat};
use gristmill::prelude::*;
use gristmill::record::schema;

use super::job::Job;
use crate::Outcome;

/// A record of the CSV file.
#[derive(Record, Clone)]
struct Order {
    id: u64,
    customer: Text,
    city: Text,
    status: Text,
    quantity: u32,
    price: f64,
    weight: Option<f64>,
    #[record(date)]
    ordered: i32,
    #[record(timestamp = "ms")]
    shipped: Option<i64>,
    comment: Option<Text>,
}

/// What the groups are made of: no other columns are read.
#[derive(Record, Clone)]
struct Sale {
    city: Text,
    quantity: u32,
    price: f64,
}

/// Runs a job; the answer is that of the peers.
pub fn run(job: Job, input: &Path, output: &Path, threads: usize) -> Outcome<String> {
    let ctx = Context::builder().threads(threads).build()?;
    match job {
        Job::Logs | Job::Files => {
            let hits = ctx.read_lines::<Combined>(input, CombinedFormat)?.on_error(OnError::skip())?;
            hits.write_parquet(output.join("out"), ParquetOptions::default())?;
        }
        Job::Csv => {
            let orders = ctx.read_csv::<Order>(input, CsvFormat::default())?;
            orders.write_parquet(output.join("out"), ParquetOptions::default())?;
        }
        Job::Group => {
            let sales = ctx.read_csv::<Sale>(input, CsvFormat::default())?;
            let cities = sales.map(|sale| (sale.city, (1_u64, u64::from(sale.quantity), sale.price)));
            let cities = cities.reduce_by_key(|a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2)).collect()?;
            let (count, quantity, price) = cities
                .iter()
                .fold((0, 0, 0.0), |sum, (_, city)| (sum.0 + city.0, sum.1 + city.1, sum.2 + city.2));
            return Ok(format!("{} groups of {count} rows, {quantity}, {price:.0}", cities.len()));
        }
    }
    Ok(String::new())
}

/// A conversion without the engine: its reader and its encoder alone, with a file for each thread. What they cost is all that
/// a conversion must cost; what the engine takes beyond is for order, commits, limits and rows.
pub fn run_parts(job: Job, input: &Path, output: &Path, threads: usize) -> Outcome<()> {
    if job == Job::Csv {
        let (schema, limits) = (schema::<Order>().clone(), InflateLimits::default());
        return convert(
            &CsvFiles::new(CsvFormat::default(), schema, 16 << 20, limits)?,
            input,
            output,
            threads,
        );
    }
    convert(&FormattedLines::new(Box::new(CombinedFormat), LineOptions::default()), input, output, threads)
}

fn convert(format: &impl Format, input: &Path, output: &Path, threads: usize) -> Outcome<()> {
    let (splits, next) = (splits(resolve(&[input])?.files, &SplitOptions::default()), AtomicUsize::new(0));
    let (schema, options) = (format.schema(), ParquetOptions::default());
    let part = |thread: usize| -> Outcome<()> {
        let file = File::create(output.join(format!("part-{thread}.parquet")))?;
        let mut file = ParquetFileWriter::new(file, schema, &options)?;
        while let Some(split) = splits.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (mut reader, mut encoder) = (format.reader(split), RowGroupEncoder::new(schema, &options)?);
            while let Some(parsed) = reader.next()? {
                encoder.write(&parsed.rows)?;
            }
            file.append(encoder.finish()?)?;
        }
        file.finish()?;
        Ok(())
    };
    std::thread::scope(|scope| {
        let part = &part;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
        running.into_iter().try_for_each(|one| one.join().map_err(|_| "a thread panicked")?)
    })
}
