//! What the runs of a context have done together, for whoever measures a program from outside.

use std::io;
use std::path::Path;

use serde::Serialize;

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::metrics::FirstOutput;

/// What all runs of a context that ended well have done: an action is a run, however many jobs its loops need.
#[derive(Debug, Clone, Serialize)]
pub struct RunTotals {
    /// How graphs are run: `dataflow` or `mapreduce`.
    pub execution: &'static str,
    /// Worker threads.
    pub threads: usize,
    /// The number of runs.
    pub runs: usize,
    /// Wall time from the start to the end of each run, in seconds, added up. What a program does between its runs is not in it.
    pub seconds: f64,
    /// Seconds from the start of the first run to the first element that reached an output of it; `None` if none has.
    pub first_output_seconds: Option<f64>,
    /// Bytes of input read.
    pub input_bytes: u64,
    /// Bytes written to local disk between stages: in the MapReduce mode map outputs, results of cycles and what is held, in the dataflow
    /// mode what did not fit the memory limit.
    pub stage_bytes_written: u64,
    /// Bytes read from there.
    pub stage_bytes_read: u64,
    /// The most memory that the process has held, in bytes, as the system counts it; `None` where it does not.
    pub peak_memory_bytes: Option<u64>,
}

impl RunTotals {
    /// Before the first run.
    pub(super) fn new(config: &Config) -> RunTotals {
        RunTotals {
            execution: config.execution.name(),
            threads: config.threads,
            runs: 0,
            seconds: 0.0,
            first_output_seconds: None,
            input_bytes: 0,
            stage_bytes_written: 0,
            stage_bytes_read: 0,
            peak_memory_bytes: None,
        }
    }

    /// Adds a run that has ended.
    pub(super) fn add(&mut self, first_output: &FirstOutput, input_bytes: u64) {
        if self.runs == 0 {
            self.first_output_seconds = first_output.seconds();
        }
        self.runs += 1;
        self.seconds += first_output.started.elapsed().as_secs_f64();
        self.input_bytes += input_bytes;
    }

    /// Writes a file of JSON, which takes the place of an older one by a rename.
    pub(super) fn write(mut self, path: &Path) -> Result<()> {
        self.peak_memory_bytes = peak_memory_bytes();
        let text = serde_json::to_string_pretty(&self).map_err(|error| {
            Error::new(ErrorKind::Internal, "the metrics cannot be written as JSON").because(error)
        })?;
        replace(path, &(text + "\n")).map_err(|error| {
            Error::io(ErrorKind::Output, "write", path, error)
                .hint("set GRISTMILL_METRICS to a file in a directory that can be written")
        })
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return std::fs::write(path, text); // such as /dev/stderr
    }
    let beside = path.with_file_name(format!(".gristmill-totals-{}", std::process::id()));
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside); // the first error is the one to report
    }
    written
}

/// The high-water mark of the process's resident memory, where the system tells it.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}
