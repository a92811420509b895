//! Word count, group, join and sort on renoir and on timely: PEER JOB INPUT OUTPUT THREADS.
//!
//! Each is written as the examples of the peer are. Neither has a parallel reader of Parquet, nor a writer that compresses with Zstandard, so
//! that both share those of `files`, in which every worker reads its row groups and writes a file of its own.

mod by_renoir;
mod by_timely;
mod files;

use std::path::Path;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [peer, job, input, output, threads] = args.as_slice() else {
        eprintln!("usage: rust-peers renoir|timely JOB INPUT OUTPUT THREADS");
        std::process::exit(2);
    };
    let (input, output) = (Path::new(input), Path::new(output));
    let threads: usize = threads.parse().expect("a number of threads");
    match peer.as_str() {
        "renoir" => by_renoir::run(job, input, output, threads as u64),
        "timely" => by_timely::run(job, input, output, threads),
        _ => panic!("no peer is called {peer}"),
    }
}
