//! Word count, sort and join within a memory limit, beside the same without one.
//!
//! ```text
//! cargo bench --bench spill -- [--rows 20000000] [--runs 3] [--threads 2] [--memory 256MiB] [--only sort]
//! ```
//!
//! Every run is a whole process. Several sizes (`--rows 10000000,20000000`) show how time grows with the data. Beside each peak of memory
//! stands the bound: the limit, a quarter of it, and 64 MiB.

mod harness;
mod jobs;

use jobs::compare::{Comparison, Contestant};
use jobs::job::{By, Job, Task};
use jobs::options::Options;

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The result of everything here: a bench reports its errors and ends.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const LIMIT: u64 = 256 << 20;

fn main() -> Outcome<()> {
    let defaults = Options {
        jobs: vec![Job::WordCount, Job::Sort, Job::Join],
        rows: vec![20_000_000],
        runs: 3,
        threads: vec![2],
        memory: Some(LIMIT),
    };
    let Some(options) = Options::parse(defaults)? else { return Ok(()) };
    for &job in &options.jobs {
        for &threads in &options.threads {
            let mut before = None;
            for &rows in &options.rows {
                let times = compare(job, rows, threads, &options)?;
                if let Some((rows_before, times_before)) = before {
                    growth(rows as f64 / rows_before as f64, times, times_before);
                }
                before = Some((rows, times));
            }
        }
    }
    Ok(())
}

/// Runs both, and returns the seconds without and with the limit.
fn compare(job: Job, rows: u64, threads: usize, options: &Options) -> Outcome<[f64; 2]> {
    let limit = options.memory.unwrap_or(LIMIT);
    if job == Job::WordCount {
        jobs::files::words(rows)?;
    }
    let task = |memory| Task { job, by: By::Engine, rows, threads, memory };
    let without = Contestant { name: "without a limit".into(), task: task(None) };
    let within = Contestant { name: format!("within {} MiB", limit >> 20), task: task(Some(limit)) };
    let comparison = Comparison::run(vec![without, within], options.runs)?;
    comparison.print(&format!("{} of {rows} rows, {threads} threads", job.name()), 0);
    let bound = (limit + limit / 4 + (64 << 20)) as f64 / 1e6;
    let peak = comparison.figures.peak(1);
    let word = if peak <= bound { "within" } else { "BEYOND" };
    println!("peak memory within the limit: {peak:.0} MB, {word} the bound of {bound:.0} MB");
    Ok([0, 1].map(|contestant| comparison.figures.wall(contestant)))
}

/// Prints how the times have grown where the data grew by `factor`.
fn growth(factor: f64, times: [f64; 2], before: [f64; 2]) {
    let [without, within] = [0, 1].map(|at| times[at] / before[at]);
    println!(
        "{factor:.1} times the rows: {without:.2} times as long without a limit, {within:.2} times within it"
    );
}
