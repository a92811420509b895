//! The context: settings, workers, memory budget; where datasets start and runs happen.

mod jobs;
mod totals;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::{CommitBy, Config, Execution, Rules};
use crate::dataset::Dataset;
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::cancel::{CancelToken, Fence};
use crate::exec::counter::Counters;
use crate::exec::disk::Disk;
use crate::exec::gate;
use crate::exec::job::Job;
use crate::exec::memory::Budget;
use crate::exec::metrics::RunMetrics;
use crate::exec::task::{Run, RunId};
use crate::io::metrics_file::MetricsFile;
use crate::plan::graph::{Held, in_order};
use crate::plan::lower::OpenSink;
use crate::plan::stages::{Plan, Sink};
use crate::spark::{self, Role};
use jobs::Jobs;
pub use totals::RunTotals;
use totals::{Ended, Totals};

/// Settings, worker threads and one memory budget. Cheap to clone; clones are the same context.
///
/// # Examples
///
/// ```
/// use gristmill::prelude::*;
///
/// let ctx = Context::builder().threads(2).memory_bytes(1 << 30).build()?;
/// assert_eq!(ctx.range(0..10).map(|n| n * n).fold(0, |a, n| a + n, |a, b| a + b)?, 285);
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    config: Config,
    pool: Arc<rayon::ThreadPool>,
    budget: Budget,
    cancel: CancelToken,
    observer: Mutex<Option<Observer>>,
    counters: Counters,
    totals: Totals,
    /// Whether jobs are run here.
    role: Role,
    /// What is different for a task of a flow.
    task: Option<OfTask>,
}

/// What a context has in addition that belongs to a task of a flow.
struct OfTask {
    /// Once it is closed, nothing is committed.
    fence: Fence,
    /// What the manifests of its outputs name as the parameters.
    parameters: serde_json::Value,
}

/// Is told of every job when it starts: of one for a run without loops, and of one more for each round of a loop.
pub type Observer = Arc<dyn Fn(&Arc<Started>) + Send + Sync>;

/// A job that was started: its plan, and its counters while it goes on.
pub struct Started {
    /// What is run.
    pub plan: Plan,
    /// The sinks of the plan.
    pub sinks: Vec<Sink>,
    run: Arc<Run>,
}

impl Started {
    /// What has been counted so far.
    pub fn metrics(&self) -> &RunMetrics {
        &self.run.metrics
    }

    /// The job that is run.
    pub fn job(&self) -> &Job {
        &self.run.job
    }
}

impl Context {
    /// A context with the defaults: all cores, 60 % of the memory.
    ///
    /// # Errors
    ///
    /// If an environment variable, such as `GRISTMILL_THREADS` or `GRISTMILL_EXECUTION`, holds nonsense, or no threads can be started.
    pub fn new() -> Result<Context> {
        Context::builder().build()
    }

