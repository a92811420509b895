//! What a run counts and times, once a chunk and once a task.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// Totals of one pipeline over all its tasks, readable while it runs.
#[derive(Debug, Default)]
pub struct PipelineMetrics {
    /// The number of tasks, once it is known.
    pub tasks: AtomicUsize,
    /// The number of tasks that ended.
    pub tasks_done: AtomicUsize,
    /// Bytes of the splits read so far.
    pub bytes_done: AtomicU64,
    /// Bytes of all splits, once they are known.
    pub bytes_total: AtomicU64,
    /// Nanoseconds that workers spent in its tasks.
    pub nanos: AtomicU64,
    /// Its steps.
    pub steps: Vec<StepTotals>,
}

/// Totals of one step over all tasks.
#[derive(Debug, Default)]
pub struct StepTotals {
    /// Elements received.
    pub rows: AtomicU64,
    /// Nanoseconds spent in it and in the steps after it.
    pub nanos: AtomicU64,
}

/// Totals of one terminal.
#[derive(Debug, Default)]
pub struct TerminalMetrics {
    /// Nanoseconds that workers spent absorbing and sealing.
    pub nanos: AtomicU64,
}

/// When a run started, and when the first element reached an output, for all jobs of the run.
#[derive(Debug)]
pub struct FirstOutput {
    /// When the run started.
    pub started: Instant,
    /// Nanoseconds from there; 0 as long as there is none.
    nanos: AtomicU64,
}

impl FirstOutput {
    /// Of a run that starts now.
    pub fn from_now() -> FirstOutput {
        FirstOutput { started: Instant::now(), nanos: AtomicU64::new(0) }
    }

    /// Notes that elements have reached an output.
    pub fn note(&self) {
        if self.nanos.load(Ordering::Relaxed) == 0 {
            let nanos = nanos_since(self.started).max(1);
            let _earlier = self.nanos.compare_exchange(0, nanos, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Seconds from the start of the run.
    pub fn seconds(&self) -> Option<f64> {
        let nanos = self.nanos.load(Ordering::Relaxed);
        (nanos > 0).then_some(nanos as f64 / 1e9)
    }
}

/// Everything that one job of a run counts.
#[derive(Debug)]
pub struct RunMetrics {
    /// One entry a pipeline of the job.
    pub pipelines: Vec<PipelineMetrics>,
    /// One entry a terminal of the job.
    pub terminals: Vec<TerminalMetrics>,
    /// When the run started, and when the first element reached an output of it.
    pub first_output: Arc<FirstOutput>,
}

impl RunMetrics {
    /// Zeros for pipelines of these numbers of steps, and for so many terminals.
    pub fn new(
        steps: impl IntoIterator<Item = usize>,
        terminals: usize,
        first_output: Arc<FirstOutput>,
    ) -> RunMetrics {
        let pipeline = |steps| PipelineMetrics {
            steps: std::iter::repeat_with(StepTotals::default).take(steps).collect(),
            ..PipelineMetrics::default()
        };
        RunMetrics {
            pipelines: steps.into_iter().map(pipeline).collect(),
            terminals: std::iter::repeat_with(TerminalMetrics::default).take(terminals).collect(),
            first_output,
        }
    }

    /// Bytes read so far and bytes to read, over all pipelines.
    pub fn bytes(&self) -> (u64, u64) {
        let sum = |of: fn(&PipelineMetrics) -> &AtomicU64| {
            self.pipelines.iter().map(|pipeline| of(pipeline).load(Ordering::Relaxed)).sum()
        };
        (sum(|pipeline| &pipeline.bytes_done), sum(|pipeline| &pipeline.bytes_total))
    }
}

/// The counters of one step within one task: plain cells, added to the totals at the task's end.
#[derive(Debug, Default)]
pub struct StepMetrics {
    rows: Cell<u64>,
    nanos: Cell<u64>,
}

/// When a chunk was received.
#[derive(Debug)]
pub struct Timer(Instant);

impl StepMetrics {
    /// Notes a chunk of `rows` elements.
    pub fn start(&self, rows: usize) -> Timer {
        self.rows.set(self.rows.get() + rows as u64);
        Timer(Instant::now())
    }

    /// Notes that the chunk has been dealt with.
    pub fn stop(&self, timer: &Timer) {
        self.nanos.set(self.nanos.get() + nanos_since(timer.0));
    }

    /// Adds to the totals.
    pub fn add_to(&self, totals: &StepTotals) {
        totals.rows.fetch_add(self.rows.get(), Ordering::Relaxed);
        totals.nanos.fetch_add(self.nanos.get(), Ordering::Relaxed);
    }
}

/// The most resident memory that the process has held, in bytes, where the system tells it.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Nanoseconds since `start`, for counters.
pub fn nanos_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
