//! What the runs of a context have done together, for whoever measures a program from outside.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::counter::Counted;
use crate::exec::disk::Disk;
use crate::exec::metrics::{FirstOutput, peak_memory_bytes};
use crate::io::metrics_file::MetricsFile;

/// What the runs of a context have done together: an action is a run, however many jobs its loops need.
///
/// `runs`, `seconds`, `first_output_seconds` and `input_bytes` are of the runs that ended well. The bytes between stages are of all runs, those
/// that failed or go on included, and the peak of memory is that of the process.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RunTotals {
    /// How graphs are run: `dataflow` or `mapreduce`.
    pub execution: &'static str,
    /// Worker threads.
    pub threads: usize,
    /// The number of runs that ended well.
    pub runs: usize,
    /// Wall time from the start of each of these runs until its outputs were committed, in seconds, added up. What a program does between its
    /// runs is not in it; of runs at the same time, each counts in full.
    pub seconds: f64,
    /// Seconds from the start of a run to the first element that reached an output of it, of the run that ended first; `None` if none has.
    pub first_output_seconds: Option<f64>,
    /// Bytes of input that these runs have read.
    pub input_bytes: u64,
    /// Bytes that all runs have written to local disk between stages: in the MapReduce mode map outputs, results of cycles and what is
    /// held, in the dataflow mode what did not fit the memory limit.
    pub stage_bytes_written: u64,
    /// Bytes that all runs have read from there.
    pub stage_bytes_read: u64,
    /// The most memory that the process has held, in bytes, as the system counts it; `None` where it does not.
    pub peak_memory_bytes: Option<u64>,
}

/// A run whose jobs have ended well.
pub(crate) struct Ended {
    pub(super) first_output: Arc<FirstOutput>,
    pub(super) input_bytes: u64,
    /// What closures have counted in it.
    pub(super) counted: Counted,
}

/// The totals of a context.
pub(super) struct Totals {
    counted: Mutex<RunTotals>,
    /// Held by whoever writes the file, so that none replaces later totals by earlier ones.
    writing: Mutex<()>,
}

impl Totals {
    /// Before the first run.
    pub(super) fn new(config: &Config) -> Totals {
        let counted = Mutex::new(RunTotals {
            execution: config.execution.name(),
            threads: config.threads,
            runs: 0,
            seconds: 0.0,
            first_output_seconds: None,
            input_bytes: 0,
            stage_bytes_written: 0,
            stage_bytes_read: 0,
            peak_memory_bytes: None,
        });
        Totals { counted, writing: Mutex::new(()) }
    }

    /// Adds a run whose outputs are committed.
    pub(super) fn add(&self, run: &Ended) {
        let mut totals = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if totals.runs == 0 {
            totals.first_output_seconds = run.first_output.seconds();
        }
        totals.runs += 1;
        totals.seconds += run.first_output.started.elapsed().as_secs_f64();
        totals.input_bytes += run.input_bytes;
    }

    /// All that is known now.
    pub(super) fn now(&self, disk: &Disk) -> RunTotals {
        RunTotals {
            stage_bytes_written: disk.written_bytes(),
            stage_bytes_read: disk.read_bytes(),
            peak_memory_bytes: peak_memory_bytes(),
            ..self.counted.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }

    /// Writes the file. The run has ended well and its outputs are committed: that this fails is told, for whoever waits for the file, and is no
    /// error of the run.
    pub(super) fn write(&self, file: &MetricsFile, disk: &Disk) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.now(disk).to_json().and_then(|text| file.write(&text));
        if let Err(error) = written {
            let message =
                format_args!("gristmill: the run has succeeded, but its totals are not written: {error:#}");
            let _nobody_reads = writeln!(io::stderr(), "{message}");
        }
    }
}

impl RunTotals {
    fn to_json(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| {
            Error::new(ErrorKind::Internal, "the totals cannot be written as JSON").because(error)
        })?;
        Ok(text + "\n")
    }
}