    /// A context with settings of one's own.
    pub fn builder() -> ContextBuilder {
        ContextBuilder { changes: Vec::new() }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The memory budget.
    pub fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// All bytes that its runs have written to disk because they did not fit the memory limit; in the MapReduce mode, all that was
    /// written between stages.
    pub fn spilled_bytes(&self) -> u64 {
        self.0.budget.disk().written_bytes()
    }

    /// The token that cancels the runs of this context: the one that goes on, and all that are started later.
    pub fn cancel_token(&self) -> CancelToken {
        self.0.cancel.clone()
    }

    /// The context of a task of a flow: it shares the workers and the memory, and can be stopped and fenced off by itself.
    pub(crate) fn for_task(
        &self,
        cancel: CancelToken,
        fence: Fence,
        parameters: serde_json::Value,
    ) -> Context {
        let Inner { config, pool, budget, role, .. } = self.0.as_ref();
        Context(Arc::new(Inner {
            config: config.clone(),
            pool: Arc::clone(pool),
            budget: budget.clone(),
            cancel,
            observer: Mutex::new(None),
            counters: Counters::default(),
            totals: Totals::new(config),
            role: role.clone(),
            task: Some(OfTask { fence, parameters }),
        }))
    }

    /// Whether its jobs are run by other processes.
    pub(crate) fn is_on_a_cluster(&self) -> bool {
        !matches!(self.0.role, Role::Alone)
    }

    /// Lets a commit begin, unless the task that it belongs to was stopped: one of this process, or one of another process that has started this one.
    pub(crate) fn pass_fence(&self) -> Result<(Option<MutexGuard<'_, bool>>, gate::Passed)> {
        let fence = self.0.task.as_ref().map(|task| task.fence.pass()).transpose()?;
        Ok((fence, gate::pass()?))
    }

    /// What manifests name as the parameters.
    pub(crate) fn parameters(&self) -> serde_json::Value {
        self.0.task.as_ref().map_or(serde_json::Value::Null, |task| task.parameters.clone())
    }

    /// Sets who is told of every job when it starts.
    pub fn observe(&self, observer: Observer) {
        *self.0.observer.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }

    /// The counters by name.
    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Whether both are handles on the same context.
    pub(crate) fn same_as(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The elements that a source of one's own emits.
    #[track_caller]
    pub fn read<T: crate::record::Data>(&self, source: impl crate::exec::source::Source<T>) -> Dataset<T> {
        Dataset::from_source(self, CallSite::here("read"), String::new(), source)
    }

    /// Does an action, with what `sinks` give.
    pub(crate) fn act<R>(&self, sinks: &[&Sink], action: impl FnOnce(RunId) -> Result<R>) -> Result<R> {
        let calls = || {
            let roots: Vec<_> = sinks.iter().map(|sink| Arc::clone(&sink.input)).collect();
            let nodes = in_order(&roots, &Held::default());
            sinks.iter().map(|sink| sink.call).chain(nodes.iter().map(|node| node.call)).collect()
        };
        let run = RunId::fresh();
        self.0.role.act(run, &calls, || action(run))
    }

    /// Plans and runs `sinks`, and waits for the end. After the outputs are committed, [`end`](Context::end) is to be called with what is
    /// returned.
    pub(crate) fn execute(&self, sinks: &[OpenSink], run: RunId) -> Result<Ended> {
        if self.0.pool.current_thread_index().is_some() {
            return Err(Error::new(
                ErrorKind::Config,
                "an action was called within a closure of the same context",
            )
            .hint("call actions outside of closures, or use a context of its own"));
        }
        if let Some(open) = sinks.iter().find(|open| open.sink.input.in_loop) {
            let error = Error::new(
                ErrorKind::Config,
                "it needs the state of a loop, which is there in its rounds only",
            );
            return Err(error.in_call(open.sink.call).hint("call actions on what the loop results in"));
        }
        let mut jobs = Jobs::new(&self.0, run);
        jobs.run(sinks, Held::default())?;
        let Jobs { first_output, input_bytes, counted, .. } = jobs;
        Ok(Ended { first_output, input_bytes, counted })
    }

    /// Checks the file of totals, if there is one, against what a run reads and writes.
    ///
    /// # Errors
    ///
    /// If it is an input, would be read by the next run, lies in an output, or cannot be written.
    pub(crate) fn check_totals_file(
        &self,
        inputs: &[PathBuf],
        outputs: &[PathBuf],
    ) -> Result<Option<MetricsFile>> {
        let Some(path) = &self.0.config.metrics_file else { return Ok(None) };
        let advice =
            "set GRISTMILL_METRICS or metrics_file to a file elsewhere that can be written, or to none";
        MetricsFile::check(path, inputs, outputs).map(Some).map_err(|error| error.hint(advice))
    }

    /// Counts a run whose outputs are committed, and writes the file of totals.
    pub(crate) fn end(&self, run: Ended, file: Option<&MetricsFile>) {
        self.0.totals.add(&run);
        run.counted.commit();
        if let Some(file) = file {
            self.0.totals.write(file, self.0.budget.disk());
        }
    }

    /// What the runs of this context have done together, up to now.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// let ctx = Context::builder().threads(2).build()?;
    /// ctx.range(0..10).count()?;
    /// ctx.range(0..10).filter(|n| n % 2 == 0).collect()?;
    /// let totals = ctx.totals();
    /// assert_eq!((totals.runs, totals.threads), (2, 2));
    /// assert!(totals.first_output_seconds.is_some_and(|seconds| seconds <= totals.seconds));
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    pub fn totals(&self) -> RunTotals {
        self.0.totals.now(self.0.budget.disk())
    }
}

impl CallSite {
    /// The operator of this name, called where the caller of the caller stands.
    #[track_caller]
    pub(crate) fn here(operator: &'static str) -> CallSite {
        CallSite { operator, location: std::panic::Location::caller() }
    }
}

type Change = Box<dyn FnOnce(&mut Config)>;

/// Builds a [`Context`]; what is not set comes from the environment or is the default, see [`Config`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct ContextBuilder {
    changes: Vec<Change>,
}

impl ContextBuilder {
    /// Worker threads, at most [`MAX_THREADS`](crate::config::MAX_THREADS); default all cores.
    pub fn threads(self, threads: usize) -> ContextBuilder {
        self.change(move |config| {
            config.threads = threads;
            config.in_flight_splits = threads.saturating_mul(2);
        })
    }

    /// Bytes that the context's runs may hold; default `GRISTMILL_MEMORY`, else 60 % of the memory.
    pub fn memory_bytes(self, bytes: u64) -> ContextBuilder {
        self.change(move |config| config.memory_bytes = bytes)
    }

    /// The directory for data beyond the memory limit, and between stages; default `GRISTMILL_SPILL_DIR`, else `TMPDIR`, else `/var/tmp`.
    pub fn spill_dir(self, dir: impl Into<PathBuf>) -> ContextBuilder {
        let dir = dir.into();
        self.change(move |config| config.spill_dir = dir)
    }

    /// Bytes that data beyond the memory limit, and between stages, may take on disk; default `GRISTMILL_SPILL_LIMIT`, else no limit but the disk.
    pub fn spill_limit_bytes(self, bytes: u64) -> ContextBuilder {
        self.change(move |config| config.spill_limit_bytes = bytes)
    }

