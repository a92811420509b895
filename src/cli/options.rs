//! The flags that every command which runs a job has, and what they do around it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;

use super::progress::{Progress, ProgressMode, ProgressSnapshot};
use super::signals::StopSignals;
use super::tell;
use crate::config::{Execution, parse_bytes};
use crate::context::{Context, Started};
use crate::dataset::Output;
use crate::error::{Error, ErrorKind, Result};
use crate::io::commit::Existing;
use crate::io::metrics_file::MetricsFile;
use crate::report::run_report::RunReport;
use crate::spark::{self, Role};

/// Flags of every command that runs a job.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Worker threads, at most 1024 [default: `GRISTMILL_THREADS`, else all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Memory that the job may hold, such as 512MiB or 4GB [default: `GRISTMILL_MEMORY`, else 60 % of what there is]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Directory for data beyond the memory limit, and between stages [default: `GRISTMILL_SPILL_DIR`, else `TMPDIR`, else /var/tmp]
    #[arg(long, value_name = "DIR")]
    spill_dir: Option<PathBuf>,
    /// Disk space that data beyond the memory limit, and between stages, may take, such as 50GB [default: `GRISTMILL_SPILL_LIMIT`, else no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    spill_limit: Option<u64>,
    /// How the job is run: as dataflow, or as one map-shuffle-reduce cycle after the other, with files between, for comparisons
    /// [default: `GRISTMILL_EXECUTION`, else dataflow]
    #[arg(long, value_name = "MODE", value_parser = execution)]
    execution: Option<Execution>,
    /// The cluster of Apache Spark that runs it, such as `spark://host:7077`, yarn or local[2] [default: `GRISTMILL_MASTER`, else none]
    #[arg(long, value_name = "URL")]
    master: Option<String>,
    /// Replace an output that gristmill wrote
    #[arg(long)]
    overwrite: bool,
    /// Replace whatever is at the output's path
    #[arg(long)]
    force: bool,
    /// Print the plan and run nothing; needs no output
    #[arg(long)]
    pub explain: bool,
    /// When to show a progress bar on standard error
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ProgressMode::Auto)]
    progress: ProgressMode,
    /// Write rows, bytes and seconds of every stage and operator to this file, as JSON
    ///
    /// It is the report of this one run. The file that `GRISTMILL_METRICS` names has another shape: the totals of all runs of a context, without stages.
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
}

/// A number of bytes as people write it.
pub fn size(text: &str) -> Result<u64, String> {
    parse_bytes(text).ok_or_else(|| "give a size such as 512MiB, 4GB or 1000000".to_string())
}

/// An execution by its name.
fn execution(name: &str) -> Result<Execution, String> {
    Execution::named(name).ok_or_else(|| "give dataflow or mapreduce".to_string())
}

/// The run that goes on, for the progress bar and the metrics.
type Watched = Arc<Mutex<Option<Arc<Started>>>>;

impl RunOptions {
    /// The context that the flags ask for.
    pub fn context(&self) -> Result<Context> {
        let mut builder = Context::builder();
        if let Some(threads) = self.threads {
            builder = builder.threads(threads);
        }
        if let Some(bytes) = self.memory {
            builder = builder.memory_bytes(bytes);
        }
        if let Some(dir) = &self.spill_dir {
            builder = builder.spill_dir(dir);
        }
        if let Some(bytes) = self.spill_limit {
            builder = builder.spill_limit_bytes(bytes);
        }
        if let Some(execution) = self.execution {
            builder = builder.execution(execution);
        }
        builder.build()
    }

    /// What to do if the output exists.
    pub fn existing(&self) -> Existing {
        match (self.force, self.overwrite) {
            (true, _) => Existing::Force,
            (false, true) => Existing::Overwrite,
            (false, false) => Existing::Refuse,
        }
    }

    /// The file for the metrics, if one is wanted, checked against what is read and written.
    pub fn metrics_file<R>(&self, output: &Output<R>) -> Result<Option<MetricsFile>> {
        let check = |path| MetricsFile::check(path, &output.input_paths(), &output.output_paths());
        self.metrics.as_deref().map(check).transpose()
    }

    /// When progress is shown in this process: on a terminal Spark shows it itself.
    fn progress_here(&self) -> Result<ProgressMode> {
        Ok(match spark::role()? {
            Role::Alone => self.progress,
            Role::Driver(_) if self.progress == ProgressMode::Always => ProgressMode::Always,
            _ => ProgressMode::Never,
        })
    }

    /// Runs a job under signals, progress and metrics. That the metrics cannot be written after all is told, and no failure: the output is
    /// committed by then.
    pub fn run<R>(
        &self,
        ctx: &Context,
        metrics: Option<&MetricsFile>,
        job: impl FnOnce() -> Result<R>,
    ) -> Result<Finished<R>> {
        let cancel = ctx.cancel_token();
        let signals = StopSignals::catch(move |_| cancel.cancel())?;
        let watched = Watched::default();
        let watch = Arc::clone(&watched);
        ctx.observe(Arc::new(move |started| {
            *watch.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(started));
        }));
        let snapshots = Arc::clone(&watched);
        let progress = Progress::start(self.progress_here()?, move || snapshot(&snapshots))?;
        let result = job();
        drop(progress);
        if let (Err(error), Some(signal)) = (&result, signals.caught())
            && error.kind() == ErrorKind::Canceled
        {
            tell("gristmill: stopped by a signal; nothing was written");
            return Ok(Finished::Stopped(ExitCode::from(signal.exit_code())));
        }
        let result = result?;
        let started = watched.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(file), Some(started)) = (metrics, started)
            && let Err(error) = describe(&started, ctx).and_then(|text| file.write(&text))
        {
            tell(format_args!(
                "gristmill: the output is committed, but its metrics are not written: {error:#}"
            ));
        }
        Ok(Finished::Done(result))
    }
}

/// The metrics of a run, as JSON.
fn describe(started: &Started, ctx: &Context) -> Result<String> {
    let report = RunReport::of(started, ctx);
    let text = serde_json::to_string_pretty(&report).map_err(|error| {
        Error::new(ErrorKind::Internal, "the metrics cannot be written as JSON").because(error)
    })?;
    Ok(text + "\n")
}

/// How a job ended that did not fail.
pub enum Finished<R> {
    /// With a result.
    Done(R),
    /// By a signal, with this exit code.
    Stopped(ExitCode),
}

fn snapshot(watched: &Watched) -> ProgressSnapshot {
    let watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(started) = watched.as_ref() else { return ProgressSnapshot::default() };
    let (bytes_done, bytes_total) = started.metrics().bytes();
    let stage = if bytes_done < bytes_total { "reading" } else { "writing" };
    ProgressSnapshot { bytes_done, bytes_total: Some(bytes_total), stage: stage.to_string() }
}
