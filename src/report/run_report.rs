//! The report of a run, as `--metrics` writes it: per stage and operator rows, bytes and seconds.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::context::{Context, Started};
use crate::exec::job::StepKind;
use crate::exec::metrics::{PipelineMetrics, peak_memory_bytes};

/// What a run did, to be serialised.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// Wall time since the run started, in seconds.
    pub seconds: f64,
    /// How it was run: `dataflow` or `mapreduce`.
    pub execution: &'static str,
    /// Seconds from the start of the run to the first element that reached an output; `None` if none has.
    pub first_output_seconds: Option<f64>,
    /// Worker threads.
    pub threads: usize,
    /// The most memory that the process has held, in bytes, as the system counts it; `None` where it does not.
    pub peak_memory_bytes: Option<u64>,
    /// Bytes that the context has written to local disk between stages: in the MapReduce mode all that stages hand over, in the
    /// dataflow mode what did not fit the memory limit.
    pub stage_bytes_written: u64,
    /// Bytes that it has read from there.
    pub stage_bytes_read: u64,
    /// Bytes of input read.
    pub input_bytes: u64,
    /// The stages, in the order of the plan.
    pub stages: Vec<StageReport>,
    /// What exchanges and sinks did with what reached them.
    pub ends: Vec<EndReport>,
}

/// What one stage did.
#[derive(Debug, Clone, Serialize)]
pub struct StageReport {
    /// Its number, from 1, as in `explain`.
    pub stage: usize,
    /// The operator whose output it reads.
    pub reads: String,
    /// Tasks run.
    pub tasks: usize,
    /// Bytes of the splits read.
    pub bytes: u64,
    /// Seconds that workers spent in its tasks, added up.
    pub worker_seconds: f64,
    /// Its fused operators, and the ends of its paths.
    pub operators: Vec<OperatorReport>,
}

/// What one operator of a stage did.
#[derive(Debug, Clone, Serialize)]
pub struct OperatorReport {
    /// The operator.
    pub operator: String,
    /// The source line of its call.
    pub location: String,
    /// Elements received.
    pub rows_in: u64,
    /// Elements passed on; `None` for the end of a path.
    pub rows_out: Option<u64>,
    /// Seconds that workers spent in it alone, added up.
    pub worker_seconds: f64,
}

/// What one exchange or sink did.
#[derive(Debug, Clone, Serialize)]
pub struct EndReport {
    /// The operator or action.
    pub operator: String,
    /// The source line of its call.
    pub location: String,
    /// Seconds that workers spent absorbing what tasks left, added up.
    pub worker_seconds: f64,
}

impl RunReport {
    /// The report of a run as it is now.
    pub fn of(started: &Started, ctx: &Context) -> RunReport {
        let metrics = started.metrics();
        let job = started.job();
        let stages = job.pipelines.iter().zip(&metrics.pipelines).enumerate();
        let ends = job.terminals.iter().zip(&metrics.terminals).map(|(feed, totals)| EndReport {
            operator: feed.call.operator.to_string(),
            location: location(feed.call),
            worker_seconds: seconds(&totals.nanos),
        });
        RunReport {
            seconds: metrics.first_output.started.elapsed().as_secs_f64(),
            execution: ctx.config().execution.name(),
            first_output_seconds: metrics.first_output.seconds(),
            threads: ctx.config().threads,
            peak_memory_bytes: peak_memory_bytes(),
            stage_bytes_written: ctx.spilled_bytes(),
            stage_bytes_read: ctx.budget().disk().read_bytes(),
            input_bytes: metrics.bytes().0,
            stages: stages.map(|(index, (pipeline, totals))| stage(index, pipeline, totals)).collect(),
            ends: ends.collect(),
        }
    }
}

fn stage(index: usize, pipeline: &crate::exec::job::Pipeline, totals: &PipelineMetrics) -> StageReport {
    let operators = pipeline.steps.iter().zip(&totals.steps).map(|(step, total)| {
        let children: &[usize] = match &step.kind {
            StepKind::Operator { to, .. } => to,
            StepKind::Terminal { .. } => &[],
        };
        let below: f64 = children.iter().map(|&child| seconds(&totals.steps[child].nanos)).sum();
        OperatorReport {
            operator: step.call.operator.to_string(),
            location: location(step.call),
            rows_in: total.rows.load(Ordering::Relaxed),
            rows_out: children.first().map(|&child| totals.steps[child].rows.load(Ordering::Relaxed)),
            worker_seconds: (seconds(&total.nanos) - below).max(0.0),
        }
    });
    StageReport {
        stage: index + 1,
        reads: pipeline.call.operator.to_string(),
        tasks: totals.tasks_done.load(Ordering::Relaxed),
        bytes: totals.bytes_done.load(Ordering::Relaxed),
        worker_seconds: seconds(&totals.nanos),
        operators: operators.collect(),
    }
}

fn seconds(nanos: &AtomicU64) -> f64 {
    nanos.load(Ordering::Relaxed) as f64 / 1e9
}

fn location(call: crate::error::CallSite) -> String {
    format!("{}:{}", call.location.file(), call.location.line())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use super::*;

    /// Jobs, and when each was seen to start.
    type Jobs = Mutex<Vec<(Instant, Arc<Started>)>>;

    #[test]
    fn seconds_are_those_of_the_run_and_not_of_its_last_job() {
        let ctx = Context::builder().threads(2).build().unwrap();
        let jobs: Arc<Jobs> = Arc::default();
        let seen = Arc::clone(&jobs);
        ctx.observe(Arc::new(move |started| {
            seen.lock().unwrap().push((Instant::now(), Arc::clone(started)));
        }));
        let grown = ctx.from_vec(vec![1u64, 2]).iterate(3, |state| state.map(|n| n * 2));
        assert_eq!(grown.collect().unwrap(), [8, 16]);
        let jobs = jobs.lock().unwrap();
        assert!(jobs.len() > 3, "a job for each round");
        let since_first = jobs[0].0.elapsed().as_secs_f64();
        let report = RunReport::of(&jobs[jobs.len() - 1].1, &ctx);
        assert!(report.seconds >= since_first, "{} {since_first}", report.seconds);
        assert!(report.first_output_seconds.is_some_and(|seconds| seconds <= report.seconds));
    }
}