    /// Splits that a pipeline may read ahead; default twice the threads. Set it after [`ContextBuilder::threads`].
    pub fn in_flight_splits(self, splits: usize) -> ContextBuilder {
        self.change(move |config| config.in_flight_splits = splits)
    }

    /// Elements that move between operators at once; default 512.
    pub fn chunk_rows(self, rows: usize) -> ContextBuilder {
        self.change(move |config| config.chunk_rows = rows)
    }

    /// Bytes of input a split; default by the size of the input, from 1 MiB to 32 MiB.
    pub fn split_bytes(self, bytes: u64) -> ContextBuilder {
        self.change(move |config| config.split_bytes = Some(bytes))
    }

    /// The longest line that is read, in bytes; default 16 MiB.
    pub fn max_line_bytes(self, bytes: usize) -> ContextBuilder {
        self.change(move |config| config.max_line_bytes = bytes)
    }

    /// The largest file that is read as a whole, in bytes; default 256 MiB.
    pub fn max_file_bytes(self, bytes: u64) -> ContextBuilder {
        self.change(move |config| config.max_file_bytes = bytes)
    }

    /// The most bytes that one compressed file may inflate to; default 1 TiB.
    pub fn max_inflated_bytes(self, bytes: u64) -> ContextBuilder {
        self.change(move |config| config.max_inflated_bytes = bytes)
    }

    /// The most bytes that each byte of a compressed file may inflate to, looked at beyond the first 64 MiB; default 500.
    pub fn max_inflate_ratio(self, ratio: u64) -> ContextBuilder {
        self.change(move |config| config.max_inflate_ratio = ratio)
    }

    /// The most bytes that inflating a file may need, which is the window of zstd and the memory of xz; default 128 MiB.
    pub fn max_inflate_window_bytes(self, bytes: u64) -> ContextBuilder {
        self.change(move |config| config.max_inflate_window_bytes = bytes)
    }

    /// What the planner may do; default everything.
    pub fn rules(self, rules: Rules) -> ContextBuilder {
        self.change(move |config| config.rules = rules)
    }

    /// How graphs are run; default `GRISTMILL_EXECUTION`, else as dataflow.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::config::Execution;
    /// use gristmill::prelude::*;
    ///
    /// let ctx = Context::builder().execution(Execution::MapReduce).build()?;
    /// let sums = ctx.range(0..1000).map(|n| (n % 10, n)).reduce_by_key(|a, b| a + b);
    /// assert!(sums.explain().contains("cycle 1"));
    /// assert_eq!(sums.count()?, 10);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    pub fn execution(self, execution: Execution) -> ContextBuilder {
        self.change(move |config| config.execution = execution)
    }

    /// How outputs are committed; default `GRISTMILL_COMMIT`, else as their file system allows.
    pub fn commit_by(self, commit_by: CommitBy) -> ContextBuilder {
        self.change(move |config| config.commit_by = commit_by)
    }

    /// The file that [`Context::totals`] are written to, as JSON, after each run that ended well; default `GRISTMILL_METRICS`, else none.
    ///
    /// It is one file for each context: of several contexts, in one process or in several, each replaces what the others wrote. A file takes the
    /// place of an older one by a rename, symbolic links followed; to a pipe or a device, such as `/dev/stderr`, each run adds its totals.
    ///
    /// Each run checks it before any work: it is an error of the run if the file is an input, would be found by the next run, lies in an output, or
    /// cannot be written. What fails only when the run is over, such as a disk that is full by then, is told on standard error
    /// and is no error: the outputs are committed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// let file = dir.path().join("totals.json");
    /// let ctx = Context::builder().metrics_file(&file).build()?;
    /// ctx.range(0..10).count()?;
    /// let totals: serde_json::Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    /// assert_eq!(totals["runs"], 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metrics_file(self, path: impl Into<PathBuf>) -> ContextBuilder {
        let path = path.into();
        self.change(move |config| config.metrics_file = Some(path))
    }

    /// The context.
    ///
    /// # Errors
    ///
    /// If a number that must be positive is 0, there are too many threads, an environment variable holds nonsense, or no threads can be started.
    pub fn build(self) -> Result<Context> {
        let defaults = Config::from_env()?;
        let mut config = defaults.clone();
        self.changes.into_iter().for_each(|change| change(&mut config));
        let role = spark::enter(&mut config, &defaults)?;
        config.check()?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads)
            .thread_name(|index| format!("gristmill-{index}"))
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Config, "the worker threads cannot be started").because(error)
            })?;
        let pool = Arc::new(pool);
        let disk = Disk::new(&config.spill_dir, config.spill_limit_bytes, config.execution);
        let budget = Budget::new(config.memory_bytes, disk);
        let (cancel, observer, counters) = (CancelToken::new(), Mutex::new(None), Counters::default());
        let totals = Totals::new(&config);
        Ok(Context(Arc::new(Inner {
            config,
            pool,
            budget,
            cancel,
            observer,
            counters,
            totals,
            role,
            task: None,
        })))
    }

    fn change(mut self, change: impl FnOnce(&mut Config) + 'static) -> ContextBuilder {
        self.changes.push(Box::new(change));
        self
    }
}
