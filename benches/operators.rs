//! Group, join, sort and top-k on datasets, beside the programs that one writes with rayon and the standard library.
//!
//! ```text
//! cargo bench --bench operators -- [--rows 10000000] [--runs 5] [--threads 2] [--only group,sort]
//! ```
//!
//! Every run is a whole process, in which the rows are made from their numbers, and whose answer is a checksum of all results. Those of
//! the plain programs must be the same.

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

fn main() -> Outcome<()> {
    let defaults = Options {
        jobs: vec![Job::Group, Job::Join, Job::Sort, Job::TopK],
        rows: vec![10_000_000],
        runs: 5,
        threads: vec![2],
        memory: None,
    };
    let Some(options) = Options::parse(defaults)? else { return Ok(()) };
    println!("ratios are of wall time, to the plain program: below 1 is faster than that");
    for &job in &options.jobs {
        for (&rows, &threads) in
            options.rows.iter().flat_map(|rows| options.threads.iter().map(move |t| (rows, t)))
        {
            let contestant = |name: &str, by| Contestant {
                name: name.into(),
                task: Task { job, by, rows, threads, memory: options.memory },
            };
            let both = vec![contestant("plain", By::Plain), contestant("gristmill", By::Engine)];
            let title = format!("{} of {rows} rows, {threads} threads", job.name());
            Comparison::run(both, options.runs)?.print(&title, 0);
        }
    }
    Ok(())
}
