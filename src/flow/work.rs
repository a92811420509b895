//! The work of one try, on a thread of its own, and how it is stopped.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam::channel::Sender;

use super::child::{Group, Program};
use super::failure::{Exit, Outcome, TaskError};
use super::ledger::RunId;
use super::load::Load;
use super::step::{Command, Engine, Step};
use super::task_context::TaskContext;
use super::{engine, load_in, load_out};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::cancel::{CancelToken, Fence};
use crate::exec::gate::Gates;

/// Stops a try.
#[derive(Debug)]
pub(super) struct Stop {
    pub cancel: CancelToken,
    /// Closed, it lets nothing be committed any more.
    pub fence: Fence,
    pub group: Group,
}

impl Stop {
    /// Of a try whose programs have to pass these gates.
    pub fn new(gates: Arc<Gates>) -> Stop {
        Stop { cancel: CancelToken::new(), fence: Fence::default(), group: Group::new(gates) }
    }

    /// Asks the work to end. From now on it commits nothing; what it is committing at this moment, it ends.
    pub fn ask(&self) {
        self.cancel.cancel();
        self.fence.close();
        self.group.terminate();
    }

    /// Ends the programs that it runs; false if there are none.
    pub fn kill(&self) -> bool {
        self.group.kill()
    }
}

/// A try has ended.
#[derive(Debug)]
pub(super) struct Done {
    pub run: RunId,
    pub node: usize,
    pub number: u32,
    pub outcome: Outcome,
}

/// The work of a try.
pub(super) struct Work {
    pub run: RunId,
    pub node: usize,
    pub step: Step,
    pub context: TaskContext,
    pub stop: Arc<Stop>,
}

impl Work {
    /// Begins it on a thread of its own. A thread that never ends is left alone, and ends with the process.
    pub fn start(self, done: Sender<Done>) -> std::io::Result<()> {
        let name = self.context.task.chars().take(15).collect();
        std::thread::Builder::new().name(name).spawn(move || {
            let Work { run, node, step, context, stop } = self;
            let number = context.number;
            let result = catch_unwind(AssertUnwindSafe(|| do_step(&step, &context, &stop)));
            let outcome = Outcome::of(result);
            if let Outcome::Failed(failure) = &outcome {
                context.log(&format!("failed: {}", failure.message));
            }
            drop(context); // its log is whole before anybody hears of the end
            let _ = done.send(Done { run, node, number, outcome });
        })?;
        Ok(())
    }
}

fn do_step(step: &Step, context: &TaskContext, stop: &Stop) -> std::result::Result<(), TaskError> {
    match step {
        Step::Job(job) => job(context),
        Step::Engine(job) => run_engine(job, context),
        Step::Command(command) => run_command(command, context, stop),
        Step::Load(Load::In(load)) => load_in::run(load, context, stop),
        Step::Load(Load::Out(load)) => load_out::run(load, context),
    }
}

fn run_engine(job: &Engine, context: &TaskContext) -> std::result::Result<(), TaskError> {
    for output in job.outputs() {
        let path = context.path(&output)?;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|error| Error::io(ErrorKind::Output, "create", parent, error))?;
        }
    }
    let argv = job.argv(&context.scope)?;
    context.log(&engine::run(&argv, &context.context)?);
    Ok(())
}

fn run_command(command: &Command, context: &TaskContext, stop: &Stop) -> std::result::Result<(), TaskError> {
    let program = program(command, context)?;
    context.log(&format!("$ {}", program.argv.join(" ")));
    let status =
        program.run(&stop.group, &context.log, None).map_err(|error| cannot_run(&program.argv, error))?;
    Exit::check(status, command.transient_codes())
}

pub(super) fn cannot_run(argv: &[String], error: std::io::Error) -> Error {
    let program = argv.first().map_or("", String::as_str);
    Error::new(ErrorKind::Config, format!("`{}` cannot be run: {error}", program.escape_debug()))
        .because(error)
}

fn program(command: &Command, context: &TaskContext) -> Result<Program> {
    let scope = &context.scope;
    let mut argv = Vec::new();
    for text in command.argv() {
        argv.extend(scope.expand_all(text)?);
    }
    let mut env = BTreeMap::from([
        ("GRISTMILL_RUN_KEY".to_owned(), scope.run_key.clone()),
        ("GRISTMILL_TASK".to_owned(), context.task.clone()),
        ("GRISTMILL_TRY".to_owned(), context.number.to_string()),
    ]);
    for (name, value) in command.variables() {
        env.insert(name.clone(), scope.expand(value)?);
    }
    let dir = command.directory().map_or(Ok(scope.dir.clone()), |dir| scope.path(dir))?;
    Ok(Program { argv, env, pass_env: command.passed().to_vec(), dir })
}
