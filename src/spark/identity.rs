//! What tells whether two processes mean the same: of programs, and of jobs.

use std::fs::File;
use std::io::Read;

use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, ErrorKind, Result};
use crate::plan::graph::Shape;
use crate::plan::stages::{Plan, Sink};

/// A hash of the operators of a plan and of its results, of where they were called, of how they are put together, and of the state of the files that
/// they read.
pub fn of(plan: &Plan, sinks: &[Sink]) -> u64 {
    let mut hash = Xxh3::new();
    for node in &plan.nodes {
        hash.update(node.call.to_string().as_bytes());
        hash.update(node.detail.as_bytes());
        if let Shape::Source(source) = &node.shape {
            hash.update(&source.state().to_le_bytes());
        }
    }
    for sink in sinks {
        hash.update(sink.call.to_string().as_bytes());
        hash.update(sink.detail.as_bytes());
    }
    for pipeline in &plan.pipelines {
        hash.update(format!("{:?} {:?} {}", pipeline.reads, pipeline.after, pipeline.steps.len()).as_bytes());
    }
    for end in &plan.ends {
        hash.update(format!("{:?} {}", end.lanes, end.partition_bits).as_bytes());
    }
    hash.digest()
}

/// A hash of this program.
///
/// # Errors
///
/// If it cannot be read.
pub fn of_program() -> Result<u64> {
    let unreadable = |error: std::io::Error| {
        Error::new(ErrorKind::Config, format!("the program cannot read itself: {error}")).because(error)
    };
    let mut file = std::env::current_exe().and_then(File::open).map_err(unreadable)?;
    let (mut hash, mut buffer) = (Xxh3::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => return Ok(hash.digest()),
            bytes => hash.update(&buffer[..bytes]),
        }
    }
}
