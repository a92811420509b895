//! What a task does: a closure, a job of the engine by configuration, a command, or a bulk transfer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::load::Load;
use super::task_context::{TaskContext, TaskResult};
use super::{check, engine};
use crate::error::{Error, ErrorKind, Result};

/// What a task does. The other types of this module become one by [`Into`].
#[derive(Clone)]
#[non_exhaustive]
pub enum Step {
    /// A closure.
    Job(Job),
    /// `gristmill convert`, `wordcount`, `sort` or `aggregate` with arguments.
    Engine(Engine),
    /// A program.
    Command(Command),
    /// A bulk transfer.
    Load(Load),
}

/// As in a flow file: the kind, and what it is given. Of a closure nothing is known but that it is one.
impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Step::Job(_) => map.serialize_entry(self.kind(), "closure")?,
            Step::Engine(engine) => map.serialize_entry(self.kind(), &engine.arguments)?,
            Step::Command(command) => map.serialize_entry(self.kind(), command)?,
            Step::Load(load) => map.serialize_entry(self.kind(), load)?,
        }
        map.end()
    }
}

/// A closure that a task runs.
pub type Job = Arc<dyn Fn(&TaskContext) -> TaskResult + Send + Sync>;

impl Step {
    /// The kind of the step, as flow files have it.
    pub fn kind(&self) -> &'static str {
        match self {
            Step::Job(_) => "job",
            Step::Engine(engine) => engine.command.name(),
            Step::Command(_) => "command",
            Step::Load(_) => "load",
        }
    }

    /// All texts in which names are replaced.
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Step::Job(_) => Vec::new(),
            Step::Engine(engine) => engine.arguments.values().flat_map(Argument::texts).collect(),
            Step::Command(command) => command.texts(),
            Step::Load(load) => load.texts(),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// A command of gristmill with its arguments, run within the process.
#[derive(Debug, Clone, PartialEq)]
pub struct Engine {
    pub(super) command: EngineCommand,
    pub(super) arguments: BTreeMap<String, Argument>,
}

/// Which command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineCommand {
    /// Files of one format to files of another.
    Convert,
    /// How often each word occurs.
    Wordcount,
    /// The rows of files in the order of columns.
    Sort,
    /// Sums, counts and the like of the rows of files, by columns.
    Aggregate,
}

impl EngineCommand {
    pub(super) const ALL: [EngineCommand; 4] =
        [EngineCommand::Convert, EngineCommand::Wordcount, EngineCommand::Sort, EngineCommand::Aggregate];

    /// Its name on the command line and in flow files.
    pub fn name(self) -> &'static str {
        match self {
            EngineCommand::Convert => "convert",
            EngineCommand::Wordcount => "wordcount",
            EngineCommand::Sort => "sort",
            EngineCommand::Aggregate => "aggregate",
        }
    }
}

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "an argument is a text such as \"1%\", a list of texts, a whole number, true or false"
)]
pub enum Argument {
    /// A flag: given, or not.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
    /// Several texts.
    List(Vec<String>),
}

impl Argument {
    fn texts(&self) -> Vec<&str> {
        match self {
            Argument::Flag(_) | Argument::Number(_) => Vec::new(),
            Argument::Text(text) => vec![text],
            Argument::List(texts) => texts.iter().map(String::as_str).collect(),
        }
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Argument {
        Argument::Text(text.to_owned())
    }
}

impl From<bool> for Argument {
    fn from(flag: bool) -> Argument {
        Argument::Flag(flag)
    }
}

impl From<i64> for Argument {
    fn from(number: i64) -> Argument {
        Argument::Number(number)
    }
}

impl<const N: usize> From<[&str; N]> for Argument {
    fn from(texts: [&str; N]) -> Argument {
        Argument::List(texts.map(str::to_owned).into())
    }
}

impl Engine {
    /// A command whose arguments are still to be [set](Engine::set).
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::flow::{Engine, EngineCommand, Flow};
    ///
    /// let convert = Engine::new(EngineCommand::Convert)
    ///     .set("input", ["raw/${date}/*.log"])
    ///     .set("from", "combined")
    ///     .set("output", "hits/${date}");
    /// let flow = Flow::new("hits").step("convert", convert);
    /// ```
    pub fn new(command: EngineCommand) -> Engine {
        Engine { command, arguments: BTreeMap::new() }
    }

    /// Sets an argument, which is called as the long option of the command, with `_` for `-`; `input` are the inputs.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Argument>) -> Engine {
        self.arguments.insert(name.to_owned(), value.into());
        self
    }

