//! The same program on a cluster of Apache Spark.
//!
//! A driver written in Java (`spark/src`) starts this program once as the *driver* of the job, and once on the executors for each task, as a *worker*. All of
//! them run the same `main` and build the same graph. Where an action would run a job, the driver has its stages run by Spark, in the order of the plan, and
//! absorbs what comes back; a worker does the work of one task of one stage, and ends. A worker repeats the results of earlier jobs from what the driver
//! has sent along, so that `main` comes to the wanted one as it did in the driver.
//!
//! Spark schedules, moves frames from stage to stage, and tries again; what is in the frames it does not know ([`crate::exec::wire`]).

mod beside;
mod driver;
mod frame;
mod host;
mod identity;
mod launch;
mod link;
mod outline;
mod sending;
mod stage;
pub mod submit;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{Config, Execution};
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::task::{Run, RunId};
use crate::io::input::refuse_standard_input;
use crate::plan::stages::{Plan, Sink};
use driver::Driver;
use frame::JobId;
pub use launch::text;
use link::Link;
use submit::Submission;
use worker::Worker;

/// What this process is to a cluster.
#[derive(Clone)]
pub enum Role {
    /// Nothing: all is run within the process.
    Alone,
    /// It plans, and has the stages run by Spark.
    Driver(Arc<Driver>),
    /// It runs one task of one stage.
    Worker(Arc<Worker>),
    /// It prints what the stages of its first job would be, and ends.
    Outline,
}

/// The variable by which the Java driver tells the driver of the job where it listens.
const DRIVER: &str = "GRISTMILL_DRIVER";

/// The variable by which an executor tells a worker where it listens.
const STAGE: &str = "GRISTMILL_STAGE";

/// The variable that asks for the stages of a program as JSON.
pub const PLAN: &str = "GRISTMILL_PLAN";

static ROLE: Mutex<Option<Role>> = Mutex::new(None);

/// What this process is, for a context with these settings, which are changed to those of the role.
///
/// # Errors
///
/// As [`role`].
pub fn enter(config: &mut Config, defaults: &Config) -> Result<Role> {
    let given = Given::of(config, defaults);
    let role = find_role(given.memory_bytes)?;
    match &role {
        Role::Alone => {}
        Role::Driver(_) | Role::Outline => config.execution = Execution::Spark,
        Role::Worker(_) => Worker::adapt(config, &given),
    }
    Ok(role)
}

/// What this process is, found out when this is asked first. One that was started with `--master`, or with `GRISTMILL_MASTER`, becomes `spark-submit`, which
/// starts the program again.
///
/// # Errors
///
/// If whoever started it cannot be reached, or there is no Spark.
pub fn role() -> Result<Role> {
    find_role(None)
}

/// What a program, or its user, has set for its workers.
pub struct Given {
    /// What a worker may hold.
    memory_bytes: Option<u64>,
    /// Whether it is said where to spill.
    has_spill_dir: bool,
}

impl Given {
    fn of(config: &Config, defaults: &Config) -> Given {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let has_memory = config.memory_bytes != defaults.memory_bytes || is_set("GRISTMILL_MEMORY");
        Given {
            memory_bytes: has_memory.then_some(config.memory_bytes),
            has_spill_dir: config.spill_dir != defaults.spill_dir || is_set("GRISTMILL_SPILL_DIR"),
        }
    }
}

fn find_role(worker_memory: Option<u64>) -> Result<Role> {
    let mut role = ROLE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(role) = &*role {
        return Ok(role.clone());
    }
    let address = |name| std::env::var(name).ok();
    let found = match (address(STAGE), address(DRIVER)) {
        (Some(address), _) => Role::Worker(Arc::new(Worker::new(Link::connect(&address)?)?)),
        (None, Some(address)) => Role::Driver(Arc::new(Driver::new(Link::connect(&address)?)?)),
        (None, None) if address(PLAN).is_some_and(|value| !value.is_empty()) => Role::Outline,
        (None, None) => match Submission::of_this_process()? {
            Some(submission) => match submission.exec(worker_memory)? {},
            None => Role::Alone,
        },
    };
    if !matches!(found, Role::Alone) {
        refuse_standard_input();
    }
    Ok(role.insert(found).clone())
}

impl Role {
    /// Whether outputs are committed here.
    pub fn commits(&self) -> bool {
        matches!(self, Role::Alone | Role::Driver(_))
    }

    /// What tells a plan from others, where several processes have to mean the same one; 0 where all is run here.
    pub fn identity(&self, plan: &Plan, sinks: &[Sink]) -> u64 {
        match self {
            Role::Alone => 0,
            Role::Driver(_) | Role::Worker(_) | Role::Outline => identity::of(plan, sinks),
        }
    }

    /// Does an action, which may make `calls`. How it ends in the driver is how it ends in the processes that repeat it, also where it fails before it has
    /// run a job, or after all of them.
    ///
    /// # Errors
    ///
    /// Those of the action.
    pub fn act<R>(
        &self,
        id: RunId,
        calls: &dyn Fn() -> Vec<CallSite>,
        action: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        match self {
            Role::Alone | Role::Outline => action(),
            Role::Driver(driver) => action().inspect_err(|error| driver.note_failure(id, error)),
            Role::Worker(worker) => {
                worker.repeat_failure(JobId::begin(id), calls)?;
                let result = action()?;
                worker.repeat_failure(worker.next_job(id), calls)?;
                Ok(result)
            }
        }
    }

    /// Runs a job on the cluster, or as much of it as is this process's; false if it is to be run here.
    ///
    /// # Errors
    ///
    /// If a stage fails, or something of the job cannot be run on a cluster.
    pub fn run(&self, run: &Arc<Run>, identity: u64) -> Result<bool> {
        match self {
            Role::Alone => return Ok(false),
            Role::Driver(driver) => driver.run(run, identity)?,
            Role::Worker(worker) => worker.run(run, identity)?,
            Role::Outline => outline::print(run, identity)?,
        }
        Ok(true)
    }
}

/// An error about what is not done on a cluster.
pub fn not_on_a_cluster(what: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{what} cannot be run on a cluster of Spark yet"))
        .hint("run it without --master")
}
