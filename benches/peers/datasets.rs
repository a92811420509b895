//! The jobs on datasets, as a user of the library writes them.

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
use super::tpch;
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

/// Runs a job, with its output in the directory `output`.
pub fn run(job: Job, input: &Path, output: &Path, threads: usize) -> Outcome<()> {
    let ctx = Context::builder().threads(threads).build()?;
    let to = output.join("out");
    match job {
        Job::Logs => {
            let hits = ctx.read_lines::<Combined>(input, CombinedFormat)?;
            hits.write_parquet(to, ParquetOptions::default())?;
        }
        Job::Csv => {
            let orders = ctx.read_csv::<Order>(input, CsvFormat::default())?;
            orders.write_parquet(to, ParquetOptions::default())?;
        }
        Job::Group => group(&ctx, input, &to)?,
        Job::Join => join(&ctx, input, &to)?,
        Job::Sort => sort(&ctx, input, &to)?,
        Job::TpchQ1 => tpch::run(&ctx, "q1", input, &output.join("answer.parquet"))?,
        Job::TpchQ3 => tpch::run(&ctx, "q3", input, &output.join("answer.parquet"))?,
        Job::TpchQ6 => tpch::run(&ctx, "q6", input, &output.join("answer.parquet"))?,
        Job::WordsReal | Job::WordsWide | Job::Files => return Err("the command does that job".into()),
    }
    Ok(())
}

/// What the groups are made of: no other columns are read.
#[derive(Record, Clone)]
struct Value {
    account: i64,
    value: i64,
}

#[derive(Record, Clone)]
struct Sums {
    account: i64,
    count: i64,
    total: i64,
    largest: i64,
}

fn group(ctx: &Context, input: &Path, to: &Path) -> Outcome<()> {
    let sums = ctx
        .read_parquet::<Value>(&input.join("events"))?
        .map(|event| (event.account, (1, event.value, event.value)))
        .reduce_by_key(|a: (i64, i64, i64), b| (a.0 + b.0, a.1 + b.1, a.2.max(b.2)))
        .map(|(account, (count, total, largest))| Sums { account, count, total, largest });
    sums.write_parquet(to, ParquetOptions::default())?;
    Ok(())
}

#[derive(Record, Clone)]
struct Event {
    id: i64,
    account: i64,
    value: i64,
}

#[derive(Record, Clone)]
struct Account {
    account: i64,
    label: Text,
}

#[derive(Record, Clone)]
struct Labelled {
    id: i64,
    value: i64,
    label: Text,
}

fn join(ctx: &Context, input: &Path, to: &Path) -> Outcome<()> {
    let accounts =
        ctx.read_parquet::<Account>(&input.join("accounts"))?.map(|account| (account.account, account.label));
    let events = ctx
        .read_parquet::<Event>(&input.join("events"))?
        .map(|event| (event.account, (event.id, event.value)))
        .join(&accounts)
        .map(|(_, ((id, value), label))| Labelled { id, value, label });
    events.write_parquet(to, ParquetOptions::default())?;
    Ok(())
}

#[derive(Record, Clone)]
struct Named {
    id: i64,
    name: Text,
}

fn sort(ctx: &Context, input: &Path, to: &Path) -> Outcome<()> {
    let events = ctx.read_parquet::<Named>(&input.join("events"))?.sort_by_key(|event| event.id);
    events.write_parquet(to, ParquetOptions::default())?;
    Ok(())
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