    /// The arguments that are options of the command.
    pub(super) fn options(&self) -> impl Iterator<Item = (&str, &Argument)> {
        self.arguments.iter().map(|(name, value)| (name.as_str(), value)).filter(|(name, _)| *name != INPUT)
    }

    /// What is read.
    pub(super) fn input(&self) -> Vec<&str> {
        self.arguments.get(INPUT).map(Argument::texts).unwrap_or_default()
    }

    /// Where the result goes: the partitions that are replaced, if these are named, else the output.
    pub(super) fn outputs(&self) -> Vec<String> {
        let Some(Argument::Text(output)) = self.arguments.get("output") else { return Vec::new() };
        let partitions = self.arguments.get("partition").map(Argument::texts).unwrap_or_default();
        let within = |partition: &str| format!("{output}/{partition}");
        if partitions.is_empty() {
            vec![output.clone()]
        } else {
            partitions.into_iter().map(within).collect()
        }
    }

    /// What is wrong with it, as far as that can be told without its parameters.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::Config, what.to_owned()));
        let mut known = engine::option_names(self.command.name());
        known.extend([INPUT.to_owned()]);
        if let Some(name) = self.arguments.keys().find(|name| !known.contains(name)) {
            return Err(check::unknown("key", name, known.iter().map(String::as_str)));
        }
        match (self.input().is_empty(), self.outputs().is_empty()) {
            (true, _) => wrong("it has no `input`"),
            (_, true) => wrong("it has no `output`"),
            _ => Ok(()),
        }
    }
}

/// The argument that has no option of its own on the command line.
const INPUT: &str = "input";

impl From<Engine> for Step {
    fn from(engine: Engine) -> Step {
        Step::Engine(engine)
    }
}

/// A program: no shell looks at its arguments, and it sees only those variables of the environment that it is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { argv = [\"echo\", \"hello\"] }")]
pub struct Command {
    argv: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pass_env: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dir: Option<String>,
    #[serde(default = "temporary", skip_serializing_if = "is_temporary")]
    transient_exit_codes: Vec<i32>,
}

/// The exit codes of programs that failed for the moment: `EX_TEMPFAIL` of sysexits.h.
pub(super) const TEMPORARY: [i32; 1] = [75];

fn temporary() -> Vec<i32> {
    TEMPORARY.into()
}

#[allow(clippy::ptr_arg)] // as serde calls it
fn is_temporary(codes: &Vec<i32>) -> bool {
    *codes == temporary()
}

impl Command {
    /// A program and its arguments.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::flow::{Command, Flow};
    ///
    /// let rsync = Command::new(["rsync", "-a", "logs:/var/log/${date}/", "raw/${date}/"]).pass_env(["SSH_AUTH_SOCK"]);
    /// let flow = Flow::new("hits").step("copy", rsync);
    /// ```
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Command {
        Command {
            argv: argv.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            pass_env: Vec::new(),
            dir: None,
            transient_exit_codes: temporary(),
        }
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Command {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Variables that it inherits, besides `PATH`, `HOME`, `LANG`, `TMPDIR` and `TZ`.
    #[must_use]
    pub fn pass_env<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Command {
        self.pass_env.extend(names.into_iter().map(Into::into));
        self
    }

    /// The directory that it runs in; default that of the flow.
    #[must_use]
    pub fn dir(mut self, dir: &str) -> Command {
        self.dir = Some(dir.to_owned());
        self
    }

    /// The exit codes that mean a passing failure, which another try may not meet; default 75.
    #[must_use]
    pub fn transient_exit_codes(mut self, codes: impl Into<Vec<i32>>) -> Command {
        self.transient_exit_codes = codes.into();
        self
    }

    fn texts(&self) -> Vec<&str> {
        self.argv.iter().chain(self.env.values()).chain(&self.dir).map(String::as_str).collect()
    }

    pub(super) fn argv(&self) -> &[String] {
        &self.argv
    }

    pub(super) fn variables(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    pub(super) fn passed(&self) -> &[String] {
        &self.pass_env
    }

    pub(super) fn directory(&self) -> Option<&str> {
        self.dir.as_deref()
    }

    pub(super) fn transient_codes(&self) -> &[i32] {
        &self.transient_exit_codes
    }
}

impl From<Command> for Step {
    fn from(command: Command) -> Step {
        Step::Command(command)
    }
}
