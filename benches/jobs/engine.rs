//! The jobs as datasets.

use gristmill::prelude::*;

use super::data::{as_str, mix, sum, text};
use super::files;
use super::job::{Job, Task};
use crate::Outcome;

/// Runs a job; the answer is a count and a checksum.
pub fn run(task: &Task) -> Outcome<String> {
    let mut builder = Context::builder().threads(task.threads);
    if let Some(bytes) = task.memory {
        builder = builder.memory_bytes(bytes);
    }
    let ctx = builder.build()?;
    Ok(match task.job {
        Job::WordCount => wordcount(&ctx, task)?,
        Job::Sort => sort(&ctx, task.rows)?,
        Job::Join => join(&ctx, task.rows)?,
        Job::Group => group(&ctx, task.rows)?,
        Job::TopK => top_k(&ctx, task.rows)?,
    })
}

fn wordcount(ctx: &Context, task: &Task) -> Outcome<String> {
    let counts =
        ctx.read_text(files::words(task.rows)?)?.flat_map(|line| line.split_whitespace()).count_by_value();
    let output = files::output(task)?;
    let written = counts.columns(["word", "count"]).write_parquet(&output, ParquetOptions::default())?;
    std::fs::remove_dir_all(&output)?;
    Ok(format!("{} words", written.rows))
}

fn rows(ctx: &Context, rows: u64) -> Dataset<(i64, Text)> {
    ctx.range(0..rows).map(|n| (mix(n).cast_signed(), Text::from(as_str(&text(n)))))
}

/// The order is checked on the way: a state knows its first and last number.
fn sort(ctx: &Context, count: u64) -> Outcome<String> {
    let sorted = rows(ctx, count).sort_by_key(|row| row.0);
    let none: (Option<(i64, i64)>, u64, u64, bool) = (None, 0, 0, true);
    let (_, count, sum, in_order) = sorted.fold(
        none,
        |(ends, count, all, in_order), (number, text)| {
            let (first, last) = ends.unwrap_or((number, number));
            let added = all.wrapping_add(sum(number.cast_unsigned(), text.as_str()));
            (Some((first, number)), count + 1, added, in_order && last <= number)
        },
        |a, b| match (a.0, b.0) {
            (Some(one), Some(other)) => {
                let in_order = a.3 && b.3 && one.1 <= other.0;
                (Some((one.0, other.1)), a.1 + b.1, a.2.wrapping_add(b.2), in_order)
            }
            (None, _) => b,
            (_, None) => a,
        },
    )?;
    Ok(format!("{count} rows, {sum:x}, in order: {in_order}"))
}

fn join(ctx: &Context, count: u64) -> Outcome<String> {
    let few = (count / 10).max(1);
    let large = ctx.range(0..count).map(move |n| (mix(n) % few, Text::from(as_str(&text(n)))));
    let small = ctx.range(0..few).map(|n| (n, Text::from(as_str(&text(!n)))));
    let (count, sum) = large.join(&small).fold(
        (0u64, 0u64),
        |(count, all), (number, (a, b))| {
            (count + 1, all.wrapping_add(sum(number, a.as_str()) ^ sum(number, b.as_str())))
        },
        |a, b| (a.0 + b.0, a.1.wrapping_add(b.1)),
    )?;
    Ok(format!("{count} rows, {sum:x}"))
}

fn group(ctx: &Context, count: u64) -> Outcome<String> {
    let groups = (count / 8).max(1);
    let pairs = ctx.range(0..count).map(move |n| (mix(n) % groups, n));
    let (count, sum) = pairs.group_by_key().fold(
        (0u64, 0u64),
        |(count, all), (number, values)| {
            let values = values.iter().fold(0u64, |sum, value| sum.wrapping_add(*value));
            (count + 1, all.wrapping_add(mix(number ^ values)))
        },
        |a, b| (a.0 + b.0, a.1.wrapping_add(b.1)),
    )?;
    Ok(format!("{count} groups, {sum:x}"))
}

fn top_k(ctx: &Context, count: u64) -> Outcome<String> {
    let top = rows(ctx, count).top_k(100, |row| row.0).collect()?;
    let sum = top.iter().fold(0u64, |all, row| mix(all ^ sum(row.0.cast_unsigned(), row.1.as_str())));
    Ok(format!("{} rows, {sum:x}", top.len()))
}
