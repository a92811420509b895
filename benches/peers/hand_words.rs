//! The contestant that gristmill is measured against: a program for this one job, as fast as we could make it.
//!
//! 1. Threads pull ranges of the file, read them block by block and validate each block as UTF-8 once (`read`).
//! 2. A SIMD scan lists where words begin and end (`scan`).
//! 3. Each thread counts in tables of its own: words of up to 16 bytes are their own key in the slot, longer ones
//!    refer to an arena (`count`). A batch of words is hashed, and its slots are prefetched, before any is counted.
//! 4. A table is ordered by hash (`table`). So it grows by streaming from the old one into the new one, and the
//!    tables of all threads are merged range by range, each thread streaming its share into its own file (`merge`).
//!
//! These modules hold unsafe code, each block with its reason; nothing outside them does.
#![allow(unsafe_code)]
#![allow(clippy::inline_always)] // what AVX2 code calls must become part of it, or it is compiled without AVX2

mod count;
mod merge;
mod read;
mod scan;
mod table;

use std::path::Path;
use std::thread;

use crate::Outcome;
use count::Counter;
use read::Source;

/// Counts the words of `input` into Parquet parts in the directory `output`.
pub fn run(input: &Path, output: &Path, threads: usize) -> Outcome<()> {
    let source = Source::open(input)?;
    let counters = on_threads(threads, |_| count_words(&source))?;
    let plan = merge::Plan::new(&counters);
    on_threads(threads, |thread| plan.write_part(&output.join(format!("part-{thread}.parquet"))))?;
    Ok(())
}

/// What one thread counts: the ranges that it gets hold of.
fn count_words(source: &Source) -> Outcome<Counter> {
    let mut counter = Counter::new()?;
    let mut blocks = read::Blocks::new();
    while let Some(range) = source.next_range()? {
        blocks.read(source, range, |block| counter.add(block))?;
    }
    Ok(counter)
}

/// Runs `work` on so many threads and collects what each returns.
fn on_threads<T: Send>(threads: usize, work: impl Fn(usize) -> Outcome<T> + Sync) -> Outcome<Vec<T>> {
    thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        running
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|_| Err("a thread panicked".into())))
            .collect()
    })
}
